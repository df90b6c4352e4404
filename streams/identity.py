"""De-duplication in event time: which events a lane has seen."""

from __future__ import annotations

from enum import Enum
from typing import Any

from streams.timeline import MINUTE_MS

Identity = tuple[Any, ...]


class Admission(Enum):
    """What the memory of a lane says of an event."""

    NEW = 0
    REPEAT = 1
    LATE = 2


NEW, REPEAT, LATE = Admission


class Seen:
    """Identities of events not older than the watermark minus the allowed lateness.

    An older repeat needs no memory: by then it is late, so nothing counts twice.

    Examples
    --------
    >>> seen = Seen()
    >>> seen.admit(("a",), 10, oldest=0), seen.admit(("a",), 10, oldest=0)
    (<Admission.NEW: 0>, <Admission.REPEAT: 1>)
    >>> seen.admit(("a",), 10, oldest=11)
    <Admission.LATE: 2>
    """

    __slots__ = ("_bucket", "_buckets", "_minute", "_times")

    def __init__(self) -> None:
        self._times: dict[Identity, int] = {}
        self._buckets: dict[int, list[Identity]] = {}
        self._minute, self._bucket = 0, self._buckets.setdefault(0, [])

    def __len__(self) -> int:
        return len(self._times)

    def admit(self, identity: Identity | None, t: int, oldest: int) -> Admission:
        """Note an event of time ``t`` (ms) unless it is a repeat, or else late.

        It repeats where its identity was noted with a time not before ``oldest``, and is late
        where its own time is before that.  An event without an identity is never a repeat.
        """
        if identity is not None:
            noted = self._times.get(identity)
            if noted is not None and noted >= oldest:
                return REPEAT
        if t < oldest:
            return LATE
        if identity is not None:
            self._note(identity, t)
        return NEW

    def _note(self, identity: Identity, t: int) -> None:
        self._times[identity] = t
        minute = t // MINUTE_MS
        if minute != self._minute:
            self._minute, self._bucket = minute, self._buckets.setdefault(minute, [])
        self._bucket.append(identity)

    def forget(self, oldest: int) -> None:
        """Drop what is surely older than ``oldest``."""
        for minute in [m for m in self._buckets if (m + 1) * MINUTE_MS <= oldest]:
            if minute == self._minute:
                continue
            for identity in self._buckets.pop(minute):
                if self._times.get(identity, oldest) < oldest:
                    del self._times[identity]

    def dump(self) -> list[Any]:
        return list(self._times.items())

    @classmethod
    def load(cls, data: list[Any]) -> Seen:
        seen = cls()
        for identity, t in data:
            seen._note(tuple(identity), t)
        return seen
