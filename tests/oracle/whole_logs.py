"""The long form of the real-log tests: whole logs, compared result by result.

``python -m tests.oracle.whole_logs`` with ``CITYVITALS_TEST_DATA`` set; minutes, not seconds.
Fourteen months of Beijing's air are judged by the air signs alone, once as they were and once as
in the days of the next standard, in parts: a minute's hop of rain over all that time would be
thirty million results.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from schemas.configuration import Configuration
from schemas.loading import load
from tests.oracle.convert import write_aarhus_traffic, write_beijing_air
from tests.oracle.replays import check
from tests.selection import choose

_PARTS = (
    ("2015-01-01", "2015-05-15"),
    ("2015-05-16", "2015-09-30"),
    ("2015-10-01", "2016-02-29"),
)

"""All results of a part are held at once."""


def only(*prefixes: str) -> Configuration:
    """The shipped configuration with the signs whose ids begin so."""
    content = load(environ={}).model_dump()
    choose(content, lambda sign: sign["id"].startswith(prefixes))
    return Configuration.model_validate(content)


def compare(name: str, configuration: Configuration, write: Callable[[Path], object]) -> None:
    """Convert a log, replay and compare it; one line with the counts."""
    with TemporaryDirectory() as folder:
        write(Path(folder))
        began = time.perf_counter()
        database, compared = check(configuration, Path(folder))
        bins = database.execute("SELECT bin, count(*) FROM events GROUP BY bin ORDER BY bin")
        counts = ", ".join(f"{bin} {count}" for bin, count in bins.fetchall())
        took = time.perf_counter() - began
    print(f"{name}: {compared} results compared, all equal; {counts}; {took:.0f} s", flush=True)


def _generate(folder: Path) -> None:
    """A city of some size with its register; models are as shipped."""
    command = [str(Path(sys.executable).with_name("cityvitals")), "generate", str(folder)]
    options = ["--minutes", "480", "--scale", "0.3", "--json"]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    data = Path(os.environ["CITYVITALS_TEST_DATA"])
    compare(
        "Aarhus raw traffic, whole",
        load(environ={}),
        lambda folder: write_aarhus_traffic(data, folder, slice(None)),
    )
    compare("generated city, eight hours", load(environ={}), _generate)
    for years, standard in ((0, "HJ 633-2012"), (12, "HJ 633-2026")):
        for part in _PARTS:
            compare(
                f"Beijing air, {part[0]} to {part[1]}, {standard}",
                only("air."),
                lambda folder, part=part, years=years: write_beijing_air(  # type: ignore[misc]
                    data, folder, (part,), years
                ),
            )


if __name__ == "__main__":
    main()
