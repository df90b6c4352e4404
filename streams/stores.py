"""What a lane keeps for a sign until its watermark passes: panes of rows, or a sampled table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias

import msgspec

from ext.panes import Panes
from ext.rows import Rows
from streams.aggregates import MOMENTS, Accumulator, Family
from streams.frozen import (
    Blocks,
    Frozen,
    decode_packed,
    decode_rows,
    encode_rows,
    grouped,
    load_blocks,
    under,
)
from streams.timeline import BEFORE_ALL, floor_to

Row: TypeAlias = tuple[int, int, int, int, int]
"""``(t, slot, value, weight, covered)``: event time in ms, slot, values in steps of the resolution,
and the ms the row speaks for."""
_Sample: TypeAlias = tuple[int, int, int, int]
"""``(t, value, weight, stale_ms)``: the last row of a device, and when it is too old to count."""

_ON_TIME, _LATE = "pane", "late"

_facts = msgspec.msgpack.Decoder(tuple[list[tuple[int, int, tuple[int, ...], int, int]]]).decode
_samples = msgspec.msgpack.Decoder(list[tuple[int, _Sample]]).decode
_rows_ahead = msgspec.msgpack.Decoder(tuple[list[Row]]).decode


class Closed(NamedTuple):
    """A pane that was cut: rows by slot, on time or as corrections."""

    start: int
    late: bool
    rows: list[tuple[int, Accumulator]]


class Store(Protocol):
    """Rows of one sign in one lane; ``add`` never decides about lateness of events."""

    pane_ms: int

    @property
    def rows(self) -> Rows | None:
        """Where `add` puts rows, if they may be put there otherwise."""
        ...

    def add(self, row: Row, /) -> None: ...

    def close_until(self, watermark: int, *, ending: bool = False) -> list[Closed]:
        """Take out what no later row of the lane can change.

        ``ending`` at the end of a log: hops without a fresh device are left to what may follow.
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


class MomentStore:
    """Moments in the compiled kernel, fed in batches between two cuts."""

    def __init__(self, pane_ms: int, lateness_ms: int) -> None:
        self.pane_ms = pane_ms
        self._panes = Panes(pane_ms, lateness_ms)
        self._waiting = _Waiting()
        self.rows = self._waiting.rows
        self.add = self.rows.append

    def close_until(self, watermark: int, *, ending: bool = False) -> list[Closed]:
        self._panes.add(self._waiting.rows)
        self._waiting.clear()
        return [Closed(*closed) for closed in self._panes.close_until(watermark)]

    def open_panes(self) -> int:
        return self._panes.open_panes + bool(self._waiting.rows)

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


class SketchStore:
    """Panes of accumulators that are made in Python."""

    def __init__(self, family: Family, pane_ms: int, lateness_ms: int) -> None:
        self.family, self.pane_ms, self.lateness_ms = family, pane_ms, lateness_ms
        self._closed_until = BEFORE_ALL
        self._panes: tuple[dict[int, dict[int, Accumulator]], ...] = ({}, {})
        self._changed: set[tuple[int, bool]] = set()
        self._waiting = _WaitingFacts() if family.name == "facts" else _Waiting()
        self.rows = self._waiting.rows if isinstance(self._waiting, _Waiting) else None
        self.add: Callable[[Any], None] = self._waiting.rows.append

    def _flush(self) -> None:
        """Fold the rows since the last cut: no pane was closed meanwhile."""
        for start, slot, state in self.family.fold(self._waiting.rows, self.pane_ms):
            late = start + self.pane_ms <= self._closed_until
            self._changed.add((start, late))
            cells = self._panes[late].setdefault(start, {})
            known = cells.get(slot)
            cells[slot] = state if known is None else self.family.merge(known, state)
        self._waiting.clear()

    def close_until(self, watermark: int, *, ending: bool = False) -> list[Closed]:
        self._flush()
        closed = []
        for late, panes in zip((False, True), self._panes, strict=True):
            delay = self.pane_ms + (self.lateness_ms if late else 0)
            for start in sorted(start for start in panes if start + delay <= watermark):
                closed.append(Closed(start, late, sorted(panes.pop(start).items())))
        self._closed_until = max(self._closed_until, floor_to(watermark, self.pane_ms))
        return closed

    def open_panes(self) -> int:
        return sum(map(len, self._panes)) + bool(self._waiting.rows)

    def dump(self) -> int:
        return self._closed_until

    def freeze(self, *, whole: bool = False) -> Frozen:
        frozen = self._waiting.freeze(whole=whole)
        for late, panes in zip((False, True), self._panes, strict=True):
            for start, cells in panes.items():
                changed = whole or (start, late) in self._changed
                encode = partial(self._encode, cells.copy()) if changed else None
                frozen[_named(start, late)] = encode
        self._changed.clear()
        return frozen

    def _encode(self, cells: dict[int, Accumulator]) -> bytes:
        return encode_rows((slot, self.family.dump(state)) for slot, state in cells.items())

    def load(self, data: int, parts: Mapping[str, bytes]) -> None:
        self._closed_until = data
        groups = grouped(parts)
        self._waiting.load(groups.get("rows", {}))
        self._panes = ({}, {})
        for start, late, part in _panes_in(groups):
            load, rows = self.family.load, decode_rows(part)
            self._panes[late][start] = {slot: load(state) for slot, state in rows}


class SampledStore:
    """The last value of each slot's device, folded at every hop the watermark crosses.

    A slot belongs to one device here; the lane merges slots of one key afterwards.  ``covered`` of
    a folded row counts devices known, ``n`` those not older than three periods.  The value at a
    hop is the last one before it, however far ahead the lane already read.

    Parameters
    ----------
    hop_ms, period_ms, forget_ms
        int64 ms: distance of samples, how often a device reports (None where each row says it as
        ``covered``), when a silent one is unknown.
    """

    def __init__(self, hop_ms: int, period_ms: int | None, forget_ms: int) -> None:
        self.pane_ms, self.forget_ms = hop_ms, forget_ms
        self._stale_ms = None if period_ms is None else 3 * period_ms
        self._folded_until = BEFORE_ALL
        self._last: dict[int, _Sample] = {}
        self._changed = False
        self._ahead: list[Row] = []
        self._blocks = Blocks()
        self.rows = Rows()
        self.add = self.rows.append

    def _sort(self) -> None:
        """Take the rows that came, and put aside those that lie ahead of the next hop."""
        for row in self.rows:
            if row[0] >= self._folded_until + self.pane_ms:
                self._ahead.append(row)
            else:
                self._take(row)
        self.rows.clear()

    def _take(self, row: Row) -> None:
        t, slot, value, weight, period_ms = row
        known = self._last.get(slot)
        if known is None or t >= known[0]:
            stale_ms = 3 * period_ms if self._stale_ms is None else self._stale_ms
            self._last[slot] = (t, value, weight, stale_ms)
            self._changed = True

    def close_until(self, watermark: int, *, ending: bool = False) -> list[Closed]:
        self._sort()
        end = floor_to(watermark, self.pane_ms)
        closed = []
        while self._folded_until < end:
            if not self._last:
                first = min((t for t, *_ in self._ahead), default=end)
                self._folded_until = min(
                    end, max(self._folded_until, floor_to(first, self.pane_ms))
                )
                if self._folded_until == end:
                    break
            if ending and not self._fresh_at(self._folded_until + self.pane_ms):
                break
            self._folded_until += self.pane_ms
            closed.append(self._fold(self._folded_until))
        return closed

    def _fresh_at(self, hop: int) -> bool:
        fresh = (hop - t <= stale_ms for t, _, _, stale_ms in self._last.values())
        return bool(self._ahead) or any(fresh)

    def _fold(self, hop: int) -> Closed:
        ahead, self._ahead = self._ahead, []
        self._blocks.clear()
        for row in ahead:
            if row[0] < hop:
                self._take(row)
            else:
                self._ahead.append(row)
        rows = []
        for slot, (t, value, weight, stale_ms) in sorted(self._last.items()):
            if hop - t > self.forget_ms:
                del self._last[slot]
                self._changed = True
            elif hop - t > stale_ms:
                rows.append((slot, (*MOMENTS.empty[:2], 1, *MOMENTS.empty[3:])))
            else:
                rows.append((slot, MOMENTS.row(t, value, weight, 1)))
        return Closed(hop - self.pane_ms, False, rows)

    def open_panes(self) -> int:
        return 1 if self._last or self._ahead or len(self.rows) else 0

    def dump(self) -> int:
        return self._folded_until

    def freeze(self, *, whole: bool = False) -> Frozen:
        self._sort()
        frozen = under("ahead", self._blocks.freeze([self._ahead], whole=whole))
        if self._last:
            changed = whole or self._changed
            frozen["last"] = partial(encode_rows, self._last.copy().items()) if changed else None
        self._changed = False
        return frozen

    def load(self, data: int, parts: Mapping[str, bytes]) -> None:
        self._folded_until = data
        self._last = dict(decode_rows(parts["last"], _samples)) if "last" in parts else {}
        blocks = load_blocks(grouped(parts).get("ahead", {}), _rows_ahead)
        self._ahead = [row for (rows,) in blocks for row in rows]
        self._blocks.loaded(len(self._ahead))
