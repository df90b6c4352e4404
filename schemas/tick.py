"""Ticks: written statements of time for silent lanes, which every replay obeys."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Tick(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """No event of the lane before a time is waited for any longer.

    Parameters
    ----------
    topic, partition
        The silent lane.
    next_offset
        The tick stands before the record of this offset.
    number
        Number of the tick in its lane, from 1.
    t
        Event time, int64 ms UTC.
    ends
        Whether it ends a log: what lies between is closed only where it holds data.
    generation, owner
        Of the claim under which it was written; 0 and nobody where one engine owns the whole log.
    """

    topic: Annotated[str, Meta(min_length=1, max_length=249)]
    partition: Annotated[int, Meta(ge=0)]
    next_offset: Annotated[int, Meta(ge=0)]
    number: Annotated[int, Meta(ge=1)]
    t: int
    ends: bool = False
    generation: Annotated[int, Meta(ge=0)] = 0
    owner: Annotated[str, Meta(max_length=64)] = ""


class Claim(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """From here on a lane's ticks are those of a new owner.

    Parameters
    ----------
    topic, partition
        The lane.
    generation
        One more than that of the claim before it, from 1.
    owner
        A name that no other process has.
    """

    topic: Annotated[str, Meta(min_length=1, max_length=249)]
    partition: Annotated[int, Meta(ge=0)]
    generation: Annotated[int, Meta(ge=1)]
    owner: Annotated[str, Meta(min_length=1, max_length=64)]
