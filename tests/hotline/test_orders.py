"""The order table: flags, due and what is open at a hop, against the rule gone through slowly."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest

from agents.hotline import order as one_order
from agents.hotline.lifecycle import STATUSES
from agents.hotline.order import Facts, Step, add
from agents.hotline.orders import BUCKETS, OpenOrder, Orders, Taken
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
from tests.kept import Parts, encoded, kept


def restored(table: Orders, empty: Orders, parts: Parts) -> Orders:
    """The table anew from what is kept, ``parts``, which is brought up to date."""
    now = kept(parts, table.freeze())
    assert kept({}, table.freeze(whole=True)) == now
    parts.clear()
    parts.update(now)
    empty.load(table.dump(), now)
    assert kept({}, empty.freeze(whole=True)) == now
    assert empty.dump() == table.dump()
    assert (len(empty), empty.open_count) == (len(table), table.open_count)
    return empty


@pytest.mark.parametrize("seed", range(25))
def test_the_table_is_that_of_the_rule(seed: int) -> None:
    rng = Random(seed)
    table, plain, parts = orders(), PlainOrders(LIMITS, SHANGHAI, DAY, 4 * DAY), Parts()
    watermark, counts = 0, dict.fromkeys(table.counts, 0)
    for arrived in arrivals(rng, 16):
        taken = table.take(arrived)
        assert taken == plain.take(arrived)
        if taken.flag:
            counts[taken.flag] += 1
        assert table.counts == counts
        watermark = max(watermark, arrived.t - 2 * HOUR)
        if rng.random() < 0.3:
            for hop in (watermark + 1, watermark + HOUR, watermark + DAY):
                assert list(table.open_at(hop)) == plain.open_at(hop)
        if rng.random() < 0.2:
            table.forget(watermark)
            plain.forget(watermark)
            assert table.expired == plain.expired
        if rng.random() < 0.1:
            table = restored(table, orders(), parts)
    assert all(count > 0 for flag, count in counts.items() if flag != "skipped")
    table.forget(table.last_t + 1)
    assert table.open_count == len([*table.open_at(table.last_t + 2)])
    table.forget(10**15)
    assert (len(table), table.open_count, table.freeze()) == (0, 0, {})
    assert list(table.open_at(10**15 + 1)) == []


WHOLE = ("created", "dispatched", "accepted", "in_progress", "replied", "closed")


def test_every_order_of_arrival_leads_to_the_same_order() -> None:
    told = [step(seq, status, MAY_22 + seq * HOUR) for seq, status in enumerate(WHOLE[:5])]
    for arrived in permutations(told):
        table = orders()
        flags = [table.take(one).flag for one in arrived]
        (found,) = table.open_at(MAY_22 + DAY)
        assert found.status == "replied"
        assert next(table.open_at(MAY_22 + HOUR + 1)).status == "dispatched"
        for at in range(1, 5):
            if arrived[at] < max(arrived[:at]):
                assert flags[at] in ("out_of_order", "illegal")
        assert flags[0] == ("" if arrived[0].seq == 0 else "unseen_start")


def test_an_illegal_step_moves_neither_state_nor_facts() -> None:
    table = orders()
    table.take(step(0, "created", MAY_22))
    taken = table.take(step(1, "reopened", MAY_22 + 1, department="police", due=MAY_22 + 5))
    assert taken == Taken("illegal", MAY_22 + 5, None)
    (found,) = table.open_at(MAY_22 + 2)
    assert (found.status, found.department, found.due) == ("created", None, None)
    assert table.take(step(2, "dispatched", MAY_22 + 2)) == Taken("", None, None)


def test_a_source_that_leaves_out_steps_closes_its_orders_all_the_same() -> None:
    table = orders()
    table.take(step(0, "created", MAY_22, due=MAY_22 + 9))
    assert table.take(step(5, "closed", MAY_22 + 5)) == Taken("skipped", MAY_22 + 9, 1)
    assert table.open_count == 0
    assert table.take(step(4, "replied", MAY_22 + 4)).flag == "out_of_order"
    assert table.take(step(6, "accepted", MAY_22 + 6)).flag == "illegal"
    assert table.open_count == 0
    assert table.counts == {"illegal": 1, "out_of_order": 1, "skipped": 1, "unseen_start": 0}


def test_a_repeat_counts_once() -> None:
    table = orders()
    last = step(5, "closed", MAY_22 + 9, due=MAY_22 + 9)
    assert table.take(last) == Taken("unseen_start", MAY_22 + 9, 1)
    frozen = encoded(table.freeze())
    assert table.take(last) == Taken("illegal", MAY_22 + 9, None)
    assert table.freeze() == dict.fromkeys(frozen)


def test_the_due_that_was_given_wins_then_the_limit_of_the_type() -> None:
    """Created on Friday the 22nd; one working day ends with Monday the 25th."""
    monday_ends = MAY_22 + 4 * DAY
    table = orders()
    assert table.take(step(0, "created", MAY_22)).due is None
    assert table.take(step(1, "dispatched", MAY_22 + 1, type="consult")).due == monday_ends
    assert table.take(step(2, "accepted", MAY_22 + 2)).due == monday_ends
    assert table.take(step(3, "delayed", MAY_22 + 3, due=MAY_22 + 9)).due == MAY_22 + 9
    assert table.take(step(4, "in_progress", MAY_22 + 4, type="help")).due == MAY_22 + 9
    assert table.take(step(5, "replied", MAY_22 + 5)).due == MAY_22 + 9
    assert [found.past_due for t in (8, 9) for found in table.open_at(MAY_22 + t)] == [False, True]
    assert [found.due for found in table.open_at(MAY_22 + 3)] == [monday_ends]


@pytest.mark.parametrize(("t", "on_time"), [(5, 1), (9, 1), (10, 0)])
def test_closed_in_time_is_not_after_the_due(t: int, on_time: int) -> None:
    table = orders()
    table.take(step(4, "replied", MAY_22 + 4, due=MAY_22 + 9))
    assert table.take(step(5, "closed", MAY_22 + t)).on_time == on_time


def test_closed_without_a_due_is_neither() -> None:
    table = orders()
    table.take(step(4, "replied", MAY_22 + 4, type="suggestion"))
    assert table.take(step(5, "closed", MAY_22 + 5)).on_time is None


def test_an_order_is_known_as_it_was_at_the_hop() -> None:
    """::

    t        0        10        20        30
        created   dispatched  merged
    hop           ^10       ^20       ^30
    """
    table = orders()
    table.take(step(0, "created", MAY_22))
    table.take(step(1, "dispatched", MAY_22 + 10, department="police", place="440106001"))
    table.take(step(2, "merged", MAY_22 + 20))
    table.forget(MAY_22)
    at = {
        hop: [(o.status, o.department, o.place, o.age_ms) for o in table.open_at(MAY_22 + hop)]
        for hop in (10, 20, 21)
    }
    assert at[10] == [("created", None, "440106", 10)]
    assert at[20] == [("dispatched", "police", "440106001", 20)]
    assert at[21] == []


def test_two_systems_may_count_alike() -> None:
    table = orders()
    table.take(step(0, "created", MAY_22))
    assert table.take(step(0, "created", MAY_22, system="cgj")).flag == ""
    assert [o.system for o in table.open_at(MAY_22 + 1)] == ["12345", "cgj"]


def test_orders_are_forgotten_at_the_end_of_a_day_after_their_last_step() -> None:
    start = 20_000 * DAY
    table = orders(closed=DAY, open_=3 * DAY)
    table.take(step(0, "created", start, order_id="open"))
    table.take(step(5, "closed", start + 1, order_id="closed"))
    for days, left in ((1, 2), (2, 1), (3, 1), (4, 0)):
        table.forget(start + days * DAY - 1)
        assert len(table) == left + (days in (2, 4))
        table.forget(start + days * DAY)
        assert len(table) == left
    assert (table.expired, table.open_count) == (1, 0)
    assert (
        table.take(step(6, "reopened", start + 9 * DAY, order_id="closed")).flag == "unseen_start"
    )
    assert table.open_count == 1


def test_a_forgotten_order_is_not_open_before_it_is_dropped() -> None:
    """However far the watermark jumped, the hops on the way say the same."""
    start = 20_000 * DAY
    table = orders(open_=3 * DAY)
    table.take(step(0, "created", start))
    assert [len([*table.open_at(start + days * DAY)]) for days in (3, 4)] == [1, 0]


def test_at_most_so_many_steps_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_order, "KEPT", 4)
    rng = Random(7)
    facts = Facts("440106", None, None, None, "normal", None)
    bounded = unbounded = None
    for seq in range(60):
        told = Step(seq, seq, rng.choice(STATUSES), facts._replace(department=f"d{seq}"))
        bounded = add(bounded, 0, told).order
        monkeypatch.setattr(one_order, "KEPT", 1000)
        unbounded = add(unbounded, 0, told).order
        monkeypatch.setattr(one_order, "KEPT", 4)
        assert len(bounded.steps) <= 4
        assert (bounded.status, bounded.facts) == (unbounded.status, unbounded.facts)
        assert bounded.last_t == unbounded.last_t
    assert bounded is not None
    early = add(bounded, 0, Step(3, 3, "dispatched", facts))
    assert early == (bounded, "out_of_order", False, None)
    late = add(bounded, 0, Step(58, 1000, bounded.steps[-2].status, facts))
    assert late.order.last_t == 1000


def test_folded_orders_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_order, "KEPT", 2)
    table = orders()
    for seq, status in enumerate(WHOLE[:5]):
        table.take(step(seq, status, MAY_22 + seq, department=status))
    again = restored(table, orders(), Parts())
    assert again.take(step(1, "returned", MAY_22 + 9)).flag == "out_of_order"
    assert again.take(step(5, "closed", MAY_22 + 9)).flag == ""
    assert (again.open_count, list(again.open_at(MAY_22 + 10))) == (0, [])


def test_only_buckets_that_changed_are_written() -> None:
    table = orders()
    for number in range(500):
        table.take(step(0, "created", MAY_22, order_id=f"A{number}"))
    assert len(encoded(table.freeze())) == BUCKETS
    assert set(table.freeze().values()) == {None}
    table.take(step(1, "dispatched", MAY_22 + 1, order_id="A7"))
    frozen = table.freeze()
    before = encoded(frozen)
    table.take(step(2, "accepted", MAY_22 + 2, order_id="A7"))
    assert encoded(frozen) == before
    assert len(before) == 1


def test_a_bucket_that_loses_an_order_is_written() -> None:
    table, parts = orders(), Parts()
    for number in range(500):
        status = "closed" if number % 2 else "created"
        table.take(step(0, status, MAY_22, order_id=f"A{number}"))
    table = restored(table, orders(), parts)
    table.forget(MAY_22 + 2 * DAY)
    assert len(restored(table, orders(), parts)) == 250


def test_a_limit_has_a_day() -> None:
    with pytest.raises(ValueError, match="limit of help: 0 working days, give at least 1"):
        Orders({"help": 0}, SHANGHAI, closed_ms=1, open_ms=1)


def test_what_is_open_comes_sorted() -> None:
    table = orders()
    names = [f"A{number}" for number in range(40)]
    Random(3).shuffle(names)
    for name in names:
        table.take(step(0, "created", MAY_22, order_id=name))
    found: list[OpenOrder] = list(table.open_at(MAY_22 + 1))
    assert [o.order_id for o in found] == sorted(names)
