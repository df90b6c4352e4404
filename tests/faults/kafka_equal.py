"""The same log in the embedded engine and on Kafka, with one worker and with three: same bytes.

``python -m tests.faults.kafka_equal --events 1000000`` is the long form.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import Producer

from agents.city import City
from agents.engine import Engine
from agents.metrics import Metrics
from agents.outputs import TICKS
from agents.recordings import Emitted, append
from schemas.configuration import Configuration
from streams.accounting import Accounting
from streams.log_store import LogStore
from streams.partitioning import partition_of
from streams.records import Lane
from tests.faults.kafka_faults import Site
from tests.faults.settings import catalogue, read
from tests.kafka import checker
from tests.kafka.broker import Broker

PARTITIONS = 4
SCALE = 1.0
_FED = ("city.sensor.v1", "city.traffic.v1", "city.hotline.v1")


def emitted(seed: int, events: int) -> Iterator[Emitted]:
    """Records of a small city in the order of their arrival."""
    city = City(seed, scale=SCALE)
    found = (
        Emitted(e.arrival_ms, e.topic, partition_of(e.key, PARTITIONS), e.key, e.value)
        for minute in count()
        for e in city.minute(minute)
        if e.topic in _FED
    )
    return islice(found, events)


class Said:
    """Digests of values by the digest of topic and id."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.records = self.differing = self.judged = self.flagged = 0

    def add(self, topic: str, name: bytes, value: bytes) -> None:
        judged, flagged = checker.verdicts([value])
        self.judged += judged
        self.flagged += flagged
        key, digest = _digest(topic.encode() + b"|" + name), _digest(value)
        self.records += 1
        if self.values.setdefault(key, digest) != digest:
            self.differing += 1


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=12).digest()


def run_embedded(folder: Path, config: Path, records: Iterable[Emitted]) -> float:
    """Fill a log and let the engine run over it; seconds of the run."""
    plan = read(config)
    store = LogStore(folder)
    Engine(plan, store, Metrics()).open()
    waiting = iter(records)
    while batch := list(islice(waiting, 5000)):
        with store.transaction() as tx:
            append(tx, batch)
    store.close()
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.faults.embedded_worker", str(folder), str(config)]
    subprocess.run(command, check=True)
    return time.monotonic() - began


def said_embedded(folder: Path) -> Said:
    store, said = LogStore(folder), Said()
    for topic in checker.CHECKED:
        for record in store.every_record(topic):
            said.add(topic, dict(record.headers)["ce_id"], record.value)
    store.close()
    return said


def accounts_embedded(folder: Path, config: Path) -> dict[Lane, Accounting]:
    store = LogStore(folder)
    engine = Engine(read(config), store, Metrics())
    engine.open()
    accounts = {lane: intake.accounting for lane, intake in engine.lanes.items()}
    store.close()
    return accounts


def said_on_kafka(site: Site) -> Said:
    said, prefix = Said(), site.configuration.kafka.prefix
    for topic in checker.CHECKED:

        def take(message: Any, topic: str = topic) -> None:
            said.add(topic, dict(message.headers())["ce_id"], message.value())

        checker.read_all(site.settings, prefix + topic, take)
    return said


def feed(site: Site, records: Iterable[Emitted], folder: Path) -> None:
    """Write the log, and the ticks that the embedded engine wrote, as they were."""
    prefix = site.configuration.kafka.prefix
    producer = Producer({**site.settings, "enable.idempotence": True, "linger.ms": 20})

    def produce(topic: str, partition: int, key: bytes | None, value: bytes, **more: Any) -> None:
        while True:
            try:
                producer.produce(prefix + topic, value, key, partition, **more)
                return
            except BufferError:
                producer.poll(0.1)

    store = LogStore(folder)
    for record in store.every_record(TICKS):
        produce(TICKS, 0, record.key, record.value, headers=list(record.headers))
    store.close()
    for r in records:
        produce(r.topic, r.partition, r.key, r.value, timestamp=r.timestamp)
    assert producer.flush(120) == 0


def configured(broker: str, prefix: str) -> Configuration:
    """The shipped catalogue with quick models, by workers that write no ticks of their own."""
    kafka = {
        "broker": broker,
        "prefix": prefix,
        "silence_s": 0.0,
        "checkpoint_s": 1.0,
        "retention_s": 31_622_400.0,
    }
    made = catalogue(SCALE, quickly=True)
    other = Configuration.model_validate(made.model_dump(mode="json") | {"kafka": kafka})
    return other.with_register(made.register)


def run_on_kafka(
    site: Site, workers: int, events: list[Emitted], folder: Path, *, restart: bool
) -> float:
    """Seconds from the start of the workers until all is behind the group."""
    site.create_topics()
    feed(site, events, folder)
    began = time.monotonic()
    for number in range(workers):
        site.start(f"worker-{number}", fetch_bytes=64 << 10 if restart else 1 << 20)
    if restart:
        ends = site.ends()
        half = {lane: end // 2 for lane, end in ends.items() if lane.topic in _FED}
        site.await_reached(half, 600)
        for number in range(workers):
            site.stop(f"worker-{number}")
        for number in range(workers):
            site.start(f"worker-{number}", fetch_bytes=1 << 20)
    site.await_settled(900)
    took = time.monotonic() - began
    for name in list(site.workers):
        site.stop(name)
    return took


RUNS = (("one", 1, False), ("three", 3, False), ("other_fetch_size", 1, True))
"""Names of runs on Kafka, how many workers each has, and whether they end half-way and go on with
another fetch size."""


def run(
    broker: Broker,
    events: int,
    seed: int,
    prefix: str,
    runs: Iterable[tuple[str, int, bool]] = RUNS,
) -> dict[str, Any]:
    """Run all of them on the same log; what they said, compared with the embedded engine."""
    with TemporaryDirectory(prefix="cityvitals-equal-") as name:
        scratch, folder = Path(name), Path(name) / "embedded"
        log = list(emitted(seed, events))
        config = Site(broker, scratch, configured(broker.url, prefix)).config_file()
        found: dict[str, Any] = {"events": len(log)}
        found["embedded_s"] = round(run_embedded(folder, config, log), 1)
        expected, accounts = said_embedded(folder), accounts_embedded(folder, config)
        found["said"] = len(expected.values)
        found["judged"], found["flagged"] = expected.judged, expected.flagged
        found["ticks"] = _ticks(folder)
        found["accounting"] = _total(accounts)
        for label, workers, restart in runs:
            home = scratch / label
            home.mkdir()
            site = Site(broker, home, configured(broker.url, f"{prefix}{label}."))
            try:
                took = run_on_kafka(site, workers, log, folder, restart=restart)
                said = said_on_kafka(site)
                found[label] = {
                    "s": round(took, 1),
                    "missing": len(expected.values.keys() - said.values.keys()),
                    "unexpected": len(said.values.keys() - expected.values.keys()),
                    "different": sum(
                        said.values.get(k, v) != v for k, v in expected.values.items()
                    ),
                    "repeated_otherwise": said.differing,
                    "repeated_the_same": said.records - len(said.values) - said.differing,
                    "accounts_differ": sum(
                        a.as_dict() != accounts[lane].as_dict()
                        for lane, a in site.accounts().items()
                    ),
                }
            except BaseException:
                from tests.faults.kafka_faults import _show_ends

                _show_ends(home)
                raise
            finally:
                site.close()
    return found


def _ticks(folder: Path) -> int:
    store = LogStore(folder)
    number = sum(1 for _ in store.every_record(TICKS))
    store.close()
    return number


def _total(accounts: dict[Lane, Accounting]) -> dict[str, int]:
    total = Accounting()
    for account in accounts.values():
        total.add(account)
    return total.as_dict()


BAD = ("missing", "unexpected", "different", "repeated_otherwise", "accounts_differ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="cityvitals-broker-") as folder, Broker(Path(folder)) as broker:
        found = run(broker, options.events, options.seed, "e.")
    print(json.dumps(found, indent=1))
    runs = [found[label] for label, *_ in RUNS]
    sys.exit(1 if any(each[name] for each in runs for name in BAD) else 0)


if __name__ == "__main__":
    main()
