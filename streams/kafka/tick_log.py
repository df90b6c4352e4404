"""The topic of ticks: every worker reads all of it, and the owner of a lane writes its ticks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from schemas.tick import Claim, Tick
from streams.kafka.outbox import Outbox
from streams.kafka.snapshots import HOPELESS
from streams.kafka.topics import ClientErrors, Settings
from streams.records import Lane, Output
from streams.ticks import TickBook

_PATIENCE_S = 30.0
_PAUSE_S = 0.005
_AT_ONCE = 10_000


class FencedError(Exception):
    """Another process claimed a lane: what this one says of it counts no more."""

    def __init__(self, lane: Lane) -> None:
        super().__init__(
            f"{lane}: another worker has taken this lane, while this one slept, or as one of "
            "another group on the same topics (a group has a kafka.prefix of its own)"
        )
        self.lane = lane


class TickLog:
    """Reads the log of ticks to its end, again and again, and writes to it.

    Parameters
    ----------
    settings
        Of the client, as librdkafka takes them.
    topic
        Its name in Kafka; it has one partition.
    owner
        A name that no other process has.
    claim_type
        Value of the header ``ce_type`` that tells a claim from a tick.
    """

    def __init__(self, settings: Settings, topic: str, owner: str, claim_type: bytes) -> None:
        self.owner = owner
        self.book = TickBook()
        self._topic, self._claim_type = topic, claim_type
        self._errors = ClientErrors(settings)
        self._consumer = Consumer(
            {
                **self._errors.settings,
                "group.id": f"unused-{owner}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
            }
        )
        self._reached = False

    def open(self) -> None:
        """Read all there is; blocks.

        Raises
        ------
        ClusterError
            The cluster does not answer, or refuses.
        """
        self._consumer.assign([TopicPartition(self._topic, 0, 0)])
        deadline = time.monotonic() + _PATIENCE_S
        while not self._reached:
            if self._take(self._consumer.consume(_AT_ONCE, timeout=0.2)):
                deadline = time.monotonic() + _PATIENCE_S
            if time.monotonic() > deadline:
                raise self._errors.explain()

    def close(self) -> None:
        self._consumer.close()

    def poll(self) -> bool:
        """Read what is new, without waiting; whether there was anything."""
        return self._take(self._consumer.consume(_AT_ONCE, timeout=0))

    def _take(self, messages: Sequence[Message]) -> bool:
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    self._reached = True
                elif error.code() in HOPELESS:
                    raise self._errors.explain(error)
                continue
            value = message.value()
            if value is None:
                continue
            if dict(message.headers() or ()).get("ce_type") == self._claim_type:
                self.book.claim(msgspec.json.decode(value, type=Claim))
            else:
                self.book.tick(msgspec.json.decode(value, type=Tick))
        return bool(messages)

    async def claim(
        self,
        lanes: Iterable[Lane],
        outbox: Outbox,
        prefix: str,
        record: Callable[[Lane, int, str], Output],
    ) -> None:
        """Become the owner of the ticks of these lanes.

        Raises
        ------
        FencedError
            Somebody else claims one of them just as eagerly.
        """
        wanted = set(lanes)
        for _ in range(3):
            generations = {lane: self.book.generation(lane) + 1 for lane in wanted}
            claims = [record(lane, number, self.owner) for lane, number in generations.items()]
            await outbox.send(claims, prefix)
            await outbox.flush()
            await self._await(
                lambda numbers=generations: all(  # type: ignore[misc]
                    self.book.generation(lane) >= number for lane, number in numbers.items()
                )
            )
            wanted = {lane for lane in wanted if self.book.owner(lane) != self.owner}
            if not wanted:
                return
        raise FencedError(min(wanted))

    async def write(self, ticks: dict[Lane, Output], outbox: Outbox, prefix: str) -> None:
        """Write a tick for each of these lanes, and read on until it stands in the book.

        Raises
        ------
        FencedError
            The lane was claimed by somebody else before.
        """
        for lane in ticks:
            self._require_ownership(lane)
        before = {lane: self.book.last(lane) for lane in ticks}
        await outbox.send(ticks.values(), prefix)
        await outbox.flush()

        def settled(lane: Lane) -> bool:
            return self.book.last(lane) > before[lane] or self.book.owner(lane) != self.owner

        await self._await(lambda: all(map(settled, ticks)))
        for lane in ticks:
            self._require_ownership(lane)

    def _require_ownership(self, lane: Lane) -> None:
        if self.book.owner(lane) != self.owner:
            raise FencedError(lane)

    async def _await(self, done: Callable[[], bool]) -> None:
        # Without an end, like all that waits for a broker: a watchdog ends what takes too long.
        while not done():
            if not self.poll():
                self._errors.check()
                await asyncio.sleep(_PAUSE_S)
