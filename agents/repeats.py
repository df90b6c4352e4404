"""Facts of history signs in the assess task: happenings against a table of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from agents.gathered import Gathered
from agents.plan import FoldedSign
from ext.cells import Objects
from schemas.signs import HistorySign
from streams.aggregates import FACTS
from streams.frozen import Frozen, decode_rows, encode_rows, grouped, under
from streams.heads import heads_of
from streams.timeline import BEFORE_ALL, to_ms

_Noted = tuple[str, str, int, int]
"""Key level, key, identity, and when it was seen, int64 ms."""


class JudgedFacts(Gathered):
    """The rows of one history sign.

    A pane's facts are judged when the pane is entered, in the order of their times; by then all
    lanes have passed it, so the order does not depend on how they came.  Each key has a table of
    its own: what is said of a street rests on the facts of that street alone.
    """

    def __init__(self, plan: FoldedSign) -> None:
        super().__init__(plan)
        assert isinstance(plan.sign, HistorySign)
        self.within_ms = to_ms(plan.sign.repeats.within_s)
        self._last: dict[tuple[str, str, int], int] = {}
        self._noted: dict[int, list[_Noted]] = {}
        self._noted_changed: set[int] = set()

    def _open(self, start: int) -> None:
        cells = self._panes[start] = self._panes[start].writable()
        assert isinstance(cells, Objects)
        noted = list[_Noted]()
        names = [self.keys.names[number] for number in heads_of(cells).id.tolist()]
        for name, i in sorted(zip(names, range(len(names)), strict=True)):
            repeats = 0
            # Of what happens in the same ms nothing comes before the other.
            for t, together in groupby(cells.state(i)[3], key=itemgetter(0)):
                facts = [identities for _, identities in together]
                for identities in facts:
                    earlier = (self._last.get((*name, one), BEFORE_ALL) for one in identities)
                    repeats += any(t - self.within_ms <= before for before in earlier)
                for one in sorted({one for identities in facts for one in identities}):
                    self._last[*name, one] = t
                    noted.append((*name, one, t))
            cells.replace(i, FACTS.judged(cells.state(i), repeats))
        self._changed.add(("pane", start))
        if noted:
            self._noted[start] = noted
            self._noted_changed.add(start)

    def prune(self, watermark: int, lateness_ms: int) -> None:
        super().prune(watermark, lateness_ms)
        oldest = self.entered_until - self.within_ms - self.plan.windows.pane_ms
        for start in [start for start in self._noted if start < oldest]:
            for level, key, one, t in self._noted.pop(start):
                seen = (level, key, one)
                if self._last.get(seen) == t:
                    del self._last[seen]

    def freeze(self, *, whole: bool = False) -> Frozen:
        frozen = super().freeze(whole=whole)
        parts: Frozen = {
            str(start): partial(encode_rows, noted)
            if whole or start in self._noted_changed
            else None
            for start, noted in self._noted.items()
        }
        self._noted_changed.clear()
        return {**frozen, **under("noted", parts)}

    def load(self, data: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
        super().load(data, parts)
        noted = grouped(parts).get("noted", {})
        for start, part in sorted((int(start), part) for start, part in noted.items()):
            rows = [(level, key, one, t) for level, key, one, t in decode_rows(part)]
            self._noted[start] = rows
            for level, key, one, t in rows:
                self._last[level, key, one] = t
