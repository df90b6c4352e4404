"""How each kind of event is read: its time, its identity, and the keys it speaks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from schemas.metrics import METRICS, Metrics
from schemas.places import LEVELS, at_level, level_of
from schemas.words import BY
from streams.cuts import Key
from streams.identity import Identity

Event = Any
"""A decoded struct of `schemas`; its fields are reached by the names a catalogue uses."""

UNUSABLE = {"bad", "calib", "maint"}
"""Quality marks of values that say nothing about the city."""


def _of_id(e: Event, *more: object) -> Identity:
    """An identity of the event's own id, which is unique for its source."""
    return Identity(b"i" + (e.source or "").encode(), _joined(e.id, *more))


def _joined(*words: object) -> bytes:
    # No text of an event holds a control character.
    return "\x1f".join("" if word is None else str(word) for word in words).encode()


def reading_identity(e: Event) -> Identity:
    if e.id is not None:
        return _of_id(e)
    return Identity(reading_sender(e), None, e.t, -1 if e.seq is None else e.seq)


def reading_sender(e: Event) -> bytes:
    """What of a reading's identity is the same in all readings of its sender."""
    return _joined(e.device, e.metric)


def observation_identity(e: Event) -> Identity:
    return _of_id(e) if e.id is not None else Identity(observation_sender(e), None, e.t)


def observation_sender(e: Event) -> bytes:
    """What of an observation's identity is the same in all observations of its sender."""
    return _joined(e.kind, e.source_id, e.lane, e.direction)


def hotline_identity(e: Event) -> Identity | None:
    """Calls carry no natural key: without an ``id`` each of them counts."""
    if e.id is not None:
        return _of_id(e)
    if e.kind != "order":
        return None
    return Identity(b"o", _joined(e.system, e.order_id, e.seq, e.status))


def warning_identity(e: Event) -> Identity | None:
    return _of_id(e, e.t) if e.id is not None else None


def time_of(e: Event) -> int:
    """Event time: where an event has an end, its end (int64 ms UTC)."""
    end: int | None = e.t_end
    t: int = e.t
    return t if end is None else end


def start_time_of(e: Event) -> int:
    t: int = e.t
    return t


def reading_covered(e: Event, metrics: Metrics = METRICS) -> int | None:
    """The ms a reading speaks for: its own period, else its metric's; None of a bad value.

    One of many samples speaks for their whole time, or for a period each.
    """
    if e.q in UNUSABLE:
        return None
    samples = samples_of(e)
    if samples > 1 and e.t_end is not None:
        return int(e.t_end - e.t)
    period = e.period_s
    return samples * round((metrics[e.metric].period_s if period is None else period) * 1000)


def samples_of(e: Event) -> int:
    """Of how many samples a value is the mean, as its reading states; else 1."""
    stat = getattr(e, "stat", None)
    return 1 if stat is None or stat.n is None else int(stat.n)


def observation_covered(e: Event) -> int | None:
    """The ms between the ends of an observation, else its period; None of a bad one."""
    if e.q in UNUSABLE:
        return None
    if e.t_end is not None:
        return int(e.t_end - e.t)
    return 0 if e.period_s is None else round(e.period_s * 1000)


def warning_covered(e: Event) -> int | None:
    """A third of the ms for which a warning holds: a sample is stale after three of its periods.
    One that was cancelled is stale at once."""
    return 0 if e.status == "cancelled" else (max(0, int(e.t_expires - e.t)) + 2) // 3


def nothing_covered(e: Event) -> int | None:
    return 0


class Reader(NamedTuple):
    """How events of one topic kind are read.

    ``covered`` gives the ms an event speaks for, or None where its quality says that it means
    nothing.
    """

    kind: str
    time: Callable[[Event], int]
    identity: Callable[[Event], Identity | None]
    covered: Callable[[Event], int | None]


READERS: dict[str, Reader] = {
    r.kind: r
    for r in (
        Reader("sensor", time_of, reading_identity, reading_covered),
        Reader("traffic", time_of, observation_identity, observation_covered),
        Reader("hotline", start_time_of, hotline_identity, nothing_covered),
        # A warning's end is when it expires: it lies ahead and says nothing about now.
        Reader("external", start_time_of, warning_identity, warning_covered),
    )
}


def reader_of(kind: str, metrics: Metrics) -> Reader:
    """How events of a topic kind are read, where these are the metrics."""
    reader = READERS[kind]
    if kind != "sensor" or metrics is METRICS:
        return reader
    return reader._replace(covered=partial(reading_covered, metrics=metrics))


DEVICE: dict[str, str | None] = {
    "sensor": "device",
    "traffic": "source_id",
    "hotline": None,
    "external": "warning_id",
    "arrivals": "device",
    "orders": None,
}
"""The field of the thing that reports, by stream."""


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
