"""What a lane tells the assess task: panes that were cut, and how far its time has come.

A cut is named by the lane and the offset of the record that made it (a tick is named by the offset
it stands after and its number), and names its predecessor.  So it is a function of the log: a
restart that reads other batches sends the same cuts, a repeat is dropped and a gap is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, overload

import msgspec

from ext.cells import Cells
from ext.names import count_names
from streams.aggregates import Accumulator
from streams.records import Lane

CutName = tuple[int, int]
"""``(offset, number of the tick)``; the number is 0 where a record made the cut."""

BEGINNING: CutName = (-1, 0)


class Key(NamedTuple):
    """What a row is counted for: ``level`` is a place level or a base kind, such as station."""

    level: str
    key: str
    place: str


_pack = msgspec.msgpack.Encoder().encode
_keys = msgspec.msgpack.Decoder(list[Key]).decode


class PackedKeys(Sequence[Key]):
    """Keys as they stand in a record, which are read one by one where somebody asks for them.

    Parameters
    ----------
    packed
        A list of keys in MessagePack.

    Raises
    ------
    ValueError
        The bytes are no such list.

    Examples
    --------
    >>> keys = PackedKeys.of([Key("device", "d-1", "4401"), Key("city", "4401", "4401")])
    >>> len(keys), keys[1].level, PackedKeys.of(keys) is keys
    (2, 'city', True)
    """

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self._count = count_names(packed)

    @classmethod
    def of(cls, keys: Sequence[Key]) -> PackedKeys:
        """These keys, packed if they are not."""
        return keys if isinstance(keys, PackedKeys) else cls(_pack(list(keys)))

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Key: ...
    @overload
    def __getitem__(self, index: slice) -> list[Key]: ...
    def __getitem__(self, index: int | slice) -> Key | list[Key]:
        return self._keys[index]

    @cached_property
    def _keys(self) -> list[Key]:
        return _keys(self.packed)


class Row(NamedTuple):
    """A mergeable aggregate of one key in one pane."""

    level: str
    key: str
    place: str
    state: Accumulator


class Partial(NamedTuple):
    """The rows of one sign in one pane of one lane; ``late`` where they are corrections.

    ``n`` counts the rows of the whole pane that have news of it, of which ``cells`` are what one
    shard needs: whether a window holds data does not depend on how keys are spread over shards.
    A device's sampled value that is older than the pane is no news.  The id of a cell is the place
    of its key in ``keys``, which may hold others too.
    """

    sign: str
    start: int
    late: bool
    n: int
    keys: Sequence[Key]
    cells: Cells

    @property
    def events(self) -> int:
        """How many rows the cells have."""
        return self.cells.count_rows()

    def rows(self) -> list[Row]:
        """The rows one by one, in the order of their keys."""
        return sorted(Row(*self.keys[id], state) for id, state in self.cells.states())


class Cut(NamedTuple):
    """Partials of one lane and its watermark.

    ``ended_at`` is None but for the tick that ends a log: then it is the watermark that the lane's
    records alone had reached, and windows after all of them are closed only if they hold data.
    ``announced`` is the number of events the lane has sent to the shard since its beginning, this
    cut included: the assess task checks that it received as many (rule R4).
    """

    lane: Lane
    name: CutName
    previous: CutName
    watermark: int
    announced: int
    partials: list[Partial]
    ended_at: int | None = None
    shard: int = 0
    resumes: bool = False
    """Whether records were lost before it: the lane may have said other things in another life."""
    local: bool = False
    """Whether it was made in this process: its keys are then those of the lane, which grow."""


class GapError(Exception):
    """A cut is missing between two of one lane: the shard must stop, its state is not whole."""
