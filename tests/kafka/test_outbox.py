"""The outbox against a real broker: in order, nothing lost, and stopped by the first failure."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from schemas.kafka import Kafka
from streams.kafka import outbox as outbox_module
from streams.kafka.connection import client_settings
from streams.kafka.outbox import Outbox, OutboxError
from streams.partitioning import partition_of
from streams.records import Output
from tests.kafka.broker import Broker

PATIENCE_S = 30.0
PARTITIONS = 3
HEADERS = (("ce_id", b"1"), ("content-type", b"application/json"))
NOISE = random.Random(1).randbytes(100_000)
SECRET = b"call me at 13800000000"

pytestmark = pytest.mark.kafka
Settings = dict[str, str | int]


@asynccontextmanager
async def opened(settings: Settings, errors: list[str] | None = None) -> AsyncIterator[Outbox]:
    outbox = Outbox(settings, None if errors is None else errors.append)
    try:
        async with asyncio.timeout(2 * PATIENCE_S):
            yield outbox
    finally:
        outbox.close()


def settings_of(broker: Broker) -> Settings:
    return client_settings(Kafka(broker=broker.url))


def create(broker: Broker, topic: str, **config: str) -> str:
    asked = NewTopic(topic, num_partitions=PARTITIONS, config=config)
    admin = AdminClient(broker.client())
    admin.create_topics([asked])[topic].result(PATIENCE_S)
    return topic


def read(broker: Broker, topic: str) -> list[list[Message]]:
    """All that each partition has."""
    reading = {"group.id": "unused", "enable.partition.eof": True, "auto.offset.reset": "earliest"}
    reading["fetch.wait.max.ms"] = 10  # the end is told at once
    consumer = Consumer({**settings_of(broker), **reading})
    found: list[list[Message]] = [[] for _ in range(PARTITIONS)]
    waiting = set(range(PARTITIONS))
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in waiting])
        while waiting:
            message = consumer.poll(PATIENCE_S)
            assert message is not None, "nothing came, not even the end"
            partition, error = message.partition(), message.error()
            assert partition is not None
            if error is None:
                found[partition].append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                waiting.discard(partition)
            else:
                raise KafkaException(error)
    finally:
        consumer.close()
    return found


def values(messages: Iterable[Message]) -> list[bytes | None]:
    return [message.value() for message in messages]


def numbered(topic: str, count: int, begin: int = 0) -> list[Output]:
    return [
        Output(topic, b"key-%d" % (n % 50), b"%d" % n, HEADERS, 1_700_000_000_000 + n)
        for n in range(begin, begin + count)
    ]


def by_partition(outputs: Iterable[Output]) -> list[list[bytes | None]]:
    placed: list[list[bytes | None]] = [[] for _ in range(PARTITIONS)]
    for output in outputs:
        placed[partition_of(output.key, PARTITIONS)].append(output.value)
    return placed


async def send_and_flush(outbox: Outbox, outputs: list[Output]) -> None:
    await outbox.send(outputs)
    await outbox.flush()


async def check_that_it_waits(waiting: asyncio.Task[None]) -> None:
    """What must not end gets some turns of the event loop in which it could."""
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert not waiting.done()


@pytest.mark.asyncio
async def test_outputs_arrive_in_order_where_kafka_would_put_them(
    broker: Broker, prefix: str
) -> None:
    topic = create(broker, prefix + "vitals")
    outputs = numbered("vitals", 3000)
    async with opened(settings_of(broker)) as outbox:
        await outbox.send(outputs[:1000], prefix)
        await outbox.send(iter(outputs[1000:]), prefix)
        await outbox.flush()
        found = read(broker, topic)
    assert [values(messages) for messages in found] == by_partition(outputs)
    first = found[partition_of(b"key-0", PARTITIONS)][0]
    assert (first.key(), first.value()) == (b"key-0", b"0")
    assert tuple(first.headers() or ()) == HEADERS
    assert first.timestamp()[1] == 1_700_000_000_000


@pytest.mark.asyncio
async def test_records_go_to_the_partition_that_is_named(broker: Broker, prefix: str) -> None:
    topic = create(broker, prefix + "placed")
    async with opened(settings_of(broker)) as outbox:
        await outbox.send([Output("placed", b"k", b"0", (), 0, 2)], prefix)
        await outbox.send_raw(topic, b"k", b"1", 2)
        await outbox.send_raw(topic, b"k", None, 2)
        await outbox.flush()
    assert [values(messages) for messages in read(broker, topic)] == [[], [], [b"0", b"1", None]]


@pytest.mark.asyncio
async def test_a_flush_ends_while_others_go_on_sending(broker: Broker, prefix: str) -> None:
    topic = create(broker, prefix + "busy")
    sent = 0

    async def go_on(outbox: Outbox) -> None:
        nonlocal sent
        while True:
            await outbox.send(numbered(topic, 100, sent))
            sent += 100

    async with opened(settings_of(broker)) as outbox:
        sender = asyncio.create_task(go_on(outbox))
        for _ in range(10):
            before = sent
            await outbox.flush()
            assert sum(map(len, read(broker, topic))) >= before
            await asyncio.sleep(0)
        sender.cancel()
    assert sent > 0


@pytest.mark.asyncio
async def test_a_broker_that_is_away_is_waited_for(own_broker: Broker, prefix: str) -> None:
    topic = create(own_broker, prefix + "patient")
    outputs = numbered(topic, 6000)
    errors: list[str] = []
    async with opened(settings_of(own_broker), errors) as outbox:
        await outbox.send(outputs[:2000])
        await outbox.flush()
        own_broker.pause()
        await outbox.send(outputs[2000:4000])
        flush = asyncio.create_task(outbox.flush())
        await check_that_it_waits(flush)
        own_broker.resume()
        await flush
        own_broker.kill()
        await outbox.send(outputs[4000:])
        flush = asyncio.create_task(outbox.flush())
        while not errors:
            await asyncio.sleep(0.01)
        assert not flush.done()
        await asyncio.to_thread(own_broker.start)
        await flush
    assert any(own_broker.address in error for error in errors)
    assert [values(messages) for messages in read(own_broker, topic)] == by_partition(outputs)


@pytest.mark.asyncio
async def test_a_full_queue_holds_up_the_sender_alone(own_broker: Broker, prefix: str) -> None:
    topic = create(own_broker, prefix + "large", **{"max.message.bytes": str(16 << 20)})
    async with opened(settings_of(own_broker)) as outbox:
        await outbox.send(numbered(topic, 1))
        await outbox.flush()
        own_broker.pause()
        large = [Output(topic, b"k", bytes(9 << 20), (), 0, 1) for _ in range(16)]
        sender = asyncio.create_task(outbox.send(large))
        await check_that_it_waits(sender)
        own_broker.resume()
        await sender
        await outbox.flush()
    assert [len(value or b"") for value in values(read(own_broker, topic)[1])][-16:] == [
        9 << 20
    ] * 16


@pytest.mark.asyncio
@pytest.mark.parametrize("slice_s", [outbox_module._SLICE_S, 5.0], ids=["short", "long"])
async def test_what_the_broker_refuses_stops_everything(
    broker: Broker, prefix: str, monkeypatch: pytest.MonkeyPatch, slice_s: float
) -> None:
    # In a long slice the client calls for the report while its fatal error is pending.
    monkeypatch.setattr(outbox_module, "_SLICE_S", slice_s)
    topic = create(broker, prefix + "small", **{"max.message.bytes": "20000"})
    large = SECRET + NOISE
    async with opened(settings_of(broker)) as outbox:
        await outbox.send([Output(topic, SECRET, b"before", (), 0, 0)])
        await outbox.flush()
        await outbox.send([Output(topic, SECRET, large, (("h", SECRET),), 0, 0)])
        with pytest.raises(OutboxError) as refused:
            await outbox.flush()
        text = str(refused.value)
        assert topic in text
        assert "max.message.bytes" in text
        assert SECRET.decode() not in text
        for call in (
            outbox.send([Output(topic, b"k", b"after", (), 0, 0)]),
            outbox.send_raw(topic, b"k", b"after", 0),
            outbox.flush(),
        ):
            with pytest.raises(OutboxError) as again:
                await call
            assert str(again.value) == text
    assert values(read(broker, topic)[0]) == [b"before"]


@pytest.mark.asyncio
async def test_nothing_of_a_partition_overtakes_what_was_refused(
    broker: Broker, prefix: str
) -> None:
    topic = create(broker, prefix + "gapless", **{"max.message.bytes": "20000"})
    small = [Output(topic, b"k", b"%d" % n, (), 0, 0) for n in range(3000)]
    large = Output(topic, b"k", NOISE, (), 0, 0)
    async with opened({**settings_of(broker), "batch.num.messages": 100}) as outbox:
        with pytest.raises(OutboxError, match=r"max\.message\.bytes"):
            await send_and_flush(outbox, [*small[:1000], large, *small[1000:]])
    found = values(read(broker, topic)[0])
    assert found == [output.value for output in small[: len(found)]]
    assert len(found) <= 1000


@pytest.mark.asyncio
async def test_messages_beyond_the_client_are_refused_at_once(broker: Broker, prefix: str) -> None:
    topic = create(broker, prefix + "huge")
    async with opened(settings_of(broker)) as outbox:
        with pytest.raises(OutboxError, match=rf"{topic}: .*too large.*max\.message\.bytes"):
            await outbox.send_raw(topic, b"k", bytes(17 << 20), 0)
        with pytest.raises(OutboxError, match="too large"):
            await outbox.flush()


@pytest.mark.asyncio
async def test_partitions_and_topics_that_are_not_there(broker: Broker, prefix: str) -> None:
    topic = create(broker, prefix + "three")
    async with opened(settings_of(broker)) as outbox:
        with pytest.raises(OutboxError, match=f"{topic}: .*[Uu]nknown partition"):
            await send_and_flush(outbox, [Output(topic, b"k", b"v", (), 0, PARTITIONS)])
    # A topic may be new, so the client gives it 30 s to become known.
    soon = {**settings_of(broker), "topic.metadata.propagation.max.ms": 100}
    async with opened(soon) as outbox:
        with pytest.raises(OutboxError, match=f"{prefix}none: .*[Uu]nknown topic"):
            await send_and_flush(outbox, [Output(prefix + "none", b"k", b"v", (), 0)])


@pytest.mark.asyncio
async def test_a_closed_outbox_takes_nothing(broker: Broker, prefix: str) -> None:
    async with opened(settings_of(broker)) as outbox:
        outbox.close()
        for call in (outbox.send([]), outbox.send_raw("t", b"", b"", 0), outbox.flush()):
            with pytest.raises(OutboxError, match="closed"):
                await call


@pytest.mark.asyncio
async def test_nothing_waits_for_a_broker_that_is_given_up(own_broker: Broker, prefix: str) -> None:
    topic = create(own_broker, prefix + "given-up")
    async with opened(settings_of(own_broker)) as outbox:
        await outbox.send(numbered(topic, 10))
        await outbox.flush()
        own_broker.pause()
        await outbox.send(numbered(topic, 10, 10))
        cancelled = asyncio.create_task(outbox.flush())
        await check_that_it_waits(cancelled)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await outbox.send(numbered(topic, 10, 20))
        closed = asyncio.create_task(outbox.flush())
        await check_that_it_waits(closed)
        outbox.close()
        with pytest.raises(OutboxError, match="closed"):
            await closed
    own_broker.resume()
