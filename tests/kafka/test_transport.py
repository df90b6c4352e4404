from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from faust.exceptions import ImproperlyConfigured
from faust.transport import drivers
from faust.types import TP
from yarl import URL

from agents.app import NoTables
from schemas.kafka import Kafka
from streams.kafka import decoding
from streams.kafka.transport import LogTruncatedError, Transport, app_settings, broker_url
from streams.records import Chunk, Lane
from streams.transports.ahead import CHUNKS_AHEAD
from tests.kafka.broker import Broker

TOPIC = "events"
PATIENCE_S = 30.0
COMPACTED_SOON = {
    "cleanup.policy": "compact",
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "1000",
    "delete.retention.ms": "1000",
}

Settings = dict[str, Any]
Row = tuple[bytes | None, bytes | None]


class Reader:
    """An app whose agent keeps what it gets of the topics, and the loop that waits for it."""

    def __init__(
        self,
        broker: Broker,
        prefix: str,
        folder: Path,
        positions: Mapping[int, int] | None = None,
        topics: Iterable[str] = (TOPIC,),
        bulk: Iterable[str] | None = None,
        **settings: Any,
    ) -> None:
        kafka = Kafka(broker=broker.url, **settings)
        self.app = faust.App(
            f"{prefix}group",
            **app_settings(kafka),
            autodiscover=False,
            datadir=str(folder),
            loghandlers=[],
            TableManager=NoTables,
        )
        # Nothing is sent through Faust: a producer would be one more connection.
        self.app.boot_strategy.enable_kafka_producer = False
        self.chunks: list[Chunk] = []
        self.messages: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()
        names = list(topics)
        self.app.transport.adopt(
            prefix=prefix,
            bulk=names if bulk is None else bulk,
            positions=lambda lane: (positions or {}).get(lane.partition),
            kept_headers=["kept"],
        )
        inputs = self.app.topic(
            *(prefix + name for name in names),
            acks=False,
            key_type=bytes,
            value_serializer="raw",
        )
        self.app.agent(inputs, name="intake")(self._take)

    async def _take(self, stream: Any) -> None:
        async for event in stream.events():
            if isinstance(event.value, Chunk):
                self.chunks.append(event.value)
                assert event.message.offset == event.value.first_offset
                assert event.message.generation_id == self.app.consumer_generation_id
            else:
                self.messages.append(event)
            await self.gate.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.app.finalize()
        await self.app.start()
        try:
            yield
        finally:
            await self.app.stop()
            gc.collect()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                assert self.app.crash_reason is None, self.app.crash_reason
                await asyncio.sleep(0.01)

    async def until_read(self, partition: int, offset: int) -> None:
        await self.until(lambda: self.read_to(partition) >= offset)

    def read_to(self, partition: int) -> int:
        return max((c.next_offset for c in self.of(partition)), default=-1)

    def of(self, partition: int, topic: str = TOPIC) -> list[Chunk]:
        return [c for c in self.chunks if c.lane == Lane(topic, partition)]

    def values(self, partition: int, topic: str = TOPIC) -> list[bytes]:
        return [value for chunk in self.of(partition, topic) for value in chunk.values]

    def check_tiles(self, partition: int, first: int, end: int) -> None:
        for chunk in self.of(partition):
            assert chunk.first_offset == first
            first = chunk.next_offset
        assert first == end


@pytest.fixture
def create(broker: Broker, prefix: str) -> Callable[..., None]:
    def create(*topics: str, partitions: int = 1, **config: str) -> None:
        names = [prefix + topic for topic in topics]
        admin = AdminClient(broker.client())
        made = admin.create_topics([NewTopic(name, partitions, config=config) for name in names])
        for future in made.values():
            future.result(PATIENCE_S)

    return create


@pytest.fixture
def produce(broker: Broker, prefix: str) -> Callable[..., None]:
    def produce(
        values: Iterable[bytes | None],
        topic: str = TOPIC,
        partition: int = 0,
        key: bytes | None = b"k",
        timestamp: int = 1000,
        headers: list[tuple[str, bytes]] | None = None,
        **settings: Any,
    ) -> None:
        producer = Producer({**broker.client(), "linger.ms": 5, **settings})
        for value in values:
            producer.produce(
                prefix + topic, value, key, partition, timestamp=timestamp, headers=headers
            )
            producer.poll(0)
        assert producer.flush(PATIENCE_S) == 0

    return produce


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last)]


def commit(broker: Broker, prefix: str, offset: int) -> None:
    consumer = Consumer({**broker.client(), "group.id": f"{prefix}group"})
    consumer.commit(offsets=[TopicPartition(prefix + TOPIC, 0, offset)], asynchronous=False)
    consumer.close()


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_agents_get_chunks_of_every_lane_in_order(
    broker: Broker, prefix: str, tmp_path: Path, create: Any, produce: Any
) -> None:
    create(TOPIC, "others", partitions=4)
    for topic in (TOPIC, "others"):
        for partition in range(4):
            produce(numbers(0, 23), topic, partition)
    reader = Reader(broker, prefix, tmp_path, topics=(TOPIC, "others"))
    async with reader.running():
        await reader.until(lambda: sum(map(len, reader.chunks)) == 2 * 4 * 23)
        produce(numbers(23, 30), partition=2)
        await reader.until(lambda: sum(map(len, reader.chunks)) == 2 * 4 * 23 + 7)
    for partition in range(4):
        end = 30 if partition == 2 else 23
        assert reader.values(partition) == numbers(0, end)
        assert reader.values(partition, "others") == numbers(0, 23)
        reader.check_tiles(partition, 0, end)


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_a_chunk_has_what_the_records_have(
    broker: Broker, prefix: str, tmp_path: Path, create: Any, produce: Any
) -> None:
    create(TOPIC)
    produce([b"a", None, b""], key=None, timestamp=7, headers=[("other", b"1")])
    produce([b"b"], timestamp=9, headers=[("kept", b"1"), ("other", b"2")])
    produce([b"c", b"d"], headers=[("kept", b"2")])
    reader = Reader(broker, prefix, tmp_path)
    async with reader.running():
        await reader.until_read(0, 6)
    first, *_ = reader.chunks
    assert first.keys[0] is None
    assert first.timestamps[0] == 7
    assert first.values[:3] == [b"a", b"", b""]
    found = [(v, c.headers) for c in reader.chunks for v in c.values]
    assert found[2:] == [
        (b"", ()),
        (b"b", (("kept", b"1"),)),
        (b"c", (("kept", b"2"),)),
        (b"d", (("kept", b"2"),)),
    ]
    reader.check_tiles(0, 0, 6)


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_every_compression_is_read(
    broker: Broker, prefix: str, tmp_path: Path, create: Any, produce: Any
) -> None:
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")
    create(TOPIC)
    for i, codec in enumerate(codecs):
        produce(numbers(i * 50, i * 50 + 50), **{"compression.type": codec})
    reader = Reader(broker, prefix, tmp_path)
    async with reader.running():
        await reader.until_read(0, 250)
    assert reader.values(0) == numbers(0, 250)


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_chunks_are_of_bounded_size(
    broker: Broker, prefix: str, tmp_path: Path, create: Any, produce: Any
) -> None:
    create(TOPIC)
    produce(numbers(0, 12_000), **{"linger.ms": 500, "compression.type": "lz4"})
    produce([b"x" * 900_000] * 3, **{"compression.type": "lz4"})
    reader = Reader(broker, prefix, tmp_path, fetch_bytes=4 << 20)
    async with reader.running():
        await reader.until_read(0, 12_003)
    assert max(map(len, reader.chunks)) <= decoding.CHUNK_RECORDS
    assert max(sum(map(len, chunk.values)) for chunk in reader.chunks) <= decoding.CHUNK_BYTES
    assert reader.values(0)[:12_000] == numbers(0, 12_000)
    reader.check_tiles(0, 0, 12_003)


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_transactions_are_read_when_they_are_committed_and_else_not_at_all(
    broker: Broker, prefix: str, tmp_path: Path, create: Any, produce: Any
) -> None:
    create(TOPIC)
    producer = Producer({**broker.client(), "transactional.id": f"{prefix}writer"})
    await asyncio.to_thread(producer.init_transactions)

    def send(*values: bytes) -> None:
        producer.begin_transaction()
        for value in values:
            producer.produce(prefix + TOPIC, value, partition=0)
        assert producer.flush(PATIENCE_S) == 0

    send(b"aborted 1", b"aborted 2")
    producer.abort_transaction()  # offsets 0 to 2, with the marker
    reader = Reader(broker, prefix, tmp_path)
    async with reader.running():
        await reader.until_read(0, 3)
        send(b"3", b"4")  # open
        produce([b"5"])  # by another, and behind it
        await reader.until(lambda: reader.app.consumer.highwater(TP(prefix + TOPIC, 0)) == 3)
        assert reader.values(0) == []
        await asyncio.to_thread(producer.commit_transaction)
        await reader.until_read(0, 7)
        send(b"aborted 3")
        producer.abort_transaction()
        produce([b"9"])
        await reader.until_read(0, 10)
        assert reader.app.consumer.highwater(TP(prefix + TOPIC, 0)) == 10
    first = reader.chunks[0]
    assert (len(first), first.first_offset, first.next_offset) == (0, 0, 3)
    assert reader.values(0) == [b"3", b"4", b"5", b"9"]
    reader.check_tiles(0, 0, 10)


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_compacted_offsets_leave_no_gap_between_chunks(
    broker: Broker, prefix: str, tmp_path: Path, create: Any, produce: Any
) -> None:
    create(TOPIC, **COMPACTED_SOON)
    for first in range(0, 200, 20):
        produce(numbers(first, first + 20), key=b"same")
    end, found = 200, list(range(200))
    while len(found) > 100:
        # A segment is closed by a record that is later than its first by more than it may span.
        produce([b"last"], key=b"last", timestamp=end * 10_000)
        end += 1
        reader = Reader(broker, prefix, tmp_path, {0: 0})
        async with reader.running():
            await reader.until_read(0, end)
        reader.check_tiles(0, 0, end)
        found = [offset for chunk in reader.chunks for offset in chunk.offsets]
        assert found == sorted(set(found))
    assert reader.chunks[0].first_offset == 0 < reader.chunks[0].offsets[0]


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_reading_begins_at_the_positions_of_the_engine(
    broker: Broker, prefix: str, tmp_path: Path, create: Any, produce: Any
) -> None:
    create(TOPIC)
    produce(numbers(0, 20))
    for position, committed, first in (
        (None, None, 0),
        (13, None, 13),
        (None, 5, 5),
        (7, 5, 7),
        (3, 5, 3),
        (0, 5, 0),
        (20, 5, 20),
    ):
        if committed is not None:
            commit(broker, prefix, committed)
        positions = {} if position is None else {0: position}
        reader = Reader(broker, prefix, tmp_path, positions)
        async with reader.running():
            if first < 20:
                await reader.until_read(0, 20)
            else:
                produce([b"20"])
                await reader.until_read(0, 21)
        assert reader.chunks[0].first_offset == first
        assert reader.values(0) == numbers(first, 21 if first == 20 else 20)


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_what_retention_took_is_seen_as_a_gap(
    broker: Broker, prefix: str, tmp_path: Path, create: Any, produce: Any
) -> None:
    create(TOPIC)
    produce(numbers(0, 20))
    at = TopicPartition(prefix + TOPIC, 0, 12)
    admin = AdminClient(broker.client())
    admin.delete_records([at])[at].result(PATIENCE_S)
    reader = Reader(broker, prefix, tmp_path, {0: 4})
    async with reader.running():
        await reader.until_read(0, 20)
    assert reader.chunks[0].first_offset == 12
    assert reader.values(0) == numbers(12, 20)


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_a_log_that_ends_before_the_position_ends_the_app(
    broker: Broker, prefix: str, tmp_path: Path, create: Any, produce: Any
) -> None:
    create(TOPIC)
    produce(numbers(0, 20))
    reader = Reader(broker, prefix, tmp_path, {0: 25})
    async with reader.running():
        async with asyncio.timeout(PATIENCE_S):
            await reader.app.wait_until_stopped()
        error = reader.app.crash_reason
    assert isinstance(error, LogTruncatedError)
    assert "events/0: reading was at offset 25" in str(error)
    assert reader.chunks == []


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_few_chunks_wait_ahead_of_a_slow_agent(
    broker: Broker, prefix: str, tmp_path: Path, create: Any, produce: Any
) -> None:
    create(TOPIC, partitions=2)
    for number in range(40):  # one record a chunk
        produce([b"%d" % number], headers=[("kept", b"%d" % number)])
    reader = Reader(broker, prefix, tmp_path)
    reader.gate.clear()

    async def position(partition: int) -> int:
        return int(await reader.app.consumer.position(TP(prefix + TOPIC, partition)))

    async with reader.running():
        await reader.until(lambda: len(reader.chunks) == 1)
        # What comes of the other partition was fetched after all that there is of this one.
        produce([b"other"], partition=1)
        while await position(1) < 1:
            await asyncio.sleep(0.01)
        assert await position(0) == CHUNKS_AHEAD
        reader.gate.set()
        await reader.until_read(0, 40)
    assert reader.values(0) == numbers(0, 40)
    reader.check_tiles(0, 0, 40)


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_other_topics_come_a_message_a_record(
    broker: Broker, prefix: str, tmp_path: Path, create: Any, produce: Any
) -> None:
    create(TOPIC, "commands")
    produce(numbers(0, 5))
    produce(numbers(5, 9), "commands")
    reader = Reader(broker, prefix, tmp_path, topics=(TOPIC, "commands"), bulk=[TOPIC])
    async with reader.running():
        await reader.until(lambda: len(reader.messages) == 4)
        await reader.until_read(0, 5)
    assert [event.value for event in reader.messages] == numbers(5, 9)
    assert reader.values(0) == numbers(0, 5)


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_reading_outlives_a_broker_and_an_app_stops_without_one(
    own_broker: Broker, prefix: str, tmp_path: Path
) -> None:
    topic = prefix + TOPIC
    admin = AdminClient(own_broker.client())
    admin.create_topics([NewTopic(topic, 1)])[topic].result(PATIENCE_S)
    producer = Producer({**own_broker.client(), "log_level": 2})
    reader = Reader(own_broker, prefix, tmp_path)
    async with reader.running():
        for number in range(20):
            if number == 10:
                await reader.until_read(0, 10)
                await asyncio.to_thread(own_broker.kill)
                await asyncio.to_thread(own_broker.start)
            producer.produce(topic, b"%d" % number, partition=0)
            assert await asyncio.to_thread(producer.flush, PATIENCE_S) == 0
        await reader.until_read(0, 20)
        await asyncio.to_thread(own_broker.kill)
        async with asyncio.timeout(PATIENCE_S):
            await reader.app.stop()
    assert reader.values(0) == numbers(0, 20)
    reader.check_tiles(0, 0, 20)


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_an_app_that_stops_in_a_rebalance_leaves_the_group(
    broker: Broker, prefix: str, tmp_path: Path, create: Any, produce: Any
) -> None:
    create(TOPIC)
    produce(numbers(0, 5))
    # So long that the other would not be given the partition at the end of a session.
    first, second = (Reader(broker, prefix, tmp_path, session_timeout_s=300) for _ in range(2))
    second.app.finalize()
    joining: list[asyncio.Future[None]] = []

    @first.app.on_before_shutdown.connect
    async def join_meanwhile(app: faust.App, **_: Any) -> None:
        before = app.rebalancing_count
        joining.append(asyncio.ensure_future(second.app.start()))
        await first.until(lambda: app.rebalancing_count > before)

    async with first.running():
        await first.until_read(0, 5)
    try:
        await joining[0]
        await second.until_read(0, 5)
    finally:
        await second.app.stop()


@pytest.mark.kafka
@pytest.mark.asyncio
async def test_fausts_producer_is_idempotent_where_it_is_started(
    broker: Broker, prefix: str, tmp_path: Path, create: Any
) -> None:
    create(TOPIC)
    reader = Reader(broker, prefix, tmp_path)
    reader.app.boot_strategy.enable_kafka_producer = True
    async with reader.running():
        await reader.app.producer.send_and_wait(prefix + TOPIC, b"k", b"v", 0, 1.5, None)
        await reader.until_read(0, 1)
        assert reader.app.producer._producer._txn_manager is not None
    assert reader.chunks[0].values == [b"v"]
    assert list(reader.chunks[0].timestamps) == [1500]


def test_the_entry_point_finds_the_transport() -> None:
    assert drivers.by_url(URL("chunks://127.0.0.1:9092")) is Transport


def test_faust_takes_the_settings(tmp_path: Path) -> None:
    kafka = Kafka(broker="kafka://a:9092,[::1]:9093", session_timeout_s=120, fetch_bytes=1 << 16)
    app = faust.App("group", **app_settings(kafka), datadir=str(tmp_path), autodiscover=False)
    assert drivers.aiokafka.server_list(app.transport.url, 1) == ["a:9092", "[::1]:9093"]
    assert broker_url(kafka) == "chunks://a:9092;chunks://[::1]:9093"
    conf = app.conf
    assert conf.broker_session_timeout == 120
    assert conf.broker_session_timeout <= conf.broker_rebalance_timeout
    assert conf.broker_rebalance_timeout < conf.broker_request_timeout
    assert conf.broker_heartbeat_interval <= 3
    assert conf.consumer_max_fetch_size == 1 << 16


@pytest.mark.asyncio
async def test_a_topic_with_acks_is_refused(tmp_path: Path) -> None:
    app = faust.App("group", **app_settings(Kafka()), datadir=str(tmp_path), autodiscover=False)
    app.topics._acking_topics.add(TOPIC)
    with pytest.raises(ImproperlyConfigured, match="acks=False"):
        await app.consumer.subscribe([TOPIC])
    app.consumer._thread.thread_loop.close()  # of a thread that was not started
