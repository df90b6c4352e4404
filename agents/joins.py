"""Formulas at one key: signs joined at a window, and what a sign said some windows ago."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import fsum, prod

from agents.entries import INCOMPLETE, UNDEFINED, WARMING, Entry, KeyName
from agents.formulas import Past
from schemas.derivations import Combine, Lag
from schemas.vital import Reason

Function = Callable[[Sequence[float]], float | None]


def _ratio(values: Sequence[float]) -> float | None:
    first, second = values
    return first / second if second else None


def _relative_change(values: Sequence[float]) -> float | None:
    first, second = values
    return (first - second) / second if second else None


def same_or(otherwise: float | None) -> Function:
    """The value that all have, else another one.

    >>> same_or(-1)([60, 60]), same_or(-1)([60, 61]), same_or(None)([60, 61])
    (60, -1, None)
    """
    return lambda values: values[0] if len(set(values)) == 1 else otherwise


FUNCTIONS: dict[str, Function] = {
    "first": lambda values: values[0],
    "sum": fsum,
    "mean": lambda values: fsum(values) / len(values),
    "min": min,
    "max": max,
    "count": lambda values: float(len(values)),
    "product": prod,
    "difference": lambda values: values[0] - values[1],
    "ratio": _ratio,
    "relative_change": _relative_change,
}
"""Over values in their order; None where there is no result."""


class CombineFormula:
    """A function of several signs at each key: all of them must have a value, or enough."""

    reach_ms = 0

    def __init__(self, formula: Combine, keys: tuple[str, ...]) -> None:
        self.formula, self.keys = formula, keys
        same = formula.how == "same"
        self._function = same_or(formula.otherwise) if same else FUNCTIONS[formula.how]

    def ends_touched(self, end: int) -> list[int]:
        return [end]

    def entries(self, end: int, past: Past) -> list[Entry]:
        views = [past(sign, end) for sign in self.formula.of]
        names = {name for view in views for name in view if name[0] in self.keys}
        return [self._entry(name, views) for name in sorted(names)]

    def _entry(self, name: KeyName, views: list[Mapping[KeyName, Entry]]) -> Entry:
        said = [view.get(name) for view in views]
        known = [entry for entry in said if entry is not None]
        values = [entry.value for entry in known if entry.value is not None]
        n, coverage = sum(entry.n for entry in known), len(values) / len(said)
        inputs = {s: e and e.value for s, e in zip(self.formula.of, said, strict=True)}
        detail = {"inputs": inputs}
        value, reason = None, None
        if len(values) < (self.formula.at_least or len(said)):
            reason = _why(said)
        else:
            found = self._function(values)
            value = None if found is None else found * self.formula.scale
            reason = UNDEFINED if value is None else None
        return Entry(*name, known[0].place, value, n, coverage, reason, detail=detail)


def _why(said: list[Entry | None]) -> Reason:
    """Why a join has no value: one of its inputs warms up, or one is missing."""
    warming = any(entry is not None and entry.reason == WARMING for entry in said)
    return WARMING if warming else INCOMPLETE


class LagFormula:
    """What a sign said of a key some windows before this one."""

    def __init__(self, formula: Lag, keys: tuple[str, ...], hop_ms: int) -> None:
        self.formula, self.keys = formula, keys
        self.reach_ms = formula.windows * hop_ms

    def ends_touched(self, end: int) -> list[int]:
        return [end, end + self.reach_ms]

    def entries(self, end: int, past: Past) -> list[Entry]:
        before = past(self.formula.of, end - self.reach_ms)
        return [
            self._entry(now, before.get(name))
            for name, now in sorted(past(self.formula.of, end).items())
            if now.level in self.keys
        ]

    def _entry(self, now: Entry, before: Entry | None) -> Entry:
        """The older value at the key's place of now; a key that had none was not known then."""
        if before is None:
            return Entry(now.level, now.key, now.place, None, 0, 0.0, WARMING)
        said = (before.value, before.n, before.coverage, before.reason)
        return Entry(now.level, now.key, now.place, *said)
