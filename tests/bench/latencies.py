"""Latencies as HdrHistogram percentiles, and whether an engine kept up.

*Event-to-sign* is the time from the intended sending of the last event that a window needed to the
record of its result.  That event is the one with which the last of the lanes moved its watermark
past the window's end.  *Over the end* is the same from the window's end and the disorder on.  An
event in a window of length W that it is the first one of is W + disorder + this old when the result
is there, at the most.

*Event-to-alert* is the time from the intended sending of a planted value that is over a threshold
to the record that says ``raised``: it holds the window and the on-delay of the rule.  *Over due* is
the same from when the rule lets the alert be raised: the end of that window, and the disorder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

from hdrh.histogram import HdrHistogram

PERCENTILES = {"p50": 50, "p90": 90, "p99": 99, "p99.9": 99.9}
_HIGHEST_US = 3_600_000_000
_FIGURES = 3
_US_IN_MS = 1000
SLACK_S = 1.0


class Latencies:
    """A histogram of times in ms, kept in µs to three figures.

    Examples
    --------
    >>> Latencies(range(1, 101)).summary()
    {'samples': 100, 'p50': 50.0, 'p90': 90.0, 'p99': 99.0, 'p99.9': 100.0, 'max': 100.0}
    >>> Latencies([]).summary()
    {'samples': 0}
    """

    def __init__(self, times_ms: Iterable[float]) -> None:
        self.histogram = HdrHistogram(1, _HIGHEST_US, _FIGURES)
        self.samples, self._max_ms = 0, 0.0
        for ms in times_ms:
            self.samples += 1
            self._max_ms = max(self._max_ms, float(ms))
            self.histogram.record_value(min(_HIGHEST_US, max(1, round(ms * _US_IN_MS))))

    def summary(self) -> dict[str, float]:
        """Samples, percentiles and the greatest, ms."""
        if not self.samples:
            return {"samples": 0}
        found: dict[str, float] = {"samples": self.samples}
        for name, share in PERCENTILES.items():
            at = self.histogram.get_value_at_percentile(share) / _US_IN_MS
            found[name] = round(min(at, self._max_ms), 1)
        return {**found, "max": round(self._max_ms, 1)}

    def write(self, path: Path) -> None:
        """Write the distribution as HdrHistogram's plotters read it, in ms."""
        with path.open("wb") as file:
            self.histogram.output_percentile_distribution(file, _US_IN_MS)


def slope_of(samples: Sequence[tuple[float, float]]) -> float:
    """Change a second of the least-squares line through ``(s, value)``; 0 of fewer than two.

    Examples
    --------
    >>> slope_of([(0, 5), (1, 7), (2, 9)])
    2.0
    """
    if len({at for at, _ in samples}) < 2:
        return 0.0
    return linear_regression(*zip(*samples, strict=True)).slope


def lag_of(samples: Sequence[tuple[float, float]], rate: float, seconds: float) -> dict[str, Any]:
    """How unread records went over a measured time.

    It was flat if the line through them rises and falls, over the whole time, by less than what is
    sent in one second.

    Parameters
    ----------
    samples
        ``(s, unread records)``.
    rate
        Records a second that were sent.
    seconds
        The measured time.

    Examples
    --------
    >>> lag_of([(0, 10), (10, 30)], rate=100, seconds=10)["flat"]
    True
    >>> lag_of([(0, 10), (10, 130)], rate=100, seconds=10)["grew"]
    True
    """
    slope = slope_of(samples)
    lags = [lag for _, lag in samples]
    return {
        "samples": len(lags),
        "slope_per_s": round(slope, 1),
        "flat": abs(slope * seconds) < rate * SLACK_S,
        "grew": slope * seconds >= rate * SLACK_S,
        "first": round(lags[0]) if lags else None,
        "mean": round(sum(lags) / len(lags)) if lags else None,
        "max": round(max(lags)) if lags else None,
    }


def gaps_of(times_ms: Sequence[float], begin_ms: float, end_ms: float) -> dict[str, float] | None:
    """Seconds between moments, of those that end within a span of time; None of fewer than two.

    Examples
    --------
    >>> gaps_of([0, 1000, 3000, 6000], 500, 6500)
    {'median': 2.0, 'max': 3.0}
    """
    pairs = [(b - a) / 1000 for a, b in pairwise(times_ms) if begin_ms <= b <= end_ms]
    if not pairs:
        return None
    return {"median": round(median(pairs), 2), "max": round(max(pairs), 2)}
