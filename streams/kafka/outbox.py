"""What a worker sends to Kafka: in order, and up to the first failure without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.records import Output
from streams.spent import SEND, Spent

_SETTINGS: Mapping[str, str | int | bool] = {
    "acks": "all",
    "enable.idempotence": True,
    # Else what follows a batch that the broker refuses is written all the same.
    "enable.gapless.guarantee": True,
    "message.timeout.ms": 0,
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    "linger.ms": 20,
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 128 << 10,
    # The topic says what it takes; a message need only fit into the queue.
    "message.max.bytes": 16 << 20,
    "delivery.report.only.error": True,
}
_Fields: TypeAlias = tuple[str, bytes, bytes | None, tuple[tuple[str, bytes], ...], int, int | None]
"""Those of an output, which may be without a value."""

_Message: TypeAlias = tuple[Any, ...]
"""The arguments of `Producer.produce`."""

_BATCH_BYTES = 1 << 20
"""What a topic must take at once: the client packs up to 1 MB, and Kafka's default is this."""
_BY_KEY = -1
_AT_ONCE = 500  # messages between two turns of the event loop: about 3 ms
_SLICE_S = 0.001
_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.05
_REPORT_S = 0.1  # between a fatal error and the report of the message that caused it


def _messages(outputs: Iterable[_Fields], prefix: str) -> Iterator[_Message]:
    for topic, key, value, headers, timestamp, partition in outputs:
        place = _BY_KEY if partition is None else partition
        yield (prefix + topic, value, key, place, None, None, timestamp, list(headers))


class OutboxError(Exception):
    """Something that was sent is not in Kafka, nor will be: the outbox takes nothing more."""


class Outbox:
    """A producer for one event loop, and for one purpose: a flush holds up other sending.

    While no broker answers, sending and flushing wait, however long that is.

    Parameters
    ----------
    settings
        Of the client, as librdkafka takes them.
    on_error
        Told what keeps the client from the brokers, in librdkafka's words.
    spent
        Where the time counts that sending takes.

    Notes
    -----
    The event loop makes all calls into the client, no thread does: the client takes the GIL for
    every message that was delivered, and beside a busy loop a thread waits for it each time.
    """

    def __init__(
        self,
        settings: Mapping[str, str | int],
        on_error: Callable[[str], None] | None = None,
        spent: Spent | None = None,
    ) -> None:
        client: dict[str, Any] = {**settings, **_SETTINGS, "on_delivery": self._report}
        if on_error is not None:
            client["error_cb"] = lambda error: on_error(error.str())
        self._producer = Producer(client)
        self._turn = asyncio.Lock()
        self._failed: tuple[KafkaError, Message] | None = None
        self._ended: str | None = None
        self._since_turn = 0
        self._spent = spent or Spent()

    async def send(self, outputs: Iterable[Output], prefix: str = "") -> None:
        """Send outputs, in order; waits while too much is under way.

        Parameters
        ----------
        outputs
            A timestamp of 0 becomes the time of sending.
        prefix
            Stands before the name of each topic.

        Raises
        ------
        OutboxError
            Something that was sent is lost.
        """
        await self._send(outputs, prefix)

    async def send_raw(self, topic: str, key: bytes, value: bytes | None, partition: int) -> None:
        """Send one record to a partition of a topic, as `send` does."""
        await self._send([(topic, key, value, (), 0, partition)], "")

    async def flush(self) -> None:
        """Wait until all that was sent is durable; what is sent meanwhile waits for this.

        Raises
        ------
        OutboxError
            Something that was sent is lost.
        """
        async with self._turn:
            pause = _PAUSE_S
            while self._hear(flush=True):
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def close(self) -> None:
        """End it at once; what was not flushed may be lost."""
        self._ended = self._ended or "the outbox is closed"
        # The client ends with its last reference; asked to, it would wait for what is under way.
        with suppress(AttributeError):
            del self._producer

    async def _send(self, outputs: Iterable[_Fields], prefix: str) -> None:
        async with self._turn:
            messages = _messages(outputs, prefix)
            message = next(messages, None)
            self._hear()
            while message is not None:
                with self._spent.on(SEND):
                    message = self._put_some(message, messages)
                if self._since_turn == _AT_ONCE:
                    self._since_turn = 0
                    await asyncio.sleep(0)
                elif message is not None:
                    await asyncio.sleep(_PAUSE_S)
                else:
                    break
                self._hear()

    def _put_some(self, message: _Message | None, messages: Iterator[_Message]) -> _Message | None:
        """Hand messages to the client, as far as it has room and others have waited for a turn; the
        one that is left.
        """
        while message is not None and self._since_turn < _AT_ONCE and self._put(message):
            self._since_turn += 1
            message = next(messages, None)
        return message

    def _put(self, message: _Message) -> bool:
        """Hand a message to the client, if it has room for it."""
        try:
            self._producer.produce(*message)
        except BufferError:
            return False
        except KafkaException as error:
            raise self._end(message[0], error.args[0]) from error
        return True

    def _hear(self, *, flush: bool = False) -> int:
        """Hear from the client what became of messages; how many are under way on a flush."""
        if self._ended is not None:
            raise OutboxError(self._ended)
        try:
            with self._spent.on(SEND):
                left = self._producer.flush(_SLICE_S) if flush else self._producer.poll(0)
        except (KafkaException, SystemError) as error:
            # SystemError, where a report was made while the fatal error was pending: it is the
            # cause then, or is lost, and the report is what there is.
            with suppress(KafkaException, SystemError):
                self._producer.poll(_REPORT_S)
            if self._failed is None:
                fatal = error if isinstance(error, KafkaException) else error.__cause__
                if not isinstance(fatal, KafkaException):
                    raise
                raise self._end("the producer", fatal.args[0]) from fatal
        if self._failed is not None:
            error_, message = self._failed
            raise self._end(message.topic(), error_)
        return left

    def _report(self, error: KafkaError, message: Message) -> None:
        # Where the client calls this with an exception pending, no call in here would work.
        if self._failed is None:
            self._failed = error, message

    def _end(self, topic: str | None, error: KafkaError) -> OutboxError:
        """Take nothing more; what every call raises from now on."""
        self._ended = f"{topic}: {error.str()}"
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            self._ended += f": set the topic's max.message.bytes to {_BATCH_BYTES} at least"
        return OutboxError(self._ended)
