"""Indices of the levels of other signs: of the city, and of each domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.rules.driven_events import (
    MORNING,
    Driven,
    Event,
    Phases,
    course,
    every,
    measured,
    observed,
)

PHASE_S = 4500
"""An hour of rain, and a quarter of one."""

SPEEDS = (42.0, 28.5, 22.5, 15.75, 6.75)
"""Of a road of 60 km/h, by the level of its index: 2, 4.5, 6.5, 8.25, 9.25."""
RAINS = (12.0, 24.0, 36.0, 60.0, 96.0)
"""mm in an hour, by level: from 20, 30, 50 and 80."""
DEPTHS = (5.0, 12.0, 20.0, 30.0, 50.0)
"""cm, by level: from 10, 15, 25 and 40."""

CITY: Mapping[float, tuple[int, int, int]] = {
    100: (0, 0, 0),
    # A yellow and an orange one: 100 less a quarter of 25 + 50.
    81.25: (2, 3, 0),
    # A red one takes a quarter.
    75: (0, 0, 4),
    # 100 + 50 + 25, by four.
    56.25: (2, 4, 3),
    # 100 + 100 + 50, by four.
    37.5: (4, 3, 4),
}
"""Index, and the levels of traffic, rain and depth that make it, while the air is clean."""


def city(sign: Any, found: Phases) -> Iterator[Event]:
    for t, value, at in every(found, 30):
        traffic, rain, depth = CITY[value]
        speed = SPEEDS[traffic]
        yield observed("segment_flow", t, speed_kmh=speed, free_flow_kmh=60, link_len_m=1000)
        yield measured("water_depth", t, DEPTHS[depth])
        if at % 300_000 == 0:
            yield measured("rain", t, RAINS[rain] / 12, period_s=300.0)
            yield measured("pm25", t, 10.0)


HUBS = (30, 70, 85, 95, 110)
"""Persons of a hundred that a hub is made for, by level: from 60, 80, 90 and 100 %."""
PARKED = (50, 88, 95, 98, 100)
"""Places taken of a hundred, by level: from 85, 92, 97 and 100 %."""

TRAFFIC: Mapping[float, tuple[int, int]] = {
    100: (0, 0),
    # Half of 10 + 25.
    82.5: (1, 2),
    # Half of 10 + 50.
    70: (1, 3),
    # Half of 100.
    50: (0, 4),
    # Half of 25 + 100.
    37.5: (2, 4),
}
"""Index of a domain, and the levels of hubs and car parks that make it."""


def domain(sign: Any, found: Phases) -> Iterator[Event]:
    """That of traffic; of another one all is well."""
    for t, value, _ in every(found, 20):
        hub, parked = TRAFFIC[value]
        yield observed("transit_hub", t, persons=HUBS[hub], capacity=100)
        yield observed("parking", t, source_id="p0", occupied=PARKED[parked], capacity=100)
        yield measured("wind_gust", t, 5.0)


DRIVEN: dict[str, Driven] = {
    "city.health_index": Driven(city, lambda sign: course(MORNING, PHASE_S, [*CITY, 100])),
    "city.domain_index": Driven(domain, lambda sign: course(MORNING, 1500, [*TRAFFIC, 100])),
}
