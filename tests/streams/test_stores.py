"""What lanes keep: panes of all families and the sampled table are those of the rule."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.aggregates import (
    DISTINCT,
    FACTS,
    MOMENTS,
    QUANTILES,
    SLOPES,
    Accumulator,
    Family,
)
from streams.stores import Closed, PaneStore, Row, SampledStore, Store
from streams.timeline import BEFORE_ALL
from tests.cells import PlainRow, states_of
from tests.kept import Parts, encoded, kept

ROW = st.tuples(
    st.integers(-50, 300),
    st.integers(0, 3),
    st.integers(-9, 9),
    st.integers(0, 9),
    st.just(10),
)
TURNS = st.lists(st.lists(ROW, max_size=6) | st.integers(-40, 400), max_size=12)
OWN = array("q", range(4))
"""Each slot belongs to a key of its own."""

Told = tuple[int, bool, list[tuple[int, Accumulator]]]


def told(closed: list[Closed]) -> list[Told]:
    """What was closed, as plain data."""
    assert all(isinstance(pane, Closed) for pane in closed)
    return [(pane.start, pane.late, pane.cells.states()) for pane in closed]


def restored(store: Store, empty: Store, parts: Parts) -> Store:
    """The store anew from what is kept, ``parts``, which is brought up to date."""
    now = kept(parts, store.freeze())
    assert kept({}, store.freeze(whole=True)) == now
    parts.clear()
    parts.update(now)
    empty.load(store.dump(), now)
    assert kept({}, empty.freeze(whole=True)) == now
    return empty


class PlainPanes:
    """Rows by pane, on time and late by the watermark that had been told when they came."""

    def __init__(self, family: Family, pane_ms: int, lateness_ms: int) -> None:
        self.family, self.pane_ms, self.lateness_ms = family, pane_ms, lateness_ms
        self.watermark = -(10**9)
        self.panes: dict[tuple[bool, int], list[tuple[int, PlainRow]]] = {}

    def add(self, row: Row) -> None:
        t, slot, *rest = row
        start = t // self.pane_ms * self.pane_ms
        late = start + self.pane_ms <= self.watermark
        self.panes.setdefault((late, start), []).append((slot, (t, *rest)))  # type: ignore[arg-type]

    def close_until(self, watermark: int) -> list[Told]:
        self.watermark = max(self.watermark, watermark)
        delays = (self.pane_ms, self.pane_ms + self.lateness_ms)
        due = sorted(name for name in self.panes if name[1] + delays[name[0]] <= watermark)
        return [
            (start, late, states_of(self.family, self.panes.pop((late, start))))
            for late, start in due
        ]


@pytest.mark.parametrize(
    "family", [MOMENTS, QUANTILES, DISTINCT, SLOPES, FACTS], ids=lambda f: str(f.name)
)
@settings(deadline=None, max_examples=40)
@given(TURNS, st.integers(1, 40), st.integers(0, 99), st.randoms(use_true_random=False))
def test_panes_are_those_of_the_rule(
    family: Family, turns: list[Any], pane: int, lateness: int, rng: Any
) -> None:
    store: Store = PaneStore(family, pane, lateness)
    plain, parts = PlainPanes(family, pane, lateness), Parts()
    for turn in [*turns, 10**6]:
        if isinstance(turn, int):
            assert told(store.close_until(turn, OWN)) == plain.close_until(turn)
        else:
            for t, slot, value, *rest in turn:
                taken = (value, -value) if family is FACTS else value
                store.add((t, slot, taken, *rest))
                plain.add((t, slot, taken, *rest))
        if rng.randrange(3) == 0:
            store = restored(store, PaneStore(family, pane, lateness), parts)
    assert store.open_panes() == 0


@pytest.mark.parametrize("family", [MOMENTS, QUANTILES, DISTINCT], ids=lambda f: str(f.name))
def test_rows_on_time_are_told_from_corrections(family: Any) -> None:
    """::

    t    0        10        20
         [--------)[--------)
    watermark      ^10: a row at 9 is now a correction, held until 10 + 5
    """
    store = PaneStore(family, 10, 5)
    store.add((9, 0, 7, 0, 1))
    assert store.close_until(9, OWN) == []
    assert told(store.close_until(10, OWN)) == [(0, False, [(0, family.row(9, 7, 0, 1))])]
    store.add((9, 0, 8, 0, 1))
    store.add((10, 0, 8, 0, 1))
    assert store.close_until(14, OWN) == []
    assert told(store.close_until(15, OWN)) == [(0, True, [(0, family.row(9, 8, 0, 1))])]
    assert told(store.close_until(20, OWN)) == [(10, False, [(0, family.row(10, 8, 0, 1))])]


def sampled(
    turns: list[list[Row] | int], hop: int, period: int, forget: int
) -> list[tuple[int, dict[int, tuple[int, int, int, int]]]]:
    """Hops with ``(n, value, weight, known)`` by slot, from all rows that were there in time."""
    arrived: list[Row] = []
    folded, watermark = [], None
    for turn in turns:
        if not isinstance(turn, int):
            arrived += turn
            continue
        # A hop is folded once, when the watermark first passes it.
        first = min((row[0] for row in arrived), default=turn) // hop * hop
        begin = first if watermark is None else max(first, watermark // hop * hop)
        for at in range(begin + hop, turn // hop * hop + 1, hop):
            last: dict[int, Row] = {}
            for row in arrived:
                if row[0] < at and (row[1] not in last or row[0] >= last[row[1]][0]):
                    last[row[1]] = row
            rows = {}
            for slot, (t, _, value, weight, _) in last.items():
                if at - t <= 3 * period:
                    rows[slot] = (1, value, weight, 1)
                elif at - t <= forget:
                    rows[slot] = (0, 0, 0, 1)
            folded.append((at - hop, rows))
        watermark = turn if watermark is None else max(watermark, turn)
    return [(start, rows) for start, rows in folded if rows]


@settings(deadline=None, max_examples=200)
@given(
    TURNS,
    st.integers(5, 40),
    st.integers(1, 20),
    st.integers(60, 200),
    st.randoms(use_true_random=False),
)
def test_a_sample_is_the_last_value_of_each_device(
    turns: list[Any], hop: int, period: int, forget: int, rng: Any
) -> None:
    store: Store = SampledStore(hop, period, forget)
    found, parts = [], Parts()
    for turn in turns:
        if isinstance(turn, int):
            found += told(store.close_until(turn, OWN))
        else:
            for row in turn:
                store.add(row)
        if rng.randrange(3) == 0:
            store = restored(store, SampledStore(hop, period, forget), parts)
    hops = [
        (start, {slot: (a[0], a[3], a[8], a[2]) for slot, a in rows})
        for start, late, rows in found
        if rows and not late
    ]
    assert hops == sampled(turns, hop, period, forget)
    assert not any(late for _, late, _ in found)


def test_devices_of_one_key_are_sampled_together() -> None:
    """::

    t       0        10        20        30
    slot 0  7                                of key 1, silent after 15
    slot 1     8              9              of key 1
    slot 2        5                          of key 0
    """
    store, keys = SampledStore(10, 5, 1000), array("q", [1, 1, 0])
    for row in ((0, 0, 7, 1, 0), (3, 1, 8, 1, 0), (6, 2, 5, 1, 0), (18, 1, 9, 1, 0)):
        store.add(row)
    found = {
        start: {key: (a[0], a[2], a[3], a[1], a[7]) for key, a in rows}
        for start, _, rows in told(store.close_until(30, keys))
    }
    assert found == {
        0: {0: (1, 1, 5, 6, 5), 1: (2, 2, 15, 3, 8)},
        10: {0: (1, 1, 5, 6, 5), 1: (1, 2, 9, 18, 9)},
        20: {0: (0, 1, 0, BEFORE_ALL, 0), 1: (1, 2, 9, 18, 9)},
    }


def test_the_end_of_a_log_samples_no_silence() -> None:
    store = SampledStore(10, 5, 1000)
    store.add((3, 0, 7, 0, 0))
    assert [closed.start for closed in store.close_until(500, OWN, ending=True)] == [0]
    assert [closed.start for closed in store.close_until(40, OWN)] == [10, 20, 30]


def stores() -> list[Store]:
    return [
        PaneStore(MOMENTS, 10, 5),
        PaneStore(QUANTILES, 10, 5),
        PaneStore(DISTINCT, 10, 5),
        SampledStore(10, 5, 1000),
    ]


def name_of(store: Store) -> str:
    return f"{type(store).__name__} {getattr(store, 'family', MOMENTS).name}"


@pytest.mark.parametrize("store", stores(), ids=name_of)
def test_what_comes_after_a_freeze_is_not_in_it(store: Store) -> None:
    for t in (1, 2, 11):
        store.add((t, t % 3, 7, 0, 1))
    store.close_until(0, OWN)
    store.add((3, 0, 8, 0, 1))
    frozen = store.freeze()
    at_once = encoded(frozen)
    store.add((4, 0, 9, 0, 1))
    store.close_until(1, OWN)
    store.add((15, 2, 9, 0, 1))
    assert encoded(frozen) == at_once
    store.close_until(50, OWN)
    assert encoded(frozen) == at_once


@pytest.mark.parametrize("store", stores(), ids=name_of)
def test_between_two_cuts_only_the_new_rows_are_written(store: Store) -> None:
    store.add((1, 0, 7, 0, 1))
    store.close_until(0, OWN)
    parts = encoded(store.freeze())
    assert set(store.freeze().values()) == {None}
    store.add((11, 1, 7, 0, 1))
    (name,) = encoded(store.freeze())
    assert name.rpartition("/")[0] in ("rows", "ahead", "")
    assert parts.keys() <= {"pane/0", "last", "ahead/0"}


def test_a_device_that_is_forgotten_is_not_kept() -> None:
    store, parts = SampledStore(10, 5, 100), Parts()
    store.add((3, 0, 7, 0, 0))
    store.add((63, 1, 7, 0, 0))
    for watermark in (70, 110):
        store.close_until(watermark, OWN)
        parts = kept(parts, store.freeze())
    assert parts == encoded(store.freeze(whole=True))
    again = SampledStore(10, 5, 100)
    again.load(store.dump(), parts)
    ((_, _, rows), *_) = told(again.close_until(120, OWN))
    assert [slot for slot, _ in rows] == [1]


@pytest.mark.parametrize("store", stores(), ids=name_of)
def test_asking_for_open_panes_folds_nothing(store: Store) -> None:
    """A scrape of the metrics came from its own thread, folded rows twice and lost others."""
    store.add((1, 0, 7, 0, 1))
    before = encoded(store.freeze(whole=True))
    assert store.open_panes() == 1
    assert encoded(store.freeze(whole=True)) == before
    store.close_until(10, OWN)
    store.close_until(2000, OWN)
    assert store.open_panes() == 0
