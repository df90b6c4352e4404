"""Distinct members: exact to 64, then HyperLogLog with 4,096 registers (1.6 % standard error).

Source: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the analysis of a near-optimal
cardinality estimation algorithm" (2007), with linear counting for small sets.
"""

from __future__ import annotations

from hashlib import blake2b
from math import log
from typing import Any

import msgspec

from ext.cells import Objects
from streams.timeline import BEFORE_ALL

EXACT = 64
PRECISION = 12
_REGISTERS = 1 << PRECISION
_REST_BITS = 64 - PRECISION


def member(text: str) -> int:
    """A member's 64-bit hash, the same on every machine."""
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


class Distinct:
    """``(n, last_t, covered, members or None, registers or None)``; ``value`` is a member's hash.

    Members and ``(register, rank)`` pairs stand sorted: a set has one state only.

    Examples
    --------
    >>> rows = [DISTINCT.row(0, member(x), 0, 0) for x in "aba"]
    >>> DISTINCT.count(DISTINCT.merge(rows[0], DISTINCT.merge(rows[1], rows[2])))
    2
    """

    name = "distinct"
    empty: tuple[Any, ...] = (0, BEFORE_ALL, 0, (), None)

    def row(self, t: int, value: int, weight: int, covered: int) -> tuple[Any, ...]:
        return (1, t, covered, (value,), None)

    def merge(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        n, last_t, covered = a[0] + b[0], max(a[1], b[1]), a[2] + b[2]
        if a[3] is not None and b[3] is not None:
            members = set(a[3]).union(b[3])
            if len(members) <= EXACT:
                return (n, last_t, covered, tuple(sorted(members)), None)
            return (n, last_t, covered, None, _registers(members))
        ranks: dict[int, int] = {}
        for state in (a, b):
            for register, rank in state[4] if state[3] is None else _registers(set(state[3])):
                ranks[register] = max(rank, ranks.get(register, 0))
        return (n, last_t, covered, None, tuple(sorted(ranks.items())))

    def count(self, a: tuple[Any, ...]) -> int:
        """Number of distinct members, exact to 64, else estimated."""
        if a[3] is not None:
            return len(a[3])
        return estimate(a[4])

    def cells(self) -> Objects:
        return Objects(self, _encode, _decode)


def _registers(members: set[int]) -> tuple[tuple[int, int], ...]:
    ranks: dict[int, int] = {}
    for signed in members:
        bits = signed & (1 << 64) - 1
        register, rest = bits >> _REST_BITS, bits & (1 << _REST_BITS) - 1
        rank = _REST_BITS - rest.bit_length() + 1
        ranks[register] = max(rank, ranks.get(register, 0))
    return tuple(sorted(ranks.items()))


def estimate(registers: tuple[tuple[int, int], ...]) -> int:
    """HyperLogLog's estimate from the registers that are not zero."""
    zeros = _REGISTERS - len(registers)
    alpha = 0.7213 / (1 + 1.079 / _REGISTERS)
    raw = alpha * _REGISTERS**2 / (zeros + sum(2.0**-rank for _, rank in registers))
    if raw <= 2.5 * _REGISTERS and zeros:
        return round(_REGISTERS * log(_REGISTERS / zeros))
    return round(raw)


def _encode(states: list[tuple[Any, ...]]) -> bytes:
    return msgspec.msgpack.encode(states)


_decode = msgspec.msgpack.Decoder(
    list[tuple[int, int, int, tuple[int, ...] | None, tuple[tuple[int, int], ...] | None]]
).decode

DISTINCT = Distinct()
