"""The gateway's feed on a Kafka: reads without a group, so that it takes nothing from anybody."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from threading import Lock
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from agents.gateway.feed import KEPT, Batch, Engine, Numbered
from agents.outputs import ACCOUNTING, ALERT_LOG, ALERTS, DEAD_LETTER, VITALS, VITALS_LOG
from agents.recordings import Emitted
from streams.kafka.reading import Headers, Reader, Row
from streams.kafka.topics import ClientErrors, ClusterError, MissingTopicError, Settings
from streams.records import Lane

T = TypeVar("T")

_WAIT_S = 0.05
_AT_ONCE = 5_000
_PATIENCE_S = 30.0
_FRESH_S = 2.0
"""How old the known ends of the lanes may be."""
_SILENT_S = 90.0
"""After so long without a record no worker runs: each minute they tell of themselves at least."""
_DIGITS = 18
_HINT = "`cityvitals topics create` makes what is missing"


class _Tail:
    """Partition 0 of some topics, from given offsets on."""

    def __init__(self, settings: Settings) -> None:
        self.errors = ClientErrors(settings)
        self.consumer = Consumer(
            {
                **self.errors.settings,
                "group.id": "unused",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
            }
        )
        self.ended = set[str]()
        """Topics that were read to their end since the start."""
        self._fault: KafkaError | None = None
        """What is still to be raised."""

    def bounds(self, topic: str, partition: int = 0) -> tuple[int, int]:
        try:
            low, high = self.consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=_PATIENCE_S
            )
        except KafkaException as error:
            fault: KafkaError = error.args[0]
            if fault.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION):
                raise ConnectionError(f"{topic} is missing: {_HINT}") from None
            raise ConnectionError(str(self.errors.explain(fault))) from None
        return low, high

    def start(self, offsets: dict[str, int]) -> None:
        self.ended.clear()
        self.consumer.assign([TopicPartition(topic, 0, at) for topic, at in offsets.items()])

    def take(self, wait_s: float = _WAIT_S) -> list[Message]:
        """What came; faults of the connection are left to the client, which tries again.

        Others are raised once what came with them was taken.
        """
        fault, self._fault = self._fault, None
        if fault is None:
            messages = self.consumer.consume(_AT_ONCE, timeout=wait_s)
            self.ended |= {message.topic() or "" for message in messages if _is_end(message)}
            found = [message for message in messages if message.error() is None]
            fault = next(filter(_is_fault, (message.error() for message in messages)), None)
            if found or fault is None:
                self._fault = fault
                return found
        raise self.errors.explain(fault)


def _is_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF


def _is_fault(error: KafkaError | None) -> bool:
    """Whether it is one that no waiting mends."""
    return error is not None and error.code() in (
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    )


class _Known:
    """The last transition of each alert: what a worker sent twice counts once."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def is_new(self, headers: Headers) -> bool:
        """Whether a transition with these headers is there for the first time."""
        name = dict(headers or ()).get("ce_id")
        told = name.decode(errors="replace") if isinstance(name, bytes) else ""
        alert, _, number = told.partition("/")
        if not number.isdecimal() or len(number) > _DIGITS:
            return True  # of somebody who is no engine
        if int(number) <= self._last.get(alert, 0):
            return False
        self._last.pop(alert, None)
        self._last[alert] = int(number)
        if len(self._last) > 10 * KEPT:
            del self._last[next(iter(self._last))]
        return True


class KafkaFeed:
    """The topics of a Kafka.

    Parameters
    ----------
    settings
        Of a client, as librdkafka takes them.
    prefix
        Stands before the name of every topic.
    inputs
        Input topics and how many partitions each has.
    recorded
        Whether events are of a time that is not now.
    """

    marks_devices = False

    def __init__(
        self, settings: Settings, prefix: str, inputs: dict[str, int], *, recorded: bool = False
    ) -> None:
        self._recorded = recorded
        self._settings, self._prefix, self._inputs = settings, prefix, inputs
        self._live, self._bounds = _Tail(settings), _Tail(settings)
        self._logs: dict[str, tuple[_Tail, int | None]] = {}
        """By reader, its consumer and where that reads on."""
        self._reader = Reader(settings)
        self._reading = Lock()
        self._producer: Producer | None = None
        self._known = _Known()
        self._spoken, self._heard_at = False, time.monotonic()
        """Whether workers said something since it listens, and when they last did."""
        self._ends: dict[Lane, int] = {}
        self._ends_at = -float("inf")

    def begin(self) -> Batch:
        prefix, live, self._known = self._prefix, self._live, _Known()
        ends = {name: live.bounds(prefix + name) for name in (VITALS, ACCOUNTING, ALERT_LOG)}
        low, high = ends[ALERT_LOG]
        whole = Batch(alerts=self._standing(), next_number=high)
        offsets = {prefix + name: ends[name][0] for name in (VITALS, ACCOUNTING)}
        live.start({**offsets, prefix + ALERT_LOG: max(low, high - KEPT)})
        deadline = time.monotonic() + _PATIENCE_S
        while left := {prefix + name for name in ends} - live.ended:
            for message in live.take(0.2):
                self._note(whole, message)
                if message.topic() in left:
                    deadline = time.monotonic() + _PATIENCE_S
            if time.monotonic() > deadline:
                raise ConnectionError(f"nothing comes of {', '.join(sorted(left))}")
        self._heard_at = time.monotonic()
        return whole

    def _standing(self) -> list[bytes]:
        """Each alert as it was last told, whenever that was."""
        known, newest = _Known(), dict[bytes | None, bytes]()
        for row in self._read(lambda reader: reader.every(self._prefix + ALERTS)):
            if row.value is not None and known.is_new(row.headers):
                newest.pop(row.key, None)
                newest[row.key] = row.value
        return list(newest.values())

    def poll(self) -> Batch:
        batch = Batch()
        for message in self._live.take():
            self._note(batch, message)
            self._spoken, self._heard_at = True, time.monotonic()
        return batch

    def _note(self, batch: Batch, message: Message) -> None:
        topic, value, offset = message.topic(), message.value(), message.offset()
        if value is None or topic is None or offset is None:
            return
        name = topic.removeprefix(self._prefix)
        if name == VITALS:
            batch.results.append((message.key() or b"", value))
        elif name == ACCOUNTING:
            batch.accounting.append(value)
        elif self._known.is_new(message.headers()):
            batch.transitions.append((offset, value))

    def results_log(self, position: int, reader: str) -> list[Numbered]:
        topic = self._prefix + VITALS_LOG
        tail, at = self._logs.get(reader) or (_Tail(self._settings), None)
        if at != position:
            low, _ = tail.bounds(topic)
            tail.start({topic: max(low, position)})
        found = []
        for message in tail.take():
            offset, value = message.offset(), message.value()
            if offset is not None and value is not None:
                found.append((offset, value))
        self._logs[reader] = tail, found[-1][0] + 1 if found else position
        return found

    def transitions(self, number: int, most: int) -> list[Numbered]:
        topic, known = self._prefix + ALERT_LOG, _Known()
        # What a worker sent twice is known by what stands before it.
        since = max(0, number - KEPT)

        def wanted(reader: Reader) -> Iterator[Row]:
            new = (row for row in reader.since(topic, 0, since) if known.is_new(row.headers))
            return islice((row for row in new if row.offset >= number), most)

        return [(row.offset, row.value) for row in self._read(wanted) if row.value is not None]

    def first_transition(self) -> int:
        low, _ = self._bounds.bounds(self._prefix + ALERT_LOG)
        return low

    def record(self, topic: str, partition: int, offset: int) -> bytes | None:
        def found(reader: Reader) -> list[Row | None]:
            return [reader.one(self._prefix + topic, partition, offset)]

        (row,) = self._read(found)
        return None if row is None else row.value

    def dead_letters(self, most: int) -> list[Numbered]:
        rows = self._read(lambda reader: reader.newest(self._prefix + DEAD_LETTER, most))
        return [(row.offset, row.value) for row in reversed(rows) if row.value is not None]

    def _read(self, ask: Callable[[Reader], Iterable[T]]) -> list[T]:
        with self._reading:
            try:
                return list(ask(self._reader))
            except MissingTopicError as error:
                raise ConnectionError(f"{error}: {_HINT}") from error
            except ClusterError as error:
                raise ConnectionError(str(error)) from error

    def ends(self) -> dict[Lane, int]:
        if time.monotonic() - self._ends_at > _FRESH_S:
            self._ends = {
                Lane(topic, p): self._bounds.bounds(self._prefix + topic, p)[1]
                for topic, count in self._inputs.items()
                for p in range(count)
            }
            self._ends_at = time.monotonic()
        return self._ends

    def now(self) -> int | None:
        return None if self._recorded else time.time_ns() // 1_000_000

    def pace(self) -> float:
        return 1.0

    def engine(self) -> Engine:
        if self._recorded:
            return "unknown"
        if time.monotonic() - self._heard_at > _SILENT_S:
            return "stopped"
        return "running" if self._spoken else "unknown"

    def partitions(self, topic: str) -> int:
        if topic not in self._inputs:
            raise MissingTopicError(f"{topic} is missing")
        return self._inputs[topic]

    def put(self, records: Sequence[Emitted]) -> list[int]:
        if self._producer is None:
            told = {"enable.idempotence": True, "message.timeout.ms": 20_000}
            self._producer = Producer({**self._settings, **told})
        offsets: list[int | None] = [None] * len(records)
        failed: list[KafkaError] = []

        def note(place: int) -> Callable[[KafkaError | None, Message], None]:
            def delivered(error: KafkaError | None, message: Message) -> None:
                if error is None:
                    offsets[place] = message.offset()
                else:
                    failed.append(error)

            return delivered

        for place, record in enumerate(records):
            self._producer.produce(
                self._prefix + record.topic,
                record.value,
                record.key,
                partition=record.partition,
                on_delivery=note(place),
            )
            self._producer.poll(0)
        self._producer.flush(_PATIENCE_S)
        if failed or None in offsets:
            reason = failed[0].str() if failed else "the broker did not answer in time"
            raise ConnectionError(f"events did not arrive: {reason}")
        return [offset for offset in offsets if offset is not None]

    def close(self) -> None:
        self._live.consumer.close()
        for tail in (self._bounds, *(tail for tail, _ in self._logs.values())):
            tail.consumer.close()
