"""Where commands that look read results: a data folder, or the topics of a Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import orjson

from agents.commands.folder import About, describe, keyed, opened, read_about, records
from agents.commands.kafka_options import cluster_faults, folder_of, settings_of
from streams.log_types import Latest, Record

if TYPE_CHECKING:
    from streams.kafka.reading import Reader
    from streams.log_store import LogStore

REDRIVEN = "redriven"
"""Name under which a folder keeps which dead letters were taken back, and to where."""


class Source(Protocol):
    """Results, and what they are about."""

    @property
    def about(self) -> About: ...

    @property
    def redriven(self) -> Mapping[str, str]:
        """Where each dead letter that was taken back stands now."""
        ...

    def latest(self, topic: str, prefix: bytes | None = None) -> Iterable[Latest]:
        """Newest record of each key of a compacted topic, by key."""
        ...

    def records(self, topic: str) -> Iterator[Record]:
        """The records of a topic; what was sent twice stands once."""
        ...

    def keyed(self, topic: str, key: bytes) -> Iterator[bytes]:
        """Values of the records of one key, in order; what was sent twice stands once."""
        ...

    def record(self, topic: str, partition: int, offset: int) -> Record | None:
        """The record at an offset, if it is still there."""
        ...


class FolderSource:
    """The log of a data folder."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    @property
    def about(self) -> About:
        return read_about(self._store)

    @property
    def redriven(self) -> Mapping[str, str]:
        found: dict[str, str] = orjson.loads(self._store.meta(REDRIVEN) or b"{}")
        return found

    def latest(self, topic: str, prefix: bytes | None = None) -> Iterable[Latest]:
        return self._store.latest(topic, prefix)

    def records(self, topic: str) -> Iterator[Record]:
        return records(self._store, topic)

    def keyed(self, topic: str, key: bytes) -> Iterator[bytes]:
        return keyed(self._store, topic, key)

    def record(self, topic: str, partition: int, offset: int) -> Record | None:
        found = self._store.records(topic, partition, offset, 1)
        return found[0] if found and found[0].offset == offset else None


class KafkaSource:
    """The topics of a Kafka, as they stand now."""

    redriven: Mapping[str, str] = {}

    def __init__(self, reader: Reader, prefix: str, about: About) -> None:
        self._reader, self._prefix, self.about = reader, prefix, about

    def latest(self, topic: str, prefix: bytes | None = None) -> Iterable[Latest]:
        newest: dict[bytes, Latest] = {}
        for row in self._reader.every(self._prefix + topic):
            if row.key is None or not row.key.startswith(prefix or b""):
                continue
            if row.value is None:
                newest.pop(row.key, None)
            else:
                newest[row.key] = Latest(row.key, row.value, (), row.offset)
        return [newest[key] for key in sorted(newest)]

    def records(self, topic: str) -> Iterator[Record]:
        found: dict[bytes | None, Record] = {}
        for row in self._reader.every(self._prefix + topic):
            if row.value is not None:
                found[row.key] = Record(row.offset, row.timestamp, row.key, row.value, ())
        return iter(found.values())

    def keyed(self, topic: str, key: bytes) -> Iterator[bytes]:
        rows = self._reader.every(self._prefix + topic)
        # A repeat has the same bytes (rule R6), and no two statements have.
        return iter(dict.fromkeys(r.value for r in rows if r.key == key and r.value is not None))

    def record(self, topic: str, partition: int, offset: int) -> Record | None:
        row = self._reader.one(self._prefix + topic, partition, offset)
        return None if row is None else Record(offset, row.timestamp, row.key, row.value or b"", ())


@contextmanager
def reading(data: Path | None, config: Path | None) -> Iterator[Source]:
    """The source that the options ``--data`` and ``--config`` mean.

    Raises
    ------
    Fault
        Both are given; there is no log in the folder; the Kafka can not be read.
    """
    folder = folder_of(data, config)
    if folder is not None:
        with opened(folder) as store:
            yield FolderSource(store)
        return
    from schemas.loading import load
    from streams.kafka.reading import Reader

    configuration = load(config)
    kafka = configuration.kafka
    with cluster_faults(), Reader(settings_of(kafka)) as reader:
        yield KafkaSource(reader, kafka.prefix, describe(configuration))
