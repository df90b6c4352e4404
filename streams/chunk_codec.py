"""One blob for a batch of records, as the embedded log stores it.

Little-endian, the sizes ahead of the bytes, so that a batch is cut in Python slices alone::

    format u8 | flags u8 | 0 u16 | crc u32 | count u32 | headers u32
    timestamps i64 × count | key sizes i32 × count (-1: no key) | value sizes i32 × count
    headers (msgpack) | keys | values

The CRC covers everything but itself.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar
from zlib import crc32

import msgspec

from ext.records import Values
from streams.records import Chunk

_T = TypeVar("_T")
Headers = tuple[tuple[str, bytes], ...]

FORMAT = 1
_PER_RECORD = 1
_HEAD = struct.Struct("<BBHIII")
_CRC = slice(4, 8)
_FIXED = 16  # bytes of timestamp and sizes per record

_one = msgspec.msgpack.Decoder(Headers)
_many = msgspec.msgpack.Decoder(tuple[Headers, ...])


def encode(
    timestamps: Sequence[int],
    keys: Sequence[bytes | None],
    values: Sequence[bytes],
    headers: Headers | Sequence[Headers] = (),
    *,
    per_record: bool = False,
) -> bytes:
    """Pack a batch into one blob.

    Parameters
    ----------
    timestamps
        int64 ms UTC, one a record.
    headers
        One tuple for the whole batch or, with `per_record`, one tuple a record.

    Raises
    ------
    ValueError
        If the batch is empty or its columns differ in length.
    OverflowError
        If a timestamp does not fit into int64.

    Examples
    --------
    >>> blob = encode([1000, 2000], [b"a", None], [b"x", b"yz"])
    >>> chunk = decode(blob, "city.sensor.v1", 0, first_offset=40, start=41)
    >>> chunk.offsets, chunk.keys, chunk.values
    (range(41, 42), [None], [b'yz'])
    """
    count = len(values)
    if not count or len(timestamps) != count or len(keys) != count:
        raise ValueError(
            f"a batch needs as many timestamps and keys as values, and at least one: "
            f"{len(timestamps)} timestamps, {len(keys)} keys, {count} values"
        )
    if per_record and len(headers) != count:
        raise ValueError(f"{len(headers)} headers for {count} records")
    packed = msgspec.msgpack.encode(headers) if headers else b""
    body = b"".join(
        (
            _little(array("q", timestamps)),
            _little(array("i", [-1 if key is None else len(key) for key in keys])),
            _little(array("i", map(len, values))),
            packed,
            *filter(None, keys),
            *values,
        )
    )
    flags = _PER_RECORD if per_record else 0
    head = _HEAD.pack(FORMAT, flags, 0, 0, count, len(packed))
    return head[:4] + struct.pack("<I", _checksum(head, body)) + head[8:] + body


def decode(data: bytes, topic: str, partition: int, first_offset: int, start: int = 0) -> Chunk:
    """Unpack a blob, from offset `start` on.

    Parameters
    ----------
    first_offset
        Offset of the first record of the blob.
    start
        Records below this offset are left out, without being cut.

    Returns
    -------
    Chunk
        Its `headers` are those of the batch; headers that differ by record are read with
        `decode_headers`.

    Raises
    ------
    ValueError
        If the bytes are damaged, or the blob ends below `start`.
    """
    flags, count, header_size = _open(data)
    skip = max(start - first_offset, 0)
    if skip >= count:
        raise ValueError(f"the batch ends at offset {first_offset + count}, below {start}")
    timestamps, key_sizes, value_sizes = _columns(data, count)
    keys_at = _HEAD.size + _FIXED * count + header_size
    keys = Values.cut(data, keys_at, key_sizes)
    values_at = keys_at + keys.size_of_all()
    values = Values.cut(data, values_at, value_sizes)
    if min(value_sizes) < 0 or values_at + values.size_of_all() != len(data):
        raise ValueError("damaged batch: the sizes of its records do not add up")
    if skip:
        keys, values, timestamps = keys[skip:], values[skip:], timestamps[skip:]
    common = not flags & _PER_RECORD and header_size
    return Chunk(
        topic,
        partition,
        range(first_offset + skip, first_offset + count),
        timestamps,
        keys,
        values,
        _headers(_one, data, count, header_size) if common else (),
    )


def decode_headers(data: bytes) -> Sequence[Headers]:
    """Headers of each record of a blob, whether they were stored once or by record.

    Examples
    --------
    >>> decode_headers(encode([0, 0], [b"", b""], [b"", b""], (("ce_type", b"v"),)))
    ((('ce_type', b'v'),), (('ce_type', b'v'),))
    """
    flags, count, header_size = _open(data)
    if not header_size:
        return ((),) * count
    if not flags & _PER_RECORD:
        return (_headers(_one, data, count, header_size),) * count
    headers = _headers(_many, data, count, header_size)
    if len(headers) != count:
        raise ValueError(f"damaged batch: {len(headers)} headers for {count} records")
    return headers


def join(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Join neighbours of one lane that follow without a gap and carry the same headers.

    A log written one record at a time is then handled as fast as one written in batches;
    where chunks begin and end means nothing to the engine.
    """
    open_: list[Chunk] = []
    for chunk in chunks:
        if open_ and not (
            open_[-1].next_offset == chunk.offsets[0]
            and isinstance(chunk.offsets, range)
            and isinstance(open_[-1].offsets, range)
            and open_[-1].headers == chunk.headers
        ):
            yield _joined(open_)
            open_ = []
        open_.append(chunk)
    if open_:
        yield _joined(open_)


def _joined(chunks: list[Chunk]) -> Chunk:
    first = chunks[0]
    if len(chunks) == 1:
        return first
    timestamps, keys, values = array("q"), Values(), Values()
    for chunk in chunks:
        timestamps.extend(chunk.timestamps)
        keys.extend(Values.of(chunk.keys))
        values.extend(Values.of(chunk.values))
    offsets = range(first.offsets[0], chunks[-1].next_offset)
    return Chunk(first.topic, first.partition, offsets, timestamps, keys, values, first.headers)


def _open(data: bytes) -> tuple[int, int, int]:
    if len(data) < _HEAD.size:
        raise ValueError(f"damaged batch: {len(data)} bytes, fewer than its head")
    format_, flags, _, crc, count, header_size = _HEAD.unpack_from(data)
    if format_ != FORMAT:
        raise ValueError(f"batch of format {format_}; this build reads format {FORMAT}")
    if crc != _checksum(data, memoryview(data)[_HEAD.size :]):
        raise ValueError("damaged batch: its checksum does not match")
    if not count or _HEAD.size + _FIXED * count + header_size > len(data):
        raise ValueError(f"damaged batch: {count} records do not fit into {len(data)} bytes")
    return flags, count, header_size


def _checksum(head: bytes, body: bytes | memoryview) -> int:
    return crc32(body, crc32(head[_CRC.stop : _HEAD.size], crc32(head[: _CRC.start])))


def _columns(data: bytes, count: int) -> tuple[array[int], array[int], array[int]]:
    at = _HEAD.size
    columns = []
    for code, width in (("q", 8), ("i", 4), ("i", 4)):
        column = array(code)
        column.frombytes(memoryview(data)[at : at + width * count])
        columns.append(_swapped(column))
        at += width * count
    return columns[0], columns[1], columns[2]


def _headers(decoder: msgspec.msgpack.Decoder[_T], data: bytes, count: int, size: int) -> _T:
    at = _HEAD.size + _FIXED * count
    try:
        return decoder.decode(memoryview(data)[at : at + size])
    except msgspec.DecodeError as error:
        raise ValueError(f"damaged batch: headers: {error}") from error


def _little(column: array[int]) -> bytes:
    return _swapped(column).tobytes()


def _swapped(column: array[int]) -> array[int]:
    if sys.byteorder == "big":
        column.byteswap()
    return column
