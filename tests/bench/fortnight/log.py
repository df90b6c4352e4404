"""The event log of a fortnight as files: disorder, late events and ones that are broken."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.bench.fortnight.stories import Event

DISORDER_MS = 4_000
"""The most that an event comes after its time, below what the topics of the catalogue wait for."""
LATE_MS = (20_000, 100_000, 1_800_000)
"""Behind the disorder, before and after what is still allowed for most topics."""
_OF = ("device", "source_id", "order_id", "warning_id", "id")


class Mess(NamedTuple):
    """Of so many events of the background one is late, is broken, or comes twice."""

    late: int = 50
    broken: int = 200
    repeated: int = 100


USUAL = Mess()


class Log:
    """Collects events, and writes a file a topic in the order in which they come.

    What one device says comes in its order; devices differ in how long it takes.
    """

    def __init__(self, topics: dict[str, str], seed: int, mess: Mess = USUAL) -> None:
        self._topics, self._mess = topics, mess
        self._rng = Random(seed)
        self._records: dict[str, list[tuple[int, int, bytes]]] = defaultdict(list)
        self._delays: dict[str, int] = {}
        self.late = self.broken = self.repeated = 0

    def plant(self, events: Iterable[Event]) -> None:
        """Events of a story: out of order, but not late, broken or repeated."""
        for event in events:
            self._add(event, self._delay(event))

    def surround(self, events: Iterable[Event]) -> None:
        """Events of the background, a few of them with a fault."""
        for event in events:
            delay = self._delay(event)
            if self._one_of(self._mess.late):
                self.late += 1
                delay = self._rng.choice(LATE_MS)
            self._add(event, delay)
            if self._one_of(self._mess.repeated):
                self.repeated += 1
                self._add(event, delay + 1_000)
            if self._one_of(self._mess.broken):
                self.broken += 1
                self._put(event[1], event[0] + delay, b'{"t":')

    def write(self, folder: Path) -> int:
        """One file a topic, and nothing is kept; how many lines all of them have."""
        for kind, records in self._records.items():
            records.sort()
            path = folder / f"{self._topics[kind]}.ndjson"
            path.write_bytes(b"\n".join(raw for _, _, raw in records) + b"\n")
        lines = sum(map(len, self._records.values()))
        self._records.clear()
        return lines

    def _one_of(self, many: int) -> bool:
        return self._rng.randrange(many) == 0

    def _delay(self, event: Event) -> int:
        said = event[2]
        name = next(str(said[field]) for field in _OF if field in said)
        if name not in self._delays:
            self._delays[name] = self._rng.randrange(DISORDER_MS)
        return self._delays[name]

    def _add(self, event: Event, delay: int) -> None:
        t, kind, said = event
        told: dict[str, Any] = {"t_ingest": t + delay, **said}
        self._put(kind, t + delay, json.dumps(told, ensure_ascii=False).encode())

    def _put(self, kind: str, arrival: int, raw: bytes) -> None:
        records = self._records[kind]
        records.append((arrival, len(records), raw))
