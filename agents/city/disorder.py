"""Disorder between device and log: what comes out of order, late, twice or damaged."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

import numpy as np

from agents.city.draws import Floats, Ints
from agents.city.rhythm import local_time

IN_ORDER, VERY_LATE, LATE, OUT_OF_ORDER, DUPLICATE, MALFORMED = range(6)
PLANTED = {
    OUT_OF_ORDER: "out_of_order",
    LATE: "late",
    VERY_LATE: "very_late",
    DUPLICATE: "duplicate",
}
"""Names of the classes in the ground truth; malformed events are counted by kind of damage."""

LOOK_BACK = 15
"""No event arrives more than this many minutes after the minute in which it happened."""

DAMAGE = ("cut", "seconds", "naive_time", "out_of_range", "nan", "wrong_unit")
"""Closed list of the kinds of malformed event."""

_TIME = re.compile(rb'"t":(\d{10})\d{3}')
_UNIT = re.compile(rb'"unit":"[^"]*"')
_MEASURE = re.compile(rb'"(value|speed_kmh|queue_m|occupied)":[^,}]*')
_BEYOND = {b"value": b"99999", b"speed_kmh": b"999", b"queue_m": b"-1", b"occupied": b"-1"}
_KINDS = {"city.sensor.v1": 6, "city.traffic.v1": 5, "city.hotline.v1": 3}


@dataclass(frozen=True, slots=True)
class Disorder:
    """Shares of the events that do not arrive as they should; each event has at most one fault.

    Parameters
    ----------
    out_of_order
        Arrive 1.2-4 s after their place in the order of event times, still on time.
    late
        Arrive 30-240 s after their event time (readings and observations only).
    very_late
        Arrive 610-840 s after their event time (readings and observations only).
    duplicate
        Arrive as they should, and once more, byte for byte, within 60 s.
    malformed
        Damaged in one of the ways of :data:`DAMAGE`.

    Raises
    ------
    ValueError
        Where a share is not in [0, 1] or their sum is above 1.
    """

    out_of_order: float = 0.05
    late: float = 0.01
    very_late: float = 0.001
    duplicate: float = 0.005
    malformed: float = 0.001

    def __post_init__(self) -> None:
        shares = [(part.name, getattr(self, part.name)) for part in fields(self)]
        for name, share in shares:
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"disorder.{name} is {share}: give a share between 0 and 1")
        if sum(share for _, share in shares) > 1.0:
            raise ValueError("the shares of disorder add up to more than 1: make them smaller")

    def classify(self, draw: Floats, delayed: bool) -> Ints:
        """Class of each event for its uniform draw; without ``delayed`` none is late."""
        late = (self.very_late, self.late) if delayed else (0.0, 0.0)
        edges = np.cumsum((*late, self.out_of_order, self.duplicate, self.malformed))
        place = np.searchsorted(edges, draw, side="right")
        return np.array((VERY_LATE, LATE, OUT_OF_ORDER, DUPLICATE, MALFORMED, IN_ORDER))[place]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Arrivals in their order, duplicates included.

    Attributes
    ----------
    time
        Arrival, epoch milliseconds UTC, rising.
    item
        Which of the caller's events arrives.
    fault
        Class of the event; a first copy of a duplicate is IN_ORDER, the second is DUPLICATE.
    kind
        Position in :data:`DAMAGE` where the class is MALFORMED.
    """

    time: Ints
    item: Ints
    fault: Ints
    kind: Ints

    def columns(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Time, item, fault and kind."""
        return self.time, self.item, self.fault, self.kind

    def between(self, start: int, end: int) -> slice:
        """Positions that arrive in [start, end)."""
        low, high = np.searchsorted(self.time, (start, end))
        return slice(int(low), int(high))


def arrange(
    t: Ints, fault: Ints, extent: Floats, topic_kinds: Ints, held: Ints | int = 0
) -> Arrivals:
    """Let events arrive, each in the way of its class.

    Parameters
    ----------
    t
        Event times, epoch milliseconds UTC.
    fault, extent
        Class of each event, and a uniform draw: how far it goes within its class.
    topic_kinds
        How many kinds of damage fit the event, from :func:`kinds_of`.
    held
        Milliseconds for which the sender keeps an event before it goes its way.
    """
    # Slope below 1 keeps arrivals in the order of event times: what is out of order is planted.
    transit = 300 + np.abs(t % 60_000 - 30_000) * 6 // 100
    ordinary = t + transit + held
    size = np.select(
        [fault == VERY_LATE, fault == LATE, fault == OUT_OF_ORDER],
        [
            610_000 - transit + 230_000 * extent,
            30_000 - transit + 210_000 * extent,
            1_200 + 2_800 * extent,
        ],
        0.0,
    ).astype(np.int64)
    twice = np.nonzero(fault == DUPLICATE)[0]
    again = ordinary[twice] + 1 + (59_000 * extent[twice]).astype(np.int64)
    time = np.concatenate((ordinary + size, again))
    item = np.concatenate((np.arange(len(t)), twice))
    first = np.where(fault == DUPLICATE, IN_ORDER, fault)
    label = np.concatenate((first, np.full(len(twice), DUPLICATE)))
    kind = (extent * topic_kinds).astype(np.int64)[item]
    order = np.argsort(time, kind="stable")
    return Arrivals(time[order], item[order], label[order], kind[order])


def kinds_of(topic: str) -> int:
    """How many kinds of damage, from the front of :data:`DAMAGE`, fit a topic's events."""
    return _KINDS[topic]


def damage(value: bytes, kind: int) -> bytes:
    """Damage an event's bytes in the way ``DAMAGE[kind]``.

    Examples
    --------
    >>> damage(b'{"value":1.5,"unit":"mm","t":1772402400000}', DAMAGE.index("seconds"))
    b'{"value":1.5,"unit":"mm","t":1772402400}'
    """
    name = DAMAGE[kind]
    if name == "cut":
        return value[: len(value) // 2]
    if name == "seconds":
        return _TIME.sub(rb'"t":\1', value, count=1)
    if name == "naive_time":
        return _TIME.sub(
            lambda hit: f'"t":"{local_time(int(hit[1]) * 1000).isoformat()}"'.encode(),
            value,
            count=1,
        )
    if name == "out_of_range":
        return _MEASURE.sub(lambda hit: b'"' + hit[1] + b'":' + _BEYOND[hit[1]], value, count=1)
    if name == "nan":
        return _MEASURE.sub(rb'"\1":NaN', value, count=1)
    return _UNIT.sub(b'"unit":"furlong"', value, count=1)
