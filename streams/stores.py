"""What a lane keeps for a sign until its watermark passes: panes of rows, or a sampled table."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeAlias

from ext.panes import Panes
from streams.aggregates import MOMENTS, Accumulator, Family
from streams.timeline import BEFORE_ALL, floor_to

Row: TypeAlias = tuple[int, int, int, int, int]
"""``(t, slot, value, weight, covered)``: event time in ms, slot, values in steps of the resolution,
and the ms the row speaks for."""


class Closed(NamedTuple):
    """A pane that was cut: rows by slot, on time or as corrections."""

    start: int
    late: bool
    rows: list[tuple[int, Accumulator]]


class Store(Protocol):
    """Rows of one sign in one lane; ``add`` never decides about lateness of events."""

    pane_ms: int

    def add(self, row: Row, /) -> None: ...

    def close_until(self, watermark: int, *, ending: bool = False) -> list[Closed]:
        """Take out what no later row of the lane can change.

        ``ending`` at the end of a log: hops without a fresh device are left to what may follow.
        """
        ...

    def open_panes(self) -> int: ...

    def dump(self) -> Any: ...

    def load(self, data: Any) -> None: ...


class MomentStore:
    """Moments in the compiled kernel, fed in batches between two cuts."""

    def __init__(self, pane_ms: int, lateness_ms: int) -> None:
        self.pane_ms = pane_ms
        self._panes = Panes(pane_ms, lateness_ms)
        self._rows: list[Row] = []
        # The hot path: a row costs one append until the next cut.
        self.add = self._rows.append

    def flush(self) -> None:
        self._panes.add(self._rows)
        self._rows.clear()

    def close_until(self, watermark: int, *, ending: bool = False) -> list[Closed]:
        self.flush()
        return [Closed(*closed) for closed in self._panes.close_until(watermark)]

    def open_panes(self) -> int:
        self.flush()
        return self._panes.open_panes

    def dump(self) -> bytes:
        self.flush()
        return self._panes.dump()

    def load(self, data: bytes) -> None:
        self._rows.clear()
        self._panes = Panes.load(data)


class SketchStore:
    """Panes of quantile or distinct accumulators."""

    def __init__(self, family: Family, pane_ms: int, lateness_ms: int) -> None:
        self.family, self.pane_ms, self.lateness_ms = family, pane_ms, lateness_ms
        self._closed_until = BEFORE_ALL
        self._panes: tuple[dict[int, dict[int, Accumulator]], ...] = ({}, {})
        self._rows: list[Row] = []
        self.add = self._rows.append

    def flush(self) -> None:
        """Fold the rows since the last cut: no pane was closed meanwhile."""
        groups: dict[tuple[int, int], list[Row]] = {}
        for row in self._rows:
            groups.setdefault((floor_to(row[0], self.pane_ms), row[1]), []).append(row)
        self._rows.clear()
        for (start, slot), rows in groups.items():
            cells = self._panes[start + self.pane_ms <= self._closed_until].setdefault(start, {})
            state = self.family.gather([(t, v, w, c) for t, _, v, w, c in rows])
            known = cells.get(slot)
            cells[slot] = state if known is None else self.family.merge(known, state)

    def close_until(self, watermark: int, *, ending: bool = False) -> list[Closed]:
        self.flush()
        closed = []
        for late, panes in zip((False, True), self._panes, strict=True):
            delay = self.pane_ms + (self.lateness_ms if late else 0)
            for start in sorted(start for start in panes if start + delay <= watermark):
                closed.append(Closed(start, late, sorted(panes.pop(start).items())))
        self._closed_until = max(self._closed_until, floor_to(watermark, self.pane_ms))
        return closed

    def open_panes(self) -> int:
        self.flush()
        return sum(map(len, self._panes))

    def dump(self) -> list[Any]:
        self.flush()
        dump = self.family.dump
        return [
            self._closed_until,
            *(
                [[s, [[slot, dump(a)] for slot, a in rows.items()]] for s, rows in panes.items()]
                for panes in self._panes
            ),
        ]

    def load(self, data: list[Any]) -> None:
        self._rows.clear()
        load = self.family.load
        self._closed_until = data[0]
        self._panes = tuple(
            {start: {slot: load(a) for slot, a in rows} for start, rows in panes}
            for panes in data[1:]
        )


class SampledStore:
    """The last value of each slot's device, folded at every hop the watermark crosses.

    A slot belongs to one device here; the lane merges slots of one key afterwards.  ``covered`` of
    a folded row counts devices known, ``n`` those not older than three periods.  The value at a
    hop is the last one before it, however far ahead the lane already read.

    Parameters
    ----------
    hop_ms, period_ms, forget_ms
        int64 ms: distance of samples, how often a device reports, when a silent one is unknown.
    """

    def __init__(self, hop_ms: int, period_ms: int, forget_ms: int) -> None:
        self.pane_ms, self.stale_ms, self.forget_ms = hop_ms, 3 * period_ms, forget_ms
        self._folded_until = BEFORE_ALL
        self._last: dict[int, tuple[int, int, int]] = {}
        self._ahead: list[tuple[int, int, int, int]] = []

    def add(self, row: Row, /) -> None:
        t, slot, value, weight, _ = row
        if t >= self._folded_until + self.pane_ms:
            self._ahead.append((t, slot, value, weight))
            return
        self._take(t, slot, value, weight)

    def _take(self, t: int, slot: int, value: int, weight: int) -> None:
        known = self._last.get(slot)
        if known is None or t >= known[0]:
            self._last[slot] = (t, value, weight)

    def close_until(self, watermark: int, *, ending: bool = False) -> list[Closed]:
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
        newest = max((t for t, *_ in self._last.values()), default=BEFORE_ALL)
        return bool(self._ahead) or hop - newest <= self.stale_ms

    def _fold(self, hop: int) -> Closed:
        ahead, self._ahead = self._ahead, []
        for row in ahead:
            if row[0] < hop:
                self._take(*row)
            else:
                self._ahead.append(row)
        rows = []
        for slot, (t, value, weight) in sorted(self._last.items()):
            if hop - t > self.forget_ms:
                del self._last[slot]
            elif hop - t > self.stale_ms:
                rows.append((slot, (*MOMENTS.empty[:2], 1, *MOMENTS.empty[3:])))
            else:
                rows.append((slot, MOMENTS.row(t, value, weight, 1)))
        return Closed(hop - self.pane_ms, False, rows)

    def open_panes(self) -> int:
        return 1 if self._last or self._ahead else 0

    def dump(self) -> list[Any]:
        return [self._folded_until, [[s, *row] for s, row in self._last.items()], self._ahead]

    def load(self, data: list[Any]) -> None:
        self._folded_until = data[0]
        self._last = {slot: (t, value, weight) for slot, t, value, weight in data[1]}
        self._ahead = [(t, slot, value, weight) for t, slot, value, weight in data[2]]
