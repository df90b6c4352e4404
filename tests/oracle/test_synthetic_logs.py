"""Simulated and jumbled logs through the engine: every result and bin as the oracle has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from schemas.configuration import Configuration
from schemas.loading import load
from streams.event_logs import Writer
from streams.partitioning import partition_of
from tests.oracle.configurations import eager, regular
from tests.oracle.days import write_days
from tests.oracle.disarray import FORGET_S, write_disarray
from tests.oracle.oracle import covered_signs
from tests.oracle.replays import check
from tests.selection import choose

_TEN = 1_772_416_800_000
_DAYS = ("air.", "noise.", "meteo.temp_max", "meteo.rain_24h", "drain.manhole_fill", "iot.valid")


def test_every_sign_is_stated() -> None:
    configuration = load(environ={})
    live = {sign.id for sign in configuration.signs if sign.kind == "live"}
    stated = {sign.id for sign in covered_signs(configuration)}
    assert stated == {sign.id for sign in configuration.signs} - live


def test_simulated_city(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hours of the simulated city with its register, its planted episodes and faults."""
    generate = [str(Path(sys.executable).with_name("cityvitals")), "generate", str(tmp_path)]
    options = ["--minutes", "120", "--scale", "0.1", "--episodes", "1", "--json"]
    subprocess.run([*generate, *options], check=True, stdout=subprocess.DEVNULL)
    content = regular()
    (tmp_path / "callers.key").write_text("a secret of the tests alone", encoding="utf-8")
    content["hotline"]["caller_key_file"] = str(tmp_path / "callers.key")
    eager(content, least=3, every_s=60.0)
    database, compared = check(Configuration.model_validate(content), tmp_path)
    _say(capsys, f"simulated city: {compared} results compared")
    told = _ids(database, "value IS NOT NULL")
    assert told >= {"traffic.tpi", "traffic.incidents", "traffic.flow", "drain.depth"}
    assert told >= {"iot.online_rate", "iot.lateness_p95", "drain.manhole_fill", "drain.rise_rate"}
    assert told >= {"traffic.queue_ratio", "traffic.parking_occupancy", "city.health_index"}
    assert told >= {"hotline.topic_burst", "hotline.open_age_p90", "hotline.inflow"}
    assert _ids(database, "score >= 0.5") >= {"traffic.flow", "iot.lateness_p95"}
    assert _count(database, "n > 64 AND vital = 'iot.lateness_p95'") > 0, "none is sketched"
    # Devices fall silent, and the rate tells.
    assert _count(database, "vital = 'iot.online_rate' AND key = '4401' AND value < 100") > 0


def test_days_about_the_new_standard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Calendars, indices of both standards, limits and rows of the register, and corrections."""
    write_days(tmp_path, seed=2)
    content = regular()
    unheard = ("air.dust_site", "noise.night_peak")
    choose(content, lambda sign: sign["id"].startswith(_DAYS) and sign["id"] not in unheard)
    eager(content, least=4)
    for sign in content["signs"]:
        if sign["id"] in ("noise.day_leq", "noise.night_leq", "iot.valid_rate"):
            sign["coverage"]["at_least"] = 3
    database, compared = check(Configuration.model_validate(content), tmp_path)
    _say(capsys, f"days: {compared} results compared")
    told = _ids(database, "value IS NOT NULL")
    assert told == {sign["id"] for sign in content["signs"]}
    assert _ids(database, "rev = 1") >= {"air.aqi", "air.aqi_24h", "air.aqi_day", "meteo.temp_max"}
    for year in ("2012", "2026"):
        label = f"detail LIKE '%HJ 633-{year}%' AND value IS NOT NULL"
        assert _ids(database, label) == {"air.aqi", "air.aqi_24h", "air.aqi_day"}
    for basis in ("warming", "missing", "hour_of_week", "hour_of_day", "gaussian"):
        assert _count(database, f"basis = '{basis}'") > 0
    for reason in ("warming", "uncovered", "no_limit"):
        assert _count(database, f"reason = '{reason}'") > 0


def test_disarray(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Corrections, repeats, silences about as long as keys are remembered, coarse places."""
    write_disarray(tmp_path, seed=4)
    content = regular() | {"forget_s": FORGET_S}
    database, compared = check(Configuration.model_validate(content), tmp_path)
    _say(capsys, f"disarray: {compared} results compared")
    assert len(_ids(database, "rev = 1")) >= 12


def test_late_first_order(tmp_path: Path) -> None:
    """The earliest order of all comes late: windows that begin with it have a final value.

    ::

        event time   10:00   10:05   10:10           11:00
                       |-------|-------|---------------|   one hour, from 10:00
        on time                        o                   1st record
        late           o                                   2nd record, same lane
    """
    with Writer(tmp_path, "city.hotline.v1") as log:
        log.write(_order("o1", _TEN + 600_000))
        log.write(_order(_key_beside("o1"), _TEN))
    database, _ = check(_of("hotline.", "cm."), tmp_path)
    found = database.execute(
        """SELECT rev, value, reason, n FROM actual WHERE vital = 'hotline.inflow'
           AND key_level = 'street' AND t_start = ? ORDER BY rev""",
        [_TEN],
    )
    assert found.fetchall() == [(0, None, "warming", 1), (1, 2.0, None, 2)]


def test_first_record_ahead_of_its_time(tmp_path: Path) -> None:
    """A clock that is wrong opens a lane: its record arrived at no time that windows have."""
    with Writer(tmp_path, "city.sensor.v1") as log:
        log.write(_reading(_TEN + 600_000, t_ingest=_TEN))
        for minute in range(5):
            log.write(_reading(_TEN + minute * 60_000, t_ingest=_TEN + minute * 60_000))
    database, _ = check(_of("iot.", "air.", "drain."), tmp_path)
    assert _count(database, f"t_start < {_TEN} - 86400000") == 0
    assert _count(database, "vital = 'iot.valid_rate' AND key = '4401' AND n = 5") > 0


def test_correction_repeats_what_the_model_said(tmp_path: Path) -> None:
    """Whether or not another sign reads the corrected one."""
    with Writer(tmp_path, "city.traffic.v1") as log:
        for minute in range(20):
            log.write(_flow(_TEN + minute * 60_000))
        log.write(_flow(_TEN + 12 * 60_000 + 1))
    content = regular()
    choose(content, lambda sign: sign["id"] == "traffic.flow")
    content["topics"][1]["allowed_lateness_s"] = 3600.0
    eager(content, least=3, every_s=0.0)
    database, _ = check(Configuration.model_validate(content), tmp_path)
    assert _count(database, "rev = 1 AND basis = 'hour_of_week'") > 0


def _of(*prefixes: str) -> Configuration:
    """The shipped signs that begin so."""
    content = regular()
    choose(content, lambda sign: sign["id"].startswith(prefixes))
    return Configuration.model_validate(content)


def _order(name: str, t: int) -> bytes:
    order = {"kind": "order", "order_id": name, "seq": 0, "status": "created", "category": ["x"]}
    return msgspec.json.encode(order | {"t": t, "t_created": t, "place": "440103001"})


def _reading(t: int, **more: Any) -> bytes:
    reading = {"device": "d1", "metric": "pm25", "value": 3.0, "unit": "ug/m3", "t": t}
    return msgspec.json.encode(reading | {"place": "440103001"} | more)


def _flow(t: int) -> bytes:
    flow = {"kind": "segment_flow", "source_id": "s1", "t": t, "intensity": 5}
    return msgspec.json.encode(flow | {"place": "440103001"})


def _key_beside(name: str) -> str:
    """Another key of the same partition."""
    same = (f"{name}-{i}" for i in range(100))
    lane = partition_of(name.encode(), 4)
    return next(other for other in same if partition_of(other.encode(), 4) == lane)


def _ids(database: duckdb.DuckDBPyConnection, condition: str) -> set[str]:
    rows = database.execute(f"SELECT DISTINCT vital FROM stated WHERE {condition}")
    return {vital for (vital,) in rows.fetchall()}


def _count(database: duckdb.DuckDBPyConnection, condition: str) -> int:
    row = database.execute(f"SELECT count(*) FROM stated WHERE {condition}").fetchone()
    return int(row[0]) if row else 0


def _say(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with capsys.disabled():
        print(f"\n{line}")
