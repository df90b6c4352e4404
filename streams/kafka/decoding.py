"""What a fetch brought of one partition, as chunks instead of records.

aiokafka's decoder reads the batches: checksums, compression, and which batches are control
records or of an aborted transaction.  An object a record would cost three times as much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiokafka.consumer.fetcher import (  # type: ignore[import-untyped]
    PartitionRecords,
)
from aiokafka.errors import CorruptRecordException  # type: ignore[import-untyped]

from streams.records import Chunk, Lane

CHUNK_RECORDS = 5_000
CHUNK_BYTES = 1 << 20
"""Bytes of values; a record that is larger is a chunk of its own."""

Headers: TypeAlias = tuple[tuple[str, bytes], ...]


class ChunkRecords(PartitionRecords):  # type: ignore[misc]
    """Iterates over the chunks of a fetch, instead of its records.

    Each chunk begins where the one before it ended, with control records, aborted transactions
    and compacted gaps inside, and `next_fetch_offset` is always the end of the last one: an error
    loses nothing.

    Parameters
    ----------
    fetched
        What aiokafka made of the answer of the broker, not yet iterated over.
    lane
        Whose chunks they are.
    kept_headers
        Names of the headers that chunks keep.
    """

    next_fetch_offset: int

    def __init__(self, fetched: PartitionRecords, lane: Lane, kept_headers: frozenset[str]) -> None:
        super().__init__(
            fetched._tp,
            fetched._records,
            fetched._aborted_transactions,
            fetched.next_fetch_offset,
            None,
            None,
            fetched._check_crcs,
            fetched._isolation_level,
        )
        self._lane = lane
        self._kept_headers = kept_headers

    def _unpack_records(self) -> Iterator[Chunk]:
        rows, end = _Rows(), self.next_fetch_offset
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"{self._lane}: damaged after offset {end - 1}")
            if self._is_readable(batch):
                for piece in _pieces(batch, end, self._kept_headers):
                    if rows.values and not rows.can_take(piece):
                        yield self._chunk(rows, end)
                        rows = _Rows()
                    rows.extend(piece)
                    end = rows.offsets[-1] + 1
            # The last records of a batch may have been compacted away.
            end = max(end, batch.next_offset)
        if end > self.next_fetch_offset:
            yield self._chunk(rows, end)

    def _is_readable(self, batch: Any) -> bool:
        if batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch:
                if self._contains_abort_marker(batch):
                    self._aborted_producers.discard(batch.producer_id)
                return False
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return False
        return True

    def _chunk(self, rows: _Rows, end: int) -> Chunk:
        began, self.next_fetch_offset = self.next_fetch_offset, end
        return Chunk(
            *self._lane,
            rows.rising(),
            rows.timestamps,
            rows.keys,
            rows.values,
            rows.headers,
            began,
            end,
        )


@dataclass(slots=True)
class _Rows:
    """Columns of records that have the same kept headers; `size` in bytes of values."""

    offsets: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    headers: Headers = ()
    size: int = 0

    def can_take(self, more: _Rows) -> bool:
        return (
            len(self.values) + len(more.values) <= CHUNK_RECORDS
            and self.size + more.size <= CHUNK_BYTES
            and self.headers == more.headers
        )

    def extend(self, more: _Rows) -> None:
        self.offsets += more.offsets
        self.timestamps += more.timestamps
        self.keys += more.keys
        self.values += more.values
        self.headers = more.headers
        self.size += more.size

    def rising(self) -> range | list[int]:
        """The offsets, as a range where they have no gaps."""
        if not self.offsets:
            return range(0)
        first, last = self.offsets[0], self.offsets[-1]
        return range(first, last + 1) if last - first < len(self.offsets) else self.offsets


def _pieces(batch: Iterable[Any], start: int, kept: frozenset[str]) -> Iterator[_Rows]:
    """The records of a batch from offset `start` on, cut where a chunk must end."""
    offsets, timestamps, keys, values = [], [], [], []
    headers: list[Headers] = []
    for record in batch:
        offset = record.offset
        if offset >= start:  # brokers send whole batches
            offsets.append(offset)
            timestamps.append(record.timestamp)
            keys.append(record.key)
            values.append(record.value or b"")
            headers.append(record.headers)
    keeps = bool(kept) and any(headers)  # no headers at all is the usual case
    headers = [_kept(pairs, kept) for pairs in headers] if keeps else []
    sizes = list(map(len, values))
    for first, last in _borders(sizes, headers):
        part = slice(first, last)
        yield _Rows(
            offsets[part],
            timestamps[part],
            keys[part],
            values[part],
            headers[first] if headers else (),
            sum(sizes[part]),
        )


def _kept(pairs: Iterable[tuple[str, bytes | None]], kept: frozenset[str]) -> Headers:
    return tuple((name, value or b"") for name, value in pairs if name in kept)


def _borders(sizes: list[int], headers: list[Headers]) -> Iterator[tuple[int, int]]:
    first = size = 0
    if headers or len(sizes) > CHUNK_RECORDS or sum(sizes) > CHUNK_BYTES:
        for i, more in enumerate(sizes):
            size += more
            if i > first and (
                i - first == CHUNK_RECORDS
                or size > CHUNK_BYTES
                or (headers and headers[i] != headers[i - 1])
            ):
                yield first, i
                first, size = i, more
    if sizes:
        yield first, len(sizes)
