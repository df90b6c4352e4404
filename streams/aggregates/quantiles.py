"""Quantiles: exact to 64 values, then DDSketch with 1 % relative accuracy.

Source: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", PVLDB 12 (2019).  Int64 values need about 4,400 buckets at most, so
no bucket is ever collapsed and merging stays exact.
"""

from __future__ import annotations

from math import ceil, floor, log
from typing import Any

from ext import cells
from streams.timeline import BEFORE_ALL

EXACT = 64
ACCURACY = 0.01
_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = log(_GAMMA)

Values = tuple[int, ...]
Buckets = tuple[tuple[int, int], ...]


class Quantiles:
    """``(n, last_t, covered, values or None, buckets or None)``.

    Up to 64 values stand sorted; above, buckets are sorted ``(index, count)`` pairs, where the
    index is odd for negative values, so that a state has one form only.

    Examples
    --------
    >>> state = QUANTILES.empty
    >>> for value in (5, 1, 3):
    ...     state = QUANTILES.merge(state, QUANTILES.row(0, value, 0, 0))
    >>> QUANTILES.quantile(state, 0.5)
    3.0
    """

    name = "quantiles"
    empty: tuple[Any, ...] = (0, BEFORE_ALL, 0, (), None)

    def row(self, t: int, value: int, weight: int, covered: int) -> tuple[Any, ...]:
        return (1, t, covered, (value,), None)

    def merge(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        n, last_t, covered = a[0] + b[0], max(a[1], b[1]), a[2] + b[2]
        if n <= EXACT:
            return (n, last_t, covered, tuple(sorted(a[3] + b[3])), None)
        counts: dict[int, int] = {}
        for state in (a, b):
            for bucket, count in _buckets(state):
                counts[bucket] = counts.get(bucket, 0) + count
        return (n, last_t, covered, None, tuple(sorted(counts.items())))

    def quantile(self, a: tuple[Any, ...], q: float) -> float | None:
        """The value at rank ``q * (n - 1)``: interpolated while exact, else a bucket's middle.

        Returns steps of the resolution, or None without a value.
        """
        n, values = a[0], a[3]
        if n == 0:
            return None
        rank = q * (n - 1)
        if values is not None:
            low = floor(rank)
            high = min(low + 1, n - 1)
            return float(values[low] + (values[high] - values[low]) * (rank - low))
        left = floor(rank)
        ordered = sorted((_middle(bucket), count) for bucket, count in a[4])
        for middle, count in ordered:
            left -= count
            if left < 0:
                return middle
        raise AssertionError("the counts of the buckets are below n")

    def cells(self) -> cells.Quantiles:
        return cells.Quantiles()


def _buckets(state: tuple[Any, ...]) -> Buckets:
    if state[3] is None:
        buckets: Buckets = state[4]
        return buckets
    return tuple((_bucket(value), 1) for value in state[3])


def _bucket(value: int) -> int:
    """0 for zero, else twice (1 + the logarithmic index), plus one for negative values."""
    if value == 0:
        return 0
    index = 2 * (1 + ceil(log(abs(value)) / _LOG_GAMMA))
    return index + 1 if value < 0 else index


def _middle(bucket: int) -> float:
    if bucket == 0:
        return 0.0
    middle: float = 2 * _GAMMA ** (bucket // 2 - 1) / (_GAMMA + 1)
    return -middle if bucket % 2 else middle


QUANTILES = Quantiles()
