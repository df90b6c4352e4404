"""Window and sampled signs in the assess task: partials in, entries of closed windows out.

Windows close in the order of their ends.  Everything an end says is a function of the panes that
start before it, so a lane that runs ahead of the others changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from agents.entries import Entry, KeyName, judged, places_above
from agents.evaluation import Evaluation
from agents.expected import names_of
from agents.islands import Island, lengthened, reaching
from agents.levels import scale_of
from agents.plan import FoldedSign
from agents.readers import Key
from agents.rollups import roll_up
from streams.aggregates import Accumulator
from streams.cuts import Partial, Row
from streams.frozen import Encode, Frozen, decode_rows, encode_rows, grouped
from streams.sliding import Sliding
from streams.timeline import AFTER_ALL, BEFORE_ALL

Cell = tuple[str, Accumulator]
"""``(place of the last row, state)``."""
_NUMBERS = (
    "last_end",
    "last_final",
    "observed_from",
    "_entered",
    "_last_data",
    "_skipped_until",
    "_kept_from",
)


class FoldedState:
    """One sign: panes by start, on time and late, and which keys are known."""

    def __init__(self, plan: FoldedSign) -> None:
        self.plan = plan
        self.sign = plan.sign
        corrected = plan.sign.kind == "window" and not plan.at_arrival
        self.lateness_ms = plan.lateness_ms if corrected else 0
        self.over = plan.sign.rollup not in ("merge", "none")
        self.zero = plan.sign.empty == "zero"
        self._keys = tuple(plan.sign.keys)
        self._scale = scale_of(plan.sign.levels)
        self._said: dict[int, list[Entry]] = {}
        self.last_end = self.last_final = BEFORE_ALL
        self.observed_from = AFTER_ALL
        self._last_data = BEFORE_ALL
        self._skipped_until = BEFORE_ALL
        self._panes: dict[int, dict[KeyName, Cell]] = {}
        self._late: dict[int, dict[KeyName, Cell]] = {}
        self._starts: list[int] = []
        self._late_starts: list[int] = []
        self._entered = 0
        # Values are replaced, never changed in place: a freeze copies the tables alone.
        self._islands: dict[KeyName, tuple[Island, ...]] = {}
        self._alive: set[KeyName] = set()
        # Of the sign as a whole: keys of the register are missed while others are heard.
        self._stretches: tuple[Island, ...] = ()
        self._places: dict[KeyName, tuple[tuple[int, str], ...]] = {}
        self._changed: set[tuple[str, int]] = set()
        self._keys_changed = False
        self._kept_from = BEFORE_ALL
        self._fell_silent = False
        self._sliding: dict[KeyName, Sliding] = {}
        self._names: dict[tuple[str, str, str], tuple[tuple[KeyName, str], ...]] = {}
        self._expected = plan.expected
        self._evaluate = Evaluation(plan, self._scale).entry

    def receive(self, partial: Partial) -> None:
        """Merge the rows of a partial."""
        panes, starts = (
            (self._late, self._late_starts) if partial.late else (self._panes, self._starts)
        )
        cells = panes.get(partial.start)
        if cells is None:
            cells = panes[partial.start] = {}
            insort(starts, partial.start)
        self._changed.add(("late" if partial.late else "pane", partial.start))
        if partial.n:
            self._last_data = max(self._last_data, partial.start)
        for row in partial.rows:
            for name, place in self._names_of(row):
                known = cells.get(name)
                cells[name] = (
                    (place, row.state) if known is None else self._merged(known, (place, row.state))
                )

    def _names_of(self, row: Row) -> tuple[tuple[KeyName, str], ...]:
        """The keys a row counts for: its own, and the places above where states merge up."""
        names = self._names.get(row[:3])
        if names is None:
            names = names_of(Key(*row[:3]), self._keys, self.sign.rollup)
            self._names[row[:3]] = names
        return names

    def _merged(self, a: Cell, b: Cell) -> Cell:
        later = max((a[1][1], a[0]), (b[1][1], b[0]))
        return later[1], self.plan.family.merge(a[1], b[1])

    def next_end(self, limit: int = AFTER_ALL) -> int:
        """End of the next window that can have something to say, or `AFTER_ALL`.

        Above ``limit``, where the log has ended, only a window that holds data has.
        """
        after = max(self.last_end, self._skipped_until)
        speaks = bool(self._alive)
        if not speaks and self._expected and self._stretches:
            speaks = self._misses(self.plan.windows.first_end_after(after))
        if not speaks:
            if self._entered == len(self._starts):
                return AFTER_ALL
            after = max(after, self._starts[self._entered])
        end = self.plan.windows.first_end_after(after)
        if end > limit and self.plan.windows.start(end) > self._last_data:
            return AFTER_ALL
        return end

    def skip(self, watermark: int) -> None:
        """Leave out what a log that has ended did not close: it stays unsaid if the log goes on."""
        self._skipped_until = max(self._skipped_until, watermark)

    def next_final(self) -> int:
        """End of the next window with corrections, or `AFTER_ALL`."""
        if not self._late_starts:
            return AFTER_ALL
        after = max(self.last_final, self._late_starts[0])
        return self.plan.windows.first_end_after(after)

    def close(self, end: int) -> list[Entry]:
        """Entries of the window that ends at ``end``, of the events that were on time."""
        self._enter(end)
        self.last_end = end
        start = self.plan.windows.start(end)
        entries = [self._said_of(n, start, end) for n in self._speaking(end)]
        if not self.over:
            return entries
        self._said[end] = entries
        self._changed.add(("said", end))
        return entries + self._parents(entries)

    def _speaking(self, end: int) -> list[KeyName]:
        """The keys of a window: those that were heard of late, and those of the register."""
        if not self._misses(end):
            return sorted(self._alive)
        expected = {name for name, key in self._expected.items() if key.devices(end)}
        return sorted(self._alive | expected)

    def _misses(self, end: int) -> bool:
        """Whether keys of the register are missed in a window: others were heard of late.

        Others are those of all shards, for a pane is known wherever its rows went.
        """
        if not self._expected:
            return False
        pane_ms, forget_ms = self.plan.windows.pane_ms, self.plan.forget_ms
        return reaching(self._stretches, end, pane_ms, forget_ms) is not None

    def _is_missed(self, name: KeyName, end: int) -> bool:
        """Whether the register expects the key in a window."""
        key = self._expected.get(name)
        return key is not None and key.devices(end) > 0 and self._misses(end)

    def _said_of(self, name: KeyName, start: int, end: int) -> Entry:
        """What the events that were on time say of a key."""
        sliding = self._sliding.get(name)
        state = None if sliding is None else sliding.since(start)
        if name in self._alive:
            place, first = self._places[name][-1][1], self._first(self._islands[name][-1])
        else:
            place, first = self._unheard(name, end)
        return self._evaluate(name, place, state, start, end, first)

    def _unheard(self, name: KeyName, end: int) -> tuple[str, int]:
        """Where the register puts a key, and from when it is missed."""
        key = self._expected[name]
        return key.place(end), max(self.observed_from, key.since(end))

    def _enter(self, end: int) -> None:
        """Let panes that start before ``end`` tell which keys are alive."""
        pane, forget = self.plan.windows.pane_ms, self.plan.forget_ms
        while self._entered < len(self._starts) and self._starts[self._entered] < end:
            start = self._starts[self._entered]
            self._entered += 1
            self._keys_changed = True
            self.observed_from = min(self.observed_from, start)
            self._open(start)
            self._stretches = lengthened(self._stretches, start, pane, forget)
            for name, (place, state) in self._panes[start].items():
                self._islands[name] = lengthened(self._islands.get(name, ()), start, pane, forget)
                self._move(name, start, place)
                # Not anew with an island: a long window counts the rows before a silence too.
                sliding = self._sliding.get(name)
                if sliding is None:
                    sliding = self._sliding[name] = Sliding(self.plan.family)
                sliding.push(start, state)
                self._alive.add(name)
        silent = [n for n in self._alive if end - self._islands[n][-1][1] - pane > forget]
        if silent:
            self._alive.difference_update(silent)
            self._fell_silent = True
            self._keys_changed = True

    def _open(self, start: int) -> None:
        """Called before a pane's rows count: all lanes have passed it."""

    def _move(self, name: KeyName, start: int, place: str) -> None:
        """Note where the key is from a pane on, as far back as a correction can ask."""
        places = self._places.get(name, ())
        if not places or places[-1][1] != place:
            places = (*places, (start, place))
            while len(places) > 1 and places[1][0] < self._kept_from:
                places = places[1:]
            self._places[name] = places

    def _place(self, name: KeyName, end: int) -> str:
        """Where the key's newest row before a window's end was."""
        return next(place for start, place in reversed(self._places[name]) if start < end)

    def _first(self, island: Island) -> int:
        """The pane from which windows are not warming up any more.

        Where no event means zero, a key without one was observed as long as any other.
        """
        return self.observed_from if self.zero else island[0]

    def _parents(
        self, children: Iterable[Entry], only: Collection[KeyName] | None = None
    ) -> list[Entry]:
        parents = roll_up(children, self.sign.rollup, self._keys, only)
        return [judged(p, self._scale) for p in parents]

    def close_final(self, end: int) -> list[tuple[Entry | None, Entry]]:
        """Entries that the late events of a window changed, as (before, after)."""
        self.last_final = end
        start = self.plan.windows.start(end)
        low, high = bisect_left(self._late_starts, start), bisect_left(self._late_starts, end)
        affected = {n for p in self._late_starts[low:high] for n in self._late[p]}
        pairs = [self._both(name, start, end) for name in sorted(affected)]
        changed = [(before, after) for before, after in pairs if before != after]
        return changed + self._changed_parents(changed, end) if self.over else changed

    def _changed_parents(
        self, changed: list[tuple[Entry | None, Entry]], end: int
    ) -> list[tuple[Entry | None, Entry]]:
        """Parents that corrected children change, as (before, after)."""
        touched = {
            name
            for pair in changed
            for e in pair
            if e is not None
            for name in places_above(e.level, e.place, self._keys)
        }
        children = {e.name: e for e in self._said.get(end, [])}
        before = {e.name: e for e in self._parents(children.values(), touched)}
        children.update((after.name, after) for _, after in changed)
        ordered = [children[name] for name in sorted(children)]
        after = self._parents(ordered, touched)
        return [(before.get(e.name), e) for e in after if before.get(e.name) != e]

    def _island(self, name: KeyName, end: int) -> Island | None:
        """The stretch of the key that reaches to a window's end, or None where it was unknown."""
        pane_ms = self.plan.windows.pane_ms
        return reaching(self._islands.get(name, ()), end, pane_ms, self.plan.forget_ms)

    def _both(self, name: KeyName, start: int, end: int) -> tuple[Entry | None, Entry]:
        """The entry of a key without and with the late events."""
        on_time = self._over_panes(self._panes, self._starts, name, start, end)
        late = self._over_panes(self._late, self._late_starts, name, start, end)
        island, before = self._island(name, end), None
        first = AFTER_ALL
        if island is not None:
            first = self._first(island)
            place = self._place(name, end) if on_time is None else on_time[0]
            state = None if on_time is None else on_time[1]
            before = self._evaluate(name, place, state, start, end, first)
        elif self._is_missed(name, end):
            place, first = self._unheard(name, end)
            state = None if on_time is None else on_time[1]
            before = self._evaluate(name, place, state, start, end, first)
        assert late is not None
        whole = late if on_time is None else self._merged(on_time, late)
        low = bisect_left(self._late_starts, start)
        if self.zero:
            first = self.observed_from
        first = min([first, *(p for p in self._late_starts[low:] if name in self._late[p])])
        return before, self._evaluate(name, whole[0], whole[1], start, end, first)

    def _over_panes(
        self,
        panes: dict[int, dict[KeyName, Cell]],
        starts: list[int],
        name: KeyName,
        start: int,
        end: int,
    ) -> Cell | None:
        merged: Cell | None = None
        for at in starts[bisect_left(starts, start) : bisect_left(starts, end)]:
            cell = panes[at].get(name)
            if cell is not None:
                merged = cell if merged is None else self._merged(merged, cell)
        return merged

    def prune(self, watermark: int) -> None:
        """Drop panes and keys that no later window or correction can ask for."""
        if watermark <= BEFORE_ALL // 2:
            return
        open_end = self.plan.windows.first_end_after(watermark - self.lateness_ms)
        before, keep = self._kept_from, self.plan.windows.start(open_end)
        self._kept_from = keep
        kept = min(bisect_left(self._starts, keep), self._entered)
        for start in self._starts[:kept]:
            del self._panes[start]
        del self._starts[:kept]
        self._entered -= kept
        for end in [end for end in self._said if end < open_end]:
            del self._said[end]
        for start in self._late_starts[: bisect_left(self._late_starts, keep)]:
            del self._late[start]
        del self._late_starts[: bisect_left(self._late_starts, keep)]
        if keep == before and not self._fell_silent:
            return
        self._fell_silent = False
        gone = keep - self.plan.forget_ms - self.plan.windows.pane_ms
        self._stretches = tuple(s for s in self._stretches if s[1] >= gone)
        for name in [n for n, islands in self._islands.items() if islands[-1][1] < gone]:
            if name not in self._alive:
                del self._islands[name], self._places[name], self._sliding[name]
                self._keys_changed = True

    def open_windows(self) -> int:
        """Number of panes held."""
        return len(self._panes) + len(self._late)

    def dump(self) -> dict[str, Any]:
        """What stands beside the parts of `freeze`."""
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return {**numbers, "stretches": self._stretches}

    def freeze(self, *, whole: bool = False) -> Frozen:
        """Parts by pane and window end, and one with the keys."""
        frozen: Frozen = {}
        for kind, panes in (("pane", self._panes), ("late", self._late)):
            for start, cells in panes.items():
                changed = whole or (kind, start) in self._changed
                frozen[f"{kind}/{start}"] = self._freeze_cells(cells) if changed else None
        for end, entries in self._said.items():
            changed = whole or ("said", end) in self._changed
            frozen[f"said/{end}"] = _freeze_entries(entries) if changed else None
        if self._islands:
            frozen["keys"] = self._freeze_keys() if whole or self._keys_changed else None
        self._changed.clear()
        self._keys_changed = False
        return frozen

    def _freeze_cells(self, cells: dict[KeyName, Cell]) -> Encode:
        dump, copied = self.plan.family.dump, cells.copy()
        return lambda: encode_rows(
            (*name, place, *dump(state)) for name, (place, state) in copied.items()
        )

    def _freeze_keys(self) -> Encode:
        islands, places, alive = self._islands.copy(), self._places.copy(), self._alive.copy()
        return lambda: encode_rows(
            (*name, known, places[name], name in alive) for name, known in islands.items()
        )

    def load(self, data: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
        """Take over the state of an empty one from a dump and all parts of one freeze."""
        for name in _NUMBERS:
            setattr(self, name, data[name])
        self._stretches = tuple((first, last) for first, last in data["stretches"])
        groups = grouped(parts)
        for kind, panes in (("pane", self._panes), ("late", self._late)):
            for at, part in groups.get(kind, {}).items():
                panes[int(at)] = self._load_cells(part)
        self._starts, self._late_starts = sorted(self._panes), sorted(self._late)
        for end, part in groups.get("said", {}).items():
            self._said[int(end)] = list(map(Entry._make, decode_rows(part)))
        if "keys" in parts:
            self._load_keys(parts["keys"])
        for start in self._starts[: self._entered]:
            for key, (_, state) in self._panes[start].items():
                self._sliding[key].push(start, state)

    def _load_cells(self, part: bytes) -> dict[KeyName, Cell]:
        load, rows = self.plan.family.load, decode_rows(part)
        return {(level, key): (place, load(state)) for level, key, place, *state in rows}

    def _load_keys(self, part: bytes) -> None:
        for level, key, islands, places, alive in decode_rows(part):
            name = (level, key)
            self._islands[name] = tuple((first, last) for first, last in islands)
            self._places[name] = tuple((start, place) for start, place in places)
            self._sliding[name] = Sliding(self.plan.family)
            if alive:
                self._alive.add(name)


def _freeze_entries(entries: list[Entry]) -> Encode:
    return lambda: encode_rows(entries)
