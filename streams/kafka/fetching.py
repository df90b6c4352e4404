"""The thread that fetches: what Kafka has of bulk topics, as chunks, few ahead of the agents."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]
from aiokafka.consumer.fetcher import (  # type: ignore[import-untyped]
    Fetcher,
    FetchError,
    FetchResult,
    PartitionRecords,
)
from aiokafka.coordinator.assignors.roundrobin import (  # type: ignore[import-untyped]
    RoundRobinPartitionAssignor,
)
from aiokafka.errors import (  # type: ignore[import-untyped]
    ConsumerStoppedError,
    CorruptRecordException,
)
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.kafka.decoding import ChunkRecords
from streams.records import Chunk, Lane
from streams.spent import FETCH

if TYPE_CHECKING:
    from streams.kafka.transport import Consumer

# A partition that has just been emptied is asked for again only when a fetch that waits for the
# others has been answered, and so is one whose position has changed.
_FETCH_WAIT_MS = 100
_LEAVE_S = 5.0


class Fetched(NamedTuple):
    """A chunk, and the generation of the group that it was fetched in."""

    generation: int
    chunk: Chunk


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Fetches and decodes beside the event loop of the agents."""

    consumer: Consumer
    _waiter: asyncio.Future[None] | None = None

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        conf = self.app.conf
        # Lanes need no company: deal them out one by one, so that no member is left out.
        self._assignor = RoundRobinPartitionAssignor
        return AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset=conf.consumer_auto_offset_reset,
            isolation_level="read_committed",
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            check_crcs=conf.broker_check_crcs,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    def highwater(self, tp: TP) -> int:
        """The end of what can be read; what open transactions hold back is beyond it."""
        return cast(int, self._ensure_consumer().last_stable_offset(tp))

    async def on_thread_stop(self) -> None:
        """Leave the group, so that it need not wait for the end of the session."""
        await super(driver.AIOKafkaConsumerThread, self).on_thread_stop()
        if self._consumer is not None:
            try:
                async with asyncio.timeout(_LEAVE_S):
                    await self._consumer.stop()
            # The one where no coordinator answers, the other where a fetch has just failed:
            # Faust would wait for a minute, as this thread would not be seen to end.
            except (TimeoutError, asyncio.CancelledError):
                await self._consumer._client.close()

    def close(self) -> None:
        """Nothing: a thread that stops leaves the group itself.

        Faust calls this where a rebalance meets a stop of the app; closed connections would keep
        the thread from leaving.
        """

    def wake(self) -> None:
        """Look again at what may be read; from any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.thread_loop.call_soon_threadsafe(self._end_wait)

    def _end_wait(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Mapping[TP, list[Any]]:
        self.consumer.transport.spent.note_thread(FETCH)
        fetcher: Fetcher = consumer._fetcher
        deadline = time.monotonic() + (timeout or 0.0)
        with fetcher._subscriptions.fetch_context():
            while self.consumer.flow_active:
                if consumer._closed or fetcher._closed:
                    raise ConsumerStoppedError
                found = await self._take(fetcher, active_partitions, max_records)
                left = deadline - time.monotonic()
                if found or left <= 0:
                    return found
                self._waiter = fetcher._create_fetch_waiter()
                await asyncio.wait([self._waiter], timeout=left)
                if self._waiter.done():
                    self._waiter.result()  # errors of the group's coordinator
                else:
                    self._waiter.cancel()
        return {}

    async def _take(
        self, fetcher: Fetcher, active: set[TP], max_records: int | None
    ) -> dict[TP, list[Any]]:
        """What was fetched and is wanted; no rebalance comes between, as nothing here waits."""
        if fetcher._subscriptions.reassignment_in_progress:
            return {}
        transport = self.consumer.transport
        found: dict[TP, list[Any]] = {}
        others = []
        for tp in list(fetcher._records):
            if tp not in active:
                continue
            lane = transport.lane(tp)
            if lane is None:
                others.append(tp)
            elif chunks := self._take_chunks(fetcher, tp, lane):
                found[tp] = chunks
        if others:
            found |= await fetcher.fetched_records(others, timeout=0, max_records=max_records)
        return found

    def _take_chunks(self, fetcher: Fetcher, tp: TP, lane: Lane) -> list[Fetched]:
        result = fetcher._records[tp]
        if isinstance(result, FetchError):
            result.check_raise()
        chunks: list[Fetched] = []
        self._decode_as_chunks(result, lane)
        while len(chunks) < self.consumer.ahead.room(tp):
            chunk = result.getone()
            if chunk is None:
                del fetcher._records[tp]
                fetcher._notify(fetcher._wait_consume_future)
                break
            chunks.append(Fetched(self.app.consumer_generation_id, chunk))
        return chunks

    def _decode_as_chunks(self, result: FetchResult, lane: Lane) -> None:
        found = result._partition_records
        if type(found) is PartitionRecords:
            if not found._records.is_modern:
                raise CorruptRecordException(
                    f"{lane}: its records are in a format from before Kafka 0.11: copy them to a "
                    "new topic"
                )
            result._partition_records = ChunkRecords(
                result._partition_records, lane, self.consumer.transport.kept_headers
            )
