"""Named aggregates: what a sign takes from an event, and what it makes of an accumulator.

Formulas come from these tables only; nothing in a configuration is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from agents.conditions import meets
from ext.cells import NUMBERS
from schemas.signs import Aggregate, Folded, HistorySign, Repeats, SampledSign
from schemas.standards.noise import energy, equivalent_level
from schemas.tables import TPI
from schemas.words import Condition
from streams.aggregates import (
    DISTINCT,
    FACTS,
    MOMENTS,
    QUANTILES,
    SLOPES,
    Accumulator,
    Family,
)
from streams.aggregates.distinct import member
from streams.heads import Floats, Ints, heads_of
from streams.timeline import SECOND_MS

STEPS = 1_000_000
"""Steps in one unit: values enter as int64 multiples of 10⁻⁶ (rule R3)."""

LARGEST = 1e12
"""Largest quotient of two fields that is taken; beyond it the fields do not mean what they say."""

SLOWEST_KMH = 1.0
"""A slower segment is taken at this speed, so that its travel times fit 64 bits (proposal)."""

Measure = Callable[[Any], tuple[Any, int] | None]
Value = Callable[[Accumulator, int], float | None]
Values = Callable[[Any, Ints, int], Floats]
"""Of the cells with these indices, which have rows, over a window of so many ms; NaN for none."""


def family_of(aggregate: Aggregate) -> Family:
    """The accumulator an aggregate needs."""
    named: dict[str, Family] = {"quantile": QUANTILES, "distinct": DISTINCT, "slope": SLOPES}
    return named.get(aggregate.function, MOMENTS)


def measure_of(aggregate: Aggregate) -> Measure:
    """What an aggregate takes from an event: ``(value, second value)`` in steps.

    None where the event lacks a field: the sign does not take that event.
    """
    function, of, over = aggregate.function, aggregate.of or "value", aggregate.over
    if function in ("count", "online"):
        return lambda e: (0, 0)
    if function == "leq":
        return lambda e: (energy(getattr(e, of)), 0)
    if function == "distinct":
        if aggregate.where is not None:
            return _distinct_where(of, aggregate.where)
        return lambda e: None if (x := getattr(e, of)) is None else (member(str(x)), 0)
    if function == "tpi":
        return _travel_times
    if function in ("share", "hits"):
        return _hit(aggregate.where or {}, aggregate.among or {})
    if function == "ratio":
        assert over is not None
        return lambda e: _pair(getattr(e, of), getattr(e, over))
    if over is not None:
        return lambda e: _quotient(getattr(e, of), getattr(e, over))
    if of == "value":
        return of_value
    return lambda e: None if (x := getattr(e, of)) is None else (round(x * STEPS), 0)


def of_value(e: Any) -> tuple[int, int] | None:
    """The value of a reading; the rows of windows have the stated extremes beside it."""
    return round(e.value * STEPS), 0


def _sampled(pick: Callable[[Iterable[int]], int]) -> Measure:
    """The extreme of a device's last reading: a device has one value at a time."""
    return lambda e: (pick([round(e.value * STEPS), *extremes_of(e)]), 0)


_SAMPLED: dict[str, Measure] = {
    "max": _sampled(max),
    "min": _sampled(min),
    "peak": _sampled(lambda values: max(values, key=abs)),
}


def extremes_of(event: Any) -> tuple[int, ...]:
    """The extremes that a device states of its samples, in steps: its value is their mean."""
    stat = getattr(event, "stat", None)
    stated = () if stat is None else (stat.min, stat.max)
    return tuple(round(x * STEPS) for x in stated if x is not None)


def _hit(where: Mapping[str, Condition], among: Mapping[str, Condition]) -> Measure:
    """Whether an event counts, and whether it is one of those that could; each 1 or 0."""
    fields = tuple({**where, **among})

    def measure(e: Any) -> tuple[int, int] | None:
        if any(getattr(e, field) is None for field in fields):
            return None
        could = meets(among, e)
        return int(could and meets(where, e)), int(could)

    return measure


def _distinct_where(of: str, where: Mapping[str, Condition]) -> Measure:
    def measure(e: Any) -> tuple[int, int] | None:
        x = getattr(e, of)
        return (member(str(x)), 0) if x is not None and meets(where, e) else None

    return measure


def _pair(of: float | None, over: float | None) -> tuple[int, int] | None:
    return None if of is None or over is None else (round(of * STEPS), round(over * STEPS))


def _quotient(of: float | None, over: float | None) -> tuple[int, int] | None:
    """One by the other, of each event; none over zero, or beyond what 64 bits hold in steps."""
    if of is None or not over or not abs(of / over) <= LARGEST:
        return None
    return round(of / over * STEPS), 0


def repeats_of(repeats: Repeats) -> Measure:
    """What makes an event the same as another: a hash of each list of fields that it has."""

    def identities(e: Any) -> tuple[Any, int] | None:
        found = set()
        for fields in repeats.of:
            # A citizen is known by the keys of several months: any of them makes a repeat.
            citizens = (e.citizen, *e.citizens_before) if "citizen" in fields else (None,)
            for citizen in citizens:
                values = [citizen if f == "citizen" else getattr(e, f) for f in fields]
                if None not in values:
                    found.add(member("\x1f".join([*fields, *map(str, values)])))
        return tuple(sorted(found)), 0

    return identities


def _travel_times(e: Any) -> tuple[int, int] | None:
    """Travel time and free-flow time of a segment in seconds."""
    if e.link_len_m is None or e.speed_kmh is None or e.free_flow_kmh is None:
        return None
    metres_per_kmh = e.link_len_m * 3.6
    actual, free = max(e.speed_kmh, SLOWEST_KMH), max(e.free_flow_kmh, SLOWEST_KMH)
    return _pair(metres_per_kmh / actual, metres_per_kmh / free)


class Reading(NamedTuple):
    """How a sign is read from events, and told from accumulators."""

    family: Family
    measure: Measure
    values: Values


def reading_of(sign: Folded) -> Reading:
    """The tables' answer for a sign."""
    if isinstance(sign, HistorySign):
        return Reading(FACTS, repeats_of(sign.repeats), one_by_one(share_of_repeats))
    aggregate = sign.aggregate
    measure = measure_of(aggregate)
    if measure is of_value and isinstance(sign, SampledSign):
        measure = _SAMPLED.get(aggregate.function, measure)
    return Reading(family_of(aggregate), measure, values_of(aggregate))


def values_of(aggregate: Aggregate) -> Values:
    """What an aggregate says of many cells at once: of each what `value_of` says of its state."""
    exactly = one_by_one(value_of(aggregate))
    fast = _fast(aggregate)
    if fast is None:
        return exactly

    def values(cells: Any, index: Ints, ms: int) -> Floats:
        found = fast(cells, index, ms)
        left = np.flatnonzero(np.isnan(found))
        if len(left):
            found[left] = exactly(cells, index[left], ms)
        return found

    return values


def one_by_one(value: Value) -> Values:
    """The same of each state."""

    def values(cells: Any, index: Ints, ms: int) -> Floats:
        found = (value(cells.state(i), ms) for i in index.tolist())
        return np.array([np.nan if x is None else x for x in found], np.float64)

    return values


def _fast(aggregate: Aggregate) -> Values | None:
    """The same arithmetic on columns, NaN where float64 does not hold the sums exactly."""
    function, scale, q = aggregate.function, aggregate.scale, aggregate.q
    if function == "count":
        return lambda cells, index, ms: np.multiply(heads_of(cells).n[index], scale)
    if function == "quantile":
        assert q is not None

        def quantiles(cells: Any, index: Ints, ms: int) -> Floats:
            found = np.empty(len(index))
            cells.quantiles(q, index, found)
            return found * (scale / STEPS)

        return quantiles
    if function == "mean":
        return lambda cells, index, ms: (
            _numbers(cells, "total", index) / _exact(heads_of(cells).n[index] * STEPS) * scale
        )
    if function == "rate":
        return lambda cells, index, ms: (
            _exact(_numbers(cells, "total", index) * SECOND_MS) / (ms * STEPS) * scale
        )
    if function == "hits":
        return lambda cells, index, ms: _numbers(cells, "total", index) * scale
    if function == "peak":
        return lambda cells, index, ms: _peaks(cells, index) / STEPS * scale
    number = {"sum": "total", "min": "minimum", "max": "maximum"}.get(function)
    if number is None:
        return None

    def values(cells: Any, index: Ints, ms: int) -> Floats:
        return _numbers(cells, number, index) / STEPS * scale

    return values


def _numbers(cells: Any, number: str, index: Ints) -> Floats:
    found = np.empty(len(index))
    cells.numbers(NUMBERS[number], index, found)
    return found


def _peaks(cells: Any, index: Ints) -> Floats:
    """The larger of the magnitudes of both ends; zero is without a sign."""
    ends = (_numbers(cells, name, index) for name in ("minimum", "maximum"))
    return np.maximum(*map(np.abs, ends))


def _exact(products: Any) -> Floats:
    """NaN where a product may have been rounded."""
    return np.where(np.abs(products) <= 2.0**53, products, np.nan)


def value_of(aggregate: Aggregate) -> Value:
    """What an aggregate says of an accumulator that holds rows, over a window of so many ms.

    None where the aggregate has no value: a ratio over zero.
    """
    function, scale, q = aggregate.function, aggregate.scale, aggregate.q
    if function == "quantile":
        assert q is not None
        return lambda a, ms: _scaled(QUANTILES.quantile(a, q), scale / STEPS)
    if function == "slope":
        return lambda a, ms: _scaled(SLOPES.slope(a), SECOND_MS / STEPS * scale)
    if function == "online":
        return lambda a, ms: None if a[2] == 0 else a[0] / a[2] * scale
    if function == "distinct":
        return lambda a, ms: DISTINCT.count(a) * scale
    if function in ("ratio", "share"):
        return lambda a, ms: None if a[8] == 0 else a[3] / a[8] * scale
    if function == "tpi":
        return lambda a, ms: None if a[3] == 0 else TPI.at(1 - a[8] / a[3])
    table: dict[str, Value] = {
        "count": lambda a, ms: a[0] * scale,
        "hits": lambda a, ms: a[3] * scale,
        "peak": lambda a, ms: max(abs(a[5]), abs(a[6])) / STEPS * scale,
        "sum": lambda a, ms: a[3] / STEPS * scale,
        "mean": lambda a, ms: a[3] / (a[0] * STEPS) * scale,
        "min": lambda a, ms: a[5] / STEPS * scale,
        "max": lambda a, ms: a[6] / STEPS * scale,
        "last": lambda a, ms: a[7] / STEPS * scale,
        "rate": lambda a, ms: a[3] * SECOND_MS / (ms * STEPS) * scale,
        "leq": lambda a, ms: equivalent_level(a[3], a[0]),
        "variance": lambda a, ms: _variance(a) * scale,
        "stddev": lambda a, ms: sqrt(_variance(a)) * scale,
    }
    return table[function]


def share_of_repeats(a: Accumulator, ms: int) -> float | None:
    """Repeats by happenings, in per cent; the happenings must have been judged."""
    return None if a[0] == 0 else a[4] / a[0] * 100


def _scaled(x: float | None, factor: float) -> float | None:
    return None if x is None else x * factor


def _variance(a: Accumulator) -> float:
    """Population variance; the difference of the sums is exact before it is divided."""
    return float((a[4] * a[0] - a[3] * a[3]) / (a[0] * STEPS) / (a[0] * STEPS))
