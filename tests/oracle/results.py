"""Statements of results, as the oracle writes them: levels, and corrections that differ."""

from __future__ import annotations

import duckdb

from schemas.signs import Levels

_COMPARE = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_SEVERITY = {"blue": 1, "yellow": 2, "orange": 3, "red": 4}
_RESULT = (
    "vital, key_level, key, place, t_start, t_end, rev, value, n, coverage, level, reason, "
    "child, children"
)


def make_expected(database: duckdb.DuckDBPyConnection) -> None:
    """Make the table ``expected``, empty."""
    database.execute("""
        CREATE TABLE expected (
            vital VARCHAR, key_level VARCHAR, key VARCHAR, place VARCHAR, t_start BIGINT,
            t_end BIGINT, rev INTEGER, value DOUBLE, n BIGINT, coverage DOUBLE, level INTEGER,
            reason VARCHAR, child VARCHAR, children INTEGER)""")


def level_sql(levels: Levels | None) -> str:
    """The level of ``value``, as SQL."""
    if levels is None:
        return "NULL::INTEGER"
    sign = _COMPARE[levels.compare]
    worst_first = reversed(levels.thresholds.given())
    steps = (f"WHEN value {sign} {x!r}::DOUBLE THEN {_SEVERITY[name]}" for name, x in worst_first)
    return f"CASE WHEN value IS NULL THEN NULL {' '.join(steps)} ELSE 0 END"


def add_results(database: duckdb.DuckDBPyConnection, table: str, wanted: str) -> None:
    """Add the first statements, and the corrections that differ from them."""
    database.execute(f"""
        INSERT INTO expected SELECT {_RESULT} FROM {table} new
        WHERE {wanted} AND (rev = 0 OR NOT EXISTS (
            SELECT 1 FROM {table} old
            WHERE old.rev = 0 AND old.key_level = new.key_level AND old.key = new.key
                AND old.t_end = new.t_end AND old.n = new.n AND old.coverage = new.coverage
                AND old.value IS NOT DISTINCT FROM new.value
                AND old.reason IS NOT DISTINCT FROM new.reason
                AND old.level IS NOT DISTINCT FROM new.level
                AND old.place IS NOT DISTINCT FROM new.place
                AND old.child IS NOT DISTINCT FROM new.child
                AND old.children IS NOT DISTINCT FROM new.children))""")
