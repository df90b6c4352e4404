"""A lane obeys ticks where they stand, however it reads: before the record of their offset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.intake import Intake, IntakeStep
from agents.lanes import LaneTask
from agents.plan import compile_plan
from schemas.tick import Tick
from streams.records import Chunk, Lane, Output
from tests.cells import plain
from tests.rules.configurations import FULL
from tests.rules.logs import Writer, chunks_of

PLAN = compile_plan(FULL)
LANE = Lane("sensor", 0)
T = 1_772_294_400_000
MINUTE_MS = 60_000


def tick(number: int, next_offset: int, minutes: float, *, ends: bool = False) -> Tick:
    t = T + round(minutes * MINUTE_MS)
    topic, partition = LANE
    return Tick(
        topic=topic, partition=partition, next_offset=next_offset, number=number, t=t, ends=ends
    )


class Log:
    """Records of a lane with offsets that are none's, and ticks that stand anywhere in it."""

    def __init__(self, rng: Random, count: int) -> None:
        written = Writer(rng, T, 12_000, 300_000).write(FULL, count)
        records = next((c for c in chunks_of(written) if c.lane == LANE), None)
        self.values = [] if records is None else list(records.values)
        self.times = [] if records is None else list(records.timestamps)
        self.offsets, offset = list[int](), rng.choice((0, 0, 4))
        for _ in self.values:
            offset += rng.choice((0, 0, 0, 1, 5))
            self.offsets.append(offset)
            offset += 1
        self.end = offset + rng.choice((0, 3))
        places = sorted(rng.randrange(self.end + 1) for _ in range(rng.randrange(8)))
        self.ticks = [
            tick(1 + 2 * n, place, rng.randrange(-5, 30), ends=rng.randrange(5) == 0)
            for n, place in enumerate(places)
        ]

    def between(self, began: int, ended: int) -> Chunk:
        """What was read from one offset to another."""
        part = [n for n, offset in enumerate(self.offsets) if began <= offset < ended]
        offsets, times = [self.offsets[n] for n in part], [self.times[n] for n in part]
        values = [self.values[n] for n in part]
        return Chunk(*LANE, offsets, times, [None] * len(part), values, began=began, ended=ended)

    def chunks(self, rng: Random) -> Iterator[Chunk]:
        """Read in parts that end anywhere, in a gap too, and hold records or none."""
        began = 0
        while began < self.end:
            ended = min(self.end, began + 1 + rng.randrange(15))
            yield self.between(began, ended)
            began = ended


Told = tuple[list[Any], list[Output]]


def told(steps: Sequence[IntakeStep]) -> Told:
    cuts = [plain(cut) for step in steps for cut in step.cuts]
    return cuts, [output for step in steps for output in step.outputs]


def one_by_one(log: Log) -> tuple[Told, Intake]:
    """What a lane says that takes record by record, and before each the ticks that stand there."""
    intake, steps = Intake(PLAN, LANE), list[IntakeStep]()
    waiting = list(log.ticks)
    for offset in range(log.end + 1):
        while waiting and waiting[0].next_offset == offset:
            one = waiting.pop(0)
            steps.append(intake.tick(one.t, ends=one.ends, before=offset, number=one.number))
        steps.append(intake.step(log.between(offset, offset + 1)))
    return told(steps), intake


def assert_obeyed_where_they_stand(rng: Random) -> None:
    """Whatever the borders of chunks, restarts, and however early ticks are known."""
    log = Log(rng, rng.randrange(1, 90))
    expected, intake = one_by_one(log)
    task, steps, known = LaneTask(PLAN, LANE), list[IntakeStep](), 0
    for chunk in log.chunks(rng):
        # A tick is known before the record it stands before is taken, or long ahead.
        needed = sum(one.next_offset < chunk.next_offset for one in log.ticks)
        known = max(known, rng.randrange(needed, len(log.ticks) + 1))
        task.schedule(log.ticks[: rng.randrange(known + 1)])
        task.schedule(log.ticks[:known])
        steps += task.settle()
        if rng.randrange(4) == 0:
            again = LaneTask(PLAN, LANE)
            again.load({n: encode() for n, encode in task.freeze(whole=True).items() if encode})
            again.schedule(log.ticks[:known])
            task = again
        steps += task.step(chunk)
        assert task.intake.next_offset >= chunk.next_offset
    task.schedule(log.ticks)
    steps += task.settle()
    assert told(steps) == expected
    assert task.intake.accounting == intake.accounting
    assert task.progress == (log.end, log.ticks[-1].number if log.ticks else 0)
    assert task.missed == 0
    names = [cut.name for cut in expected[0]]
    assert names == sorted(set(names))


@settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_any_log(rng: Random) -> None:
    assert_obeyed_where_they_stand(rng)


@pytest.mark.parametrize("seed", range(60))
def test_logs(seed: int) -> None:
    assert_obeyed_where_they_stand(Random(seed))


def test_chunks_that_come_again_change_nothing() -> None:
    rng = Random(3)
    log = Log(rng, 200)
    assert len(log.ticks) > 3
    task, steps = LaneTask(PLAN, LANE), list[IntakeStep]()
    task.schedule(log.ticks)
    for chunk in log.chunks(rng):
        steps += task.step(chunk)
        task.schedule(log.ticks)
        steps += task.step(chunk)
    steps += task.step(log.between(0, log.end))
    assert told(steps) == one_by_one(log)[0]


def some_chunk(count: int, first: int = 0) -> Chunk:
    offsets = range(first, first + count)
    return Chunk(*LANE, offsets, [T] * count, [None] * count, [b"{"] * count)


def test_a_tick_in_a_gap_is_obeyed_before_the_record_behind_it() -> None:
    """Offsets 1 to 9 have no records; whoever wrote the tick had read up to 5."""
    task = LaneTask(PLAN, LANE)
    task.schedule([tick(1, 5, 10)])
    records = Chunk(*LANE, [0, 10], [T, T], [None, None], [b"{", b"{"])
    (cut,) = (cut for step in task.step(records) for cut in step.cuts)
    assert cut.name == (4, 1)
    assert task.progress == (11, 1)


@pytest.mark.parametrize("ended", [4, 9])
def test_a_tick_in_a_gap_at_the_end_is_obeyed_when_the_lane_is_there(ended: int) -> None:
    task = LaneTask(PLAN, LANE)
    task.schedule([tick(1, 9, 10)])
    records = Chunk(*LANE, [0], [T], [None], [b"{"], ended=ended)
    steps = list(task.step(records))
    assert [cut.name for step in steps for cut in step.cuts] == ([(8, 1)] if ended == 9 else [])
    steps += task.step(Chunk(*LANE, [], [], [], [], began=ended, ended=12))
    assert [cut.name for step in steps for cut in step.cuts] == [(8, 1)]
    assert task.progress == (12, 1)


def test_ticks_wait_for_their_place() -> None:
    task = LaneTask(PLAN, LANE)
    task.schedule([tick(2, 3, 20), tick(1, 0, 10)])
    assert [cut.name for step in task.settle() for cut in step.cuts] == [(-1, 1)]
    assert [cut.name for step in task.step(some_chunk(2)) for cut in step.cuts] == []
    assert [cut.name for step in task.step(some_chunk(1, 2)) for cut in step.cuts] == [(2, 2)]


def test_a_tick_that_comes_too_late_is_counted_and_not_obeyed() -> None:
    task = LaneTask(PLAN, LANE)
    list(task.step(some_chunk(5)))
    late = tick(1, 4, 10)
    task.schedule([late])
    task.schedule([late, tick(2, 5, 20)])
    (step,) = task.settle()
    assert [cut.name for cut in step.cuts] == [(4, 2)]
    assert (task.missed, task.intake.ticks) == (1, 2)


def test_a_tick_is_obeyed_once() -> None:
    task = LaneTask(PLAN, LANE)
    for _ in range(3):
        task.schedule([tick(1, 0, 10), tick(2, 2, 20)])
        list(task.settle())
    list(task.step(some_chunk(2)))
    task.schedule([tick(1, 0, 10), tick(2, 2, 20)])
    assert list(task.settle()) == []
    assert (task.intake.ticks, task.missed) == (2, 0)
