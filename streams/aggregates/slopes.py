"""The slope of a least-squares line through values over time: exact integer sums."""

from __future__ import annotations

from typing import Any

from ext import cells
from streams.timeline import BEFORE_ALL


class Slopes:
    """``(n, last_t, covered, Σx, Σt, Σt², Σtx)``: times in ms, values in steps, all exact.

    Examples
    --------
    >>> state = SLOPES.empty
    >>> for second, value in enumerate((5, 7, 9)):
    ...     state = SLOPES.merge(state, SLOPES.row(1000 * second, value, 0, 0))
    >>> SLOPES.slope(state)
    0.002
    """

    name = "slopes"
    empty: tuple[Any, ...] = (0, BEFORE_ALL, 0, 0, 0, 0, 0)

    def row(self, t: int, value: int, weight: int, covered: int) -> tuple[Any, ...]:
        return (1, t, covered, value, t, t * t, t * value)

    def merge(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        sums = (x + y for x, y in zip(a[2:], b[2:], strict=True))
        return (a[0] + b[0], max(a[1], b[1]), *sums)

    def slope(self, a: tuple[Any, ...]) -> float | None:
        """Steps a ms; None where all values are of one moment."""
        n, _, _, x, t, tt, tx = a
        spread: int = n * tt - t * t
        return None if spread == 0 else float((n * tx - t * x) / spread)

    def cells(self) -> cells.Slopes:
        return cells.Slopes()


SLOPES = Slopes()
