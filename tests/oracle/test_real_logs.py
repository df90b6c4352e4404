"""Public measurements through the engine: every result and every bin as the oracle has them."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from schemas.configuration import Configuration
from schemas.loading import load
from tests.oracle.configurations import eager
from tests.oracle.convert import write_aarhus_traffic, write_beijing_air
from tests.oracle.replays import check
from tests.selection import choose

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def data() -> Path:
    folder = os.environ.get("CITYVITALS_TEST_DATA")
    if not folder:
        pytest.skip("CITYVITALS_TEST_DATA names no folder with the public data")
    return Path(folder)


def test_beijing_air_by_the_old_standard(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A day of July, then days of January with the coldest one.

    Half a year of silence lies between, for which no model is kept; and a week.
    """
    july, january = ("2015-07-18", "2015-07-18"), ("2016-01-16", "2016-01-16")
    days = (july, january, ("2016-01-23", "2016-01-24"))
    log = write_beijing_air(data, tmp_path, days)
    database, compared = check(_of_stations("air.", "meteo.temp_max", "meteo.rain_24h"), tmp_path)
    _say(capsys, f"Beijing air, 2012: {compared} results compared")
    cold = (
        f"SELECT count(*) FROM read_json('{log}') WHERE metric = 'air_temperature' AND value < -15"
    )
    rejected = _count(database, "SELECT count(*) FROM events WHERE bin = 'rejected'")
    assert rejected == _count(database, cold) > 0
    assert _count(database, "SELECT count(*) FROM expected WHERE level > 0") > 100
    assert _indices(database) == {("HJ 633-2012", name) for name in _INDICES}
    for basis in ("hour_of_week", "hour_of_day"):
        judged = f"SELECT count(*) FROM models WHERE basis = '{basis}' AND score > 0"
        assert _count(database, judged) > 0
    assert _count(database, "SELECT count(*) FROM models WHERE score >= 0.5") > 0


def test_beijing_air_by_the_new_standard(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A day of rain in July, moved into the days of the standard of 2026."""
    write_beijing_air(data, tmp_path, (("2015-07-17", "2015-07-17"),), years=12)
    signs = ("air.", "meteo.", "traffic.tpi", "drain.depth")
    database, compared = check(_of_stations(*signs), tmp_path)
    _say(capsys, f"Beijing air, 2026: {compared} results compared")
    assert _indices(database) == {("HJ 633-2026", name) for name in _INDICES}
    assert _count(database, "SELECT count(*) FROM expected WHERE vital = 'meteo.rain_1h'") > 1000


_INDICES = ("air.aqi", "air.aqi_24h", "air.aqi_day")


def _of_stations(*prefixes: str) -> Configuration:
    """The shipped signs that begin so, with models that answer within two days."""
    content = load(environ={}).model_dump()
    choose(content, lambda sign: sign["id"].startswith(prefixes))
    eager(content, least=8, every_s=300.0)
    return Configuration.model_validate(content)


def _indices(database: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    """The standards and signs of the indices that have a value."""
    rows = database.execute("""
        SELECT DISTINCT detail->>'$.table', vital FROM expected
        WHERE vital LIKE 'air.aqi%' AND value IS NOT NULL""")
    return {(standard, vital) for standard, vital in rows.fetchall()}


@pytest.mark.parametrize(
    ("lateness_s", "corrected"), [(120.0, False), (864_000.0, True)], ids=["minutes", "ten_days"]
)
def test_aarhus_traffic(
    lateness_s: float,
    corrected: bool,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Roads of a source that falls behind, jumps back by a week and repeats its stamps."""
    write_aarhus_traffic(data, tmp_path, slice(51_500, 53_000))
    database, compared = check(_for_five_minutes(lateness_s), tmp_path)
    _say(capsys, f"Aarhus traffic, {lateness_s:g} s late: {compared} results compared")
    for name in ("duplicate", "late", "accepted"):
        assert _count(database, f"SELECT count(*) FROM events WHERE bin = '{name}'") > 0
    finals = _count(database, "SELECT count(*) FROM expected WHERE rev = 1")
    assert finals > 5000 if corrected else finals == 0
    for sign in ("traffic.flow", "traffic.tpi"):
        told = f"SELECT count(*) FROM expected WHERE vital = '{sign}' AND value IS NOT NULL"
        assert _count(database, told) > 1000


def _for_five_minutes(lateness_s: float) -> Configuration:
    """The shipped configuration, for sources that report every five minutes and fall behind."""
    content = load(environ={}).model_dump()
    for topic in content["topics"]:
        if topic["kind"] == "traffic":
            topic["allowed_lateness_s"] = lateness_s
    for sign in content["signs"]:
        if sign["id"] in ("traffic.flow", "traffic.tpi"):
            sign["coverage"]["at_least"] = 1.0 if sign["id"] == "traffic.flow" else 3.0
    return Configuration.model_validate(content)


def _count(database: duckdb.DuckDBPyConnection, query: str) -> int:
    (number,) = database.execute(query).fetchone() or (0,)
    return int(number)


def _say(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with capsys.disabled():
        print(f"\n{line}")
