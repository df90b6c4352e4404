"""Where commands about alerts go: a data folder, or the control topic of a Kafka."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from agents.commands.exits import ENVIRONMENT, FINDING, Fault, complain
from agents.commands.folder import is_running, opened
from agents.commands.kafka_options import cluster_faults, folder_of, settings_of
from agents.commands.sources import reading
from agents.outputs import ALERTS, CONTROL

if TYPE_CHECKING:
    from schemas.kafka import Kafka
    from streams.log_store import LogStore
    from streams.log_types import Latest


class Desk(Protocol):
    """Takes commands about the alerts that it knows."""

    alerts: list[Latest]

    def now(self) -> int:
        """What time it is in the city, int64 ms UTC."""
        ...

    def put(self, key: bytes, command: bytes) -> dict[str, Any]:
        """Take a command; what is told of it beside."""
        ...


class FolderDesk:
    """The log of a data folder, on which an engine may be running."""

    def __init__(self, store: LogStore, folder: Path) -> None:
        self._store, self._folder = store, folder
        self.alerts = list(store.latest(ALERTS))

    def now(self) -> int:
        from agents.recordings import POSITION, REPLAYED

        position = self._store.meta(POSITION)
        if position is not None:
            return int(position)
        recorded = self._store.meta(REPLAYED) is not None
        return last_change(self.alerts) if recorded else self._store.now_ms()

    def put(self, key: bytes, command: bytes) -> dict[str, Any]:
        if CONTROL not in {topic.name for topic in self._store.topics()}:
            raise Fault(ENVIRONMENT, f"{self._folder}: its engine was a build without commands")
        with self._store.transaction() as tx:
            tx.append(CONTROL, 0, [self.now()], [key], [command])
        running = is_running(self._folder)
        if not running:
            complain(f"no engine runs on {self._folder}: it obeys at its next start")
        return {"running": running}


class KafkaDesk:
    """The control topic of a Kafka."""

    def __init__(self, kafka: Kafka, alerts: list[Latest]) -> None:
        self._kafka, self.alerts = kafka, alerts

    def now(self) -> int:
        # Without ticks the events are recorded ones, and the time of day is not theirs.
        return time.time_ns() // 1_000_000 if self._kafka.silence_s else last_change(self.alerts)

    def put(self, key: bytes, command: bytes) -> dict[str, Any]:
        from streams.kafka.sending import Sender
        from streams.kafka.topics import AwayError, MissingTopicError, TopicAdmin

        settings, name = settings_of(self._kafka), self._kafka.prefix + CONTROL
        if name not in TopicAdmin(settings).describe([name]):
            raise MissingTopicError(f"{name} is missing")
        with Sender(settings) as sender:
            sender.send(name, 0, key, command, 0)
            sender.finish()
        if sender.failed:
            code = ENVIRONMENT if isinstance(sender.reason, AwayError) else FINDING
            raise Fault(code, f"the command did not arrive: {sender.reason}")
        return {}


def last_change(alerts: list[Latest]) -> int:
    """When an alert changed last, int64 ms UTC: as far as recorded events have come."""
    return max((int(orjson.loads(alert.value)["t_update"]) for alert in alerts), default=0)


@contextmanager
def reached(data: Path | None, config: Path | None) -> Iterator[Desk]:
    """The desk that the options ``--data`` and ``--config`` mean.

    Raises
    ------
    Fault
        Both are given; there is no log in the folder; the Kafka can not be reached.
    """
    folder = folder_of(data, config)
    if folder is not None:
        with opened(folder) as store:
            yield FolderDesk(store, folder)
        return
    from schemas.loading import load

    kafka = load(config).kafka
    with reading(None, config) as source:
        alerts = list(source.latest(ALERTS))
    with cluster_faults():
        yield KafkaDesk(kafka, alerts)
