"""The life cycle of an order: the table of the rule, and what illegal steps do."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.hotline.lifecycle import ENDED, NEXT, STATUSES, follow, is_open, may_follow, place_of
from schemas.hotline import HotlineEvent

# The arrows as they are drawn in the rule, one line each.
ARROWS = """
created dispatched, dispatched accepted, accepted in_progress, in_progress replied
replied closed, closed evaluated, evaluated archived
dispatched returned, returned dispatched
accepted delayed, accepted supervised, in_progress delayed, in_progress supervised
delayed in_progress, supervised in_progress
closed reopened, evaluated reopened, reopened dispatched
created merged, dispatched merged
created withdrawn, dispatched withdrawn, accepted withdrawn
"""
# A step further on in the first two lines of the drawing moves the order as well.
WALK = ["created", "dispatched", "accepted", "in_progress", "replied", "closed", "evaluated"]
WALK += ["archived"]
WHENCE = {status: WALK.index(status) for status in WALK}
WHENCE |= {"returned": 0, "reopened": 0, "delayed": 2, "supervised": 2}
LEGAL = {tuple(arrow.split()) for line in ARROWS.split("\n") for arrow in line.split(", ") if arrow}


def test_the_statuses_are_those_of_the_event() -> None:
    union = get_args(get_type_hints(HotlineEvent)["status"])
    (words,) = (get_args(member) for member in union if member is not type(None))
    assert sorted(words) == sorted(STATUSES)
    assert len(STATUSES) == 14


LEGAL |= {(a, b) for a, at in WHENCE.items() for b in WALK if WALK.index(b) > at}


@pytest.mark.parametrize("before", STATUSES)
def test_the_table_is_the_drawing(before: str) -> None:
    for status in STATUSES:
        assert may_follow(before, status) == ((before, status) in LEGAL), status
    assert NEXT[before] <= set(STATUSES)


def test_open_is_what_open311_calls_open() -> None:
    closed = {"closed", "evaluated", "archived", "merged", "withdrawn"}
    assert {status for status in STATUSES if not is_open(status)} == closed == ENDED


@given(st.lists(st.sampled_from([*STATUSES, "unknown"])), st.sampled_from([None, *STATUSES]))
def test_only_legal_steps_move(statuses: list[str], before: str | None) -> None:
    status, legal = follow(before, statuses)
    moves = [word for word, ok in zip(statuses, legal, strict=True) if ok]
    assert follow(before, moves) == (status, [True] * len(moves))
    assert status == (moves[-1] if moves else before)


def test_a_log_that_begins_in_the_middle_is_taken_up_there() -> None:
    assert follow(None, ["replied", "closed"]) == ("closed", [True, True])
    assert follow(None, ["unknown"]) == (None, [False])
    assert follow(None, ["unknown", "accepted"]) == ("accepted", [False, True])


def test_steps_stand_by_number_then_time_or_all_of_them_by_time() -> None:
    by_number = [place_of(seq, t, "accepted", numbered=True) for seq, t in ((0, 9), (1, 3), (1, 4))]
    assert by_number == sorted(by_number)
    by_time = [
        place_of(seq, t, status, numbered=False)
        for seq, t, status in ((5, 3, "closed"), (None, 4, "created"), (1, 4, "dispatched"))
    ]
    assert by_time == sorted(by_time)
