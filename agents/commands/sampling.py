"""The keys of the newest events on Kafka: would a device always be in the same lane?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from agents.plan import Plan
from agents.shapes import HeadOf, head_of, shapes_of
from agents.topic_checks import Finding
from schemas.configuration import Topic
from streams.kafka.reading import Reader, Row
from streams.kafka.topics import FoundTopic, Settings
from streams.partitioning import partition_of

_FIELDS = {
    "sensor": "device",
    "traffic": "source_id",
    "hotline": "order_id (id, for a call)",
    "external": "id",
}
_SHOWN = 3


class _Misplaced(NamedTuple):
    """Where events stand that are not as they should be; nothing of what they hold."""

    unlike: list[str]
    """Whose key is another than the field that names their device."""
    elsewhere: list[str]
    """Not in the partition of their key."""


def sampled(
    plan: Plan, settings: Settings, found: Mapping[str, FoundTopic], size: int
) -> tuple[dict[str, int], list[Finding]]:
    """Look at the newest events of each input topic that is there.

    Parameters
    ----------
    size
        About how many events of each topic.

    Returns
    -------
    tuple
        How many events were looked at, by topic, and what is wrong with them.
    """
    prefix = plan.configuration.kafka.prefix
    counts: dict[str, int] = {}
    findings: list[Finding] = []
    with Reader(settings) as reader:
        for topic in plan.configuration.topics:
            name = prefix + topic.name
            if name in found and size:
                rows = list(reader.newest(name, size))
                counts[name] = len(rows)
                findings += _findings(topic, name, rows, found[name].partitions)
    return counts, findings


def _findings(topic: Topic, name: str, rows: list[Row], partitions: int) -> Iterable[Finding]:
    field = _FIELDS[topic.kind]
    misplaced = _looked_at(
        name, rows, partitions_so_far(topic, partitions), head_of(topic.name, shapes_of([topic]))
    )
    if misplaced.unlike:
        yield Finding(
            _severity(misplaced.unlike, rows),
            name,
            f"{_places(misplaced.unlike, rows)} have another key than their {field}: two lanes "
            "could hold one of them, and count repeats twice",
            f"have producers send {field} as the key",
        )
    if misplaced.elsewhere:
        yield Finding(
            _severity(misplaced.elsewhere, rows),
            name,
            f"{_places(misplaced.elsewhere, rows)} are not in the partition that murmur2 gives "
            "their key: other producers would put the same key elsewhere, and two lanes hold it",
            "have producers use the partitioner of Kafka's own clients; of librdkafka it is "
            "partitioner=murmur2_random",
        )


def _severity(places: list[str], rows: list[Row]) -> Literal["wrong", "warning"]:
    """One device that is at fault must not keep a city's workers from starting."""
    return "wrong" if 2 * len(places) > len(rows) else "warning"


def partitions_so_far(topic: Topic, found: int) -> set[int]:
    """How many partitions a topic has had: older events lie where fewer were."""
    return {topic.partitions, *(growth.partitions for growth in topic.grown), found}


def _looked_at(name: str, rows: list[Row], counts: set[int], head: HeadOf) -> _Misplaced:
    misplaced = _Misplaced([], [])
    for row in rows:
        expected = head(row.value or b"").key
        place = f"{name}/{row.partition}/{row.offset}"
        # What can not be read goes to the dead letters, and a call need not have a name.
        if expected and row.key != expected:
            misplaced.unlike.append(place)
        elif row.key and row.partition not in {partition_of(row.key, n) for n in counts}:
            misplaced.elsewhere.append(place)
    return misplaced


def _places(places: list[str], rows: list[Row]) -> str:
    shown = ", ".join(places[:_SHOWN]) + (", …" if len(places) > _SHOWN else "")
    return f"{len(places):,} of {len(rows):,} events ({shown})"
