"""Means of a sign's own past, computed in SQL from the results before."""

from __future__ import annotations

import duckdb

from schemas.configuration import Configuration
from schemas.signs import DerivedSign, Sign
from tests.oracle.results import add_results, level_sql


def compute_past_mean(
    database: duckdb.DuckDBPyConnection, configuration: Configuration, sign: Sign
) -> None:
    """First statements read the input's first ones; corrections its corrected ones, if any."""
    assert isinstance(sign, DerivedSign)
    formula = sign.formula
    assert formula.name == "past_mean"
    lengths = (sign.window.size_s, sign.window.hop_s, formula.step_s)
    size, hop, step = (round((s or 0) * 1000) for s in lengths)
    keys = ", ".join(f"'{key}'" for key in sign.keys)
    name = "key_level, key, t_end"
    database.execute(f"""
        CREATE OR REPLACE TEMP TABLE past_means AS
        WITH given AS (SELECT * FROM expected WHERE vital = '{formula.of}'),
        input AS (
            SELECT * REPLACE (0 AS rev) FROM given WHERE rev = 0
            UNION ALL
            SELECT * REPLACE (1 AS rev) FROM given
            QUALIFY row_number() OVER (PARTITION BY {name} ORDER BY rev DESC) = 1),
        asked AS (
            SELECT {name}, place, rev, unnest(range({formula.windows})) AS back
            FROM input WHERE key_level IN ({keys}) AND (t_end - {size}) % {hop} = 0),
        found AS (
            SELECT asked.*, input.value, input.n, input.reason, input.t_end IS NOT NULL AS there
            FROM asked LEFT JOIN input ON input.key_level = asked.key_level
                AND input.key = asked.key AND input.t_end = asked.t_end - back * {step}
                AND input.rev = asked.rev),
        gathered AS (
            SELECT {name}, place, rev, count(value) AS told, coalesce(sum(n), 0) AS n,
                fsum(value ORDER BY back) / count(value) AS measure,
                bool_or(back = {formula.windows - 1}
                    AND (NOT there OR coalesce(reason = 'warming', false))) AS warming
            FROM found GROUP BY ALL),
        reasoned AS (
            SELECT *, CASE WHEN warming THEN 'warming'
                WHEN told < {formula.at_least} THEN 'uncovered' END AS reason FROM gathered),
        valued AS (SELECT *, CASE WHEN reason IS NULL THEN measure END AS value FROM reasoned)
        SELECT '{sign.id}' AS vital, key_level, key, place, t_end - {size} AS t_start, t_end, rev,
            value, n, told / {formula.windows} AS coverage, {level_sql(sign.levels)} AS level,
            reason, NULL::VARCHAR AS child, NULL::INTEGER AS children
        FROM valued""")
    add_results(database, "past_means", "true")
