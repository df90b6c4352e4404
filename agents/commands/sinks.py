"""Where ``cityvitals send`` puts events: a data folder, or the topics of a Kafka."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agents.commands.exits import BAD, ENVIRONMENT, FINDING, Fault, complain
from agents.commands.folder import About, describe, is_running, opened, read_about
from agents.commands.kafka_options import cluster_faults, folder_of, settings_of
from agents.commands.wording import moment
from agents.recordings import Emitted, append
from streams.timeline import DAY_MS

if TYPE_CHECKING:
    from streams.kafka.sending import Sender
    from streams.kafka.topics import FoundTopic
    from streams.log_store import LogStore


class Sink(Protocol):
    """Takes events."""

    @property
    def about(self) -> About: ...

    def partitions(self, topic: str) -> int:
        """How many an input topic has."""
        ...

    def put(self, records: list[Emitted]) -> None:
        """Take events with their partitions; their timestamps count only where asked for."""
        ...

    def end(self) -> dict[str, Any]:
        """What is told beside the number of events, once all have arrived."""
        ...


class FolderSink:
    """The log of a data folder, on which an engine may be running."""

    def __init__(self, store: LogStore, folder: Path) -> None:
        self._store, self._folder = store, folder
        self.about = read_about(store)
        self._clock, self._ahead, self._behind = 0, 0, 0

    def partitions(self, topic: str) -> int:
        return self._store.partitions(topic)

    def put(self, records: list[Emitted]) -> None:
        from agents.recordings import POSITION

        # A simulated city has its own time: records stamped with that of the wall would move its
        # watermark to today, and make late all that the city sends.
        position = self._store.meta(POSITION)
        now = int(position or self._store.now_ms())
        if position is not None:
            self._hold_against(now, records)
        with self._store.transaction() as tx:
            append(tx, [record._replace(timestamp=now) for record in records])

    def end(self) -> dict[str, Any]:
        running = is_running(self._folder)
        if not running:
            complain(
                f"no engine runs on {self._folder}: it reads them at its next start "
                "(`cityvitals up`)"
            )
        clock = f"the city's clock ({moment(self._clock, self.about.zone)})"
        if self._ahead:
            complain(f"too far ahead: {self._ahead:,}, refused as over a day ahead of {clock}")
        if self._behind:
            complain(
                f"too far behind: {self._behind:,}, late as their topic does not wait so long "
                f"behind {clock}"
            )
        return {"running": running}

    def _hold_against(self, clock: int, records: list[Emitted]) -> None:
        """Count what the engine will refuse, or find late, for the event's time alone."""
        from agents.intake import FUTURE_MS

        self._clock = clock
        for record in records:
            waits = self.about.lateness_ms.get(record.topic)
            self._ahead += record.timestamp > clock + FUTURE_MS
            # An event whose time can not be read has none here, and is refused for that.
            self._behind += waits is not None and 0 < record.timestamp < clock - waits


class KafkaSink:
    """The input topics of a Kafka.

    Parameters
    ----------
    found
        The input topics that are there, by their names in Kafka.
    recorded
        Whether records keep their timestamps.
    now
        Int64 ms UTC.
    """

    def __init__(
        self,
        sender: Sender,
        prefix: str,
        found: Mapping[str, FoundTopic],
        about: About,
        *,
        recorded: bool,
        now: int,
    ) -> None:
        self.about = about
        self._sender, self._prefix, self._found = sender, prefix, found
        self._recorded, self._now = recorded, now

    def partitions(self, topic: str) -> int:
        from streams.kafka.topics import MissingTopicError

        name = self._prefix + topic
        if name not in self._found:
            raise MissingTopicError(f"{name} is missing")
        return self._found[name].partitions

    def put(self, records: list[Emitted]) -> None:
        for timestamp, topic, partition, key, value in records:
            name = self._prefix + topic
            if self._recorded:
                self._require_kept(name, timestamp)
            self._sender.send(name, partition, key, value, timestamp if self._recorded else 0)

    def end(self) -> dict[str, Any]:
        from streams.kafka.topics import AwayError

        sender = self._sender
        sender.finish()
        if sender.failed:
            raise Fault(
                ENVIRONMENT if isinstance(sender.reason, AwayError) else FINDING,
                f"{sender.failed:,} of {sender.sent:,} events did not arrive: {sender.reason}",
            )
        return {}

    def _require_kept(self, name: str, timestamp: int) -> None:
        """Refuse a time by which Kafka would delete the record before anyone reads it."""
        topic = self._found[name]
        kept, mend = topic.number("retention.ms", -1), "`cityvitals topics create --fix`"
        if topic.settings.get("message.timestamp.type") == "LogAppendTime":
            raise Fault(BAD, f"{name} stamps records itself: run {mend}, or leave --recorded out")
        if 0 <= kept < self._now - timestamp:
            days = (self._now - timestamp) / DAY_MS
            raise Fault(
                BAD,
                f"{name} deletes what is older than {kept / DAY_MS:.3g} days, and an event is "
                f"{days:.3g} days old: raise retention_s in the configuration and run {mend}, or "
                "leave --recorded out",
            )


@contextmanager
def receiving(data: Path | None, config: Path | None, *, recorded: bool) -> Iterator[Sink]:
    """The sink that the options of ``cityvitals send`` mean.

    Raises
    ------
    Fault
        The options contradict each other; there is no log in the folder; the Kafka can not be
        written.
    """
    folder = folder_of(data, config)
    if folder is not None:
        if recorded:
            raise Fault(BAD, "--recorded goes with --config: a data folder has a time of its own")
        with opened(folder) as store:
            yield FolderSink(store, folder)
        return
    from schemas.loading import load
    from streams.kafka.sending import Sender
    from streams.kafka.topics import TopicAdmin

    configuration = load(config)
    kafka = configuration.kafka
    settings, names = settings_of(kafka), [kafka.prefix + t.name for t in configuration.topics]
    with cluster_faults():
        found = TopicAdmin(settings).describe(names)
        with Sender(settings) as sender:
            about, now = describe(configuration), time.time_ns() // 1_000_000
            yield KafkaSink(sender, kafka.prefix, found, about, recorded=recorded, now=now)
