"""Integers of any size as plain data: msgpack has 64 bits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

WIDE = 1 << 63


def dump_wide(numbers: Iterable[int]) -> list[int | bytes]:
    """Numbers beyond 64 bits become bytes.

    >>> load_wide(dump_wide((5, -(1 << 80))))
    (5, -1208925819614629174706176)
    """
    return [x if -WIDE <= x < WIDE else _bytes(x) for x in numbers]


def load_wide(data: list[Any]) -> tuple[int, ...]:
    """What `dump_wide` was given."""
    if bytes not in map(type, data):
        return tuple(data)
    return tuple(
        int.from_bytes(x, "little", signed=True) if isinstance(x, bytes) else x for x in data
    )


def _bytes(x: int) -> bytes:
    return x.to_bytes(x.bit_length() // 8 + 1, "little", signed=True)
