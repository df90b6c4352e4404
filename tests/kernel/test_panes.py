"""R1 and R3 in the compiled kernel: panes and moments against plain Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.cells import Moments, Objects
from ext.panes import Panes
from ext.rows import Rows
from streams.aggregates import FACTS, MOMENTS, QUANTILES, SLOPES, Accumulator, Family
from tests.cells import states_of

Row = tuple[int, int, int, int, int]
Name = tuple[int, bool]
States = Callable[[list[Row]], list[tuple[int, Accumulator]]]
Closed = list[tuple[int, bool, list[tuple[int, Accumulator]]]]

DAY_MS = 86_400_000
NOW = 1_772_323_200_000
"""2026-03-01 00:00 UTC."""
INT64 = st.integers(-(2**63), 2**63 - 1)
VALUE = st.integers(-(2**59), 2**59)
"""The squares of 128 of them still fit: 170 billion units at the usual resolution."""


class PlainPanes:
    """Every row kept in a list, and sorted into panes when they are asked for."""

    def __init__(self, pane_ms: int, lateness_ms: int, states: States | None = None) -> None:
        self.pane_ms, self.lateness_ms = pane_ms, lateness_ms
        self.states = all_moments if states is None else states
        self.watermark: int | None = None
        self.waiting: list[tuple[int, bool, Row]] = []

    def add(self, rows: list[Row]) -> None:
        for row in rows:
            start = row[0] // self.pane_ms * self.pane_ms
            late = self.watermark is not None and start + self.pane_ms <= self.watermark
            self.waiting.append((start, late, row))

    def close_until(self, watermark: int) -> Closed:
        due = [
            (late, start, row)
            for start, late, row in self.waiting
            if start + self.pane_ms + late * self.lateness_ms <= watermark
        ]
        self.waiting = [w for w in self.waiting if (w[1], w[0], w[2]) not in due]
        known = self.watermark
        self.watermark = watermark if known is None else max(watermark, known)
        found = []
        for late, start in sorted({(late, start) for late, start, _ in due}):
            rows = [row for row_late, s, row in due if (row_late, s) == (late, start)]
            found.append((start, late, self.states(rows)))
        return found


def all_moments(rows: list[Row]) -> list[tuple[int, Accumulator]]:
    return [(slot, moments(rows, slot)) for slot in sorted({row[1] for row in rows})]


def moments(rows: list[Row], slot: int) -> Accumulator:
    mine = [row for row in rows if row[1] == slot]
    values = [value for _, _, value, _, _ in mine]
    last_t, last_value = max((t, value) for t, _, value, _, _ in mine)
    covered, weight = sum(row[4] for row in mine), sum(row[3] for row in mine)
    squares = sum(value * value for value in values)
    extremes = (min(values), max(values))
    return (len(mine), last_t, covered, sum(values), squares, *extremes, last_value, weight)


def closed(panes: Panes, watermark: int) -> Closed:
    """What is closed, as plain data."""
    return [(start, late, cells.states()) for start, late, cells in panes.close_until(watermark)]


def encoded(frozen: Mapping[Name, Callable[[], bytes] | None]) -> dict[Name, bytes]:
    return {name: state() for name, state in frozen.items() if state is not None}


SCALES = st.sampled_from(
    [
        (1, 0),
        (250, 1000),
        (60_000, 300_000),
        (3_600_000, DAY_MS),
        (31 * DAY_MS, 400 * DAY_MS),
    ]
)


@st.composite
def steps(draw: st.DrawFn) -> tuple[int, int, list[list[Row] | int]]:
    """A pane, a lateness, and rows and watermarks in turn, around an epoch."""
    pane, lateness = draw(SCALES)
    epoch = draw(st.sampled_from([0, NOW, -NOW, 2**53]))
    time = st.integers(-8 * pane, 8 * pane) | st.integers(-8, 8).map(lambda k: k * pane)
    time = time.map(lambda t: t + epoch)
    value = VALUE | st.integers(-5, 5)
    row = st.tuples(time, st.integers(0, 5), value, INT64, st.integers(0, 10**9))
    rows = st.lists(row, max_size=10)
    return pane, lateness, draw(st.lists(rows | time, max_size=12))


@settings(deadline=None, max_examples=200)
@given(steps(), st.randoms(use_true_random=False))
def test_panes_are_those_of_plain_python(
    case: tuple[int, int, list[list[Row] | int]], rng: Random
) -> None:
    pane, lateness, turns = case
    panes, plain = Panes(pane, lateness, Moments()), PlainPanes(pane, lateness)
    for turn in [*turns, 2**60]:
        if isinstance(turn, int):
            assert closed(panes, turn) == plain.close_until(turn)
        else:
            # In any number of calls.
            cut = rng.randrange(len(turn) + 1)
            panes.add(Rows(turn[:cut]))
            panes.add(Rows(turn[cut:]))
            plain.add(turn)
        if rng.randrange(3) == 0:
            state = encoded(panes.freeze(whole=True))
            closed_until = panes.closed_until
            panes = Panes(pane, lateness, Moments())
            panes.load(closed_until, state)
            assert encoded(panes.freeze(whole=True)) == state
    assert panes.open_panes == 0


@pytest.mark.parametrize("family", [QUANTILES, SLOPES], ids=lambda f: str(f.name))
@settings(deadline=None, max_examples=40)
@given(steps())
def test_panes_of_another_kind(
    family: Family, case: tuple[int, int, list[list[Row] | int]]
) -> None:
    def states(rows: list[Row]) -> list[tuple[int, Accumulator]]:
        return states_of(family, [(slot, (t, *rest)) for t, slot, *rest in rows])  # type: ignore[misc]

    pane, lateness, turns = case
    panes, plain = Panes(pane, lateness, family.cells()), PlainPanes(pane, lateness, states)
    for turn in [*turns, 2**60]:
        if isinstance(turn, int):
            assert closed(panes, turn) == plain.close_until(turn)
        else:
            panes.add(Rows(turn))
            plain.add(turn)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.just(0), st.just(0), VALUE, INT64, st.integers(0, 10**9)), max_size=99)
)
def test_a_cell_is_the_merge_of_its_rows(rows: list[Row]) -> None:
    panes = Panes(1, 0, Moments())
    panes.add(Rows(rows))
    state = MOMENTS.empty
    for t, _, value, weight, covered in rows:
        state = MOMENTS.merge(state, MOMENTS.row(t, value, weight, covered))
    assert closed(panes, 1) == ([(0, False, [(0, state)])] if rows else [])


def test_sums_of_extremes_do_not_overflow() -> None:
    least, rows = -(2**63), 10_000
    panes = Panes(1000, 0, Moments())
    panes.add(Rows([(0, 0, least, least, 0)] * rows + [(0, 1, 2**56, 2**63 - 1, 0)] * rows))
    ((_, _, [(_, low), (_, high)]),) = closed(panes, 1000)
    assert (low[3], low[8]) == (rows * least, rows * least)
    assert high[3:5] == (rows * 2**56, rows * 2**112)
    assert high[8] == rows * (2**63 - 1)


def test_boundaries() -> None:
    """A row at a pane's end is of the next pane; one before it, of a closed pane, is late.

    ::

        t  -1000   -1 0     999 1000
            [--------)[--------)[-----
        watermark 0  ^ closes the first; -1 is now a correction, 0 is not
    """
    panes = Panes(1000, 500, Moments())
    panes.add(Rows([(-1000, 0, 1, 0, 0), (-1, 0, 2, 0, 0), (0, 0, 4, 0, 0)]))
    assert panes.close_until(-1) == []
    assert closed(panes, 0) == [(-1000, False, [(0, (2, -1, 0, 3, 5, 1, 2, 2, 0))])]
    panes.add(Rows([(-1, 0, 8, 0, 0), (0, 0, 16, 0, 0)]))
    assert panes.close_until(499) == []
    assert [c[:2] for c in closed(panes, 500)] == [(-1000, True)]
    ((start, late, [(_, state)]),) = closed(panes, 1000)
    assert (start, late, state[0], state[3]) == (0, False, 2, 20)


def test_a_watermark_never_goes_back() -> None:
    panes = Panes(1000, 0, Moments())
    panes.close_until(5000)
    assert panes.close_until(1000) == []
    assert panes.closed_until == 5000
    panes.add(Rows([(4999, 0, 1, 0, 0)]))
    assert [c[:2] for c in closed(panes, 5000)] == [(4000, True)]


@pytest.mark.parametrize("slot", [-1, -(2**63), 2**40])
def test_a_slot_out_of_range_is_refused(slot: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        Panes(1000, 0, Moments()).add(Rows([(0, slot, 1, 0, 0)]))


def test_a_number_beyond_64_bits_is_refused() -> None:
    with pytest.raises(OverflowError):
        Panes(1000, 0, Moments()).add(Rows([(0, 0, 2**63, 0, 0)]))


@pytest.mark.parametrize("pane_ms", [0, -1])
def test_a_pane_needs_a_length(pane_ms: int) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Panes(pane_ms, 0, Moments())


def filled() -> Panes:
    panes = Panes(1000, 5000, Moments())
    panes.add(Rows([(t, t % 7, t * t, -t, 1) for t in range(0, 5000, 37)]))
    panes.close_until(2000)
    panes.add(Rows([(t, t % 3, t, 0, 1) for t in range(0, 2500, 91)]))
    return panes


def test_a_freeze_names_every_pane_and_holds_those_that_changed() -> None:
    panes = filled()
    names = {(2000, False), (3000, False), (4000, False), (0, True), (1000, True)}
    assert panes.freeze().keys() == names
    assert set(panes.freeze().values()) == {None}
    panes.add(Rows([(2500, 0, 1, 0, 1), (999, 9, 1, 0, 1)]))
    changed = {name for name, state in panes.freeze().items() if state is not None}
    assert changed == {(2000, False), (0, True)}
    panes.close_until(6000)
    assert set(panes.freeze()) == {(1000, True)}


def test_what_is_held_stays_as_it_was() -> None:
    """A row that came in after a freeze once stood in the snapshot, and again in the log."""
    panes = filled()
    expected = encoded(panes.freeze(whole=True))
    held = panes.freeze(whole=True)
    for turn in range(3):
        panes.add(Rows([(t, t % 50, t, t, 1) for t in range(0, 5000, 10 + turn)]))
        assert encoded(held) == expected
    later = encoded(panes.freeze())
    assert later.keys() == expected.keys()
    assert all(later[name] != expected[name] for name in later)
    panes.close_until(2**60)
    assert encoded(held) == expected
    again = Panes(1000, 5000, Moments())
    again.load(2000, expected)
    assert closed(again, 2**60) == closed(filled(), 2**60)


def test_loading_takes_the_place_of_what_was_there() -> None:
    panes = Panes(1000, 5000, Moments())
    panes.add(Rows([(0, 0, 1, 0, 0)]))
    panes.load(7000, {})
    assert (panes.open_panes, panes.closed_until) == (0, 7000)


@pytest.mark.parametrize("state", [b"", b"\0" * 7, bytes([1]) + bytes(47)])
def test_bytes_that_can_not_be_a_pane_are_refused(state: bytes) -> None:
    panes = Panes(1000, 0, Moments())
    panes.add(Rows([(0, 0, 1, 0, 0)]))
    with pytest.raises(ValueError, match="the state of a pane"):
        panes.load(0, {(0, False): state})
    assert (panes.open_panes, panes.closed_until) == (1, -(1 << 62))


def test_the_cells_of_a_pane_are_for_changing() -> None:
    """States of Python's are put into them; what is held meanwhile stays as it is."""
    panes = Panes(1000, 500, FACTS.cells())
    cells = panes.cells(1000)
    assert isinstance(cells, Objects)
    cells.put(2, FACTS.row(1500, 7, 0, 0))
    assert panes.cells(1000) is cells
    held = panes.freeze()[1000, False]
    assert held is not None
    other = panes.cells(1000)
    assert other is not cells
    assert isinstance(other, Objects)
    other.put(2, FACTS.row(1600, 8, 0, 0))
    assert closed(panes, 2000) == [
        (1000, False, [(2, (2, 1600, 0, ((1500, (7,)), (1600, (8,))), 0))])
    ]
    assert held() == cells.dump()
    assert panes.cells(1000) is not other
    assert panes.freeze().keys() == {(1000, True)}
