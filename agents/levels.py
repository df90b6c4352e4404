"""Levels: a value against thresholds, without memory; and with a deadband, for alerts."""

from __future__ import annotations

from collections.abc import Callable
from operator import ge, gt, le, lt

from schemas.configuration import Levels

COLOURS = ("normal", "blue", "yellow", "orange", "red")

_COMPARE: dict[str, Callable[[float, float], bool]] = {"ge": ge, "gt": gt, "le": le, "lt": lt}


def thresholds_of(levels: Levels) -> list[tuple[int, float]]:
    """``(level, threshold)`` from red down to blue; levels without a threshold are left out."""
    values = [getattr(levels.thresholds, colour) for colour in COLOURS[1:]]
    return [(i, x) for i, x in reversed(list(enumerate(values, 1))) if x is not None]


def level_of(value: float, levels: Levels, deadband: float = 0.0) -> int:
    """The highest level whose threshold the value meets, 0 to 4.

    With a deadband (in the sign's unit) the threshold is met by as much less: the level at which
    an alert that is already raised stays.
    """
    compare = _COMPARE[levels.compare]
    slack = deadband if levels.compare in ("ge", "gt") else -deadband
    for level, threshold in thresholds_of(levels):
        if compare(value, threshold - slack):
            return level
    return 0


def threshold_of(level: int, levels: Levels) -> float | None:
    """The threshold of a level, in the sign's unit."""
    return dict(thresholds_of(levels)).get(level)
