"""Formulas over what other signs said: their own past, their children, their levels."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum
from typing import Any, Protocol

from agents.entries import (
    UNCOVERED,
    WARMING,
    Entry,
    KeyName,
    missing_reason,
    places_above,
)
from agents.levels import COLOURS
from schemas.derivations import (
    ChildrenAtLevel,
    LevelIndex,
    PastMean,
)
from streams.timeline import to_ms

SHOWN = 5
"""Children a result names."""


class Past(Protocol):
    """Reads what a sign said at an end."""

    def __call__(self, sign: str, at: int, /) -> Mapping[KeyName, Entry]: ...


class Formula(Protocol):
    """How a derived sign is made of its inputs."""

    reach_ms: int
    """How far back from its window's end the formula reads, int64 ms."""

    def ends_touched(self, end: int) -> list[int]:
        """Ends of the derived sign that read inputs at ``end``."""
        ...

    def entries(self, end: int, past: Past) -> list[Entry]: ...


class PastMeanFormula:
    """Mean of one sign's values at this end and the ones before it, for each key."""

    def __init__(self, formula: PastMean, keys: tuple[str, ...]) -> None:
        self.formula, self.keys = formula, keys
        self.step_ms = to_ms(formula.step_s)
        self.reach_ms = self.step_ms * (formula.windows - 1)

    def ends_touched(self, end: int) -> list[int]:
        return [end + k * self.step_ms for k in range(self.formula.windows)]

    def entries(self, end: int, past: Past) -> list[Entry]:
        windows, of = self.formula.windows, self.formula.of
        views = [past(of, end - k * self.step_ms) for k in range(windows)]
        return [
            self._entry(now, [view.get(name) for view in views])
            for name, now in sorted(views[0].items())
            if now.level in self.keys
        ]

    def _entry(self, now: Entry, said: list[Entry | None]) -> Entry:
        values = [e.value for e in said if e is not None and e.value is not None]
        coverage = len(values) / self.formula.windows
        n = sum(e.n for e in said if e is not None)
        value, reason = None, None
        oldest = said[-1]
        if oldest is None or oldest.reason == WARMING:
            reason = WARMING
        elif len(values) < self.formula.at_least:
            reason = UNCOVERED
        else:
            value = self._of(values)
        return Entry(now.level, now.key, now.place, value, n, coverage, reason)

    def _of(self, values: list[float]) -> float:
        return fsum(values) / len(values)


class PastMaxFormula(PastMeanFormula):
    """Largest of one sign's values at this end and the ones before it, for each key."""

    def _of(self, values: list[float]) -> float:
        return max(values)


class ChildrenAtLevelFormula:
    """How many children of a place are at a level or above it."""

    reach_ms = 0

    def __init__(self, formula: ChildrenAtLevel, keys: tuple[str, ...]) -> None:
        self.formula, self.keys = formula, keys
        self.least = COLOURS.index(formula.level)

    def ends_touched(self, end: int) -> list[int]:
        return [end]

    def entries(self, end: int, past: Past) -> list[Entry]:
        groups: dict[KeyName, list[Entry]] = {}
        for child in past(self.formula.of, end).values():
            if child.level == self.formula.child:
                for name in places_above(child.level, child.place, self.keys):
                    groups.setdefault(name, []).append(child)
        return [self._entry(name, group) for name, group in sorted(groups.items())]

    def _entry(self, name: KeyName, group: list[Entry]) -> Entry:
        valid = [c for c in group if c.value is not None]
        coverage, (level, place) = len(valid) / len(group), name
        if not valid:
            return Entry(level, place, place, None, 0, coverage, missing_reason(group))
        reached = [c for c in valid if (c.severity or 0) >= self.least]
        worst = sorted(reached, key=lambda c: (-(c.severity or 0), c.key))[:SHOWN]
        detail = {"children": len(group), "reached": {c.key: c.value for c in worst}}
        value = float(len(reached))
        return Entry(level, place, place, value, len(valid), coverage, None, detail=detail)


class LevelIndexFormula:
    """100 minus the weighted mean of the penalties of the inputs' levels."""

    reach_ms = 0

    def __init__(self, formula: LevelIndex, keys: tuple[str, ...]) -> None:
        self.formula, self.keys = formula, keys
        self.penalties = [0.0, *(getattr(formula.penalties, c) for c in COLOURS[1:])]

    def ends_touched(self, end: int) -> list[int]:
        return [end]

    def entries(self, end: int, past: Past) -> list[Entry]:
        views = [(part.sign, part.weight, past(part.sign, end)) for part in self.formula.of]
        names = {n for _, _, view in views for n in view if n[0] in self.keys}
        return [self._entry(name, views) for name in sorted(names)]

    def _entry(
        self, name: KeyName, views: list[tuple[str, float, Mapping[KeyName, Entry]]]
    ) -> Entry:
        said = [(sign, weight, view.get(name)) for sign, weight, view in views]
        least = self.formula.least_coverage
        rated = [(s, w, e) for s, w, e in said if e is not None and e.severity is not None]
        known = [(s, w, e.severity or 0) for s, w, e in rated if e.coverage >= least]
        scant = {s: e.severity for s, _, e in rated if e.coverage < least}
        coverage, (level, key) = len(known) / len(said), name
        detail: dict[str, Any] = {"levels": {sign: severity for sign, _, severity in known}}
        if scant:
            detail["uncovered"] = scant
        if len(known) < self.formula.at_least:
            present = [e for _, _, e in said if e is not None]
            entry = Entry(level, key, key, None, len(known), coverage, missing_reason(present))
            return entry._replace(detail=detail) if scant else entry
        value = self.value_of([(weight, severity) for _, weight, severity in known])
        return Entry(level, key, key, value, len(known), coverage, None, detail=detail)

    def value_of(self, known: list[tuple[float, int]]) -> float:
        """The index of weights and levels."""
        lost = fsum(weight * self.penalties[severity] for weight, severity in known)
        return 100 - lost / fsum(weight for weight, _ in known)
