"""What a fetch brought of one partition, as chunks instead of records.

aiokafka fetches, and knows which transactions were aborted; the batches are read here, for an
object a record would cost more than all that is done with most of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from aiokafka.consumer import fetcher  # type: ignore[import-untyped]
from aiokafka.consumer.fetcher import PartitionRecords  # type: ignore[import-untyped]
from aiokafka.errors import CorruptRecordException  # type: ignore[import-untyped]
from aiokafka.record.control_record import (  # type: ignore[import-untyped]
    ABORT_MARKER,
    ControlRecord,
)

from ext.records import Values
from streams.kafka.batches import Batch, Columns, RawRecords, batches
from streams.records import Chunk, Lane

# The one name by which the fetcher makes what it has fetched.
fetcher.MemoryRecords = RawRecords

CHUNK_RECORDS = 20_000
CHUNK_BYTES = 4 << 20
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
        for batch in batches(self._records.data):
            for piece in _pieces(self._columns(batch, end), end, self._kept_headers):
                if len(rows.values) and not rows.can_take(piece):
                    yield self._chunk(rows, end)
                    rows = _Rows()
                rows.extend(piece)
                end = piece.offsets[-1] + 1
            # The last records of a batch may have been compacted away.
            end = max(end, batch.next_offset)
        if end > self.next_fetch_offset:
            yield self._chunk(rows, end)

    def _columns(self, batch: Batch, end: int) -> Columns:
        """The records of a batch; none of a control batch, or of an aborted transaction."""
        damaged = f"{self._lane}: damaged after offset {end - 1}"
        if self._check_crcs and not batch.is_sound():
            raise CorruptRecordException(damaged)
        try:
            columns = batch.columns()
        except ValueError as error:
            raise CorruptRecordException(f"{damaged}: {error}") from error
        return columns if self._is_readable(batch, columns) else _NOTHING

    def _is_readable(self, batch: Batch, columns: Columns) -> bool:
        if batch.producer is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control:
                if ControlRecord.parse(columns.keys[0]) == ABORT_MARKER:
                    self._aborted_producers.discard(batch.producer)
                return False
            if batch.is_transactional and batch.producer in self._aborted_producers:
                return False
        return not batch.is_control

    def _chunk(self, rows: _Rows, end: int) -> Chunk:
        began, self.next_fetch_offset = self.next_fetch_offset, end
        return Chunk(
            *self._lane,
            rows.offsets or range(0),
            rows.timestamps,
            rows.keys,
            rows.values,
            rows.headers,
            began,
            end,
        )


_NOTHING = Columns(range(0), array("q"), Values(), Values(), None)


@dataclass(slots=True)
class _Rows:
    """Columns of records that have the same kept headers; `size` in bytes of values."""

    offsets: Sequence[int] = field(default_factory=list)
    timestamps: array[int] = field(default_factory=lambda: array("q"))
    keys: Values = field(default_factory=Values)
    values: Values = field(default_factory=Values)
    headers: Headers = ()
    size: int = 0

    def can_take(self, more: _Rows) -> bool:
        return (
            len(self.values) + len(more.values) <= CHUNK_RECORDS
            and self.size + more.size <= CHUNK_BYTES
            and self.headers == more.headers
        )

    def extend(self, more: _Rows) -> None:
        self.offsets = _after(self.offsets, more.offsets)
        self.timestamps += more.timestamps
        self.keys.extend(more.keys)
        self.values.extend(more.values)
        self.headers = more.headers
        self.size += more.size


def _after(offsets: Sequence[int], more: Sequence[int]) -> Sequence[int]:
    """Offsets and those that follow, as a range where they have no gaps."""
    if not offsets:
        return more
    if isinstance(offsets, range) and isinstance(more, range) and offsets.stop == more.start:
        return range(offsets.start, more.stop)
    return [*offsets, *more]


def _pieces(columns: Columns, start: int, kept: frozenset[str]) -> Iterator[_Rows]:
    """The records of a batch from offset `start` on, cut where a chunk must end."""
    offsets, timestamps, keys, values, headers = columns
    first = bisect_left(offsets, start)  # brokers send whole batches
    keeps = headers is not None and bool(kept)
    pairs = [_kept(each, kept) for each in headers] if headers is not None and keeps else []
    sizes = values.sizes()
    for begin, end in _borders(sizes, pairs, first):
        part = slice(begin, end)
        yield _Rows(
            offsets[part],
            timestamps[part],
            keys[part],
            values[part],
            pairs[begin] if pairs else (),
            sum(sizes[part]),
        )


def _kept(pairs: Iterable[tuple[str, bytes | None]], kept: frozenset[str]) -> Headers:
    return tuple((name, value or b"") for name, value in pairs if name in kept)


def _borders(sizes: list[int], headers: list[Headers], first: int) -> Iterator[tuple[int, int]]:
    size = 0
    if headers or len(sizes) - first > CHUNK_RECORDS or sum(sizes[first:]) > CHUNK_BYTES:
        for i in range(first, len(sizes)):
            more = sizes[i]
            size += more
            if i > first and (
                i - first == CHUNK_RECORDS
                or size > CHUNK_BYTES
                or (headers and headers[i] != headers[i - 1])
            ):
                yield first, i
                first, size = i, more
    if first < len(sizes):
        yield first, len(sizes)
