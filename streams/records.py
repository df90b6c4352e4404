"""What a transport hands to the engine: records of one partition, in the order of the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Lane(NamedTuple):
    """One input partition, processed in order by one owner."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


@dataclass(slots=True)
class Chunk:
    """Records of one lane with rising offsets.

    Parameters
    ----------
    offsets
        Offset of each record; a plain ``range`` where the log has no gaps.
    timestamps
        The log's timestamp of each record, int64 ms UTC.
    keys, values
        Bytes as they stand in the log; a missing key is None.
    headers
        One entry for all records of the chunk, or empty.
    began, ended
        Where reading began and where it goes on, where that is before the first record or after
        the last: compacted and transactional topics have offsets without a record.
    """

    topic: str
    partition: int
    offsets: Sequence[int]
    timestamps: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes]
    headers: tuple[tuple[str, bytes], ...] = field(default=())
    began: int | None = None
    ended: int | None = None

    @property
    def lane(self) -> Lane:
        return Lane(self.topic, self.partition)

    @property
    def first_offset(self) -> int:
        """Where reading began."""
        return self.offsets[0] if self.began is None else self.began

    @property
    def next_offset(self) -> int:
        """Where to read on after this chunk."""
        return self.offsets[-1] + 1 if self.ended is None else self.ended

    def __len__(self) -> int:
        return len(self.values)


def split(chunk: Chunk, at: int) -> tuple[Chunk, Chunk]:
    """A chunk's first ``at`` records, and the rest."""

    def part(records: slice, began: int | None, ended: int | None) -> Chunk:
        return Chunk(
            chunk.topic,
            chunk.partition,
            chunk.offsets[records],
            chunk.timestamps[records],
            chunk.keys[records],
            chunk.values[records],
            chunk.headers,
            began,
            ended,
        )

    border = chunk.offsets[at] if at < len(chunk) else chunk.next_offset
    return (
        part(slice(None, at), chunk.began, border),
        part(slice(at, None), border, chunk.ended),
    )


class Output(NamedTuple):
    """A record the engine sends: deterministic key, value and ``ce_id`` (rule R6)."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int
    partition: int | None = None
    """Where it must go, if its key does not say."""
