"""Record batches as Kafka sends them, and their records as columns.

Format 2 alone, of Kafka 0.11 and later: see https://kafka.apache.org/documentation/#recordbatch.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from aiokafka import codec  # type: ignore[import-untyped]
from aiokafka.errors import CorruptRecordException  # type: ignore[import-untyped]
from aiokafka.record.memory_records import (  # type: ignore[import-untyped]
    MemoryRecords,
)
from aiokafka.record.util import calc_crc32c  # type: ignore[import-untyped]

from ext.records import Values, unpack

Headers = tuple[tuple[str, bytes | None], ...]

_HEAD = struct.Struct(">qiibIhiqqqhii")
_LENGTH = struct.Struct(">qi")
_BEFORE_LENGTH, _CRC_AT = 12, 21
_MAGIC_AT, _MAGIC = 16, 2
_CODEC, _LOG_APPEND, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
_NO_PRODUCER = -1

_DECODERS: dict[int, Callable[[Any], Any]] = {
    1: codec.gzip_decode,
    2: codec.snappy_decode,
    3: codec.lz4_decode,
    4: codec.zstd_decode,
}


class RawRecords(MemoryRecords):  # type: ignore[misc]
    """What a fetch brought of one partition; the bytes stay at hand beside aiokafka's reading."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data

    @property
    def is_modern(self) -> bool:
        """Whether its first batch is of format 2."""
        return len(self.data) > _MAGIC_AT and self.data[_MAGIC_AT] == _MAGIC


class Columns(NamedTuple):
    """The records of a batch: offsets, log times in int64 ms, keys, values, and headers of each;
    None where no record has any."""

    offsets: Sequence[int]
    timestamps: array[int]
    keys: Values
    values: Values
    headers: list[Headers] | None


class Batch(NamedTuple):
    """The head of a batch, and where in the answer it stands."""

    data: bytes
    at: int
    end: int
    base_offset: int
    crc: int
    attributes: int
    next_offset: int
    base_timestamp: int
    max_timestamp: int
    producer: int | None
    size: int

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & _CONTROL)

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & _TRANSACTIONAL)

    def is_sound(self) -> bool:
        """Whether its checksum is right."""
        crc: int = calc_crc32c(memoryview(self.data)[self.at + _CRC_AT : self.end])
        return crc == self.crc

    def columns(self) -> Columns:
        """Its records.

        Raises
        ------
        ValueError
            The bytes are not those of so many records.
        """
        data, first = self.data, self.at + _HEAD.size
        decode = _DECODERS.get(self.attributes & _CODEC)
        if decode is not None:
            data, first = bytes(decode(memoryview(self.data)[first : self.end])), 0
        elif self.end != len(data):
            data, first = data[first : self.end], 0
        deltas, times = (array("q", bytes(8 * self.size)) for _ in range(2))
        keys, values, headers = unpack(data, first, self.size, deltas, times)
        base, began = self.base_offset, self.base_timestamp
        offsets: Sequence[int]
        if self.size and deltas[-1] - deltas[0] == self.size - 1:
            offsets = range(base + deltas[0], base + deltas[-1] + 1)
        else:
            offsets = [base + delta for delta in deltas]
        if self.attributes & _LOG_APPEND:
            times = array("q", [self.max_timestamp]) * self.size
        else:
            shifted = np.frombuffer(times, np.int64) + began
            times = array("q", shifted.tobytes())
        return Columns(offsets, times, keys, values, headers)


def batches(data: bytes) -> Iterator[Batch]:
    """The batches of an answer; one that is cut off at its end is left out.

    Raises
    ------
    CorruptRecordException
        A batch is of another format, or can not be as long as it says.
    """
    at = 0
    while at + _HEAD.size <= len(data):
        base, length = _LENGTH.unpack_from(data, at)
        end = at + _BEFORE_LENGTH + length
        if data[at + _MAGIC_AT] != _MAGIC or length < _HEAD.size - _BEFORE_LENGTH:
            raise CorruptRecordException(f"the batch at offset {base} is not of format {_MAGIC}")
        if end > len(data):
            return
        _, _, _, _, crc, attributes, last, began, latest, producer, _, _, count = _HEAD.unpack_from(
            data, at
        )
        known = None if producer == _NO_PRODUCER else producer
        where = (data, at, end, base, crc, attributes, base + last + 1)
        yield Batch(*where, began, latest, known, count)
        at = end
