"""Records of a log as a partitioned topic would hold them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from schemas.configuration import Configuration, Topic
from streams.event_logs import head, read_lines
from streams.partitioning import partition_of


class Record(NamedTuple):
    """A line of a log in its lane; ``logged`` in int64 ms UTC."""

    partition: int
    offset: int
    logged: int
    key: bytes | None
    value: bytes


def topics_in(configuration: Configuration, folder: Path) -> Iterator[tuple[Topic, Path]]:
    """The topics of which a folder holds a log."""
    for topic in configuration.topics:
        path = folder / f"{topic.name}.ndjson"
        if path.exists():
            yield topic, path


def read_records(topic: Topic, path: Path) -> Iterator[Record]:
    """The records of a topic in the order of its log.

    A line whose time can not be read was logged when the line before it was.
    """
    offsets = [0] * topic.partitions
    logged = 0
    for line in read_lines(path):
        key, timestamp = head(line)
        logged = logged if timestamp is None else timestamp
        partition = partition_of(key, topic.partitions)
        yield Record(partition, offsets[partition], logged, key, line)
        offsets[partition] += 1
