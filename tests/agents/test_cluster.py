"""What a worker's engine refuses to do; the ways to Kafka are stand-ins that fail on demand."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from itertools import pairwise
from threading import Barrier, Event
from typing import Any

import msgspec
import pytest

from agents.cluster import Cluster, GapInLogError
from agents.entries import Entry
from agents.live import Live
from agents.metrics import Metrics
from agents.outputs import ALERT_LOG, PARTIALS, VITALS, VITALS_LOG, vital_results
from agents.plan import compile_plan
from agents.said import Said
from agents.tasks import task_of
from schemas.loading import load
from schemas.tick import Claim, Tick
from streams.records import Chunk, Lane, Output
from streams.snapshots import Restored
from streams.ticks import TickBook
from tests.faults.kafka_log import configuration

LANE = Lane("run.sensor", 0)
NOW = 1_772_400_000_000


class Ways:
    """All ways to Kafka in one: they note what they are asked, and fail when they are told to."""

    def __init__(self) -> None:
        self.book, self.owner = TickBook(), "me"
        self.outputs: list[Output] = []
        self.saved: list[Any] = []
        self.committed: list[Mapping[Lane, int]] = []
        self.is_member = True
        self.is_lost = False
        self.end = 0
        self.ticks: list[Output] = []

    async def commit(self, offsets: Mapping[Lane, int]) -> bool:
        self.committed.append(offsets)
        return self.is_member

    def end_offset(self, lane: Lane) -> int:
        return self.end

    def end_offsets(self, lanes: Collection[Lane]) -> dict[Lane, int]:
        return dict.fromkeys(lanes, self.end)

    def first_offsets(self, lanes: Collection[Lane]) -> dict[Lane, int]:
        return dict.fromkeys(lanes, 0)

    async def send(self, outputs: Collection[Output], prefix: str = "") -> None:
        self.outputs += outputs

    async def flush(self) -> None:
        if self.is_lost:
            raise RuntimeError("an output is lost")

    def read(self, tasks: Collection[str]) -> dict[str, Any]:
        return {}

    async def write(self, what: Any, *more: Any) -> None:
        if isinstance(what, dict):  # ticks, by lane
            for output in what.values():
                self.ticks.append(output)
                assert self.book.tick(msgspec.json.decode(output.value, type=Tick))
        else:
            self.saved += more[0]

    def poll(self) -> bool:
        return False

    async def claim(self, lanes: Collection[Lane], *_: Any) -> None:
        for lane in lanes:
            claim = Claim(topic=lane.topic, partition=lane.partition, generation=1, owner="me")
            self.book.claim(claim)


def run(story: Callable[[Cluster, Ways], Awaitable[None]], silence_s: float = 0.0) -> Ways:
    ways, stand_in = Ways(), Any
    plan = compile_plan(configuration({"silence_s": silence_s, "session_timeout_s": 6.0}))

    async def go() -> None:
        parts: list[stand_in] = [ways] * 5
        cluster = Cluster(plan, *parts, Metrics())
        await cluster.restore([LANE], 1)
        await story(cluster, ways)

    asyncio.run(go())
    return ways


def chunk(first: int, count: int = 3) -> Chunk:
    values = [
        json.dumps(
            {
                "device": "d1",
                "metric": "pm25",
                "unit": "ug/m3",
                "value": 7,
                "t": NOW + 20_000 * offset,
                "place": "440111001001001",
            }
        ).encode()
        for offset in range(first, first + count)
    ]
    times = [NOW + 20_000 * offset for offset in range(first, first + count)]
    return Chunk(*LANE, range(first, first + count), times, [None] * count, values)


def test_a_worker_that_was_away_for_too_long_asks_before_it_goes_on() -> None:
    async def story(cluster: Cluster, ways: Ways) -> None:
        await cluster.take(chunk(0), 1)
        assert cluster.position(LANE) == 3
        asked = len(ways.committed)
        await cluster.take(chunk(3), 1)
        assert len(ways.committed) == asked, "it has just been told"
        cluster._confirmed -= 60  # it slept
        ways.is_member = False
        await cluster.take(chunk(6), 1)
        assert cluster.position(LANE) == 6
        assert (cluster.fenced, cluster.broken) == (1, False)

        ways.is_member = True
        await cluster.take(chunk(9), 1)
        assert cluster.position(LANE) == 6, "what it said of this generation once holds"
        assert (cluster.fenced, cluster.broken) == (2, False)

    ways = run(story)
    assert ways.committed[-1] == {LANE: 0}, "only what a snapshot stands for is committed"


def test_chunks_of_another_generation_and_of_other_lanes_are_dropped() -> None:
    async def story(cluster: Cluster, ways: Ways) -> None:
        await cluster.take(chunk(0), 2)
        other = chunk(0)
        other.partition = 1
        await cluster.take(other, 1)
        assert cluster.fenced == 2
        await cluster.suspend()
        await cluster.take(chunk(0), 1)
        assert (cluster.fenced, cluster.position(LANE)) == (3, 0)

    assert run(story).outputs == []


def test_missing_records_break_the_engine() -> None:
    async def story(cluster: Cluster, ways: Ways) -> None:
        await cluster.take(chunk(0), 1)
        with pytest.raises(GapInLogError, match="expected offset 3, the log gave 5"):
            await cluster.take(chunk(5), 1)
        with pytest.raises(GapInLogError):
            await cluster.close()

    ways = run(story)
    assert ways.saved == [], "nothing is saved after an error"


def test_nothing_is_saved_or_committed_where_an_output_is_lost() -> None:
    async def story(cluster: Cluster, ways: Ways) -> None:
        await cluster.take(chunk(0), 1)
        ways.is_lost, before = True, len(ways.committed)
        with pytest.raises(RuntimeError):
            await cluster._checkpoint()
        ways.is_lost = False
        for late in (cluster.take(chunk(3), 1), cluster.close(), cluster.restore([LANE], 2)):
            with pytest.raises(RuntimeError):
                await late
        assert len(ways.committed) == before

    assert run(story).saved == []


def test_tasks_are_kept_over_the_next_generation_alone() -> None:
    async def story(cluster: Cluster, ways: Ways) -> None:
        await cluster.take(chunk(0), 1)
        await cluster.suspend()
        await cluster.restore([LANE], 2)
        assert cluster.position(LANE) == 3
        await cluster.suspend()
        await cluster.restore([LANE], 4)
        assert cluster.position(LANE) == 0, "others may have owned it: its snapshot is what counts"

    run(story)


def silent(cluster: Cluster) -> None:
    cluster._heard = dict.fromkeys(cluster._heard, -1e9)


def test_a_lane_far_behind_is_ticked_on_in_small_steps_until_all_is_forgotten() -> None:
    hour = 3_600_000

    async def story(cluster: Cluster, ways: Ways) -> None:
        await cluster.take(chunk(0), 1)
        ways.end = 3
        now = NOW + 90 * 24 * hour
        marks = [cluster.lanes[LANE].watermark.value]
        while not marks[-1] > now - hour:
            silent(cluster)
            await cluster.tick_silent(now)
            marks.append(cluster.lanes[LANE].watermark.value)
            assert len(marks) < 50
        steps = [b - a for a, b in pairwise(marks)]
        assert all(0 < step <= 120_000 for step in steps[:-1])
        assert sum(steps[:-1]) >= 600_000, "so long keys are remembered"

    run(story, silence_s=1.0)


def test_a_lane_is_not_silent_while_the_broker_has_more_of_it() -> None:
    async def story(cluster: Cluster, ways: Ways) -> None:
        await cluster.take(chunk(0), 1)
        ways.end = 5
        silent(cluster)
        await cluster.tick_silent(NOW + 3_600_000)
        assert ways.ticks == []

    run(story, silence_s=1.0)


def test_a_former_owner_writes_no_tick() -> None:
    async def story(cluster: Cluster, ways: Ways) -> None:
        await cluster.take(chunk(0), 1)
        ways.end = 3
        claim = Claim(topic=LANE.topic, partition=LANE.partition, generation=2, owner="other")
        ways.book.claim(claim)
        silent(cluster)
        with pytest.raises(AssertionError):  # what it would write does not stand
            await cluster.tick_silent(NOW + 60_000)

    run(story, silence_s=1.0)


def test_lanes_step_beside_each_other_and_a_save_waits_for_them() -> None:
    async def story(cluster: Cluster, ways: Ways) -> None:
        other = Lane(LANE.topic, 1)
        await cluster.restore([LANE, other], 2)
        both = Barrier(2)
        done: list[str] = []

        def stepping(name: str, step: Any) -> Any:
            def run(*given: Any) -> Any:
                both.wait(10)  # until the other lane is as far
                outputs = step(*given)
                done.append(name)
                return outputs

            return run

        takes = []
        for lane in (LANE, other):
            task: Any = cluster.tasks[lane]
            task.step = stepping(str(lane), task.step)
            large = chunk(0, 2_000)
            large.partition = lane.partition
            takes.append(asyncio.create_task(cluster.take(large, 2)))
        await asyncio.sleep(0)
        saving = asyncio.create_task(cluster._checkpoint())
        await asyncio.wait_for(asyncio.gather(*takes, saving), 20)
        assert sorted(done) == [str(LANE), str(other)]
        assert cluster.position(LANE) == cluster.position(other) == 2_000

    ways = run(story)
    assert ways.committed[-1] == {LANE: 2_000, Lane(LANE.topic, 1): 2_000}


def test_of_results_that_follow_each_other_at_once_the_newest_is_shown() -> None:
    async def story(cluster: Cluster, ways: Ways) -> None:
        await cluster.restore([LANE, Lane(PARTIALS, 0)], 2)
        result = Output(VITALS, b"sign|city|4401", b"0", (), 0)
        logged = result._replace(topic=VITALS_LOG)
        for value in (b"1", b"2", b"3"):
            await cluster._send(LANE, [each._replace(value=value) for each in (logged, result)])
        shown = [output.value for output in ways.outputs if output.topic == VITALS]
        assert shown == [b"1"], "the first one at once, the others for a while not"
        await cluster._checkpoint()
        shown = [output.value for output in ways.outputs if output.topic == VITALS]
        assert shown == [b"1", b"3"], "nothing is held back beyond a save"
        await cluster._send(LANE, [result._replace(value=b"4")])
        cluster._confirmed -= 60  # it slept
        ways.is_member = False
        await cluster.show()
        shown = [output.value for output in ways.outputs if output.topic == VITALS]
        assert shown == [b"1", b"3"], "another worker may have said newer ones"

    logged = [output.value for output in run(story).outputs if output.topic == VITALS_LOG]
    assert logged == [b"1", b"2", b"3"]


def test_a_step_that_fails_while_a_save_waits_for_it_is_not_saved() -> None:
    async def story(cluster: Cluster, ways: Ways) -> None:
        await cluster.take(chunk(0), 1)
        task: Any = cluster.tasks[LANE]
        begun = Event()

        def failing(*given: Any) -> Any:
            begun.set()
            time.sleep(0.05)
            raise ZeroDivisionError

        task.step = failing
        taking = asyncio.create_task(cluster.take(chunk(3, 2_000), 1))
        await asyncio.to_thread(begun.wait, 10)
        saving = asyncio.create_task(cluster._checkpoint())
        with pytest.raises(ZeroDivisionError):
            await taking
        await saving
        assert cluster.broken

    ways = run(story)
    assert not ways.saved
    assert all(offsets == {LANE: 0} for offsets in ways.committed)


def test_who_takes_over_the_city_takes_over_the_alerts_of_the_engine() -> None:
    city, shipped = Lane(PARTIALS, 0), load(environ={})
    kafka = {"silence_s": 1.0, "session_timeout_s": 6.0}
    lag = shipped.sign["engine.lag"].model_dump(mode="json")
    plan = compile_plan(configuration(kafka, signs=[lag]))
    before, minute = Live(plan), 60_000
    told = Said.of([Entry("city", "4401", "4401", 1.0, 1, 1.0, None)])
    alerts = []
    for now in (NOW, NOW + minute):
        late = vital_results("a.sign", "1", told, 0, now - 20_000, rev=0, config="c", newest=True)
        alerts += [o for o in before.take(late, now) if o.topic == ALERT_LOG]
    assert len(alerts) == 1
    frozen = task_of(plan, city).freeze(whole=True)
    parts = {name: encode() for name, encode in frozen.items() if encode is not None}

    class Kept(Ways):
        def read(self, tasks: Collection[str]) -> dict[str, Any]:
            return {task: Restored({**parts, "live": before.dump()}) for task in tasks}

    async def go() -> None:
        ways: Any = Kept()
        cluster = Cluster(plan, ways, ways, ways, ways, ways, Metrics())
        await cluster.restore([city], 1)
        saved = cluster._freeze(city).parts["live"]
        assert saved is not None
        assert saved() == before.dump()

    asyncio.run(go())
