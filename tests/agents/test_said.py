"""Rows as columns: whatever is done with them is what is done with the entries one by one."""

from __future__ import annotations

from math import inf
from typing import Any, get_args

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.entries import Entry, judged
from agents.levels import Scale
from agents.said import Correction, Said, named
from schemas.signs import Levels, Thresholds
from schemas.vital import Reason

VALUES = st.none() | st.sampled_from([0.0, -0.0, 1.5, -7.0, 40.0]) | st.floats(-1e9, 1e9)
DETAILS = st.none() | st.just({"child": "a", "children": 2}) | st.just({"child": "b"})
SCALE = Scale(
    Levels(compare="ge", thresholds=Thresholds(blue=0, red=40), source="x", standing="proposal")
)


@st.composite
def an_entry(draw: st.DrawFn, values: st.SearchStrategy[float | None] = VALUES) -> Entry:
    level, key = draw(st.sampled_from(["station", "city"])), draw(st.sampled_from("abcdef"))
    value = draw(values)
    reason: Any = None if value is not None else draw(st.sampled_from(get_args(Reason)))
    severity = None if value is None else draw(st.none() | st.integers(0, 4))
    n, coverage = draw(st.integers(0, 2**40)), draw(st.floats(0, 1))
    place = draw(st.sampled_from(["4401", "440106", "440106001"]))
    rest = (reason, severity, draw(DETAILS), draw(st.none() | st.just({"basis": "warming"})))
    return Entry(level, key, place, value, n, coverage, *rest)


ENTRIES = st.lists(an_entry(), max_size=8)


@given(ENTRIES)
def test_entries_come_back_as_they_were(entries: list[Entry]) -> None:
    said = Said.of(entries)
    assert list(said) == entries
    assert len(said) == len(entries)
    for entry, again in zip(entries, said, strict=True):
        assert [type(x) for x in again] == [type(x) for x in entry]
    assert named(said) == {e.name: e for e in entries}


@given(ENTRIES, ENTRIES, st.data())
def test_rows_are_taken_and_joined(
    entries: list[Entry], more: list[Entry], data: st.DataObject
) -> None:
    said, other = Said.of(entries), Said.of(more)
    rows = data.draw(st.lists(st.integers(0, len(entries) - 1), unique=True)) if entries else []
    taken = said.take(np.array(rows, np.int64))
    assert list(taken) == [entries[row] for row in rows]
    flags = [row in rows for row in range(len(entries))]
    kept = said.where(np.array(flags, np.bool_))
    assert list(kept) == [entries[row] for row in sorted(rows)]
    assert list(said.and_then(other)) == entries + more
    assert list(kept.and_then(taken).and_then(other)) == [*kept, *taken, *more]
    assert (list(said), list(other)) == (entries, more)


@given(ENTRIES, st.data())
def test_rows_that_differ(entries: list[Entry], data: st.DataObject) -> None:
    """In anything but what a model says, which is told of no correction."""
    others = [
        data.draw(st.just(entry) | an_entry())._replace(level=entry.level, key=entry.key)
        for entry in entries
    ]
    found = Said.of(entries).differs(Said.of(others))
    pairs = zip(entries, others, strict=True)
    assert found.tolist() == [a._replace(model=None) != b._replace(model=None) for a, b in pairs]


@given(ENTRIES)
def test_rows_survive_a_dump_without_details_and_models(entries: list[Entry]) -> None:
    said = Said.of(entries)
    again = Said.load(said.dump())
    assert list(again) == [e._replace(detail=None, model=None) for e in entries]
    assert again.dump() == said.dump()
    # What is loaded can be changed.
    again.judge(SCALE)
    assert list(said) == entries


@given(st.lists(an_entry(VALUES | st.sampled_from([inf, -inf])), max_size=8), st.booleans())
def test_rows_are_judged_as_entries_are(entries: list[Entry], scaled: bool) -> None:
    entries = [e._replace(severity=None) for e in entries]
    said, scale = Said.of(entries), SCALE if scaled else None
    said.judge(scale)
    assert list(said) == [judged(e, scale) for e in entries]


@given(ENTRIES, st.data())
def test_a_correction_is_told_in_pairs(entries: list[Entry], data: st.DataObject) -> None:
    after = [entry._replace(n=entry.n + 1) for entry in entries]
    told = data.draw(st.lists(st.booleans(), min_size=len(after), max_size=len(after)))
    correction = Correction(Said.of(entries), np.array(told, np.bool_), Said.of(after))
    before = [entry if was else None for entry, was in zip(entries, told, strict=True)]
    assert correction.pairs() == list(zip(before, after, strict=True))
