"""Levels: a value against thresholds, without memory; and with a deadband, for alerts."""

from __future__ import annotations

from collections.abc import Callable
from operator import ge, gt, le, lt

import numpy as np
from numpy.typing import NDArray

from schemas.signs import Levels
from streams.heads import Flags, Floats

COLOURS = ("normal", "blue", "yellow", "orange", "red")

_COMPARE = {"ge": ge, "gt": gt, "le": le, "lt": lt}


class Scale:
    """The thresholds of one sign, ready to judge.

    Examples
    --------
    >>> from schemas.signs import Thresholds
    >>> thresholds = Thresholds(blue=10, yellow=15, red=40)
    >>> scale = Scale(Levels(compare="ge", thresholds=thresholds, source="x", standing="proposal"))
    >>> scale.level(17), scale.level(9), scale.level(14, deadband=2), scale.threshold(4)
    (2, 0, 2, 40.0)
    """

    __slots__ = ("_compare", "_meets", "_steps", "levels", "toward")

    def __init__(self, levels: Levels) -> None:
        self.levels = levels
        self._compare = _COMPARE[levels.compare]
        self._meets: Callable[[Floats, float], Flags] = _COMPARE[levels.compare]
        self.toward = 1 if levels.compare in ("ge", "gt") else -1
        """1 where graver values are greater, -1 where they are smaller."""
        self._steps = [(COLOURS.index(name), x) for name, x in reversed(levels.thresholds.given())]

    def level(self, value: float, deadband: float = 0.0) -> int:
        """The highest level whose threshold the value meets, 0 to 4.

        With a deadband (in the sign's unit) the threshold is met by as much less: the level at
        which an alert that is already raised stays.
        """
        slack = deadband * self.toward
        for level, threshold in self._steps:
            if self._compare(value, threshold - slack):
                return level
        return 0

    def next_step(self, value: float) -> tuple[int, float] | None:
        """The mildest level above that of a value, and its threshold; None at the gravest."""
        level = self.level(value)
        return next((step for step in reversed(self._steps) if step[0] > level), None)

    def levels_of(self, values: Floats) -> NDArray[np.int8]:
        """The level of each value, -1 of NaN."""
        levels = np.where(np.isnan(values), np.int8(-1), np.int8(0))
        for level, threshold in reversed(self._steps):
            levels[self._meets(values, threshold)] = level
        return levels

    def threshold(self, level: int) -> float | None:
        """The threshold of a level, in the sign's unit."""
        return dict(self._steps).get(level)


def scale_of(levels: Levels | None) -> Scale | None:
    return None if levels is None else Scale(levels)
