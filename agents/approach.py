"""How long a value takes to its next level at the rate at which it changes.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import NamedTuple

from agents.dated import Dated
from agents.entries import INCOMPLETE, UNDEFINED, WARMING, Entry
from agents.formulas import Past
from agents.levels import Scale
from schemas.derivations import TimeToThreshold


class Approach(NamedTuple):
    """The next level, its threshold, and the minutes until that is reached."""

    level: int
    threshold: float
    minutes: float


def approach(scale: Scale, value: float, rate: float) -> Approach | None:
    """What a value comes to next, on the side on which the levels of a sign lie.

    Parameters
    ----------
    rate
        Change of the value a minute.

    Returns
    -------
    Approach or None
        None at the gravest level, and where the value does not change towards the next one.

    Examples
    --------
    >>> from schemas.signs import Levels, Thresholds
    >>> levels = Levels(compare="lt", thresholds=Thresholds(yellow=3, red=1), source="x",
    ...                 standing="proposal")
    >>> approach(Scale(levels), 4.0, -0.1), approach(Scale(levels), 4.0, 0.1)
    (Approach(level=2, threshold=3.0, minutes=10.0), None)
    """
    step = scale.next_step(value)
    if step is None:
        return None
    level, threshold = step
    gap, speed = (threshold - value) * scale.toward, rate * scale.toward
    if speed <= 0:
        return None
    minutes = gap / speed
    return Approach(level, threshold, minutes) if isfinite(minutes) else None


class TimeToThresholdFormula:
    """Minutes until a sign's next level at each key, by another sign that tells its rate."""

    reach_ms = 0

    def __init__(
        self, formula: TimeToThreshold, keys: tuple[str, ...], scales: Dated[Scale]
    ) -> None:
        self.formula, self.keys, self._scales = formula, keys, scales

    def ends_touched(self, end: int) -> list[int]:
        return [end]

    def entries(self, end: int, past: Past) -> list[Entry]:
        rates, scale = past(self.formula.rate, end), self._scales.at(end)
        return [
            self._entry(now, rates.get(name), scale)
            for name, now in sorted(past(self.formula.of, end).items())
            if now.level in self.keys
        ]

    def _entry(self, now: Entry, rate: Entry | None, scale: Scale | None) -> Entry:
        known = [e for e in (now, rate) if e is not None and e.value is not None]
        coverage = len(known) / 2
        if now.value is None or rate is None or rate.value is None:
            said = (now, rate)
            warming = any(e is not None and e.reason == WARMING for e in said)
            reason = WARMING if warming else INCOMPLETE
            return Entry(*now.name, now.place, None, now.n, coverage, reason)
        found = None if scale is None else approach(scale, now.value, rate.value)
        detail: Mapping[str, float | None] = {"value": now.value, "rate": rate.value}
        if found is None:
            return Entry(
                *now.name, now.place, None, now.n, coverage, UNDEFINED, detail={"inputs": detail}
            )
        told = {"inputs": detail, "threshold": found.threshold}
        return Entry(*now.name, now.place, found.minutes, now.n, coverage, None, detail=told)
