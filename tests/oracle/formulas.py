"""The formulas of derived signs, written from what `schemas.derivations` says of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum
from typing import Any, ClassVar

import duckdb

from schemas.configuration import Configuration
from schemas.derivations import (
    AirIndex,
    ChildrenAtLevel,
    Combine,
    DomainIndex,
    EarlyWarning,
    LevelIndex,
    OverallIndex,
    PastMax,
    PastMean,
    RatioToBaseline,
    WaterClass,
)
from schemas.signs import DerivedSign, Sign
from tests.oracle.air_index import AirIndexes
from tests.oracle.derived_signs import At, Formula, Name, Statement, compute_formula
from tests.oracle.places import PLACES
from tests.oracle.results import SEVERITY

_NAMED = 5
"""Children that a count names, the worst of them."""


def compute_derived(
    database: duckdb.DuckDBPyConnection, configuration: Configuration, sign: Sign
) -> None:
    """Add the results of a derived sign to ``expected``."""
    assert isinstance(sign, DerivedSign)
    given, keys = sign.formula, sign.keys
    formula: Formula
    if isinstance(given, PastMean | PastMax):
        formula = _PastMeans(given, keys)
    elif isinstance(given, ChildrenAtLevel):
        formula = _Children(given, keys)
    elif isinstance(given, LevelIndex):
        formula = _LevelIndexes(given, keys)
    elif isinstance(given, DomainIndex):
        formula = _DomainIndexes(given, keys)
    elif isinstance(given, OverallIndex):
        formula = _OverallIndexes(given, keys)
    elif isinstance(given, WaterClass | EarlyWarning):
        formula = _Unheard()
    elif isinstance(given, Combine):
        formula = _Joins(given, keys)
    elif isinstance(given, AirIndex):
        formula = AirIndexes(given, sign.window, keys, configuration.city.time_zone)
    else:
        formula = _Ratios(given, keys)
    compute_formula(database, configuration, sign, formula)


class _PastMeans:
    """The mean of a sign's values at an end and at the ends before it."""

    def __init__(self, formula: PastMean | PastMax, keys: Sequence[str]) -> None:
        self.formula, self.keys = formula, keys
        self.step = round(formula.step_s * 1000)

    def reads(self, end: int) -> Iterable[int]:
        return range(end, end - self.formula.windows * self.step, -self.step)

    def says(self, end: int, at: At) -> dict[Name, Statement]:
        views = [at(self.formula.of, back) for back in self.reads(end)]
        return {
            name: self._mean(now.place, [view.get(name) for view in views])
            for name, now in views[0].items()
            if name[0] in self.keys
        }

    def _mean(self, place: str | None, said: list[Statement | None]) -> Statement:
        values = [s.value for s in said if s is not None and s.value is not None]
        coverage, n = len(values) / len(said), sum(s.n for s in said if s is not None)
        if said[-1] is None or said[-1].reason == "warming":
            return Statement(place, None, n, coverage, "warming")
        if len(values) < self.formula.at_least:
            return Statement(place, None, n, coverage, "uncovered")
        largest = isinstance(self.formula, PastMax)
        value = max(values) if largest else fsum(values) / len(values)
        return Statement(place, value, n, coverage, None)


class _Children:
    """How many children of a place are at a level or above it."""

    def __init__(self, formula: ChildrenAtLevel, keys: Sequence[str]) -> None:
        self.formula, self.keys = formula, keys

    def reads(self, end: int) -> Iterable[int]:
        return (end,)

    def says(self, end: int, at: At) -> dict[Name, Statement]:
        below: dict[Name, dict[str, Statement]] = {}
        for (level, key), child in at(self.formula.of, end).items():
            if level == self.formula.child and child.place is not None:
                for above in _places_above(child.place, self.keys, level):
                    below.setdefault(above, {})[key] = child
        return {name: self._count(name[1], group) for name, group in below.items()}

    def _count(self, place: str, group: dict[str, Statement]) -> Statement:
        values = {key: child for key, child in group.items() if child.value is not None}
        coverage = len(values) / len(group)
        if not values:
            return Statement(place, None, 0, 0.0, _why_none(group.values()))
        least = SEVERITY[self.formula.level]
        reached = [(-(c.level or 0), key) for key, c in values.items() if (c.level or 0) >= least]
        shown = {key: values[key].value for _, key in sorted(reached)[:_NAMED]}
        detail = {"children": len(group), "reached": shown}
        return Statement(place, len(reached), len(values), coverage, None, detail=detail)


class _LevelIndexes:
    """100 less the weighted mean of what the inputs' levels cost."""

    def __init__(self, formula: LevelIndex, keys: Sequence[str]) -> None:
        self.formula, self.keys = formula, keys
        self.costs = {0: 0.0}
        self.costs |= {SEVERITY[n]: x for n, x in formula.penalties.model_dump().items()}

    def reads(self, end: int) -> Iterable[int]:
        return (end,)

    def says(self, end: int, at: At) -> dict[Name, Statement]:
        said = [(part.sign, part.weight, at(part.sign, end)) for part in self.formula.of]
        names = {name for *_, view in said for name in view if name[0] in self.keys}
        return {
            name: self._index(name[1], [(s, w, v[name]) for s, w, v in said if name in v])
            for name in names
        }

    def _index(self, place: str, said: list[tuple[str, float, Statement]]) -> Statement:
        enough = self.formula.least_coverage
        known = [
            (sign, weight, s.level)
            for sign, weight, s in said
            if s.level is not None and s.coverage >= enough
        ]
        scant = {s: x.level for s, _, x in said if x.level is not None and x.coverage < enough}
        more = {"uncovered": scant} if scant else {}
        coverage = len(known) / len(self.formula.of)
        if len(known) < self.formula.at_least:
            why = _why_none(s for *_, s in said)
            detail = {"levels": {s: level for s, _, level in known}, **more} if more else None
            return Statement(place, None, len(known), coverage, why, detail=detail)
        value = self._left([(weight, self.costs[level]) for _, weight, level in known])
        detail = {"levels": {sign: level for sign, _, level in known}, **more}
        return Statement(place, value, len(known), coverage, None, detail=detail)

    def _left(self, costs: list[tuple[float, float]]) -> float:
        return 100 - fsum(weight * cost for weight, cost in costs) / fsum(w for w, _ in costs)


class _LevelSums(_LevelIndexes):
    """100 less the sum of the weighted costs, and never below 0."""

    def _left(self, costs: list[tuple[float, float]]) -> float:
        return max(0.0, 100 - fsum(weight * cost for weight, cost in costs))


class _DomainIndexes:
    """Such a sum of each domain, under its own keys."""

    def __init__(self, formula: DomainIndex, keys: Sequence[str]) -> None:
        levels = [key.removeprefix("domain*") for key in keys]
        self.of = {
            each.domain: _LevelSums(
                LevelIndex(
                    name="level_index",
                    of=each.of,
                    penalties=formula.penalties,
                    at_least=1,
                    least_coverage=formula.least_coverage,
                ),
                levels,
            )
            for each in formula.domains
        }

    def reads(self, end: int) -> Iterable[int]:
        return (end,)

    def says(self, end: int, at: At) -> dict[Name, Statement]:
        return {
            (f"domain*{level}", f"{domain}*{key}"): said
            for domain, index in self.of.items()
            for (level, key), said in index.says(end, at).items()
        }


class _OverallIndexes:
    """The domains' weighted mean at each place; at most the cap while a critical one has a red."""

    def __init__(self, formula: OverallIndex, keys: Sequence[str]) -> None:
        self.formula, self.keys = formula, keys
        self.weights = {each.domain: each.weight for each in formula.domains}

    def reads(self, end: int) -> Iterable[int]:
        return (end,)

    def says(self, end: int, at: At) -> dict[Name, Statement]:
        indices = at(self.formula.of, end)
        places = {
            (level.removeprefix("domain*"), key.split("*")[1])
            for level, key in indices
            if level.removeprefix("domain*") in self.keys and key.split("*")[0] in self.weights
        }
        return {
            (level, place): self._overall(
                place,
                {
                    domain: indices[f"domain*{level}", f"{domain}*{place}"]
                    for domain in sorted(self.weights)
                    if (f"domain*{level}", f"{domain}*{place}") in indices
                },
            )
            for level, place in places
        }

    def _overall(self, place: str, said: dict[str, Statement]) -> Statement:
        known = {d: s.value for d, s in said.items() if s.value is not None}
        lowered, reds = {}, []
        for domain, statement in said.items():
            levels = (statement.detail or {}).get("levels", {})
            scant = (statement.detail or {}).get("uncovered", {})
            lowered |= {sign: level for sign, level in levels.items() if level > 0}
            if domain in self.formula.critical:
                reds += [sign for sign, level in [*levels.items(), *scant.items()] if level == 4]
        detail = {"domains": known, "levels": lowered, "capped_by": sorted(reds)}
        coverage = len(known) / len(self.weights)
        if len(known) < self.formula.at_least:
            why = _why_none(said.values())
            return Statement(place, None, len(known), coverage, why, detail=detail)
        weighed = fsum(self.weights[d] * v for d, v in known.items())
        value = weighed / fsum(self.weights[d] for d in known)
        if reds and value > self.formula.cap:
            value = self.formula.cap
        return Statement(place, value, len(known), coverage, None, detail=detail)


class _Joins:
    """Several signs at one key; of these signs there must be enough."""

    _HOW: ClassVar = {"max": max, "difference": lambda values: values[0] - values[1]}

    def __init__(self, formula: Combine, keys: Sequence[str]) -> None:
        self.formula, self.keys = formula, keys

    def reads(self, end: int) -> Iterable[int]:
        return (end,)

    def says(self, end: int, at: At) -> dict[Name, Statement]:
        views = {sign: at(sign, end) for sign in self.formula.of}
        names = {name for view in views.values() for name in view if name[0] in self.keys}
        return {name: self._join([view.get(name) for view in views.values()]) for name in names}

    def _join(self, said: list[Statement | None]) -> Statement:
        known = [s for s in said if s is not None]
        values = [s.value for s in known if s.value is not None]
        place, n, coverage = known[0].place, sum(s.n for s in known), len(values) / len(said)
        inputs = dict(zip(self.formula.of, [s and s.value for s in said], strict=True))
        detail = {"inputs": inputs}
        if len(values) < (self.formula.at_least or len(said)):
            warming = any(s.reason == "warming" for s in known)
            why = "warming" if warming else "incomplete"
            return Statement(place, None, n, coverage, why, detail=detail)
        value = self._HOW[self.formula.how](values) * self.formula.scale
        return Statement(place, value, n, coverage, None, detail=detail)


class _Unheard:
    """Of what no log of these has any event: nothing may be said."""

    def reads(self, end: int) -> Iterable[int]:
        return (end,)

    def says(self, end: int, at: At) -> dict[Name, Statement]:
        raise AssertionError("a log has such events: write its oracle")


class _Ratios:
    """A value by what its model expected; at most 1 where too little was counted."""

    def __init__(self, formula: RatioToBaseline, keys: Sequence[str]) -> None:
        self.formula, self.keys = formula, keys

    def reads(self, end: int) -> Iterable[int]:
        return (end,)

    def says(self, end: int, at: At) -> dict[Name, Statement]:
        second = self.formula.and_of
        others = {} if second is None else at(second, end)
        return {
            name: self._ratio(said, others.get(name))
            for name, said in at(self.formula.of, end).items()
            if name[0] in self.keys
        }

    def _ratio(self, said: Statement, other: Statement | None) -> Statement:
        value, formula = said.value, self.formula
        none = Statement(said.place, None, said.n, said.coverage, said.reason or "warming")
        if value is None or said.expected is None:
            return none
        ratio = value / max(said.expected, formula.floor)
        few = value < formula.at_least or (said.high is not None and value < said.high)
        detail: dict[str, Any] = {"observed": value, "expected": said.expected}
        if formula.and_of is not None:
            count = None if other is None else other.value
            few = few or count is None or count < formula.and_at_least
            detail[formula.and_of] = count
        return none._replace(value=min(ratio, 1.0) if few else ratio, reason=None, detail=detail)


def _why_none(said: Iterable[Statement]) -> str:
    return "warming" if all(s.reason == "warming" for s in said) else "uncovered"


def _places_above(place: str, keys: Sequence[str], level: str) -> list[Name]:
    """The places of these levels that hold a place, coarser than the level."""
    own = PLACES.get(level, len(place) + 1)
    found = []
    for key in keys:
        size = PLACES[key]
        above = place[:size]
        # Streets of a city without districts have 00 for one.
        missing = size == PLACES["district"] and above.endswith("00")
        if size < own and len(place) >= size and not missing:
            found.append((key, above))
    return found
