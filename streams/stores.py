"""What a lane keeps for a sign until its watermark passes: panes of rows, or a sampled table."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias

import msgspec
import numpy as np

from ext.cells import Cells, Objects
from ext.panes import Panes
from ext.rows import Rows
from ext.samples import Samples
from streams.aggregates import Family
from streams.frozen import Blocks, Frozen, decode_packed, grouped, load_blocks, under
from streams.heads import Flags, Ints, heads_of
from streams.timeline import BEFORE_ALL, floor_to

Row: TypeAlias = tuple[int, int, int, int, int]
"""``(t, slot, value, weight, covered)``: event time in ms, slot, values in steps of the resolution,
and the ms the row speaks for."""

_ON_TIME, _LATE = "pane", "late"

_facts = msgspec.msgpack.Decoder(tuple[list[tuple[int, int, tuple[int, ...], int, int]]]).decode


class Closed(NamedTuple):
    """A pane that was cut: cells by number, on time or as corrections."""

    start: int
    late: bool
    cells: Cells


class Store(Protocol):
    """Rows of one sign in one lane; ``add`` never decides about lateness of events."""

    pane_ms: int

    @property
    def rows(self) -> Rows | None:
        """Where `add` puts rows, if they may be put there otherwise."""
        ...

    def add(self, row: Row, /) -> None: ...

    def close_until(
        self, watermark: int, keys: array[int], *, ending: bool = False
    ) -> list[Closed]:
        """Take out what no later row of the lane can change.

        Parameters
        ----------
        keys
            The number of each slot's key, under which its rows come out.
        ending
            At the end of a log: hops without a fresh device are left to what may follow.
        """
        ...

    def open_panes(self) -> int:
        """Panes with rows; those that came since the last cut count as one."""
        ...

    def dump(self) -> int:
        """What stands beside the parts of `freeze`."""
        ...

    def freeze(self, *, whole: bool = False) -> Frozen:
        """The rows in parts, without folding any: those since the last cut stay rows."""
        ...

    def load(self, data: int, parts: Mapping[str, bytes]) -> None:
        """Take over the state of an empty store from a dump and all parts of one freeze."""
        ...


class _Waiting:
    """Rows since the last cut: on the hot path a row costs one append."""

    def __init__(self) -> None:
        self.rows = Rows()
        self._blocks = Blocks()

    def clear(self) -> None:
        self.rows.clear()
        self._blocks.clear()

    def freeze(self, *, whole: bool) -> Frozen:
        parts = self._blocks.freeze_packed(len(self.rows), self.rows.packed, whole=whole)
        return under("rows", parts)

    def load(self, parts: Mapping[str, bytes]) -> None:
        self.clear()
        self.rows.extend(decode_packed(parts))
        self._blocks.loaded(len(self.rows))


class _WaitingFacts:
    """Rows whose values are tuples."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._blocks = Blocks()

    def clear(self) -> None:
        self.rows.clear()
        self._blocks.clear()

    def freeze(self, *, whole: bool) -> Frozen:
        return under("rows", self._blocks.freeze_copy([self.rows], whole=whole))

    def load(self, parts: Mapping[str, bytes]) -> None:
        self.clear()
        for (rows,) in load_blocks(parts, _facts):
            self.rows += rows
        self._blocks.loaded(len(self.rows))


def _named(start: int, late: bool) -> str:
    return f"{_LATE if late else _ON_TIME}/{start}"


def _panes_in(groups: Mapping[str, Mapping[str, bytes]]) -> Iterator[tuple[int, bool, bytes]]:
    for kind in (_ON_TIME, _LATE):
        for start, part in groups.get(kind, {}).items():
            yield int(start), kind == _LATE, part


class PaneStore:
    """Panes of accumulators, fed in batches between two cuts; a slot is a key of its own."""

    def __init__(self, family: Family, pane_ms: int, lateness_ms: int) -> None:
        self.pane_ms, self.family = pane_ms, family
        self._panes = Panes(pane_ms, lateness_ms, family.cells())
        self._waiting = _WaitingFacts() if family.name == "facts" else _Waiting()
        self.rows = self._waiting.rows if isinstance(self._waiting, _Waiting) else None
        self.add: Callable[[Any], None] = self._waiting.rows.append

    def close_until(
        self, watermark: int, keys: array[int], *, ending: bool = False
    ) -> list[Closed]:
        if self.rows is not None:
            self._panes.add(self.rows)
        else:
            for t, slot, *row in self._waiting.rows:
                cells = self._panes.cells(floor_to(t, self.pane_ms))
                assert isinstance(cells, Objects)
                cells.put(slot, self.family.row(t, *row))
        self._waiting.clear()
        return [Closed(*closed) for closed in self._panes.close_until(watermark)]

    def open_panes(self) -> int:
        return self._panes.open_panes + bool(self._waiting.rows)

    def used(self, slots: int) -> Flags:
        """Which of the first slots have rows; right after a cut, as `rename` is."""
        flags = np.zeros(slots, np.bool_)
        for cells in self._panes.all_cells():
            flags[heads_of(cells).id] = True
        return flags

    def rename(self, renamed: Ints) -> None:
        """Slots have other numbers; -1 of those without rows that are no more."""
        self._panes.rename(renamed)

    def dump(self) -> int:
        return self._panes.closed_until

    def freeze(self, *, whole: bool = False) -> Frozen:
        frozen = self._waiting.freeze(whole=whole)
        for (start, late), encode in self._panes.freeze(whole).items():
            frozen[_named(start, late)] = encode
        return frozen

    def load(self, data: int, parts: Mapping[str, bytes]) -> None:
        groups = grouped(parts)
        self._waiting.load(groups.get("rows", {}))
        panes = {(start, late): part for start, late, part in _panes_in(groups)}
        self._panes.load(data, panes)


class SampledStore:
    """The last value of each device, folded at every hop the watermark crosses.

    A slot belongs to one device, and comes out under the number of its key.  ``covered`` of a
    folded cell counts devices known, ``n`` those not older than three periods.  The value at a
    hop is the last one before it, however far ahead the lane already read.  A device that moves
    has another slot at each place, and counts in that of its last value.

    Parameters
    ----------
    hop_ms, period_ms, forget_ms
        int64 ms: distance of samples, how often a device reports (None where each row says it as
        ``covered``), when a silent one is unknown.
    moves
        Whether devices move.

    Attributes
    ----------
    things
        Where devices move, the number of each slot's: whoever gives a slot says it here.
    """

    def __init__(
        self, hop_ms: int, period_ms: int | None, forget_ms: int, *, moves: bool = False
    ) -> None:
        self.pane_ms, self.forget_ms = hop_ms, forget_ms
        self._samples = Samples(None if period_ms is None else 3 * period_ms, moves)
        self.things: array[int] | None = array("q") if moves else None
        self._folded_until = BEFORE_ALL
        self._blocks = Blocks()
        self.rows = Rows()
        self.add = self.rows.append

    def _sort(self) -> None:
        """Take the rows that came, and put aside those that lie ahead of the next hop."""
        self._samples.add(self.rows, self._folded_until + self.pane_ms, self.things)
        self.rows.clear()

    def close_until(
        self, watermark: int, keys: array[int], *, ending: bool = False
    ) -> list[Closed]:
        self._sort()
        end = floor_to(watermark, self.pane_ms)
        closed = []
        while self._folded_until < end:
            if not self._samples.known:
                ahead = self._samples.first_ahead()
                first = floor_to(end if ahead is None else ahead, self.pane_ms)
                self._folded_until = min(end, max(self._folded_until, first))
                if self._folded_until == end:
                    break
            if ending and not self._samples.any_fresh(self._folded_until + self.pane_ms):
                break
            self._folded_until += self.pane_ms
            closed.append(self._fold(self._folded_until, keys))
        return closed

    def _fold(self, hop: int, keys: array[int]) -> Closed:
        self._blocks.clear()
        self._samples.advance(hop, self.things)
        cells = self._samples.at(hop, keys, self.forget_ms)
        return Closed(hop - self.pane_ms, False, cells)

    def open_panes(self) -> int:
        samples = self._samples
        return 1 if samples.known or samples.count_ahead or len(self.rows) else 0

    def used(self, slots: int) -> Flags:
        """Which of the first slots have a value, or one ahead; after a cut, as `rename` is."""
        flags = np.zeros(slots, np.bool_)
        self._samples.mark(flags.view(np.uint8))
        return flags

    def rename(self, renamed: Ints) -> None:
        """Slots have other numbers; -1 of those without a value that are no more."""
        self._samples.rename(renamed)
        self._blocks.clear()

    def dump(self) -> int:
        return self._folded_until

    def freeze(self, *, whole: bool = False) -> Frozen:
        self._sort()
        samples = self._samples
        ahead = self._blocks.freeze_packed(samples.count_ahead, samples.packed_ahead, whole=whole)
        frozen = under("ahead", ahead)
        if samples.known:
            changed = whole or samples.changed
            frozen["last"] = partial(bytes, samples.dump()) if changed else None
        samples.changed = False
        return frozen

    def load(self, data: int, parts: Mapping[str, bytes]) -> None:
        self._folded_until = data
        ahead = Rows()
        ahead.extend(decode_packed(grouped(parts).get("ahead", {})))
        self._samples.load(parts.get("last", b""), ahead)
        self._samples.changed = False
        self._blocks.loaded(len(ahead))
