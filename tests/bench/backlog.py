"""How fast a prepared log is drained, end to end: the median of some runs, with all of them.

``python -m tests.bench.backlog --events 2000000 --embedded``: the shipped catalogue with all its
checks, from files to results in one process, by ``cityvitals replay``.  With ``--kafka`` the log
stands in a real Apache Kafka on this machine, four partitions, lz4, and ``--workers`` processes of
``cityvitals worker``, one a core, share them: results and alerts to Kafka, snapshots and offsets
kept.  Runs begin with workers that have never run, their start counts.  The log is frozen: seed 1,
one reading a device and ``--period`` (60 s).  With ``--kafka`` it is told what share of the
processor's time each stage took: the broker's, and those that workers count
(``cityvitals_cpu_seconds_total``); the rest is their start, the event loop and their clients.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import msgspec
from confluent_kafka import Producer

from agents.outputs import VITALS_LOG
from schemas.configuration import Configuration
from schemas.loading import load
from streams.accounting import Accounting
from streams.partitioning import partition_of
from tests.faults.kafka_faults import Site
from tests.kafka.fixtures import serving

COMMAND = [sys.executable, "-c", "from agents.commands import main; main()"]
TOPIC = "city.sensor.v1"
PARTITIONS = 4
PERIOD_S = 60
WORKERS = min(PARTITIONS, os.cpu_count() or 1)
_STAGE = re.compile(r'^cityvitals_cpu_seconds_total\{stage="(\w+)"\} (\S+)', re.MULTILINE)
_TICKS = os.sysconf("SC_CLK_TCK")


class _Reading(msgspec.Struct):
    device: str
    t: int
    t_ingest: int | None = None


def prepare(folder: Path, events: int, devices: int, period_s: int = PERIOD_S) -> None:
    """Write the log as a file."""
    options = ["--readings", str(events), "--devices", str(devices), "--period", str(period_s)]
    run_command(["generate", str(folder), *options, "--seed", "1"])


def run_command(arguments: list[str]) -> dict[str, Any]:
    """Run a command of the product; the object that it prints last."""
    last = b"{}"
    with TemporaryFile() as told:
        with subprocess.Popen(
            [*COMMAND, *arguments, "--json"], stdout=subprocess.PIPE, stderr=told
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                last = line
        if process.returncode:
            told.seek(0)
            why = told.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise SystemExit(f"{arguments[0]} ended with {process.returncode}: {why}")
    found: dict[str, Any] = json.loads(last)
    return found


def drain_embedded(log: Path) -> dict[str, Any]:
    """Replay the file; the figures of one run."""
    began = time.perf_counter()
    report = run_command(["replay", str(log), "--speed", "max"])
    return _figures(report, time.perf_counter() - began, report["peak_rss_bytes"])


def _figures(report: dict[str, Any], seconds: float, peak: int) -> dict[str, Any]:
    read = report["total"]["read"]
    return {
        "events": read,
        "wall_s": round(seconds, 2),
        "events_per_s": round(read / seconds),
        "results": report["vitals"],
        "remainder": report["total"]["remainder"],
        "peak_rss_mb": round(peak / 1e6),
    }


def records(log: Path, partitions: int) -> Iterator[tuple[bytes, bytes, int, int]]:
    """``(key, value, partition, log time in ms)`` of the file."""
    decode = msgspec.json.Decoder(_Reading).decode
    with (log / f"{TOPIC}.ndjson").open("rb") as lines:
        for line in lines:
            value = line.rstrip(b"\n")
            reading = decode(value)
            key = reading.device.encode()
            yield key, value, partition_of(key, partitions), reading.t_ingest or reading.t


def fill(site: Site, log: Path) -> None:
    """Write the file to the topic of a run."""
    settings = {"compression.type": "lz4", "linger.ms": 50, "batch.size": 1 << 20}
    producer = Producer({**site.settings, **settings, "queue.buffering.max.messages": 1_000_000})
    topic = site.configuration.kafka.prefix + TOPIC
    partitions = site.plan.topics[TOPIC].topic.partitions
    for key, value, partition, logged in records(log, partitions):
        while True:
            try:
                producer.produce(topic, value, key, partition, timestamp=logged)
                break
            except BufferError:
                producer.poll(0.5)
    if producer.flush(300):
        raise SystemExit("the broker did not take the log")


def configured(broker: str, prefix: str) -> Configuration:
    """The shipped catalogue on a broker, for recorded events."""
    kafka = {"broker": broker, "prefix": prefix, "silence_s": 0.0, "retention_s": 31_622_400.0}
    content = load(environ={}).model_dump(mode="json") | {"kafka": kafka}
    return Configuration.model_validate(content)


def drain_kafka(site: Site, workers: int) -> dict[str, Any]:
    """Let new workers drain the topic; the figures of the run, those of all workers together.

    Its results are the records of the vitals log.
    """
    names = [f"worker-{number}" for number in range(workers)]
    broker = int((site.broker.folder / "broker.pid").read_text("utf-8"))
    began, idle = time.perf_counter(), cpu_of(broker)
    for name in names:
        site.start(name)
    seconds = site.await_settled(3600) - began
    used = [site.workers[name].pid for name in names]
    peak, cpu = sum(map(peak_of, used)), sum(map(cpu_of, used))
    stages = {"broker": cpu_of(broker) - idle}
    for name in names:
        for stage, spent in _STAGE.findall(site.metrics(name)):
            stages[stage] = stages.get(stage, 0.0) + float(spent)
    stages["other"] = cpu + stages["broker"] - sum(stages.values())
    for name in names:
        site.stop(name)
    # What each worker says of its lanes counts those that another one had before.
    total = Accounting()
    for counts in site.accounts().values():
        total.add(counts)
    report = {"total": total.as_dict(), "vitals": site.count(VITALS_LOG)}
    found = _figures(report, seconds, peak)
    shares = {name: round(100 * spent / sum(stages.values())) for name, spent in stages.items()}
    cost = round(1e6 * cpu / found["events"], 2)
    return {**found, "workers": workers, "cpu_us_an_event": cost, "cpu_percent": shares}


def peak_of(pid: int) -> int:
    """Peak resident memory of a process, bytes."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    kilobytes = status.partition("VmHWM:")[2].split()[0]
    return int(kilobytes) << 10


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process and the children that it waited for have used."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def measure(
    events: int, devices: int, runs: int, period_s: int = PERIOD_S, workers: int = 1, *, kafka: bool
) -> Iterator[dict[str, Any]]:
    """The figures of each run."""
    with TemporaryDirectory(prefix="cityvitals-backlog-") as name:
        folder = Path(name)
        prepare(folder / "log", events, devices, period_s)
        if not kafka:
            for _ in range(runs):
                yield drain_embedded(folder / "log")
            return
        with serving(folder / "broker") as broker:
            for run in range(runs):
                home = folder / f"run-{run}"
                home.mkdir()
                site = Site(broker, home, configured(broker.url, f"run{run}."), as_json=False)
                try:
                    site.create_topics()
                    fill(site, folder / "log")
                    yield drain_kafka(site, workers)
                finally:
                    site.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--events", type=int, default=2_000_000, help="length of the log (default 2000000)")
    add("--devices", type=int, default=100_000, help="how many report (default 100000)")
    add(
        "--period",
        type=int,
        default=PERIOD_S,
        help=f"seconds between two readings of a device, from 10 (default {PERIOD_S})",
    )
    add("--runs", type=int, default=7, help="of which the median is told (default 7)")
    add(
        "--workers",
        type=int,
        default=WORKERS,
        help=f"with --kafka, processes that share the partitions (default {WORKERS}, one a core)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--kafka", action="store_true", help="a worker and its broker, here")
    where.add_argument("--embedded", action="store_true", help="the default")
    add("--json", action="store_true", help="one object; runs go to standard error")
    options = parser.parse_args()
    for name in ("events", "devices", "period", "runs", "workers"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}: give 1 or more")
    runs = []
    sizes = (options.events, options.devices, options.runs, options.period, options.workers)
    for found in measure(*sizes, kafka=options.kafka):
        runs.append(found)
        print(found, file=sys.stderr if options.json else sys.stdout, flush=True)
    rates = [found["events_per_s"] for found in runs]
    summary = {
        "where": "kafka" if options.kafka else "embedded",
        "devices": options.devices,
        "period_s": options.period,
        "median_events_per_s": round(statistics.median(rates)),
        "min": min(rates),
        "max": max(rates),
    }
    print(json.dumps({**summary, "runs": runs}) if options.json else summary)


if __name__ == "__main__":
    main()
