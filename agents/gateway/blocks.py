"""Windows as compressed bytes, exact to the bit.

Each column becomes whole numbers, its values times a power of ten where that loses nothing, as
they are or as differences, in as few bytes as hold them; what has no such form stays as it is.  The
first bytes of all numbers stand together, then the second ones, and zstd packs it all.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from agents.gateway.windows import WINDOW, Windows

_FORMAT = 1
_HEAD = struct.Struct("<BI")
_COLUMN = struct.Struct("<BBBq")
_ALL, _NUMBERS, _DIFFERENCES, _AS_IT_IS = range(4)
_HAS_NULLS = 0x80
_POWERS = (0, 1, 2, 3, 4, 6)
_EXACT = 1 << 53
_WIDTHS = ((1, "<i1"), (2, "<i2"), (4, "<i4"), (8, "<i8"))
_ROOM = {dtype: np.iinfo(dtype) for _, dtype in _WIDTHS}
_LOOKED_AT = 16  # values that tell most columns that are not whole at a power

Numbers = NDArray[np.int64]


def pack(rows: Windows) -> bytes:
    """The rows as bytes.

    >>> rows = np.zeros(1440, WINDOW)
    >>> rows["t"], rows["value"] = np.arange(1440) * 60_000, np.arange(1440) % 7 / 4
    >>> packed = pack(rows)
    >>> len(packed) < 200, bool((unpack(packed) == rows).all())
    (True, True)
    """
    parts = [_HEAD.pack(_FORMAT, len(rows))]
    for name in WINDOW.names or ():
        parts += _packed(np.ascontiguousarray(rows[name]))
    return zstandard.ZstdCompressor(level=3).compress(b"".join(parts))


def _packed(column: NDArray[Any]) -> list[bytes]:
    """The kind of a column and its bytes."""
    floats = column.dtype.kind == "f"
    bits = column.view(np.int64) if floats else column.astype(np.int64)
    if len(bits) == 0 or (bits == bits[0]).all():
        return [_COLUMN.pack(_ALL, 0, 0, int(bits[0]) if len(bits) else 0)]
    if not floats:
        return _numbers(bits, 0, 0)
    flag, nulls = 0, []
    missing = np.isnan(column)
    if missing.any():
        flag, nulls = _HAS_NULLS, [np.packbits(missing).tobytes()]
        # What stands there is never read: a repeated value takes no room.
        last = np.maximum.accumulate(np.where(missing, 0, np.arange(len(column))))
        column = np.where(missing[last], 0.0, column[last])
    numbers, power = _whole(column)
    if numbers is None:
        return [_COLUMN.pack(_AS_IT_IS | flag, 0, 8, 0), *nulls, _woven(column, 8)]
    kind, *bytes_ = _numbers(numbers, power, flag)
    return [kind, *nulls, *bytes_]


def _numbers(numbers: Numbers, power: int, flag: int) -> list[bytes]:
    first = int(numbers[0])
    # Differences of numbers very far apart wrap, and wrap back when they are added up.
    steps = np.zeros_like(numbers)
    np.subtract(numbers[1:], numbers[:-1], out=steps[1:])
    near = numbers - first
    kind = _DIFFERENCES if _spread(steps) < _spread(near) else _NUMBERS
    chosen = steps if kind == _DIFFERENCES else near
    width, dtype = next(w for w in _WIDTHS if _fits(chosen, w[1]))
    return [_COLUMN.pack(kind | flag, power, width, first), _woven(chosen, width, dtype)]


def _spread(numbers: Numbers) -> float:
    """How far they are from their middle, about."""
    floats = numbers.astype(np.float64)
    return float(np.abs(floats - floats.sum() / len(floats)).sum())


def _fits(numbers: Numbers, dtype: str) -> bool:
    room = _ROOM[dtype]
    return bool(room.min <= numbers.min() and numbers.max() <= room.max)


def _whole(column: NDArray[np.float64]) -> tuple[Numbers | None, int]:
    """The column times ten to a power, as whole numbers, if that gives back the same bits."""
    for power in _POWERS:
        if _scaled(column[:_LOOKED_AT], power) is None:
            continue
        scaled = _scaled(column, power)
        if scaled is not None:
            return scaled, power
    return None, 0


def _scaled(column: NDArray[np.float64], power: int) -> Numbers | None:
    scale = 10.0**power
    with np.errstate(over="ignore"):
        scaled = np.rint(column * scale)
    if not (np.abs(scaled) < _EXACT).all():
        return None
    numbers = scaled.astype(np.int64)
    # By bits: 0.0 and -0.0 are two values.
    same = (numbers / scale).view(np.int64) == column.view(np.int64)
    return numbers if same.all() else None


def _woven(column: NDArray[Any], width: int, dtype: str = "<f8") -> bytes:
    return column.astype(dtype).view(np.uint8).reshape(-1, width).T.tobytes()


def unpack(packed: bytes) -> Windows:
    """The rows that became these bytes.

    Raises
    ------
    ValueError
        They are of a newer build, or damaged.
    """
    try:
        raw = zstandard.ZstdDecompressor().decompress(packed)
    except zstandard.ZstdError as error:
        raise ValueError(f"damaged: {error}") from None
    kind, count = _HEAD.unpack_from(raw)
    if kind != _FORMAT:
        raise ValueError(f"format {kind}: written by a newer build")
    rows = np.empty(count, WINDOW)
    at = _HEAD.size
    for name in WINDOW.names or ():
        at = _unpacked(raw, at, rows[name])
    return rows


def _unpacked(raw: bytes, at: int, column: NDArray[Any]) -> int:
    """Fill a column from the bytes at a place; where the next one begins."""
    kind, power, width, first = _COLUMN.unpack_from(raw, at)
    at += _COLUMN.size
    count = len(column)
    missing = None
    if kind & _HAS_NULLS:
        size = (count + 7) // 8
        bits = np.frombuffer(raw, np.uint8, size, at)
        missing = np.unpackbits(bits, count=count).view(np.bool_)
        at += size
    kind &= ~_HAS_NULLS
    if kind == _ALL:
        column[:] = np.int64(first).view(np.float64) if column.dtype.kind == "f" else first
    else:
        woven = np.frombuffer(raw, np.uint8, count * width, at).reshape(width, count)
        at += count * width
        flat = np.ascontiguousarray(woven.T).ravel()
        if kind == _AS_IT_IS:
            column[:] = flat.view("<f8")
        else:
            numbers = flat.view(f"<i{width}").astype(np.int64)
            if kind == _DIFFERENCES:
                numbers = np.cumsum(numbers)
            numbers += first
            column[:] = numbers / 10.0**power if power else numbers
    if missing is not None:
        column[missing] = np.nan
    return at
