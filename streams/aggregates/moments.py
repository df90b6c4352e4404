"""Count, sums, extremes and the last value: exact integers throughout."""

from __future__ import annotations

from typing import Any

from ext import cells
from streams.timeline import BEFORE_ALL

WIDE = 1 << 63
"""Beyond all values."""


class Moments:
    """``(n, last_t, covered, total, squares, minimum, maximum, last_value, weight)``.

    Values, sums and the second value ``weight`` are in steps of the metric's resolution; sums are
    unbounded integers here and 128-bit in the kernel.  The last value is the one with the greatest
    ``(t, value)``, so that equal stamps do not depend on the order of arrival.

    Examples
    --------
    >>> one, two = MOMENTS.row(10, 3, 0, 0), MOMENTS.row(11, 5, 0, 0)
    >>> MOMENTS.merge(one, two)
    (2, 11, 0, 8, 34, 3, 5, 5, 0)
    """

    name = "moments"
    empty = (0, BEFORE_ALL, 0, 0, 0, WIDE, -WIDE, 0, 0)

    def row(self, t: int, value: int, weight: int, covered: int) -> tuple[Any, ...]:
        return (1, t, covered, value, value * value, value, value, value, weight)

    def merge(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        later = a if (a[1], a[7]) >= (b[1], b[7]) else b
        return (
            a[0] + b[0],
            later[1],
            a[2] + b[2],
            a[3] + b[3],
            a[4] + b[4],
            a[5] if a[5] <= b[5] else b[5],
            a[6] if a[6] >= b[6] else b[6],
            later[7],
            a[8] + b[8],
        )

    def cells(self) -> cells.Moments:
        return cells.Moments()


MOMENTS = Moments()
