"""How each kind of event is read: its time, its identity, and the keys it speaks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from schemas.metrics import METRICS
from schemas.places import LEVELS, at_level, level_of
from schemas.words import BY

Event = Any
"""A decoded struct of `schemas`; its fields are reached by the names a catalogue uses."""

UNUSABLE = {"bad", "calib", "maint"}
"""Quality marks of values that say nothing about the city."""


class Key(NamedTuple):
    """What a row is counted for: ``level`` is a place level or a base kind, such as station."""

    level: str
    key: str
    place: str


def reading_identity(e: Event) -> tuple[Any, ...]:
    return (e.source, e.id) if e.id is not None else (e.device, e.metric, e.t, e.seq)


def observation_identity(e: Event) -> tuple[Any, ...]:
    if e.id is not None:
        return (e.source, e.id)
    return (e.kind, e.source_id, e.lane, e.direction, e.t)


def hotline_identity(e: Event) -> tuple[Any, ...] | None:
    """Calls carry no natural key: without an ``id`` each of them counts."""
    if e.id is not None:
        return (e.source, e.id)
    return (e.system, e.order_id, e.seq, e.status) if e.kind == "order" else None


def warning_identity(e: Event) -> tuple[Any, ...] | None:
    return (e.source, e.id, e.t) if e.id is not None else None


def time_of(e: Event) -> int:
    """Event time: where an event has an end, its end (int64 ms UTC)."""
    end: int | None = e.t_end
    t: int = e.t
    return t if end is None else end


def start_time_of(e: Event) -> int:
    t: int = e.t
    return t


def reading_covered(e: Event) -> int | None:
    """The ms a reading speaks for: its own period, else its metric's; None of a bad value."""
    if e.q in UNUSABLE:
        return None
    period = e.period_s
    return round((METRICS[e.metric].period_s if period is None else period) * 1000)


def observation_covered(e: Event) -> int | None:
    """The ms between the ends of an observation; None of a bad one."""
    if e.q in UNUSABLE:
        return None
    return 0 if e.t_end is None else e.t_end - e.t


def nothing_covered(e: Event) -> int | None:
    return 0


class Reader(NamedTuple):
    """How events of one topic kind are read.

    ``covered`` gives the ms an event speaks for, or None where its quality says that it means
    nothing.
    """

    kind: str
    time: Callable[[Event], int]
    identity: Callable[[Event], tuple[Any, ...] | None]
    covered: Callable[[Event], int | None]


READERS: dict[str, Reader] = {
    r.kind: r
    for r in (
        Reader("sensor", time_of, reading_identity, reading_covered),
        Reader("traffic", time_of, observation_identity, observation_covered),
        Reader("hotline", start_time_of, hotline_identity, nothing_covered),
        # A warning's end is when it expires: it lies ahead and says nothing about now.
        Reader("external", start_time_of, warning_identity, nothing_covered),
    )
}


DEVICE: dict[str, str | None] = {
    "sensor": "device",
    "traffic": "source_id",
    "hotline": None,
    "external": None,
    "arrivals": "device",
    "orders": None,
}
"""The field of the thing that reports, by stream."""

PLACING = ("place", "site")
"""Fields of which keys are made, where an event has them."""


def base_key(base: str, device_field: str | None, event: Event, dimension: str | None) -> Key:
    """The key an event is folded under.

    A place base takes the event's place, cut to the level; an event that knows its place less
    precisely counts at its own level.  A station or site is the event's ``site`` where it has one,
    else the device; device, segment and intersection are the reporting thing itself.

    Parameters
    ----------
    base
        Key level of the sign.
    device_field
        Field of the reporting thing; None where there is none.
    dimension
        Field that divides the keys of places, such as ``category``; an event without it counts for
        the places alone.
    """
    place: str = event.place
    if base in LEVELS:
        known = at_level(place, base) or place
        level = level_of(known)
        divided = None if dimension is None else getattr(event, dimension)
        if divided is None:
            return Key(level, known, known)
        return Key(f"{dimension}{BY}{level}", f"{divided}{BY}{known}", known)
    device = getattr(event, device_field) if device_field else place
    if base in ("station", "site"):
        return Key(base, event.site or device, place)
    return Key(base, device, place)
