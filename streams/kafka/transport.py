"""Faust transport over Apache Kafka, ``chunks://HOST:PORT``: messages are chunks of records.

Of a *bulk* topic each message that an agent gets is one `streams.records.Chunk`; other topics go
Faust's own way, a message a record.  Faust's acknowledgements are off (``acks=False``): the engine
knows its positions, and they are where reading begins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ClassVar, TypeAlias

from faust.exceptions import ImproperlyConfigured
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from schemas.kafka import Kafka
from streams.kafka.connection import credentials
from streams.kafka.fetching import ConsumerThread, Fetched
from streams.records import Chunk, Lane
from streams.spent import Spent
from streams.transports.ahead import Ahead

Positions: TypeAlias = Callable[[Lane], int | None]

# Members of a group learn of a rebalance by the answer to a heartbeat.
_HEARTBEAT_S = 0.5
_REBALANCE_S = 30.0  # for the others to save their state and join anew


def broker_url(kafka: Kafka) -> str:
    """The brokers, for Faust's ``broker`` setting.

    Examples
    --------
    >>> broker_url(Kafka(broker="kafka://a:9092,[::1]:9093"))
    'chunks://a:9092;chunks://[::1]:9093'
    """
    return ";".join(f"chunks://{server}" for server in kafka.servers.split(","))


def app_settings(kafka: Kafka) -> dict[str, Any]:
    """All that `faust.App` must be told, beside its id, to run on the cluster.

    Raises
    ------
    ConnectionSettingError
        If a file that the settings name can not be used.
    """
    session = kafka.session_timeout_s
    # Kafka answers a join only when the others have joined too.
    rebalance = max(_REBALANCE_S, session)
    return {
        "broker": broker_url(kafka),
        "broker_credentials": credentials(kafka.security),
        "broker_session_timeout": session,
        "broker_heartbeat_interval": min(_HEARTBEAT_S, session / 3),
        "broker_rebalance_timeout": rebalance,
        "broker_request_timeout": rebalance + 10.0,
        # Offsets are the engine's: nothing that Faust takes for the end may skip a record.
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": kafka.fetch_bytes,
        # How late a new topic or partition is seen; the default is five minutes.
        "consumer_metadata_max_age_ms": 10_000,
        "producer_request_timeout": 30.0,
        "stream_wait_empty": False,
        "table_standby_replicas": 0,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_enabled": False,
    }


class LogTruncatedError(Exception):
    """A partition ends before the position that it was to be read from."""


class Consumer(driver.Consumer):
    """Begins where the engine's positions are, and reads few chunks ahead of it."""

    transport: Transport
    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ahead = Ahead(self._thread.wake)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def subscribe(self, topics: Iterable[str]) -> None:
        names = set(topics)
        for topic in sorted(names):
            if self.app.topics.acks_enabled_for(topic):
                raise ImproperlyConfigured(
                    f"{topic}: declare it with acks=False; Faust would commit the first offset "
                    "of a chunk as if it were the whole of it"
                )
        await super().subscribe(names)

    def stop_flow(self) -> None:
        super().stop_flow()
        self._thread.wake()

    async def _wait_next_records(
        self, timeout: float
    ) -> tuple[Mapping[TP, list[Any]] | None, set[TP] | None]:
        # Unlike Faust's, it does not sleep for a second where a member has no partitions, and
        # what a rebalance made void is dropped: Faust would then go to what was committed, at a
        # time when the positions may be set already.
        while not self.should_stop:
            if not self.flow_active:
                await self.wait(self.can_resume_flow)  # type: ignore[arg-type]
            active = self._get_active_partitions()
            found = await self._getmany(active, timeout)
            if self.flow_active:
                return {tp: got for tp, got in found.items() if self._is_current(got[0])}, active
        return None, None

    def _is_current(self, record: Any) -> bool:
        return (
            not isinstance(record, Fetched) or record.generation == self.app.consumer_generation_id
        )

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust's search for stalls errs after each rebalance of a long run."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        # Faust does so only for a member that has partitions: any other would read those it is
        # given before it was told from where.
        self.stop_flow()
        await super().on_partitions_revoked(revoked)

    async def perform_seek(self) -> None:
        """Go to the positions of the engine; where it has none, to what was committed."""
        await super().perform_seek()
        self.ahead.clear()
        wanted: dict[TP, int] = {}
        for tp in self.assignment():
            lane = self.transport.lane(tp)
            offset = None if lane is None else self.transport.positions(lane)
            if offset is not None:
                wanted[tp] = offset
        if wanted:
            await self.seek_wait(wanted)
            self._committed_offset.update({tp: offset or None for tp, offset in wanted.items()})

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if not isinstance(record, Fetched):
            return super()._to_message(tp, record)
        generation, chunk = record
        self._check_order(tp, chunk)
        message = ConsumerMessage(
            tp.topic,
            tp.partition,
            chunk.first_offset,
            chunk.timestamps[0] / 1000 if chunk.timestamps else 0.0,
            0,
            list(chunk.headers),
            None,
            chunk,  # type: ignore[arg-type]  # the codec "raw" hands it on as it is
            None,
            0,
            0,
            tp,
            generation_id=generation,
        )
        self.ahead.add(tp, message)
        return message

    def _check_order(self, tp: TP, chunk: Chunk) -> None:
        # Faust would drop the chunk without a word, and those after it up to that offset.
        read = self._read_offset[tp]
        if read is not None and chunk.first_offset < read:
            raise LogTruncatedError(
                f"{chunk.lane}: reading was at offset {read}, but the log ends before it and was "
                f"read from {chunk.first_offset}: it was truncated, or deleted and made anew; "
                "restore it, or begin anew with another kafka.group and kafka.prefix"
            )


class Producer(driver.Producer):
    """Sends what Faust itself has to send; the outputs of the engine do not go this way."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class Transport(driver.Transport):
    """The entry point ``chunks`` of ``faust.transports``."""

    Consumer: ClassVar[Any] = Consumer
    Producer: ClassVar[Any] = Producer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._names: dict[str, str] = {}
        self.positions: Positions = _nowhere
        self.kept_headers: frozenset[str] = frozenset()
        self.spent = Spent()

    def adopt(
        self,
        *,
        prefix: str,
        bulk: Collection[str],
        positions: Positions,
        kept_headers: Collection[str] = (),
        spent: Spent | None = None,
    ) -> None:
        """Say what is read in chunks, and from where; to be called before the app starts.

        Parameters
        ----------
        prefix
            Stands before the name of each topic in Kafka, and is not in `Chunk.topic`.
        bulk
            Topics that come in chunks, without the prefix.
        positions
            The next offset of a lane, asked after each rebalance when the handlers of
            ``on_rebalance_complete`` are done; None for where the group has committed, or for
            the first record where it has not.
        kept_headers
            Names of the headers that chunks keep; a chunk ends where the value of one changes.
        spent
            Where the time counts that fetching takes.
        """
        self._names = {prefix + topic: topic for topic in bulk}
        self.positions = positions
        self.kept_headers = frozenset(kept_headers)
        self.spent = spent or self.spent

    def lane(self, tp: TP) -> Lane | None:
        """The lane of a partition of a bulk topic."""
        name = self._names.get(tp.topic)
        return None if name is None else Lane(name, tp.partition)


def _nowhere(lane: Lane) -> None:
    return None
