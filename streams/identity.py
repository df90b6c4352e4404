"""De-duplication in event time: which events a lane has seen."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec

from streams.frozen import Blocks, Frozen, grouped, load_blocks, under
from streams.timeline import MINUTE_MS

Identity = tuple[Any, ...]

_columns = msgspec.msgpack.Decoder(tuple[list[tuple[Any, ...]], list[int]]).decode


class Admission(Enum):
    """What the memory of a lane says of an event."""

    NEW = 0
    REPEAT = 1
    LATE = 2


NEW, REPEAT, LATE = Admission


class _Bucket:
    """What was noted of one minute, in the order in which it came."""

    __slots__ = ("blocks", "identities", "times")

    def __init__(self) -> None:
        self.identities: list[Identity] = []
        self.times: list[int] = []
        self.blocks = Blocks()


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
        self._buckets: dict[int, _Bucket] = {}
        self._turn_to(0)

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
            self._times[identity] = t
            minute = t // MINUTE_MS
            if minute != self._minute:
                self._turn_to(minute)
            bucket = self._bucket
            bucket.identities.append(identity)
            bucket.times.append(t)
        return NEW

    def _turn_to(self, minute: int) -> None:
        bucket = self._buckets.get(minute)
        if bucket is None:
            bucket = self._buckets[minute] = _Bucket()
        self._minute, self._bucket = minute, bucket

    def forget(self, oldest: int) -> None:
        """Drop what is surely older than ``oldest``."""
        for minute in [m for m in self._buckets if (m + 1) * MINUTE_MS <= oldest]:
            if minute == self._minute:
                continue
            for identity in self._buckets.pop(minute).identities:
                if self._times.get(identity, oldest) < oldest:
                    del self._times[identity]

    def dump(self) -> int:
        """What stands beside the parts of `freeze`: the minute that was noted in last."""
        return self._minute

    def freeze(self, *, whole: bool = False) -> Frozen:
        """Parts by minute and block: what was noted is only ever appended to, or dropped."""
        parts: Frozen = {}
        for minute, bucket in self._buckets.items():
            columns = (bucket.identities, bucket.times)
            parts.update(under(str(minute), bucket.blocks.freeze(columns, whole=whole)))
        return parts

    @classmethod
    def load(cls, minute: int, parts: Mapping[str, bytes]) -> Seen:
        seen = cls()
        # The greatest time of an identity is the one noted last, and in the last minute.
        for name, blocks in sorted(grouped(parts).items(), key=lambda item: int(item[0])):
            bucket = seen._buckets[int(name)] = _Bucket()
            for identities, times in load_blocks(blocks, _columns):
                bucket.identities += identities
                bucket.times += times
                seen._times.update(zip(identities, times, strict=True))
            bucket.blocks.loaded(len(bucket.times))
        seen._turn_to(minute)
        return seen
