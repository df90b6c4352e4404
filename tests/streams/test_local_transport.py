from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.exceptions import ImproperlyConfigured
from faust.transport import drivers
from yarl import URL

from streams.log_store import LogStore
from streams.log_types import InUse
from streams.partitioning import partition_of
from streams.records import Chunk, Lane
from streams.transports import local
from streams.transports.ahead import CHUNKS_AHEAD
from streams.transports.local import broker_url, folder_of

TOPICS = ("city.sensor.v1", "city.traffic.v1", "city.hotline.v1")


def make_app(folder: Path, **settings: Any) -> faust.App:
    return faust.App(
        "vitals",
        broker=broker_url(folder),
        datadir=str(folder / "faust"),
        topic_partitions=4,
        topic_disable_leader=True,
        web_enabled=False,
        **settings,
    )


def topic_of(app: faust.App, *names: str) -> Any:
    return app.topic(*names, acks=False, key_type=bytes, value_type=None, value_serializer="raw")


@asynccontextmanager
async def running(app: faust.App) -> AsyncIterator[None]:
    app.finalize()
    await app.start()
    try:
        yield
    finally:
        await app.stop()
        gc.collect()


async def wait_until(condition: Any, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def fill(store: LogStore, topic: str, partition: int, count: int, batch: int = 5) -> None:
    for first in range(0, count, batch):
        with store.transaction() as tx:
            numbers = range(first, min(first + batch, count))
            values = [b"%d" % number for number in numbers]
            tx.append(topic, partition, list(numbers), [b"k"] * len(values), values)


def collect(app: faust.App, *topics: str) -> list[tuple[int, Chunk]]:
    """Each chunk an agent of the app gets, with the offset of its message."""
    seen: list[tuple[int, Chunk]] = []

    @app.agent(topic_of(app, *topics))
    async def intake(stream: Any) -> None:
        async for event in stream.events():
            seen.append((event.message.offset, event.value))

    return seen


def total(seen: list[tuple[int, Chunk]]) -> int:
    return sum(len(chunk) for _, chunk in seen)


@pytest.mark.asyncio
async def test_agents_get_chunks_of_every_lane_in_order(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    store: LogStore = app.transport.store
    for topic in TOPICS:
        store.create_topic(topic, 4)
        for partition in range(4):
            fill(store, topic, partition, 23)
    logs = [collect(app, topic) for topic in TOPICS[:1]] + [collect_second(app, TOPICS[1:])]

    async with running(app):
        await wait_until(lambda: sum(map(total, logs)) == 3 * 4 * 23)
        # Appends of this process go on arriving, without a wait for the next poll.
        for topic in TOPICS:
            fill(store, topic, 2, 7, batch=1)
        await wait_until(lambda: sum(map(total, logs)) == 3 * (4 * 23 + 7))

    by_lane: dict[Lane, list[int]] = {}
    for offset, chunk in (item for log in logs for item in log):
        assert isinstance(chunk, Chunk)
        assert offset == chunk.offsets[0]
        by_lane.setdefault(chunk.lane, []).extend(chunk.offsets)
    assert len(by_lane) == 12
    for lane, offsets in by_lane.items():
        assert offsets == list(range(30 if lane.partition == 2 else 23))


def collect_second(app: faust.App, topics: tuple[str, ...]) -> list[tuple[int, Chunk]]:
    seen: list[tuple[int, Chunk]] = []

    @app.agent(topic_of(app, *topics), name="second")
    async def second(stream: Any) -> None:
        async for event in stream.events():
            seen.append((event.message.offset, event.value))

    return seen


@pytest.mark.asyncio
async def test_a_restart_reads_on_from_the_committed_offsets(tmp_path: Path) -> None:
    with_store = LogStore(tmp_path)
    with_store.create_topic(TOPICS[0], 4)
    fill(with_store, TOPICS[0], 1, 20)
    with with_store.transaction() as tx:
        tx.commit("vitals", {Lane(TOPICS[0], 1): 13})  # inside a batch
    with_store.close()

    app = make_app(tmp_path)
    seen = collect(app, TOPICS[0])
    async with running(app):
        await wait_until(lambda: total(seen) == 7)
    assert [offset for _, chunk in seen for offset in chunk.offsets] == list(range(13, 20))
    assert app.transport._store is None, "the transport closes what it opened"


@pytest.mark.asyncio
async def test_appends_of_another_connection_arrive(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    seen = collect(app, TOPICS[0])
    other = LogStore(tmp_path)
    other.create_topic(TOPICS[0], 4)
    async with running(app):
        fill(other, TOPICS[0], 3, 12)
        await wait_until(lambda: total(seen) == 12)
    other.close()


@pytest.mark.asyncio
async def test_few_chunks_wait_ahead_of_a_slow_agent(tmp_path: Path) -> None:
    # One record a chunk: different headers keep the batches from being joined.
    app = make_app(tmp_path)
    store: LogStore = app.transport.store
    store.create_topic(TOPICS[0], 4)
    for number in range(40):
        with store.transaction() as tx:
            tx.append(TOPICS[0], 0, [0], [b"k"], [b"v"], (("n", b"%d" % number),))
    gate = asyncio.Event()
    seen: list[int] = []

    @app.agent(topic_of(app, TOPICS[0]))
    async def slow(stream: Any) -> None:
        async for event in stream.events():
            seen.append(event.message.offset)
            await gate.wait()

    def read_ahead() -> int:
        return int(app.consumer._positions.get((TOPICS[0], 0), 0))

    async with running(app):
        await wait_until(lambda: seen and read_ahead() == CHUNKS_AHEAD)
        await asyncio.sleep(0.3)
        assert read_ahead() == CHUNKS_AHEAD
        gate.set()
        await wait_until(lambda: seen == list(range(40)))


@pytest.mark.asyncio
async def test_the_producer_places_records_by_key(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    seen = collect(app, TOPICS[0])
    async with running(app):
        meta = await app.producer.send_and_wait(
            TOPICS[0], b"aq-7", b"{}", None, 1.5, {"ce_id": b"1"}
        )
        again = await (await app.producer.send(TOPICS[0], b"aq-7", b"{}", None, 1.5, None))
        await wait_until(lambda: total(seen) == 2)
    assert meta.partition == again.partition == partition_of(b"aq-7", 4)
    assert (meta.offset, again.offset) == (0, 1)
    assert seen[0][1].headers == (("ce_id", b"1"),)
    assert list(seen[0][1].timestamps) == [1500]


@pytest.mark.asyncio
async def test_an_adopted_store_stays_open(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    app = make_app(tmp_path)
    app.transport.adopt(store)
    collect(app, TOPICS[0])
    async with running(app):
        assert app.transport.store is store
        other = LogStore(tmp_path)
        with pytest.raises(RuntimeError, match="open already"):
            app.transport.adopt(other)
        other.close()
    assert store.topics()
    store.close()


@pytest.mark.asyncio
async def test_a_second_engine_on_the_log_is_refused(tmp_path: Path) -> None:
    owner = LogStore(tmp_path)
    owner.own()
    app = make_app(tmp_path)
    collect(app, TOPICS[0])
    app.finalize()
    with pytest.raises(InUse, match="in use by process"):
        await app.consumer.start()
    assert app.transport._store is None
    owner.close()


@pytest.mark.asyncio
async def test_a_topic_with_acks_is_refused(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.topics._acking_topics.add(TOPICS[0])
    with pytest.raises(ImproperlyConfigured, match="acks=False"):
        await app.consumer.subscribe([TOPICS[0]])


def test_the_entry_point_finds_the_transport() -> None:
    assert drivers.by_url(URL("local:///data")) is local.Transport


@pytest.mark.parametrize(
    "url",
    ["local://data", "local://./data", "local://host:1/x", "local:data", "local:///"],
)
def test_a_url_that_is_no_absolute_path_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="absolute path"):
        folder_of([URL(url)])


def test_the_url_of_a_folder_leads_back_to_it(tmp_path: Path) -> None:
    odd = tmp_path / "a b;c?d#e"
    assert folder_of([URL(broker_url(odd))]) == odd
    with pytest.raises(ImproperlyConfigured, match="%3F"):
        folder_of([URL("local:///a?b")])
    with pytest.raises(ImproperlyConfigured, match="one URL"):
        folder_of([URL("local:///a"), URL("local:///b")])
