"""Keys by number: islands, places and life of every key against a list of all it was heard in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.entries import KeyName
from agents.expected import ExpectedKey, Span
from agents.islands import Island, lengthened, reaching
from agents.key_table import KeyTable, PlaceCodes
from agents.registered import Registered
from streams.timeline import AFTER_ALL
from tests.kept import Parts, kept

PANE = 10
PLACE = st.text("0123456789", max_size=15)
PLACES = ("4401", "440106", "440106001", "4419")
KEYS = [("station", name) for name in "fbdaec"]


@given(st.lists(PLACE))
def test_codes_have_the_order_of_their_places(places: list[str]) -> None:
    codes = PlaceCodes()
    numbers = [codes.of(place) for place in places]
    assert sorted(places) == [codes.place(code) for code in sorted(numbers)]
    assert all(0 <= number < 2**63 for number in numbers)
    # Another table knows them without having heard of them.
    assert PlaceCodes().places(np.array(numbers, np.int64)) == places


def test_codes_of_the_greatest_and_the_least_place() -> None:
    codes = PlaceCodes()
    assert codes.of("") == 0
    assert codes.of("9" * 15) == max(codes.of("9" * length) for length in range(16)) < 2**63
    assert codes.of("4401") < codes.of("44010") < codes.of("4402")


class PlainKeys:
    """Of each key all islands and all places, and whether it is alive."""

    def __init__(self, forget_ms: int) -> None:
        self.forget_ms = forget_ms
        self.islands: dict[KeyName, tuple[Island, ...]] = {}
        self.places: dict[KeyName, list[tuple[int, str]]] = {}

    def hear(self, heard: dict[KeyName, str], start: int) -> None:
        for name, place in heard.items():
            known = self.islands.get(name, ())
            self.islands[name] = lengthened(known, start, PANE, self.forget_ms)
            self.places.setdefault(name, []).append((start, place))

    def place_at(self, name: KeyName, end: int) -> str | None:
        before = [place for start, place in self.places[name] if start < end]
        return before[-1] if before else None

    def alive(self, end: int) -> set[KeyName]:
        silence = {name: end - islands[-1][1] - PANE for name, islands in self.islands.items()}
        return {name for name, ms in silence.items() if ms <= self.forget_ms}


def table_of(forget_ms: int) -> KeyTable:
    return KeyTable(PlaceCodes(), PANE, forget_ms)


def heard_by(table: KeyTable, heard: dict[KeyName, str], start: int, kept_from: int) -> None:
    numbers = np.array([table.number(name) for name in heard], np.int64)
    places = np.array([table.codes.of(place) for place in heard.values()], np.int64)
    table.hear(numbers, places, start, kept_from)


def assert_same(table: KeyTable, plain: PlainKeys, end: int) -> None:
    """What is told of a window's end, above the panes that are dropped."""
    names = [name for name in table.names if name in plain.islands]
    numbers = np.array([table.find(name) for name in names], np.int64)
    found, first = table.reaching(numbers, end)
    expected = [reaching(plain.islands[name], end, PANE, plain.forget_ms) for name in names]
    assert found.tolist() == [island is not None for island in expected]
    begun = [island[0] for island in expected if island is not None]
    assert first[found].tolist() == begun
    places = table.codes.places(table.places_at(numbers, end))
    for name, number, place in zip(names, numbers.tolist(), places, strict=True):
        was = plain.place_at(name, end)
        assert was is None or place == was == table.codes.place(table.place_at(number, end))


TURN = st.tuples(
    st.integers(1, 9), st.dictionaries(st.sampled_from(KEYS), st.sampled_from(PLACES), max_size=4)
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(TURN, max_size=14),
    st.sampled_from([0, 5, 30]),
    st.integers(0, 9),
    st.randoms(use_true_random=False),
)
def test_islands_places_and_life(
    turns: list[tuple[int, dict[KeyName, str]]], forget: int, back: int, rng: Any
) -> None:
    table, plain, parts = table_of(forget), PlainKeys(forget), Parts()
    start, kept_from = 0, -PANE
    for step, heard in turns:
        start += step * PANE
        # What is dropped lies a few panes back, and never comes again.
        kept_from = max(kept_from, start - back * PANE)
        heard_by(table, heard, start, kept_from)
        plain.hear(heard, start)
        end = start + PANE
        alive = plain.alive(end)
        table.quieten(end)
        assert table.any_alive == bool(alive)
        flags = table.alive[: len(table)].copy()
        ordered = [table.names[number] for number in table.in_order(flags).tolist()]
        assert ordered == sorted(alive)
        for end in range(kept_from + 1, start + 40):
            assert_same(table, plain, end)
        if rng.randrange(3) == 0:
            again = table_of(forget)
            parts = kept(parts, table.freeze(whole=False, changed=True))
            again.load(parts)
            assert kept({}, again.freeze(whole=True, changed=False)) == parts
            table = again
        if rng.randrange(4) == 0:
            drop_some(table, plain, kept_from - forget - PANE, rng)


def drop_some(table: KeyTable, plain: PlainKeys, before: int, rng: Any) -> None:
    """Forget keys that were silent for long, but one that has a cell."""
    names = list(table.names)
    used = np.array([rng.randrange(len(names))] if names else [], np.int64)
    gone = table.gone(before, [used])
    for number, name in enumerate(names):
        last = plain.islands[name][-1][1]
        silent = last < before and not table.alive[number]
        assert gone[number] == (silent and number not in used)
    renamed = table.drop(gone)
    left = [name for number, name in enumerate(names) if not gone[number]]
    assert table.names == left
    for number, name in enumerate(names):
        assert renamed[number] == (-1 if gone[number] else left.index(name))
        assert table.find(name) == (None if gone[number] else left.index(name))
        if gone[number]:
            del plain.islands[name], plain.places[name]


def test_a_key_that_was_dropped_begins_anew() -> None:
    table = table_of(5)
    for start, name in ((0, "a"), (10, "b"), (20, "b"), (30, "b")):
        heard_by(table, {("s", name): "4401" if start < 20 else "4419"}, start, start)
    table.quieten(40)
    renamed = table.drop(table.gone(15, []))
    assert (renamed.tolist(), table.names) == ([-1, 0], [("s", "b")])
    assert table.codes.places(table.places_at(np.array([0]), 40)) == ["4419"]
    heard_by(table, {("s", "a"): "440106"}, 40, 40)
    assert table.find(("s", "a")) == 1
    assert [column.tolist() for column in table.reaching(np.array([0, 1]), 50)] == [
        [False, True],
        [10, 40],
    ]
    assert table.in_order(np.array([True, True])).tolist() == [1, 0]


def test_only_what_has_changed_is_frozen() -> None:
    table = table_of(5)
    assert table.freeze(whole=True, changed=False) == {}
    heard_by(table, {("s", "a"): "4401"}, 0, 0)
    first = table.freeze(whole=False, changed=True)
    assert None not in first.values()
    assert set(table.freeze(whole=False, changed=False).values()) == {None}
    # A key that the register brings is written though nothing else has changed.
    table.number(("s", "b"))
    assert table.freeze(whole=False, changed=False)["known"] is not None
    again = table_of(5)
    again.load(kept({}, table.freeze(whole=True, changed=False)))
    assert again.names == [("s", "a"), ("s", "b")]
    (_, told), _ = again.reaching(np.array([0, 1]), 10)
    assert not told


SPAN = st.tuples(
    st.integers(0, 20), st.integers(1, 20), st.sampled_from("xy"), st.sampled_from(PLACES)
)


@pytest.mark.parametrize("limited", [False, True])
@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(st.sampled_from(KEYS), st.lists(SPAN, min_size=1, max_size=3)),
    st.lists(st.integers(0, 45), max_size=9),
)
def test_what_the_register_says_at_any_time(
    limited: bool, told: dict[KeyName, list[tuple[int, int, str, str]]], ends: list[int]
) -> None:
    """Asked in any order, and after the keys were given other numbers."""
    expected = {
        name: ExpectedKey(
            [
                Span(since, since + ms if ms < 15 else AFTER_ALL, device, place, limit_of(since))
                if limited
                else Span(since, since + ms if ms < 15 else AFTER_ALL, device, place, None)
                for since, ms, device, place in spans
            ]
        )
        for name, spans in told.items()
    }
    table = table_of(5)
    table.number(("s", "other"))
    registered = Registered(expected, table)
    assert bool(registered) == bool(told)
    for turn, end in enumerate(ends):
        if turn == 4 and len(table):
            gone = np.zeros(len(table), np.bool_)
            gone[table.number(("s", "other"))] = True
            table.drop(gone)
            registered.forget_numbers()
        known = registered.at(end)
        found = {
            table.names[number]: (devices, table.codes.place(place), since, limit)
            for number, devices, place, since, limit in zip(
                *(column.tolist() for column in known), strict=True
            )
        }
        assert found.keys() == {name for name, key in expected.items() if key.devices(end)}
        for name, (devices, place, since, limit) in found.items():
            key = expected[name]
            assert (devices, place, since) == (key.devices(end), key.place(end), key.since(end))
            assert key.limit(end) == (None if limit != limit else limit)


def limit_of(since: int) -> float | None:
    return None if since % 3 == 0 else since / 2
