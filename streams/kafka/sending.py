"""Sends records to partitions that are known, and counts what did not arrive."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError as Error
from confluent_kafka import KafkaException, Message, Producer

from streams.kafka.topics import AwayError, ClientErrors, ClusterError, Settings

_PAUSE_S = 0.1
_BETWEEN_POLLS = 1000


class Sender:
    """A producer that never sends twice; blocks while more waits than it may hold.

    Attributes
    ----------
    sent
        Records handed over so far.
    failed
        Those of them that did not arrive; final after `finish`.
    reason
        Why the last of those did not; None where all arrived.
    """

    def __init__(self, settings: Settings) -> None:
        self.sent = 0
        self.failed = 0
        self.reason: ClusterError | None = None
        self._errors = ClientErrors(settings)
        self._producer = Producer(
            {
                "message.timeout.ms": 30_000,
                **self._errors.settings,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 20,
                "delivery.report.only.error": True,
                "on_delivery": self._note,
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
        # What was handed over before an interruption still goes out.
        if not issubclass(kind or type(None), ClusterError):
            self.finish()

    def send(
        self, topic: str, partition: int, key: bytes | None, value: bytes, timestamp: int
    ) -> None:
        """Hand over a record; its time is int64 ms UTC, 0 for now.

        Raises
        ------
        ClusterError
            The cluster refuses this client, or nobody answers any more.
        """
        self.sent += 1
        if self.sent % _BETWEEN_POLLS == 0:
            self._poll(0)
        while True:
            try:
                self._producer.produce(topic, value, key, partition=partition, timestamp=timestamp)
            except BufferError:
                self._poll(_PAUSE_S)
            except KafkaException as error:
                self._fail(error.args[0])
                return
            else:
                return

    def finish(self) -> None:
        """Wait until each record has arrived or failed."""
        while self._producer.flush(_PAUSE_S):
            self._errors.check()

    def _poll(self, wait_s: float) -> None:
        self._producer.poll(wait_s)
        self._errors.check()
        if isinstance(self.reason, AwayError):
            raise self.reason

    def _note(self, error: Error | None, message: Message) -> None:
        if error is not None:
            self._fail(error)

    def _fail(self, error: Error) -> None:
        self.failed += 1
        self.reason = self._errors.explain(error)
