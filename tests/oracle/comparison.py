"""What the engine said against what the oracle expects: results, models and bins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from schemas.configuration import Configuration
from schemas.signs import EventSign, Sign
from streams.accounting import BINS
from tests.oracle.aggregates import EXACT
from tests.oracle.models import MODEL

_SHOWN = 5
_KEY = ("vital", "key_level", "key", "t_start", "t_end", "rev")
_SAME = ("n", "level", "reason", "unit", "place")
_CLOSE = ("value", "coverage")
_MODEL = tuple(name for name in MODEL if name != "slack")
_SAID = (*_SAME, *_CLOSE, "detail", *_MODEL)

Accounts = Mapping[tuple[str, int], Mapping[str, int]]


def load_results(
    database: duckdb.DuckDBPyConnection,
    configuration: Configuration,
    signs: list[Sign],
    path: Path,
) -> None:
    """Fill ``actual`` from what the command printed, and ``stated`` from what is expected."""
    model = "STRUCT(basis VARCHAR, score DOUBLE, expected DOUBLE, band DOUBLE[])"
    columns = {
        **dict.fromkeys(("vital", "key_level", "key", "place", "unit", "reason"), "VARCHAR"),
        **dict.fromkeys(("t_start", "t_end", "n"), "BIGINT"),
        **dict.fromkeys(("rev", "level"), "INTEGER"),
        **dict.fromkeys(_CLOSE, "DOUBLE"),
        "final": "BOOLEAN",
        "detail": "JSON",
        "model": model,
    }
    described = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    wanted = ", ".join(f"'{sign.id}'" for sign in signs)
    database.execute(f"""
        CREATE TABLE actual AS
        SELECT * EXCLUDE (model, detail), detail::VARCHAR AS detail, model.basis AS basis,
            model.score AS score, model.expected AS expected, model.band[1] AS low,
            model.band[2] AS high
        FROM read_json('{path}', format = 'newline_delimited', columns = {{{described}}})
        WHERE vital IN ({wanted})""")
    units = ", ".join(f"('{sign.id}', '{sign.unit}')" for sign in configuration.signs)
    hidden = [(sign.id, level) for sign in configuration.signs for level in sign.hidden]
    unsent = ", ".join(f"('{name}', '{level}')" for name, level in [("", ""), *hidden])
    # A correction stands beside what was said of the window when it was closed.
    database.execute(f"""
        CREATE TABLE stated AS
        SELECT e.* REPLACE (coalesce(detail, CASE
                WHEN value IS NULL OR children IS NULL THEN NULL
                WHEN child IS NULL THEN json_object('children', children)
                ELSE json_object('child', child, 'children', children) END::VARCHAR) AS detail),
            unit, {", ".join(f"m.{name}" for name in MODEL)}
        FROM expected e JOIN (VALUES {units}) units(vital, unit) USING (vital)
        LEFT JOIN models m USING (vital, key_level, key, t_end)
        WHERE (vital, key_level) NOT IN ({unsent})""")


def different(database: duckdb.DuckDBPyConnection, sign: Sign) -> list[str]:
    """The first results of a sign that differ, one line each, and how many there are."""
    exact = isinstance(sign, EventSign) and sign.aggregate.function in EXACT
    exact = exact and getattr(sign, "rollup", None) != "mean"
    unequal = [f"o.{name} IS DISTINCT FROM e.{name}" for name in (*_SAME, "basis")]
    if exact:
        unequal.append("o.value IS DISTINCT FROM e.value")
    for name in (*(("coverage",) if exact else _CLOSE), "expected", "low", "high"):
        unequal.append(_apart(name, f"1e-9 * greatest(abs(o.{name}), abs(e.{name}), 1e-6)"))
    unequal.append(_apart("score", "o.slack"))
    pairs = ", ".join(f"e.{name}, o.{name}" for name in _SAID)
    differing = database.execute(
        f"""SELECT {", ".join(f"coalesce(e.{name}, o.{name}) AS {name}" for name in _KEY)},
                e.vital IS NOT NULL, o.vital IS NOT NULL, {" OR ".join(unequal)}, {pairs}
            FROM (SELECT * FROM actual WHERE vital = $sign) e
            FULL JOIN (SELECT * FROM stated WHERE vital = $sign) o USING ({", ".join(_KEY)})
            WHERE e.vital IS NULL OR o.vital IS NULL OR {" OR ".join(unequal)}
                OR o.detail IS DISTINCT FROM e.detail
            ORDER BY t_end, rev, key_level, key""",
        {"sign": sign.id},
    ).fetchall()
    lines = [line for row in differing if (line := _told(row))]
    repeated = database.execute(
        f"SELECT {', '.join(_KEY)} FROM actual WHERE vital = ? GROUP BY ALL HAVING count(*) > 1",
        [sign.id],
    ).fetchall()
    found = [f"  {sign.id}: said more than once: {key}" for key in repeated[:_SHOWN]]
    if lines:
        found.append(f"  {sign.id}: {len(lines)} results differ, the first of them:")
    return found + lines[:_SHOWN]


def _apart(name: str, near: str) -> str:
    return f"((o.{name} IS NULL) <> (e.{name} IS NULL) OR abs(o.{name} - e.{name}) > {near})"


def _told(row: tuple[Any, ...]) -> str | None:
    """How a result differs; None where the texts of equal details do."""
    _, level, key, start, end, rev, engine, oracle, unlike, *rest = row
    said = dict(zip(_SAID, zip(rest[::2], rest[1::2], strict=True), strict=True))
    where = f"    {level} {key} [{start}, {end}) rev {rev}: "
    if not (engine and oracle):
        only = "engine alone" if engine else "oracle alone"
        told = (f"{name} {pair[0 if engine else 1]}" for name, pair in said.items())
        return f"{where}{only}: {', '.join(told)}"
    first, second = (None if text is None else msgspec.json.decode(text) for text in said["detail"])
    if _same(first, second):
        del said["detail"]
        if not unlike:
            return None
    told = (f"{name}: engine {e!r}, oracle {o!r}" for name, (e, o) in said.items() if e != o)
    return where + "; ".join(told)


def _same(a: Any, b: Any) -> bool:
    """Whether two plain values are equal, numbers to 1e-9 of their size."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float | int) and isinstance(b, float | int):
        return abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1e-6)
    return bool(a == b)


def different_bins(database: duckdb.DuckDBPyConnection, accounts: Accounts) -> list[str]:
    """The lanes whose accounting differs, one line each."""
    counted = ", ".join(f"count(*) FILTER (bin = '{name}')" for name in BINS)
    rows = database.execute(f"""
        SELECT topic, part, count(*), {counted}, count(*) FILTER (late)
        FROM events GROUP BY topic, part ORDER BY topic, part""").fetchall()
    names = ("read", *BINS, "accepted_late")
    lines = []
    seen = {(row[0], row[1]): dict(zip(names, row[2:], strict=True)) for row in rows}
    for lane in sorted(seen | dict(accounts)):
        oracle = {**seen.get(lane, {}), "remainder": 0}
        engine = dict(accounts.get(lane, {}))
        if engine != oracle:
            lines.append(f"  {lane[0]}/{lane[1]}: bins: engine {engine}, oracle {oracle}")
    return lines
