"""Chunks of a fetch against aiokafka's own records of it, on logs made by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.kafka import decoding
from streams.kafka.batches import RawRecords
from streams.kafka.decoding import ChunkRecords
from streams.records import Chunk, Lane

KEPT = "kept"
LANE = Lane("events", 3)
ABORT, COMMIT = 0, 1
_CONTROL = 0x20

record = st.tuples(
    st.integers(0, 2),  # offsets compacted away before it
    st.integers(0, 2**62),
    st.none() | st.binary(max_size=4),
    st.none() | st.binary(max_size=12),
    st.lists(
        st.tuples(st.sampled_from([KEPT, "other"]), st.none() | st.binary(max_size=1)), max_size=2
    ),
)
batch = st.tuples(
    st.sampled_from([None, None, 1, 2]),  # the transaction's producer, if it is of one
    st.integers(0, 4),  # compression
    st.lists(record, min_size=1, max_size=6),
    st.integers(0, 2),  # offsets compacted away at its end
    st.none() | st.sampled_from([ABORT, COMMIT]),  # how its transaction ends, if after it
)


@dataclass
class Log:
    """Batches as they would stand in a log, each with its end, and what was aborted."""

    batches: list[tuple[bytes, int]] = field(default_factory=list)
    aborted: list[tuple[int, int, int]] = field(default_factory=list)
    """Producer, first offset of its transaction, offset of the marker."""
    began: dict[int, int] = field(default_factory=dict)

    @property
    def end(self) -> int:
        return self.batches[-1][1] if self.batches else 0

    def append(self, drawn: tuple[Any, ...]) -> None:
        producer, codec, records, tail, ending = drawn
        first = self.end
        builder = DefaultRecordBatchBuilder(
            2, codec, producer is not None, -1 if producer is None else producer, 0, 0, 1 << 20
        )
        at = -1
        for gap, timestamp, key, value, headers in records:
            at += 1 + gap
            builder.append(at, timestamp, key, value, headers)
        self._add(builder, first, at + tail)
        if producer is not None:
            self.began.setdefault(producer, first)
            if ending is not None:
                self.finish(producer, ending)

    def finish(self, producer: int, ending: int) -> None:
        """The marker of the end of a transaction."""
        builder = DefaultRecordBatchBuilder(2, 0, 1, producer, 0, 0, 1 << 10)
        builder.append(0, 1, struct.pack(">hh", 0, ending), struct.pack(">hi", 0, 0), [])
        first = self.began.pop(producer)
        if ending == ABORT:
            self.aborted.append((producer, first, self.end))
        self._add(builder, self.end, 0, _CONTROL)

    def _add(self, builder: Any, first: int, last_delta: int, flags: int = 0) -> None:
        data = builder.build()
        struct.pack_into(">q", data, 0, first)
        data[22] |= flags
        struct.pack_into(">i", data, 23, last_delta)
        struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
        self.batches.append((bytes(data), first + last_delta + 1))

    def fetch(self, offset: int, batches: int) -> PartitionRecords:
        """The answer of a broker, in whole batches from the one that has the offset."""
        wanted = [data for data, end in self.batches if end > offset][:batches]
        aborted = [(p, first) for p, first, marker in self.aborted if marker >= offset]
        at, data = TopicPartition(*LANE), RawRecords(b"".join(wanted))
        return PartitionRecords(at, data, aborted, offset, None, None, True, READ_COMMITTED)


def log_of(drawn: list[tuple[Any, ...]]) -> Log:
    log = Log()
    for each in drawn:
        log.append(each)
    for producer in list(log.began):
        log.finish(producer, COMMIT)
    return log


def chunks(log: Log, start: int, batches: int, kept: frozenset[str]) -> Iterator[Chunk]:
    offset = start
    while offset < log.end:
        fetched = ChunkRecords(log.fetch(offset, batches), LANE, kept)
        for chunk in fetched:
            assert chunk.first_offset == offset
            assert chunk.next_offset == fetched.next_fetch_offset > offset
            offset = chunk.next_offset
            yield chunk


def rows(chunk: Chunk) -> Iterator[tuple[Any, ...]]:
    columns = (chunk.offsets, chunk.timestamps, chunk.keys, chunk.values)
    for row in zip(*columns, strict=True):
        yield (*row, chunk.headers)


@settings(deadline=None)
@given(st.lists(batch, min_size=1, max_size=8), st.integers(1, 3), st.booleans(), st.data())
def test_chunks_tile_the_log_and_have_its_records(
    drawn: list[tuple[Any, ...]], batches: int, keeps: bool, data: st.DataObject
) -> None:
    log = log_of(drawn)
    start = data.draw(st.integers(0, log.end - 1), label="start")
    kept = frozenset([KEPT] if keeps else [])
    expected = [
        (
            r.offset,
            r.timestamp,
            r.key,
            r.value or b"",
            tuple((name, value or b"") for name, value in r.headers if name in kept),
        )
        for r in log.fetch(start, len(log.batches))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "CHUNK_RECORDS", 4)
        patch.setattr(decoding, "CHUNK_BYTES", 30)
        found = list(chunks(log, start, batches, kept))
    assert [row for chunk in found for row in rows(chunk)] == expected
    for chunk in found:
        assert len(chunk) <= 4
        assert len(chunk) <= 1 or sum(map(len, chunk.values)) <= 30


def test_a_stretch_without_records_is_a_chunk_of_its_own() -> None:
    log = log_of([(1, 0, [(0, 1, None, b"x", [])] * 3, 0, ABORT)])
    (chunk,) = chunks(log, 0, 9, frozenset())
    assert (len(chunk), chunk.first_offset, chunk.next_offset) == (0, 0, 4)


def test_offsets_without_gaps_are_a_range() -> None:
    one = (None, 0, [(0, 1, None, b"x", [])] * 3, 0, None)
    (chunk,) = chunks(log_of([one, one]), 1, 9, frozenset())
    assert chunk.offsets == range(1, 6)
    gap = (None, 0, [(0, 1, None, b"x", []), (1, 1, None, b"y", [])], 0, None)
    (chunk,) = chunks(log_of([gap]), 0, 9, frozenset())
    assert chunk.offsets == [0, 2]


def test_what_stands_before_a_damaged_batch_is_read_once() -> None:
    log = log_of([(None, 0, [(0, 1, None, b"xyz", [])] * 4, 0, None)] * 3)
    data, end = log.batches[1]
    log.batches[1] = (data[:-2] + b"!" + data[-1:], end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "CHUNK_RECORDS", 3)
        fetched = ChunkRecords(log.fetch(0, 3), LANE, frozenset())
        assert len(next(fetched)) == 3
        with pytest.raises(CorruptRecordException, match="events/3: damaged after offset 3"):
            next(fetched)
    assert fetched.next_fetch_offset == 3
