"""Orders of the simulated city: lives, shares, and what is planted in them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest

from agents.city import START_MS, City, Disorder, Shares
from agents.city.districts import streets
from agents.city.hotline import HOTLINE
from agents.city.identifiers import KINDS, identifier
from agents.city.lives import ILLEGAL, LIVES, STATUSES
from agents.city.rhythm import DAY, MINUTE_MS
from agents.city.topics import TOPICS

CALM = Disorder(0.0, 0.0, 0.0, 0.0, 0.0)
SHARES = Shares(identifiers=0.1, repeated=0.1, overtaken=0.02)
LENGTH = 3 * DAY

# Which step may follow which, written down apart from the city's own table of lives.
NEXT = {
    "created": {"dispatched"},
    "dispatched": {"accepted", "returned", "merged", "withdrawn"},
    "returned": {"dispatched"},
    "accepted": {"in_progress"},
    "in_progress": {"delayed", "supervised", "replied"},
    "delayed": {"in_progress"},
    "supervised": {"in_progress"},
    "replied": {"closed"},
    "closed": {"evaluated"},
    "evaluated": {"archived", "reopened"},
    "reopened": {"dispatched"},
}


class Seen:
    """Three days of orders, as they arrive."""

    def __init__(self) -> None:
        self.city = City(7, 0.1, CALM, shares=SHARES)
        self.steps: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.created: list[dict[str, Any]] = []
        self.arrivals: dict[tuple[str, int], int] = {}
        for k in range(LENGTH):
            start = START_MS + k * MINUTE_MS
            for one in self.city._hotline.between(start, start + MINUTE_MS):
                event = json.loads(one.value)
                if event["kind"] == "order":
                    assert (event["order_id"], event["seq"]) not in self.arrivals
                    self.arrivals[event["order_id"], event["seq"]] = one.arrival_ms
                    self.steps[event["order_id"]].append(event)
                    if event["seq"] == 0:
                        self.created.append(event)
        self.told: dict[str, Any] = self.city._hotline.told(START_MS + LENGTH * MINUTE_MS)

    def lives(self) -> dict[str, list[dict[str, Any]]]:
        """Steps of each order in their own order; without the few whose creation is held up."""
        ordered = {name: sorted(each, key=lambda e: e["seq"]) for name, each in self.steps.items()}
        return {name: each for name, each in ordered.items() if each[0]["seq"] == 0}


@pytest.fixture(scope="module")
def seen() -> Seen:
    return Seen()


def test_the_hotline_is_that_of_the_city(seen: Seen) -> None:
    for k in (3, 700, 3000):
        start = START_MS + k * MINUTE_MS
        whole = [one for one in seen.city.minute(k) if one.topic == HOTLINE]
        assert list(seen.city._hotline.between(start, start + MINUTE_MS)) == whole
        assert [one for one in City(7, 0.1, CALM, shares=SHARES).minute(k) if one in whole] == whole


def test_steps_follow_each_other_but_for_the_illegal_ones(seen: Seen) -> None:
    illegal: Counter[str] = Counter()
    for steps in seen.lives().values():
        assert [step["seq"] for step in steps] == list(range(len(steps)))
        times = [step["t"] for step in steps]
        assert times == sorted(times)
        assert {step["t_created"] for step in steps} == {times[0]}
        for step in steps:
            assert ("text" in step) == ("caller" in step) == (step["seq"] == 0)
        names = [step["status"] for step in steps]
        for before, after in pairwise(names):
            if after not in NEXT[before]:
                assert before == "closed"
                illegal["closed_twice" if after == "closed" else f"{after}_after_closed"] += 1
                assert names[-1] == after
    assert set(illegal) == set(ILLEGAL)
    assert all(0 < count <= seen.told["lives"][name] for name, count in illegal.items())


def test_lives_have_their_shares(seen: Seen) -> None:
    told = seen.told
    assert told["created"] == len(seen.created) > 4000
    for life in LIVES:
        if life.share >= 0.01:
            assert told["lives"][life.name] / told["created"] == pytest.approx(life.share, rel=0.3)
        else:
            assert told["lives"][life.name] > 0, life.name
    assert sum(life.share for life in LIVES) == pytest.approx(1.0)
    steps = Counter(step["status"] for steps in seen.steps.values() for step in steps)
    assert told["steps"] == {name: steps[name] for name in STATUSES}
    assert min(steps.values()) > 0


def test_shares_are_as_stated_and_as_told(seen: Seen) -> None:
    told, total = seen.told, len(seen.created)
    bare = [event for event in seen.created if "category" not in event]
    assert len(bare) == told["uncategorised"]
    phoned = sum(event["system"] == "12345" for event in seen.created)
    assert len(bare) / phoned == pytest.approx(SHARES.uncategorised, rel=0.2)
    assert all(event["system"] == "12345" and "category_code" not in event for event in bare)
    assert all("category" in step for steps in seen.steps.values() for step in steps if step["seq"])
    undue = sum("due" not in event for event in seen.created)
    assert undue == told["without_due"]
    assert undue / total == pytest.approx(SHARES.without_due, rel=0.1)
    assert sum(told["identifiers"].values()) / total == pytest.approx(0.1, rel=0.2)


def test_topics_can_be_told_by_their_keywords() -> None:
    for topic in TOPICS:
        others = [word for other in TOPICS if other is not topic for word in other.keywords]
        for text in topic.texts:
            assert any(word in text for word in topic.keywords)
            assert not any(word in text for word in others)
    words = [word for topic in TOPICS for word in topic.keywords]
    assert not [street.name for street in streets() if any(word in street.name for word in words)]


def test_some_steps_overtake_their_predecessor(seen: Seen) -> None:
    overtaken = {
        name
        for (name, seq), at in seen.arrivals.items()
        if seq and (name, seq - 1) in seen.arrivals and at < seen.arrivals[name, seq - 1]
    }
    assert 0.015 * len(seen.created) < len(overtaken) <= seen.told["overtaken"]
    assert City(7, 0.1).truth(600)["orders"]["overtaken"] > 0
    for name in overtaken:
        events = {event["seq"]: event for event in seen.steps[name]}
        moved = [
            n
            for n in (1, 2)
            if n in events
            and (name, n - 1) in seen.arrivals
            and seen.arrivals[name, n] < seen.arrivals[name, n - 1]
        ]
        assert len(moved) == 1


def test_repeat_callers_call_about_the_same_matter(seen: Seen) -> None:
    by_caller = defaultdict(list)
    for event in sorted(seen.created, key=lambda event: event["t"]):
        assert event["caller"][:4] == "0000"
        assert len(event["caller"]) == 12
        by_caller[event["caller"]].append(event)
    again = [each for each in by_caller.values() if len(each) > 1]
    assert sum(len(each) - 1 for each in again) == seen.told["repeat_callers"]
    assert seen.told["repeat_callers"] / len(seen.created) == pytest.approx(0.1, rel=0.3)
    gaps = set()
    for each in again:
        assert len({event["place"] for event in each}) == 1
        assert len({event["type"] for event in each}) == 1
        assert all("之前已经反映过" in event["text"] for event in each[1:])
        gaps.update((later["t"] - each[0]["t"]) // 3_600_000 for later in each[1:])
    assert min(gaps) < 2
    assert max(gaps) > 40


def test_merged_orders_name_an_earlier_one(seen: Seen) -> None:
    merged = [s for each in seen.steps.values() for s in each if s["status"] == "merged"]
    assert len(merged) == seen.told["steps"]["merged"]
    for step in merged:
        twin = seen.steps[step["duplicate_of"]][0]
        assert twin["t_created"] < step["t_created"]
        assert twin["place"][:9] == step["place"][:9]
        assert twin["type"] == step["type"]
    callers = seen.told["repeat_callers"]
    bursts = [one.peak for one in seen.city.episodes(LENGTH) if one.kind == "complaint_burst"]
    assert seen.told["lives"]["merged"] / (callers + sum(bursts)) == pytest.approx(0.4, rel=0.2)


def test_late_orders_are_few_and_planned(seen: Seen) -> None:
    late = 0
    for steps in seen.lives().values():
        for step in steps:
            if step["status"] == "closed" and step.get("due", step["t"]) < step["t"]:
                late += 1
                assert step["t"] - step["due"] < 24 * 3_600_000
    told = seen.told["lives"]
    assert 0 < late <= told["overdue"] + told["reopened"]
    assert told["overdue"] + told["forgotten"] < 0.01 * len(seen.created)


def test_opinions(seen: Seen) -> None:
    opinions = [s for each in seen.steps.values() for s in each if s["status"] == "evaluated"]
    assert len(opinions) > 1000
    assert 0.95 < sum(step["satisfied"] for step in opinions) / len(opinions) < 1.0
    assert 0.9 < sum(step["resolved"] for step in opinions) / len(opinions) < 1.0
    assert {step["score"] for step in opinions} == {1, 3, 4, 5}


def test_planted_identifiers_are_exported_as_written(seen: Seen) -> None:
    known = seen.city.identifiers(LENGTH)
    assert known == sorted(set(known))
    texts = [event["text"] for event in seen.created]
    held = [text for text in texts if any(secret in text for secret in known)]
    assert len(held) == sum(seen.told["identifiers"].values())
    assert sum(any(secret in text for text in texts) for secret in known) / len(known) > 0.97
    assert set(seen.city.identifiers(60)) <= set(known)


def test_identifiers_belong_to_nobody() -> None:
    for number in range(0, 9_999_999, 77_777):
        phone, identity, email, plate = (identifier(kind, number) for kind in range(len(KINDS)))
        folded = phone.translate(
            str.maketrans("０１２３４５６７８９零幺二三四五六七八九", "0123456789" * 2)
        )
        digits = "".join(c for c in folded.removeprefix("+86") if c.isdigit())
        assert len(digits) == 11
        assert digits.startswith("1540000")
        assert identity.startswith("990000")
        weights = [2 ** (17 - place) % 11 for place in range(17)]
        total = sum(int(d) * w for d, w in zip(identity, weights, strict=False))
        assert identity[17] == "10X98765432"[total % 11]
        assert email.endswith("@example.com")
        assert plate.startswith("宁Z")
        assert len(plate) == 7


def test_without_shares_an_order_is_plain() -> None:
    nothing = Shares(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    orders = City(7, 0.1, CALM, shares=nothing).truth(600)["orders"]
    assert orders["created"] > 300
    assert not any(orders[name] for name in ("repeat_callers", "uncategorised", "without_due"))
    assert orders["overtaken"] == sum(orders["identifiers"].values()) == 0
    assert orders["lives"]["merged"] == 0
