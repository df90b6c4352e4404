"""De-duplication in event time: which events a lane has seen."""

from __future__ import annotations

from typing import Any

from streams.timeline import MINUTE_MS

Identity = tuple[Any, ...]


class Seen:
    """Identities of events not older than the watermark minus the allowed lateness.

    An older repeat needs no memory: by then it is late, so nothing counts twice.

    Examples
    --------
    >>> seen = Seen()
    >>> seen.repeats(("a",), oldest=0), seen.note(("a",), 10), seen.repeats(("a",), oldest=0)
    (False, None, True)
    >>> seen.repeats(("a",), oldest=11)
    False
    """

    __slots__ = ("_buckets", "_times")

    def __init__(self) -> None:
        self._times: dict[Identity, int] = {}
        self._buckets: dict[int, list[Identity]] = {}

    def __len__(self) -> int:
        return len(self._times)

    def repeats(self, identity: Identity, oldest: int) -> bool:
        """Whether the identity was noted with an event time not before ``oldest`` (ms)."""
        t = self._times.get(identity)
        return t is not None and t >= oldest

    def note(self, identity: Identity, t: int) -> None:
        self._times[identity] = t
        minute = t // MINUTE_MS
        bucket = self._buckets.get(minute)
        if bucket is None:
            self._buckets[minute] = [identity]
        else:
            bucket.append(identity)

    def forget(self, oldest: int) -> None:
        """Drop what is surely older than ``oldest``."""
        for minute in [m for m in self._buckets if (m + 1) * MINUTE_MS <= oldest]:
            for identity in self._buckets.pop(minute):
                if self._times.get(identity, oldest) < oldest:
                    del self._times[identity]

    def dump(self) -> list[Any]:
        return list(self._times.items())

    @classmethod
    def load(cls, data: list[Any]) -> Seen:
        seen = cls()
        for identity, t in data:
            seen.note(tuple(identity), t)
        return seen
