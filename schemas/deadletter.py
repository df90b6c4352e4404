"""Dead letters: which record was refused, and why; never what it held (rule R9)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.refusal import CODES


class DeadLetter(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """A record that did not pass the gate.

    Parameters
    ----------
    topic, partition, offset
        Where the record stands in the log.
    timestamp
        The log's own, int64 ms UTC.
    reason
        One of `CODES`.
    where
        Path of the field or byte in the record.
    hint
        What is wrong and what to do.
    size
        Bytes of the record.
    attempt
        How often the record has been tried, from 1.
    """

    topic: Annotated[str, Meta(min_length=1, max_length=249)]
    partition: Annotated[int, Meta(ge=0)]
    offset: Annotated[int, Meta(ge=0)]
    timestamp: int
    reason: Annotated[str, Meta(extra_json_schema={"enum": list(CODES)})]
    where: str
    hint: str
    size: Annotated[int, Meta(ge=0)]
    attempt: Annotated[int, Meta(ge=1)]
