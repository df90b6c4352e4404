"""Tables of standards, with the year of each and where it was read."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from schemas.words import Standing


@dataclass(frozen=True, slots=True)
class Breakpoints:
    """A function that is linear between the points of a standard.

    Parameters
    ----------
    source
        The standard, its year and section.
    standing
        How far the numbers have been verified.
    x, y
        The points; `x` rises strictly.
    """

    source: str
    standing: Standing
    x: tuple[float, ...]
    y: tuple[float, ...]

    def at(self, x: float) -> float:
        """The value at ``x``; outside the points it stays at the nearest one."""
        if x <= self.x[0]:
            return self.y[0]
        if x >= self.x[-1]:
            return self.y[-1]
        i = bisect_right(self.x, x)
        x0, x1, y0, y1 = self.x[i - 1], self.x[i], self.y[i - 1], self.y[i]
        return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


TPI = Breakpoints(
    source="GB/T 33171-2016, Annex C, as used in two public projects",
    standing="verified-secondary",
    x=(0.0, 0.3, 0.5, 0.6, 0.7, 1.0),
    y=(0.0, 2.0, 4.0, 6.0, 8.0, 10.0),
)
"""Traffic performance index by delay-time proportion: (actual - free-flow) / actual travel time.

>>> TPI.at(0.4), TPI.at(0.6), TPI.at(-0.1)
(3.0, 6.0, 0.0)
"""
