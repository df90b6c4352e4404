"""Single happenings with what makes them alike, until they are judged against earlier ones."""

from __future__ import annotations

from typing import Any

import msgspec

from ext.cells import Objects
from streams.timeline import BEFORE_ALL

Fact = tuple[int, tuple[int, ...]]
"""``(t, identities)``: int64 ms, and 64-bit hashes of which one in common makes a repeat."""


class Facts:
    """``(n, last_t, covered, facts, repeats)``.

    Facts stand sorted, so that a state has one form.  Judged, a state holds the number of repeats
    in their stead; states of both forms merge.

    Examples
    --------
    >>> both = FACTS.merge(FACTS.row(2, (7,), 0, 0), FACTS.row(1, (7, 9), 0, 0))
    >>> both[3]
    ((1, (7, 9)), (2, (7,)))
    >>> FACTS.judged(both, 1)
    (2, 2, 0, (), 1)
    """

    name = "facts"
    empty: tuple[Any, ...] = (0, BEFORE_ALL, 0, (), 0)

    def row(self, t: int, value: Any, weight: int, covered: int) -> tuple[Any, ...]:
        identities = value if isinstance(value, tuple) else (value,)
        return (1, t, covered, ((t, identities),), 0)

    def merge(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        facts = tuple(sorted(a[3] + b[3])) if a[3] and b[3] else a[3] or b[3]
        return (a[0] + b[0], max(a[1], b[1]), a[2] + b[2], facts, a[4] + b[4])

    def judged(self, a: tuple[Any, ...], repeats: int) -> tuple[Any, ...]:
        """The state with its facts counted: so many of them repeat earlier ones."""
        return (*a[:3], (), a[4] + repeats)

    def cells(self) -> Objects:
        return Objects(self, _encode, _decode)


def _encode(states: list[tuple[Any, ...]]) -> bytes:
    return msgspec.msgpack.encode(states)


_decode = msgspec.msgpack.Decoder(
    list[tuple[int, int, int, tuple[tuple[int, tuple[int, ...]], ...], int]]
).decode

FACTS = Facts()
