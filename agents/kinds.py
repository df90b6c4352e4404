"""Senders of one kind say the same but for who and where they are: to know one is to know all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from agents.arrivals import Arrivals, Sender
from agents.folds import Router
from agents.plan import FoldedSign
from agents.readers import observation_sender, reading_sender
from ext.gate import Gate
from schemas.facts import Arrival
from schemas.places import normalise

NAMING = {"sensor": ("device", "place", "site"), "traffic": ("source_id", "place", "site")}
"""The fields that tell senders of a kind apart, by kind of topic: texts of up to 64 characters."""

_SENDERS = {"sensor": reading_sender, "traffic": observation_sender}
_LONGEST = 64
_MOST = 1 << 12
"""Kinds that are remembered: there are as many as senders where each says something of its own."""

_Registered = tuple[str, float] | None
"""What the register says that is not the place: platform and period of a sensor."""


class _Way(NamedTuple):
    """How the gate takes the records of a kind, and which of their takers it measures for."""

    arrival: Arrival | None
    shape: int
    folds: bool
    """Whether their values mean anything."""
    routes: tuple[int, ...]
    arrivals: tuple[int, ...]


class _Kind(NamedTuple):
    event: Any
    """A record of one of them, whose naming fields are set anew for each."""
    ways: dict[_Registered, _Way]


class Kinds:
    """What the gate of a lane knows of kinds of senders.

    Parameters
    ----------
    topic
        Kind of the lane's topic, of `NAMING`.
    signs
        Of the lane; the gate learns each sender by itself where a naming field decides what any
        of them takes, and senders of a kind of which one measures such a field.
    """

    def __init__(
        self,
        topic: str,
        signs: tuple[FoldedSign, ...],
        gate: Gate,
        events: Router,
        arrivals: Arrivals | None,
    ) -> None:
        self._gate, self._events, self._arrivals = gate, events, arrivals
        self._names, self._sender_of = NAMING[topic], _SENDERS[topic]
        self._kinds: dict[tuple[int, int], _Kind] = {}
        self._told_apart = any(_asked_by(sign) & {*self._names} for sign in signs)

    def forget(self) -> None:
        """What was learnt of the gate's shapes holds no more."""
        self._kinds.clear()

    def note(
        self,
        name: tuple[int, int],
        event: Any,
        sender: Sender | None,
        shape: int,
        routes: tuple[int, ...],
        arrivals: tuple[int, ...],
        *,
        folds: bool,
        signs: Iterable[FoldedSign],
    ) -> None:
        """Remember how the gate takes one sender.

        Parameters
        ----------
        name
            Of the kind, as the gate gives it.
        event, sender
            A record of it, and what is known of its device; they are kept.
        routes, arrivals
            Which of the takers of an event, and of an arrival, the gate measures for.
        signs
            Of these takers: a kind whose names are measured is learnt sender by sender.
        """
        if any(_measured_by(sign) & {*self._names} for sign in signs):
            return
        if self._told_apart or len(self._kinds) >= _MOST:
            return
        kind = self._kinds.setdefault(name, _Kind(event, {}))
        arrival = None if sender is None else msgspec.structs.replace(sender.arrival)
        known = self._registered(event, getattr(event, self._names[0]))
        if known is not None:
            kind.ways[known[0]] = _Way(arrival, shape, folds, routes, arrivals)

    def meet(self, raw: bytes, logged: int) -> bool:
        """Teach the gate a sender of a kind that it knows; whether it takes this record now.

        ``logged`` is when the log took it, int64 ms UTC.  Only what the strict way would take as
        new and on time is taught, so that nothing is kept of others.
        """
        found = self._gate.kind_of(raw)
        if found is None or found[1] is None:
            return False
        kind = self._kinds.get(found[0])
        if kind is None:
            return False
        device, code, site = found[1]
        # A kind has the field or has it not: what is required is there.
        assert device is not None
        assert code is not None
        if not 0 < len(device) <= _LONGEST or (site is not None and not 0 < len(site) <= _LONGEST):
            return False
        try:
            place = normalise(code)
        except ValueError:
            return False
        event = kind.event
        known = self._registered(event, device)
        way = None if known is None else kind.ways.get(known[0])
        if known is None or way is None:
            return False
        setattr(event, self._names[0], device)
        event.place, event.site = place, site
        sender = self._sender_of(event)
        if not self._gate.is_new(raw, sender, logged, way.shape):
            return False
        of_event = self._events.slots(event) if way.folds else []
        slots = [of_event[i] for i in way.routes]
        if way.arrival is not None and self._arrivals is not None:
            arrival = way.arrival
            arrival.device, arrival.place, arrival.site = device, known[1] or place, site
            of_arrival = self._arrivals.router.slots(arrival)
            slots += [of_arrival[i] for i in way.arrivals]
        return self._gate.learn(raw, sender, way.shape, slots)

    def _registered(self, event: Any, device: str) -> tuple[_Registered, str | None] | None:
        """What the register says of a device that sends such events, and where it puts it; None
        where it says other things at other times.
        """
        if self._arrivals is None:
            return None, None
        if not self._arrivals.known.is_constant(device):
            return None
        row = self._arrivals.known.find(device, event.metric, event.t)
        return (None, None) if row is None else ((row.platform, row.period_s), row.place)


def _asked_by(sign: FoldedSign) -> set[str]:
    """The fields of an event that decide whether a sign takes it, and where."""
    return {field for field in (*sign.sign.match, sign.dimension) if field is not None}


def _measured_by(sign: FoldedSign) -> set[str]:
    """The fields of an event that decide what a sign measures."""
    aggregate = sign.sign.aggregate
    fields = (aggregate.of, aggregate.over, *aggregate.conditions)
    return {field for field in fields if field is not None}
