"""Public measurements through the engine: every result and every bin as the oracle has them."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from schemas.loading import load
from tests.oracle.convert import write_aarhus_traffic, write_beijing_air
from tests.oracle.replays import check

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def data() -> Path:
    folder = os.environ.get("CITYVITALS_TEST_DATA")
    if not folder:
        pytest.skip("CITYVITALS_TEST_DATA names no folder with the public data")
    return Path(folder)


def test_beijing_air(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rainy week of July, then the coldest week of January: half a year of silence between."""
    days = (("2015-07-15", "2015-07-19"), ("2016-01-20", "2016-01-24"))
    log = write_beijing_air(data, tmp_path, days)
    database, compared = check(load(environ={}), tmp_path)
    _say(capsys, f"Beijing air: {compared} results compared")
    cold = (
        f"SELECT count(*) FROM read_json('{log}') WHERE metric = 'air_temperature' AND value < -15"
    )
    rejected = _count(database, "SELECT count(*) FROM events WHERE bin = 'rejected'")
    assert rejected == _count(database, cold) > 0
    assert _count(database, "SELECT count(*) FROM expected WHERE level > 0") > 100


def test_aarhus_traffic(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A month of roads whose source jumps back by a week and repeats its stamps."""
    write_aarhus_traffic(data, tmp_path, slice(None))
    database, compared = check(load(environ={}), tmp_path)
    _say(capsys, f"Aarhus traffic: {compared} results compared")
    for bin_ in ("duplicate", "late", "accepted"):
        assert _count(database, f"SELECT count(*) FROM events WHERE bin = '{bin_}'") > 0


def _count(database: duckdb.DuckDBPyConnection, query: str) -> int:
    (number,) = database.execute(query).fetchone() or (0,)
    return int(number)


def _say(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with capsys.disabled():
        print(f"\n{line}")
