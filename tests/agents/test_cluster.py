"""What a worker's engine refuses to do; the ways to Kafka are stand-ins that fail on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import pytest

from agents.cluster import Cluster, GapInLogError
from agents.metrics import Metrics
from agents.plan import compile_plan
from streams.records import Chunk, Lane, Output
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

    async def commit(self, offsets: Mapping[Lane, int]) -> bool:
        self.committed.append(offsets)
        return self.is_member

    def end_offset(self, lane: Lane) -> int:
        return 0

    def first_offsets(self, lanes: Collection[Lane]) -> dict[Lane, int]:
        return dict.fromkeys(lanes, 0)

    async def send(self, outputs: Collection[Output], prefix: str = "") -> None:
        self.outputs += outputs

    async def flush(self) -> None:
        if self.is_lost:
            raise RuntimeError("an output is lost")

    def read(self, tasks: Collection[str]) -> dict[str, Any]:
        return {}

    async def write(self, outbox: Any, snapshots: Collection[Any]) -> None:
        self.saved += snapshots

    def poll(self) -> bool:
        return False


def run(story: Callable[[Cluster, Ways], Awaitable[None]]) -> Ways:
    ways, stand_in = Ways(), Any
    plan = compile_plan(configuration({"silence_s": 0.0, "session_timeout_s": 6.0}))

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
        await cluster.take(chunk(3), 1)
        await cluster.close()
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
