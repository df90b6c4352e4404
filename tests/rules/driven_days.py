"""Signs of whole days and nights, and those that look back a day: air, noise, temperature."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, pairwise
from typing import Any

from schemas.devices import Device, Register
from schemas.signs import Sign
from tests.rules.driven import value_at
from tests.rules.driven_events import (
    LEVELS,
    MORNING,
    PLACE,
    Driven,
    Event,
    Phases,
    course,
    every,
    measured,
)

HOUR_S, DAY_S = 3600, 86_400
MIDNIGHT = MORNING - 6 * HOUR_S * 1000
NOON = MORNING + 6 * HOUR_S * 1000
STATION = "s0"


def hourly(metric: str, t: int, value: float) -> Event:
    """A reading that speaks for its hour."""
    return measured(metric, t, round(value, 6), period_s=float(HOUR_S))


# --- days and nights -----------------------------------------------------------------------------


def days(begin: int, normal: float) -> Callable[[Sign], Phases]:
    """A day for each level."""

    def found(sign: Sign) -> Phases:
        assert sign.levels is not None
        levels = [LEVELS.index(name) + 1 for name, _ in sign.levels.thresholds.given()]
        return course(begin, DAY_S, [normal, *(value_at(sign, each) for each in levels), normal])

    return found


def noise(limit_db: float) -> Driven:
    """So many dB above the limit of a street, GB 3096-2008 4a: 70 by day, 55 by night."""

    def drive(sign: Any, found: Phases) -> Iterator[Event]:
        for t, value, _ in every(found, HOUR_S):
            yield hourly("laeq", t, limit_db + value)

    row = Device("d-laeq", "sensor", "laeq", "tests", PLACE, STATION, noise_zone="4a")
    # Days from noon to noon have a whole night in them, and the other ones a whole daytime.
    begin = MIDNIGHT if limit_db == 70 else NOON
    return Driven(drive, days(begin, normal=-5), Register([row]))


def temperature(sign: Any, found: Phases) -> Iterator[Event]:
    """Warmest at two in the afternoon."""
    for t, value, at in every(found, HOUR_S):
        warmest = at // (HOUR_S * 1000) % 24 == 14
        yield hourly("air_temperature", t, value if warmest else value - 6)


# --- air -----------------------------------------------------------------------------------------


def hours(*found: tuple[int, float]) -> Callable[[Sign], Phases]:
    """Hours, and the value when they are over."""
    ends = [*accumulate((n for n, _ in found), initial=0)]
    times = [(MORNING + n * HOUR_S * 1000, MORNING + m * HOUR_S * 1000) for n, m in pairwise(ends)]
    phases = [(*time, value) for time, (_, value) in zip(times, found, strict=True)]
    return lambda sign: phases


def ozone(sign: Any, found: Phases) -> Iterator[Event]:
    """What every hour is the mean of eight of them is."""
    for t, value, _ in every(found, HOUR_S):
        yield hourly("o3", t, value)


def particles(sign: Any, found: Phases) -> Iterator[Event]:
    """An hour of 484 is 20 more in the mean of a day that was at 4."""
    for t, value, _ in every(found, HOUR_S):
        yield hourly("pm25", t, 4.0 if value == 4 else 484.0)


CLEAN = {"so2": 15.0, "no2": 20.0, "co": 0.8, "o3": 32.0, "pm10": 25.0, "pm25": 14.0}
"""By HJ 633-2026: PM10 is 25 of its first 50 µg/m³ at 25, of a day NO2 is 20 of 40 at 25 as well;
what else there is lies below."""
INDICES: Mapping[float, Mapping[str, float]] = {
    25: {},
    # Half of the way from 120 at 100 to 250 at 150.
    125: {"pm10": 185.0},
    # From 115 at 150 to 150 at 200: 18 of 35, 175.7 and so 176.
    176: {"pm25": 133.0},
    # Half of the way from 150 at 200 to 250 at 300.
    250: {"pm25": 200.0},
    # Half of the way from 420 at 300 to 500 at 400.
    350: {"pm10": 460.0},
}
"""Index, and the particles that make it."""


def air(sign: Any, found: Phases) -> Iterator[Event]:
    for t, value, _ in every(found, HOUR_S):
        for metric, mean in {**CLEAN, **INDICES[value]}.items():
            yield hourly(metric, t, mean)


def _hours(sign: Sign) -> Phases:
    return course(MORNING, 4 * HOUR_S, [*INDICES, 25])


def _days(sign: Sign) -> Phases:
    """A day for each; the log goes on for an hour, for a day ends with an hour that is told."""
    day_ms = DAY_S * 1000
    begins = range(MIDNIGHT, MIDNIGHT + 6 * day_ms, day_ms)
    *found, last = [(t, t + day_ms, v) for t, v in zip(begins, [*INDICES, 25], strict=True)]
    return [*found, (last[0], last[1] + HOUR_S * 1000, last[2])]


def day(sign: Any, found: Phases) -> Iterator[Event]:
    """Of a day twenty hours are enough."""
    hours_ms = 20 * HOUR_S * 1000
    return air(sign, [(begin, begin + hours_ms, value) for begin, _, value in found])


def smog(sign: Any, found: Phases) -> Iterator[Event]:
    """An hour of 494 is 20 more in the mean of a day that was at 14."""
    for t, value, _ in every(found, HOUR_S):
        pm25 = CLEAN["pm25"] if value == 25 else 494.0
        for metric, mean in {**CLEAN, "pm25": pm25}.items():
            yield hourly(metric, t, mean)


DRIVEN: dict[str, Driven] = {
    "noise.day_excess": noise(70),
    "noise.night_excess": noise(55),
    "meteo.temp_max": Driven(temperature, days(MIDNIGHT, normal=33)),
    "air.o3_8h": Driven(ozone),
    # 3, 6, 8 and 13 hours of it.
    "air.pm25_24h": Driven(
        particles, hours((26, 4), (3, 64), (3, 124), (2, 164), (5, 264), (26, 4))
    ),
    "air.aqi": Driven(air, _hours),
    # 94 µg/m³ are 34 of 55 from 100 to 150, and 134 are 19 of 35 from 150 to 200; 214 and 334 are
    # 64 and 84 of the hundreds from 200 and from 300.
    "air.aqi_24h": Driven(smog, hours((26, 25), (4, 131), (2, 178), (4, 264), (6, 384), (26, 25))),
    "air.aqi_day": Driven(day, _days),
}
