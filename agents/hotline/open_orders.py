"""A sign sampled from the table of orders: the open ones at every hop the watermark crosses."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping

from agents.hotline.orders import OpenOrder, Orders
from ext.cells import Cells
from ext.rows import Rows
from streams.aggregates import Family
from streams.frozen import Frozen
from streams.stores import Closed, Row
from streams.timeline import BEFORE_ALL, floor_to


class OpenOrders:
    """The open orders of one sign at every hop; a `streams.stores.Store` of one lane.

    The table is shared by the signs of a lane and is filled by the lane.  A hop at which no order
    is kept is not told.  A step that comes late counts in the hops after it came.

    Where time jumps, every hop in between is sampled as long as an order is open: 30 days at a hop
    of 900 s are 2,880 times the open orders.  The table bounds it, for an order without a step is
    forgotten; hops without an open order are passed over at once.

    Parameters
    ----------
    orders
        The table of the lane.
    hop_ms
        Distance of samples, int64 ms; a hop closes the pane before it.
    keep
        Whether an open order counts.
    slot_of
        The slot of its key, asked in the order of `Orders.open_at`.
    measure
        Its ``(value, weight)`` in steps of the resolution; None where it has none.
    family
        How the values of a slot are held.
    """

    def __init__(
        self,
        orders: Orders,
        hop_ms: int,
        keep: Callable[[OpenOrder], bool],
        slot_of: Callable[[OpenOrder], int],
        measure: Callable[[OpenOrder], tuple[int, int] | None],
        family: Family,
    ) -> None:
        self.orders, self.pane_ms, self.family = orders, hop_ms, family
        self._keep, self._slot_of, self._measure = keep, slot_of, measure
        self._folded_until = BEFORE_ALL

    rows = None

    def add(self, row: Row, /) -> None:
        """Nothing: what is sampled stands in the table."""

    def close_until(
        self, watermark: int, keys: array[int], *, ending: bool = False
    ) -> list[Closed]:
        """Sample the hops up to the watermark; the rows stand 1 ms before their hop, in its pane.

        ``ending`` at the end of a log: no hop but the first after the last step of the log, for
        all later ones would tell of a time that the log does not reach.
        """
        hop_ms, last_t = self.pane_ms, self.orders.last_t
        end = floor_to(watermark, hop_ms)
        if ending:
            last = self._folded_until if last_t == BEFORE_ALL else floor_to(last_t, hop_ms) + hop_ms
            end = min(end, last)
        closed = []
        if self._folded_until == BEFORE_ALL:
            self._pass_over(end)
        while self._folded_until < end:
            self._folded_until += hop_ms
            cells, any_open = self._sample(self._folded_until)
            if len(cells):
                closed.append(Closed(self._folded_until - hop_ms, False, cells))
            if not any_open:
                self._pass_over(end)
        return closed

    def _pass_over(self, end: int) -> None:
        """Go on, with no order open, to the last hop before one may be."""
        first = floor_to(self.orders.next_step(self._folded_until), self.pane_ms)
        self._folded_until = min(end, first)

    def _sample(self, hop: int) -> tuple[Cells, bool]:
        rows, any_open = Rows(), False
        for order in self.orders.open_at(hop):
            any_open = True
            pair = self._measure(order) if self._keep(order) else None
            if pair is not None:
                rows.append((hop - 1, self._slot_of(order), *pair, 1))
        cells = self.family.cells()
        cells.add(rows)
        return cells, any_open

    def open_panes(self) -> int:
        """1 while an order is open."""
        return 1 if self.orders.open_count else 0

    def dump(self) -> int:
        return self._folded_until

    def freeze(self, *, whole: bool = False) -> Frozen:
        """No parts: the table is frozen by the lane."""
        return {}

    def load(self, data: int, parts: Mapping[str, bytes]) -> None:
        self._folded_until = data
