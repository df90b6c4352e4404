"""Derived signs: other signs at one key and window, their own past, or their children.

A formula reads histories only, so a derived sign is evaluated in order within a window end and is
the same however its inputs arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from agents.approach import TimeToThresholdFormula
from agents.children import ChildrenFormula
from agents.dated import Dated, scales_of
from agents.domains import DomainIndexFormula, OverallIndexFormula
from agents.entries import Entry, KeyName, judged
from agents.formulas import (
    ChildrenAtLevelFormula,
    Formula,
    LevelIndexFormula,
    PastMaxFormula,
    PastMeanFormula,
)
from agents.hierarchies import Hierarchy
from agents.history import History
from agents.indices import AirIndexFormula, RatioFormula
from agents.joins import CombineFormula, LagFormula
from agents.levels import Scale
from agents.said import Correction, Said
from agents.scores import ScoredFormula, news2, water_class
from schemas.derivations import (
    AirIndex,
    Children,
    ChildrenAtLevel,
    Combine,
    DomainIndex,
    EarlyWarning,
    Lag,
    LevelIndex,
    OverallIndex,
    PastMax,
    PastMean,
    TimeToThreshold,
    WaterClass,
)
from schemas.signs import DerivedSign
from streams.timeline import AFTER_ALL, BEFORE_ALL, to_ms
from streams.windows import Calendar, Windows


def formula_of(
    sign: DerivedSign,
    windows: Windows,
    zone: str,
    hierarchies: Mapping[str, Hierarchy] = MappingProxyType({}),
    scales: Mapping[str, Dated[Scale]] = MappingProxyType({}),
) -> Formula:
    """The formula of a derived sign, from the closed list of names.

    Parameters
    ----------
    scales
        By the ids of its inputs, how they are judged.
    """
    keys = tuple(sign.keys)
    formula = sign.formula
    if isinstance(formula, PastMax):
        return PastMaxFormula(formula, keys)
    if isinstance(formula, PastMean):
        return PastMeanFormula(formula, keys)
    if isinstance(formula, ChildrenAtLevel):
        return ChildrenAtLevelFormula(formula, keys)
    if isinstance(formula, LevelIndex):
        return LevelIndexFormula(formula, keys)
    if isinstance(formula, DomainIndex):
        return DomainIndexFormula(formula, keys)
    if isinstance(formula, OverallIndex):
        return OverallIndexFormula(formula, keys)
    if isinstance(formula, WaterClass):
        return ScoredFormula(
            formula.of.model_dump(), keys, formula.at_least, water_class(formula.lake)
        )
    if isinstance(formula, EarlyWarning):
        return ScoredFormula(formula.of.model_dump(), keys, formula.at_least, news2)
    if isinstance(formula, AirIndex):
        return AirIndexFormula(formula, keys, windows, zone)
    if isinstance(formula, Combine):
        return CombineFormula(formula, keys)
    if isinstance(formula, Children):
        return ChildrenFormula(formula, keys, hierarchies.get(keys[0]))
    if isinstance(formula, TimeToThreshold):
        return TimeToThresholdFormula(formula, keys, scales[formula.of])
    if isinstance(formula, Lag):
        assert sign.window.hop_s is not None
        return LagFormula(formula, keys, to_ms(sign.window.hop_s))
    return RatioFormula(formula, keys)


class DerivedState:
    """One derived sign: the ends that wait for it, and the histories it reads."""

    def __init__(
        self,
        sign: DerivedSign,
        windows: Windows,
        zone: str,
        lateness_ms: int,
        histories: dict[str, History],
        hierarchies: Mapping[str, Hierarchy] = MappingProxyType({}),
        scales: Mapping[str, Dated[Scale]] = MappingProxyType({}),
    ) -> None:
        self.sign, self.windows, self.lateness_ms = sign, windows, lateness_ms
        self.formula = formula_of(sign, windows, zone, hierarchies, scales)
        self.last_end = BEFORE_ALL
        self._scales = scales_of(sign.levels, zone)
        self._inputs = {name: histories[name] for name in sign.inputs}
        self._waiting: set[int] = set()
        self._corrected: set[int] = set()
        self._open = BEFORE_ALL
        """End of the newest local day, or such, of which an input had data."""

    def wants(self, end: int) -> bool:
        """Whether the formula ever reads its inputs at this end."""
        return any(self.windows.has_end(e) for e in self.formula.ends_touched(end))

    def expect(self, end: int, *, final: bool, data: bool = True) -> None:
        """Take note that an input said something at ``end``, or corrected it.

        ``data`` tells whether any of it was heard, and not only missed.  What this sign has said
        already stands: after a log has ended its inputs can close windows it closed without them.
        """
        if final:
            ends = self.formula.ends_touched(end)
            self._corrected.update(e for e in ends if self.windows.has_end(e))
            return
        if end > self.last_end and self.windows.has_end(end):
            self._waiting.add(end)
        if data and isinstance(self.windows, Calendar):
            self._open = max(self._open, *self.formula.ends_touched(end), BEFORE_ALL)

    def next_end(self, limit: int = AFTER_ALL) -> int:
        """The next end at which an input said something, or `AFTER_ALL`.

        Above ``limit``, where the log has ended, inputs say nothing of hours without data: a day
        that holds data ends all the same.
        """
        end = min(self._waiting, default=AFTER_ALL)
        return min(end, self._open) if self._open > max(limit, self.last_end) else end

    def settles(self, farthest: int) -> int:
        """How far its inputs must come until all is said of the last day that holds a time."""
        by_day = isinstance(self.windows, Calendar)
        return self.windows.last_end_with(farthest) if by_day else farthest

    def next_final(self) -> int:
        """The next end whose inputs were corrected, or `AFTER_ALL`."""
        return min(self._corrected, default=AFTER_ALL)

    def close(self, end: int) -> Said:
        self.last_end = end
        self._waiting.discard(end)
        return Said.of(self._entries(end, final=False))

    def close_final(self, end: int) -> Correction:
        self._corrected.discard(end)
        before = {e.name: e for e in self._entries(end, final=False)}
        after = [e for e in self._entries(end, final=True) if before.get(e.name) != e]
        return Correction(
            Said.of([before.get(e.name, e) for e in after]),
            np.array([e.name in before for e in after], np.bool_),
            Said.of(after),
        )

    def _entries(self, end: int, *, final: bool) -> list[Entry]:
        def past(sign: str, at: int) -> Mapping[KeyName, Entry]:
            return self._inputs[sign].at(at, final=final)

        scale = self._scales.at(end)
        return [judged(e, scale) for e in self.formula.entries(end, past)]

    def dump(self) -> list[Any]:
        return [self.last_end, sorted(self._waiting), sorted(self._corrected), self._open]

    def load(self, data: list[Any]) -> None:
        self.last_end, waiting, corrected, self._open = data
        self._waiting, self._corrected = set(waiting), set(corrected)
