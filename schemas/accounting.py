"""Accounting of a lane: where every event of it went, as of one place in its log."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

_Count = Annotated[int, Meta(ge=0)]


class LaneAccounting(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """Counts of one lane since its first offset: ``read`` is the sum of the five bins after it.

    Parameters
    ----------
    topic, partition
        The lane.
    next_offset, ticks
        What of it is counted: the records before this offset, and so many ticks.
    watermark
        How far its event time has come, int64 ms UTC; null before the first event.
    read, rejected, duplicate, late, filtered, accepted
        Events, each in one bin.
    accepted_late
        Those of the accepted that came behind the watermark.
    remainder
        Events in no bin: zero, or the engine lost or invented some.
    """

    topic: Annotated[str, Meta(min_length=1, max_length=249)]
    partition: _Count
    next_offset: _Count
    ticks: _Count
    watermark: int | None
    read: _Count
    rejected: _Count
    duplicate: _Count
    late: _Count
    filtered: _Count
    accepted: _Count
    accepted_late: _Count
    remainder: int
