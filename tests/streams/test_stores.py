"""What lanes keep: the two stores of panes agree, and the sampled table is that of the rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.aggregates import DISTINCT, MOMENTS, QUANTILES
from streams.stores import Closed, MomentStore, Row, SampledStore, SketchStore, Store
from tests.kept import Parts, encoded, kept

ROW = st.tuples(
    st.integers(-50, 300),
    st.integers(0, 3),
    st.integers(-9, 9),
    st.integers(0, 9),
    st.just(10),
)
TURNS = st.lists(st.lists(ROW, max_size=6) | st.integers(-40, 400), max_size=12)


def restored(store: Store, empty: Store, parts: Parts) -> Store:
    """The store anew from what is kept, ``parts``, which is brought up to date."""
    now = kept(parts, store.freeze())
    assert kept({}, store.freeze(whole=True)) == now
    parts.clear()
    parts.update(now)
    empty.load(store.dump(), now)
    assert kept({}, empty.freeze(whole=True)) == now
    return empty


@settings(deadline=None)
@given(TURNS, st.integers(1, 40), st.integers(0, 99), st.randoms(use_true_random=False))
def test_the_kernel_and_plain_panes_agree(
    turns: list[Any], pane: int, lateness: int, rng: Any
) -> None:
    kernel: Store = MomentStore(pane, lateness)
    plain: Store = SketchStore(MOMENTS, pane, lateness)
    of_kernel, of_plain = Parts(), Parts()
    for turn in [*turns, 10**6]:
        if isinstance(turn, int):
            closed = kernel.close_until(turn)
            assert closed == plain.close_until(turn)
            assert all(isinstance(pane, Closed) for pane in closed)
        else:
            for row in turn:
                kernel.add(row)
                plain.add(row)
        assert kernel.open_panes() == plain.open_panes()
        if rng.randrange(3) == 0:
            kernel = restored(kernel, MomentStore(pane, lateness), of_kernel)
            plain = restored(plain, SketchStore(MOMENTS, pane, lateness), of_plain)
    assert kernel.open_panes() == 0


@pytest.mark.parametrize("family", [QUANTILES, DISTINCT], ids=lambda f: str(f.name))
def test_a_sketch_store_tells_rows_on_time_from_corrections(family: Any) -> None:
    """::

    t    0        10        20
         [--------)[--------)
    watermark      ^10: a row at 9 is now a correction, held until 10 + 5
    """
    store = SketchStore(family, 10, 5)
    store.add((9, 0, 7, 0, 1))
    assert store.close_until(9) == []
    assert store.close_until(10) == [Closed(0, False, [(0, family.row(9, 7, 0, 1))])]
    store.add((9, 0, 8, 0, 1))
    store.add((10, 0, 8, 0, 1))
    assert store.close_until(14) == []
    assert store.close_until(15) == [Closed(0, True, [(0, family.row(9, 8, 0, 1))])]
    assert store.close_until(20) == [Closed(10, False, [(0, family.row(10, 8, 0, 1))])]


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
            found += store.close_until(turn)
        else:
            for row in turn:
                store.add(row)
        if rng.randrange(3) == 0:
            store = restored(store, SampledStore(hop, period, forget), parts)
    told = [
        (start, {slot: (a[0], a[3], a[8], a[2]) for slot, a in rows})
        for start, late, rows in found
        if rows and not late
    ]
    assert told == sampled(turns, hop, period, forget)
    assert not any(late for _, late, _ in found)


def test_the_end_of_a_log_samples_no_silence() -> None:
    store = SampledStore(10, 5, 1000)
    store.add((3, 0, 7, 0, 0))
    assert [closed.start for closed in store.close_until(500, ending=True)] == [0]
    assert [closed.start for closed in store.close_until(40)] == [10, 20, 30]


def stores() -> list[Store]:
    return [MomentStore(10, 5), SketchStore(QUANTILES, 10, 5), SampledStore(10, 5, 1000)]


@pytest.mark.parametrize("store", stores(), ids=lambda store: type(store).__name__)
def test_what_comes_after_a_freeze_is_not_in_it(store: Store) -> None:
    for t in (1, 2, 11):
        store.add((t, t % 3, 7, 0, 1))
    store.close_until(0)
    store.add((3, 0, 8, 0, 1))
    frozen = store.freeze()
    at_once = encoded(frozen)
    store.add((4, 0, 9, 0, 1))
    store.close_until(1)
    store.add((15, 2, 9, 0, 1))
    assert encoded(frozen) == at_once
    store.close_until(50)
    assert encoded(frozen) == at_once


@pytest.mark.parametrize("store", stores(), ids=lambda store: type(store).__name__)
def test_between_two_cuts_only_the_new_rows_are_written(store: Store) -> None:
    store.add((1, 0, 7, 0, 1))
    store.close_until(0)
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
        store.close_until(watermark)
        parts = kept(parts, store.freeze())
    assert parts == encoded(store.freeze(whole=True))
    again = SampledStore(10, 5, 100)
    again.load(store.dump(), parts)
    assert [slot for slot, _ in again.close_until(120)[0].rows] == [1]


@pytest.mark.parametrize("store", stores(), ids=lambda store: type(store).__name__)
def test_asking_for_open_panes_folds_nothing(store: Store) -> None:
    """A scrape of the metrics came from its own thread, folded rows twice and lost others."""
    store.add((1, 0, 7, 0, 1))
    before = encoded(store.freeze(whole=True))
    assert store.open_panes() == 1
    assert encoded(store.freeze(whole=True)) == before
    store.close_until(10)
    store.close_until(2000)
    assert store.open_panes() == 0
