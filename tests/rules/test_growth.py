"""Lanes that are added later: what came before stands as it was, what comes after waits for them.

::

    since                    |
    old lanes   ----o--o--o--|--o--o--o-->   their state is kept
    a new lane          x  x |  o  o   o-->  x: corrections, or too late

"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.outputs import PARTIALS, VITALS_LOG
from agents.plan import Plan, compile_plan
from agents.tasks import AssessTask, IntakeTask
from schemas.configuration import Configuration
from schemas.documents import ConfigurationError
from schemas.loading import load
from schemas.tick import Tick
from streams.records import Chunk, Lane, Output
from tests.rules.city_logs import assert_same, said
from tests.rules.configurations import FULL, configuration, sensor, topic, window
from tests.rules.logs import Writer, chunks_of
from tests.rules.test_two_hops import NONE, encoded
from tests.rules.wide import SECRET, WIDE
from tests.rules.wide_logs import WideWriter

START = 1_772_294_400_000
UNIT = 12_000
OLD, NEW = Lane("sensor", 1), Lane("sensor", 2)
LATENESS_MS = 300_000
MINUTE_MS = 60_000


def grown(since: int, of: Configuration = FULL) -> Configuration:
    """The configuration with a partition that was added to the topic of sensors."""
    tree = of.model_dump()
    zoned = datetime.fromtimestamp(since / 1000, UTC).isoformat()
    tree["topics"][0]["grown"] = [{"partitions": 3, "since": zoned}]
    return Configuration.model_validate(tree).with_register(of.register)


class Worker:
    """All tasks of a plan in one place; the partials topic is a list."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.lanes = {lane: IntakeTask(plan, lane) for lane in plan.lanes}
        self.shard = AssessTask(plan, 0)
        self.outputs: list[Output] = []

    def step(self, chunk: Chunk) -> None:
        self._pass_on(self.lanes[chunk.lane].step(chunk, NONE))

    def tick(self, lane: Lane, t: int) -> None:
        """Obey a tick that stands at the end of a lane."""
        intake = self.lanes[lane].intake
        where = {
            "topic": lane.topic,
            "partition": lane.partition,
            "next_offset": intake.next_offset,
        }
        tick = msgspec.convert({**where, "number": intake.ticks + 1, "t": t}, Tick)
        self._pass_on(self.lanes[lane].schedule([tick]))

    def _pass_on(self, outputs: list[Output]) -> None:
        self.outputs += [o for o in outputs if o.topic != PARTIALS]
        first = self.shard.next_offset
        values = [o.value for o in outputs if o.topic == PARTIALS]
        offsets = range(first, first + len(values))
        if values:
            rest = ([0] * len(values), [None] * len(values), values)
            self.outputs += self.shard.step(Chunk(PARTIALS, 0, offsets, *rest), NONE)

    def restarted(self, plan: Plan) -> Worker:
        """A worker with another plan, and what this one had saved."""
        worker = Worker(plan)
        for lane, task in self.lanes.items():
            worker.lanes[lane].load(encoded(task))
        worker.shard.load(encoded(self.shard))
        worker.outputs = list(self.outputs)
        return worker

    def results(self) -> dict[str, list[dict[str, Any]]]:
        """Results by the name of their sign."""
        found: dict[str, list[dict[str, Any]]] = {}
        for output in self.outputs:
            if output.topic == VITALS_LOG:
                result = json.loads(output.value)
                found.setdefault(result["vital"], []).append(result)
        return found


def some_log(rng: Random, since: int, of: Configuration = FULL) -> tuple[list[Chunk], list[Chunk]]:
    """Chunks of the old lanes and of the new one, by time of arrival.

    Senders know of the new partition some time before or after it counts.
    """
    writer = WideWriter if of is WIDE else Writer
    log = writer(rng, START, UNIT, LATENESS_MS).write(of, rng.randrange(20, 120))
    known = since + rng.choice((-20, -2, 0, 5)) * MINUTE_MS
    moved: list[Any] = []
    for (name, _), records in log.items():
        if name == OLD.topic:
            going = [r for r in records if r[0] >= known and rng.randrange(3) == 0]
            records[:] = [r for r in records if r not in going]
            moved += going
    log[NEW.topic, NEW.partition] = sorted(moved, key=lambda record: record[0])
    chunks = sorted(chunks_of(log, 1 + rng.randrange(4)), key=lambda c: c.timestamps[-1])
    return [c for c in chunks if c.lane != NEW], [c for c in chunks if c.lane == NEW]


def in_any_order(chunks: list[Chunk], rng: Random) -> list[Chunk]:
    """The chunks with each lane's in order."""
    waiting = {lane: [c for c in chunks if c.lane == lane] for lane in {c.lane for c in chunks}}
    order = sorted(chunk.lane for chunk in chunks)
    rng.shuffle(order)
    return [waiting[lane].pop(0) for lane in order]


def finished(worker: Worker) -> Worker:
    """The worker after ticks have closed all there is."""
    for lane in worker.plan.lanes:
        worker.tick(lane, START + 200 * MINUTE_MS)
    return worker


@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([FULL, WIDE]), st.randoms(use_true_random=False))
def test_a_worker_that_learns_of_a_lane_says_what_one_says_that_always_knew(
    of: Configuration, rng: Random
) -> None:
    since = START + rng.randrange(5, 60) * MINUTE_MS
    old, new = some_log(rng, since, of)
    plan = compile_plan(grown(since, of), SECRET)
    always = Worker(plan)
    for chunk in in_any_order(old + new, rng):
        always.step(chunk)
    # No watermark is ahead of a record's own time by more than the skew.
    before = [chunk for chunk in old if chunk.timestamps[-1] + MINUTE_MS <= since]
    stop = rng.randrange(len(before) + 1)
    worker = Worker(compile_plan(of, SECRET))
    for chunk in old[:stop]:
        worker.step(chunk)
    worker = worker.restarted(plan)
    for chunk in in_any_order(old[stop:] + new, rng):
        worker.step(chunk)
    assert_same(finished(worker).outputs, said(finished(always).outputs))
    assert all(task.intake.accounting.remainder == 0 for task in worker.lanes.values())


@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([FULL, WIDE]), st.randoms(use_true_random=False))
def test_what_ends_by_then_is_what_the_old_lanes_say(of: Configuration, rng: Random) -> None:
    since = START + rng.randrange(5, 60) * MINUTE_MS
    old, new = some_log(rng, since, of)
    alone, worker = (Worker(compile_plan(c, SECRET)) for c in (of, grown(since, of)))
    for chunk in old:
        alone.step(chunk)
        worker.step(chunk)
    assert by(since, worker) == by(since, alone)
    for chunk in new:
        worker.step(chunk)
    assert by(since, finished(worker)) == by(since, finished(alone))


def by(since: int, worker: Worker) -> list[bytes]:
    """First results of windows that end by then."""
    logged = [o for o in worker.outputs if o.topic == VITALS_LOG]
    read = [(o.value, json.loads(o.value)) for o in logged]
    return sorted(value for value, r in read if r["t_end"] <= since and r["rev"] == 0)


def reading(minute: float, device: str = "d") -> bytes:
    event = {"device": device, "metric": "rain", "unit": "mm", "value": 1, "place": "440106001"}
    return json.dumps({**event, "t": START + round(minute * MINUTE_MS)}).encode()


def fed(worker: Worker, lane: Lane, values: list[bytes]) -> None:
    first = worker.lanes[lane].next_offset
    offsets = range(first, first + len(values))
    times = [START + 10 * 60 * MINUTE_MS] * len(values)
    worker.step(Chunk(*lane, offsets, times, [None] * len(values), values))


COUNTED = configuration(
    [
        sensor(
            "a.rain",
            "count",
            "rain",
            "street",
            aggregate={"function": "count"},
            window=window(60, 60),
            keys=["street"],
            rollup="merge",
        )
    ],
    [topic("sensor", 2, 300, disorder_s=0)],
)
SINCE = START + 3 * MINUTE_MS


def ends(worker: Worker) -> list[tuple[float, int, int]]:
    """Ends of what was said, in minutes, with the number of events and the revision."""
    said_of = worker.results().get("a.rain", [])
    return [((r["t_end"] - START) / MINUTE_MS, r["n"], r["rev"]) for r in said_of]


def test_windows_wait_for_a_new_lane_from_then_on() -> None:
    worker = Worker(compile_plan(grown(SINCE, of=COUNTED)))
    for lane in (Lane("sensor", 0), OLD):
        fed(worker, lane, [reading(0.5), reading(2.5), reading(6.5)])
    assert ends(worker) == [(1, 2, 0), (2, 0, 0), (3, 2, 0)]
    fed(worker, NEW, [reading(3.5), reading(5)])
    assert ends(worker)[3:] == [(4, 1, 0), (5, 0, 0)]
    worker.tick(NEW, START + 9 * MINUTE_MS)
    assert ends(worker)[5:] == [(6, 1, 0)]


def test_events_of_a_new_lane_from_before_are_corrections_or_too_late() -> None:
    worker = Worker(compile_plan(grown(SINCE, of=COUNTED)))
    for lane in (Lane("sensor", 0), OLD):
        fed(worker, lane, [reading(0.5), reading(2.5), reading(30)])
    at_edge, too_late = reading(-2), reading(-2.001)
    fed(worker, NEW, [reading(0.5), reading(2.999), reading(3), at_edge, too_late])
    counts = worker.lanes[NEW].intake.accounting
    assert (counts.accepted, counts.accepted_late, counts.late) == (4, 3, 1)
    worker.tick(NEW, START + 30 * MINUTE_MS)
    revised = [(end, n) for end, n, rev in ends(worker) if rev]
    assert revised == [(-1, 1), (1, 3), (3, 3)]
    assert (4, 1, 0) in ends(worker)


def test_a_lane_cannot_begin_before_what_time_has_reached() -> None:
    worker = Worker(compile_plan(COUNTED))
    fed(worker, OLD, [reading(3)])
    worker.restarted(compile_plan(grown(SINCE, of=COUNTED)))
    worker.tick(OLD, SINCE + MINUTE_MS)
    words = f"{NEW} counts from {SINCE} ms, but .* give the added partitions a later `since`"
    with pytest.raises(ValueError, match=words):
        worker.restarted(compile_plan(grown(SINCE, of=COUNTED)))


def test_lanes_are_added_twice() -> None:
    tree = grown(SINCE, of=COUNTED).model_dump()
    later = {"partitions": 6, "since": "2026-03-02T00:00:00Z"}
    tree["topics"][0]["grown"].append(later)
    plan = compile_plan(Configuration.model_validate(tree))
    first, second = SINCE, 1_772_409_600_000
    added = {NEW: first, **{Lane("sensor", number): second for number in (3, 4, 5)}}
    assert plan.since == added
    assert set(plan.lanes) == {Lane("sensor", 0), OLD, *added}


def test_growth_is_not_in_the_label() -> None:
    assert grown(SINCE).label == FULL.label


@pytest.mark.parametrize(
    ("growth", "path", "words"),
    [
        ([(2, "2026-03-01T00:00:00Z")], "0.partitions", "there were 2 already"),
        (
            [(4, "2026-03-01T00:00:00Z"), (4, "2026-03-02T00:00:00Z")],
            "1.partitions",
            "there were 4 already: partitions can only be added",
        ),
        (
            [(4, "2026-03-01T00:00:00Z"), (6, "2026-03-01T08:00:00+08:00")],
            "1.since",
            "is not after the growth before it",
        ),
        ([(4, "1970-01-01T00:00:00Z")], "0.since", "is not between 1973 and 2100"),
        ([(4, "2026-03-01T00:00:00")], "0.since", "expected a time with an offset, such as"),
        ([(4, "tomorrow")], "0.since", "expected a time with an offset, such as"),
        ([(1025, "2026-03-01T00:00:00Z")], "0.partitions", "must be at most 1024"),
    ],
)
def test_a_growth_that_cannot_be_is_told_at_its_place(
    tmp_path: Path, growth: list[tuple[int, str]], path: str, words: str
) -> None:
    tree = COUNTED.model_dump(mode="json", include={"version", "city", "signs"})
    lines = [f"{name}: {json.dumps(value)}" for name, value in tree.items()]
    lines += ["topics:", "  - {name: sensor, kind: sensor, allowed_lateness_s: 300, partitions: 2,"]
    lines += ["     grown: ["]
    first = len(lines)
    lines += [f"      {{partitions: {count}, since: '{since}'}}," for count, since in growth]
    file = tmp_path / "city.yaml"
    file.write_text("\n".join([*lines, "    ]}"]), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(file, {})
    (problem,) = caught.value.problems
    index, field = path.split(".")
    number = first + int(index)
    column = lines[number].index(f"{field}: ") + len(f"{field}: ") + 1
    assert problem[:4] == (str(file), number + 1, column, f"topics.0.grown.{path}")
    assert words in problem.message
