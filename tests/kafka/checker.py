"""What must be in the output topics, worked out from the input topics alone.

The checker reads the log that a broker holds: input records by partition and offset, and the
ticks that stand.  The engine's pure core says what they lead to, in one process and in one go; the
counts are made here again without it.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from agents.detectors.protocol import ALARM
from agents.outputs import ALERT_LOG, CLAIM, DEAD_LETTER, LATE, TICKS, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import Plan
from schemas.tick import Claim, Tick
from streams.accounting import BINS, Accounting
from streams.records import Chunk, Lane, Output
from streams.ticks import TickBook

CHECKED = (VITALS_LOG, ALERT_LOG, LATE, DEAD_LETTER)
Id = tuple[str, bytes]
"""Topic and ``ce_id``."""


@dataclass
class Report:
    """What was found; ``lost``, ``wrong``, ``differing`` and ``remainder`` must be 0."""

    expected: int = 0
    judged: int = 0
    """Results that a model judged which had left its warming."""
    flagged: int = 0
    """Those of them that it calls an anomaly."""
    lost: int = 0
    wrong: int = 0
    differing: int = 0
    """Ids that were sent with more than one value."""
    repeated: int = 0
    """Records sent again, with the same bytes."""
    remainder: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return (self.lost, self.wrong, self.differing, self.remainder) == (0, 0, 0, 0)


def read_all(settings: dict[str, Any], topic: str, take: Callable[[Any], None]) -> None:
    """Every record of a topic that stands in it now, partition by partition in order."""
    consumer = Consumer(
        {
            **settings,
            "group.id": "checker",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            # A broker answers at once where nothing more stands.
            "fetch.wait.max.ms": 10,
            "isolation.level": "read_committed",
        }
    )
    try:
        partitions = consumer.list_topics(topic, 30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        left = set(partitions)
        deadline = time.monotonic() + 60
        while left:
            assert time.monotonic() < deadline, f"{topic} can not be read"
            for message in consumer.consume(10_000, 0.05):
                if message.error() is None:
                    take(message)
                    deadline = time.monotonic() + 60
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    left.discard(message.partition())
    finally:
        consumer.close()


def inputs(settings: dict[str, Any], plan: Plan) -> dict[Lane, Chunk]:
    """Every input lane, whole."""
    prefix = plan.configuration.kafka.prefix
    lanes = {lane: Chunk(*lane, [], [], [], []) for lane in plan.lanes}
    for topic in plan.topics:

        def take(message: Any, topic: str = topic) -> None:
            chunk: Any = lanes[Lane(topic, message.partition())]
            chunk.offsets.append(message.offset())
            chunk.timestamps.append(message.timestamp()[1])
            chunk.keys.append(message.key())
            chunk.values.append(message.value() or b"")

        read_all(settings, prefix + topic, take)
    return lanes


def standing_ticks(settings: dict[str, Any], plan: Plan) -> list[Tick]:
    """The ticks that count, by the claims before them."""
    book, found = TickBook(), list[Tick]()

    def take(message: Any) -> None:
        if dict(message.headers()).get("ce_type") == CLAIM:
            book.claim(msgspec.json.decode(message.value(), type=Claim))
            return
        tick = msgspec.json.decode(message.value(), type=Tick)
        if book.tick(tick):
            found.append(tick)

    read_all(settings, plan.configuration.kafka.prefix + TICKS, take)
    return found


def outputs_of(
    plan: Plan,
    lanes: dict[Lane, Chunk],
    ticks: Iterable[Tick],
    quarantined: dict[Lane, frozenset[int]] | None = None,
) -> tuple[Pipeline, list[Output]]:
    """What the core says of a log."""
    pipeline, said = Pipeline(plan), list[Output]()
    pipeline.schedule(ticks)
    for lane, chunk in lanes.items():
        if chunk.values:
            said += pipeline.step(chunk, (quarantined or {}).get(lane, frozenset()))
    return pipeline, said + pipeline.settle()


def found_in(settings: dict[str, Any], prefix: str) -> dict[Id, Counter[bytes]]:
    """Every value that was sent under each id."""
    found: dict[Id, Counter[bytes]] = {}
    for topic in CHECKED:

        def take(message: Any, topic: str = topic) -> None:
            name = dict(message.headers())["ce_id"]
            found.setdefault((topic, name), Counter())[message.value()] += 1

        read_all(settings, prefix + topic, take)
    return found


def by_id(outputs: Iterable[Output]) -> dict[Id, bytes]:
    return {(o.topic, dict(o.headers)["ce_id"]): o.value for o in outputs if o.topic in CHECKED}


def compare(expected: dict[Id, bytes], found: dict[Id, Counter[bytes]]) -> Report:
    """Everything expected is there, nothing else is, and what was repeated is the same."""
    report = Report(expected=len(expected))
    for name, value in expected.items():
        values = found.get(name)
        if values is None:
            report.lost += 1
            _note(report, "lost", name)
        elif value not in values:
            report.wrong += 1
            _note(report, "wrong", name)
    for name, values in found.items():
        if name not in expected:
            report.wrong += 1
            _note(report, "unexpected", name)
        if len(values) > 1:
            report.differing += 1
            _note(report, "differing", name)
        report.repeated += values.total() - 1
    return report


_JUDGED = re.compile(rb'"model":\{"basis":"(?:hour_of_week|hour_of_day|gaussian)","score":([^,]+)')


def verdicts(values: Iterable[bytes]) -> tuple[int, int]:
    """How many results models judged, and how many of these they flagged."""
    scores = [float(found[1]) for value in values if (found := _JUDGED.search(value))]
    return len(scores), sum(score >= ALARM for score in scores)


def _note(report: Report, what: str, name: Id) -> None:
    if len(report.examples) < 20:
        report.examples.append(f"{what}: {name[0]} {name[1].decode()}")


def check_counts(
    lanes: dict[Lane, Chunk], accounts: dict[Lane, Accounting], found: dict[Id, Counter[bytes]]
) -> int:
    """How far the accounts are from what stands in the log: 0 where every record is counted."""
    off = 0
    for lane, chunk in lanes.items():
        account = accounts[lane]
        letters = sum(t == DEAD_LETTER and n.startswith(f"{lane}/".encode()) for t, n in found)
        late = sum(t == LATE and n.startswith(f"{lane}/".encode()) for t, n in found)
        off += abs(account.read - len(chunk.values)) + abs(account.rejected - letters)
        off += abs(account.late - late) + abs(account.remainder)
        binned = sum(getattr(account, name) for name in BINS)
        off += abs(account.read - binned)
    return off
