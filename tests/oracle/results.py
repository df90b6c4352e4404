"""Statements of results, as the oracle writes them: levels, and corrections that differ."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import duckdb

from schemas.signs import DatedLevels, Levels

_COMPARE = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
SEVERITY = {"blue": 1, "yellow": 2, "orange": 3, "red": 4}
_COLUMNS = {
    "vital": "VARCHAR",
    "key_level": "VARCHAR",
    "key": "VARCHAR",
    "place": "VARCHAR",
    "t_start": "BIGINT",
    "t_end": "BIGINT",
    "rev": "INTEGER",
    "value": "DOUBLE",
    "n": "BIGINT",
    "coverage": "DOUBLE",
    "level": "INTEGER",
    "reason": "VARCHAR",
    "child": "VARCHAR",
    "children": "INTEGER",
    "detail": "VARCHAR",
}
_KEY = ("vital", "key_level", "key", "t_start", "t_end", "rev")


def make_expected(database: duckdb.DuckDBPyConnection) -> None:
    """Make the table ``expected``, empty.

    ``detail`` is the result's, as JSON; of roll-ups ``child`` and ``children`` stand for it.
    """
    columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    database.execute(f"CREATE TABLE expected ({columns})")


ZONE = ZoneInfo("Asia/Shanghai")
"""Of the cities whose signs have levels by day."""


def versions_of(levels: Levels) -> list[tuple[int, int, Levels]]:
    """Levels of a dated table with the first ms of each and the first after it, int64 UTC."""
    if not isinstance(levels, DatedLevels):
        return [(-(1 << 60), 1 << 60, levels)]
    return [
        (
            -(1 << 60) if first is None else _midnight(first),
            1 << 60 if last is None else _midnight(last) + 86_400_000,
            one,
        )
        for first, last, _, one in levels.versions
    ]


def _midnight(day: str) -> int:
    """When a local day begins; the zone has no summer time."""
    return round(datetime.fromisoformat(day).replace(tzinfo=ZONE).timestamp() * 1000)


def level_sql(levels: Levels | None) -> str:
    """The level of ``value`` in the window that ends at ``t_end``, as SQL."""
    if levels is None:
        return "NULL::INTEGER"
    if isinstance(levels, DatedLevels):
        days = (
            f"WHEN t_end - 1 >= {first} AND t_end - 1 < {after} THEN ({level_sql(one)})"
            for first, after, one in versions_of(levels)
        )
        return f"CASE {' '.join(days)} END"
    sign = _COMPARE[levels.compare]
    worst_first = reversed(levels.thresholds.given())
    steps = (f"WHEN value {sign} {x!r}::DOUBLE THEN {SEVERITY[name]}" for name, x in worst_first)
    return f"CASE WHEN value IS NULL THEN NULL {' '.join(steps)} ELSE 0 END"


def mark_told(database: duckdb.DuckDBPyConnection, table: str, marked: str) -> None:
    """Copy a table of statements, with ``told``: whether each of them is made.

    First statements are made where ``closes`` is true, or always without such a column;
    corrections where they differ from the first statement, made or not.
    """
    said = [name for name in _columns_of(database, table) if name in _COLUMNS and name not in _KEY]
    same = " AND ".join(f"old.{name} IS NOT DISTINCT FROM new.{name}" for name in said)
    closes = "new.closes" if "closes" in _columns_of(database, table) else "true"
    database.execute(f"""
        CREATE OR REPLACE TEMP TABLE {marked} AS
        SELECT new.*, CASE WHEN new.rev = 0 THEN {closes}
            ELSE NOT coalesce({same}, false) OR old.key IS NULL END AS told
        FROM {table} new LEFT JOIN (SELECT * FROM {table} WHERE rev = 0) old
        ON new.rev = 1 AND old.key_level = new.key_level AND old.key = new.key
            AND old.t_end = new.t_end""")


def add_results(database: duckdb.DuckDBPyConnection, table: str, wanted: str) -> None:
    """Add the statements of a table that are made to ``expected``.

    Parameters
    ----------
    table
        With columns of ``expected``; one without ``told`` is marked here.
    wanted
        A condition on its rows.
    """
    if "told" not in _columns_of(database, table):
        mark_told(database, table, "marked")
        table = "marked"
    names = ", ".join(name for name in _columns_of(database, table) if name in _COLUMNS)
    database.execute(
        f"INSERT INTO expected BY NAME SELECT {names} FROM {table} WHERE told AND {wanted}"
    )


def _columns_of(database: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [str(row[0]) for row in database.execute(f"DESCRIBE {table}").fetchall()]
