"""Signs sampled from the order table, against every hop gone through by the rule."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import reduce
from random import Random
from typing import Any

import pytest

from agents.hotline.open_orders import OpenOrders
from agents.hotline.orders import OpenOrder, Orders, OrderStep
from streams.aggregates import MOMENTS, QUANTILES, Accumulator, Family
from streams.stores import Closed, Store
from streams.timeline import BEFORE_ALL
from tests.cells import state_of
from tests.hotline.plain_orders import (
    DAY,
    HOUR,
    LIMITS,
    MAY_22,
    SHANGHAI,
    PlainOrders,
    arrivals,
    orders,
    step,
)
from tests.kept import Parts, kept

MINUTE = HOUR // 60
DISORDER = 2 * HOUR
KEYS = array("q")
"""None: a slot is a key of its own."""
Keep = Callable[[OpenOrder], bool]
Measure = Callable[[OpenOrder], tuple[int, int] | None]
Slots = dict[tuple[str | None, ...], int]


def is_late(order: OpenOrder) -> bool:
    return order.past_due


def every(order: OpenOrder) -> bool:
    return True


def one(order: OpenOrder) -> tuple[int, int] | None:
    return 1_000_000, 0


def age(order: OpenOrder) -> tuple[int, int] | None:
    """Hours, in steps of a millionth; of an order without a category nothing is measured."""
    return None if order.category is None else (order.age_ms * 1_000_000 // HOUR, 0)


class Lane:
    """A lane with three signs, cut as an intake cuts: at the record that passes a hop."""

    def __init__(self) -> None:
        self.orders = orders()
        self.slots: list[Slots] = [{}, {}, {}]
        self.stores: list[Store] = [
            self._sign(0, 6 * HOUR, every, one, MOMENTS),
            self._sign(1, 4 * HOUR, is_late, one, MOMENTS),
            self._sign(2, 6 * HOUR, every, age, QUANTILES),
        ]
        self.watermark, self.next_cut = BEFORE_ALL, BEFORE_ALL
        self.closed: list[list[Closed]] = [[], [], []]

    def _sign(
        self,
        nth: int,
        hop_ms: int,
        keep: Keep,
        measure: Measure,
        family: Family,
    ) -> OpenOrders:
        def slot_of(order: OpenOrder) -> int:
            slots = self.slots[nth]
            return slots.setdefault((order.place, order.department), len(slots))

        return OpenOrders(self.orders, hop_ms, keep, slot_of, measure, family)

    def take(self, told: OrderStep | int) -> None:
        """A step, or the time of another event of the lane."""
        if isinstance(told, int):
            t = told
        else:
            self.orders.take(told)
            t = told.t
        self.watermark = max(self.watermark, t - DISORDER)
        if self.watermark >= self.next_cut:
            for closed, store in zip(self.closed, self.stores, strict=True):
                closed += store.close_until(self.watermark, KEYS)
            self.orders.forget(self.watermark)
            self.next_cut = min(
                self.watermark // store.pane_ms * store.pane_ms + store.pane_ms
                for store in self.stores
            )

    def restored(self, parts: Parts) -> Lane:
        now = kept(parts, self.orders.freeze())
        parts.clear()
        parts.update(now)
        empty = Lane()
        empty.orders.load(self.orders.dump(), now)
        for old, new in zip(self.stores, empty.stores, strict=True):
            assert old.freeze() == {}
            new.load(old.dump(), {})
        empty.slots, empty.closed = self.slots, self.closed
        empty.watermark, empty.next_cut = self.watermark, self.next_cut
        return empty


def told_of(rng: Random) -> list[OrderStep | int]:
    """Steps, other events among them, and a jump of weeks at the end."""
    found: list[OrderStep | int] = []
    for told in arrivals(rng, 16):
        found.append(told)
        if rng.random() < 0.3:
            found.append(told.t + rng.randrange(-HOUR, HOUR))
    return [*found, 60 * DAY]


def by_the_rule(
    log: list[OrderStep | int],
    hop_ms: int,
    keep: Keep,
    measure: Measure,
    family: Family,
) -> list[tuple[int, dict[tuple[str | None, ...], Accumulator]]]:
    """What a sign tells: at the record that passes hops, each of them anew from all that came."""
    plain = PlainOrders(LIMITS, SHANGHAI, DAY, 4 * DAY)
    passed, found, first = None, [], None
    cuts = (6 * HOUR, 4 * HOUR)
    forgotten = None
    for told in log:
        t = told if isinstance(told, int) else told.t
        if not isinstance(told, int):
            plain.take(told)
            first = t if first is None else min(first, t)
        watermark = t - DISORDER if passed is None else max(passed, t - DISORDER)
        # The first hop is the one after the first order, or after what had passed before it.
        begin = passed
        if begin is None:
            begin = watermark if first is None else min(first, watermark)
        for hop in range(begin // hop_ms * hop_ms + hop_ms, watermark + 1, hop_ms):
            slots: dict[tuple[str | None, ...], list[Any]] = {}
            for row in plain.open_at(hop):
                order = OpenOrder(*row)  # type: ignore[arg-type]
                pair = measure(order) if keep(order) else None
                if pair is not None:
                    state = family.row(hop - 1, *pair, 1)
                    slots.setdefault((order.place, order.department), []).append(state)
            if slots:
                merged = {key: reduce(family.merge, states) for key, states in slots.items()}
                found.append((hop - hop_ms, merged))
        if forgotten is None or any(watermark // cut > forgotten // cut for cut in cuts):
            plain.forget(watermark)
            forgotten = watermark
        passed = watermark
    return found


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("every_record", [False, True], ids=["some", "every"])
def test_the_hops_are_those_of_the_rule(seed: int, every_record: bool) -> None:
    """Killed and restored after some records, or after every one: the same panes."""
    rng = Random(seed)
    lane, parts, log = Lane(), Parts(), told_of(rng)
    for told in log:
        lane.take(told)
        if every_record or rng.random() < 0.1:
            lane = lane.restored(parts)
    signs: list[tuple[int, Keep, Measure, Family]] = [
        (6 * HOUR, every, one, MOMENTS),
        (4 * HOUR, is_late, one, MOMENTS),
        (6 * HOUR, every, age, QUANTILES),
    ]
    for slots, closed, sign in zip(lane.slots, lane.closed, signs, strict=True):
        names = list(slots)
        named = [
            (c.start, {names[slot]: state for slot, state in c.cells.states()}) for c in closed
        ]
        assert named == by_the_rule(log, *sign)
        assert named
        assert not any(c.late for c in closed)
    assert [store.open_panes() for store in lane.stores] == [0, 0, 0]


def counted(table: Orders, hop_ms: int = 10) -> OpenOrders:
    return OpenOrders(table, hop_ms, every, lambda order: 0, one, MOMENTS)


def hops(closed: list[Closed]) -> list[tuple[int, int]]:
    """Start and number of orders of each pane."""
    return [(c.start - MAY_22, sum(state[0] for _, state in c.cells.states())) for c in closed]


def test_a_hop_tells_what_was_open_before_it() -> None:
    """::

    t          3       12        20          41
               A open  B open    A merged    read ahead
    pane    [0    10)[10    20)[20    30)
    """
    table = orders()
    store = counted(table)
    table.take(step(0, "created", MAY_22 + 3, order_id="A"))
    table.take(step(0, "created", MAY_22 + 12, order_id="B"))
    table.take(step(1, "merged", MAY_22 + 20, order_id="A"))
    table.take(step(0, "created", MAY_22 + 41, order_id="C"))
    assert hops(store.close_until(MAY_22 + 19, KEYS)) == [(0, 1)]
    (pane,) = store.close_until(MAY_22 + 20, KEYS)
    state = state_of(MOMENTS, [(MAY_22 + 19, 10**6, 0, 1)] * 2)
    assert (pane.start, pane.late, pane.cells.states()) == (MAY_22 + 10, False, [(0, state)])
    table.forget(MAY_22 + 20)
    assert hops(store.close_until(MAY_22 + 30, KEYS)) == [(20, 1)]
    # A late step counts from the next hop on.
    table.take(step(0, "created", MAY_22 + 2, order_id="D"))
    assert hops(store.close_until(MAY_22 + 50, KEYS)) == [(30, 2), (40, 3)]


def test_an_order_that_is_read_ahead_makes_no_hops_before_it() -> None:
    table = orders()
    store = counted(table)
    assert store.close_until(MAY_22, KEYS) == []
    table.take(step(0, "created", MAY_22 + 9 * DAY))
    assert store.close_until(MAY_22 + 8 * DAY, KEYS) == []
    assert [pane.start for pane in store.close_until(MAY_22 + 9 * DAY + 10, KEYS)] == [
        MAY_22 + 9 * DAY
    ]


def test_the_end_of_a_log_tells_of_no_time_after_it() -> None:
    table = orders()
    store = counted(table)
    assert store.close_until(MAY_22 + 500, KEYS, ending=True) == []
    table.take(step(0, "created", MAY_22 + 3))
    assert hops(store.close_until(MAY_22 + 500, KEYS, ending=True)) == [(0, 1)]
    assert store.close_until(MAY_22 + 900, KEYS, ending=True) == []
    assert hops(store.close_until(MAY_22 + 40, KEYS)) == [(10, 1), (20, 1), (30, 1)]


def test_a_jump_of_months_is_bounded_by_what_is_forgotten() -> None:
    table = orders(open_=4 * DAY)
    store = counted(table, 15 * MINUTE)
    table.take(step(0, "created", MAY_22))
    told = store.close_until(MAY_22 + 400 * DAY, KEYS)
    assert 4 * 96 < len(told) <= 5 * 96
    table.take(step(0, "created", MAY_22 + 500 * DAY, order_id="B"))
    assert len(store.close_until(MAY_22 + 500 * DAY + HOUR, KEYS)) == 4


def test_a_slot_may_hold_any_number_of_orders() -> None:
    table = orders()
    for number in range(300):
        made = MAY_22 - number * HOUR
        table.take(step(0, "created", MAY_22, order_id=f"A{number}", t_created=made))
    store = OpenOrders(table, HOUR, every, lambda order: 0, age, QUANTILES)
    (pane,) = store.close_until(MAY_22 + HOUR, KEYS)
    ((_, state),) = pane.cells.states()
    plain = [QUANTILES.row(MAY_22 + HOUR - 1, (1 + n) * 10**6, 0, 1) for n in range(300)]
    assert state == reduce(QUANTILES.merge, plain)
    middle = QUANTILES.quantile(state, 0.5)
    assert middle == pytest.approx(150.5e6, rel=0.02)


def test_rows_are_not_added() -> None:
    table = orders()
    store = counted(table)
    store.add((MAY_22, 0, 1, 1, 1))
    assert (store.open_panes(), store.freeze(whole=True)) == (0, {})
