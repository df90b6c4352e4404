"""R2 and R6: results are a function of the log alone, however it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.detectors.protocol import ALARM
from agents.outputs import ALERT_LOG, DEAD_LETTER, LATE, TICKS, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.alert import Alert
from schemas.configuration import Configuration
from schemas.tick import Tick
from schemas.vital import VitalResult
from streams.records import Chunk, Output
from tests.kept import Parts, all_kept
from tests.rules.city_logs import Said, assert_same, city_plan, interleaved, said
from tests.rules.configurations import CALENDAR, FULL
from tests.rules.lanes import LaneName, Record
from tests.rules.logs import Writer, chunks_of
from tests.rules.wide import HOURS, SECRET, START, WIDE
from tests.rules.wide_logs import written


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
    assert_judged(outputs)
    return said(outputs)


def assert_judged(outputs: Iterable[Output]) -> None:
    """Models of both kinds have left their warming, have flagged values and alerted."""
    bases, flagged, kinds = Counter[str](), 0, Counter[str]()
    for output in outputs:
        if output.topic == VITALS_LOG:
            model = msgspec.json.decode(output.value, type=VitalResult).model
            if model is not None:
                bases[model.basis] += 1
                flagged += model.score is not None and model.score >= ALARM
        elif output.topic == ALERT_LOG:
            kinds[msgspec.json.decode(output.value, type=Alert).kind] += 1
    assert all(bases[basis] > 100 for basis in ("hour_of_week", "gaussian", "warming")), bases
    assert flagged > 100
    assert kinds["anomaly"] > 10


@pytest.mark.parametrize(("size", "seed"), [(1, 0), (37, 1), (500, 2), (4000, 3)])
def test_any_chunks_and_any_interleaving(expected: Said, size: int, seed: int) -> None:
    assert_same(replay(interleaved(size, Random(seed))), expected)


def test_one_lane_after_another(expected: Said) -> None:
    assert_same(replay(sorted(interleaved(4000), key=lambda c: c.lane)), expected)


def test_a_restore_at_any_point(expected: Said) -> None:
    rng = Random(5)
    chunks = interleaved(60, rng)
    stops = set(rng.sample(range(len(chunks)), 20))
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
    kills = set(rng.sample(range(len(chunks)), 20))
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
        if rng.randrange(4) == 0:
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


Log = Mapping[LaneName, Sequence[Record]]


def small_log(configuration: Configuration, rng: Random, unit: int) -> Log:
    writer = Writer(rng, START, unit, 25 * unit)
    return writer.write(configuration, rng.randrange(5, 90))


def assert_log_stands(
    configuration: Configuration, log: Log, rng: Random, start: int = START
) -> None:
    """Chopped, mixed, ticked and restored at random: what one lane after another gives."""
    plan = compile_plan(configuration, SECRET)
    pipeline, live, now = Pipeline(plan), list[Output](), start
    tasks: dict[str, Parts] = {}
    for chunk in mixed(chunks_of(log, 1 + rng.randrange(4)), rng):
        if rng.randrange(3) == 0:
            tasks = all_kept(tasks, pipeline.freeze(whole=rng.randrange(2) == 0))
            pipeline = Pipeline(plan)
            pipeline.load(tasks)
            whole = all_kept({}, pipeline.freeze(whole=True))
            assert {task: whole[task] for task in tasks} == tasks
            tasks = whole
        live += pipeline.step(chunk)
        now = max(now, chunk.timestamps[-1])
        if rng.randrange(6) == 0:
            lane = rng.choice(list(pipeline.lanes))
            live += pipeline.tick(lane, now + rng.choice((-60_000, 0, 12_000, 600_000)))
    ticks = [msgspec.json.decode(o.value, type=Tick) for o in live if o.topic == TICKS]
    live += pipeline.end()
    again = Pipeline(plan)
    again.schedule(ticks)
    outputs = [output for chunk in chunks_of(log) for output in again.step(chunk)]
    assert_same(live, said(outputs + again.settle() + again.end()))


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_any_small_log(rng: Random) -> None:
    assert_log_stands(FULL, small_log(FULL, rng, 12_000), rng)


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_any_small_log_of_states(rng: Random) -> None:
    assert_log_stands(WIDE, written(WIDE, rng), rng)


@pytest.mark.parametrize("seed", range(8))
def test_small_logs(seed: int) -> None:
    rng = Random(seed)
    assert_log_stands(FULL, small_log(FULL, rng, 12_000), rng)


@pytest.mark.parametrize("seed", range(8))
def test_small_logs_of_states(seed: int) -> None:
    """Arrivals, orders, repeats, dimensions, limits, models: with a register that changes."""
    rng = Random(seed)
    assert_log_stands(WIDE, written(WIDE, rng, 150), rng)


@pytest.mark.parametrize("seed", range(8))
def test_small_logs_of_days(seed: int) -> None:
    rng = Random(seed)
    assert_log_stands(CALENDAR, small_log(CALENDAR, rng, 900_000), rng)


@pytest.mark.parametrize("seed", range(4))
def test_small_logs_of_states_and_days(seed: int) -> None:
    rng = Random(seed)
    assert_log_stands(HOURS, written(HOURS, rng, 400), rng)
