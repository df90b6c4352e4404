"""R2 and R6: results are a function of the log alone, however it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.outputs import ALERT_LOG, DEAD_LETTER, LATE, TICKS, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from schemas.tick import Tick
from streams.records import Chunk, Output
from tests.kept import Parts, all_kept
from tests.rules.city_logs import Said, assert_same, city_plan, interleaved, said
from tests.rules.configurations import CALENDAR, FULL
from tests.rules.logs import Writer, chunks_of


def replay(chunks: Iterable[Chunk]) -> list[Output]:
    pipeline = Pipeline(city_plan())
    outputs = [output for chunk in chunks for output in pipeline.step(chunk)]
    outputs += pipeline.end()
    assert all(intake.accounting.remainder == 0 for intake in pipeline.lanes.values())
    return outputs


@pytest.fixture(scope="module")
def expected() -> Said:
    outputs = replay(interleaved(500))
    topics = Counter(output.topic for output in outputs)
    assert all(topics[t] > 10 for t in (VITALS_LOG, ALERT_LOG, LATE, DEAD_LETTER)), topics
    return said(outputs)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("size", [1, 37, 500, 4000])
def test_any_chunks_and_any_interleaving(expected: Said, size: int, seed: int) -> None:
    assert_same(replay(interleaved(size, Random(seed))), expected)


def test_one_lane_after_another(expected: Said) -> None:
    assert_same(replay(sorted(interleaved(4000), key=lambda c: c.lane)), expected)


def test_a_restore_at_any_point(expected: Said) -> None:
    rng = Random(5)
    chunks = interleaved(60, rng)
    stops = set(rng.sample(range(len(chunks)), 50))
    pipeline, outputs = Pipeline(city_plan()), []
    for at, chunk in enumerate(chunks):
        if at in stops:
            tasks = all_kept({}, pipeline.freeze(whole=True))
            pipeline = Pipeline(city_plan())
            pipeline.load(tasks)
        outputs += pipeline.step(chunk)
    assert_same(outputs + pipeline.end(), expected)


def test_a_kill_at_any_point(expected: Said) -> None:
    """What was sent since the last snapshot is lost with it, and comes again from the log."""
    rng = Random(6)
    chunks = interleaved(60, rng)
    kills = set(rng.sample(range(len(chunks)), 50))
    tasks: dict[str, Parts] = {}
    pipeline, durable, since, behind = Pipeline(city_plan()), list[Output](), list[Output](), 0
    at = 0
    while at < len(chunks):
        if at in kills:
            kills.remove(at)
            pipeline, since = Pipeline(city_plan()), []
            pipeline.load(tasks)
            at = behind
        since += pipeline.step(chunks[at])
        at += 1
        if rng.randrange(20) == 0:
            # Only what changed, as the engine saves it.
            tasks = all_kept(tasks, pipeline.freeze())
            durable, since, behind = durable + since, [], at
    assert_same(durable + since + pipeline.end(), expected)


def test_chunks_delivered_twice(expected: Said) -> None:
    chunks = interleaved(200)
    again = [repeated for chunk in chunks for repeated in (chunk, chunk)]
    assert_same(replay(again), expected)


def test_a_restored_pipeline_freezes_to_the_same_bytes() -> None:
    pipeline = Pipeline(city_plan())
    for chunk in interleaved(500, Random(1))[:40]:
        pipeline.step(chunk)
    tasks = all_kept({}, pipeline.freeze(whole=True))
    again = Pipeline(city_plan())
    again.load(tasks)
    assert all_kept({}, again.freeze(whole=True)) == tasks


@pytest.mark.parametrize(("seed", "size"), [(0, 1), (1, 500)])
def test_written_ticks_are_obeyed_where_they_stand(seed: int, size: int) -> None:
    """Lanes fall silent and are ticked in one run; replays of any shape obey the log of ticks."""
    rng = Random(seed)
    pipeline, live = Pipeline(city_plan()), list[Output]()
    for chunk in interleaved(100, rng):
        live += pipeline.step(chunk)
        if rng.randrange(8) == 0:
            lane = rng.choice(list(pipeline.lanes))
            known = [i.watermark.value for i in pipeline.lanes.values() if i.next_offset]
            ahead = rng.choice((-60_000, 0, 1, 61_000, 400_000))
            live += pipeline.tick(lane, rng.choice(known) + ahead)
    ticks = [msgspec.json.decode(o.value, type=Tick) for o in live if o.topic == TICKS]
    assert len(ticks) > 20
    live += pipeline.end()
    again = Pipeline(city_plan())
    again.schedule(ticks)
    outputs = [o for chunk in interleaved(size, rng) for o in again.step(chunk)]
    outputs += again.settle() + again.end()
    assert_same(outputs, said(live))
    assert {n: i.accounting for n, i in again.lanes.items()} == {
        n: i.accounting for n, i in pipeline.lanes.items()
    }


def mixed(chunks: list[Chunk], rng: Random) -> list[Chunk]:
    """The chunks in any order that keeps the order within each lane."""
    waiting = {lane: [c for c in chunks if c.lane == lane] for lane in {c.lane: 0 for c in chunks}}
    order = [chunk.lane for chunk in chunks]
    rng.shuffle(order)
    return [waiting[lane].pop(0) for lane in order]


def assert_small_log_stands(configuration: Configuration, rng: Random, unit: int) -> None:
    """Chopped, mixed, ticked and restored at random: what one lane after another gives."""
    start, lateness = 1_772_294_400_000, 25 * unit
    log = Writer(rng, start, unit, lateness).write(configuration, rng.randrange(5, 90))
    plan = compile_plan(configuration)
    pipeline, live, now = Pipeline(plan), list[Output](), start
    tasks: dict[str, Parts] = {}
    for chunk in mixed(chunks_of(log, 1 + rng.randrange(4)), rng):
        if rng.randrange(3) == 0:
            tasks = all_kept(tasks, pipeline.freeze(whole=rng.randrange(2) == 0))
            pipeline = Pipeline(plan)
            pipeline.load(tasks)
        live += pipeline.step(chunk)
        now = max(now, chunk.timestamps[-1])
        if rng.randrange(6) == 0:
            lane = rng.choice(list(pipeline.lanes))
            live += pipeline.tick(lane, now + rng.choice((-unit, 0, unit, 10 * unit)))
    ticks = [msgspec.json.decode(o.value, type=Tick) for o in live if o.topic == TICKS]
    live += pipeline.end()
    again = Pipeline(plan)
    again.schedule(ticks)
    outputs = [output for chunk in chunks_of(log) for output in again.step(chunk)]
    assert_same(live, said(outputs + again.settle() + again.end()))


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_any_small_log(rng: Random) -> None:
    assert_small_log_stands(FULL, rng, 12_000)


@pytest.mark.parametrize("seed", range(10))
def test_small_logs(seed: int) -> None:
    assert_small_log_stands(FULL, Random(seed), 12_000)


@pytest.mark.parametrize("seed", range(10))
def test_small_logs_of_days(seed: int) -> None:
    assert_small_log_stands(CALENDAR, Random(seed), 900_000)
