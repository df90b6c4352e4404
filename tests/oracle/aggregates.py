"""The arithmetic of aggregates, in SQL: what a sign takes from a row, and what it makes of many.

Numbers enter as whole millionths, energies as whole thousandths of the energy of 0 dB, so that
sums are exact whatever their order.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.signs import EventSign
from tests.oracle.events import holding, needed

_VALUES = {
    "count": "n",
    "sum": "sx / 1e6::DOUBLE",
    "mean": "sx / 1e6::DOUBLE / n",
    "min": "lo / 1e6::DOUBLE",
    "max": "hi / 1e6::DOUBLE",
    "rate": "sx / 1e6::DOUBLE / ((t_end - t_start) / 1000::DOUBLE)",
    "stddev": "sqrt(greatest(n::HUGEINT * sxx - sx::HUGEINT * sx, 0)::DOUBLE) / n / 1e6::DOUBLE",
    "variance": "(n::HUGEINT * sxx - sx::HUGEINT * sx)::DOUBLE / n / n / 1e12::DOUBLE",
    "quantile": "quantile / 1e6::DOUBLE",
    "distinct": "words",
    "ratio": "sx::DOUBLE / nullif(sy, 0)",
    "slope": """(n * stx - st * sx)::DOUBLE / nullif(n * stt - st * st, 0)
        * (1000::DOUBLE / 1e6::DOUBLE)""",
    "leq": "10 * log10(nullif(sx, 0)::DOUBLE / (n * 1000::DOUBLE))",
    "tpi": "tpi(1 - sy::DOUBLE / nullif(sx, 0))",
    "last": "newest / 1e6::DOUBLE",
    "share": "sx::DOUBLE / nullif(sy, 0)",
    "hits": "sx::DOUBLE",
    "peak": "greatest(hi, -lo) / 1e6::DOUBLE",
    "online": "n::DOUBLE / nullif(covered, 0)",
}
EXACT = ("count", "sum", "min", "max", "distinct", "hits", "peak")
"""Functions whose values agree to the bit."""

SKETCHED = 64
"""So many values are kept as they are; more go into buckets of 1 %."""


class Measures(NamedTuple):
    """SQL of what a sign takes from a row: two numbers, a word, and the ms it speaks for."""

    x: str
    y: str
    word: str
    covered: str


def measures(sign: EventSign) -> Measures:
    """What a sign takes from an event."""
    function, over, reads = sign.aggregate.function, sign.aggregate.over, needed(sign)
    x, y, word = "0::BIGINT", "0::BIGINT", "NULL"
    if function == "tpi":
        x = "micro(link_len_m * 3.6::DOUBLE / greatest(speed_kmh, 1))"
        y = "micro(link_len_m * 3.6::DOUBLE / greatest(free_flow_kmh, 1))"
    elif function in ("share", "hits"):
        among = holding(sign.aggregate.among or {})
        x = f"({among} AND {holding(sign.aggregate.where or {})})::BIGINT"
        y = f"{among}::BIGINT"
    elif function == "distinct":
        word = f'"{reads[0]}"'
    elif function == "leq":
        x = f'round_even(pow(10, "{reads[0]}" / 10::DOUBLE) * 1000, 0)::BIGINT'
    elif over is not None and function != "ratio":
        x = f'micro("{reads[0]}" / "{reads[1]}"::DOUBLE)'
    elif reads:
        x = f'micro("{reads[0]}")'
        y = f'micro("{reads[1]}")' if function == "ratio" else y
    covered = "0"
    if sign.topic == "arrivals":
        covered = "period_ms"
    elif sign.topic == "external":
        covered = (
            "CASE WHEN status = 'cancelled' THEN 0 ELSE (greatest(0, t_expires - t) + 2) // 3 END"
        )
    elif sign.topic == "traffic":
        covered = "coalesce(t_end - t, 0)"
    elif sign.topic == "sensor":
        period = "coalesce(period_s, (SELECT m.period_s FROM metrics m WHERE m.code = metric))"
        covered = f"round({period} * 1000)::BIGINT"
    return Measures(x, y, word, covered)


def value_sql(sign: EventSign) -> str:
    """The value of an aggregated row; null where the aggregate has none."""
    value = _VALUES[sign.aggregate.function]
    if sign.empty == "zero":
        value = f"CASE WHEN n = 0 THEN 0 ELSE {value} END"
    # A level of mean energy has no other unit.
    scale = 1.0 if sign.aggregate.function == "leq" else sign.aggregate.scale
    return f"(({value})::DOUBLE * {scale!r}::DOUBLE)"


def aggregated(sign: EventSign, rows: str) -> str:
    """The query that aggregates rows by key and window; ``c`` says how many a row stands for."""
    function = sign.aggregate.function
    quantile = _quantile(sign.aggregate.q) if function == "quantile" else "NULL::DOUBLE"
    words = "0"
    if function == "distinct":
        words = f"""CASE WHEN count(DISTINCT word) > {SKETCHED}
            THEN estimated(list(DISTINCT TRY_CAST(word AS BIGINT)))
            ELSE count(DISTINCT word) END"""
    return f"""
        SELECT key_level, key, t_start, t_end, sum(c)::BIGINT AS n, sum(x) AS sx, sum(y) AS sy,
            sum(x::HUGEINT * x) AS sxx, min(x) AS lo, max(x) AS hi,
            sum(covered)::BIGINT AS covered, {words} AS words, {quantile} AS quantile,
            arg_max(x, (e, x)) AS newest,
            sum((e - t_start)::HUGEINT) AS st, sum((e - t_start)::HUGEINT * (e - t_start)) AS stt,
            sum((e - t_start)::HUGEINT * x) AS stx, arg_max(place, (seen, place)) AS seen_at,
            min(pane) FILTER (NOT on_time) AS earliest_late
        FROM {rows} GROUP BY key_level, key, t_start, t_end"""


def _quantile(q: float | None) -> str:
    """The value at rank q (n - 1): between its neighbours while all are kept, else its bucket's.

    A bucket of DDSketch holds (g^(i-1), g^i] with g = 1.01 / 0.99, and answers 2 g^i / (g + 1),
    which is within 1 % of all of it (Masson, Rim, Lee 2019, section 2).
    """
    at = f"list_sort(list(x))[floor({q} * (count(*) - 1))::BIGINT + 1]"
    return f"""CASE WHEN count(*) > {SKETCHED} THEN bucket_middle({at}::DOUBLE)
        ELSE quantile_cont(x::DOUBLE, {q}) END"""


MACROS = """
    CREATE MACRO micro(x) AS round_even((x) * 1e6::DOUBLE, 0)::BIGINT;
    CREATE MACRO bucket_middle(x) AS CASE WHEN x = 0 THEN 0 ELSE sign(x) * 2
        * pow(1.01 / 0.99::DOUBLE, ceil(ln(abs(x)) / ln(1.01 / 0.99::DOUBLE)))
        / (1.01 / 0.99::DOUBLE + 1) END;
    CREATE MACRO tpi(delay) AS CASE
        WHEN delay <= 0 THEN 0
        WHEN delay <= 0.3 THEN delay / 0.3 * 2
        WHEN delay <= 0.5 THEN 2 + (delay - 0.3) / 0.2 * 2
        WHEN delay <= 0.6 THEN 4 + (delay - 0.5) / 0.1 * 2
        WHEN delay <= 0.7 THEN 6 + (delay - 0.6) / 0.1 * 2
        ELSE 8 + (delay - 0.7) / 0.3 * 2 END"""
