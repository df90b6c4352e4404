"""How an engine of the comparison is run once, and what that cost."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.bench.backlog import cpu_of, peak_of
from tests.bench.frozen_log import Prefix
from tests.bench.job import Job
from tests.kafka.broker import Broker

PEERS = Path(__file__).with_name("peers")
_POLL_S = 0.05


class CannotRunError(RuntimeError):
    """An engine can not run here, or did not come to its end; the text says why."""


@dataclass(frozen=True)
class Place:
    """Where a run happens: the broker, a folder of its own, and the input that is there already."""

    broker: Broker | None
    """None where there can be none: batch references do without."""
    folder: Path
    prefix: Prefix
    topics: str
    """What the names of the run's topics begin with."""
    group: str
    """The consumer group of the run, which nobody used before."""
    source: str
    """The topic that holds the prefix."""
    job: Job
    timeout_s: float


@dataclass
class Run:
    """What one run came to."""

    wall_s: float
    cpu_s: float
    broker_cpu_s: float
    peak_bytes: int
    results: list[Path] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Engine:
    """An engine that can be asked to run.

    Attributes
    ----------
    name
        As ``--engines`` takes it.
    label
        Name and version for people.
    run
        Runs it once; raises CannotRunError.
    ready
        Makes sure that it can run, installs what is missing; raises CannotRunError.
    batch
        Whether it is a reference that reads the file as a whole, not a stream.
    note
        What a reader of the table must know of it.
    query
        Of the oracle, where its results have a form of their own.
    """

    name: str
    label: str
    run: Callable[[Place], Run]
    ready: Callable[[], None]
    batch: bool = False
    note: str = ""
    query: str = ""


class Watch:
    """CPU time and memory of processes and of the broker beside them, from now on."""

    def __init__(self, broker: Broker | None, *processes: subprocess.Popen[bytes]) -> None:
        self._processes = processes
        self._broker = broker and int((broker.folder / "broker.pid").read_text("utf-8"))
        self._before = self._broker_cpu()
        self._began = time.perf_counter()
        self.peak = 0

    def look(self) -> None:
        """Note the memory: it can not be asked for when the process has ended."""
        with suppress(OSError, IndexError):
            self.peak = max(self.peak, sum(peak_of(each.pid) for each in self._processes))

    def seconds(self) -> float:
        return time.perf_counter() - self._began

    def run(self, cpu_s: float | None = None) -> Run:
        """The figures up to now."""
        wall = self.seconds()
        self.look()
        cpu = sum(cpu_of(each.pid) for each in self._processes) if cpu_s is None else cpu_s
        return Run(wall, cpu, self._broker_cpu() - self._before, self.peak)

    def _broker_cpu(self) -> float:
        return 0.0 if self._broker is None else cpu_of(self._broker)


def run_peer(
    command: list[str], place: Place, *, name: str, environment: dict[str, str] | None = None
) -> Run:
    """Run a peer, a process that ends by itself; what it says it came to, and where results are."""
    output = f"{place.topics}results"
    results = place.folder / "results.csv"
    asked = {
        "servers": place.broker.address if place.broker else "",
        "input": place.source,
        "output": output,
        "group": place.group,
        "partitions": place.job.partitions,
        "device_hops": place.job.device_hops,
        "folder": str(place.folder),
        "log": str(place.prefix.path),
        "results": str(results),
    }
    if place.broker is not None:
        create_topic(place.broker, output, place.job.partitions)
    said = place.folder / "said.txt"
    with said.open("wb") as err, (place.folder / "told.txt").open("wb") as out:
        process = subprocess.Popen(
            [*command, json.dumps(asked)],
            stdout=out,
            stderr=err,
            cwd=place.folder,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        watch = Watch(place.broker, process)
        try:
            code, cpu = _await_end(process, watch, place.timeout_s)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if code is None:
        raise CannotRunError(
            f"did not end within {place.timeout_s:.0f} s on {place.prefix.events:,} events"
        )
    if code:
        raise CannotRunError(f"{name} ended with {code}: {_complaint(said)}")
    run = watch.run(cpu)
    told = (place.folder / "told.txt").read_text("utf-8").strip().splitlines()
    run.told = json.loads(told[-1]) if told and told[-1].startswith("{") else {}
    if place.broker is not None and not results.exists():
        write_values(place.broker, [output], results)
    run.results = [results]
    return run


def _complaint(said: Path) -> str:
    """The line of what a process said that tells most."""
    lines = said.read_text("utf-8", errors="replace").strip().splitlines() or ["nothing"]
    named = [line for line in lines if re.match(r"(Caused by: )?[\w.]*(Error|Exception)\b", line)]
    return (named or lines)[-1][:300]


def _await_end(
    process: subprocess.Popen[bytes], watch: Watch, timeout_s: float
) -> tuple[int | None, float]:
    """Exit code, None when the time was up, and seconds of CPU."""
    while watch.seconds() < timeout_s:
        watch.look()
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_utime + usage.ru_stime
        time.sleep(_POLL_S)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return None, 0.0


# -- topics


def _admin(broker: Broker) -> AdminClient:
    return AdminClient({**broker.client(), "log_level": 3})


def create_topic(broker: Broker, name: str, partitions: int) -> None:
    settings = {"max.message.bytes": "16777216", "retention.ms": "-1"}
    admin = _admin(broker)
    admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(30)


def drop_topics(broker: Broker, beginning: str, but: str = "") -> None:
    """Delete all topics whose names begin so, but for one."""
    admin = _admin(broker)
    names = [
        n for n in admin.list_topics(timeout=30).topics if n.startswith(beginning) and n != but
    ]
    for done in (admin.delete_topics(names) if names else {}).values():
        done.result(60)
    while set(names) & set(admin.list_topics(timeout=30).topics):
        time.sleep(0.1)


def values(broker: Broker, topics: list[str]) -> Iterator[tuple[str, list[bytes]]]:
    """The values of topics, many at a time, each with the name of its topic."""
    consumer = Consumer(
        {
            **broker.client(),
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.max.bytes": 64 << 20,
            "queued.max.messages.kbytes": 65_536,
            "isolation.level": "read_committed",
        }
    )
    try:
        for topic in topics:
            parts = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            for part in parts:
                consumer.assign([TopicPartition(topic, part, 0)])
                ended = False
                while not ended:
                    found = []
                    for message in consumer.consume(10_000, 1.0):
                        error = message.error()
                        if error is None:
                            if message.value() is not None:
                                found.append(message.value())
                        elif error.code() == KafkaError._PARTITION_EOF:
                            ended = True
                        else:
                            raise SystemExit(f"{topic}: {error}")
                    yield topic, found
    finally:
        consumer.close()


def write_values(broker: Broker, topics: list[str], path: Path) -> None:
    """Write the values of topics to a file, a line each."""
    with path.open("wb") as file:
        for _, found in values(broker, topics):
            file.writelines(value + b"\n" for value in found)


def java_command(name: str) -> str:
    """A command of the Java Development Kit.

    Raises
    ------
    CannotRunError
        If there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(name, path=f"{home}/bin" if home else None)
    if found is None:
        raise CannotRunError(f"`{name}` is missing: install a Java Development Kit, 17 or newer")
    return found
