"""Seeded series, what a detector says of them, and detectors of all kinds to say it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from random import Random
from typing import Any

import msgspec

from agents.detectors import DETECTORS, GaussianParameters, HourOfWeekParameters
from agents.detectors.local_hours import LocalHours
from agents.detectors.protocol import Detector, Parameters, Verdict

MONDAY = 1_772_380_800_000
"""2026-03-02T00:00+08:00."""
QUARTER, HOUR, DAY, WEEK = 900_000, 3_600_000, 86_400_000, 604_800_000
HOURS = LocalHours("Asia/Shanghai", lambda day: day.weekday() < 5 and day != date(2026, 4, 6))
"""With a Monday that is a holiday."""

Point = tuple[float, int]
"""A value, and the end of its window in int64 ms UTC."""

VARIANTS: dict[str, list[Parameters]] = {
    "gaussian": [
        GaussianParameters(window=0),
        GaussianParameters(window=130, side="high", floor=0.5),
        GaussianParameters(window=128, least=20, side="low", z_alarm=3.0),
    ],
    "hour_of_week": [
        HourOfWeekParameters(counts=True, side="high"),
        HourOfWeekParameters(ring=4, least=4, every_s=0.0, side="low", relative_floor=0.0),
    ],
}
"""Parameters that the contract is tested with beside the defaults; an entry may have none."""

CASES = [
    (name, parameters)
    for name, kind in sorted(DETECTORS.items())
    for parameters in [kind.parameters(), *VARIANTS.get(name, [])]
]


def make(name: str, parameters: Parameters) -> Detector:
    return DETECTORS[name].make(parameters, 7, HOURS)


def weekly(rng: Random, count: int, *, step: int = QUARTER, start: int = MONDAY) -> list[Point]:
    """Busy by day, calm at night and on weekends, with noise."""
    points = []
    for n in range(1, count + 1):
        end = start + n * step
        hour = (end - 1 - MONDAY) // HOUR % 24
        calm = (end - 1 - MONDAY) // DAY % 7 >= 5
        points.append((100 + (10 if calm else 40) * (8 <= hour < 20) + rng.gauss(0, 5), end))
    return points


def level(rng: Random, count: int, *, step: int = QUARTER) -> list[Point]:
    """Always about 100, with a standard deviation of 10."""
    return [(rng.gauss(100, 10), MONDAY + n * step) for n in range(1, count + 1)]


def run(detector: Detector, points: Iterable[Point]) -> list[Verdict]:
    """Score each value, then learn it whatever was said."""
    verdicts = []
    for value, time in points:
        verdicts.append(detector.score(value, time))
        detector.learn(value, time)
    return verdicts


def packed(sections: Any) -> Any:
    """As it comes back from a snapshot."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(sections))
