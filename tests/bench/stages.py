"""Where rate-limited runs take place: the embedded engine, or a worker on a broker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from confluent_kafka import Consumer, TopicPartition

from agents.outputs import ALERT_LOG, VITALS_LOG
from agents.plan import Plan, compile_plan
from schemas.configuration import Configuration
from schemas.loading import load
from streams.log_store import LogStore
from tests.bench import listening
from tests.faults.kafka_faults import Site
from tests.kafka.broker import Broker

TOPIC = "city.sensor.v1"
_PATIENCE_S = 60.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Said(NamedTuple):
    """An output, and when it was there, ms UTC."""

    at: float
    value: bytes


class Stage(Protocol):
    """An engine under load."""

    plan: Plan
    processes: dict[str, int]
    """Process ids by part."""

    def target(self) -> dict[str, Any]:
        """What the load generator is told of where to send to."""

    def lag(self) -> float:
        """Records of the topic that the engine has not read."""

    def saves(self) -> list[float]:
        """When outputs became durable, ms UTC, where that is with the snapshots alone."""

    def stop(self) -> None:
        """End the engine."""

    def said(self, topic: str) -> Iterator[Said]:
        """All outputs of a topic, after the end."""


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, s."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def peak_mb(pid: int) -> int:
    """Most resident memory a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1000


class EmbeddedStage:
    """An engine of its own process on a data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = compile_plan(load(environ={}))
        command = [sys.executable, "-m", "tests.bench.listening", str(folder)]
        with (folder / "engine.err").open("wb") as err:
            self._engine = subprocess.Popen(command, stderr=err, start_new_session=True)
        self.processes = {"engine": self._engine.pid}
        deadline = time.monotonic() + _PATIENCE_S
        while not any("lag" in note for note in self.notes()):
            self._require(self._engine.poll() is None and time.monotonic() < deadline)
            time.sleep(0.1)

    def _require(self, running: bool) -> None:
        if not running:
            raise SystemExit(f"the engine: {(self.folder / 'engine.err').read_text('utf-8')}")

    def notes(self) -> list[dict[str, Any]]:
        """What the engine has noted so far."""
        path = self.folder / listening.NOTES
        text = path.read_text("utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]

    def target(self) -> dict[str, Any]:
        return {"topic": TOPIC, "folder": str(self.folder / "data")}

    def lag(self) -> float:
        self._require(self._engine.poll() is None)
        return float([note["lag"] for note in self.notes()[-50:] if "lag" in note][-1])

    def saves(self) -> list[float]:
        return [note["at"] for note in self.notes() if "vitals" in note]

    def stop(self) -> None:
        if self._engine.poll() is None:
            self._engine.terminate()
            try:
                self._engine.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._engine.kill()
                self._engine.wait()

    def said(self, topic: str) -> Iterator[Said]:
        name = {VITALS_LOG: "vitals", ALERT_LOG: "alerts"}[topic]
        durable = [(note["at"], note[name]) for note in self.notes() if name in note]
        store = LogStore(self.folder / "data")
        batch, end = -1, 0
        for record in store.every_record(topic):
            while record.offset >= end:
                batch += 1
                end += durable[batch][1]
            yield Said(durable[batch][0], record.value)
        store.close()


class KafkaStage:
    """A worker on a broker, for events of now."""

    def __init__(self, folder: Path, broker: Broker, prefix: str) -> None:
        kafka = {"broker": broker.url, "prefix": prefix}
        content = load(environ={}).model_dump(mode="json") | {"kafka": kafka}
        self.site = Site(broker, folder, Configuration.model_validate(content))
        self.plan, self.prefix, self.folder = self.site.plan, prefix, folder
        self.site.create_topics()
        self.site.start("worker")
        self.site.await_owner("worker")
        broker_pid = int((broker.folder / "broker.pid").read_text("utf-8"))
        self.processes = {"engine": self.site.workers["worker"].pid, "broker": broker_pid}

    def target(self) -> dict[str, Any]:
        return {"topic": self.prefix + TOPIC, "broker": self.site.settings}

    def lag(self) -> float:
        return lag_in(self.site.metrics("worker"))

    def saves(self) -> list[float]:
        return []

    def stop(self) -> None:
        if "worker" in self.site.workers:
            self.site.stop("worker")

    def said(self, topic: str) -> Iterator[Said]:
        consumer = Consumer({**self.site.settings, "group.id": f"{self.prefix}bench"})
        name = self.prefix + topic
        try:
            partitions = consumer.list_topics(name).topics[name].partitions
            ends = {
                p: consumer.get_watermark_offsets(TopicPartition(name, p))[1] for p in partitions
            }
            left = {p for p, end in ends.items() if end}
            consumer.assign([TopicPartition(name, p, 0) for p in left])
            while left:
                for message in consumer.consume(10_000, 1.0):
                    yield Said(float(message.timestamp()[1]), message.value())
                    if message.offset() + 1 >= ends[message.partition()]:
                        left.discard(message.partition())
        finally:
            consumer.close()


def lag_in(metrics: str) -> float:
    """Unread records of the readings' lanes, from what the engine's metrics say.

    Examples
    --------
    >>> lag_in('cityvitals_lag_events{lane="0",topic="city.sensor.v1"} 7.0')
    7.0
    """
    lines = re.findall(r"^cityvitals_lag_events\{([^}]*)\} (\S+)", metrics, re.MULTILINE)
    return sum(float(value) for labels, value in lines if TOPIC in labels)


@contextmanager
def embedded_stage(folder: Path) -> Iterator[Stage]:
    """The embedded engine for a while."""
    stage = EmbeddedStage(folder)
    try:
        yield stage
    finally:
        stage.stop()


@contextmanager
def kafka_stage(folder: Path, broker: Broker, prefix: str) -> Iterator[Stage]:
    """A worker for a while."""
    stage = KafkaStage(folder, broker, prefix)
    try:
        yield stage
    finally:
        stage.site.close()
