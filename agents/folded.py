"""Window and sampled signs in the assess task: partials in, what closed windows say out.

Windows close in the order of their ends.  Everything an end says is a function of the panes that
start before it, so a lane that runs ahead of the others changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np

from agents.entries import KeyName, places_above
from agents.evaluation import Evaluation
from agents.expected import names_of
from agents.islands import Island, lengthened, reaching
from agents.key_table import KeyTable, PlaceCodes
from agents.numbered_keys import NumberedKeys
from agents.plan import FoldedSign
from agents.registered import Registered
from agents.rollups import SITE, RollUp
from agents.said import Correction, Said, named
from ext.cells import Cells
from schemas.signs import COUNTS
from streams.cuts import Key, Partial
from streams.frozen import Frozen, grouped, under
from streams.heads import Ints, heads_of
from streams.records import Lane
from streams.timeline import AFTER_ALL, BEFORE_ALL

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
        hidden = set(plan.sign.keys) <= set(plan.sign.hidden)
        self.at_once = hidden and plan.sign.aggregate.function in COUNTS
        self._levels = tuple(plan.sign.keys)
        self._roll_up = RollUp(plan.sign.rollup, self._levels)
        self._of_sites = self.over and plan.sign.base == "device" and SITE in self._levels
        self._evaluation = Evaluation(plan)
        self._codes = PlaceCodes()
        self._keys = KeyTable(self._codes, plan.windows.pane_ms, plan.forget_ms)
        self._registered = Registered(plan.expected, self._keys)
        self._maps: dict[Lane, NumberedKeys] = {}
        self._forget_rows()
        self._said: dict[int, Said] = {}
        self.last_end = self.last_final = BEFORE_ALL
        self.observed_from = AFTER_ALL
        self._last_data = BEFORE_ALL
        self._skipped_until = BEFORE_ALL
        self._panes: dict[int, Cells] = {}
        self._late: dict[int, Cells] = {}
        self._starts: list[int] = []
        self._late_starts: list[int] = []
        self._entered = 0
        # Of the sign as a whole: keys of the register are missed while others are heard.
        self._stretches: tuple[Island, ...] = ()
        self._changed: set[tuple[str, int]] = set()
        self._keys_changed = False
        self._kept_from = BEFORE_ALL
        self._pruned_until = BEFORE_ALL
        self._fell_silent = False

    def receive(self, partial: Partial, lane: Lane | None = None) -> None:
        """Merge the cells of a partial.

        ``lane`` is the one it came from, where that is of this process.
        """
        panes, starts, kind = (
            (self._late, self._late_starts, "late")
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
            self._last_data = max(self._last_data, partial.start)
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
        rows, named = self._rows, self._named
        new = [key for key in dict.fromkeys(partial.keys) if key not in rows]
        if new:
            rows.update(zip(new, count(len(rows))))
            self._row_keys += new
            named.extend([self._find_targets(key) for key in new])
        found = np.fromiter(map(rows.__getitem__, partial.keys), np.int64, len(partial.keys))
        self._find_lost(named, found[heads_of(partial.cells).id])
        return [(numbers[found], places[found]) for numbers, places in named.columns]

    def _find_lost(self, known: NumberedKeys, ids: Ints) -> None:
        for id in known.lost(ids):
            known.find_again(id, self._find_targets(known.keys[id]))

    def _find_targets(self, key: Key) -> tuple[tuple[int, int], ...]:
        """The keys a row counts for: its own, and the places above where states merge up."""
        names = names_of(key, self._levels, self.sign.rollup)
        return tuple((self._keys.number(name), self._codes.of(place)) for name, place in names)

    def next_end(self, limit: int = AFTER_ALL) -> int:
        """End of the next window that can have something to say, or `AFTER_ALL`.

        Above ``limit``, where the log has ended, only a window that holds data has.
        """
        after = max(self.last_end, self._skipped_until)
        speaks = self._keys.any_alive
        if not speaks and self._registered and self._stretches:
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
        windows = self.plan.windows
        end = windows.first_end_after(max(self.last_final, self._late_starts[0]))
        # Windows between two late panes have nothing to correct.
        first = bisect_left(self._late_starts, windows.start(end))
        if first == len(self._late_starts):
            return AFTER_ALL
        late = self._late_starts[first]
        return end if late < end else windows.first_end_after(late)

    def close(self, end: int) -> Said:
        """Rows of the window that ends at ``end``, of the events that were on time."""
        self._enter(end)
        self.last_end = end
        start = self.plan.windows.start(end)
        known = self._registered.at(end) if self._misses(end) else None
        flags = self._keys.alive[: len(self._keys)].copy()
        if known is not None:
            flags[known.numbers] = True
        numbers = self._keys.in_order(flags)
        places, first = self._keys.place[numbers], self._firsts(self._keys.first[numbers])
        if known is not None:
            missed = ~self._keys.alive[numbers]
            places[missed], first[missed] = self._unheard(numbers[missed], end)
        cells = self._over(self._panes, self._starts, start, end)
        texts = self._keys.texts(numbers)
        if known is not None:
            texts = (texts[0], self._codes.places(places))
        said = self._say(texts, numbers, cells, start, end, first)
        if not self.over:
            return said
        self._said[end] = said
        self._changed.add(("said", end))
        return said.and_then(self._parents(said, end))

    def pass_over(self, end: int) -> None:
        """Leave a window unsaid: what started before its end is known, as if it were said."""
        self._enter(end)
        self.last_end = end

    def pass_over_final(self, end: int) -> None:
        """Leave the corrections of a window unsaid."""
        self.last_final = end

    def _say(
        self,
        texts: tuple[list[KeyName], list[str]],
        numbers: Ints,
        cells: Cells,
        start: int,
        end: int,
        first: Ints,
    ) -> Said:
        index = np.empty(len(numbers), np.int64)
        cells.find(numbers, index)
        devices = np.zeros(len(numbers), np.int64)
        limits = np.full(len(numbers), np.nan)
        if self._registered:
            known = self._registered.at(end)
            row_of = np.full(len(self._keys), -1, np.int64)
            row_of[known.numbers] = np.arange(len(known.numbers))
            rows = row_of[numbers]
            told = rows >= 0
            devices[told], limits[told] = known.devices[rows[told]], known.limits[rows[told]]
        return self._evaluation.said(
            *texts,
            cells,
            index,
            start,
            end,
            first,
            devices,
            limits,
        )

    def _misses(self, end: int) -> bool:
        """Whether keys of the register are missed in a window: others were heard of late.

        Others are those of all shards, for a pane is known wherever its rows went.
        """
        if not self._registered:
            return False
        pane_ms, forget_ms = self.plan.windows.pane_ms, self.plan.forget_ms
        return reaching(self._stretches, end, pane_ms, forget_ms) is not None

    def _unheard(self, numbers: Ints, end: int) -> tuple[Ints, Ints]:
        """Where the register puts keys, and from when they are missed; `AFTER_ALL` if never."""
        known = self._registered.at(end)
        places, since = np.zeros((2, len(self._keys)), np.int64)
        since[:] = AFTER_ALL
        places[known.numbers] = known.places
        since[known.numbers] = np.maximum(self.observed_from, known.since)
        return places[numbers], since[numbers]

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
            heads = heads_of(self._panes[start])
            self._keys.hear(heads.id, heads.place, start, self._kept_from)
        if self._keys.quieten(end):
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
        kept = np.full(len(self._keys), -1, np.int64)
        kept[numbers] = numbers
        cells = self.plan.family.cells()
        for at in self._starts[bisect_left(self._starts, start) : bisect_left(self._starts, end)]:
            cells.merge(self._panes[at], kept)
        return cells

    def _parents(self, children: Said, end: int, only: set[KeyName] | None = None) -> Said:
        sites = self._sites(children, end) if self._of_sites else ()
        parents = self._roll_up.of(children, only, sites)
        parents.judge(self.plan.scales.at(end))
        return parents

    def _sites(self, children: Said, end: int) -> list[str]:
        """The site of each device, as the register has it; empty where it has none."""
        rows = map(self.plan.expected.get, children.names)
        return ["" if row is None else row.site(end) for row in rows]

    def close_final(self, end: int) -> Correction:
        """Rows that the late events of a window changed."""
        self.last_final = end
        start = self.plan.windows.start(end)
        late = self._over(self._late, self._late_starts, start, end)
        flags = np.zeros(len(self._keys), np.bool_)
        flags[heads_of(late).id] = True
        numbers = self._keys.in_order(flags)
        on_time = self._of_keys(numbers, start, end)
        correction = self._corrected(numbers, on_time, late, start, end)
        changed = ~correction.told | correction.before.differs(correction.after)
        rows = np.flatnonzero(changed)
        changes = correction.take(rows)
        return self._with_parents(changes, end) if self.over else changes

    def _corrected(
        self, numbers: Ints, on_time: Cells, late: Cells, start: int, end: int
    ) -> Correction:
        """What is said of keys without and with the late events."""
        index = np.empty(len(numbers), np.int64)
        on_time.find(numbers, index)
        heard = index >= 0
        places = self._keys.places_at(numbers, end)
        places[heard] = heads_of(on_time).place[index[heard]]
        told, first = self._keys.reaching(numbers, end)
        first = np.where(told, self._firsts(first), AFTER_ALL)
        if self._misses(end):
            elsewhere, since = self._unheard(numbers, end)
            missed = ~told & (since < AFTER_ALL)
            places[missed], first[missed] = elsewhere[missed], since[missed]
            told |= missed
        names = [self._keys.names[number] for number in numbers.tolist()]
        texts = (names, self._codes.places(places))
        before = self._say(texts, numbers, on_time, start, end, first)
        whole = self.plan.family.cells()
        whole.merge(on_time)
        whole.merge(late)
        whole.find(numbers, index)
        low = bisect_left(self._late_starts, start)
        earliest = np.full(len(self._keys), AFTER_ALL)
        for at in reversed(self._late_starts[low:]):
            earliest[heads_of(self._late[at]).id] = at
        if self.zero:
            first = np.full(len(numbers), self.observed_from)
        first = np.minimum(first, earliest[numbers])
        texts = (names, self._codes.places(heads_of(whole).place[index]))
        return Correction(before, told, self._say(texts, numbers, whole, start, end, first))

    def _with_parents(self, changes: Correction, end: int) -> Correction:
        """Changed children, and the parents that they change."""
        told = np.flatnonzero(changes.told)
        known = changes.before.take(told)
        touched = {
            name
            for said in (known, changes.after)
            for (level, _), place in zip(said.names, said.places, strict=True)
            for name in places_above(level, place, self._levels)
        }
        if self._of_sites:
            both = known.and_then(changes.after)
            touched |= {(SITE, site) for site in self._sites(both, end) if site}
        children = self._said.get(end, Said.of([]))
        replaced = set(changes.after.names)
        kept = np.array([name not in replaced for name in children.names], np.bool_)
        before = self._parents(children, end, touched)
        after = self._parents(children.where(kept).and_then(changes.after), end, touched)
        was = named(before)
        first = Said.of([was.get(entry.name, entry) for entry in after])
        parents_told = np.array([name in was for name in after.names], np.bool_)
        rows = np.flatnonzero(~parents_told | first.differs(after))
        return Correction(
            changes.before.and_then(first.take(rows)),
            np.concatenate((changes.told, parents_told[rows])),
            changes.after.and_then(after.take(rows)),
        )

    def prune(self, watermark: int) -> None:
        """Drop panes and keys that no later window or correction can ask for."""
        if watermark <= BEFORE_ALL // 2:
            return
        if watermark - self.lateness_ms < self._pruned_until and not self._fell_silent:
            return
        open_end = self.plan.windows.first_end_after(watermark - self.lateness_ms)
        self._pruned_until = open_end
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
        self._drop_keys(gone)

    def _drop_keys(self, before: int) -> None:
        """Forget keys that were last heard before a time, once they are many."""
        if 4 * np.count_nonzero(self._keys.silent(before)) < max(1, len(self._keys)):
            return
        cells = (*self._panes.values(), *self._late.values())
        gone = self._keys.gone(before, (heads_of(each).id for each in cells))
        if self._registered:
            gone[[n for name in self.plan.expected if (n := self._keys.find(name)) is not None]] = (
                False
            )
        if not gone.any() or 4 * int(gone.sum()) < len(gone):
            return
        renamed = self._keys.drop(gone)
        self._forget_rows()
        for numbered in self._maps.values():
            numbered.rename(renamed)
        self._registered.forget_numbers()
        self._keys_changed = True
        for kind, panes in (("pane", self._panes), ("late", self._late)):
            for start, known in panes.items():
                panes[start] = known.fresh()
                panes[start].merge(known, renamed)
                self._changed.add((kind, start))

    def _forget_rows(self) -> None:
        self._rows: dict[Key, int] = {}
        """Where each key that came with its name stands in `_named`."""
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
        """Parts by pane and window end, and one with the keys."""
        frozen: Frozen = {}
        for kind, panes in (("pane", self._panes), ("late", self._late)):
            for start, cells in panes.items():
                changed = whole or (kind, start) in self._changed
                frozen[f"{kind}/{start}"] = cells.hold() if changed else None
        for end, said in self._said.items():
            changed = whole or ("said", end) in self._changed
            frozen[f"said/{end}"] = said.dump if changed else None
        frozen.update(under("keys", self._keys.freeze(whole=whole, changed=self._keys_changed)))
        self._changed.clear()
        self._keys_changed = False
        return frozen

    def load(self, data: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
        """Take over the state of an empty one from a dump and all parts of one freeze."""
        for name in _NUMBERS:
            setattr(self, name, data[name])
        self._stretches = tuple((first, last) for first, last in data["stretches"])
        groups = grouped(parts)
        self._keys.load(groups.get("keys", {}))
        for kind, panes in (("pane", self._panes), ("late", self._late)):
            for at, part in groups.get(kind, {}).items():
                panes[int(at)] = self.plan.family.cells().load(part)
        self._starts, self._late_starts = sorted(self._panes), sorted(self._late)
        for end, part in groups.get("said", {}).items():
            self._said[int(end)] = Said.load(part)
