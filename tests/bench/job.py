"""The job that engines are compared by, its rules, and what it comes to: the oracle, in SQL.

Count, sum, minimum and maximum of the values, by device and rolled up to grid, street, district and
city, over windows of 10 s and over windows of 60 s that begin every 10 s.

A record counts if it is JSON with a text ``device``, a number ``value``, an integer ``t`` and a
text ``place``, and is at most 35 s (5 s of disorder, 30 s of lateness) behind the greatest ``t``
before it in its partition. A window's result is the last one that is sent of it: what an engine
sends before corrections are over does not count. The log is made so that an engine that decides
by windows comes to the same: what is late is late by less than 30 s or by more than 8 minutes.

Results are rows of ``level,window_s,key,start,count,sum,min,max``, as CSV, one or more in a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from streams.partitioning import partition_of

PANE_MS = 10_000
HOP_PANES = 6
DISORDER_MS, LATENESS_MS = 5_000, 30_000
LEVELS = {"grid": 15, "street": 9, "district": 6, "city": 4}
"""Levels of the roll-up, and the digits of the place that name each."""
COLUMNS = {
    "level": "VARCHAR",
    "window_s": "INTEGER",
    "key": "VARCHAR",
    "start": "BIGINT",
    "n": "BIGINT",
    "total": "DOUBLE",
    "low": "DOUBLE",
    "high": "DOUBLE",
}
_FIELDS = {"device": "VARCHAR", "value": "DOUBLE", "t": "BIGINT", "place": "VARCHAR"}
_NAME = "level, window_s, key, start"


@dataclass(frozen=True)
class Job:
    """What is asked of the engines.

    Attributes
    ----------
    partitions
        Of the input topic.
    device_hops
        Whether windows of 60 s are asked for by device too, or from the grid upward alone.
    """

    partitions: int = 4
    device_hops: bool = True


class Oracle:
    """What the job comes to over a log, and how far results are from it.

    Parameters
    ----------
    log
        A prefix of the frozen log.
    database
        File that holds it between two checks; in memory if not given.
    """

    def __init__(self, log: Path, job: Job, database: Path | None = None) -> None:
        self.database = database
        self.sql = duckdb.connect(str(database or ":memory:"))
        self.sql.execute("SET threads = 2; SET preserve_insertion_order = true")
        self.sql.execute(
            "CREATE TABLE events AS SELECT device, value, t, place FROM read_ndjson("
            f"?, columns = {_FIELDS}, ignore_errors = true)"
            "WHERE device IS NOT NULL AND value IS NOT NULL AND t IS NOT NULL",
            [str(log)],
        )
        self._partition(job.partitions)
        self._admit()
        self._aggregate(job)
        self.facts = self._count()

    def close(self) -> None:
        """Give the memory back; the next check opens the file again."""
        self.sql.close()

    def _partition(self, partitions: int) -> None:
        names = [
            name for (name,) in self.sql.execute("SELECT DISTINCT device FROM events").fetchall()
        ]
        numbers = [partition_of(name.encode(), partitions) for name in names]
        self.sql.execute(
            "CREATE TABLE lanes AS SELECT unnest(?::VARCHAR[]) AS device, "
            "unnest(?::INTEGER[]) AS lane",
            [names, numbers],
        )

    def _admit(self) -> None:
        """Decide of each event in the order of its partition."""
        self.sql.execute(
            f"""
            CREATE TABLE judged AS
            SELECT device, value, t, place,
                   coalesce(t < newest - {DISORDER_MS + LATENESS_MS}, false) AS beyond,
                   coalesce(t < newest - {DISORDER_MS}, false) AS late
            FROM (
                SELECT events.*, max(t) OVER (
                    PARTITION BY lane ORDER BY events.rowid
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS newest
                FROM events JOIN lanes USING (device)
            )
            """
        )
        self.sql.execute("DROP TABLE events")

    def _aggregate(self, job: Job) -> None:
        self._windows("expected", "NOT beyond", job)
        # Windows that hold events which came too late: an engine may have taken them.
        self._windows("untimely", "beyond", job)
        self._windows("punctual", "NOT late", job)
        self.sql.execute(
            "CREATE TABLE first AS SELECT level, key, min(start) AS start FROM punctual "
            "WHERE window_s = 10 GROUP BY ALL"
        )
        self.sql.execute("DROP TABLE punctual")

    def _windows(self, table: str, condition: str, job: Job) -> None:
        merged = "sum(n)::BIGINT AS n, sum(total) AS total, min(low) AS low, max(high) AS high"
        self.sql.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE panes AS
            SELECT device, place, t // {PANE_MS} * {PANE_MS} AS start, count(*) AS n,
                   sum(value::DECIMAL(18, 6)) AS total, min(value) AS low, max(value) AS high
            FROM judged WHERE {condition} GROUP BY ALL
            """
        )
        parts = ["SELECT 'device' AS level, device AS key, start, n, total, low, high FROM panes"]
        for level, digits in LEVELS.items():
            key = f"left(place, {digits}) AS key"
            parts.append(
                f"SELECT '{level}' AS level, {key}, start, {merged} FROM panes GROUP BY ALL"
            )
        self.sql.execute(
            "CREATE OR REPLACE TEMP TABLE tumbling AS " + " UNION ALL BY NAME ".join(parts)
        )
        hopping = "true" if job.device_hops else "level <> 'device'"
        self.sql.execute(
            f"""
            CREATE TABLE {table} AS
            SELECT level, 10 AS window_s, key, start, n, total::DOUBLE AS total, low, high
            FROM tumbling
            UNION ALL
            SELECT level, 60, key, start - pane * {PANE_MS} AS start,
                   sum(n)::BIGINT, sum(total)::DOUBLE, min(low), max(high)
            FROM tumbling, range({HOP_PANES}) AS panes(pane)
            WHERE {hopping} GROUP BY ALL
            """
        )

    def _count(self) -> dict[str, int]:
        """How many well-formed events there are, late ones, those beyond, and windows."""
        row = self.sql.execute(
            "SELECT count(*), count(*) FILTER (late AND NOT beyond), count(*) FILTER (beyond), "
            "(SELECT count(*) FROM expected) FROM judged"
        ).fetchone()
        assert row is not None
        self.sql.execute("DROP TABLE judged")
        return dict(zip(("well_formed", "late", "beyond", "windows"), row, strict=True))

    def rows(self, table: str = "expected") -> list[tuple[Any, ...]]:
        """Every window, sorted."""
        return self.sql.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()

    def check(self, results: Sequence[Path], end: int, query: str = "") -> dict[str, int]:
        """Compare results with what the job comes to.

        Parameters
        ----------
        results
            CSV files, in the order in which rows were sent.
        end
            Windows that end later hold the records that end the log, int64 ms.
        query
            Makes ``found`` with a column ``warming`` out of the table ``sent`` where results have
            another form.

        Returns
        -------
        dict
            ``windows`` expected; of them ``equal``, ``warming`` (told to be without a value because
            they begin before the key's first punctual event), ``different`` and ``missing``;
            ``extra`` ones; ``repeated`` rows; ``untimely``: of the different and extra ones those
            that events beyond the lateness belong to; ``rows``, all that were sent.
        """
        if self.database is not None:
            self.sql = duckdb.connect(str(self.database))
        self.sql.execute("DROP TABLE IF EXISTS sent; DROP TABLE IF EXISTS found")
        self._load(results, COLUMNS if not query else OWN_COLUMNS)
        self.sql.execute(
            query
            or f"""
            CREATE TABLE found AS SELECT {_NAME}, false AS warming, count(*) AS times,
                   last(n ORDER BY sent.rowid) AS n, last(total ORDER BY sent.rowid) AS total,
                   last(low ORDER BY sent.rowid) AS low, last(high ORDER BY sent.rowid) AS high
            FROM sent GROUP BY ALL
            """
        )
        self.sql.execute("DELETE FROM found WHERE start + window_s * 1000 > ?", [end])
        row = self.sql.execute(
            f"""
            WITH joined AS (
                SELECT e.n IS NULL AS extra, f.n IS NULL AS missing,
                       coalesce(f.warming AND e.n = f.n AND s.start > e.start, false) AS warming,
                       coalesce(NOT f.warming AND e.n = f.n AND e.low = f.low AND e.high = f.high
                           AND abs(e.total - f.total) <= 1e-9 * abs(e.total), false) AS equal,
                       u.n IS NOT NULL AS untimely, f.times
                FROM expected e FULL JOIN found f USING ({_NAME})
                LEFT JOIN untimely u USING ({_NAME}) LEFT JOIN first s USING (level, key)
            )
            SELECT count(*) FILTER (NOT extra), count(*) FILTER (equal), count(*) FILTER (warming),
                   count(*) FILTER (NOT (extra OR missing OR warming OR equal)),
                   count(*) FILTER (missing), count(*) FILTER (extra),
                   coalesce(sum(times - 1), 0)::BIGINT,
                   count(*) FILTER (untimely AND NOT (missing OR warming OR equal)),
                   (SELECT count(*) FROM sent)
            FROM joined
            """
        ).fetchone()
        assert row is not None
        names = [
            "windows",
            "equal",
            "warming",
            "different",
            "missing",
            "extra",
            "repeated",
            "untimely",
            "rows",
        ]
        return dict(zip(names, row, strict=True))

    def _load(self, results: Sequence[Path], columns: dict[str, str]) -> None:
        self.sql.execute(
            f"CREATE TABLE sent AS SELECT * FROM read_csv(?, columns = {columns}, header = false, "
            "auto_detect = false, delim = ',', nullstr = '')",
            [[str(path) for path in results]],
        )


OWN_COLUMNS = {
    "sign": "VARCHAR",
    "level": "VARCHAR",
    "key": "VARCHAR",
    "start": "BIGINT",
    "n": "BIGINT",
    "value": "DOUBLE",
    "rev": "INTEGER",
    "warming": "BOOLEAN",
}
"""Of rows that hold one function of one window each, as this engine's results do."""

OWN_QUERY = """
    CREATE TABLE found AS
    WITH newest AS (
        SELECT sign, level, key, start, arg_max(n, rev) AS n, arg_max(value, rev) AS value,
               arg_max(warming, rev) AS warming, count(DISTINCT rev) = count(*) AS once
        FROM sent GROUP BY ALL
    )
    SELECT level, split_part(sign, '_', 2)::INTEGER AS window_s, key, start,
           bool_or(warming) AS warming,
           1 + count(*) FILTER (NOT once) AS times, max(n) AS n,
           max(value) FILTER (sign LIKE 'bench.sum%') AS total,
           max(value) FILTER (sign LIKE 'bench.min%') AS low,
           max(value) FILTER (sign LIKE 'bench.max%') AS high,
           max(value) FILTER (sign LIKE 'bench.count%') AS counted
    FROM newest GROUP BY ALL HAVING max(n) > 0 AND (bool_or(warming) OR counted = max(n))
"""
"""Puts together the four signs of each window, in their last revision."""


def describe(check: dict[str, int]) -> str:
    """The result of a check in a few words."""
    wrong = {name: check[name] for name in ("different", "missing", "extra", "repeated")}
    said = [f"{count:,} {name}" for name, count in wrong.items() if count]
    text = f"equal ({check['equal']:,} windows)" if not said else ", ".join(said)
    if said:
        text += f" of {check['windows']:,}"
    if check["untimely"]:
        text += f"; {check['untimely']:,} hold events later than 35 s"
    if check["warming"]:
        text += f"; {check['warming']:,} begin before their key: null by design"
    for name in ("malformed", "late"):
        if off := check.get(f"{name}_miscounted", 0):
            text += f"; counts {abs(off):,} {name} {'more' if off > 0 else 'fewer'} than there are"
    return text
