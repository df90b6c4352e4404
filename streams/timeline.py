"""Event time: int64 ms UTC, and the arithmetic on it that every module shares."""

from __future__ import annotations

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

BEFORE_ALL = -(1 << 62)
"""Earlier than any event time; a watermark that has not begun."""
AFTER_ALL = 1 << 62
"""Later than any event time."""


def floor_to(t: int, step: int) -> int:
    """The largest multiple of ``step`` that is not above ``t``; both int64 ms.

    >>> floor_to(-1, 1000), floor_to(1999, 1000)
    (-1000, 1000)
    """
    return t - t % step


def to_ms(seconds: float) -> int:
    """Seconds of a configuration as whole ms."""
    return round(seconds * SECOND_MS)
