"""Signs of the hotline: steps with their due times and flags, histories, open orders.

Each kind makes rows of its own; from there on they are folded as all others are.
"""

from __future__ import annotations

import duckdb

from schemas.configuration import Configuration
from schemas.signs import HistorySign, SampledSign, Sign, WindowSign
from schemas.words import Matched
from tests.oracle.aggregates import measures
from tests.oracle.events import matching, taking
from tests.oracle.window_signs import Folding


def compute_hotline(
    database: duckdb.DuckDBPyConnection, configuration: Configuration, sign: Sign
) -> None:
    """Add the results of a sign of the hotline or of its open orders to ``expected``."""
    if isinstance(sign, HistorySign):
        History(database, configuration, sign).compute()
        return
    assert isinstance(sign, WindowSign | SampledSign)
    folding = Folding(database, configuration, sign)
    _take(folding, _open_orders(folding, sign) if sign.kind == "sampled" else _steps(sign))
    folding.compute()


def _take(folding: Folding, rows: str, more: str = "") -> None:
    """Fill ``taken`` from rows with e, w, place, x, y, word and the field that divides.

    Parameters
    ----------
    more
        Columns that are kept beside.
    """
    pane = f"e // {folding.pane} * {folding.pane}"
    folding.table(
        "taken",
        f"""SELECT e, {pane} AS pane, coalesce({pane} + {folding.pane} > w, true) AS on_time,
                place, x, y, word, 1 AS covered, 1 AS c, e AS seen, {folding.based} {more}
            FROM ({rows})""",
    )


def _steps(sign: WindowSign) -> str:
    """Steps of orders, and calls."""
    x, y, word, _ = measures(sign)
    if sign.aggregate.of == "citizen":
        # Where many are told apart by their hashes alone, the number is an estimate.
        word = "coalesce(hashed::VARCHAR, citizen)"
    return f"""SELECT * REPLACE ({x} AS x), {y} AS y, {word} AS word
        FROM (SELECT *, 0 AS x FROM events) WHERE bin = 'accepted' AND {taking(sign)}"""


def _open_orders(folding: Folding, sign: SampledSign) -> str:
    """The orders that are open at each hop, as they are known there."""
    hop = folding.hop
    wanted = ["true"]
    for field, value in sign.match.items():
        column = "due IS NOT NULL AND due <= hop" if field == "past_due" else f'"{field}"'
        wanted.append(_meets(column, value))
    x = "0::BIGINT"
    if sign.aggregate.of is not None:
        assert sign.aggregate.of == "age_h"
        x = "micro(greatest(0, hop - t_created) / 3600000::DOUBLE)"
    # A lane samples what its watermark passes and, when the log ends, the hop after its last step.
    return f"""
        WITH lanes AS (
            SELECT topic, part, greatest(max(moved) // {hop} * {hop}, {hop}
                + max(e) FILTER (kind = 'order' AND bin IN ('accepted', 'filtered'))
                    // {hop} * {hop}) AS last_hop
            FROM events WHERE family = 'hotline' GROUP BY topic, part),
        hops AS (
            SELECT o.*, unnest(range((since // {hop} + 1) * {hop},
                least(until, last_hop) + 1, {hop})) AS hop
            FROM open_orders o JOIN lanes USING (topic, part))
        SELECT *, hop - 1 AS e, NULL::BIGINT AS w, {x} AS x, 0::BIGINT AS y, NULL AS word
        FROM hops WHERE {" AND ".join(wanted)}"""


class History(Folding):
    """The share of events that repeat an earlier one at the same key.

    What comes late counts at the lane's watermark when it comes.
    """

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        configuration: Configuration,
        sign: HistorySign,
    ) -> None:
        super().__init__(database, configuration, sign)  # type: ignore[arg-type]
        self.repeats = sign.repeats

    def compute(self) -> None:
        same = [" || chr(31) || ".join(map(_column, names)) for names in self.repeats.of]
        identities = ", ".join(f"{expression} AS same_{i}" for i, expression in enumerate(same))
        kept = ["", "topic", "part", "pos", *(f"same_{i}" for i in range(len(same)))]
        _take(
            self,
            f"""SELECT * REPLACE (greatest(e, coalesce(w, e)) AS e), {identities}, 0::BIGINT AS x,
                    1::BIGINT AS y, NULL AS word
                FROM events WHERE bin = 'accepted' AND family = 'hotline'
                    AND {matching(self.sign)}""",
            more=", ".join(kept),
        )
        super().compute()

    def _make_windowed(self) -> None:
        within = round(self.repeats.within_s * 1000)
        repeated = " OR ".join(
            f"""coalesce(same_{i} IS NOT NULL AND e - max(e) OVER (
                PARTITION BY key_level, key, same_{i} ORDER BY e
                RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) <= {within}, false)"""
            for i in range(len(self.repeats.of))
        )
        self.table("judged", f"SELECT * REPLACE (({repeated})::BIGINT AS x) FROM keyed")
        self.table("keyed", "FROM judged")
        super()._make_windowed()


def _column(field: str) -> str:
    return "who" if field == "citizen" else f'"{field}"'


def _meets(condition: str, value: Matched) -> str:
    values = value if isinstance(value, list) else [value]
    literals = ", ".join(str(v).lower() if isinstance(v, bool) else f"'{v}'" for v in values)
    return f"({condition}) IN ({literals})"
