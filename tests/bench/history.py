"""The history of a month: its size, how long reading and writing take; and other ways to keep it.

``python -m tests.bench.history --items 1000 --days 30`` appends a minute at a time to a history, as
the gateway does, folding when it is due, then reads a day of one series and the month by the hour:
*cold* from a file just opened whose pages were dropped from the system's cache, *warm* once more.
Last, it appends minutes of 10,242 items, records of ``city.vitals-log.v1`` as they come.  With
``--compare`` the same rows are kept as plain rows in SQLite and as Parquet read through DuckDB.

It ends with 1, and says why, where a limit is missed: a day within 50 ms and the month by the
hour within 200 ms, cold or warm, as medians, and 10,242 items a minute appended and folded within a
minute.

Of the items a third are counts, a third have two decimals, a third are means with all their digits;
three in a hundred windows have no value, and a fifth of the items have a model.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import orjson

from agents.gateway import history as module
from agents.gateway.history import History
from agents.gateway.windows import DAY_MS, NONE, WINDOW, About, Batch, Name, Windows
from tests.bench import history_stores
from tests.bench.items import ITEMS

START = 1_772_323_200_000
MINUTE, HOUR = 60_000, 3_600_000
KEEP = 400 * DAY_MS
DAY_READ_MS, MONTH_READ_MS, BUSY_S = 50, 200, 60
"""Limits of a run: medians of reading a day and the month by the hour, and the work of a minute."""


class Made(NamedTuple):
    """A history that was made, and what it took."""

    windows: int
    append_s: float
    fold_s: float
    size: int


def days(items: int, count: int, seed: int = 1) -> Iterator[Windows]:
    """The windows of each day, by minutes: series are numbered from 0."""
    rng = np.random.default_rng(seed)
    at = np.cumsum(rng.normal(0, 1, items)) + 50
    kinds = np.arange(items) % 3
    for day in range(count):
        rows = np.zeros((1440, items), WINDOW)
        rows["series"] = np.arange(items)
        rows["t"] = START + day * DAY_MS + (np.arange(1, 1441) * MINUTE)[:, None]
        walk = at + np.cumsum(rng.normal(0, 0.2, (1440, items)), axis=0)
        at = walk[-1]
        values = np.where(kinds == 0, np.rint(walk), np.where(kinds == 1, walk.round(2), walk))
        missing = rng.random((1440, items)) < 0.03
        rows["n"] = np.where(missing, 0, rng.poisson(60, (1440, items)))
        rows["coverage"] = np.where(missing, 0.0, np.minimum(rows["n"] / 60, 1.0))
        rows["value"] = np.where(missing, np.nan, values)
        rows["level"] = np.where(missing, NONE, np.clip((values - 50) // 5, 0, 4))
        rows["reason"] = np.where(missing, 1, NONE)
        for name, shift in (("expected", 0.0), ("low", -2.0), ("high", 2.0)):
            rows[name] = np.where(np.arange(items) % 5 == 0, at.round(3) + shift, np.nan)
        yield rows


def names(items: int) -> list[Name]:
    return [Name(f"bench.sign_{i % 50}", "street", f"440111{i:06}") for i in range(items)]


def make(path: Path, items: int, count: int, say: Callable[[str], None]) -> Made:
    """Append a month and fold it when that is due: all that `append` does but for reading JSON."""
    known = names(items)
    about = [About("cm", name.key) for name in known]
    history, append_s, fold_s = History(path, KEEP), 0.0, 0.0
    decode = module.batch_of
    # Rows instead of 43 million results.
    module.batch_of = lambda rows: Batch(known, about, rows, 0)  # type: ignore[assignment]
    try:
        for day, rows in enumerate(days(items, count)):
            for minute in range(1440):
                began = time.perf_counter()
                history.append(rows[minute], {"lane": day * 1440 + minute + 1})
                now = time.perf_counter()
                append_s += now - began
                if history.due:
                    history.fold()
                    fold_s += time.perf_counter() - now
            say(f"day {day + 1}: {append_s:.0f} s to append, {fold_s:.0f} s to fold")
        history.fold()
        windows = count * 1440 * items
    finally:
        module.batch_of = decode
        history.close()
    return Made(windows, append_s, fold_s, path.stat().st_size)


def forget_pages(path: Path) -> None:
    """Drop what the system's cache has of the files of a store."""
    for file in path.iterdir() if path.is_dir() else [path]:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def timed(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1e3


def reads(path: Path, items: int, count: int, tries: int) -> dict[str, float]:
    """Median ms of a day of one series, and of all days by the hour, cold and warm."""
    rng, known = random.Random(2), names(items)
    took: dict[str, list[float]] = {}
    for _ in range(tries):
        name, day = rng.choice(known), rng.randrange(count)
        first = START + day * DAY_MS
        for what, range_, length in (
            ("day", (first, first + DAY_MS), None),
            ("month_hourly", (START, START + count * DAY_MS), HOUR),
        ):
            forget_pages(path)
            history = History(path, KEEP)
            for heat in ("cold", "warm"):
                found: list[Any] = []

                def read(found: list[Any] = found, history: History = history) -> None:
                    found.append(history.read(*name, *range_, length))  # noqa: B023

                took.setdefault(f"{what}_{heat}_ms", []).append(timed(read))
                assert len(found[0].t) == (1440 if length is None else count * 24)
            history.close()
    return {what: round(median(ms), 2) for what, ms in took.items()}


def minute_of_results(items: int, minute: int) -> list[bytes]:
    """Records of the log, as the engine writes them."""
    end = START + 1000 * DAY_MS + minute * MINUTE
    return [
        orjson.dumps(
            {
                **{"vital": name.sign, "key_level": name.key_level, "key": name.key},
                **{"place": name.key, "t_start": end - MINUTE, "t_end": end},
                **{"value": 11.75 + i / 7, "unit": "cm", "n": 60, "coverage": 1.0, "level": 1},
                **{"reason": None, "rev": 0, "final": False, "detail": {"children": 15}},
                **{"model": None, "config": "2026.11+bcbd43797732", "live": False},
            }
        )
        for i, name in enumerate(names(items))
    ]


def minutes(path: Path, items: int, count: int) -> dict[str, float]:
    """Median s to append a minute of results, the longest, and s of a fold of an hour of them."""
    history, took = History(path, KEEP), []
    for minute in range(1, count + 1):
        results = minute_of_results(items, minute)
        took.append(timed(lambda: history.append(results, {"lane": minute})) / 1e3)  # noqa: B023
    folded = timed(history.fold) / 1e3
    again = minute_of_results(items, count + 1)
    history.append(again, {})
    more = timed(history.fold) / 1e3
    history.close()
    return {
        "minute_s": round(median(took), 4),
        "minute_longest_s": round(max(took), 4),
        "fold_s": round(folded, 2),
        "work_s_a_minute": round(sum(took) / count + folded / count, 3),
        "fold_into_blocks_s": round(more, 2),
    }


def measure(
    folder: Path,
    items: int,
    count: int,
    tries: int = 50,
    *,
    compare: bool = False,
    say: Any = print,
) -> dict[str, Any]:
    path = folder / "history.db"
    made = make(path, items, count, say)
    report: dict[str, Any] = {
        "items": items,
        "days": count,
        "windows": made.windows,
        "append_s": round(made.append_s, 1),
        "fold_s": round(made.fold_s, 1),
        "size_bytes": made.size,
        "bytes_a_window": round(made.size / made.windows, 2),
        **reads(path, items, count, tries),
        **{f"{ITEMS}_{k}": v for k, v in minutes(path, ITEMS, 25 if tries >= 50 else 2).items()},
    }
    if compare:
        for store in history_stores.STORES:
            report[store.__name__] = store(folder, items, count, tries)
            say(json.dumps({store.__name__: report[store.__name__]}))
    return report


def misses(report: dict[str, Any]) -> list[str]:
    """The limits of the issue that a run does not hold."""
    found = {
        f"a day of one series above {DAY_READ_MS} ms": (
            max(report["day_cold_ms"], report["day_warm_ms"]) > DAY_READ_MS
        ),
        f"the month by the hour above {MONTH_READ_MS} ms": (
            max(report["month_hourly_cold_ms"], report["month_hourly_warm_ms"]) > MONTH_READ_MS
        ),
        f"does not keep up with {ITEMS:,} items a minute": (
            report[f"{ITEMS}_work_s_a_minute"] > BUSY_S
        ),
    }
    return [text for text, missed in found.items() if missed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--compare", action="store_true", help="with plain SQLite and Parquet too")
    parser.add_argument("--folder", type=Path, help="where to make it; a temporary one otherwise")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    say = (lambda _: None) if options.json else (lambda text: print(text, flush=True))
    with TemporaryDirectory(dir=options.folder) as folder:
        report = measure(
            Path(folder), options.items, options.days, compare=options.compare, say=say
        )
    missed = misses(report)
    if options.json:
        print(json.dumps({**report, "misses": missed}))
        sys.exit(bool(missed))
    for name, value in report.items():
        print(f"{name:28} {value:,}" if not isinstance(value, dict) else f"{name:28} {value}")
    print("; ".join(missed) or "all limits are kept")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
