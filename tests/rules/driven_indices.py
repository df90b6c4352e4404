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

HUBS = (30, 70, 85, 95, 110)
"""Persons of a hundred that a hub is made for, by level: from 60, 80, 90 and 100 %."""
PARKED = (50, 88, 95, 98, 100)
"""Places taken of a hundred, by level: from 85, 92, 97 and 100 %."""

TRAFFIC: Mapping[float, tuple[int, int]] = {
    100: (0, 0),
    75: (0, 2),
    # 10 and 25.
    65: (1, 2),
    50: (0, 3),
    # 25 and 100 are more than there is to lose.
    0: (2, 4),
}
"""Index of a domain, and the levels of hubs and car parks that make it."""


DENSITIES = (1.0, 2.5, 3.5, 4.5, 6.0)
"""Persons a square metre, by level: from 2, 3, 4 and 5."""

CITY: Mapping[float, tuple[int, int, int]] = {
    100: (0, 0, 0),
    # A crowd that is orange: 100, 50 and 100, by three.
    250 / 3: (0, 0, 3),
    # Traffic of 100 less 10 and 25, a crowd of 50, water of 100.
    215 / 3: (1, 2, 3),
    # The crowd alone is red: two thirds of 100, but no more than the cap.
    59: (0, 0, 4),
    # Traffic and crowd are red: a third of 100.
    100 / 3: (4, 4, 4),
}
"""Index, and the levels of hubs, car parks and crowds that make it, while water has its pressure:
three domains of equal weight."""


def city(sign: Any, found: Phases) -> Iterator[Event]:
    """Seldom enough that the domain of sensing has too few arrivals to tell of."""
    for t, value, _ in every(found, 50):
        hub, parked, crowd = CITY[value]
        yield observed("transit_hub", t, persons=HUBS[hub], capacity=100)
        yield observed("parking", t, source_id="p0", occupied=PARKED[parked], capacity=100)
        yield measured("crowd_density", t, DENSITIES[crowd])
        yield measured("pipe_pressure", t, 0.3, medium="water")


def domain(sign: Any, found: Phases) -> Iterator[Event]:
    """That of traffic; of another one all is well."""
    for t, value, _ in every(found, 20):
        hub, parked = TRAFFIC[value]
        yield observed("transit_hub", t, persons=HUBS[hub], capacity=100)
        yield observed("parking", t, source_id="p0", occupied=PARKED[parked], capacity=100)
        yield measured("wind_gust", t, 5.0)


def most(sign: Any, found: Phases) -> Iterator[Event]:
    """So many in one district, and fewer in another one; none that counts is said as well."""
    for begin, end, value in found:
        for t in range(begin, end, 300_000):
            yield measured("sos", t + 1000, 0.0, device="d0")
            for n in range(round(value)):
                yield measured("sos", t + 2000 + n, 1.0, device="d0")
            for n in range(round(value) - 1):
                yield measured("fall", t + 3000 + n, 1.0, device="d1", place="440111004003012")


DRIVEN: dict[str, Driven] = {
    "care.sos_most": Driven(most, lambda sign: course(MORNING, 1500, [0, 1, 3, 0])),
    "city.health_index": Driven(city, lambda sign: course(MORNING, 1500, [*CITY, 100])),
    "city.domain_index": Driven(domain, lambda sign: course(MORNING, 1500, [*TRAFFIC, 100])),
}
