"""Records of a topic as they stand now, read without a group: nothing is committed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self, TypeAlias

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.kafka.topics import PATIENCE_S, ClientErrors, MissingTopicError, Settings

_AT_ONCE = 1000
_PAUSE_S = 0.1
_ATTEMPT_S = 1.0


Headers: TypeAlias = dict[str, str | bytes | None] | Sequence[tuple[str, str | bytes | None]] | None
"""As the client gives them."""


class Row(NamedTuple):
    """A record; ``value`` is None where it deletes its key."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = None


class Reader:
    """Reads topics from where they begin, or nearly end, to where they ended when it was asked.

    Every method raises `ClusterError`: nobody answers, or the cluster refuses.

    Parameters
    ----------
    settings
        Of the client, as librdkafka takes them.
    """

    def __init__(self, settings: Settings) -> None:
        self._errors = ClientErrors(settings)
        self._consumer = Consumer(
            {
                **self._errors.settings,
                "group.id": "unused",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                # Other questions wait behind a fetch that waits for more to come.
                "fetch.wait.max.ms": 10,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def every(self, topic: str) -> Iterator[Row]:
        """All records, each partition in its order."""
        return self._read(topic, self._ends(topic))

    def newest(self, topic: str, count: int) -> Iterator[Row]:
        """About so many of the last records, as many of each partition."""
        ends = self._ends(topic)
        each = -(-count // max(1, len(ends)))
        newest = {p: (max(low, high - each), high) for p, (low, high) in ends.items()}
        return self._read(topic, newest)

    def since(self, topic: str, partition: int, offset: int) -> Iterator[Row]:
        """The records of a partition from an offset on, or from the first there is."""
        low, high = self._ends(topic).get(partition, (0, 0))
        return self._read(topic, {partition: (max(low, offset), high)})

    def one(self, topic: str, partition: int, offset: int) -> Row | None:
        """The record at an offset, if it is still there."""
        low, high = self._ends(topic).get(partition, (0, 0))
        if not low <= offset < high:
            return None
        found = next(self._read(topic, {partition: (offset, offset + 1)}), None)
        return found if found is not None and found.offset == offset else None

    def _ends(self, topic: str) -> dict[int, tuple[int, int]]:
        """First and next offset of each partition."""
        try:
            return {
                partition: self._consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=PATIENCE_S
                )
                for partition in self._partitions(topic)
            }
        except KafkaException as error:
            raise self._errors.explain(error.args[0]) from None

    def _partitions(self, topic: str) -> list[int]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                there = self._consumer.list_topics(topic, timeout=_ATTEMPT_S).topics[topic]
            except KafkaException:
                # Why nobody answered comes with the next poll.
                self._consumer.poll(0)
                self._errors.check()
                continue
            if there.error is not None:
                if there.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise MissingTopicError(f"{topic} is missing")
                raise self._errors.explain(there.error)
            return sorted(there.partitions)
        raise self._errors.explain()

    def _read(self, topic: str, ranges: Mapping[int, tuple[int, int]]) -> Iterator[Row]:
        left = {partition: end for partition, (start, end) in ranges.items() if start < end}
        self._consumer.assign([TopicPartition(topic, p, ranges[p][0]) for p in left])
        deadline = time.monotonic() + PATIENCE_S
        while left:
            messages = self._consumer.consume(_AT_ONCE, timeout=_PAUSE_S)
            if messages:
                deadline = time.monotonic() + PATIENCE_S
            for message in messages:
                partition, row = self._taken(message)
                end = left.get(partition, 0)
                if row is not None and row.offset < end:
                    yield row
                if row is None or row.offset + 1 >= end:
                    left.pop(partition, None)
            self._errors.check()
            if time.monotonic() > deadline:
                raise self._errors.explain()
        self._consumer.unassign()

    def _taken(self, message: Message) -> tuple[int, Row | None]:
        """Its partition, and the record; none where the partition ends."""
        partition, error = message.partition(), message.error()
        assert partition is not None
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                return partition, None
            raise self._errors.explain(error)
        offset, (_, timestamp) = message.offset(), message.timestamp()
        assert offset is not None
        key, value = message.key(), message.value()
        return partition, Row(partition, offset, timestamp, key, value, message.headers())
