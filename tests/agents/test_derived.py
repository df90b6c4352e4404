"""Formulas of derived signs, on hand-made entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agents.derived import DerivedState, formula_of
from agents.entries import Entry, KeyName
from agents.history import History
from schemas.signs import DerivedSign
from streams.timeline import AFTER_ALL
from streams.windows import Hopping
from tests.kept import kept
from tests.rules.configurations import levels, sign, window

MINUTE = 60_000
MINUTELY = Hopping(MINUTE, MINUTE)


def derived(formula: dict[str, Any], keys: list[str], **fields: Any) -> DerivedSign:
    made = sign("d.sign", "1", formula=formula, window=window(60, 60), keys=keys, **fields)
    return DerivedSign.model_validate({**made, "kind": "derived"})


def entry(key: str, value: float | None, **fields: Any) -> Entry:
    reason = fields.pop("reason", None if value is not None else "uncovered")
    made = Entry("site", key, "440106001", value, 2, 1.0, reason)
    return made._replace(**fields)


class Said:
    """What signs said, by sign and minute."""

    def __init__(self, entries: Mapping[tuple[str, int], list[Entry]]) -> None:
        self.entries = entries

    def __call__(self, sign: str, at: int, /) -> Mapping[KeyName, Entry]:
        return {e.name: e for e in self.entries.get((sign, at // MINUTE), [])}


PAST = derived(
    {"name": "past_mean", "of": "a.sign", "windows": 3, "step_s": 60, "at_least": 2}, ["site"]
)
W = "warming"


@pytest.mark.parametrize(
    ("values", "value", "coverage", "reason"),
    [
        # Oldest first; W warms up, None is uncovered, "-" says nothing.
        ([1, 2, 6], 3.0, 1.0, None),
        ([1, None, 6], 3.5, 2 / 3, None),
        ([None, 1, 6], 3.5, 2 / 3, None),
        ([None, None, 6], None, 1 / 3, "uncovered"),
        ([W, 2, 6], None, 2 / 3, W),
        (["-", 2, 6], None, 2 / 3, W),
        ([1, "-", 6], 3.5, 2 / 3, None),
        ([1, 3, None], 2.0, 2 / 3, None),
    ],
)
def test_past_mean(values: list[Any], value: Any, coverage: float, reason: str | None) -> None:
    said = {}
    for minute, x in enumerate(values, 1):
        if x != "-":
            null = x in (W, None)
            one = entry("x", None, reason=x or "uncovered") if null else entry("x", x)
            said["a.sign", minute] = [one]
    (found,) = formula_of(PAST, MINUTELY, "UTC").entries(3 * MINUTE, Said(said))
    assert (found.value, found.coverage, found.reason) == (value, coverage, reason)
    assert found.n == 2 * len(said)
    assert (found.level, found.key, found.place) == ("site", "x", "440106001")


def test_past_mean_speaks_for_keys_of_now() -> None:
    said = Said({("a.sign", 1): [entry("gone", 1)], ("a.sign", 3): []})
    assert formula_of(PAST, MINUTELY, "UTC").entries(3 * MINUTE, said) == []


def test_past_mean_touches_the_ends_that_read_it() -> None:
    assert formula_of(PAST, MINUTELY, "UTC").ends_touched(MINUTE) == [
        MINUTE,
        2 * MINUTE,
        3 * MINUTE,
    ]


CHILDREN = derived(
    {"name": "children_at_level", "of": "a.sign", "child": "site", "level": "yellow"},
    ["street", "city"],
)


def test_children_at_level() -> None:
    children = [
        entry("a", 1.0, severity=0),
        entry("b", 2.0, severity=2),
        entry("c", 4.0, severity=4, place="440111001"),
        entry("d", None),
        # A roll-up of the same sign is not a child.
        entry("440106", 9.0, severity=4, level="district"),
    ]
    found = formula_of(CHILDREN, MINUTELY, "UTC").entries(MINUTE, Said({("a.sign", 1): children}))
    assert [(e.level, e.key, e.value, e.n, e.coverage) for e in found] == [
        ("city", "4401", 2.0, 3, 0.75),
        ("street", "440106001", 1.0, 2, 2 / 3),
        ("street", "440111001", 1.0, 1, 1.0),
    ]
    assert found[0].detail == {"children": 4, "reached": {"c": 4.0, "b": 2.0}}


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [(["warming", "warming"], "warming"), (["warming", "uncovered"], "uncovered")],
)
def test_children_without_values(reasons: list[str], reason: str) -> None:
    children = [entry(str(i), None, reason=r) for i, r in enumerate(reasons)]
    found = formula_of(CHILDREN, MINUTELY, "UTC").entries(MINUTE, Said({("a.sign", 1): children}))
    assert {(e.value, e.n, e.coverage, e.reason) for e in found} == {(None, 0, 0.0, reason)}


INDEX = derived(
    {
        "name": "level_index",
        "of": [{"sign": "a.sign", "weight": 3}, {"sign": "b.sign", "weight": 1}],
        "at_least": 1,
    },
    ["city"],
    levels=levels("le", blue=85, red=40),
)


@pytest.mark.parametrize(
    ("a", "b", "value", "coverage"),
    [
        (0, 0, 100.0, 1.0),
        (2, 0, 81.25, 1.0),
        (4, 4, 0.0, 1.0),
        (None, 3, 50.0, 0.5),
        (1, None, 90.0, 0.5),
        (None, None, None, 0.0),
    ],
)
def test_level_index(a: Any, b: Any, value: Any, coverage: float) -> None:
    def city(severity: int | None) -> Entry:
        score = None if severity is None else 1.0
        return entry("4401", score, level="city", place="4401", severity=severity)

    said = Said({("a.sign", 1): [city(a)], ("b.sign", 1): [city(b)]})
    (found,) = formula_of(INDEX, MINUTELY, "UTC").entries(MINUTE, said)
    assert (found.value, found.coverage) == (value, coverage)
    assert found.reason == (None if value is not None else "uncovered")
    if value is not None:
        given = {"a.sign": a, "b.sign": b}
        assert found.detail == {"levels": {k: v for k, v in given.items() if v is not None}}


def test_a_derived_sign_waits_for_its_inputs_and_their_corrections() -> None:
    history = History()
    state = DerivedState(PAST, MINUTELY, "UTC", 5 * MINUTE, {"a.sign": history})
    assert state.next_end() == state.next_final() == AFTER_ALL
    for minute, value in enumerate([1, 2, 6], 1):
        history.note(minute * MINUTE, [entry("x", value)])
        state.expect(minute * MINUTE, final=False)
    said = []
    while state.next_end() != AFTER_ALL:
        said.append([(e.value, e.reason) for e in state.close(state.next_end())])
    assert said == [[(None, W)], [(None, W)], [(3.0, None)]]
    history.note(2 * MINUTE, [entry("x", 5)], final=True)
    state.expect(2 * MINUTE, final=True)
    again = DerivedState(PAST, MINUTELY, "UTC", 5 * MINUTE, {"a.sign": history})
    again.load(state.dump())
    assert again.next_final() == 2 * MINUTE
    # At 2 it warms up with another n or not; at 3 the mean is another one; 4 was never said.
    assert again.close_final(2 * MINUTE).pairs() == []
    ((before, after),) = again.close_final(3 * MINUTE).pairs()
    assert before is not None
    assert (before.value, after.value) == (3.0, 4.0)
    assert again.close_final(4 * MINUTE).pairs() == []
    assert again.next_final() == AFTER_ALL


def test_history_is_pruned_and_survives_a_snapshot() -> None:
    history = History()
    for minute in range(9):
        history.note(minute, [entry("x", minute)])
        history.note(minute, [entry("y", minute)], final=True)
    history.prune(5)
    again = History()
    parts = kept({}, history.freeze())
    again.load(parts)
    assert kept(parts, again.freeze()) == kept({}, history.freeze(whole=True)) == parts
    held = history.freeze(whole=True)
    history.note(8, [entry("z", 8)])
    assert kept({}, held) == parts
    assert again.at(4, final=True) == {}
    assert list(again.at(5, final=False)) == [("site", "x")]
    assert list(again.at(5, final=True)) == [("site", "x"), ("site", "y")]
