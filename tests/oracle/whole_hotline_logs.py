"""The long form of the hotline's real-log tests: whole logs, compared result by result.

``python -m tests.oracle.whole_hotline_logs`` with ``CITYVITALS_TEST_DATA`` set; tens of minutes.
Long logs are cut into parts, for all results of a part are held at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from schemas.configuration import Configuration
from tests.oracle import nyc, replies
from tests.oracle.elsewhere import in_city
from tests.oracle.replays import check

_MONTHS = (("01-01", "02-29"), ("03-01", "04-30"), ("05-01", "06-30"))
_HALVES = (("01-01", "06-30"), ("07-01", "12-31"))


def compare(
    name: str, write: Callable[[Path], None], configure: Callable[[Path], Configuration]
) -> int:
    """Convert a log, replay and compare it; one line with the counts."""
    with TemporaryDirectory() as folder:
        write(Path(folder))
        began = time.perf_counter()
        database, compared = check(configure(Path(folder)), Path(folder))
        bins = database.execute("SELECT bin, count(*) FROM events GROUP BY bin ORDER BY bin")
        counts = ", ".join(f"{bin} {count}" for bin, count in bins.fetchall())
        took = time.perf_counter() - began
    print(f"{name}: {compared} results compared, all equal; {counts}; {took:.0f} s", flush=True)
    return compared


def _new_york(folder: Path) -> Configuration:
    signs = ("hotline.", "cm.", "meteo.")
    return in_city(nyc.CITY, nyc.ZONE, folder, signs=signs, partitions={"sensor": 1})


def main() -> None:
    data = Path(os.environ["CITYVITALS_TEST_DATA"])

    def chinese(folder: Path) -> Configuration:
        named: Any = replies.places(data)
        signs = ("hotline.", "cm.")
        return in_city(replies.CITY, replies.ZONE, folder, signs=signs, places=named)

    total = 0
    for first, last in ((f"2024-{a}", f"2024-{b}") for a, b in _MONTHS):
        total += compare(
            f"floods of New York, {first} to {last}",
            lambda folder, days=(first, last): nyc.write_flood(data, folder, *days),
            _new_york,
        )
    for name, delay in (("as it came", nyc.at_once), ("sent late", nyc.by_hand)):
        total += compare(
            f"one day of New York and its closures, {name}",
            lambda folder, delay=delay: nyc.write_day(data, folder, "2014-12-31", delay),
            _new_york,
        )
    early = [("2011-01-01", "2014-12-31"), ("2015-01-01", "2015-12-31")]
    years = [(f"{year}-{a}", f"{year}-{b}") for year in range(2016, 2021) for a, b in _HALVES]
    for first, last in early + years[:-1]:
        total += compare(
            f"messages and replies, {first} to {last}",
            lambda folder, days=(first, last): replies.write_replies(data, folder, *days),
            chinese,
        )
    print(f"in all {total} results")


if __name__ == "__main__":
    main()
