"""The Faust app of a worker on Kafka: thin agents over the engine, and how a run goes."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import faust
from confluent_kafka import Consumer, KafkaException, TopicPartition
from faust.types import TP, EventT, StreamT

from agents.app import NoTables, drive, first_of
from agents.cluster import Cluster
from agents.intake import REDRIVE_HEADER
from agents.metrics import Metrics
from agents.outputs import CLAIM, CONTROL, PARTIALS, SNAPSHOTS, TICKS
from agents.plan import Plan
from agents.topology import SNAPSHOT_PARTITIONS
from agents.watchdog import Watchdog
from schemas.kafka import Kafka
from streams.kafka.connection import client_settings
from streams.kafka.outbox import Outbox
from streams.kafka.snapshots import SnapshotTopic
from streams.kafka.tick_log import TickLog
from streams.kafka.topics import ClientErrors
from streams.kafka.transport import Consumer as Member
from streams.kafka.transport import Transport, app_settings
from streams.records import Chunk, Lane, Output
from streams.spent import Spent

_ANSWER_S = 30.0
_SAVE_S = 0.05
_TICK_S = 0.25
_QUIET_S = 10.0


class _Group:
    """The consumer group, through the app that is its member."""

    def __init__(self, app: faust.App, kafka: Kafka) -> None:
        self._app, self._prefix = app, kafka.prefix
        self._settings = {**client_settings(kafka), "group.id": f"{group_of(kafka)}-watermarks"}

    def _tp(self, lane: Lane) -> TP:
        return TP(self._prefix + lane.topic, lane.partition)

    async def commit(self, offsets: Mapping[Lane, int]) -> bool:
        member = self._app.consumer
        assert isinstance(member, Member)
        asked = {self._tp(lane): offset for lane, offset in offsets.items()}
        return bool(await member._commit(asked)) and member.assignment().issuperset(asked)

    def end_offset(self, lane: Lane) -> int | None:
        try:
            return self._app.consumer.highwater(self._tp(lane))
        except Exception:  # not assigned, or not asked for yet
            return None

    def first_offsets(self, lanes: Collection[Lane]) -> dict[Lane, int]:
        return {lane: first for lane, (first, _) in self._watermarks(lanes).items()}

    def end_offsets(self, lanes: Collection[Lane]) -> dict[Lane, int]:
        return {lane: end for lane, (_, end) in self._watermarks(lanes).items()}

    def _watermarks(self, lanes: Collection[Lane]) -> dict[Lane, tuple[int, int]]:
        errors = ClientErrors(self._settings)
        consumer = Consumer(errors.settings)
        try:
            return {
                lane: consumer.get_watermark_offsets(
                    TopicPartition(*self._tp(lane)), timeout=_ANSWER_S
                )
                for lane in lanes
            }
        except KafkaException as error:
            raise errors.explain(error.args[0]) from error
        finally:
            consumer.close()


def group_of(kafka: Kafka) -> str:
    """Name of the consumer group."""
    return kafka.prefix + kafka.group


def build_app(plan: Plan, datadir: Path) -> faust.App:
    """A Faust app without agents yet."""
    kafka = plan.configuration.kafka
    app = faust.App(
        group_of(kafka),
        **app_settings(kafka),
        datadir=str(datadir),
        autodiscover=False,
        loghandlers=[],
        TableManager=NoTables,
    )
    # All that is sent goes by an outbox.
    app.boot_strategy.enable_kafka_producer = False
    return app


def join(app: faust.App, plan: Plan, cluster: Cluster) -> None:
    """Have the app's agents hand the chunks of all lanes to the engine."""
    kafka = plan.configuration.kafka
    names = [*plan.topics, PARTIALS, CONTROL]
    transport = app.transport
    assert isinstance(transport, Transport)
    transport.adopt(
        prefix=kafka.prefix,
        bulk=frozenset(names),
        positions=cluster.position,
        kept_headers=frozenset({REDRIVE_HEADER}),
        spent=cluster.spent,
    )

    async def take(event: EventT[Any], generation: int) -> None:
        # Faust would restart an agent that raised and go on with half-applied state.
        try:
            await cluster.take(cast(Chunk, event.value), generation)
        except Exception as error:
            await app.crash(error)

    async def take_chunks(chunks: StreamT[Chunk]) -> None:
        busy: dict[Lane, asyncio.Task[None]] = {}
        async for event in chunks.events():
            lane = event.value.lane
            if lane in busy:
                await busy[lane]
            busy[lane] = asyncio.create_task(take(event, event.message.generation_id))

    for name in names:
        inputs = app.topic(kafka.prefix + name, acks=False, key_type=bytes, value_serializer="raw")
        app.agent(inputs, name=f"take.{name}")(take_chunks)

    @app.on_partitions_revoked.connect
    async def revoked(*_: Any, **__: Any) -> None:
        try:
            await cluster.suspend()
        except Exception as error:
            await app.crash(error)

    @app.on_rebalance_complete.connect
    async def complete(*_: Any, **__: Any) -> None:
        bulk = {kafka.prefix + name: name for name in names}
        assigned = app.consumer.assignment()
        lanes = [Lane(bulk[tp.topic], tp.partition) for tp in assigned if tp.topic in bulk]
        try:
            await cluster.restore(sorted(lanes), app.consumer_generation_id)
        except Exception as error:
            await app.crash(error)


def run_worker(
    plan: Plan,
    metrics: Metrics,
    begin: Callable[[Cluster], None],
    attend: Callable[[], Coroutine[Any, Any, None]],
    publish: Callable[[list[Output]], None],
    published: Collection[str],
    say: Callable[[str], None],
    stopping: Callable[[], asyncio.Event],
) -> dict[str, Any]:
    """Run until ``stopping`` is set or something fails; the summary of what was done.

    Raises
    ------
    Exception
        What an agent failed with; nothing was saved after it.
    """
    kafka = plan.configuration.kafka
    settings = client_settings(kafka)

    async def go(held: ExitStack) -> dict[str, Any]:
        folder = held.enter_context(TemporaryDirectory(prefix="cityvitals-worker-"))
        app = build_app(plan, Path(folder))
        spent = Spent()
        outbox, saving = Outbox(settings, _seldom(say), spent), Outbox(settings)
        held.callback(outbox.close)
        held.callback(saving.close)
        snapshots = SnapshotTopic(settings, kafka.prefix + SNAPSHOTS, SNAPSHOT_PARTITIONS)
        ticks = TickLog(settings, kafka.prefix + TICKS, uuid.uuid4().hex, CLAIM)
        held.callback(ticks.close)
        await asyncio.to_thread(ticks.open)
        group = _Group(app, kafka)
        ways = (group, outbox, saving, snapshots, ticks)
        cluster = Cluster(plan, *ways, metrics, publish, published, say, spent)
        metrics.watch(cluster)
        join(app, plan, cluster)
        begin(cluster)
        watchdog = Watchdog(lambda: cluster.steps, lambda: cluster.occupied, kafka.stall_s)

        watching = asyncio.ensure_future(watchdog.attend())

        async def source() -> None:
            await first_of(_keep_saved(cluster), _keep_time(cluster), attend())

        try:
            await drive(app, source, cluster.close, stopping())
        finally:
            watching.cancel()
        return cluster.summary()

    with ExitStack() as held:
        return asyncio.run(go(held))


def _seldom(say: Callable[[str], None]) -> Callable[[str], None]:
    """Pass on a sentence, if the last one was not just before."""
    said = -_QUIET_S

    def seldom(sentence: str) -> None:
        nonlocal said
        if time.monotonic() - said >= _QUIET_S:
            said = time.monotonic()
            say(f"broker: {sentence}")

    return seldom


async def _keep_saved(cluster: Cluster) -> None:
    while True:
        await asyncio.sleep(_SAVE_S)
        await cluster.checkpoint_if_due()


async def _keep_time(cluster: Cluster) -> None:
    while True:
        await asyncio.sleep(_TICK_S)
        # A run that ends waits for it: half of a tick would break the engine.
        await asyncio.shield(asyncio.ensure_future(_look_at_time(cluster)))


async def _look_at_time(cluster: Cluster) -> None:
    await cluster.show()
    await cluster.follow_ticks()
    await cluster.tick_silent(round(time.time() * 1000))
