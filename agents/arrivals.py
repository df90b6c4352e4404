"""How sensor records arrive: sound, late or refused; whatever became of them, their device spoke.

An arrival counts where the lane's time is when it comes, so nothing is said twice about it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from agents.folds import Room, Route, Router
from agents.plan import Plan, StreamPlan
from schemas.devices import Device
from schemas.facts import Arrival
from schemas.metrics import Metrics
from schemas.places import normalise
from streams.timeline import BEFORE_ALL

_LEGIBLE = {
    name: re.compile(rb'"%s"\s*:\s*"([^"\\\x00-\x1f]{1,64})"' % name.encode())
    for name in ("device", "metric", "place", "site")
}
"""What can be read of a record that is no event: it may be cut, or no JSON at all."""

_SERVICED = {"calib", "maint"}
"""Marks of readings that are not meant to be of the city: neither valid nor not."""

_DEFAULT_PERIOD_S = 300.0
"""Of a device that neither says nor is registered with how often it reports; a proposal."""


_MOST_SENDERS = 1 << 10
"""Those that are remembered at once: most records are read by the gate, which knows them itself."""
_UNKNOWN: Route = []


class Sender(NamedTuple):
    """A device as it says the same of itself again and again: all but the reading is known."""

    arrival: Arrival
    route: Route
    period_ms: int | None
    """Of the register; None where each event says its own, or its metric does."""


class Arrivals:
    """The signs of one lane that count records rather than what they say.

    Parameters
    ----------
    plan, stream
        The compiled configuration, and its part for this stream.
    skew_ms
        How far an event may be ahead of its record to count at its own time.
    room
        What their keys are taken off.
    """

    def __init__(self, plan: Plan, stream: StreamPlan, skew_ms: int, room: Room) -> None:
        self.router, self.room = Router(stream, room), room
        self.known, self.skew_ms = plan.known, skew_ms
        self._metrics = plan.configuration.known_metrics
        self._senders: dict[tuple[Any, ...], Sender] = {}
        # Where a record goes is remembered by its sender, unless what it says decides it.
        matched = {field for sign in stream.signs for field in sign.sign.match}
        self._remembers = not matched & {"valid", "lateness_s"}

    def note(self, event: Any, t: int, logged: int, watermark: int) -> None:
        """Count an event; times in int64 ms, ``t`` its own and ``watermark`` the one before it.

        One that is ahead before the lane's time has begun counts nowhere.
        """
        at = watermark if t > logged + self.skew_ms else max(t, watermark)
        if at == BEFORE_ALL:
            return
        name = _name_of(event)
        arrival, route, period_ms = self._senders.get(name) or self._sender_of(name, event, t)
        arrival.valid = validity_of(event)
        arrival.lateness_s = _lateness_s(event, t, logged)
        if route is _UNKNOWN:
            route = self.router.takers(arrival)
        if period_ms is None:
            period_ms = period_of(event, self._metrics)
        for add, slot, measure, *_ in route:
            pair = measure(arrival)
            if pair is not None:
                add((at, slot, pair[0], pair[1], period_ms))

    def sender(self, event: Any) -> Sender | None:
        """What is known of an event's sender whatever it says, if it is known."""
        return self._senders.get(_name_of(event)) if self._remembers else None

    def new_keys(self, event: Any, t: int, logged: int) -> int:
        """How many keys an event would add."""
        arrival = self._arrival_of(event, self._row_of(event, t))
        arrival.valid, arrival.lateness_s = validity_of(event), _lateness_s(event, t, logged)
        return self.router.new_keys(arrival)

    def _row_of(self, event: Any, t: int) -> Device | None:
        return self.known.find(event.device, event.metric, t)

    def _arrival_of(self, event: Any, row: Device | None) -> Arrival:
        return Arrival(
            device=event.device,
            metric=event.metric,
            platform=(row.platform if row else None) or event.source,
            place=event.place if row is None else row.place,
            site=event.site,
            site_type=event.site_type,
            registered=row is not None,
            valid=None,
            lateness_s=None,
        )

    def _sender_of(self, name: tuple[Any, ...], event: Any, t: int) -> Sender:
        row = self._row_of(event, t)
        arrival = self._arrival_of(event, row)
        period_ms = round(row.period_s * 1000) or None if row else None
        route = self.router.takers(arrival) if self._remembers else _UNKNOWN
        sender = Sender(arrival, route, period_ms)
        if self.known.is_constant(event.device):
            if len(self._senders) >= _MOST_SENDERS:
                self._senders.clear()
            self._senders[name] = sender
        return sender

    def reset(self) -> None:
        """Forget where records go: slots were loaded anew."""
        self._senders.clear()

    def note_refused(self, raw: bytes, watermark: int) -> None:
        """Count a refused record, where its device is legible and the lane's time has begun."""
        device = _read("device", raw)
        if device is None or watermark == BEFORE_ALL:
            return
        metric, site = _read("metric", raw), _read("site", raw)
        row = self.known.find(device, metric, watermark)
        place = _place(raw) if row is None else row.place
        if place is None:
            return
        arrival = Arrival(
            device=device,
            metric=metric if metric in self._metrics else row.kind if row else None,
            # Of the register alone: what was refused becomes no key.
            platform=(row.platform or None) if row else None,
            place=place,
            site=site,
            site_type=None,
            registered=row is not None,
            valid=0.0,
            lateness_s=None,
        )
        if self.router.new_keys(arrival) > max(0, self.room.left):
            return
        self._count(arrival, watermark, row.period_s if row else _DEFAULT_PERIOD_S)

    def _count(self, arrival: Arrival, at: int, period_s: float) -> None:
        self.router.fold(arrival, at, round((period_s or _DEFAULT_PERIOD_S) * 1000))


def validity_of(event: Any) -> float | None:
    """1 or 0; None of a reading that is not meant to be of the city."""
    return None if event.q in _SERVICED else float(event.q != "bad")


def _lateness_s(event: Any, t: int, logged: int) -> float:
    came: int = logged if event.t_ingest is None else event.t_ingest
    return (came - t) / 1000


def period_of(event: Any, metrics: Metrics) -> int:
    """How often its device reports, as the event or its metric says; int64 ms."""
    period_s = event.period_s or metrics[event.metric].period_s or _DEFAULT_PERIOD_S
    return round(period_s * 1000)


def _name_of(event: Any) -> tuple[Any, ...]:
    return (event.device, event.metric, event.place, event.source, event.site, event.site_type)


def _read(name: str, raw: bytes) -> str | None:
    found = _LEGIBLE[name].search(raw)
    if found is None:
        return None
    try:
        return found[1].decode()
    except UnicodeDecodeError:
        return None


def _place(raw: bytes) -> str | None:
    try:
        return normalise(_read("place", raw) or "")
    except ValueError:
        return None
