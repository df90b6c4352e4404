"""Other ways to keep the history of a month, for comparison: plain rows, and Parquet."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

DAY_MS, HOUR = 86_400_000, 3_600_000
COLUMNS = (
    "series",
    "t",
    "value",
    "coverage",
    "n",
    "level",
    "reason",
    "rev",
    "expected",
    "low",
    "high",
)
_MEANS = """SELECT (t + 3599999) / 3600000 AS hour, avg(value), min(value), max(value), max(level)
  FROM {} WHERE series = ? AND t > ? AND t <= ? GROUP BY 1 ORDER BY 1"""


def plain_rows(folder: Path, items: int, count: int, tries: int) -> dict[str, Any]:
    """A table of SQLite without row ids, a row a window."""
    path = folder / "rows.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(f"CREATE TABLE w({', '.join(COLUMNS)}, PRIMARY KEY(series, t)) WITHOUT ROWID")
    marks = ", ".join("?" * len(COLUMNS))

    def write(rows: Any) -> None:
        # By series, which is the best that can happen to it: by minutes each row is another page.
        columns = [rows[name].T.ravel().tolist() for name in COLUMNS]
        db.execute("BEGIN")
        db.executemany(f"INSERT INTO w VALUES({marks})", zip(*columns, strict=True))
        db.execute("COMMIT")

    took = _written(items, count, write)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()

    def opened() -> Any:
        return sqlite3.connect(path)

    return {
        "write_s": took,
        "size_bytes": path.stat().st_size,
        **_read(path, opened, "w", items, count, tries),
    }


def parquet(folder: Path, items: int, count: int, tries: int) -> dict[str, Any]:
    """A Parquet file a day, by series and time, read through DuckDB."""
    import duckdb

    path = folder / "parquet"
    path.mkdir()

    def write(rows: Any) -> None:
        columns = {name: rows[name].T.ravel() for name in COLUMNS}
        with duckdb.connect() as db:
            db.register("columns", columns)
            day = int(columns["t"][0]) // DAY_MS
            db.execute(
                f"COPY (SELECT * FROM columns ORDER BY series, t) TO '{path}/{day}.parquet'"
                " (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)"
            )

    took = _written(items, count, write)
    size = sum(file.stat().st_size for file in path.iterdir())
    table = f"read_parquet('{path}/*.parquet')"
    return {
        "write_s": took,
        "size_bytes": size,
        **_read(path, duckdb.connect, table, items, count, tries),
    }


STORES: tuple[Callable[[Path, int, int, int], dict[str, Any]], ...] = (plain_rows, parquet)


def _written(items: int, count: int, write: Callable[[Any], None]) -> float:
    from tests.bench.history import days

    took = 0.0
    for rows in days(items, count):
        began = time.perf_counter()
        write(rows)
        took += time.perf_counter() - began
    return round(took, 1)


def _read(
    path: Path, opened: Callable[[], Any], table: str, items: int, count: int, tries: int
) -> dict[str, float]:
    from tests.bench.history import START, forget_pages, timed

    rng = random.Random(2)
    took: dict[str, list[float]] = {}
    for _ in range(tries):
        series, first = rng.randrange(items), START + rng.randrange(count) * DAY_MS
        for what, statement, bounds in (
            (
                "day",
                f"SELECT * FROM {table} WHERE series = ? AND t > ? AND t <= ? ORDER BY t",
                (first, first + DAY_MS),
            ),
            ("month_hourly", _MEANS.format(table), (START, START + count * DAY_MS)),
        ):
            forget_pages(path)
            db = opened()
            for heat in ("cold", "warm"):
                ms = timed(lambda: db.execute(statement, [series, *bounds]).fetchall())  # noqa: B023
                took.setdefault(f"{what}_{heat}_ms", []).append(ms)
            db.close()
    return {what: round(median(ms), 2) for what, ms in took.items()}
