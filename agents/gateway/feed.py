"""Where the gateway reads what the engine says, and where it puts events and commands."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from agents.commands.folder import is_running
from agents.outputs import ACCOUNTING, ALERT_LOG, ALERTS, DEAD_LETTER, VITALS, VITALS_LOG
from agents.recordings import PACE, POSITION, REPLAYED, Emitted, append
from streams.log_store import LogStore
from streams.log_types import UnknownTopic
from streams.records import Chunk, Lane

KEPT = 5_000
"""Transitions that are read again at the start."""
_AT_ONCE = 4_000

Engine = Literal["running", "stopped", "unknown"]
Numbered = tuple[int, bytes]
"""A record by its place in its log."""


@dataclass
class Batch:
    """What is new: newest results by key, transitions and refused records by number, accounting."""

    results: list[tuple[bytes, bytes]] = field(default_factory=list)
    alerts: list[bytes] = field(default_factory=list)
    transitions: list[Numbered] = field(default_factory=list)
    accounting: list[bytes] = field(default_factory=list)
    next_number: int = 0
    """Of the next transition, as far as the log's end is known."""


class Feed(Protocol):
    """Blocks, so every call but `now` is for a thread."""

    marks_devices: bool
    """Whether alerts of devices that their lane judges by itself can be marked."""

    def begin(self) -> Batch:
        """All that is known so far."""
        ...

    def poll(self) -> Batch:
        """What came since the last call."""
        ...

    def results_log(self, position: int, reader: str) -> list[Numbered]:
        """Results of the whole log from a place on, some thousands at once.

        ``reader`` says who reads on: each has a place of its own.
        """
        ...

    def transitions(self, number: int, most: int) -> list[Numbered]:
        """Transitions from a number on, each once."""
        ...

    def first_transition(self) -> int:
        """Number of the oldest that is still in the log."""
        ...

    def record(self, topic: str, partition: int, offset: int) -> bytes | None:
        """A record of an input topic, if it is still there."""
        ...

    def dead_letters(self, most: int) -> list[Numbered]:
        """The newest refused records, the newest first."""
        ...

    def ends(self) -> dict[Lane, int]:
        """Ends of the logs of the lanes, as far as they are known."""
        ...

    def now(self) -> int | None:
        """The city's clock, int64 ms UTC; None where events are recorded ones."""
        ...

    def pace(self) -> float:
        """Seconds of the city's clock that pass in one."""
        ...

    def engine(self) -> Engine:
        """Whether an engine runs."""
        ...

    def partitions(self, topic: str) -> int:
        """How many an input topic has."""
        ...

    def put(self, records: Sequence[Emitted]) -> list[int]:
        """Append records; the offset of each, once it is durable."""
        ...

    def close(self) -> None: ...


def _rows(chunks: Iterable[Chunk]) -> list[tuple[int, bytes, bytes]]:
    """Offset, key and value of each record."""
    columns = ((chunk.offsets, chunk.keys, chunk.values) for chunk in chunks)
    return [(at, key or b"", value) for one in columns for at, key, value in zip(*one, strict=True)]


class FolderFeed:
    """The log of a data folder.

    Parameters
    ----------
    store
        Open; the caller closes it.
    """

    marks_devices = True

    def __init__(self, store: LogStore, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._next = dict.fromkeys((VITALS, ALERT_LOG, ACCOUNTING), 0)

    def begin(self) -> Batch:
        store = self._store
        known = {topic.name for topic in store.topics()}
        if not known.issuperset(self._next):
            return Batch()  # no engine was here yet: all of it comes with the polls
        # Ends first: what comes while the state is read comes again with the first poll.
        self._next = {topic: store.end_offset(topic, 0) for topic in self._next}
        end = self._next[ALERT_LOG]
        return Batch(
            results=[(row.key, row.value) for row in store.latest(VITALS)],
            alerts=[row.value for row in store.latest(ALERTS)],
            transitions=self._all(ALERT_LOG, max(0, end - KEPT), end),
            accounting=[row.value for row in store.latest(ACCOUNTING)],
            next_number=end,
        )

    def poll(self) -> Batch:
        try:
            found = {topic: self._new(topic) for topic in self._next}
        except UnknownTopic:
            return Batch()
        # Not before all of it was read: what one failed at comes again.
        self._next = {topic: at for topic, (_, at) in found.items()}
        rows = {topic: _rows(chunks) for topic, (chunks, _) in found.items()}
        return Batch(
            results=[(key, value) for _, key, value in rows[VITALS]],
            transitions=[(offset, value) for offset, _, value in rows[ALERT_LOG]],
            accounting=[value for _, _, value in rows[ACCOUNTING]],
        )

    def _new(self, topic: str) -> tuple[list[Chunk], int]:
        """What came since the last poll, and where it ends."""
        found, at = list[Chunk](), self._next[topic]
        while chunks := self._store.read(topic, 0, at, _AT_ONCE):
            found += chunks
            at = chunks[-1].next_offset
        return found, at

    def _all(self, topic: str, first: int, end: int) -> list[Numbered]:
        found: list[Numbered] = []
        while first < end and (page := self._page(topic, first)):
            found += [row for row in page if row[0] < end]
            first = page[-1][0] + 1
        return found

    def _page(self, topic: str, offset: int, most: int = _AT_ONCE) -> list[Numbered]:
        chunks = self._store.read(topic, 0, offset, most)
        return [row for chunk in chunks for row in zip(chunk.offsets, chunk.values, strict=True)]

    def results_log(self, position: int, reader: str) -> list[Numbered]:
        try:
            return self._page(VITALS_LOG, position)
        except UnknownTopic:
            return []

    def transitions(self, number: int, most: int) -> list[Numbered]:
        return self._page(ALERT_LOG, number, most)[:most]

    def first_transition(self) -> int:
        try:
            return self._store.first_offset(ALERT_LOG, 0)
        except UnknownTopic:
            return 0

    def record(self, topic: str, partition: int, offset: int) -> bytes | None:
        try:
            chunks = self._store.read(topic, partition, offset, 1)
        except UnknownTopic:
            return None
        for chunk in chunks:
            if len(chunk) and chunk.offsets[0] == offset:
                return chunk.values[0]
        return None

    def dead_letters(self, most: int) -> list[Numbered]:
        try:
            end = self._store.end_offset(DEAD_LETTER, 0)
            return self._all(DEAD_LETTER, max(0, end - most), end)[::-1]
        except UnknownTopic:
            return []

    def ends(self) -> dict[Lane, int]:
        return self._store.end_offsets()

    def now(self) -> int | None:
        # A simulated city has its own time, and a replay none.
        position = self._store.meta(POSITION)
        if position is None and self._store.meta(REPLAYED) is not None:
            return None
        return int(position or time.time_ns() // 1_000_000)

    def pace(self) -> float:
        return float(self._store.meta(PACE) or 1)

    def engine(self) -> Engine:
        return "running" if is_running(self._folder) else "stopped"

    def partitions(self, topic: str) -> int:
        return self._store.partitions(topic)

    def put(self, records: Sequence[Emitted]) -> list[int]:
        now, offsets = self.now() or time.time_ns() // 1_000_000, []
        stamped = [record._replace(timestamp=now) for record in records]
        with self._store.transaction() as tx:
            ends = self._store.end_offsets()
            for record in stamped:
                lane = Lane(record.topic, record.partition)
                offsets.append(ends.get(lane, 0))
                ends[lane] = offsets[-1] + 1
            append(tx, stamped)
        return offsets

    def close(self) -> None:
        """The store is the caller's."""
