"""Public records of hotlines through the engine: every result and every bin as the oracle has them.

The storm of 23 March 2024 in New York stands among them, with the alerts that it raised.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from tests.oracle import nyc, replies, storm
from tests.oracle.elsewhere import in_city
from tests.oracle.replays import check

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def data() -> Path:
    folder = os.environ.get("CITYVITALS_TEST_DATA")
    if not folder:
        pytest.skip("CITYVITALS_TEST_DATA names no folder with the public data")
    return Path(folder)


def test_floods(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three weeks of complaints and rain, with the storm at their end.

    On 10 March the clock is put on: the hour that it skips stands in the record of the rain, and
    is the next one once more.
    """
    nyc.write_flood(data, tmp_path, "2024-03-04", "2024-03-24")
    configuration = in_city(
        nyc.CITY, nyc.ZONE, tmp_path, signs=("hotline.", "meteo."), partitions={"sensor": 1}
    )
    database, compared = check(configuration, tmp_path)
    _say(capsys, f"floods of New York: {compared} results compared")
    assert _count(database, "SELECT count(*) FROM events WHERE bin = 'duplicate'") == 1
    assert _count(database, "SELECT count(*) FROM expected WHERE level = 4") > 100
    told = _told(database)
    assert told >= {"hotline.topic_burst", "hotline.on_time_close", "hotline.repeat_rate"}
    _check_storm(data, storm.raised(storm.printed(tmp_path / "replayed.json")))


def _check_storm(data: Path, raised: list[storm.Raised]) -> None:
    the_storm = storm.storm_of(data, storm.STORM_DAY)
    found = storm.in_storm(raised, the_storm)
    burst = min(one.t for one in found if one.rule == storm.BURST)
    tenth = storm.tenth(nyc.complaints(data), the_storm.begin)
    assert 0 <= burst - tenth <= storm.HOUR_MS
    rain = min(one.t for one in found if one.rule in storm.RAIN_RULES)
    assert 0 <= rain - the_storm.hours[storm.TENTH - 1][0] <= storm.HOUR_MS


def test_day(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One day of all requests: thousands at midnight, and one in six sent hours too late."""
    nyc.write_day(data, tmp_path, "2013-12-26", nyc.by_hand)
    configuration = in_city(nyc.CITY, nyc.ZONE, tmp_path, signs=("hotline.", "cm."))
    database, compared = check(configuration, tmp_path)
    _say(capsys, f"one day of New York: {compared} results compared")
    assert _count(database, "SELECT count(*) FROM events WHERE bin = 'late'") > 10
    corrected = database.execute("SELECT DISTINCT vital FROM expected WHERE rev = 1").fetchall()
    # What is sampled, and what repeats, is said once.
    assert {vital for (vital,) in corrected} == {
        "cm.case_rate",
        "cm.on_time_rate",
        "hotline.inflow",
        "hotline.inflow_ratio",
        "hotline.on_time_close",
        "hotline.topic_burst",
        "hotline.topic_callers",
        "hotline.topic_orders",
        "hotline.wellbeing",
    }
    assert _told(database) >= {"cm.overdue", "hotline.open_age_p90", "hotline.repeat_rate"}
    # More callers than are counted one by one.
    many = "SELECT max(value) FROM expected WHERE vital = 'hotline.topic_callers'"
    assert _count(database, many) > 1000


def test_replies(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two weeks of messages whose topics and places stand in their texts alone."""
    replies.write_replies(data, tmp_path, "2018-12-01", "2018-12-14")
    configuration = in_city(
        replies.CITY,
        replies.ZONE,
        tmp_path,
        signs=("hotline.", "cm."),
        places=replies.places(data),
    )
    database, compared = check(configuration, tmp_path)
    _say(capsys, f"messages and replies: {compared} results compared")
    divided = "SELECT count(DISTINCT key) FROM expected WHERE key_level = 'category*district'"
    assert _count(database, divided) > 20


def _told(database: duckdb.DuckDBPyConnection) -> set[str]:
    rows = database.execute("SELECT DISTINCT vital FROM expected WHERE value IS NOT NULL")
    return {vital for (vital,) in rows.fetchall()}


def _count(database: duckdb.DuckDBPyConnection, query: str) -> int:
    (number,) = database.execute(query).fetchone() or (0,)
    return int(number)


def _say(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with capsys.disabled():
        print(f"\n{line}")
