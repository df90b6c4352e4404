"""Signs over the last value of each device at every hop, computed in SQL."""

from __future__ import annotations

import duckdb

from schemas.configuration import Configuration
from schemas.signs import SampledSign, Sign
from tests.oracle.aggregates import measures
from tests.oracle.events import taking
from tests.oracle.expected_keys import AFTER_ALL
from tests.oracle.window_signs import Folding

_THING = {
    "sensor": "device",
    "arrivals": "device",
    "traffic": "source_id",
    "external": "warning_id",
}
_MOVING = "topic, part, divided, thing"
_STANDING = f"{_MOVING}, base_level, base_key, place"
"""Where records arrive, each place has its own last report of a thing; else the thing has one."""


def compute_sampled(
    database: duckdb.DuckDBPyConnection, configuration: Configuration, sign: Sign
) -> None:
    """Add the results of a sampled sign of devices to ``expected``."""
    assert isinstance(sign, SampledSign)
    folding = Folding(database, configuration, sign)
    arrives = sign.topic == "arrivals"
    x, y, _, covered = measures(sign)
    stale = f"3 * {covered}" if sign.period_s is None else str(round(3000 * sign.period_s))
    # A row is seen by hops after its own time that the lane had not passed when it came.
    folding.table(
        "reports",
        f"""SELECT topic, part, pos, e, greatest(e, coalesce(w, e)) AS since, {x} AS x, {y} AS y,
                {stale} AS stale, {_THING[sign.topic]} AS thing, place,
                {folding.based}
            FROM {"(SELECT *, NULL AS w FROM arrivals)" if arrives else "events"}
            WHERE bin = 'accepted' AND {taking(sign)}""",
    )
    _make_states(folding, _STANDING if arrives else _MOVING)
    _make_limits(folding)
    hop = folding.hop
    folding.table(
        "taken",
        f"""WITH hops AS (
                SELECT *, unnest(range((since // {hop} + 1) * {hop},
                    least(until // {hop} * {hop}, last_hop) + 1, {hop})) AS h
                FROM states JOIN last_hops USING (topic, part)),
            sampled AS (
                SELECT *, h - e <= stale AS fresh FROM hops
                WHERE h - e <= greatest({folding.forget}, stale))
            SELECT h - {hop} AS e, h - {hop} AS pane, true AS on_time, place,
                CASE WHEN fresh THEN x END AS x, CASE WHEN fresh THEN y END AS y, NULL AS word,
                1 AS covered, fresh::INTEGER AS c,
                CASE WHEN fresh THEN e ELSE {-AFTER_ALL} END AS seen,
                base_level, base_key, divided
            FROM sampled""",
    )
    folding.compute()


def _make_states(folding: Folding, one: str) -> None:
    """The last report of each device, from when and until when hops see it."""
    newest = f"max({{e: e, pos: pos}}) OVER (PARTITION BY {one} ORDER BY since, pos)"
    folding.table(
        "states",
        f"""WITH following AS (
                SELECT *, ({newest}).pos AS newest FROM (SELECT * FROM reports)
                QUALIFY row_number() OVER (PARTITION BY {one}, since ORDER BY pos DESC) = 1),
            seen AS (
                SELECT f.* REPLACE (r.e AS e, r.x AS x, r.y AS y, r.stale AS stale,
                    r.base_level AS base_level, r.base_key AS base_key, r.place AS place)
                FROM following f JOIN reports r
                ON f.topic = r.topic AND f.part = r.part AND f.newest = r.pos)
            SELECT *, coalesce(lead(since) OVER (PARTITION BY {one} ORDER BY since),
                {AFTER_ALL}) AS until
            FROM seen""",
    )


def _make_limits(folding: Folding) -> None:
    """The last hop that each lane takes.

    Its records bring it to the last hop before its watermark; when the log ends it goes on as
    long as any device is fresh, or reports lie ahead.
    """
    hop = folding.hop
    folding.table(
        "last_hops",
        f"""WITH lanes AS (
                SELECT topic, part, max(moved) AS reached FROM seen GROUP BY topic, part),
            heard AS (
                SELECT topic, part, max(e) + {hop} AS ahead,
                    max(e + stale) FILTER (until = {AFTER_ALL}) AS fresh
                FROM states GROUP BY topic, part)
            SELECT topic, part, greatest(coalesce(lanes.reached, {-AFTER_ALL}) // {hop} * {hop},
                least(mark, greatest(ahead, fresh)) // {hop} * {hop}) AS last_hop
            FROM heard LEFT JOIN lanes USING (topic, part) JOIN closing USING (topic)""",
    )
