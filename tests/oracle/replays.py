"""The product's own replay of a log, and its comparison with the oracle."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec

from schemas.configuration import Configuration
from schemas.signs import DerivedSign, EventSign, Sign
from streams.accounting import BINS
from tests.oracle.logs import topics_in
from tests.oracle.oracle import compute, covered_signs

_COMMAND = Path(sys.executable).with_name("cityvitals")
_SHOWN = 5
_EXACT = ("count", "sum", "min", "max", "distinct")
_KEY = ("vital", "key_level", "key", "t_start", "t_end", "rev")
_SAME = ("n", "level", "reason", "unit", "place")
_DETAIL = ("child", "children")  # of a value: a null has no detail
_CLOSE = ("value", "coverage")

Accounts = Mapping[tuple[str, int], Mapping[str, int]]


class Replayed(NamedTuple):
    """What the command printed, and the accounting of each lane that read anything."""

    printed: Path
    accounts: Accounts


def replay(configuration: Configuration, folder: Path) -> Replayed:
    """Replay the logs of a folder with the console command.

    Raises
    ------
    AssertionError
        Where the command fails, with what it said.
    """
    content = folder / "configuration.yaml"
    content.write_text(configuration.model_dump_json(exclude_none=True), encoding="utf-8")
    logs = [str(path) for _, path in topics_in(configuration, folder)]
    command = [str(_COMMAND), "replay", *logs, "--json", "--config", str(content)]
    printed = folder / "replayed.json"
    ours = {name: value for name, value in os.environ.items() if "CITYVITALS" not in name}
    with printed.open("wb") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, env=ours)
    assert done.returncode == 0, done.stderr.decode()
    with printed.open("rb") as lines:
        (last,) = deque(lines, maxlen=1)
    accounts = {}
    for lane, counts in msgspec.json.decode(last)["accounting"].items():
        topic, _, partition = lane.rpartition("/")
        if counts["read"]:
            accounts[topic, int(partition)] = counts
    return Replayed(printed, accounts)


def check(configuration: Configuration, folder: Path) -> tuple[duckdb.DuckDBPyConnection, int]:
    """Replay the logs of a folder and compare every result and every bin with the oracle.

    Returns
    -------
    tuple
        The oracle's database, in which ``expected`` and ``actual`` stand, and how many results
        were compared.

    Raises
    ------
    AssertionError
        With the first differences of each sign, and the lanes whose bins differ.
    """
    replayed = replay(configuration, folder)
    database = compute(configuration, folder)
    _load_results(database, configuration, replayed.printed)
    faults = [
        *_different_bins(database, replayed.accounts),
        *(line for sign in covered_signs(configuration) for line in _different(database, sign)),
    ]
    if faults:
        raise AssertionError("\n".join(["engine and oracle disagree:", *faults]))
    (compared,) = database.execute("SELECT count(*) FROM actual").fetchone() or (0,)
    return database, compared


def _load_results(
    database: duckdb.DuckDBPyConnection, configuration: Configuration, path: Path
) -> None:
    columns = {
        **dict.fromkeys(("vital", "key_level", "key", "place", "unit", "reason"), "VARCHAR"),
        **dict.fromkeys(("t_start", "t_end", "n"), "BIGINT"),
        **dict.fromkeys(("rev", "level"), "INTEGER"),
        **dict.fromkeys(_CLOSE, "DOUBLE"),
        "final": "BOOLEAN",
        "detail": "STRUCT(child VARCHAR, children INTEGER)",
    }
    described = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    covered = ", ".join(f"'{sign.id}'" for sign in covered_signs(configuration))
    database.execute(f"""
        CREATE TABLE actual AS
        SELECT * EXCLUDE (detail), detail.child AS child, detail.children AS children
        FROM read_json('{path}', format = 'newline_delimited', columns = {{{described}}})
        WHERE vital IN ({covered})""")
    units = ", ".join(f"('{sign.id}', '{sign.unit}')" for sign in configuration.signs)
    database.execute(f"""
        CREATE TABLE stated AS
        SELECT * FROM expected JOIN (VALUES {units}) units(vital, unit) USING (vital)""")


def _different(database: duckdb.DuckDBPyConnection, sign: Sign) -> list[str]:
    """The first results of a sign that differ, one line each, and how many there are."""
    exact = isinstance(sign, EventSign) and sign.aggregate.function in _EXACT
    exact = exact and getattr(sign, "rollup", None) != "mean" and not isinstance(sign, DerivedSign)
    unequal = [f"o.{name} IS DISTINCT FROM e.{name}" for name in _SAME]
    if exact:
        unequal.append("o.value IS DISTINCT FROM e.value")
    for name in ("coverage",) if exact else _CLOSE:
        near = f"1e-9 * greatest(abs(o.{name}), abs(e.{name}), 1e-6)"
        unequal.append(
            f"(o.{name} IS NULL) <> (e.{name} IS NULL) OR abs(o.{name} - e.{name}) > {near}"
        )
    unequal += [f"o.value IS NOT NULL AND o.{x} IS DISTINCT FROM e.{x}" for x in _DETAIL]
    said = [*_SAME, *_CLOSE, *_DETAIL]
    differing = database.execute(
        f"""SELECT {", ".join(f"coalesce(e.{name}, o.{name}) AS {name}" for name in _KEY)},
                e.vital IS NOT NULL, o.vital IS NOT NULL,
                {", ".join(f"e.{name}, o.{name}" for name in said)}, count(*) OVER () AS differing
            FROM (SELECT * FROM actual WHERE vital = $sign) e
            FULL JOIN (SELECT * FROM stated WHERE vital = $sign) o USING ({", ".join(_KEY)})
            WHERE e.vital IS NULL OR o.vital IS NULL OR {" OR ".join(unequal)}
            ORDER BY t_end, rev, key_level, key LIMIT {_SHOWN}""",
        {"sign": sign.id},
    ).fetchall()
    repeated = database.execute(
        f"SELECT {', '.join(_KEY)} FROM actual WHERE vital = ? GROUP BY ALL HAVING count(*) > 1",
        [sign.id],
    ).fetchall()
    lines = [f"  {sign.id}: said more than once: {key}" for key in repeated[:_SHOWN]]
    if differing:
        lines.append(f"  {sign.id}: {differing[0][-1]} results differ, the first of them:")
    for row in differing:
        _, level, key, start, end, rev, engine, oracle = row[:8]
        where = f"{level} {key} [{start}, {end}) rev {rev}"
        pairs = dict(zip(said, zip(row[8:-1:2], row[9:-1:2], strict=True), strict=True))
        if engine and oracle:
            told = "; ".join(
                f"{n}: engine {e!r}, oracle {o!r}" for n, (e, o) in pairs.items() if e != o
            )
        else:
            only = "engine alone" if engine else "oracle alone"
            told = f"{only}: " + ", ".join(
                f"{n} {e if engine else o}" for n, (e, o) in pairs.items()
            )
        lines.append(f"    {where}: {told}")
    return lines


def _different_bins(database: duckdb.DuckDBPyConnection, accounts: Accounts) -> list[str]:
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
