"""Rows of signs in the assess task: panes, which keys are known, and what windows hold of them.

Everything a window holds is a function of the panes that start before its end, so a lane that runs
ahead of the others changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np

from agents.entries import KeyName
from agents.expected import names_of
from agents.islands import Island, lengthened, reaching
from agents.key_table import KeyTable, PlaceCodes
from agents.numbered_keys import NumberedKeys
from agents.plan import FoldedSign
from agents.registered import Registered
from ext.cells import Cells
from ext.names import Names
from schemas.signs import COUNTS
from streams.cuts import Key, PackedKeys, Partial
from streams.frozen import Frozen, grouped, under
from streams.heads import Flags, Floats, Ints, heads_of
from streams.records import Lane
from streams.timeline import AFTER_ALL, BEFORE_ALL

_NUMBERS = (
    "entered_until",
    "observed_from",
    "_entered",
    "last_data",
    "_kept_from",
)
_key = msgspec.msgpack.Decoder(Key).decode


@dataclass(frozen=True)
class Held:
    """What a window holds of keys.

    Attributes
    ----------
    names, places
        Of the keys, in the order in which they are told.
    cells, index
        Of the window, and where each key's cell stands; -1 where nothing was heard.
    first
        The pane from which windows of the key are not warming up any more, int64 ms.
    devices, limits
        How many devices the register has of the key, 0 where it tells none, and its limit, NaN
        without one.
    """

    names: list[KeyName]
    places: list[str]
    cells: Cells
    index: Ints
    first: Ints
    devices: Ints
    limits: Floats


class Late(NamedTuple):
    """What a window holds of the keys of late events, without and with these, and which keys were
    told."""

    before: Held
    told: Flags
    after: Held


class Gathered:
    """The panes by start, on time and late, and the keys of signs that have rows and windows in
    common.

    Parameters
    ----------
    plan
        One of the signs.
    signs
        How many there are: their windows close together, one after the other.
    """

    def __init__(self, plan: FoldedSign, signs: int = 1) -> None:
        self.plan, self.signs = plan, signs
        self.zero = plan.sign.empty == "zero"
        hidden = set(plan.sign.keys) <= set(plan.sign.hidden)
        self.at_once = hidden and plan.sign.aggregate.function in COUNTS
        self._levels = tuple(plan.sign.keys)
        self._codes = PlaceCodes()
        self.keys = KeyTable(self._codes, plan.windows.pane_ms, plan.forget_ms)
        self.registered = Registered(plan.expected, self.keys)
        self._maps: dict[Lane, NumberedKeys] = {}
        self._forget_rows()
        self.entered_until = BEFORE_ALL
        self.observed_from = AFTER_ALL
        self.last_data = BEFORE_ALL
        self._panes: dict[int, Cells] = {}
        self._late: dict[int, Cells] = {}
        self._starts: list[int] = []
        self.late_starts: list[int] = []
        self._entered = 0
        # Of the signs as a whole: keys of the register are missed while others are heard.
        self._stretches: tuple[Island, ...] = ()
        self._changed: set[tuple[str, int]] = set()
        self._keys_changed = False
        self._kept_from = BEFORE_ALL
        self._pruned_until = BEFORE_ALL
        self._fell_silent = False
        self._closed: tuple[int, Held] | None = None
        self._asked = 0
        self._corrected: tuple[int, Late] | None = None

    def receive(self, partial: Partial, lane: Lane | None = None) -> None:
        """Merge the cells of a partial.

        ``lane`` is the one it came from, where that is of this process.
        """
        panes, starts, kind = (
            (self._late, self.late_starts, "late")
            if partial.late
            else (self._panes, self._starts, "pane")
        )
        cells = panes.get(partial.start)
        if cells is None:
            cells = self.plan.family.cells()
            insort(starts, partial.start)
        panes[partial.start] = cells = cells.writable()
        self._changed.add((kind, partial.start))
        if partial.n:
            self.last_data = max(self.last_data, partial.start)
        for numbers, places in self._numbered(partial, lane):
            cells.merge(partial.cells, numbers, places)

    def _numbered(self, partial: Partial, lane: Lane | None) -> list[tuple[Ints, Ints]]:
        """The numbers and places of a partial's keys, as often as the most numbered one has."""
        if lane is None:
            return self._numbered_by_name(partial)
        known = self._maps.get(lane)
        if known is None or known.keys is not partial.keys or len(partial.keys) < known.count:
            # The keys of a lane of this process: more come at their end.
            known = self._maps[lane] = NumberedKeys(partial.keys)
        if known.count < len(partial.keys):
            ids = range(known.count, len(partial.keys))
            known.extend([self._find_targets(partial.keys[id]) for id in ids])
        self._find_lost(known, heads_of(partial.cells).id)
        return known.columns

    def _numbered_by_name(self, partial: Partial) -> list[tuple[Ints, Ints]]:
        """As `_numbered`, of keys that come anew with each partial."""
        named = self._named
        found = np.empty(len(partial.keys), np.int64)
        new = list(map(_key, self._rows.number(PackedKeys.of(partial.keys).packed, found)))
        self._row_keys += new
        named.extend([self._find_targets(key) for key in new])
        self._find_lost(named, found[heads_of(partial.cells).id])
        return [(numbers[found], places[found]) for numbers, places in named.columns]

    def _find_lost(self, known: NumberedKeys, ids: Ints) -> None:
        for id in known.lost(ids):
            known.find_again(id, self._find_targets(known.keys[id]))

    def _find_targets(self, key: Key) -> tuple[tuple[int, int], ...]:
        """The keys a row counts for: its own, and the places above where states merge up."""
        names = names_of(key, self._levels, self.plan.sign.rollup)
        return tuple((self.keys.number(name), self._codes.of(place)) for name, place in names)

    @property
    def waits(self) -> int:
        """Start of the first pane that no window that was closed has, or `AFTER_ALL`."""
        return AFTER_ALL if self._entered == len(self._starts) else self._starts[self._entered]

    @property
    def may_miss(self) -> bool:
        """Whether keys of the register may be missed: some keys were heard of."""
        return bool(self.registered) and bool(self._stretches)

    def close(self, end: int) -> Held:
        """What the window that ends at ``end`` holds, of the events that were on time."""
        if self._closed is None or self._closed[0] != end:
            self._closed, self._asked = (end, self._close(end)), 0
        held = self._closed[1]
        self._asked += 1
        if self._asked == self.signs:
            self._closed = None
        return held

    def _close(self, end: int) -> Held:
        self.enter(end)
        start = self.plan.windows.start(end)
        known = self.registered.at(end) if self.misses(end) else None
        flags = self.keys.alive[: len(self.keys)].copy()
        if known is not None:
            flags[known.numbers] = True
        numbers = self.keys.in_order(flags)
        places, first = self.keys.place[numbers], self._firsts(self.keys.first[numbers])
        if known is not None:
            missed = ~self.keys.alive[numbers]
            places[missed], first[missed] = self._unheard(numbers[missed], end)
        cells = self._over(self._panes, self._starts, start, end)
        texts = self.keys.texts(numbers)
        if known is not None:
            texts = (texts[0], self._codes.places(places))
        return self._held(texts, numbers, cells, end, first)

    def close_final(self, end: int) -> Late:
        """What a window holds of the keys of its late events."""
        if self._corrected is None or self._corrected[0] != end:
            self._corrected = end, self._correct(end)
        return self._corrected[1]

    def _correct(self, end: int) -> Late:
        start = self.plan.windows.start(end)
        late = self._over(self._late, self.late_starts, start, end)
        flags = np.zeros(len(self.keys), np.bool_)
        flags[heads_of(late).id] = True
        numbers = self.keys.in_order(flags)
        on_time = self._of_keys(numbers, start, end)
        index = np.empty(len(numbers), np.int64)
        on_time.find(numbers, index)
        heard = index >= 0
        places = self.keys.places_at(numbers, end)
        places[heard] = heads_of(on_time).place[index[heard]]
        told, first = self.keys.reaching(numbers, end)
        first = np.where(told, self._firsts(first), AFTER_ALL)
        if self.misses(end):
            elsewhere, since = self._unheard(numbers, end)
            missed = ~told & (since < AFTER_ALL)
            places[missed], first[missed] = elsewhere[missed], since[missed]
            told |= missed
        names = [self.keys.names[number] for number in numbers.tolist()]
        texts = (names, self._codes.places(places))
        before = self._held(texts, numbers, on_time, end, first)
        whole = self.plan.family.cells()
        whole.merge(on_time)
        whole.merge(late)
        whole.find(numbers, index)
        low = bisect_left(self.late_starts, start)
        earliest = np.full(len(self.keys), AFTER_ALL)
        for at in reversed(self.late_starts[low:]):
            earliest[heads_of(self._late[at]).id] = at
        if self.zero:
            first = np.full(len(numbers), self.observed_from)
        first = np.minimum(first, earliest[numbers])
        texts = (names, self._codes.places(heads_of(whole).place[index]))
        return Late(before, told, self._held(texts, numbers, whole, end, first))

    def _held(
        self,
        texts: tuple[list[KeyName], list[str]],
        numbers: Ints,
        cells: Cells,
        end: int,
        first: Ints,
    ) -> Held:
        index = np.empty(len(numbers), np.int64)
        cells.find(numbers, index)
        devices = np.zeros(len(numbers), np.int64)
        limits = np.full(len(numbers), np.nan)
        if self.registered:
            known = self.registered.at(end)
            row_of = np.full(len(self.keys), -1, np.int64)
            row_of[known.numbers] = np.arange(len(known.numbers))
            rows = row_of[numbers]
            told = rows >= 0
            devices[told], limits[told] = known.devices[rows[told]], known.limits[rows[told]]
        return Held(*texts, cells, index, first, devices, limits)

    def misses(self, end: int) -> bool:
        """Whether keys of the register are missed in a window: others were heard of late.

        Others are those of all shards, for a pane is known wherever its rows went.
        """
        if not self.registered:
            return False
        pane_ms, forget_ms = self.plan.windows.pane_ms, self.plan.forget_ms
        return reaching(self._stretches, end, pane_ms, forget_ms) is not None

    def _unheard(self, numbers: Ints, end: int) -> tuple[Ints, Ints]:
        """Where the register puts keys, and from when they are missed; `AFTER_ALL` if never."""
        known = self.registered.at(end)
        places, since = np.zeros((2, len(self.keys)), np.int64)
        since[:] = AFTER_ALL
        places[known.numbers] = known.places
        since[known.numbers] = np.maximum(self.observed_from, known.since)
        return places[numbers], since[numbers]

    def enter(self, end: int) -> None:
        """Let panes that start before ``end`` tell which keys are alive."""
        assert end >= self.entered_until, "windows of signs with common rows close together"
        self.entered_until = end
        pane, forget = self.plan.windows.pane_ms, self.plan.forget_ms
        while self._entered < len(self._starts) and self._starts[self._entered] < end:
            start = self._starts[self._entered]
            self._entered += 1
            self._keys_changed = True
            self.observed_from = min(self.observed_from, start)
            self._open(start)
            self._stretches = lengthened(self._stretches, start, pane, forget)
            heads = heads_of(self._panes[start])
            self.keys.hear(heads.id, heads.place, start, self._kept_from)
        if self.keys.quieten(end):
            self._fell_silent = True
            self._keys_changed = True

    def _open(self, start: int) -> None:
        """Called before a pane's rows count: all lanes have passed it."""

    def _firsts(self, first: Ints) -> Ints:
        """The panes from which windows of keys are not warming up any more.

        Where no event means zero, a key without one was observed as long as any other.  A hidden
        count is at least what was seen of it.
        """
        if self.at_once:
            return np.full(len(first), BEFORE_ALL)
        return np.full(len(first), self.observed_from) if self.zero else first.copy()

    def _over(self, panes: dict[int, Cells], starts: list[int], start: int, end: int) -> Cells:
        """The cells of a window; they are not to be changed."""
        within = starts[bisect_left(starts, start) : bisect_left(starts, end)]
        if len(within) == 1:
            return panes[within[0]]
        cells = self.plan.family.cells()
        for at in within:
            cells.merge(panes[at])
        return cells

    def _of_keys(self, numbers: Ints, start: int, end: int) -> Cells:
        """The cells of a window, on time, that some keys have."""
        kept = np.full(len(self.keys), -1, np.int64)
        kept[numbers] = numbers
        cells = self.plan.family.cells()
        for at in self._starts[bisect_left(self._starts, start) : bisect_left(self._starts, end)]:
            cells.merge(self._panes[at], kept)
        return cells

    def prune(self, watermark: int, lateness_ms: int) -> None:
        """Drop panes and keys that no later window or correction can ask for."""
        self._closed = self._corrected = None
        if watermark - lateness_ms < self._pruned_until and not self._fell_silent:
            return
        open_end = self.plan.windows.first_end_after(watermark - lateness_ms)
        self._pruned_until = open_end
        before, keep = self._kept_from, self.plan.windows.start(open_end)
        self._kept_from = keep
        kept = min(bisect_left(self._starts, keep), self._entered)
        for start in self._starts[:kept]:
            del self._panes[start]
        del self._starts[:kept]
        self._entered -= kept
        for start in self.late_starts[: bisect_left(self.late_starts, keep)]:
            del self._late[start]
        del self.late_starts[: bisect_left(self.late_starts, keep)]
        if keep == before and not self._fell_silent:
            return
        self._fell_silent = False
        gone = keep - self.plan.forget_ms - self.plan.windows.pane_ms
        self._stretches = tuple(s for s in self._stretches if s[1] >= gone)
        self._drop_keys(gone)

    def _drop_keys(self, before: int) -> None:
        """Forget keys that were last heard before a time, once they are many."""
        if 4 * np.count_nonzero(self.keys.silent(before)) < max(1, len(self.keys)):
            return
        cells = (*self._panes.values(), *self._late.values())
        gone = self.keys.gone(before, (heads_of(each).id for each in cells))
        if self.registered:
            gone[[n for name in self.plan.expected if (n := self.keys.find(name)) is not None]] = (
                False
            )
        if not gone.any() or 4 * int(gone.sum()) < len(gone):
            return
        renamed = self.keys.drop(gone)
        self._forget_rows()
        for numbered in self._maps.values():
            numbered.rename(renamed)
        self.registered.forget_numbers()
        self._keys_changed = True
        for kind, panes in (("pane", self._panes), ("late", self._late)):
            for start, known in panes.items():
                panes[start] = known.fresh()
                panes[start].merge(known, renamed)
                self._changed.add((kind, start))

    def _forget_rows(self) -> None:
        self._rows = Names()
        """The keys that came with their names, in the order of `_named`."""
        self._row_keys: list[Key] = []
        self._named = NumberedKeys(self._row_keys)

    def open_windows(self) -> int:
        """Number of panes held."""
        return len(self._panes) + len(self._late)

    def dump(self) -> dict[str, Any]:
        """What stands beside the parts of `freeze`."""
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return {**numbers, "stretches": self._stretches}

    def freeze(self, *, whole: bool = False) -> Frozen:
        """Parts by pane, and one with the keys."""
        frozen: Frozen = {}
        for kind, panes in (("pane", self._panes), ("late", self._late)):
            for start, cells in panes.items():
                changed = whole or (kind, start) in self._changed
                frozen[f"{kind}/{start}"] = cells.hold() if changed else None
        frozen.update(under("keys", self.keys.freeze(whole=whole, changed=self._keys_changed)))
        self._changed.clear()
        self._keys_changed = False
        return frozen

    def load(self, data: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
        """Take over the state of an empty one from a dump and all parts of one freeze."""
        for name in _NUMBERS:
            setattr(self, name, data[name])
        self._stretches = tuple((first, last) for first, last in data["stretches"])
        groups = grouped(parts)
        self.keys.load(groups.get("keys", {}))
        for kind, panes in (("pane", self._panes), ("late", self._late)):
            for at, part in groups.get(kind, {}).items():
                panes[int(at)] = self.plan.family.cells().load(part)
        self._starts, self.late_starts = sorted(self._panes), sorted(self._late)
