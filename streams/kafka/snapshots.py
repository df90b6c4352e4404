"""The compacted topic of snapshots: read when a task is taken over, written at checkpoints."""

from __future__ import annotations

import time
from collections.abc import Collection

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.kafka.outbox import Outbox
from streams.kafka.topics import ClientErrors, Settings
from streams.partitioning import partition_of
from streams.snapshots import Records, Restored, SnapshotReader, crash_note

_PATIENCE_S = 30.0
_PAUSE_S = 0.1
_ATTEMPT_S = 1.0
_READING: Settings = {
    "group.id": "unused",
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "fetch.wait.max.ms": 10,
    "fetch.message.max.bytes": 8 << 20,
    # After a queue that was full: the default is a whole second.
    "fetch.queue.backoff.ms": 5,
}
HOPELESS = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}


class SnapshotTopic:
    """Snapshots and crash notes of tasks, each task's in one partition.

    Parameters
    ----------
    settings
        Of the client, as librdkafka takes them.
    topic
        Its name in Kafka; it is compacted, and never has another number of partitions.
    """

    def __init__(self, settings: Settings, topic: str, partitions: int) -> None:
        self.topic, self.partitions = topic, partitions
        self._settings = settings

    def partition_of(self, task: str) -> int:
        """Where all records of a task are."""
        return partition_of(task.encode(), self.partitions)

    def read(self, tasks: Collection[str]) -> dict[str, Restored]:
        """What the topic has of each of these tasks; blocks.

        Raises
        ------
        ClusterError
            Nothing came for 30 s, or the cluster refuses.
        """
        reader = SnapshotReader(tasks)
        self._feed(reader, {self.partition_of(task) for task in tasks})
        found = {task: reader.newest(task) for task in tasks}
        return {task: restored for task, restored in found.items() if restored is not None}

    def _feed(self, reader: SnapshotReader, partitions: set[int]) -> None:
        """Read partitions from the first record to the last."""
        errors = ClientErrors(self._settings)
        consumer = Consumer({**errors.settings, **_READING})
        try:
            self._find(consumer, errors)
            # Asking where they begin, instead of 0, would take the client half a second more.
            consumer.assign([TopicPartition(self.topic, p, 0) for p in partitions])
            heard = time.monotonic()
            while partitions:
                errors.check()
                if time.monotonic() - heard > _PATIENCE_S:
                    raise errors.explain()
                message = consumer.poll(_PAUSE_S)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    reader.feed(message.key(), message.value())
                elif error.code() == KafkaError._PARTITION_EOF:
                    partitions.discard(message.partition())
                elif error.code() in HOPELESS:
                    raise errors.explain(error)
                else:
                    continue
                heard = time.monotonic()
        finally:
            consumer.close()

    def _find(self, consumer: Consumer, errors: ClientErrors) -> None:
        """Make sure that there is the topic: one who just reads is told after 30 s only."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                there = consumer.list_topics(self.topic, timeout=_ATTEMPT_S).topics[self.topic]
            except KafkaException:
                # Why nobody answers comes with the next poll.
                consumer.poll(0)
                errors.check()
            else:
                if there.error is None:
                    return
                if there.error.code() in HOPELESS:
                    raise errors.explain(there.error)
                consumer.poll(_PAUSE_S)
            if time.monotonic() > deadline:
                raise errors.explain()

    async def write(self, outbox: Outbox, snapshots: Collection[Records]) -> None:
        """Save snapshots of some tasks: durable when this returns, but for the tombstones.

        Raises
        ------
        OutboxError
            A record is lost; what stood in the topic before is as good as it was.
        """
        for stage in range(3):
            if stage:
                await outbox.flush()
            for records in snapshots:
                partition = self.partition_of(records.task)
                for key, value in records.stages[stage]:
                    await outbox.send_raw(self.topic, key, value, partition)

    async def note_crash(self, outbox: Outbox, task: str, offset: int, count: int) -> None:
        """Write down that the record at an offset has stopped a worker so often; durable.

        Raises
        ------
        OutboxError
            The note is lost.
        """
        key, value = crash_note(task, offset, count)
        await outbox.send_raw(self.topic, key, value, self.partition_of(task))
        await outbox.flush()
