"""Functions over the values of the keys below a place, computed in SQL."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from schemas.signs import Levels
from tests.oracle.places import PLACES
from tests.oracle.results import level_sql, mark_told

_FUNCTIONS = {
    "max": ("max(value)", "min(key) FILTER (value = most)"),
    "min": ("min(value)", "min(key) FILTER (value = least)"),
    # In a stated order: corrections are compared with first statements to the bit.
    "mean": ("fsum(value ORDER BY key_level, key) / count(value)", "NULL::VARCHAR"),
    "share": ("count(value) FILTER (value <> 0) / count(value)", "NULL::VARCHAR"),
}


def make_parents(
    database: duckdb.DuckDBPyConnection,
    vital: str,
    keys: Sequence[str],
    rollup: str,
    levels: Levels | None,
) -> None:
    """Fill the table ``parents`` from ``entries``; corrected ones over all children at hand."""
    database.execute("""
        CREATE OR REPLACE TEMP TABLE children AS
        SELECT *, 0 AS turn FROM entries WHERE told AND rev = 0
        UNION ALL
        SELECT *, 1 AS turn FROM entries WHERE told
        QUALIFY row_number() OVER (PARTITION BY key_level, key, t_end ORDER BY rev DESC) = 1""")
    value, child = _FUNCTIONS[rollup]
    parts = []
    for level in (key for key in keys if key in PLACES):
        at = f"at_{level}(place)"
        finer = ", ".join(f"'{name}'" for name, size in PLACES.items() if size <= PLACES[level])
        parts.append(f"""
            SELECT '{level}' AS key_level, {at} AS key, t_start, t_end, turn AS rev,
                {value} AS value, sum(n)::BIGINT AS n, count(value) / count(*) AS coverage,
                bool_and(coalesce(reason = 'warming', false)) AS warming,
                bool_or(rev = 1) AS changed, {child} AS child, count(*) AS children
            FROM (
                SELECT *, max(value) OVER each AS most, min(value) OVER each AS least
                FROM children WHERE {at} IS NOT NULL AND key_level NOT IN ({finer})
                WINDOW each AS (PARTITION BY {at}, t_end, turn))
            GROUP BY ALL""")
    database.execute(f"""
        CREATE OR REPLACE TEMP TABLE unmarked AS
        SELECT '{vital}' AS vital, key_level, key, key AS place, t_start, t_end,
            rev, value, n, coverage, {level_sql(levels)} AS level,
            CASE WHEN value IS NULL THEN
                CASE WHEN warming THEN 'warming' ELSE 'uncovered' END END AS reason,
            child, children, true AS closes
        FROM ({" UNION ALL ".join(parts)}) WHERE rev = 0 OR changed""")
    mark_told(database, "unmarked", "parents")
