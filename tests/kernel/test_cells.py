"""R3 in the compiled kernel: cells of every family against the family's own states in Python."""

from __future__ import annotations

from array import array
from math import isnan
from random import Random
from struct import pack

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import MsgspecError

from ext.cells import NUMBERS, Cells, Moments, Objects, Quantiles
from ext.rows import Rows
from streams.aggregates import DISTINCT, FACTS, MOMENTS, QUANTILES, SLOPES, Family
from streams.heads import heads_of
from streams.timeline import BEFORE_ALL
from tests.cells import PlainRow, cells_of, states_of

Told = tuple[int, PlainRow]
"""Id, and ``(t, value, weight, covered)``."""

FAMILIES = pytest.mark.parametrize(
    "family", [MOMENTS, QUANTILES, DISTINCT, SLOPES, FACTS], ids=lambda f: str(f.name)
)
PACKED = pytest.mark.parametrize("family", [MOMENTS, QUANTILES, SLOPES], ids=lambda f: str(f.name))
FEW = settings(deadline=None, max_examples=30)
INT64 = st.integers(-(2**63), 2**63 - 1)
NOW = 1_772_323_200_000
"""2026-03-01 00:00 UTC."""


@st.composite
def some_rows(draw: st.DrawFn, ids: int = 5) -> list[Told]:
    """Rows of few ids, in any order of time; now and then so many that sketches take over.

    Of values as large the squares of 128 still fit: 170 billion units at the usual resolution.
    """
    time = st.integers(-5, 5) | st.integers(NOW, NOW + 5)
    value = st.integers(-(2**59), 2**59) | st.integers(-5, 5)
    row = st.tuples(time, value, INT64, st.integers(0, 10**9))
    rows = draw(st.lists(st.tuples(st.integers(0, ids - 1), row), max_size=12))
    rng, bits = draw(st.randoms(use_true_random=False)), draw(st.sampled_from([3, 8, 59]))
    more = draw(st.sampled_from([0, 0, 62, 63, 64, 65, 100]))
    return rows + [(1, (rng.randrange(9), rng.getrandbits(bits), 1, 1)) for _ in range(more)]


def as_facts(family: Family, rows: list[Told]) -> list[Told]:
    """The rows as the family takes them: what a fact holds is a tuple."""
    if family.name != "facts":
        return rows
    return [(id, (t, (value, weight), 0, covered)) for id, (t, value, weight, covered) in rows]


@FAMILIES
@FEW
@given(rows=some_rows(), rng=st.randoms(use_true_random=False))
def test_any_grouping_and_order_give_the_states_of_the_family(
    family: Family, rows: list[Told], rng: Random
) -> None:
    rows = as_facts(family, rows)
    shuffled = rng.sample(rows, len(rows))
    groups = [cells_of(family, shuffled[n::7]) for n in range(7)]
    while len(groups) > 1:
        into, other = groups.pop(rng.randrange(len(groups))), groups.pop()
        into.merge(other)
        groups.append(into)
    expected = states_of(family, rows)
    assert groups[0].states() == expected
    assert cells_of(family, rows).states() == expected
    assert len(groups[0]) == len(expected)


@PACKED
@FEW
@given(rows=some_rows(), rng=st.randoms(use_true_random=False))
def test_rows_in_batches_are_rows_one_by_one(family: Family, rows: list[Told], rng: Random) -> None:
    cells = family.cells()
    batch = Rows()
    for id, (t, value, weight, covered) in rows:
        batch.append((t, id, value, weight, covered))
        if rng.randrange(4) == 0:
            cells.add(batch)
            batch.clear()
    cells.add(batch)
    assert cells.states() == states_of(family, rows)


@FAMILIES
@FEW
@given(rows=some_rows(), more=some_rows())
def test_cells_survive_a_dump_and_go_on(family: Family, rows: list[Told], more: list[Told]) -> None:
    rows, more = as_facts(family, rows), as_facts(family, more)
    cells = cells_of(family, rows)
    again = family.cells().load(cells.dump())
    assert again.dump() == cells.dump()
    assert again.states() == cells.states() == states_of(family, rows)
    assert list(map(list, heads_of(again))) == list(map(list, heads_of(cells)))
    for one in (cells, again):
        one.merge(cells_of(family, more))
    assert again.dump() == cells.dump()
    assert again.states() == states_of(family, rows + more)


@FAMILIES
@FEW
@given(rows=some_rows())
def test_bytes_are_a_function_of_the_rows(family: Family, rows: list[Told]) -> None:
    """Padding between numbers once went out as memory had been left."""
    rows = as_facts(family, rows)
    one = cells_of(family, rows).dump()
    junk = [b"\xff" * size for size in (80, 160, 320, 1280, 2560)] * 9
    del junk
    assert cells_of(family, rows).dump() == one
    copied = family.cells()
    copied.merge(cells_of(family, rows))
    assert copied.dump() == one


@FAMILIES
@FEW
@given(rows=some_rows(), more=some_rows(), data=st.data())
def test_others_are_renamed_and_left_out(
    family: Family, rows: list[Told], more: list[Told], data: st.DataObject
) -> None:
    rows, more = as_facts(family, rows), as_facts(family, more)
    new = data.draw(st.lists(st.integers(-1, 7), min_size=5, max_size=9))
    places = data.draw(st.lists(st.integers(0, 3), min_size=5, max_size=9))
    cells, other = cells_of(family, rows), cells_of(family, more)
    before = other.dump()
    cells.merge(other, np.array(new, np.int64), array("q", places))
    assert other.dump() == before
    renamed = [(new[id], row) for id, row in more if new[id] >= 0]
    assert cells.states() == states_of(family, rows + renamed)
    # Where the last row was: of cells that are equally late the greater place, 0 if none was told.
    last: dict[int, tuple[int, int]] = {}
    for into, groups in (((lambda id: id), rows), ((lambda id: new[id]), more)):
        newest = {id: max(row[0] for each, row in groups if each == id) for id, _ in groups}
        for id, t in newest.items():
            found = (t, 0 if groups is rows else places[id])
            last[into(id)] = max(last.get(into(id), (BEFORE_ALL, 0)), found)
    last.pop(-1, None)
    heads = heads_of(cells)
    told = zip(heads.id.tolist(), heads.last_t.tolist(), heads.place.tolist(), strict=True)
    assert {id: (t, place) for id, t, place in told} == last


@FAMILIES
@FEW
@given(rows=some_rows())
def test_heads_and_places_of_ids(family: Family, rows: list[Told]) -> None:
    rows = as_facts(family, rows)
    cells = cells_of(family, rows)
    heads = heads_of(cells)
    found = {id: state[:3] for id, state in states_of(family, rows)}
    columns = (heads.n.tolist(), heads.last_t.tolist(), heads.covered.tolist())
    assert dict(zip(heads.id.tolist(), zip(*columns, strict=True), strict=True)) == found
    asked = np.array([-1, *range(8), 10**9], np.int64)
    index = np.empty(len(asked), np.int64)
    cells.find(asked, index)
    for id, at in zip(asked.tolist(), index.tolist(), strict=True):
        assert (at == -1) == (id not in found)
        assert at == -1 or heads.id[at] == id


@FAMILIES
@FEW
@given(rows=some_rows(), more=some_rows())
def test_what_is_held_stays_as_it_is(family: Family, rows: list[Told], more: list[Told]) -> None:
    rows, more = as_facts(family, rows), as_facts(family, more)
    cells = cells_of(family, rows)
    as_it_was = cells.dump()
    held = [cells.hold(), cells.hold()]
    changed = cells.writable()
    assert changed is not cells
    assert changed.dump() == as_it_was
    changed.merge(cells_of(family, more))
    assert changed.states() == states_of(family, rows + more)
    assert [hold() for hold in held] == [as_it_was, as_it_was]
    del held[0]
    assert cells.writable() is not cells
    held.clear()
    assert cells.writable() is cells
    assert changed.writable() is changed


@FEW
@given(rows=some_rows())
def test_numbers_are_exact_or_none(rows: list[Told]) -> None:
    cells = cells_of(MOMENTS, rows)
    assert isinstance(cells, Moments)
    index = np.arange(len(cells))
    fields = {"total": 3, "weight": 8, "minimum": 5, "maximum": 6}
    assert NUMBERS.keys() == fields.keys()
    for name, field in fields.items():
        out = np.empty(len(cells))
        cells.numbers(NUMBERS[name], index, out)
        for i, found in enumerate(out.tolist()):
            exact = cells.state(i)[field]
            assert isnan(found) if abs(exact) > 2**53 else found == exact


@pytest.mark.parametrize("value", [2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**62])
def test_numbers_at_the_edge_of_a_float(value: int) -> None:
    cells = cells_of(MOMENTS, [(0, (0, value, -value, 0))])
    assert isinstance(cells, Moments)
    for name, exact in (("total", value), ("weight", -value), ("minimum", value)):
        out = np.empty(1)
        cells.numbers(NUMBERS[name], np.zeros(1, np.int64), out)
        assert out[0] == exact if abs(value) <= 2**53 else isnan(out[0])


@FEW
@given(
    some_rows() | st.lists(st.tuples(st.just(0), st.tuples(*[INT64] * 4)), max_size=9), st.data()
)
def test_quantiles_are_those_of_the_family_or_none(rows: list[Told], data: st.DataObject) -> None:
    rows = [(id, (0, value, 0, 0)) for id, (_, value, _, _) in rows]
    q = data.draw(st.sampled_from([0.01, 0.05, 0.5, 0.85, 0.95, 0.999]) | st.floats(0, 1))
    cells = cells_of(QUANTILES, rows)
    assert isinstance(cells, Quantiles)
    out = np.empty(len(cells))
    cells.quantiles(q, np.arange(len(cells)), out)
    for i, found in enumerate(out.tolist()):
        state = cells.state(i)
        _, _, _, values, _ = state
        wide = values is not None and max(map(abs, values)) > 2**62
        if values is None or (wide and isnan(found)):
            assert isnan(found)
        else:
            assert found == QUANTILES.quantile(state, q)


def test_ids_and_places_must_tell_of_all_others() -> None:
    cells, other = Moments(), cells_of(MOMENTS, [(4, (0, 1, 0, 0))])
    assert isinstance(other, Moments)
    short = np.zeros(4, np.int64)
    for told in ((short, None), (None, short), (np.zeros(0, np.int64), None)):
        with pytest.raises(ValueError, match="more ids than are told"):
            cells.merge(other, *told)
    cells.merge(other, np.zeros(5, np.int64), np.full(5, 7))
    assert [id for id, _ in cells.states()] == [0]
    cells.merge(Moments(), np.zeros(0, np.int64))
    assert len(cells) == 1


def test_cells_are_equal_where_their_states_are() -> None:
    one, other = (cells_of(MOMENTS, [(2, (0, 5, 0, 0)), (1, (0, 6, 0, 0))][::s]) for s in (1, -1))
    assert one == other
    other.add(Rows([(0, 1, 0, 0, 0)]))
    assert one != other
    assert Moments() != SLOPES.cells()
    assert Moments() != []


def test_kinds_do_not_mix() -> None:
    with pytest.raises(TypeError, match="Slopes can not be merged into Moments"):
        Moments().merge(SLOPES.cells())  # type: ignore[arg-type]


@PACKED
@pytest.mark.parametrize("id", [-1, -(2**63), 2**40])
def test_an_id_out_of_range_is_refused(family: Family, id: int) -> None:
    cells = family.cells()
    with pytest.raises(ValueError, match="out of range"):
        cells.add(Rows([(0, 3, 1, 0, 0), (0, id, 1, 0, 0)]))
    assert [known for known, _ in cells.states()] == [3]


def test_states_that_are_pythons_are_put_and_replaced() -> None:
    cells = FACTS.cells()
    cells.put(3, FACTS.row(7, (1, 2), 0, 5))
    cells.put(3, FACTS.row(9, (2,), 0, 5))
    assert [list(column) for column in heads_of(cells)] == [[3], [2], [9], [10], [0]]
    facts = cells.state(0)[3]
    assert facts == ((7, (1, 2)), (9, (2,)))
    held, before = cells.hold(), cells.dump()
    copied = cells.writable()
    copied.replace(0, FACTS.judged(copied.state(0), 1))
    assert copied.states() == [(3, (2, 9, 10, (), 1))]
    assert cells.state(0)[3] == facts
    assert held() == before


@FAMILIES
def test_cells_are_loaded_where_none_are(family: Family) -> None:
    cells = cells_of(family, as_facts(family, [(0, (0, 1, 0, 0))]))
    with pytest.raises(ValueError, match="where none are"):
        cells.load(cells.dump())


@FAMILIES
@FEW
@given(rows=some_rows())
def test_bytes_that_are_cut_short_or_too_long_are_refused(family: Family, rows: list[Told]) -> None:
    whole = cells_of(family, as_facts(family, rows)).dump()
    for state in (b"", whole[:-1], whole[: len(whole) // 2], whole[:8], whole + b"\0"):
        if state != whole:
            with pytest.raises((ValueError, MsgspecError)):
                family.cells().load(state)


@PACKED
@FEW
@given(state=st.binary(max_size=300))
def test_bytes_that_can_not_be_cells_are_refused(family: Family, state: bytes) -> None:
    cells = family.cells()
    for head in (b"", pack("<q", 1), pack("<6q", 1, 0, 1, 0, 0, 0)):
        try:
            cells.load(head + state)
        except ValueError:
            cells = family.cells()
        else:
            assert cells.dump() == head + state
            cells = family.cells()


def one_head(id: int) -> bytes:
    return pack("<5q", id, 1, 0, 0, 0)


@pytest.mark.parametrize("id", [-1, 2**28 + 1, -(2**63)])
def test_an_id_beyond_all_memory_is_refused(id: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        Moments().load(pack("<q", 1) + one_head(id) + bytes(80))


def test_an_id_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="stands twice"):
        Moments().load(pack("<q", 2) + one_head(4) + one_head(4) + bytes(160))


@pytest.mark.parametrize("count", [-1, 2**62, 2**63 - 1, -(2**63)])
def test_a_count_beyond_the_bytes_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="cut short"):
        Moments().load(pack("<q", count) + one_head(4))


@pytest.mark.parametrize("used", [2, -2, 2**60, -(2**60), 2**63 - 1, -(2**63)])
def test_a_sketch_longer_than_its_bytes_is_refused(used: int) -> None:
    state = pack("<q", 1) + one_head(0) + pack("<q", used) + pack("<2q", 5, 1)
    with pytest.raises(ValueError, match="the state of a pane"):
        Quantiles().load(state)


def test_objects_that_are_fewer_than_their_heads_are_refused() -> None:
    state = pack("<q", 1) + one_head(0) + DISTINCT.cells().dump()[8:]
    with pytest.raises(ValueError, match="cut short"):
        DISTINCT.cells().load(state)


def test_cells_without_a_family_have_heads_alone() -> None:
    cells = Cells()
    cells.add(Rows([(7, 2, 5, 0, 60), (9, 2, 5, 0, 60)]))
    assert [list(column) for column in heads_of(cells)] == [[2], [2], [9], [120], [0]]
    assert isinstance(FACTS.cells(), Objects)
