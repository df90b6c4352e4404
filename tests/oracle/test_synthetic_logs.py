"""Simulated and jumbled logs through the engine: every result and bin as the oracle has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.city import City
from schemas.configuration import Configuration
from schemas.loading import load
from streams.event_logs import Writer
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


@pytest.mark.parametrize("seed", [1, 2])
def test_disarray(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Corrections, repeats, silences about as long as keys are remembered, coarse places."""
    write_disarray(tmp_path, seed)
    content = load(environ={}).model_dump() | {"forget_s": FORGET_S}
    database, compared = check(Configuration.model_validate(content), tmp_path)
    with capsys.disabled():
        print(f"\ndisarray {seed}: {compared} results compared")
    rows = database.execute("SELECT DISTINCT vital FROM expected WHERE rev = 1")
    assert len(rows.fetchall()) >= 8
