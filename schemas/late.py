"""Late events: which record came beyond the allowed lateness, and how far behind it was."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class LateEvent(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """An event that came too late to count.

    Parameters
    ----------
    topic, partition, offset
        Where the record stands in the log.
    t
        Event time, int64 ms UTC.
    late_by_ms
        How far the event was behind its lane's watermark.
    """

    topic: Annotated[str, Meta(min_length=1, max_length=249)]
    partition: Annotated[int, Meta(ge=0)]
    offset: Annotated[int, Meta(ge=0)]
    t: int
    late_by_ms: Annotated[int, Meta(ge=0)]
