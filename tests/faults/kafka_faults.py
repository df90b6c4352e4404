"""Faults on a real Kafka: workers and brokers that die, sleep, come and go; then counted from the
log.

``python -m tests.faults.kafka_faults --kills 30 --seed 1`` is the long form.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from agents.outputs import PARTIALS, SNAPSHOTS
from agents.plan import Plan, compile_plan
from agents.tasks import IntakeTask
from agents.topology import SNAPSHOT_PARTITIONS
from agents.worker import group_of
from schemas.configuration import Configuration
from streams.accounting import Accounting
from streams.kafka.snapshots import SnapshotTopic
from streams.records import Chunk, Lane
from tests.faults.kafka_log import Feed, configuration
from tests.faults.kafka_worker import POINTS, POISON
from tests.faults.settings import write
from tests.kafka import checker
from tests.kafka.broker import Broker
from tests.kafka.checker import Report
from tests.rules.wide import SECRET

_REST_S = 2.0


@dataclass
class Site:
    """A cluster of workers on one broker, with somebody who starts again what ended."""

    broker: Broker
    folder: Path
    configuration: Configuration
    as_json: bool = True
    """Whether workers tell all that they say beside what they send."""
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)
    exits: list[int] = field(default_factory=list)

    @cached_property
    def plan(self) -> Plan:
        return compile_plan(self.configuration, SECRET)

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.broker.client())

    def config_file(self, **kafka: Any) -> Path:
        """The configuration as a file, with the callers' secret and the register beside it."""
        path = self.folder / f"config-{len(list(self.folder.iterdir()))}.yaml"
        return write(path, self.configuration, **kafka)

    def create_topics(self) -> None:
        command = ["topics", "create", "--config", str(self.config_file())]
        program = Path(sys.executable).with_name("cityvitals")
        subprocess.run([program, *command], check=True, stdout=subprocess.DEVNULL)

    def start(self, name: str, fault: str = "", **kafka: Any) -> None:
        """Start a worker, and start it again whenever it ends, until it is stopped."""
        self.wanted.add(name)
        self._spawn(name, fault, **kafka)

    def _spawn(self, name: str, fault: str = "", **kafka: Any) -> None:
        command = ["worker", "--config", str(self.config_file(**kafka)), "--port", "0"]
        command += ["--json"] if self.as_json else []
        with (
            (self.folder / f"{name}.out").open("ab") as out,
            (self.folder / f"{name}.err").open("ab") as err,
        ):
            self.workers[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.kafka_worker", *command],
                stdout=out,
                stderr=err,
                env={**os.environ, "FAULT": fault, "CITYVITALS_DEBUG": "1"},
                start_new_session=True,
            )

    def tend(self) -> None:
        """Start again what ended."""
        for name in self.wanted:
            code = self.workers[name].poll()
            if code is not None:
                self.exits.append(code)
                self._spawn(name)

    def kill(self, name: str) -> None:
        os.kill(self.workers[name].pid, signal.SIGKILL)
        self.workers[name].wait()

    def stop(self, name: str, timeout_s: float = 60) -> int:
        """End a worker as an operator would."""
        self.wanted.discard(name)
        worker = self.workers.pop(name)
        if worker.poll() is None:
            worker.terminate()
            try:
                worker.wait(timeout_s)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        return worker.returncode

    def metrics(self, name: str) -> str:
        """What a worker tells Prometheus."""
        if self.workers[name].poll() is not None:
            raise SystemExit(f"{name}: {(self.folder / f'{name}.err').read_text('utf-8')}")
        address = re.findall(r"http://\S+", (self.folder / f"{name}.err").read_text("utf-8"))[-1]
        with urllib.request.urlopen(address, timeout=60) as answer:
            text: str = answer.read().decode()
        return text

    def close(self) -> None:
        for name in list(self.workers):
            self.workers[name].kill()
            self.workers[name].wait()

    # -- what the broker knows

    def lanes(self) -> list[Lane]:
        plan = self.plan
        return [*plan.lanes, *(Lane(PARTIALS, shard) for shard in range(plan.shards.count))]

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        kafka = self.configuration.kafka
        consumer = Consumer({**self.settings, "group.id": group_of(kafka)})
        try:
            yield consumer
        finally:
            consumer.close()

    def committed(self) -> dict[Lane, int]:
        prefix = self.configuration.kafka.prefix
        asked = [TopicPartition(prefix + lane.topic, lane.partition) for lane in self.lanes()]
        found = self._ask(lambda consumer: consumer.committed(asked, timeout=10))
        return {lane: max(0, at.offset) for lane, at in zip(self.lanes(), found, strict=True)}

    def ends(self) -> dict[Lane, int]:
        prefix, ends = self.configuration.kafka.prefix, {}
        for lane in self.lanes():
            at = TopicPartition(prefix + lane.topic, lane.partition)
            ends[lane] = self._ask(lambda c, at=at: c.get_watermark_offsets(at, timeout=10)[1])
        return ends

    def count(self, topic: str) -> int:
        """How many records of a topic that is not compacted there are."""
        name = self.configuration.kafka.prefix + topic
        found = self._ask(lambda c: c.list_topics(name, timeout=10)).topics[name].partitions
        parts = [TopicPartition(name, partition) for partition in found]
        ends = [self._ask(lambda c, at=p: c.get_watermark_offsets(at, timeout=10)) for p in parts]
        return sum(end - first for first, end in ends)

    def _ask(self, question: Callable[[Consumer], Any]) -> Any:
        """Ask the broker, which may have no answer for a while after it has come back."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with self._consumer() as consumer:
                    return question(consumer)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def await_reached(self, marks: dict[Lane, int], timeout_s: float, tend: bool = True) -> float:
        """Wait until the group has committed these offsets; how long that took."""
        began = time.monotonic()
        while True:
            if tend:
                self.tend()
            done = self.committed()
            if all(done[lane] >= mark for lane, mark in marks.items()):
                return time.monotonic() - began
            behind = {str(lane): (done[lane], mark) for lane, mark in marks.items()}
            assert time.monotonic() - began < timeout_s, f"not reached: {behind}"
            time.sleep(0.1)

    def await_owner(self, name: str, timeout_s: float = 60) -> None:
        """Wait until a worker owns lanes."""
        deadline = time.monotonic() + timeout_s
        while "owns" not in (self.folder / f"{name}.err").read_text("utf-8"):
            assert time.monotonic() < deadline, f"{name} owns nothing"
            time.sleep(0.1)

    def await_settled(self, timeout_s: float = 240) -> float:
        """Wait until everything there is, partials included, is behind the group; since when it
        was, on the clock of `time.perf_counter`: to be sure takes longer.
        """
        while True:
            ends = self.ends()
            self.await_reached(ends, timeout_s)
            reached = time.perf_counter()
            time.sleep(2 * self.configuration.kafka.checkpoint_s)
            if self.ends() == ends:
                return reached

    def accounts(self) -> dict[Lane, Accounting]:
        """The accounting in the last snapshot of each lane."""
        kafka, plan = self.configuration.kafka, self.plan
        topic = SnapshotTopic(self.settings, kafka.prefix + SNAPSHOTS, SNAPSHOT_PARTITIONS)
        restored = topic.read([str(lane) for lane in plan.lanes])
        accounts = {}
        for lane in plan.lanes:
            task = IntakeTask(plan, lane)
            if str(lane) in restored and restored[str(lane)].parts:
                task.load(restored[str(lane)].parts)
            accounts[lane] = task.intake.accounting
        return accounts


def check(site: Site) -> Report:
    """Compare what stands in the output topics with what the log leads to."""
    plan, settings = site.plan, site.settings
    lanes = checker.inputs(settings, plan)
    quarantined = {lane: _poisoned(chunk) for lane, chunk in lanes.items()}
    ticks = checker.standing_ticks(settings, plan)
    _, outputs = checker.outputs_of(plan, lanes, ticks, quarantined)
    found = checker.found_in(settings, plan.configuration.kafka.prefix)
    expected = checker.by_id(outputs)
    report = checker.compare(expected, found)
    report.judged, report.flagged = checker.verdicts(expected.values())
    report.remainder = checker.check_counts(lanes, site.accounts(), found)
    return report


def _poisoned(chunk: Chunk) -> frozenset[int]:
    marker = POISON.encode()
    pairs = zip(chunk.offsets, chunk.values, strict=True)
    return frozenset(offset for offset, value in pairs if marker in value)


class Story:
    """The faults, one after another, while the feed goes on."""

    def __init__(self, site: Site, feed: Feed, rng: random.Random) -> None:
        self.site, self.feed, self.rng = site, feed, rng
        self.recoveries: list[float] = []
        self.kills = 0

    def settle(self, timeout_s: float = 120) -> float:
        """Wait until all that was written by now is behind the group."""
        return self.site.await_reached(self.site.ends(), timeout_s)

    def kill(self) -> None:
        """Kill a worker at a random moment; the other one takes over."""
        time.sleep(self.rng.uniform(0.2, 3.0))
        name = self.rng.choice(sorted(self.site.wanted))
        self.site.wanted.discard(name)
        self.site.kill(name)
        self.kills += 1
        marks = self.site.ends()
        self.recoveries.append(self.site.await_reached(marks, 120))
        self.site.start(name)
        self.settle()

    def kill_at(self, point: str) -> None:
        """Have a worker die at a named point."""
        name = self.rng.choice(sorted(self.site.wanted))
        self.site.stop(name)
        self.site.start(name, fault=f"{point}:{self.rng.randrange(1, 4)}")
        worker = self.site.workers[name]
        worker.wait(120)
        assert worker.returncode == -signal.SIGKILL, f"{point} was not reached"
        self.kills += 1
        self.settle()

    def pause(self, seconds: float) -> None:
        """Stop a worker for longer than its session, and let it go on."""
        name = self.rng.choice(sorted(self.site.wanted))
        pid = self.site.workers[name].pid
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)
        self.settle()

    def pause_and_kill(self, seconds: float) -> None:
        """Stop one worker for longer than its session, and kill the other when it has taken over.

        The one that slept wakes up as the only one, with a state of before.
        """
        asleep, other = self.rng.sample(sorted(self.site.wanted), 2)
        pid = self.site.workers[asleep].pid
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        self.site.wanted.discard(other)
        self.site.kill(other)
        self.kills += 1
        os.kill(pid, signal.SIGCONT)
        self.settle()
        self.site.start(other)
        self.settle()

    def come_and_go(self, seconds: float, every_s: float) -> None:
        """Let a third worker join and leave."""
        deadline, present = time.monotonic() + seconds, False
        while time.monotonic() < deadline:
            if present:
                self.site.stop("guest")
            else:
                self.site.start("guest")
            present = not present
            rest = time.monotonic() + every_s
            while time.monotonic() < rest:
                self.site.tend()
                time.sleep(0.2)
        if present:
            self.site.stop("guest")
        self.settle()

    def broker_dies(self) -> None:
        self.site.broker.kill()
        time.sleep(_REST_S)
        self.site.broker.start()
        self.settle(180)

    def broker_rests(self, seconds: float) -> None:
        self.site.broker.stop()
        time.sleep(seconds)
        self.site.broker.start()
        self.settle(180)

    def poison(self) -> None:
        """A record stops a worker twice, and is then left out."""
        before = len(self.site.exits)
        self.feed.poison()
        deadline = time.monotonic() + 180
        while len(self.site.exits) < before + 2:
            self.site.tend()
            assert time.monotonic() < deadline, "the poison record stopped no worker twice"
            time.sleep(0.1)
        self.settle()


def run_faults(
    broker: Broker,
    steps: list[Callable[[Story], object]],
    *,
    seed: int,
    prefix: str,
    rate: float = 400.0,
    session_timeout_s: float = 10.0,
) -> dict[str, Any]:
    """Run the steps, then check the log; what was found."""
    rng = random.Random(seed)
    kafka = {
        "broker": broker.url,
        "prefix": prefix,
        "checkpoint_s": 0.5,
        "silence_s": 3.0,
        "session_timeout_s": session_timeout_s,
        "retention_s": 31_622_400.0,
    }
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="cityvitals-faults-")))
        site = Site(broker, folder, configuration(kafka))
        held.callback(site.close)
        try:
            site.create_topics()
            feed = Feed(site.settings, site.plan, seed, rate)
            feed.start()
            story = Story(site, feed, rng)
            for name in ("first", "second"):
                site.start(name)
            story.settle()
            for step in steps:
                step(story)
            feed.stop()
            for name in ("first", "second"):
                site.stop(name)
            # The last one writes no ticks of its own: the log then has an end.
            site.start("last", silence_s=0.0)
            site.await_owner("last")
            site.await_settled()
            code = site.stop("last")
            report = check(site)
        except BaseException:
            _show_ends(folder)
            raise
    return {
        "seed": seed,
        "events": feed.sent,
        "kills": story.kills,
        "poisoned": feed.poisoned,
        **asdict(report),
        "last_exit": code,
        "recovery_median_s": round(statistics.median(story.recoveries), 1)
        if story.recoveries
        else None,
        "recovery_max_s": round(max(story.recoveries), 1) if story.recoveries else None,
    }


def _show_ends(folder: Path) -> None:
    for path in sorted(folder.glob("*.err")):
        lines = path.read_text("utf-8", errors="replace").splitlines()[-15:]
        print(f"--- {path.name}", *lines, sep="\n", file=sys.stderr)


def whole_story(kills: int) -> list[Callable[[Story], object]]:
    """Every fault there is."""
    steps: list[Callable[[Story], object]] = [Story.kill for _ in range(kills)]
    steps += [lambda story, point=point: story.kill_at(point) for point in POINTS]  # type: ignore[misc]
    steps += [
        lambda story: story.pause(15.0),
        *[lambda story: story.pause_and_kill(15.0)] * 3,
        lambda story: story.come_and_go(120.0, 10.0),
        Story.broker_dies,
        lambda story: story.broker_rests(60.0),
        Story.poison,
    ]
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30, help="at random points")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=400.0, help="events a second")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="cityvitals-broker-") as folder, Broker(Path(folder)) as broker:
        steps = whole_story(options.kills)
        found = run_faults(broker, steps, seed=options.seed, prefix="f.", rate=options.rate)
    print(json.dumps(found, indent=1))
    sound = not any(found[name] for name in ("lost", "wrong", "differing", "remainder"))
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
