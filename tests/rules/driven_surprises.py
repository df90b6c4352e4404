"""Signs without levels: what is usual at these hours of working days, and then a surprise.

What a model makes of them is worked out from its rule: it expects the usual value, one deviation is
the most of its floors (of counts the root, too), and an anomaly is so many of them away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any

from schemas.judging import HourOfWeek
from schemas.signs import Sign
from tests.rules.driven import phases
from tests.rules.driven_events import (
    MORNING,
    PLACE,
    Driven,
    Event,
    Phases,
    course,
    measured,
    observed,
    order,
)

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
USUAL_DAYS = 4
"""Working days with four quarters of an hour each: more than the twelve that a model asks for."""
COUNTED = 20
"""An hour."""
FACTOR = 1.5
"""Of the deviations of an anomaly: from so many on it is yellow, below it is blue."""

USUAL: dict[str, float] = {
    "traffic.flow": 600.0,
    "crowd.net_inflow": 12.0,
    "cm.case_rate": COUNTED,
    "cm.video_ai_events": COUNTED,
    "hotline.inflow": COUNTED,
}
"""In the sign's unit, with nothing by which it varies."""


def deviation_of(sign: Sign) -> float:
    """What the model takes for one deviation of values that never vary."""
    assert isinstance(sign.model, HourOfWeek)
    usual = USUAL[sign.id]
    floors = [sign.model.floor, sign.model.relative_floor * usual]
    return max(*floors, sqrt(usual)) if sign.model.counts else max(floors)


def surprises(sign: Sign) -> list[tuple[float, int]]:
    """Usual, an anomaly, one that is far, and usual again: values with the level of each."""
    assert sign.model is not None
    usual, least = USUAL[sign.id], sign.model.z_alarm * deviation_of(sign)
    blue, yellow = usual + 1.25 * least, usual + 2 * least
    # The events of a flow and of counts are whole ones; a minute of 60 veh/h is one of them.
    step = 60.0 if sign.id == "traffic.flow" else 1.0
    return [
        (usual, 0),
        *((round(v / step) * step, n) for v, n in ((blue, 1), (yellow, 2))),
        (usual, 0),
    ]


def _course(sign: Sign) -> Phases:
    assert sign.model is not None
    assert sign.window.size_s is not None
    assert sign.window.hop_s is not None
    delays = sign.model.on_delay_s + sign.model.off_delay_s
    length_s = sign.window.size_s + delays + 4 * sign.window.hop_s + 60
    values = [value for value, _ in surprises(sign)]
    # Of whole quarters of an hour.
    return course(MORNING + USUAL_DAYS * DAY_MS, -(-length_s // 900) * 900, values)


def _days(found: Phases, usual: float) -> Phases:
    """What is usual at these hours and those around, on the working days before; and the phases."""
    begin, end = found[0][0], found[-1][1]
    before = [
        (begin - day * DAY_MS - HOUR_MS, end - day * DAY_MS + HOUR_MS, usual)
        for day in range(USUAL_DAYS, 0, -1)
    ]
    return [*before, *found]


def flow(sign: Sign, found: Phases) -> Iterator[Event]:
    for begin, end, value in _days(found, USUAL[sign.id]):
        for t in range(begin, end, 60_000):
            yield observed("segment_flow", t, intensity=round(value / 60))


def gates(sign: Sign, found: Phases) -> Iterator[Event]:
    """Eight leave in a minute, and so many more come."""
    for begin, end, value in _days(found, USUAL[sign.id]):
        for t in range(begin, end, 30_000):
            yield measured("person_in", t, round((8 + value) / 2, 6))
            yield measured("person_out", t, 4.0)


def counted(
    send: Callable[[int, int], Iterator[Event]],
) -> Callable[[Any, Phases], Iterator[Event]]:
    """So many an hour, evenly."""

    def drive(sign: Sign, found: Phases) -> Iterator[Event]:
        number = 0
        for begin, end, value in _days(found, USUAL[sign.id]):
            for k in range(round(value * (end - begin) / HOUR_MS)):
                number += 1
                yield from send(begin + round(k * HOUR_MS / value), number)

    return drive


def opened(system: str) -> Callable[[int, int], Iterator[Event]]:
    """An order that is closed within the hour; those of citizens each of a grid of its own in one
    street, so that none repeats another."""

    def send(t: int, number: int) -> Iterator[Event]:
        own = f"{PLACE[:9]}{number % 900 + 100:03}{number // 900 % 900 + 100:03}"
        said = {"system": system, "place": own if system == "12345" else PLACE, "t_created": t}
        yield order(t, number, "created", seq=0, **said)
        yield order(t + HOUR_MS - 1, number, "closed", seq=1, **said)

    return send


def seen(t: int, number: int) -> Iterator[Event]:
    yield measured("ai_event", t, 1.0, cls="garbage")


ORDERS = 160
"""An hour: five of the root of it are 63, and so half as many again are no chance."""


def surge(sign: Sign, found: Phases) -> Iterator[Event]:
    """As many times the usual orders of the hour as the ratio shall be."""
    number = 0
    for begin, end, ratio in _days(found, 1.0):
        for k in range(round(ratio * ORDERS * (end - begin) / HOUR_MS)):
            number += 1
            yield from opened("12345")(begin + round(k * HOUR_MS / (ratio * ORDERS)), number)


SURPRISING: dict[str, Driven] = {
    "traffic.flow": Driven(flow, _course),
    "crowd.net_inflow": Driven(gates, _course),
    "cm.case_rate": Driven(counted(opened("cgj")), _course),
    "cm.video_ai_events": Driven(counted(seen), _course),
    "hotline.inflow": Driven(counted(opened("12345")), _course),
}
"""What drives each of them: anomalies are what it has instead of levels."""

DRIVEN: dict[str, Driven] = {
    "hotline.inflow_ratio": Driven(surge, lambda sign: phases(sign, MORNING + USUAL_DAYS * DAY_MS)),
}
