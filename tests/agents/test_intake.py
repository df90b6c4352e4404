"""A lane: cuts at the very record, repeats of delivery, crashes and snapshots."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.intake import REDRIVE_HEADER, Intake, StepError
from agents.plan import compile_plan
from streams.cuts import BEGINNING
from streams.frozen import SnapshotError
from streams.records import Chunk, Lane, split
from tests.cells import plain
from tests.kept import kept
from tests.rules.configurations import CALENDAR, FULL
from tests.rules.logs import Writer, chunks_of

PLAN = compile_plan(FULL)
LANE = Lane("sensor", 0)
T = 1_772_294_400_000


def reading(t: int, **fields: Any) -> bytes:
    event = {"device": "d", "metric": "rain", "unit": "mm", "value": 1, "t": T + t}
    return json.dumps({"place": "440106001", **event, **fields}).encode()


def chunk(values: list[bytes], first: int = 0, **fields: Any) -> Chunk:
    offsets = range(first, first + len(values))
    times, keys = [T + 10**7] * len(values), [None] * len(values)
    return Chunk(*LANE, offsets, times, keys, values, **fields)


def some_lane(seed: int) -> Chunk:
    log = Writer(Random(seed), T, 12_000, 300_000).write(FULL, 200)
    return next(c for c in chunks_of(log) if c.lane == LANE)


def test_a_pane_is_cut_by_the_record_that_moves_the_watermark_past_it() -> None:
    """Panes of rain are 30 s long, disorder is 5 s::

    t (s)    0          30   35
             [----------)[---------
    events   o       o     o  o     the last one, at 35 s, cuts the pane; the one at 34.999 s
                                    is in the next one
    """
    intake = Intake(PLAN, LANE)
    step = intake.step(chunk([reading(0), reading(25_000), reading(34_999), reading(35_000)]))
    first, second, third = step.cuts
    assert (first.name, first.previous, first.watermark) == ((0, 0), BEGINNING, T - 5000)
    assert (second.name, second.previous, second.watermark) == ((1, 0), (0, 0), T + 20_000)
    assert first.partials == second.partials == []
    assert (third.name, third.previous, third.watermark) == ((3, 0), (1, 0), T + 30_000)
    (partial,) = third.partials
    assert (partial.sign, partial.start, partial.late) == ("small.sum", T, False)
    (row,) = partial.rows()
    assert (row.level, row.key, row.place, row.state[0]) == ("device", "d", "440106001", 2)
    assert third.announced == 2


def test_a_tick_cuts_after_the_offset_it_stands_behind() -> None:
    intake = Intake(PLAN, LANE)
    intake.step(chunk([reading(0)]))
    (cut,) = intake.tick(T + 35_000).cuts
    assert (cut.name, cut.previous, cut.watermark) == ((0, 1), (0, 0), T + 30_000)
    assert cut.ended_at is None
    (end,) = intake.tick(T + 900_000, ends=True).cuts
    assert (end.name, end.ended_at) == ((0, 2), T + 30_000)
    assert intake.tick(T).cuts == []


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 50), st.randoms(use_true_random=False))
def test_cuts_do_not_depend_on_chunks(seed: int, rng: Random) -> None:
    whole = some_lane(seed)
    expected = Intake(PLAN, LANE).step(whole)
    intake, cuts, outputs = Intake(PLAN, LANE), list[Any](), list[Any]()
    while len(whole):
        head, whole = split(whole, rng.randrange(1, 40))
        if rng.randrange(3) == 0:
            again = Intake(PLAN, LANE)
            again.load(kept({}, intake.freeze(whole=True)))
            intake = again
        step = intake.step(head)
        cuts += map(plain, step.cuts)
        outputs += step.outputs
    assert cuts == list(map(plain, expected.cuts))
    assert outputs == expected.outputs
    names = [BEGINNING, *(cut.name for cut in cuts)]
    assert [cut.previous for cut in cuts] == names[:-1]
    assert names == sorted(set(names))
    marks = [cut.watermark for cut in cuts]
    assert marks == sorted(marks)


def test_what_was_delivered_before_is_skipped() -> None:
    intake, records = Intake(PLAN, LANE), some_lane(1)
    intake.step(records)
    counts = intake.accounting.as_dict()
    assert intake.step(records) == ([], [])
    assert intake.accounting.as_dict() == counts
    assert intake.next_offset == records.next_offset


def test_a_gap_of_offsets_is_passed() -> None:
    intake = Intake(PLAN, LANE)
    intake.step(chunk([reading(0)], first=7))
    intake.step(chunk([reading(1)], first=90))
    assert (intake.next_offset, intake.accounting.accepted) == (91, 2)


def test_a_record_that_breaks_the_core_is_named_and_quarantined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    intake = Intake(PLAN, LANE)

    def fail(event: Any, *_: Any) -> bool:
        if event.device == "broken":
            raise ZeroDivisionError
        return True

    monkeypatch.setattr(intake, "_fold", fail)
    records = chunk([reading(0), reading(0, device="broken", seq=1), reading(1)], first=5)
    with pytest.raises(StepError, match="sensor/0 offset 6") as caught:
        intake.step(records)
    assert (caught.value.lane, caught.value.offset) == (LANE, 6)
    again = Intake(PLAN, LANE)
    (letter,) = again.step(records, frozenset({6})).outputs
    assert json.loads(letter.value)["reason"] == "crashed"
    assert (again.accounting.rejected, again.accounting.accepted) == (1, 2)


def test_a_redriven_record_says_how_often_it_was_tried() -> None:
    headers = ((REDRIVE_HEADER, b"2"),)
    (letter,) = Intake(PLAN, LANE).step(chunk([b"{"], headers=headers)).outputs
    assert json.loads(letter.value)["attempt"] == 3


def test_a_snapshot_of_another_configuration_is_refused() -> None:
    with pytest.raises(SnapshotError, match="was made under configuration"):
        Intake(compile_plan(CALENDAR), LANE).load(kept({}, Intake(PLAN, LANE).freeze()))
