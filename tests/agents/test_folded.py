"""Window signs in the assess task: islands of life, late rows, places, bounded state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.entries import Entry
from agents.folded import FoldedState
from agents.plan import FoldedSign, compile_plan
from streams.aggregates import MOMENTS
from streams.cuts import Key, Partial
from streams.records import Lane
from tests.cells import partial_of
from tests.kept import Parts, kept
from tests.rules.configurations import configuration, sensor, topic, window

MINUTE = 60_000
FORGET = 10 * MINUTE
STREET = "440106001"


def plan(**changes: Any) -> FoldedSign:
    fields = {
        "aggregate": {"function": "sum"},
        "window": window(120, 60),
        "keys": ["station", "district"],
        "rollup": "max",
        **changes,
    }
    signs = [sensor("small.rain", "mm", "rain", "station", **fields)]
    made = configuration(signs, [topic("sensor", 1, 300)], forget_s=FORGET / 1000)
    return compile_plan(made).folded[0]


def partial(minute: int, value: int, key: str = "s", place: str = STREET, **fields: Any) -> Partial:
    """One row of ``value`` mm at the beginning of a minute's pane."""
    row = (minute * MINUTE, value * 10**6, 0, MINUTE)
    named = [(Key("station", key, place), row)]
    return partial_of("small.rain", minute * MINUTE, MOMENTS, named, **fields)


def closed(state: FoldedState, until: int) -> dict[int, list[Entry]]:
    """Every window that can close up to a minute, by the minute of its end."""
    found = {}
    while (end := state.next_end()) <= until * MINUTE:
        found[end // MINUTE] = list(state.close(end))
    return found


def said(entries: list[Entry]) -> list[tuple[str, str, float | None, int, str | None]]:
    return [(e.level, e.key, e.value, e.n, e.reason) for e in entries]


def test_a_key_warms_up_is_uncovered_and_is_forgotten() -> None:
    """::

    minute   0  1  2  3  ...  11  12
             o                        one row, and silence
             [--)  warming: it reaches before the first row
             [-----)  2 mm
                [-----)  uncovered, as long as the key is remembered
    """
    state = FoldedState(plan(rollup="none", keys=["station"]))
    state.receive(partial(0, 2))
    found = closed(state, 30)
    assert sorted(found) == list(range(1, 13))
    assert said(found[1]) == [("station", "s", None, 1, "warming")]
    assert said(found[2]) == [("station", "s", 2.0, 1, None)]
    for minute in range(3, 12):
        assert said(found[minute]) == [("station", "s", None, 0, "uncovered")]
    assert found[12] == []


def test_a_key_that_comes_back_warms_up_anew() -> None:
    state = FoldedState(plan(rollup="none", keys=["station"]))
    for minute in (0, 1, 12, 13):
        state.receive(partial(minute, 1))
    found = closed(state, 14)
    assert found[12] != []
    assert [entry.reason for entry in found[13]] == [None]
    state = FoldedState(plan(rollup="none", keys=["station"]))
    for minute in (0, 1, 13, 14):
        state.receive(partial(minute, 1))
    assert closed(state, 14)[14][0].reason == "warming"


def test_a_window_longer_than_the_memory_counts_what_lies_before_a_silence() -> None:
    """A sum of half an hour took only the rows since the key had come back."""
    rule = {"empty": "zero", "rollup": "merge"}
    state = FoldedState(plan(window=window(1800, 1800), **rule))
    state.receive(partial(0, 1, key="other"))
    for minute in (1, 2, 28):
        state.receive(partial(minute, 1))
    entries = {e.key: e for e in closed(state, 30)[30]}
    assert (entries["s"].value, entries["s"].n) == (3.0, 3)
    assert entries["440106"].value == 4.0
    again = FoldedState(plan(window=window(1800, 1800), **rule))
    for minute in (1, 2, 28):
        again.receive(partial(minute, 1))
    again.receive(partial(0, 1, key="other"))
    assert {e.key: e for e in closed(again, 30)[30]} == entries


def test_no_rows_are_zero_where_the_sign_says_so() -> None:
    state = FoldedState(plan(rollup="none", keys=["station"], empty="zero"))
    state.receive(partial(0, 2))
    state.receive(partial(5, 2, key="new"))
    found = closed(state, 6)
    assert said(found[1]) == [("station", "s", None, 1, "warming")]
    assert said(found[4]) == [("station", "s", 0.0, 0, None)]
    # The city was watched before the key spoke for the first time.
    assert ("station", "new", 2.0, 1, None) in said(found[6])


def test_a_parent_names_its_worst_child() -> None:
    state = FoldedState(plan())
    for minute in (0, 1):
        state.receive(partial(minute, 1, key="b"))
        state.receive(partial(minute, 3, key="c"))
        state.receive(partial(minute, 3, key="a", place="440106002"))
    (parent,) = [e for e in closed(state, 2)[2] if e.level == "district"]
    assert (parent.key, parent.value, parent.n, parent.coverage) == ("440106", 6.0, 6, 1.0)
    assert parent.detail == {"child": "a", "children": 3}


def test_a_key_stands_where_its_newest_row_was() -> None:
    state = FoldedState(plan())
    state.receive(partial(1, 1, place="440111001"))
    state.receive(partial(0, 1, place=STREET))
    found = closed(state, 2)
    assert [e.place for e in found[1]] == [STREET, "440106"]
    assert [e.place for e in found[2]] == ["440111001", "440111"]


def test_a_correction_leaves_the_place_that_the_key_had_then() -> None:
    """A key without a row in the window was taken to be where it went later on::

    minute    0        3     4
              A        B*    C        * late: at 4 the key had been at A, and was at B
    """
    state = FoldedState(plan(aggregate={"function": "max"}, keys=["street"]))
    for minute, place in ((0, STREET), (6, "440118001")):
        state.receive(partial(minute, 1, place=place))
        state.receive(partial(minute, 1, key="stays"))
    closed(state, 9)
    state.receive(partial(3, 5, place="440111001", late=True))
    changed = {(b.key if b else None, a.key): (a.value, a.detail) for b, a in finals(state)}
    assert changed[None, "440111001"] == (5.0, {"child": "s", "children": 1})
    assert (STREET, STREET) not in changed or changed[STREET, STREET][0] is None


def finals(state: FoldedState) -> list[tuple[Entry | None, Entry]]:
    return state.close_final(state.next_final()).pairs()


def test_late_rows_change_what_was_said_once() -> None:
    state = FoldedState(plan())
    for minute in range(4):
        state.receive(partial(minute, 1))
    first = closed(state, 4)
    state.receive(partial(2, 5, late=True))
    changed = {}
    while (end := state.next_final()) <= 4 * MINUTE:
        changed[end // MINUTE] = finals(state)
    assert sorted(changed) == [3, 4]
    for minute, pairs in changed.items():
        assert [before for before, _ in pairs] == first[minute]
        assert [after.value for _, after in pairs] == [7.0, 7.0]
        assert [after.n for _, after in pairs] == [3, 3]


def test_late_rows_of_an_unknown_key_are_told_by_themselves() -> None:
    state = FoldedState(plan())
    state.receive(partial(2, 5, late=True))
    assert state.next_final() == 3 * MINUTE
    pairs = finals(state)
    assert [before for before, _ in pairs] == [None, None]
    assert [after.reason for _, after in pairs] == ["warming", "warming"]
    assert [after.value for _, after in finals(state)] == [5.0, 5.0]


def test_a_correction_may_change_the_number_of_rows_alone() -> None:
    state = FoldedState(plan(aggregate={"function": "max"}))
    for minute in range(3):
        state.receive(partial(minute, 5))
    closed(state, 3)
    state.receive(partial(1, 2, late=True))
    told = [(b.value, a.value, a.n - b.n) for b, a in finals(state) if b is not None]
    assert told == [(5.0, 5.0, 1)] * 2


@pytest.mark.parametrize("rollup", ["max", "merge"])
def test_state_is_bounded_and_survives_a_snapshot(rollup: str) -> None:
    made = plan(rollup=rollup)
    state, again = FoldedState(made), FoldedState(made)
    parts: Parts = {}
    for minute in range(400):
        for one in (state, again):
            one.receive(partial(minute, minute % 7, key=f"s{minute // 20}"))
            if minute % 3 == 0 and minute > 5:
                one.receive(partial(minute - 4, 9, key=f"s{minute // 20}", late=True))
        assert closed(state, minute) == closed(again, minute)
        while (end := state.next_final()) + 5 * MINUTE <= minute * MINUTE:
            assert again.next_final() == end
            assert state.close_final(end).pairs() == again.close_final(end).pairs()
        for one in (state, again):
            one.prune(minute * MINUTE)
        restored = FoldedState(made)
        parts = kept(parts, state.freeze())
        restored.load(state.dump(), parts)
        state = restored
        assert state.open_windows() < 20
        assert sum(name.startswith("said/") for name in parts) < 10
        assert sum(map(len, parts.values())) < 5_000


@pytest.mark.parametrize("rollup", ["max", "merge"])
def test_keys_of_a_lane_are_numbered_once_and_again_when_they_come_back(rollup: str) -> None:
    """A lane's keys only grow, the sign forgets those that are silent: they may speak again."""
    made, lane, keys = plan(rollup=rollup), Lane("sensor", 0), list[Key]()
    told, local = FoldedState(made), FoldedState(made)
    for minute in range(400):
        one = partial(minute, minute % 7, key=f"s{minute // 12 % 9}")
        if one.keys[0] not in keys:
            keys.append(one.keys[0])
        cells = one.cells.fresh()
        cells.merge(one.cells, np.array([keys.index(one.keys[0])], np.int64))
        told.receive(one)
        local.receive(one._replace(keys=keys, cells=cells), lane)
        assert closed(local, minute) == closed(told, minute)
        for state in (told, local):
            state.prune(minute * MINUTE)
    assert len(keys) == 9
