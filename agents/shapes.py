"""The shapes of records that are no events of ours, by topic: for whoever reads or keys lines.

They travel as plain data, between processes and in the data folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from schemas.configuration import Topic
from schemas.record_shapes import RecordShape
from schemas.shaping import Decode, Shaper, decoder_of
from streams.event_logs import Head, head

Shapes: TypeAlias = dict[str, tuple[str, dict[str, Any]]]
"""Kind and shape of each topic whose records have one."""

HeadOf: TypeAlias = Callable[[bytes], Head]


def shapes_of(topics: Iterable[Topic]) -> Shapes:
    """The shapes of those topics that have one."""
    return {t.name: (t.kind, t.record.model_dump()) for t in topics if t.record is not None}


def head_of(topic: str, shapes: Shapes) -> HeadOf:
    """What tells key and timestamp of the records of a topic."""
    if topic not in shapes:
        return head
    kind, shape = shapes[topic]
    read = Shaper(kind, RecordShape.model_validate(shape)).head
    return lambda line: Head(*read(line))


def decode_of(topic: str, kind: str, shapes: Shapes) -> Decode:
    """What reads the records of a topic."""
    shape = RecordShape.model_validate(shapes[topic][1]) if topic in shapes else None
    return decoder_of(kind, shape)
