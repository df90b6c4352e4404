"""The desk: what of a hotline event goes on, and what ends there (rule R9)."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import msgspec
import pytest

from agents.hotline.desk import Desk
from agents.intake import Intake
from agents.plan import Plan, compile_plan
from schemas.events import decode
from schemas.facts import HotlineFact
from streams.cuts import Cut
from streams.records import Chunk, Lane
from tests.kept import kept
from tests.rules.wide import HOUR_MS, HOURS, SECRET, WIDE
from tests.rules.wide_logs import WideWriter

T, MINUTE = 1_772_294_400_000, 60_000
MONTH_ENDS = 1_774_972_800_000
"""2026-04-01 00:00 in Shanghai."""
PLAN = compile_plan(WIDE, SECRET)
TEXT, CALLER = "五山街道这里积水，电话15400000042。", "16100000001"


def desk(plan: Plan = PLAN) -> Desk:
    return Desk(plan, plan.topics["hotline"].streams["orders"])


def read(at: Desk, t: int = T, **fields: Any) -> HotlineFact:
    event = {"kind": "order", "order_id": "o", "status": "created", "t": t, "t_created": t}
    raw = json.dumps({**event, "place": "4401", "text": TEXT, **fields}).encode()
    decoded: Any = decode("hotline", raw)
    return at.read(decoded, t).fact


def test_what_a_text_says_is_told_in_words_of_closed_lists() -> None:
    fact = read(desk())
    assert (fact.category, fact.category_code, fact.place) == ("积水", "08", "440106001")
    given = read(desk(), category=["x", "噪声"], place="440111002")
    assert (given.category, given.category_code, given.place) == ("噪声", None, "440111002")


def test_text_caller_and_reason_are_gone_from_fact_and_event() -> None:
    raw = {"kind": "order", "order_id": "o", "status": "returned", "t": T, "t_created": T}
    raw |= {"place": "4401", "text": TEXT, "caller": CALLER, "reason": "问过张三"}
    event: Any = decode("hotline", json.dumps({**raw, "caller_hash": "abc123"}).encode())
    told = msgspec.json.encode(desk().read(event, T).fact) + msgspec.json.encode(event)
    for word in (TEXT, "15400000042", CALLER, "张三", "abc123"):
        assert word.encode() not in told
        assert word.encode("unicode-escape") not in told


def test_the_name_of_a_category_or_department_tells_no_identifier() -> None:
    number = "来电15400000042"
    fact = read(desk(), category=[number], department=number, category_code="15400000042")
    assert (fact.category, fact.category_code, fact.department) == ("积水", "08", None)
    assert read(desk(), category=[number], text="路不平").category is None
    assert read(desk(), department="440105-水务局").department == "440105-水务局"


def test_a_caller_is_a_hash_under_the_secret() -> None:
    fact = read(desk(), caller=CALLER)
    assert fact.citizen is not None
    assert read(desk(), caller="+86 161 0000 0001").citizen == fact.citizen
    assert read(desk(), caller="16100000002").citizen != fact.citizen
    other = compile_plan(WIDE, b"another secret of tests")
    assert read(desk(other), caller=CALLER).citizen not in (fact.citizen, None)
    assert read(desk(compile_plan(WIDE)), caller=CALLER).citizen is None
    assert read(desk(), caller="匿名").citizen is None


def test_the_hash_of_a_source_is_hashed_again() -> None:
    fact = read(desk(), caller_hash="5f0e1c9a")
    assert fact.citizen is not None
    assert "5f0e1c9a" not in (fact.citizen, *fact.citizens_before)
    other = compile_plan(WIDE, b"another secret of tests")
    assert read(desk(other), caller_hash="5f0e1c9a").citizen != fact.citizen


def test_the_key_changes_with_the_month_and_repeats_are_known_over_its_end() -> None:
    before, after = (
        read(desk(), MONTH_ENDS - 1, caller=CALLER),
        read(desk(), MONTH_ENDS, caller=CALLER),
    )
    assert before.citizen != after.citizen
    assert before.citizen in after.citizens_before


def test_what_is_said_of_a_step() -> None:
    at = desk()
    assert read(at).flag == "none"
    closed = read(at, T + MINUTE, status="closed", t_created=T, due=T + MINUTE)
    assert (closed.flag, closed.on_time, closed.since_created_s) == ("skipped", 1.0, 60.0)
    assert read(at, T + 2 * MINUTE, status="accepted", t_created=T).flag == "illegal"
    late = read(at, T + MINUTE, order_id="p", status="closed", t_created=T, due=T)
    assert (late.flag, late.on_time) == ("unseen_start", 0.0)


def sampled(at: Desk, watermark: int) -> list[Any]:
    partials = [p for fold in at.folds for p in fold.close_until(watermark, ending=False)]
    at.forget(watermark)
    return [(p.sign, p.start, [(row[:3], row.state) for row in p.rows()]) for p in partials]


def test_open_orders_stand_at_every_hop_until_they_close() -> None:
    """::

    minute   0      5      10     15
             |------|------|------|
    order    c         r              closed at 7: open at the hop of 5, not of 10
    """
    at = desk()
    read(at, T, department="水务局")
    read(at, T + 7 * MINUTE, status="closed", t_created=T)
    found = [x for x in sampled(at, T + 15 * MINUTE) if x[0] == "wide.open_age"]
    assert [(start - T) // MINUTE for _, start, _ in found] == [0]
    ((_, _, rows),) = found
    assert [key for key, _ in rows] == [
        ("department*street", "水务局*440106001", "440106001"),
    ]


@pytest.mark.parametrize("seed", range(6))
def test_a_desk_goes_on_from_what_a_store_kept(seed: int) -> None:
    rng, parts = Random(seed), dict[str, bytes]()
    one, two = desk(), desk()
    writer = WideWriter(rng, T, 12_000, 300_000)
    watermark = T
    for _ in range(120):
        t = watermark + rng.randrange(-600, 900) * 1000
        raw = json.dumps({**writer.step(rng.randrange(4), t)}).encode()
        facts = [at.read(event, t) for at in (one, two) if (event := decode("hotline", raw))]  # type: ignore[arg-type]
        assert facts[0] == facts[1]
        if rng.randrange(3) == 0:
            watermark += rng.randrange(300) * 1000
            assert sampled(one, watermark) == sampled(two, watermark)
        if rng.randrange(5) == 0:
            parts = kept(parts, two.freeze(whole=rng.randrange(2) == 0))
            stores = [fold.dump() for fold in two.folds]
            data, two = msgspec.msgpack.decode(msgspec.msgpack.encode(two.dump())), desk()
            two.load(data, parts)
            for fold, store in zip(two.folds, stores, strict=True):
                fold.load(store, {})


def test_an_order_that_is_open_when_a_log_ends_is_open_when_it_goes_on() -> None:
    """The end lies days after the last hop that is told; what may still be told is not forgotten.

    ::

        hour   0  1  2 ...  32            72
               o---------------|           an order, overdue, kept for a day and the rest of it
               |  |                        hops before the end of the log
                  |  |  ...    |     o     and those that are told when it goes on
    """
    plan, lane = compile_plan(HOURS, SECRET), Lane("hotline", 0)
    intake = Intake(plan, lane)
    head = {"kind": "order", "status": "created", "category": ["x"], "place": "440106001"}
    first = {**head, "order_id": "a", "t": T, "t_created": T, "due": T}
    end = T + 72 * HOUR_MS
    later = {**head, "order_id": "b", "t": end + HOUR_MS, "t_created": T, "due": T}

    def take(offset: int, event: dict[str, Any]) -> list[Cut]:
        raw = json.dumps(event).encode()
        return intake.step(Chunk(*lane, [offset], [event["t"]], [None], [raw])).cuts

    def hops(cuts: list[Cut]) -> list[int]:
        partials = [p for cut in cuts for p in cut.partials if p.sign == "hours.overdue"]
        return [(partial.start - T) // HOUR_MS for partial in partials]

    assert hops([*take(0, first), *intake.tick(end, ends=True).cuts]) == [0]
    assert hops(take(1, later)) == list(range(1, 31))
