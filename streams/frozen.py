"""A task's state in parts, copied at one moment and encoded later, beside the hot path.

Freezing pays for shallow copies alone; append-only lists are not even copied.  Encoding may run in
another thread while the task goes on: it holds the interpreter's lock for a few ms at a time.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

import msgspec

Encode: TypeAlias = Callable[[], bytes]
Frozen: TypeAlias = dict[str, Encode | None]
"""The parts of a state by name.

A callable encodes the part as it was at the time of the freeze, whenever it is called; None means
that it is as it was at the freeze before, or when it was loaded.  What is not named is gone.
"""

FORMAT = 12
"""Layout of a snapshot; another one is refused."""

HEAD = "head"
"""The part with what is small and changes always."""

BLOCK = 16_384
"""Rows of an append-only list in one part: full ones are written once."""

_ANEW = "with another data folder; on Kafka with another kafka.group and kafka.prefix"
_ROWS = 4_096  # in one call of the encoder: under 10 ms, whatever the rows hold

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_pieces = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class SnapshotError(Exception):
    """A snapshot does not fit this build or configuration."""


def head(config: str, state: Mapping[str, Any]) -> Encode:
    """The head part of a state, under the label of its configuration; encoded at once."""
    data = _encode({"format": FORMAT, "config": config, **state})
    return lambda: data


def read_head(task: str, parts: Mapping[str, bytes], config: str) -> dict[str, Any]:
    """The state in the head part.

    Raises
    ------
    SnapshotError
        The snapshot was written under another configuration or by another build.
    """
    state: dict[str, Any] = _decode(parts[HEAD])
    if state.get("format") != FORMAT:
        raise SnapshotError(
            f"the snapshot of {task} has layout {state.get('format')}, this build writes "
            f"{FORMAT}: run the build that wrote it, or begin anew: {_ANEW}"
        )
    if state["config"] != config:
        raise SnapshotError(
            f"the state of {task} was made under configuration {state['config']}, this one is "
            f"{config}: use the same configuration, or begin anew: {_ANEW}"
        )
    return state


def under(prefix: str, frozen: Frozen) -> Frozen:
    """The same parts, with names that begin with the prefix and a slash.

    >>> under("seen", {"0": None})
    {'seen/0': None}
    """
    return {f"{prefix}/{name}": encode for name, encode in frozen.items()}


def grouped(parts: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """Parts by what stands before the first slash of their names.

    >>> grouped({"seen/29/0": b"x", "seen/29/1": b"y"})
    {'seen': {'29/0': b'x', '29/1': b'y'}}
    """
    groups: dict[str, dict[str, bytes]] = {}
    for name, part in parts.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest] = part
    return groups


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the cycle collector: what is loaded stays, and it would go through it often."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def encode_rows(rows: Iterable[Any]) -> bytes:
    """Rows of plain data, for `decode_rows`."""
    left = iter(rows)
    pieces = []
    while piece := list(islice(left, _ROWS)):
        pieces.append(msgspec.Raw(_encode(piece)))
    return _encode(pieces)


def decode_rows(part: bytes, decode: Callable[[msgspec.Raw], Any] = _decode) -> Iterator[Any]:
    """What `encode_rows` was given, piece by piece through ``decode``."""
    for piece in _pieces(part):
        yield from decode(piece)


class Blocks:
    """How much of append-only columns of one length was frozen, in parts of `BLOCK` rows.

    Examples
    --------
    >>> blocks, keys = Blocks(), list("ab")
    >>> frozen = blocks.freeze([keys])
    >>> keys.append("c")
    >>> list(load_blocks({n: encode() for n, encode in frozen.items()}))
    [[['a', 'b']]]
    >>> len(blocks.freeze([keys])), blocks.freeze([keys])
    (1, {'0': None})
    """

    __slots__ = ("_frozen",)

    def __init__(self) -> None:
        self._frozen = 0

    def clear(self) -> None:
        """The columns have begun anew."""
        self._frozen = 0

    def freeze(self, columns: Sequence[list[Any]], *, whole: bool = False) -> Frozen:
        """Parts of columns that are appended to, and never otherwise changed."""
        return self._parts(columns, 0, whole=whole)

    def freeze_copy(self, columns: Sequence[list[Any]], *, whole: bool = False) -> Frozen:
        """Parts of columns that may be emptied before the parts are encoded."""
        first = 0 if whole else self._frozen // BLOCK * BLOCK
        return self._parts([column[first:] for column in columns], first, whole=whole)

    def _parts(self, columns: Sequence[list[Any]], gone: int, *, whole: bool) -> Frozen:
        """``gone`` rows at the beginning are frozen already and not in the columns."""
        parts: Frozen = {}
        count = gone + len(columns[0])
        for first in range(0, count, BLOCK):
            end = min(first + BLOCK, count)
            changed = whole or end > self._frozen
            rows = slice(first - gone, end - gone)
            parts[str(first // BLOCK)] = partial(_block, columns, rows) if changed else None
        self._frozen = count
        return parts

    def freeze_packed(
        self, count: int, packed: Callable[[int, int], bytes], *, whole: bool = False
    ) -> Frozen:
        """Parts of packed rows that may be dropped before the parts are encoded.

        Parameters
        ----------
        count
            How many rows there are.
        packed
            The bytes of those from one number to another.
        """
        parts: Frozen = {}
        for first in range(0, count, BLOCK):
            end = min(first + BLOCK, count)
            changed = whole or end > self._frozen
            parts[str(first // BLOCK)] = partial(bytes, packed(first, end)) if changed else None
        self._frozen = count
        return parts

    def loaded(self, count: int) -> None:
        """So many rows were loaded, as they had been frozen."""
        self._frozen = count


def _block(columns: Sequence[list[Any]], rows: slice) -> bytes:
    return _encode([column[rows] for column in columns])


def load_blocks(
    parts: Mapping[str, bytes], decode: Callable[[bytes], Any] = _decode
) -> Iterator[Any]:
    """The blocks of columns, in their order."""
    for _, part in sorted((int(name), part) for name, part in parts.items()):
        yield decode(part)


def decode_packed(parts: Mapping[str, bytes]) -> bytes:
    """The bytes of all parts of `Blocks.freeze_packed`."""
    return b"".join(part for _, part in sorted((int(name), part) for name, part in parts.items()))
