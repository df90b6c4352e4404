"""Window and sampled signs in the assess task: what closed windows say.

Windows close in the order of their ends.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.entries import KeyName, places_above
from agents.evaluation import Evaluation
from agents.gathered import Gathered, Held
from agents.plan import FoldedSign
from agents.rollups import SITE, RollUp
from agents.said import Correction, Said, named
from streams.cuts import Partial
from streams.frozen import Frozen, grouped
from streams.records import Lane
from streams.timeline import AFTER_ALL, BEFORE_ALL

_NUMBERS = ("last_end", "last_final", "_skipped_until")


class FoldedState:
    """One sign, and how far its windows are told.

    Parameters
    ----------
    plan
        The compiled sign.
    gathered
        Its rows, where others have them as well; those that are kept for it alone, if not given.
    """

    def __init__(self, plan: FoldedSign, gathered: Gathered | None = None) -> None:
        self.plan = plan
        self.sign = plan.sign
        self._leads = gathered is None or gathered.plan is plan
        self.gathered = Gathered(plan) if gathered is None else gathered
        corrected = plan.sign.kind == "window" and not plan.at_arrival
        self.lateness_ms = plan.lateness_ms if corrected else 0
        self.over = plan.sign.rollup not in ("merge", "none")
        self._levels = tuple(plan.sign.keys)
        self._roll_up = RollUp(plan.sign.rollup, self._levels)
        self._of_sites = self.over and plan.sign.base == "device" and SITE in self._levels
        self._evaluation = Evaluation(plan)
        self._said: dict[int, Said] = {}
        self._changed: set[int] = set()
        self.last_end = self.last_final = BEFORE_ALL
        self._skipped_until = BEFORE_ALL

    def receive(self, partial: Partial, lane: Lane | None = None) -> None:
        """Merge the cells of a partial, where the rows are this sign's to gather.

        ``lane`` is the one it came from, where that is of this process.
        """
        if self._leads:
            self.gathered.receive(partial, lane)

    def next_end(self, limit: int = AFTER_ALL) -> int:
        """End of the next window that can have something to say, or `AFTER_ALL`.

        Above ``limit``, where the log has ended, only a window that holds data has.
        """
        gathered, windows = self.gathered, self.plan.windows
        after = max(self.last_end, self._skipped_until)
        speaks = gathered.keys.any_alive
        if not speaks and gathered.may_miss:
            speaks = gathered.misses(windows.first_end_after(after))
        if not speaks:
            if gathered.waits == AFTER_ALL:
                return AFTER_ALL
            after = max(after, gathered.waits)
        end = windows.first_end_after(after)
        if end > limit and windows.start(end) > gathered.last_data:
            return AFTER_ALL
        return end

    def skip(self, watermark: int) -> None:
        """Leave out what a log that has ended did not close: it stays unsaid if the log goes on."""
        self._skipped_until = max(self._skipped_until, watermark)

    def next_final(self) -> int:
        """End of the next window with corrections, or `AFTER_ALL`."""
        late_starts = self.gathered.late_starts
        if not late_starts:
            return AFTER_ALL
        windows = self.plan.windows
        end = windows.first_end_after(max(self.last_final, late_starts[0]))
        # Windows between two late panes have nothing to correct.
        first = bisect_left(late_starts, windows.start(end))
        if first == len(late_starts):
            return AFTER_ALL
        late = late_starts[first]
        return end if late < end else windows.first_end_after(late)

    def close(self, end: int) -> Said:
        """Rows of the window that ends at ``end``, of the events that were on time."""
        self.last_end = end
        said = self._say(self.gathered.close(end), end)
        if not self.over:
            return said
        self._said[end] = said
        self._changed.add(end)
        return said.and_then(self._parents(said, end))

    def _say(self, held: Held, end: int) -> Said:
        return self._evaluation.said(held, self.plan.windows.start(end), end)

    def pass_over(self, end: int) -> None:
        """Leave a window unsaid: what started before its end is known, as if it were said."""
        self.gathered.enter(end)
        self.last_end = end

    def pass_over_final(self, end: int) -> None:
        """Leave the corrections of a window unsaid."""
        self.last_final = end

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
        late = self.gathered.close_final(end)
        before, after = self._say(late.before, end), self._say(late.after, end)
        changed = ~late.told | before.differs(after)
        changes = Correction(before, late.told, after).take(np.flatnonzero(changed))
        return self._with_parents(changes, end) if self.over else changes

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
        """Drop what no later window or correction can ask for."""
        if watermark <= BEFORE_ALL // 2:
            return
        self.gathered.prune(watermark, self.lateness_ms)
        if not self._said:
            return
        open_end = self.plan.windows.first_end_after(watermark - self.lateness_ms)
        for end in [end for end in self._said if end < open_end]:
            del self._said[end]

    def open_windows(self) -> int:
        """Number of panes held, where the rows are this sign's to gather."""
        return self.gathered.open_windows() if self._leads else 0

    def dump(self) -> dict[str, Any]:
        """What stands beside the parts of `freeze`."""
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return {**numbers, "gathered": self.gathered.dump() if self._leads else None}

    def freeze(self, *, whole: bool = False) -> Frozen:
        """Parts by window end, and those of what is gathered."""
        frozen: Frozen = {
            f"said/{end}": said.dump if whole or end in self._changed else None
            for end, said in self._said.items()
        }
        self._changed.clear()
        return {**frozen, **self.gathered.freeze(whole=whole)} if self._leads else frozen

    def load(self, data: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
        """Take over the state of an empty one from a dump and all parts of one freeze."""
        for name in _NUMBERS:
            setattr(self, name, data[name])
        if self._leads:
            self.gathered.load(data["gathered"], parts)
        for end, part in grouped(parts).get("said", {}).items():
            self._said[int(end)] = Said.load(part)
