"""The city's clock: minutes since its start, and what a day and a week do to it.

All curves are straight lines between hourly knots, because a sine may differ in its last
bit from one machine to the next.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from agents.city.draws import Floats

START_MS = 1_772_402_400_000
"""The city's first moment: Monday 2026-03-02T06:00:00+08:00, in epoch milliseconds UTC."""

MINUTE_MS = 60_000
DAY = 1440
WEEK = 7 * DAY
_START_OF_WEEK = 360
_BEIJING = timedelta(hours=8)

# Hours 0 to 23, in per cent.
_WEEKDAY = {
    "rush": "0 0 0 0 0 5 20 75 100 60 40 40 45 40 40 45 55 85 100 70 40 25 12 5",
    "orders": "8 5 4 4 5 8 18 40 75 100 100 85 60 65 90 95 90 75 55 50 45 40 30 16",
    "noise": "15 8 4 0 5 20 50 80 95 95 90 90 80 80 90 90 95 100 100 90 80 65 45 28",
    "office": "12 12 12 12 12 13 18 35 60 72 76 76 72 72 75 75 72 60 42 30 24 20 16 14",
}
_WEEKEND = {
    "rush": "5 0 0 0 0 0 5 15 25 35 45 50 45 45 50 50 55 60 60 50 40 30 20 10",
    "orders": "9 6 5 4 5 7 12 22 40 50 50 45 40 40 45 45 45 40 38 38 36 33 26 16",
    "noise": "25 15 8 4 4 12 30 50 70 80 85 85 80 75 80 85 90 95 100 95 90 75 55 40",
    "office": "10 10 10 10 10 10 12 15 20 25 30 32 32 32 33 33 32 30 28 24 20 16 13 11",
}
_WARMTH = "15 10 6 3 1 0 2 10 25 42 60 76 88 96 100 98 90 78 64 52 42 34 27 20"
_SUN = "12 10 8 7 6 5 6 10 20 35 52 70 85 95 100 98 90 75 55 38 28 22 18 15"


def _curve(weekday: str, weekend: str) -> Floats:
    percent = weekday.split() * 5 + weekend.split() * 2
    hours = np.array([int(part) for part in percent]) / 100.0
    share = np.arange(60) / 60.0
    following = np.roll(hours, -1)
    return (hours[:, None] + (following - hours)[:, None] * share[None, :]).reshape(WEEK)


CURVES = {name: _curve(_WEEKDAY[name], _WEEKEND[name]) for name in _WEEKDAY}
CURVES["warmth"] = _curve(_WARMTH, _WARMTH)
CURVES["sun"] = _curve(_SUN, _SUN)


def minute_of_week(k: int) -> int:
    """Local minute of the week of city minute ``k``; 0 is Monday 00:00."""
    return (k + _START_OF_WEEK) % WEEK


def rhythm(name: str, k: int) -> float:
    """Value of a weekly curve in [0, 1] at city minute ``k``.

    Examples
    --------
    >>> rhythm("rush", 120) > rhythm("rush", 1200)  # Monday 08:00 against Tuesday 02:00
    True
    """
    return float(CURVES[name][minute_of_week(k)])


def time_of(k: int) -> int:
    """Epoch milliseconds UTC at which city minute ``k`` begins."""
    return START_MS + k * MINUTE_MS


def minute_of(t: int) -> int:
    """City minute that holds the time ``t`` (epoch milliseconds UTC)."""
    return (t - START_MS) // MINUTE_MS


def local_time(t: int) -> datetime:
    """Guangzhou's wall clock at ``t``, without offset."""
    return datetime.fromtimestamp(t // 1000, UTC).replace(tzinfo=None) + _BEIJING


def trapezoid(k: float, start: float, end: float, rise: float, fall: float) -> float:
    """Rise from 0 at ``start`` to 1, stay, and fall to 0 at ``end`` (all in minutes).

    Examples
    --------
    >>> [trapezoid(k, 10, 50, 10, 20) for k in (5, 15, 25, 40, 60)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    return max(0.0, min(1.0, (k - start) / rise, (end - k) / fall))
