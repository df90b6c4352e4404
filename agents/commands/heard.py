"""Who speaks in the input topics of a data folder, held against the register."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from agents.readers import time_of
from agents.shapes import Shapes, decode_of
from schemas.metrics import METRICS
from schemas.refusal import Refused
from schemas.register import KINDS, Device, Register
from streams.log_store import LogStore
from streams.records import Chunk, Lane

PERIODS = 3
"""Periods of silence after which a device is missing, as signs of sampled state have it."""

_SKEW_MS = 60_000
"""An event further ahead of its record than this says nothing about how far the log goes."""

_NAMES = {"sensor": ("device", "metric"), "traffic": ("source_id", "kind")}


class _Legible(msgspec.Struct, gc=False):
    device: Any = None
    metric: Any = None
    source_id: Any = None
    kind: Any = None


_legible = msgspec.json.Decoder(_Legible).decode


HAPPENINGS = frozenset(
    {"incident", "vehicle_event", "remote_sensing"}
    | {code for code, metric in METRICS.items() if metric.period_s == 0}
)
"""Kinds of report that come when something happens."""


@dataclass(slots=True)
class Unknown:
    """A device whose events no row of the register covers.

    Parameters
    ----------
    place
        Of its last event in the log.
    first, last
        Event times of the events that are not covered, int64 ms UTC.
    count
        How many there are.
    why
        ``unlisted``, or ``other_time``: its rows count for other times than it speaks.
    """

    device: str
    topic: str
    kind: str
    place: str
    first: int
    last: int
    count: int
    why: Literal["unlisted", "other_time"]


class Silent(NamedTuple):
    """Registered devices without an event, and how many can not be judged by so short a log."""

    never_heard: list[Device]
    not_judged: int


@dataclass
class Hearing:
    """Takes the records of lanes, and knows in the end who spoke.

    Parameters
    ----------
    register
        Who is expected.
    shapes
        Of the topics whose records are no events of ours.
    """

    register: Register
    shapes: Shapes = field(default_factory=dict)
    records: int = 0
    refused: int = 0
    last: int | None = None
    _began: dict[Lane, int] = field(default_factory=dict)
    _rows: dict[tuple[str, str], tuple[Device, ...]] = field(default_factory=dict)
    _unknown: dict[tuple[str, str], Unknown] = field(default_factory=dict)
    _legible: set[tuple[Any, Any]] = field(default_factory=set)

    @property
    def first(self) -> int | None:
        """Event time from which on the log is kept, int64 ms UTC; `last` is that of its end."""
        return min(self._began.values(), default=None)

    def take(self, topic: str, chunk: Chunk) -> None:
        """Hear the records of a chunk, in the order of its lane.

        Parameters
        ----------
        topic
            Kind of the topic: ``sensor`` or ``traffic``.
        """
        name, what = _NAMES[topic]
        decode = decode_of(chunk.topic, topic, self.shapes)
        for timestamp, raw in zip(chunk.timestamps, chunk.values, strict=True):
            self.records += 1
            try:
                event: Any = decode(raw)
            except Refused:
                self._hear_refused(raw, name, what)
                continue
            device, kind, t = getattr(event, name), getattr(event, what), time_of(event)
            if t <= timestamp + _SKEW_MS:
                # What comes late later on says nothing about where the lane's log begins.
                self._began.setdefault(chunk.lane, t)
                self.last = t if self.last is None else max(self.last, t)
            rows = self._rows.get((device, kind))
            if rows is None:
                rows = self._rows[device, kind] = self.register.rows(device, kind)
            if any(row.counts_at(t) for row in rows):
                continue
            unknown = self._unknown.get((device, kind))
            if unknown is None:
                why: Literal["unlisted", "other_time"] = "other_time" if rows else "unlisted"
                unknown = Unknown(device, topic, kind, event.place, t, t, 0, why)
                self._unknown[device, kind] = unknown
            unknown.place = event.place
            unknown.first, unknown.last = min(unknown.first, t), max(unknown.last, t)
            unknown.count += 1

    def _hear_refused(self, raw: bytes, name: str, what: str) -> None:
        """A device that sends what is refused is not silent."""
        self.refused += 1
        try:
            found = _legible(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return
        said = getattr(found, name), getattr(found, what)
        if all(isinstance(text, str) for text in said):
            self._legible.add(said)

    def unknown(self) -> list[Unknown]:
        """Devices that no row covers, by device and kind.

        Happenings are nothing that a register expects: a device that is listed with another kind
        may report them.
        """
        listed = {device.device for device in self.register.devices}
        return [
            self._unknown[device, kind]
            for device, kind in sorted(self._unknown)
            if not (kind in HAPPENINGS and device in listed)
        ]

    def silent(self) -> Silent:
        """Registered devices that should have spoken at least `PERIODS` times, and did not."""
        never_heard: list[Device] = []
        not_judged = 0
        first = self.first
        for rows in self.register.groups():
            name = (rows[-1].device, rows[-1].kind)
            if name in self._rows or name in self._legible:
                continue
            due = [row for row in rows if self._due(row, first)]
            if due:
                never_heard.append(due[-1])
            else:
                not_judged += 1
        return Silent(never_heard, not_judged)

    def _due(self, row: Device, first: int | None) -> bool:
        if first is None or self.last is None or row.period_s == 0:
            return False
        end = self.last if row.until is None else min(self.last, row.until)
        return end - max(first, row.since) >= PERIODS * row.period_s * 1000


def listen(
    store: LogStore, kinds: dict[str, str], hearing: Hearing, progress: Callable[[int, int], None]
) -> None:
    """Hear everything that the log still keeps of the input topics with devices.

    Parameters
    ----------
    kinds
        Kind of the events by input topic.
    progress
        Told how many records are done, and how many there are.
    """
    lanes = list(_lanes(store, kinds))
    done, total = 0, sum(end - first for *_, first, end in lanes)
    for topic, partition, first, end in lanes:
        at = first
        # What is appended from now on is left to the next time.
        while at < end:
            chunks = store.read(topic, partition, at)
            if not chunks:
                break
            for chunk in chunks:
                hearing.take(kinds[topic], chunk)
            done, at = done + chunks[-1].next_offset - at, chunks[-1].next_offset
            progress(done, total)


def _lanes(store: LogStore, kinds: dict[str, str]) -> Iterator[tuple[str, int, int, int]]:
    """Topic, partition, first offset kept and end of each lane of readings or observations."""
    for topic in store.topics():
        if kinds.get(topic.name) in KINDS:
            for partition in range(topic.partitions):
                first = store.first_offset(topic.name, partition)
                yield topic.name, partition, first, store.end_offset(topic.name, partition)
