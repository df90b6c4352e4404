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
    """

    topic: str
    partition: int
    offsets: Sequence[int]
    timestamps: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes]
    headers: tuple[tuple[str, bytes], ...] = field(default=())

    @property
    def lane(self) -> Lane:
        return Lane(self.topic, self.partition)

    @property
    def next_offset(self) -> int:
        """Where to read on after this chunk."""
        return self.offsets[-1] + 1

    def __len__(self) -> int:
        return len(self.values)


def split(chunk: Chunk, at: int) -> tuple[Chunk, Chunk]:
    """A chunk's first ``at`` records, and the rest."""

    def part(records: slice) -> Chunk:
        return Chunk(
            chunk.topic,
            chunk.partition,
            chunk.offsets[records],
            chunk.timestamps[records],
            chunk.keys[records],
            chunk.values[records],
            chunk.headers,
        )

    return part(slice(None, at)), part(slice(at, None))


class Output(NamedTuple):
    """A record the engine sends: deterministic key, value and ``ce_id`` (rule R6)."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int
