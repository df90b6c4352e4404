"""Cuts as records: what is packed is read again, from pieces in any order and however often."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams import partials
from streams.aggregates import FAMILIES, Family
from streams.cuts import BEGINNING, Cut, CutName, Key, Partial
from streams.partials import Assembler, pack, read_piece
from streams.records import Lane
from tests.cells import cells_of, partial_of, plain, state_of

FIRST, SECOND = Lane("a.topic", 0), Lane("a.topic", 1)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
RNG = st.randoms(use_true_random=False)
MANY = st.sampled_from([64, 65, 90])
ROWS = st.tuples(st.integers(0, 1 << 41), INT64, INT64, st.integers(0, 1 << 40))


@st.composite
def some_partials(draw: st.DrawFn) -> list[Partial]:
    """Rows of all families; sums that go beyond 64 bits, sketches beyond what they keep exactly."""
    made = []
    for sign in draw(st.lists(st.sampled_from(sorted(FAMILIES)), max_size=3)):
        groups = draw(st.lists(st.lists(ROWS, min_size=1) | many_rows(), max_size=8))
        rows = [
            (Key("street", str(n), "440106001"), row)
            for n, group in enumerate(groups)
            for row in group
        ]
        if sign == "facts":
            rows = [(key, (t, (value, weight), 0, 0)) for key, (t, value, weight, _) in rows]
        start, late = draw(st.integers(-5, 5)), draw(st.booleans())
        made.append(partial_of(sign, start, FAMILIES[sign], rows, late=late))
    return made


def many_rows() -> st.SearchStrategy[list[Any]]:
    return st.builds(lambda rng, n: [(9, rng.getrandbits(62), 1, 1) for _ in range(n)], RNG, MANY)


def cut(
    lane: Lane = FIRST, offset: int = 7, rows: int = 3, previous: CutName = BEGINNING, tick: int = 0
) -> Cut:
    named = [(Key("device", f"d{n}", "440106"), (offset, n, 0, 60_000)) for n in range(rows)]
    partial = partial_of("moments", 0, FAMILIES["moments"], named)
    return Cut(lane, (offset, tick), previous, 60_000, rows, [partial])


def assembled(assembler: Assembler, pieces: list[bytes], heard: CutName = BEGINNING) -> list[Any]:
    """The cuts that are whole, as plain data."""
    found = [assembler.add(read_piece(piece), heard) for piece in pieces]
    return [plain(cut) for cut in found if cut is not None]


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
@given(some_partials(), st.booleans(), st.integers(1, 400), st.randoms(use_true_random=False))
def test_a_cut_comes_back_as_it_was(
    of: list[Partial], resumes: bool, size: int, rng: Random
) -> None:
    whole = Cut(FIRST, (1 << 40, 3), (-1, 0), -(1 << 62), 1 << 40, of, 1 << 62, 2, resumes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partials, "PIECE_BYTES", size)
        pieces = pack(whole, FAMILIES)
        assert pieces == pack(whole, FAMILIES)
    assert all(len(piece) <= size + 64 for piece in pieces)
    order = [*pieces, *rng.choices(pieces, k=len(pieces))]
    rng.shuffle(order)
    assembler = Assembler(FAMILIES)
    (found, *repeats) = assembled(assembler, order)
    assert found == plain(whole)
    # Where nobody says that it was heard, what comes twice in whole is a cut twice.
    assert all(cut == plain(whole) for cut in repeats)


def test_a_whole_cut_takes_as_many_pieces_as_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "PIECE_BYTES", 100)
    pieces = [read_piece(piece) for piece in pack(cut(rows=40), FAMILIES)]
    assert [piece.number for piece in pieces] == list(range(len(pieces)))
    assert {piece.count for piece in pieces} == {len(pieces)}
    assert [len(piece.body) for piece in pieces[:-1]] == [100] * (len(pieces) - 1)
    assert {(piece.lane, piece.cut) for piece in pieces} == {(FIRST, (7, 0))}


def test_pieces_of_owners_and_lanes_lie_between_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "PIECE_BYTES", 30)
    cuts = [cut(), cut(offset=9, previous=(7, 0)), cut(offset=9, previous=(9, 0), tick=1)]
    cuts.append(cut(SECOND))
    rng = Random(1)
    for _ in range(20):
        pieces = [piece for one in cuts for piece in pack(one, FAMILIES)]
        order = [*pieces, *rng.choices(pieces, k=5)]
        rng.shuffle(order)
        found = assembled(Assembler(FAMILIES), order)
        assert sorted(set(map(str, found))) == sorted(str(plain(cut)) for cut in cuts)


def test_a_cut_is_there_with_its_last_piece_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "PIECE_BYTES", 30)
    pieces = pack(cut(), FAMILIES)
    assert len(pieces) > 3
    for missing in range(len(pieces)):
        assembler = Assembler(FAMILIES)
        others = pieces[:missing] + pieces[missing + 1 :]
        assert assembled(assembler, [*others, *others]) == []
        assert assembled(assembler, [pieces[missing]]) == [plain(cut())]


def test_what_was_heard_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "PIECE_BYTES", 30)
    assembler = Assembler(FAMILIES)
    earlier, later = pack(cut(), FAMILIES), pack(cut(offset=8, previous=(7, 0)), FAMILIES)
    assert assembled(assembler, [*earlier[:-1], later[0]]) == []
    assert len(assembler.dump()) == 2
    assert assembled(assembler, [later[1]], heard=(7, 0)) == []
    assert [entry[2:4] for entry in assembler.dump()] == [[8, 0]]
    assert assembled(assembler, earlier, heard=(7, 0)) == []
    assert assembled(assembler, later[2:], heard=(7, 0)) == [plain(cut(offset=8, previous=(7, 0)))]
    assert assembler.dump() == []


def test_a_cut_of_one_piece_that_was_heard_is_none_again() -> None:
    assembler, (piece,) = Assembler(FAMILIES), pack(cut(), FAMILIES)
    assert assembled(assembler, [piece]) == [plain(cut())]
    assert assembled(assembler, [piece, piece], heard=(7, 0)) == []


def test_pieces_that_wait_are_in_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "PIECE_BYTES", 30)
    cuts = [cut(), cut(SECOND), cut(offset=9, previous=(7, 0))]
    pieces = [piece for one in cuts for piece in pack(one, FAMILIES)[::-1]]
    for stop in range(len(pieces)):
        before, after = Assembler(FAMILIES), Assembler(FAMILIES)
        found = assembled(before, pieces[:stop])
        after.load(msgspec.msgpack.decode(msgspec.msgpack.encode(before.dump())))
        assert after.dump() == before.dump()
        assert found + assembled(after, pieces[stop:]) == list(map(plain, cuts))


def test_a_record_that_is_no_piece_is_refused() -> None:
    for value in (b"", b"{}", msgspec.msgpack.encode(["a", 0, 1]), b"\xc1"):
        with pytest.raises(msgspec.MsgspecError):
            read_piece(value)


def test_states_are_read_by_the_family_of_their_sign() -> None:
    families: dict[str, Family] = {"x": FAMILIES["quantiles"], "y": FAMILIES["distinct"]}
    rows = [(Key("device", "d", "4401"), (1, 5, 0, 0))]
    partial = partial_of("x", 0, families["x"], rows, late=True)
    whole = Cut(FIRST, (0, 0), BEGINNING, 0, 1, [partial])
    (found,) = assembled(Assembler(families), pack(whole, families))
    assert found == plain(whole)
    (row,) = partial.rows()
    assert row.state == families["x"].row(1, 5, 0, 0)


def test_keys_without_a_cell_are_left_out_and_the_others_keep_theirs() -> None:
    """A lane tells the keys of the cells that it cut, of all that it has ever heard."""
    family = FAMILIES["moments"]
    keys = [Key("device", f"d{n}", "4401") for n in range(9)]
    cells = cells_of(family, [(7, (1, 5, 0, 0)), (2, (1, 6, 0, 0)), (7, (3, 8, 0, 0))])
    told = Partial("moments", 0, False, 3, keys, cells)
    whole = Cut(FIRST, (0, 0), BEGINNING, 0, 3, [told])
    (piece,) = map(read_piece, pack(whole, FAMILIES))
    found = Assembler(FAMILIES).add(piece, BEGINNING)
    assert found is not None
    (partial,) = found.partials
    assert sorted(partial.keys) == [keys[2], keys[7]]
    assert partial.rows() == told.rows()
    assert [(row.key, row.state[0]) for row in partial.rows()] == [("d2", 1), ("d7", 2)]
    assert partial.events == told.events == 3


@settings(deadline=None, max_examples=60)
@given(some_partials())
def test_rows_of_a_partial_are_those_of_their_family(of: list[Partial]) -> None:
    for partial in of:
        states = [row.state for row in partial.rows()]
        assert partial.events == partial.n == sum(state[0] for state in states)
        assert all(len(state) == len(FAMILIES[partial.sign].empty) for state in states)


def test_bytes_of_a_cut_are_a_function_of_its_rows() -> None:
    """What memory held before went out with them, and a repeat had other bytes."""
    packed = set()
    for turn in range(50):
        junk = [bytes([turn + 1]) * size for size in (80, 160, 320, 1280, 2560)] * 9
        del junk
        packed.add(pack(cut(rows=20), FAMILIES)[0])
    assert len(packed) == 1


def test_a_sum_beyond_64_bits_is_sent_whole() -> None:
    row = (1, 1 << 59, -(1 << 63), 1)
    partial = partial_of("moments", 0, FAMILIES["moments"], [(Key("device", "d", ""), row)] * 90)
    whole = Cut(FIRST, (0, 0), BEGINNING, 0, 90, [partial])
    (found,) = assembled(Assembler(FAMILIES), pack(whole, FAMILIES))
    ((*_, (sent,)),) = found.partials
    assert sent.state == state_of(FAMILIES["moments"], [row] * 90)
