"""Faust transport over the embedded log: ``local:///ABSOLUTE/PATH``, no broker.

Each message that an agent gets is one `streams.records.Chunk`, so topics are declared with
``acks=False, value_serializer="raw"`` and the engine commits offsets itself, in the transaction
that holds its outputs and its snapshot.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import quote

from faust.assignor.partition_assignor import PartitionAssignor
from faust.exceptions import ImproperlyConfigured, ProducerSendError
from faust.transport import base
from faust.transport.consumer import Consumer as BaseConsumer
from faust.types import TP, AppT, ConsumerMessage, RecordMetadata
from faust.types.core import HeadersArg
from mode.utils.times import Seconds, want_seconds
from yarl import URL

from streams.chunk_codec import join
from streams.log_store import LogStore
from streams.partitioning import partition_of
from streams.records import Chunk, Lane
from streams.transports.ahead import Ahead

_POLL_S = 0.1  # how late a commit of another process is seen


def broker_url(folder: Path) -> str:
    """URL of the log in a folder, for Faust's ``broker`` setting.

    Examples
    --------
    >>> broker_url(Path("/var/lib/city vitals"))
    'local:///var/lib/city%20vitals'
    """
    return f"local://{quote(str(folder.absolute()))}"


def folder_of(urls: Iterable[URL]) -> Path:
    """Folder that a broker URL names.

    Raises
    ------
    ImproperlyConfigured
        If it names a host or a relative path: both would open a folder nobody meant.
    """
    first, *others = urls
    if others:
        raise ImproperlyConfigured(f"{first}: the embedded log is one folder; give one URL")
    if first.host or not first.path.startswith("/") or first.path == "/":
        raise ImproperlyConfigured(
            f"{first}: not the URL of an embedded log; give an absolute path after three "
            "slashes, as in local:///var/lib/city-vitals"
        )
    if first.query_string or first.fragment:
        raise ImproperlyConfigured(f"{first}: write ? as %3F and # as %23 in the path")
    return Path(first.path)


class Consumer(BaseConsumer):
    """Reads the log of this process's store; the only member of its group.

    Positions on assignment are what the engine committed under the app's id.
    """

    transport: Transport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._positions: dict[TP, int] = {}
        self._ends: dict[Lane, int] = {}
        self._waiting: dict[TP, deque[Chunk]] = defaultdict(deque)
        self._subscribed: frozenset[str] = frozenset()
        self._assigned: set[TP] = set()
        self._generation = 0
        self._wake = asyncio.Event()
        self._ahead = Ahead(self._wake.set)
        self._version = -1

    @property
    def store(self) -> LogStore:
        return self.transport.store

    async def on_start(self) -> None:
        self.transport.enter(self)
        try:
            self.store.own()
        except BaseException:
            self.transport.leave(self)
            raise
        self._running = asyncio.get_running_loop()
        self.store.listen(self._on_append)
        await super().on_start()

    async def on_stop(self) -> None:
        self._wake.set()
        await super().on_stop()

    async def on_shutdown(self) -> None:
        await super().on_shutdown()
        self.store.unlisten(self._on_append)
        self.transport.leave(self)

    def _on_append(self) -> None:
        self._running.call_soon_threadsafe(self._wake.set)

    # -- assignment

    async def subscribe(self, topics: Iterable[str]) -> None:
        self._subscribed = frozenset(topics)
        for topic in sorted(self._subscribed):
            if self.app.topics.acks_enabled_for(topic):
                raise ImproperlyConfigured(
                    f"{topic}: declare it with acks=False; Faust would commit the first offset "
                    "of a chunk as if it were the whole of it"
                )
            self.transport.declare(topic)
        # Not here: the conductor ends its subscription, which the rebalance waits for, only
        # after this method has returned.
        self.add_future(self._rebalance())

    async def _rebalance(self) -> None:
        self.app.on_rebalance_start()
        await self.on_partitions_revoked(set(self._assigned))
        assignor = cast(PartitionAssignor, self.app.assignor)
        members = {self.app.conf.id: assignor.metadata(set(self._subscribed))}
        plan = assignor._assign(_Cluster(self.store), members)[self.app.conf.id]
        self._generation += 1
        self.app.consumer_generation_id = self._generation
        assignor.on_assignment(plan)
        self._assigned = {TP(topic, p) for topic, ps in plan.assignment for p in ps}
        self._positions = {tp: self.store.first_offset(*tp) for tp in self._assigned}
        self._ahead.clear()
        self._waiting.clear()
        self._version = -1
        await self.on_partitions_assigned(set(self._assigned), self._generation)

    def assignment(self) -> set[TP]:
        return set(self._assigned)

    # -- positions

    async def seek_to_committed(self) -> Mapping[TP, int]:
        for tp in self._assigned:
            offset = self.store.committed(self.app.conf.id, Lane(*tp))
            self._move(tp, self.store.first_offset(*tp) if offset is None else offset)
        return {tp: self._positions[tp] for tp in self._assigned}

    async def _seek(self, partition: TP, offset: int) -> None:
        self._move(partition, offset)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        for tp, offset in partitions.items():
            self._move(tp, offset)
            self._read_offset[tp] = offset or None

    def _move(self, tp: TP, offset: int) -> None:
        self._positions[tp] = offset
        self._ahead.forget(tp)
        self._waiting[tp].clear()
        self._version = -1
        self._wake.set()

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        with self.store.transaction() as tx:
            tx.commit(self.app.conf.id, {Lane(*tp): offset for tp, offset in offsets.items()})
        return True

    async def position(self, tp: TP) -> int | None:
        return self._positions.get(tp)

    def highwater(self, tp: TP) -> int:
        return self.store.end_offset(*tp)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        return {tp: self.store.end_offset(*tp) for tp in partitions}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return {tp: self.store.first_offset(*tp) for tp in partitions}

    # -- reading

    async def _getmany(
        self, active_partitions: set[TP] | None, timeout: float
    ) -> Mapping[TP, list[Chunk]]:
        deadline = time.monotonic() + timeout
        generation = self.app.consumer_generation_id
        while self.flow_active and not self.should_stop:
            self._wake.clear()
            self._look()
            found: dict[TP, list[Chunk]] = {}
            # A copy: pressure on a stream's buffer takes members away meanwhile.
            for tp in sorted(self._assigned if active_partitions is None else active_partitions):
                if self._readable(tp):
                    found[tp] = self._read(tp)
                    await asyncio.sleep(0)
                    if not self.flow_active or generation != self.app.consumer_generation_id:
                        return {}  # the rebalance has put the positions back
            left = deadline - time.monotonic()
            if found or left <= 0:
                return found
            # A timer, and not `wait_for`, which makes a task each time.
            timer = self._running.call_later(min(left, _POLL_S), self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()
        return {}

    def _look(self) -> None:
        version = self.store.data_version()
        if version != self._version:
            self._version = version
            self._ends = self.store.end_offsets()

    def _readable(self, tp: TP) -> bool:
        return self._positions[tp] < self._ends.get(Lane(*tp), 0) and self._ahead.room(tp) > 0

    def _read(self, tp: TP) -> list[Chunk]:
        waiting = self._waiting[tp]
        if not waiting:
            waiting.extend(join(self.store.read(*tp, self._positions[tp])))
        room = min(self._ahead.room(tp), len(waiting))
        chunks = [waiting.popleft() for _ in range(room)]
        if chunks:
            self._positions[tp] = chunks[-1].next_offset
        else:
            self._positions[tp] = self._ends[Lane(*tp)]  # the rest was trimmed away
        return chunks

    def _to_message(self, tp: TP, record: Chunk) -> ConsumerMessage:
        message = ConsumerMessage(
            tp.topic,
            tp.partition,
            record.offsets[0],
            record.timestamps[0] / 1000,
            0,
            list(record.headers),
            None,
            record,  # type: ignore[arg-type]  # the codec "raw" hands it on as it is
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )
        self._ahead.add(tp, message)
        return message

    # -- topics

    async def create_topic(
        self, topic: str, partitions: int, replication: int, **options: Any
    ) -> None:
        self.transport.declare(topic, partitions, **options)

    def topic_partitions(self, topic: str) -> int | None:
        return self.transport.declare(topic)

    def key_partition(
        self, topic: str, key: bytes | None, partition: int | None = None
    ) -> int | None:
        return self.transport.place(topic, key, partition).partition

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)


class Producer(base.Producer):
    """Appends one record a transaction; the engine's outputs do not go this way."""

    transport: Transport

    async def on_start(self) -> None:
        self.transport.enter(self)
        await super().on_start()

    async def on_shutdown(self) -> None:
        await super().on_shutdown()
        self.transport.leave(self)

    async def create_topic(
        self, topic: str, partitions: int, replication: int, **options: Any
    ) -> None:
        self.transport.declare(topic, partitions, **options)

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: HeadersArg | None,
        *,
        transactional_id: str | None = None,
    ) -> Awaitable[RecordMetadata]:
        """Append one record; it is durable before the future returned is done."""
        done: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        done.set_result(self._append(topic, key, value, partition, timestamp, headers))
        return done

    async def send_and_wait(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: HeadersArg | None,
        *,
        transactional_id: str | None = None,
    ) -> RecordMetadata:
        """Append one record."""
        return self._append(topic, key, value, partition, timestamp, headers)

    def _append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: HeadersArg | None,
    ) -> RecordMetadata:
        if value is None:
            raise ProducerSendError(f"{topic}: the embedded log takes no record without a value")
        self.transport.declare(topic)
        tp = self.transport.place(topic, key, partition)
        store = self.transport.store
        at = store.now_ms() if timestamp is None else round(timestamp * 1000)
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        with store.transaction() as tx:
            offset = tx.append(*tp, [at], [key], [value], tuple((n, v) for n, v in pairs))
        return RecordMetadata(topic, tp.partition, tp, offset, at / 1000, 0)

    async def flush(self) -> None:
        await self.buffer.flush()

    def key_partition(self, topic: str, key: bytes) -> TP:
        return self.transport.place(topic, key, None)

    def supports_headers(self) -> bool:
        return True


class Transport(base.Transport):
    """The entry point ``local`` of ``faust.transports``.

    Raises
    ------
    ImproperlyConfigured
        If the URL names a host or a relative path.
    """

    Consumer: ClassVar[Any] = Consumer
    Producer: ClassVar[Any] = Producer
    driver_version = "local"
    default_port = 0

    def __init__(
        self, url: list[URL], app: AppT, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        super().__init__(url, app, loop)
        self.folder = folder_of(url)
        self._store: LogStore | None = None
        self._adopted = False
        self._users: set[object] = set()

    @property
    def store(self) -> LogStore:
        """The log, opened on first use and closed when consumer and producer have stopped."""
        if self._store is None:
            self._store = LogStore(self.folder)
        return self._store

    def adopt(self, store: LogStore) -> None:
        """Use a store that the caller has opened, and will close."""
        if self._store is not None:
            raise RuntimeError(f"{self.folder} is open already: adopt a store before the start")
        self._store, self._adopted = store, True

    def enter(self, user: object) -> None:
        """Note a user of the store."""
        self._users.add(user)

    def leave(self, user: object) -> None:
        """Forget a user of the store; the last one closes a store opened here."""
        self._users.discard(user)
        if not self._users and self._store is not None and not self._adopted:
            self._store.close()
            self._store = None

    def declare(
        self,
        topic: str,
        partitions: int | None = None,
        *,
        retention: Seconds | None = None,
        compacting: bool | None = None,
        **others: Any,
    ) -> int:
        """Create a topic unless it exists; returns its number of partitions."""
        known = {found.name: found.partitions for found in self.store.topics()}
        if topic not in known:
            count = partitions or int(self.app.conf.topic_partitions)
            keep = None if retention is None else round(want_seconds(retention) * 1000)
            self.store.create_topic(topic, count, bool(compacting), keep)
            return count
        return known[topic]

    def place(self, topic: str, key: bytes | None, partition: int | None) -> TP:
        """Partition that a record goes to, by its key unless it is given."""
        if partition is None:
            partition = partition_of(key, self.store.partitions(topic))
        return TP(topic, partition)


class _Cluster:
    """What Faust's assignor asks of Kafka's metadata."""

    def __init__(self, store: LogStore) -> None:
        self._partitions = {topic.name: topic.partitions for topic in store.topics()}

    def topics(self) -> set[str]:
        return set(self._partitions)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        count = self._partitions.get(topic)
        return None if count is None else set(range(count))
