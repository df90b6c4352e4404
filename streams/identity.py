"""De-duplication in event time: which events a lane has seen."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import partial
from typing import NamedTuple

from ext import seen as kernel
from streams.frozen import Blocks, Frozen, decode_packed, grouped, under


class Identity(NamedTuple):
    """What tells an event from others.

    Parameters
    ----------
    sender
        What is the same in all events of its sender, as bytes that no other sender has.
    id
        The event's own; None where its time and the sender's counter tell it from others.
    stated
        The time in it, int64 ms UTC.
    seq
        Of the sender's counter; -1 without one.
    """

    sender: bytes
    id: bytes | None
    stated: int = 0
    seq: int = -1


class Admission(Enum):
    """What the memory of a lane says of an event."""

    NEW = 0
    REPEAT = 1
    LATE = 2


NEW, REPEAT, LATE = Admission
_ADMISSIONS = (NEW, REPEAT, LATE)


class Seen:
    """Identities of events not older than the watermark minus the allowed lateness.

    An older repeat needs no memory: by then it is late, so nothing counts twice.

    Attributes
    ----------
    table
        Where they are kept, for the gate of a lane to share.

    Examples
    --------
    >>> seen, event = Seen(), Identity(b"a", None, 10)
    >>> seen.admit(event, 10, oldest=0), seen.admit(event, 10, oldest=0)
    (<Admission.NEW: 0>, <Admission.REPEAT: 1>)
    >>> seen.admit(event, 10, oldest=11)
    <Admission.LATE: 2>
    """

    __slots__ = ("_blocks", "table")

    def __init__(self) -> None:
        self.table = kernel.Seen()
        self._blocks: dict[int, Blocks] = {}

    def __len__(self) -> int:
        return len(self.table)

    def admit(self, identity: Identity | None, t: int, oldest: int) -> Admission:
        """Note an event of time ``t`` (ms) unless it is a repeat, or else late.

        It repeats where its identity was noted with a time not before ``oldest``, and is late
        where its own time is before that.  An event without an identity is never a repeat.
        """
        if identity is None:
            return LATE if t < oldest else NEW
        sender, own, stated, seq = identity
        return _ADMISSIONS[self.table.admit(sender, own, stated, t, oldest, seq)]

    def forget(self, oldest: int) -> None:
        """Drop what is surely older than ``oldest``."""
        self.table.forget(oldest)

    def dump(self) -> bool:
        """What stands beside the parts of `freeze`."""
        return self.table.roams

    def freeze(self, *, whole: bool = False) -> Frozen:
        """Parts by minute and block: what was noted is only ever appended to, or dropped."""
        parts: Frozen = {}
        known, minutes = self._blocks, self.table.minutes()
        self._blocks = {minute: known.get(minute) or Blocks() for minute in minutes}
        for minute, count in minutes.items():
            packed = partial(self.table.packed, minute)
            taken = self._blocks[minute].freeze_packed(count, packed, whole=whole)
            parts.update(under(str(minute), taken))
        return parts

    def load(self, roams: bool, parts: Mapping[str, bytes]) -> None:
        """Take over the state of an empty memory from a dump and all parts of one freeze."""
        self.table.roams = roams
        for name, blocks in grouped(parts).items():
            minute = int(name)
            self.table.load(minute, decode_packed(blocks))
            self._blocks[minute] = Blocks()
        for minute, count in self.table.minutes().items():
            self._blocks[minute].loaded(count)
