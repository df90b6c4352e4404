"""Indices over domains: of each domain by its signs' levels, and of a place by its domains."""

from __future__ import annotations

from math import fsum

from agents.entries import Entry, KeyName, missing_reason
from agents.formulas import LevelIndexFormula, Past
from agents.levels import COLOURS
from schemas.derivations import DomainIndex, DomainSigns, LevelIndex, OverallIndex
from schemas.words import BY, split_level

RED = COLOURS.index("red")


class DomainIndexFormula:
    """The index of each domain by itself, under its own keys."""

    reach_ms = 0

    def __init__(self, formula: DomainIndex, keys: tuple[str, ...]) -> None:
        levels = tuple(split_level(key)[1] for key in keys)
        self._of = [
            (each.domain, _SumOfPenalties(_index_of(each, formula), levels))
            for each in formula.domains
        ]

    def ends_touched(self, end: int) -> list[int]:
        return [end]

    def entries(self, end: int, past: Past) -> list[Entry]:
        found = [
            entry._replace(level=f"domain{BY}{entry.level}", key=f"{domain}{BY}{entry.key}")
            for domain, index in self._of
            for entry in index.entries(end, past)
        ]
        return sorted(found, key=lambda entry: entry.name)


def _index_of(domain: DomainSigns, formula: DomainIndex) -> LevelIndex:
    return LevelIndex(
        name="level_index",
        of=domain.of,
        penalties=formula.penalties,
        at_least=1,
        least_coverage=formula.least_coverage,
    )


class _SumOfPenalties(LevelIndexFormula):
    """100 less what the levels take from it, 0 at the least: one red sign is not outweighed."""

    def value_of(self, known: list[tuple[float, int]]) -> float:
        return max(0.0, 100 - fsum(weight * self.penalties[level] for weight, level in known))


class OverallIndexFormula:
    """The weighted mean of the domains' indices, capped while a critical domain has a red sign."""

    reach_ms = 0

    def __init__(self, formula: OverallIndex, keys: tuple[str, ...]) -> None:
        self.formula, self.keys = formula, keys
        self._weights = {each.domain: each.weight for each in formula.domains}

    def ends_touched(self, end: int) -> list[int]:
        return [end]

    def entries(self, end: int, past: Past) -> list[Entry]:
        places: dict[KeyName, dict[str, Entry]] = {}
        for entry in past(self.formula.of, end).values():
            domain, level = entry.key.partition(BY)[0], split_level(entry.level)[1]
            if level in self.keys and domain in self._weights:
                places.setdefault((level, entry.place), {})[domain] = entry
        return [self._entry(name, said) for name, said in sorted(places.items())]

    def _entry(self, name: KeyName, said: dict[str, Entry]) -> Entry:
        level, place = name
        values = {d: e.value for d, e in sorted(said.items()) if e.value is not None}
        n, coverage = len(values), len(values) / len(self._weights)
        lowered, red = {}, []
        for domain, entry in sorted(said.items()):
            found = entry.detail or {}
            lowered.update({s: at for s, at in found.get("levels", {}).items() if at})
            if domain in self.formula.critical:
                rated = {**found.get("levels", {}), **found.get("uncovered", {})}
                red += [sign for sign, at in rated.items() if at == RED]
        detail = {"domains": values, "levels": lowered, "capped_by": sorted(red)}
        if n < self.formula.at_least:
            reason = missing_reason(list(said.values()))
            return Entry(level, place, place, None, n, coverage, reason, detail=detail)
        parts = (self._weights[domain] * value for domain, value in values.items())
        mean = fsum(parts) / fsum(self._weights[domain] for domain in values)
        value = min(mean, self.formula.cap) if red else mean
        return Entry(level, place, place, value, n, coverage, None, detail=detail)
