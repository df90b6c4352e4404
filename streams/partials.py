"""Cuts as records of the partials topic: packed, in pieces that every broker takes.  Pure.

Each piece names its cut, so a cut is whole when its pieces are there, in whatever order two owners
of a lane may have sent them; the bytes are a function of the log, so it does not matter whose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from streams.aggregates import Family
from streams.cuts import Cut, CutName, Key, PackedKeys, Partial
from streams.heads import heads_of
from streams.records import Lane

PIECE_BYTES = 256 << 10
"""Kafka takes records up to 1 MiB where nothing else is set."""

_PASSED_ON = b"\xc1"
"""What a record that is no piece begins with: MessagePack never uses that byte."""


class Piece(msgspec.Struct, array_like=True, frozen=True):
    """A part of a cut: ``body`` is the packed cut from ``number`` times `PIECE_BYTES` on."""

    topic: str
    partition: int
    offset: int
    tick: int
    number: int
    count: int
    body: bytes
    resumes: bool = False

    @property
    def lane(self) -> Lane:
        return Lane(self.topic, self.partition)

    @property
    def cut(self) -> CutName:
        return self.offset, self.tick


class PassedOn(msgspec.Struct, array_like=True, frozen=True):
    """A record of another log, whose place among the pieces is where it takes effect.

    It has the offset and the log timestamp (int64 ms UTC) that it has there; ``attempt`` is how
    often it was tried, from 1.
    """

    offset: int
    logged: int
    attempt: int
    body: bytes


_ENCODER = msgspec.msgpack.Encoder()
_PIECES = msgspec.msgpack.Decoder(Piece)
_PASSED = msgspec.msgpack.Decoder(PassedOn)
_WHOLE = msgspec.msgpack.Decoder(
    tuple[CutName, int, int, int | None, int, list[tuple[str, int, bool, int, msgspec.Raw, bytes]]]
)


def pack(cut: Cut, families: Mapping[str, Family]) -> list[bytes]:
    """The pieces of a cut.

    Parameters
    ----------
    families
        How the states of each sign are written, by the sign's name.
    """
    partials = [(*p[:4], *_plain(p, families[p.sign])) for p in cut.partials]
    whole = (cut.previous, cut.watermark, cut.announced, cut.ended_at, cut.shard, partials)
    body = _ENCODER.encode(whole)
    bodies = [body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES)]
    return [
        _ENCODER.encode(Piece(*cut.lane, *cut.name, number, len(bodies), part, cut.resumes))
        for number, part in enumerate(bodies)
    ]


def _plain(partial: Partial, family: Family) -> tuple[list[Key], bytes]:
    """The keys that have a cell, and the cells under the numbers of these.

    The bytes are numbers of the machine, in its own order: all workers are of one kind of machine.
    """
    ids = heads_of(partial.cells).id
    renamed = np.full(len(partial.keys), -1, np.int64)
    renamed[ids] = np.arange(len(ids))
    cells = family.cells()
    cells.merge(partial.cells, renamed)
    return [partial.keys[id] for id in ids.tolist()], cells.dump()


def read_piece(value: bytes) -> Piece:
    """A piece from its record.

    Raises
    ------
    msgspec.MsgspecError
        The value is no piece.
    """
    return _PIECES.decode(value)


def pass_on(record: PassedOn) -> bytes:
    """The bytes of a record that is passed on.

    >>> read_record(pass_on(PassedOn(7, 1000, 1, b"{}")))
    PassedOn(offset=7, logged=1000, attempt=1, body=b'{}')
    """
    return _PASSED_ON + _ENCODER.encode(record)


def read_record(value: bytes) -> Piece | PassedOn:
    """A piece, or what is passed on.

    Raises
    ------
    msgspec.MsgspecError
        The value is neither.
    """
    if value[:1] == _PASSED_ON:
        return _PASSED.decode(value[1:])
    return read_piece(value)


class Assembler:
    """Gathers pieces to cuts.

    Parameters
    ----------
    families
        How the states of each sign are read, by the sign's name.
    """

    def __init__(self, families: Mapping[str, Family]) -> None:
        self.families = families
        self._pieces: dict[Lane, dict[CutName, dict[int, bytes]]] = {}

    def add(self, piece: Piece, heard: CutName, *, rows: bool = True) -> Cut | None:
        """The cut that this piece completes; without ``rows`` its partials are left unread.

        Cuts up to ``heard``, the last one of the lane that was taken, are forgotten.
        """
        waiting = self._pieces.setdefault(piece.lane, {})
        for name in [name for name in waiting if name <= heard]:
            del waiting[name]
        if piece.cut <= heard:
            return None
        bodies = waiting.setdefault(piece.cut, {})
        bodies[piece.number] = piece.body
        if len(bodies) < piece.count:
            return None
        del waiting[piece.cut]
        body = b"".join(bodies[number] for number in range(piece.count))
        return self._read(piece, body, rows=rows)

    def _read(self, piece: Piece, body: bytes, *, rows: bool) -> Cut:
        previous, watermark, announced, ended_at, shard, partials = _WHOLE.decode(body)
        read = [
            Partial(
                sign,
                start,
                late,
                n,
                PackedKeys(bytes(keys)),
                self.families[sign].cells().load(cells),
            )
            for sign, start, late, n, keys, cells in (partials if rows else ())
        ]
        said = (piece.cut, previous, watermark, announced, read, ended_at, shard)
        return Cut(piece.lane, *said, piece.resumes)

    def dump(self) -> list[Any]:
        """Pieces that wait for others, as plain data."""
        return [
            [*lane, *name, sorted(bodies.items())]
            for lane, waiting in self._pieces.items()
            for name, bodies in waiting.items()
        ]

    def load(self, data: list[Any]) -> None:
        for topic, partition, offset, tick, bodies in data:
            waiting = self._pieces.setdefault(Lane(topic, partition), {})
            waiting[offset, tick] = dict(bodies)
