"""Scores of several measures at one key: the class of surface water, and NEWS2."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agents.entries import INCOMPLETE, WARMING, Entry, KeyName
from agents.formulas import Past
from schemas.standards.body import score
from schemas.standards.water import class_of
from schemas.vital import Reason

Measured = Mapping[str, float]
"""Values by the names of their measures; those without one are left out."""
Scored = tuple[float, dict[str, int]]
"""What all are together, and what each of them is."""


def water_class(lake: bool) -> Callable[[Measured], Scored]:
    """The class by the worst factor (GB 3838-2002, Table 1)."""

    def classed(values: Measured) -> Scored:
        classes = {name: class_of(name, value, lake=lake) for name, value in values.items()}
        return float(max(classes.values())), classes

    return classed


def news2(values: Measured) -> Scored:
    """The sum of the scores (RCP, National Early Warning Score 2, 2017)."""
    scores = {name: score(name, value) for name, value in values.items()}
    return float(sum(scores.values())), scores


class ScoredFormula:
    """One number made of the measures that have a value, of which there must be enough."""

    reach_ms = 0

    def __init__(
        self,
        of: Mapping[str, str | None],
        keys: tuple[str, ...],
        at_least: int,
        scored: Callable[[Measured], Scored],
    ) -> None:
        self.of = {name: sign for name, sign in of.items() if sign is not None}
        self.keys, self.at_least, self._scored = keys, at_least, scored

    def ends_touched(self, end: int) -> list[int]:
        return [end]

    def entries(self, end: int, past: Past) -> list[Entry]:
        views = {name: past(sign, end) for name, sign in self.of.items()}
        names = {name for view in views.values() for name in view if name[0] in self.keys}
        return [self._entry(name, views) for name in sorted(names)]

    def _entry(self, name: KeyName, views: Mapping[str, Mapping[KeyName, Entry]]) -> Entry:
        said = {measure: view[name] for measure, view in views.items() if name in view}
        values = {measure: e.value for measure, e in said.items() if e.value is not None}
        n, coverage = sum(e.n for e in said.values()), len(values) / len(views)
        place = next(iter(said.values())).place
        if len(values) < self.at_least:
            warming = all(e.reason == WARMING for e in said.values())
            reason: Reason = WARMING if warming else INCOMPLETE
            return Entry(*name, place, None, n, coverage, reason)
        value, each = self._scored(values)
        missing = [measure for measure in views if measure not in values]
        detail = {"of": each, "missing": missing}
        return Entry(*name, place, value, n, coverage, None, detail=detail)
