"""Members that come, leave and are killed: who reads what, and from where."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import faust
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from agents.app import NoTables
from schemas.kafka import Kafka
from streams.kafka.transport import app_settings
from streams.records import Lane
from tests.kafka.broker import Broker

TOPIC = "events"
PARTITIONS = 4
PATIENCE_S = 60.0
_NAP_S = 0.02


class Read(NamedTuple):
    """A chunk that a member read, or a partition that it was given where `end` is None."""

    member: str
    generation: int
    partition: int
    first: int
    end: int | None


def member(broker_url: str, prefix: str, folder: Path, name: str) -> None:
    """Body of a process: read, write down what was read, and keep positions in the folder."""
    asyncio.run(_member(Kafka(broker=broker_url, session_timeout_s=4), prefix, folder, name))


async def _member(kafka: Kafka, prefix: str, folder: Path, name: str) -> None:
    app = faust.App(
        f"{prefix}group",
        **app_settings(kafka),
        autodiscover=False,
        datadir=str(folder / "faust"),
        loghandlers=[],
        TableManager=NoTables,
    )
    app.boot_strategy.enable_kafka_producer = False

    def position(lane: Lane) -> int:
        file = folder / f"next.{lane.partition}"
        return int(file.read_text()) if file.exists() else 0

    app.transport.adopt(prefix=prefix, bulk=[TOPIC], positions=position)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with (folder / f"{name}.reads").open("a", buffering=1) as log:

        def note(generation: int, partition: int, first: int, end: int | None) -> None:
            log.write(json.dumps([name, generation, partition, first, end]) + "\n")

        @app.agent(app.topic(prefix + TOPIC, acks=False, key_type=bytes, value_serializer="raw"))
        async def intake(stream: Any) -> None:
            async for event in stream.events():
                chunk, generation = event.value, event.message.generation_id
                if generation == app.consumer_generation_id:
                    note(generation, chunk.partition, chunk.first_offset, chunk.next_offset)
                    part = folder / f"{name}.part"
                    part.write_text(str(chunk.next_offset))
                    part.rename(folder / f"next.{chunk.partition}")

        @app.on_rebalance_complete.connect
        async def complete(app: faust.App, **_: Any) -> None:
            for tp in app.consumer.assignment():
                lane = Lane(TOPIC, tp.partition)
                note(app.consumer_generation_id, tp.partition, position(lane), None)

        app.finalize()
        await app.start()
        await stop.wait()
        await app.stop()


class Group:
    """The members of a test, and what they wrote down."""

    def __init__(self, broker: Broker, prefix: str, folder: Path) -> None:
        self._arguments = (broker.url, prefix, folder)
        self._folder = folder
        self._members: dict[str, BaseProcess] = {}

    def start(self, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=member, args=(*self._arguments, name))
        process.start()
        self._members[name] = process

    def leave(self, name: str) -> None:
        process = self._members.pop(name)
        process.terminate()
        process.join(PATIENCE_S)
        assert process.exitcode == 0

    def kill(self, name: str) -> None:
        process = self._members.pop(name)
        process.kill()
        process.join(PATIENCE_S)

    def end(self) -> None:
        for name in list(self._members):
            self.kill(name)

    def reads(self) -> list[Read]:
        """What each member read, in its order."""
        found = []
        for file in sorted(self._folder.glob("*.reads")):
            for line in file.read_text().splitlines(keepends=True):
                if line.endswith("\n"):  # else its writer was killed
                    found.append(Read(*json.loads(line)))
        return found

    def until(self, condition: Callable[[list[Read]], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition(self.reads()):
            assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s"
            assert all(process.is_alive() for process in self._members.values())
            time.sleep(_NAP_S)

    def until_shared(self) -> int:
        """Wait until all partitions are read, by all members and in one generation: which."""
        found = 0

        def shared(reads: list[Read]) -> bool:
            nonlocal found
            found = max((read.generation for read in reads), default=0)
            latest = [r for r in reads if r.generation == found and r.end is not None]
            return {r.partition for r in latest} == set(range(PARTITIONS)) and {
                r.member for r in latest
            } == set(self._members)

        self.until(shared)
        return found


@contextmanager
def feeding(broker: Broker, topic: str) -> Iterator[Callable[[], list[int]]]:
    """Produce all the time; what is given ends it and tells the end of each partition."""
    ended = threading.Event()
    sent = [0] * PARTITIONS

    def feed() -> None:
        producer = Producer({**broker.client(), "linger.ms": 2})
        while not ended.is_set():
            for partition in range(PARTITIONS):
                for _ in range(5):
                    producer.produce(topic, b"x" * 50, b"k", partition)
                    sent[partition] += 1
            producer.poll(0)
            ended.wait(0.01)
        assert producer.flush(PATIENCE_S) == 0

    thread = threading.Thread(target=feed)
    thread.start()

    def end() -> list[int]:
        ended.set()
        thread.join()
        return sent

    try:
        yield end
    finally:
        end()


@pytest.mark.kafka
def test_each_partition_is_read_by_one_member_without_a_gap(
    broker: Broker, prefix: str, tmp_path: Path
) -> None:
    admin = AdminClient(broker.client())
    made = admin.create_topics([NewTopic(prefix + TOPIC, PARTITIONS)])
    made[prefix + TOPIC].result(PATIENCE_S)
    group = Group(broker, prefix, tmp_path)
    try:
        with feeding(broker, prefix + TOPIC) as end_feeding:
            group.start("first")
            alone = group.until_shared()
            group.start("second")
            joined = group.until_shared()
            group.leave("second")
            left = group.until_shared()
            group.start("third")
            again = group.until_shared()
            group.kill("third")
            killed = group.until_shared()
            ends = end_feeding()
        group.until(lambda reads: _read_to(reads) == dict(enumerate(ends)))
        group.leave("first")
    finally:
        group.end()
    assert alone < joined < left < again < killed
    _check(group.reads(), ends, again)


def _read_to(reads: list[Read]) -> dict[int, int]:
    found: dict[int, int] = defaultdict(int)
    for read in reads:
        found[read.partition] = max(found[read.partition], read.end or 0)
    return found


def _check(reads: list[Read], ends: list[int], before_kill: int) -> None:
    runs: dict[tuple[int, int], list[Read]] = defaultdict(list)
    for read in reads:
        runs[read.partition, read.generation].append(read)
    reached = dict.fromkeys(range(PARTITIONS), 0)
    repeated = dict.fromkeys(range(PARTITIONS), 0)
    for (partition, generation), run in sorted(runs.items()):
        given, *chunks = run
        assert {read.member for read in run} == {given.member}
        # The member that was killed may not have saved its last position.
        saved = {reached[partition]}
        if generation > before_kill:
            saved.add(repeated[partition])
        assert given.end is None
        assert given.first in saved
        at = given.first
        for chunk in chunks:
            assert chunk.first == at
            assert chunk.end is not None
            repeated[partition], at = at, chunk.end
        reached[partition] = at
    assert reached == dict(enumerate(ends))
