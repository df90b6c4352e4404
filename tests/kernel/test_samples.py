"""The newest rows in the compiled kernel, against a list of all rows that were taken."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.rows import Rows
from ext.samples import Samples
from streams.aggregates import MOMENTS, Accumulator

Row = tuple[int, int, int, int, int]

KEYS = array("q", [4, 4, 0, 2, 4, 9])
"""The number of each slot's key."""
WIDE = st.integers(-(2**59), 2**59) | st.integers(-5, 5)
ROWS = st.lists(
    st.tuples(st.integers(-5, 60), st.integers(0, 5), WIDE, WIDE, st.integers(0, 9)), max_size=8
)
TURNS = st.lists(st.tuples(ROWS, st.integers(0, 25)), max_size=6)


class PlainSamples:
    """Rows in the order in which they came, and those of them that were taken."""

    def __init__(self, stale_ms: int | None) -> None:
        self.stale_ms = stale_ms
        self.ahead: list[Row] = []
        self.newest: dict[int, Row] = {}

    def add(self, rows: list[Row], until: int) -> None:
        for row in rows:
            known = self.newest.get(row[1])
            if row[0] >= until:
                self.ahead.append(row)
            elif known is None or row[0] >= known[0]:
                self.newest[row[1]] = row

    def advance(self, until: int) -> None:
        rows, self.ahead = self.ahead, []
        self.add(rows, until)

    def is_fresh(self, row: Row, at: int) -> bool:
        return at - row[0] <= (3 * row[4] if self.stale_ms is None else self.stale_ms)

    def at(self, at: int, forget_ms: int) -> list[tuple[int, Accumulator]]:
        self.newest = {
            slot: row
            for slot, row in self.newest.items()
            if at - row[0] <= forget_ms or self.is_fresh(row, at)
        }
        states: dict[int, Accumulator] = {}
        for slot, row in self.newest.items():
            state = (*MOMENTS.empty[:2], 1, *MOMENTS.empty[3:])
            if self.is_fresh(row, at):
                state = MOMENTS.row(row[0], row[2], row[3], 1)
            states[KEYS[slot]] = MOMENTS.merge(states.get(KEYS[slot], MOMENTS.empty), state)
        return sorted(states.items())


def ahead_of(samples: Samples) -> Rows:
    rows = Rows()
    rows.extend(samples.packed_ahead(0, samples.count_ahead))
    return rows


def loaded(samples: Samples, stale_ms: int | None) -> Samples:
    """Other samples, of the state of these."""
    again = Samples(stale_ms)
    again.load(samples.dump(), ahead_of(samples))
    assert again.dump() == samples.dump()
    assert again.packed_ahead(0, 99) == samples.packed_ahead(0, 99)
    return again


@settings(deadline=None, max_examples=150)
@given(TURNS, st.none() | st.integers(0, 30), st.integers(0, 60))
def test_samples_are_those_of_plain_python(
    turns: list[tuple[list[Row], int]], stale: int | None, forget: int
) -> None:
    samples, plain, at = Samples(stale), PlainSamples(stale), 0
    for n, (rows, step) in enumerate(turns):
        samples.add(Rows(rows), at)
        plain.add(rows, at)
        assert samples.first_ahead() == min((row[0] for row in plain.ahead), default=None)
        assert samples.count_ahead == len(plain.ahead)
        at += step
        fresh = any(plain.is_fresh(row, at) for row in plain.newest.values())
        assert samples.any_fresh(at) == (fresh or bool(plain.ahead))
        assert samples.known == len(plain.newest)
        if n % 2:
            samples = loaded(samples, stale)
        samples.advance(at)
        plain.advance(at)
        assert samples.at(at, KEYS, forget).states() == plain.at(at, forget)
        assert samples.known == len(plain.newest)
        assert list(ahead_of(samples)) == plain.ahead


THINGS = array("q", [0, 1, 0, 0, 2, 1])
"""What is in each slot where things move: two of them have several places."""


@settings(deadline=None, max_examples=150)
@given(TURNS, st.none() | st.integers(0, 30), st.integers(0, 60))
def test_what_moves_counts_where_its_newest_row_is(
    turns: list[tuple[list[Row], int]], stale: int | None, forget: int
) -> None:
    """Against samples of one slot a thing, whose rows know their place."""
    samples, at = Samples(stale, moves=True), 0
    ahead: list[Row] = []
    newest: dict[int, Row] = {}

    def take(rows: list[Row]) -> None:
        left = []
        for row in rows:
            known = newest.get(THINGS[row[1]])
            if row[0] >= at:
                left.append(row)
            elif known is None or row[0] >= known[0]:
                newest[THINGS[row[1]]] = row
        ahead[:] = left

    for n, (rows, step) in enumerate(turns):
        samples.add(Rows(rows), at, THINGS)
        waiting = list(ahead)
        take(rows)
        ahead[:] = waiting + ahead
        assert samples.known == len(newest)
        at += step
        if n % 2:
            known = samples.dump(), ahead_of(samples)
            samples = Samples(stale, moves=True)
            samples.load(*known)
        samples.advance(at, THINGS)
        take(list(ahead))
        expected: dict[int, Accumulator] = {}
        for thing, row in list(newest.items()):
            age, old = at - row[0], 3 * row[4] if stale is None else stale
            if age > max(old, forget):
                del newest[thing]
                continue
            silent = (*MOMENTS.empty[:2], 1, *MOMENTS.empty[3:])
            state = silent if age > old else MOMENTS.row(row[0], row[2], row[3], 1)
            key = KEYS[row[1]]
            expected[key] = MOMENTS.merge(expected.get(key, MOMENTS.empty), state)
        assert samples.at(at, KEYS, forget).states() == sorted(expected.items())


def test_things_that_move_are_told() -> None:
    samples = Samples(None, moves=True)
    with pytest.raises(ValueError, match="things that move are to be told"):
        samples.add(Rows([(5, 0, 1, 0, 1)]), 50)
    with pytest.raises(ValueError, match="no thing is told of slot 1"):
        samples.add(Rows([(5, 1, 1, 0, 1)]), 50, array("q", [0]))
    with pytest.raises(ValueError, match="has thing 999"):
        samples.add(Rows([(5, 0, 1, 0, 1)]), 50, array("q", [999]))


def test_slots_that_things_have_left_can_be_no_more() -> None:
    """Thing 0 goes from slot 0 to slot 2; slot 1 is another's, and all are then numbered anew."""
    samples, things = Samples(1000, moves=True), array("q", [0, 1, 0])
    samples.add(Rows([(1, 0, 7, 0, 0), (2, 1, 8, 0, 0), (3, 2, 9, 0, 0)]), 50, things)
    flags = np.zeros(3, np.uint8)
    samples.mark(flags)
    assert flags.tolist() == [0, 1, 1]
    samples.rename(np.array([-1, 0, 1], np.int64))
    things = array("q", [1, 0])
    samples.add(Rows([(2, 0, 5, 0, 0), (2, 1, 6, 0, 0)]), 50, things)
    cells = samples.at(50, array("q", [4, 5]), 1000)
    assert [(key, state[3]) for key, state in cells.states()] == [(4, 5), (5, 9)]


def test_a_row_that_changes_nothing_is_no_change() -> None:
    samples = Samples(100)
    samples.add(Rows([(5, 0, 1, 0, 0)]), 50)
    assert samples.changed
    samples.changed = False
    samples.add(Rows([(4, 0, 2, 0, 0), (60, 0, 2, 0, 0)]), 50)
    assert not samples.changed
    samples.at(105, KEYS, 10)
    assert not samples.changed, "what still counts is not forgotten"
    samples.at(106, KEYS, 10)
    assert samples.changed
    assert samples.known == 0


def test_bytes_are_a_function_of_the_rows() -> None:
    """Slots without a row, and rows that were dropped, once went out as memory had been left."""
    dumps = set()
    for turn in range(30):
        junk = [bytes([turn + 1]) * size for size in (32, 2048, 4096, 8192)] * 9
        del junk
        samples = Samples(None)
        samples.add(Rows([(5, 5, turn, turn, 1), (90, 3, 7, 0, 1), (90, 1, 7, 0, 1)]), 99)
        samples.at(99, KEYS, 50)
        dumps.add(samples.dump())
    assert len(dumps) == 1
    again = Samples(None)
    again.load(dumps.pop(), Rows())
    assert again.known == 2


def test_a_slot_beyond_what_is_told_of_keys_is_refused() -> None:
    samples = Samples(None)
    samples.add(Rows([(5, 6, 1, 0, 1)]), 50)
    with pytest.raises(ValueError, match="no key is told of slot 6"):
        samples.at(10, KEYS, 100)


@pytest.mark.parametrize("size", [1, 31, 33, 63])
def test_bytes_that_can_not_be_samples_are_refused(size: int) -> None:
    samples = Samples(None)
    samples.add(Rows([(5, 0, 1, 0, 1)]), 50)
    with pytest.raises(ValueError, match="cut short"):
        samples.load(bytes(size), Rows())
    assert samples.known == 1


def test_loading_takes_the_place_of_what_was_there() -> None:
    samples = Samples(None)
    samples.add(Rows([(5, 0, 1, 0, 1), (70, 1, 1, 0, 1)]), 50)
    samples.load(b"", Rows())
    assert (samples.known, samples.count_ahead, samples.dump()) == (0, 0, b"")


@given(TURNS, st.none() | st.integers(0, 20), st.sets(st.integers(0, 7)))
@settings(max_examples=100)
def test_slots_without_rows_can_be_no_more(
    turns: list[tuple[list[Row], int]], stale_ms: int | None, dropped: set[int]
) -> None:
    samples, now = Samples(stale_ms), 0
    for rows, step in turns:
        samples.add(Rows(rows), now)
        now += step
        samples.advance(now)
    used = np.zeros(8, np.bool_)
    samples.mark(used.view(np.uint8))
    kept = [slot for slot in range(8) if used[slot] or slot not in dropped]
    renamed = np.full(8, -1, np.int64)
    renamed[kept] = np.arange(len(kept))
    keys = array("q", [*KEYS, 7, 7])
    before = Samples(stale_ms)
    before.load(samples.dump(), ahead_of(samples))
    samples.rename(renamed)
    new_keys = array("q", [keys[slot] for slot in kept])
    for at in (now, now + 30, now + 100):
        for each in (before, samples):
            each.advance(at)
        found, wanted = samples.at(at, new_keys, 50), before.at(at, keys, 50)
        assert sorted(found.states()) == sorted(wanted.states())
        assert found.states() == wanted.states()


def test_a_slot_with_rows_stays() -> None:
    samples = Samples(None)
    samples.add(Rows([(1, 2, 0, 0, 9), (90, 4, 0, 0, 9)]), 50)
    for renamed in ([0, 1, -1, 2, 3], [0, 1, 2, 3, -1], [0, 1]):
        with pytest.raises(ValueError, match="slot"):
            samples.rename(np.array(renamed, np.int64))
    with pytest.raises(ValueError, match="slot 2"):
        samples.mark(np.zeros(2, np.uint8))
