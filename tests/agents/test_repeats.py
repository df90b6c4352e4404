"""Repeats: a happening against those before it at the same key, in the order of their times."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest

from agents.folded import FoldedState
from agents.plan import FoldedSign, compile_plan
from agents.repeats import JudgedFacts
from streams.aggregates import FACTS
from streams.cuts import Key, Partial
from tests.cells import partial_of
from tests.kept import kept
from tests.rules.configurations import configuration, sign, topic, window

MINUTE = 60_000
WITHIN = 5
"""Minutes."""
Fact = tuple[int, str, tuple[int, ...]]
"""Minute, street, identities."""


def plan() -> FoldedSign:
    made = sign(
        "a.repeats",
        "%",
        kind="history",
        topic="hotline",
        match={"kind": "order"},
        base="street",
        repeats={"of": [["citizen"], ["place"]], "within_s": WITHIN * 60},
        window=window(60, 60),
        keys=["street", "city"],
    )
    return compile_plan(configuration([made], [topic("hotline", 1, 300)])).folded[0]


def partial(minute: int, facts: Iterable[Fact]) -> Partial:
    rows = [
        (Key("street", street, street), (t * MINUTE, identities, 0, 0))
        for t, street, identities in facts
    ]
    return partial_of("a.repeats", minute * MINUTE, FACTS, rows)


def state_of(made: FoldedSign) -> FoldedState:
    return FoldedState(made, JudgedFacts(made))


def told(state: FoldedState, until: int) -> dict[tuple[int, str], float]:
    """Values by the minute of the window's end and the key."""
    found = {}
    while (end := state.next_end()) <= until * MINUTE:
        for entry in state.close(end):
            if entry.value is not None:
                found[end // MINUTE, entry.key] = entry.value
        state.prune(end)
    return found


A, B = "440106001", "440106002"


def test_one_identity_in_common_within_the_time_is_a_repeat() -> None:
    """::

    minute   0    1    5    6    7
    citizen  1    1    2    1    3
    place    7    8    8    9    9
             -    r    r    r    r      minute 5 by its place, 6 by who came at 1
    """
    facts = [(0, A, (1, 7)), (1, A, (1, 8)), (5, A, (2, 8)), (6, A, (1, 9)), (7, A, (3, 9))]
    state = state_of(plan())
    for fact in facts:
        state.receive(partial(fact[0], [fact]))
    found = told(state, 10)
    assert [found[minute, A] for minute in (1, 2, 6, 7, 8)] == [0, 100, 100, 100, 100]


def test_what_lies_back_further_is_none() -> None:
    state = state_of(plan())
    for minute in (0, WITHIN, 2 * WITHIN + 1):
        state.receive(partial(minute, [(minute, A, (1,))]))
    found = told(state, 20)
    assert [found[minute + 1, A] for minute in (0, WITHIN, 2 * WITHIN + 1)] == [0, 100, 0]


def test_each_key_has_its_own_table() -> None:
    state = state_of(plan())
    state.receive(partial(0, [(0, A, (1,))]))
    state.receive(partial(1, [(1, B, (1,))]))
    found = told(state, 5)
    assert (found[2, B], found[2, "4401"]) == (0, 100)


def test_a_happening_without_identities_repeats_nothing() -> None:
    state = state_of(plan())
    state.receive(partial(0, [(0, A, ()), (0, A, ())]))
    assert told(state, 2)[1, A] == 0


def test_of_one_moment_neither_comes_before_the_other() -> None:
    state = state_of(plan())
    state.receive(partial(0, [(0, A, (1,)), (0, A, (1,))]))
    state.receive(partial(1, [(1, A, (1,)), (1, A, (1,)), (1, A, (2,))]))
    found = told(state, 5)
    assert (found[1, A], found[2, A]) == (0, pytest.approx(200 / 3))


def by_the_rule(facts: list[Fact]) -> dict[tuple[int, str], float]:
    """Shares by window and street, by looking at every pair of two times."""
    found: dict[tuple[int, str], list[bool]] = {}
    ordered = sorted(facts)
    for at, (t, street, identities) in enumerate(ordered):
        before = [f for f in ordered[:at] if f[1] == street and t - WITHIN <= f[0] < t]
        repeats = any(set(identities) & set(other[2]) for other in before)
        found.setdefault((t + 1, street), []).append(repeats)
    return {name: sum(each) / len(each) * 100 for name, each in found.items()}


@pytest.mark.parametrize("seed", range(20))
def test_any_lanes_in_any_order_with_restores(seed: int) -> None:
    """Lanes run ahead of each other; what is judged waits for all of them."""
    rng, of = Random(seed), plan()
    facts: list[Fact] = []
    for _ in range(60):
        identities = tuple(sorted({rng.randrange(12) for _ in range(2)}))
        facts.append((rng.randrange(40), rng.choice((A, B)), identities))
    expected = by_the_rule(facts)
    lanes: list[list[Partial]] = []
    for lane in range(3):
        mine = facts[lane::3]
        minutes = sorted({fact[0] for fact in mine})
        lanes.append([partial(m, [f for f in mine if f[0] == m]) for m in minutes])
    state, found, marks = state_of(of), dict[tuple[int, str], float](), [0, 0, 0]
    parts: dict[str, bytes] = {}
    while any(lanes):
        lane = rng.choice([number for number, left in enumerate(lanes) if left])
        state.receive(lanes[lane].pop(0))
        marks[lane] = lanes[lane][0].start // MINUTE if lanes[lane] else 99
        found |= told(state, min(marks))
        if rng.randrange(4) == 0:
            parts = kept(parts, state.freeze())
            again = state_of(of)
            again.load(state.dump(), parts)
            state = again
    found |= told(state, 99)
    assert {name: value for name, value in found.items() if name in expected} == expected


def test_what_no_fact_can_repeat_any_more_is_forgotten() -> None:
    state = state_of(plan())
    for minute in range(200):
        state.receive(partial(minute, [(minute, A, (minute,))]))
    told(state, 200)
    gathered = state.gathered
    assert isinstance(gathered, JudgedFacts)
    assert len(gathered._last) <= 2 * (WITHIN + 2)
    assert len(gathered._noted) <= WITHIN + 2
