"""Simulated and jumbled logs through the engine: every result and bin as the oracle has them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agents.city import City
from schemas.configuration import Configuration
from schemas.loading import load
from streams.event_logs import Writer, partition_of
from tests.oracle.disarray import FORGET_S, write_disarray
from tests.oracle.replays import check

MINUTES = 90


def test_simulated_city(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An hour and a half of the simulated city, with its planted episodes and faults."""
    city = City(seed=7, scale=0.1)
    topics = ("city.sensor.v1", "city.traffic.v1", "city.hotline.v1")
    logs = {topic: Writer(tmp_path, topic) for topic in topics}
    for minute in range(MINUTES):
        for emission in city.minute(minute):
            if emission.topic in logs:
                logs[emission.topic].write(emission.value)
    for log in logs.values():
        log.close()
    database, compared = check(load(environ={}), tmp_path)
    with capsys.disabled():
        print(f"\nsimulated city: {compared} results compared")
    rows = database.execute("SELECT DISTINCT vital FROM expected WHERE value IS NOT NULL")
    told = {vital for (vital,) in rows.fetchall()}
    assert told >= {"traffic.tpi", "traffic.incidents", "hotline.urgent", "drain.depth"}


def test_disarray(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Corrections, repeats, silences about as long as keys are remembered, coarse places."""
    write_disarray(tmp_path, seed=4)
    content = load(environ={}).model_dump() | {"forget_s": FORGET_S}
    database, compared = check(Configuration.model_validate(content), tmp_path)
    with capsys.disabled():
        print(f"\ndisarray: {compared} results compared")
    rows = database.execute("SELECT DISTINCT vital FROM expected WHERE rev = 1")
    assert len(rows.fetchall()) >= 8


def test_late_first_order(tmp_path: Path) -> None:
    """The earliest order of all comes late: windows that begin with it have a final value.

    ::

        event time   10:00   10:05   10:10           11:00
                       |-------|-------|---------------|   one hour, from 10:00
        on time                        o                   1st record
        late           o                                   2nd record, same lane
    """
    ten = 1_772_416_800_000
    with Writer(tmp_path, "city.hotline.v1") as log:
        log.write(_order("o1", ten + 600_000))
        log.write(_order(_key_beside("o1"), ten))
    database, _ = check(load(environ={}), tmp_path)
    found = database.execute(
        """SELECT rev, value, reason, n FROM actual WHERE vital = 'hotline.inflow'
           AND key_level = 'street' AND t_start = ? ORDER BY rev""",
        [ten],
    )
    assert found.fetchall() == [(0, None, "warming", 1), (1, 2.0, None, 2)]


def _order(name: str, t: int) -> bytes:
    order = {"kind": "order", "order_id": name, "seq": 0, "status": "created", "category": ["x"]}
    return msgspec.json.encode(order | {"t": t, "t_created": t, "place": "440103001"})


def _key_beside(name: str) -> str:
    """Another key of the same partition."""
    same = (f"{name}-{i}" for i in range(100))
    lane = partition_of(name.encode(), 4)
    return next(other for other in same if partition_of(other.encode(), 4) == lane)
