"""This engine and its peers on the same frozen log, in one run, interleaved: one table.

The job (tests/bench/job.py): count, sum, minimum and maximum of a reading by device, over windows
of 10 s and of 60 s every 10 s, rolled up to grid, street, district and city; results to Kafka,
offsets committed.  The log (`cityvitals generate --profile bench`): 5 s of disorder, 1 % late,
0.1 % malformed, 5 % with keys shuffled or characters escaped.  From 1,000,000 devices on, windows
of 60 s begin at the grid.  One Apache Kafka on this machine, 4 partitions, lz4; DuckDB and Polars
read the file, as batch references.

Each engine reads a prefix of the same log that takes it about --seconds, found by a few runs that
do not count, but of at least 100,000 events and at least 10 a device, however long it takes: else
how many windows an event has would depend on the engine's speed.  Shorter is a prefix only where
--events is less.  So that slow engines come to an end, 10,000 devices are the default; --devices
says others.  Each row says how many events a device, and how many windows and rows of results an
event its prefix has.

A run begins with a process that has never run and ends when its results
are durable and its offsets committed: its start counts, and so do the rows of the windows that are
open when the log ends, six and more a device, which weigh most on short prefixes.  Every result is
checked against an oracle.

Peers (tests/bench/peers) are installed on first use; one that can not run here says why in its row.
A log of 20,000,000 events and its prefixes take about 10 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from tests.bench import frozen_log, own
from tests.bench.engines import CannotRunError, Engine, Place, Run, drop_topics
from tests.bench.installs import peers_folder, say
from tests.bench.job import Job, Oracle, describe
from tests.bench.roster import engines
from tests.bench.standings import row_of, show, with_ratios
from tests.faults.kafka_faults import Site
from tests.kafka.broker import Broker
from tests.kafka.broker_jars import MissingError

LEAST, LEAST_A_DEVICE = 100_000, 10
"""Events of a prefix: in all, and of each device."""
DEVICES = 10_000
_LONG_ENOUGH_S = 10.0
_SLOWEST_S, _SLOWEST = 300.0, 1_000
"""An engine is waited for this long, and longer where it has more events than so many a second."""
_MANY_DEVICES = 1_000_000


@dataclass
class Contest:
    """The engines of one comparison, and what they came to."""

    folder: Path
    log: frozen_log.FrozenLog
    devices: int
    job: Job
    broker: Broker | None
    why_no_broker: str
    seconds: float
    _filled: set[int] = field(default_factory=set)
    _oracles: dict[int, Oracle] = field(default_factory=dict)
    _runs: int = 0

    def size(self, engine: Engine) -> int:
        """How many events take the engine about the wanted time."""
        if self.broker is None and not engine.batch:
            raise CannotRunError(self.why_no_broker)
        engine.ready()
        events = least = self.least()
        if self.seconds == 0:
            return events
        while True:
            run, _ = self.run(engine, events, check=False)  # the first one warms up, too
            say(f"{engine.label}: {events:,} events in {run.wall_s:.1f} s, to find its prefix")
            wanted = max(least, round(events / run.wall_s * self.seconds, -4))
            if events >= self.log.events or run.wall_s >= min(_LONG_ENOUGH_S, self.seconds / 2):
                return min(int(wanted), self.log.events)
            events = int(min(max(wanted, 2 * events), 10 * events, self.log.events))

    def least(self) -> int:
        """The shortest prefix there may be."""
        return min(max(LEAST, LEAST_A_DEVICE * self.devices), self.log.events)

    def run(self, engine: Engine, events: int, *, check: bool = True) -> tuple[Run, dict[str, int]]:
        """One run, and the comparison with the oracle."""
        prefix = self.log.prefix(events)
        topics = f"first{events}."
        source = own.source_of(topics)
        if self.broker is not None and not engine.batch:
            self._fill(prefix, topics)
        self._runs += 1
        folder = self.folder / f"run-{self._runs}"
        folder.mkdir()
        patience = max(_SLOWEST_S, 10 * self.seconds, events / _SLOWEST)
        place = Place(
            None if engine.batch else self.broker,
            folder,
            prefix,
            topics,
            f"run-{self._runs}",
            source,
            self.job,
            patience,
        )
        try:
            run = engine.run(place)
            found = self._checked(engine, prefix, run) if check else {}
        finally:
            shutil.rmtree(folder)
            if place.broker is not None:
                drop_topics(place.broker, topics, but=source)
        return run, found

    def _fill(self, prefix: frozen_log.Prefix, topics: str) -> None:
        if prefix.events in self._filled:
            return
        assert self.broker is not None
        home = self.folder / f"topics-{prefix.events}"
        home.mkdir()
        site = Site(self.broker, home, own.configured(self.broker.url, topics, "fill", self.job))
        site.create_topics()
        prefix.fill(self.broker.client(), own.source_of(topics))
        drop_topics(self.broker, topics, but=own.source_of(topics))
        self._filled.add(prefix.events)

    def _checked(self, engine: Engine, prefix: frozen_log.Prefix, run: Run) -> dict[str, int]:
        oracle = self._oracle(prefix)
        found = oracle.check(run.results, prefix.last, engine.query)
        oracle.close()
        there = {
            "malformed": prefix.events - oracle.facts["well_formed"],
            "late": oracle.facts["beyond"],
        }
        for name, number in there.items():
            found[f"{name}_miscounted"] = run.told.get(name, number) - number
        return found

    def _oracle(self, prefix: frozen_log.Prefix) -> Oracle:
        if prefix.events not in self._oracles:
            database = self.folder / f"oracle-{prefix.events}.duckdb"
            self._oracles[prefix.events] = Oracle(prefix.path, self.job, database)
        return self._oracles[prefix.events]


@contextmanager
def a_broker(folder: Path) -> Iterator[tuple[Broker | None, str]]:
    """A broker for a while, or why there can be none."""
    broker = Broker(folder)
    try:
        broker.start()
    except MissingError as error:
        yield None, str(error)
        return
    try:
        yield broker, ""
    finally:
        broker.kill()


def compare(
    chosen: list[Engine],
    *,
    events: int,
    devices: int,
    period_s: int,
    runs: int,
    seconds: float,
    broker: Broker | None = None,
) -> dict[str, Any]:
    """Run all engines in turn; the report with a row for each of them.

    Parameters
    ----------
    chosen
        The engines, in the order of the rows and of each round.
    events, devices, period_s
        The frozen log: its length, and who reports how often.
    runs, seconds
        How many rounds count, and how long the prefix of an engine should take it.
    broker
        One that runs; if none is given one is started, and killed at the end.
    """
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="cityvitals-compare-")))
        say(f"making the frozen log: {events:,} events of {devices:,} devices")
        job = Job(device_hops=devices < _MANY_DEVICES)
        log = frozen_log.make(folder / "log", events, devices, period_s, job.partitions)
        missing = ""
        if broker is None:
            broker, missing = held.enter_context(a_broker(folder / "broker"))
        contest = Contest(folder, log, devices, job, broker, missing, seconds)
        sizes: dict[str, int] = {}
        failed: dict[str, str] = {}
        done: dict[str, list[tuple[Run, dict[str, int]]]] = {engine.name: [] for engine in chosen}

        def attempt(engine: Engine, what: Any) -> None:
            try:
                what()
            except CannotRunError as error:
                failed[engine.name] = str(error)
                say(f"{engine.label}: {error}")

        for engine in chosen:
            attempt(engine, lambda e=engine: sizes.__setitem__(e.name, contest.size(e)))
        for number in range(1, runs + 1):
            for engine in chosen:
                if engine.name in failed:
                    continue
                size = sizes[engine.name]
                attempt(engine, lambda e=engine, n=size: done[e.name].append(contest.run(e, n)))
                if done[engine.name]:
                    run, check = done[engine.name][-1]
                    rate = f"{size / run.wall_s:,.0f} events/s"
                    say(f"run {number}: {engine.label}: {size:,} events, {rate}, {describe(check)}")
        rows = [
            row_of(e, sizes.get(e.name), devices, done[e.name], failed.get(e.name)) for e in chosen
        ]
        with_ratios(rows)
        return {
            "events": events,
            "devices": devices,
            "period_s": period_s,
            "events_per_device_and_window": {"10": 10 / period_s, "60": 60 / period_s},
            "device_hops": job.device_hops,
            "planted": log.planted,
            "runs": runs,
            "rows": rows,
        }


def main() -> None:
    known = engines(peers_folder())
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--events", type=int, default=20_000_000, help="length of the log, the longest prefix")
    add("--devices", type=int, default=DEVICES, help=f"how many report (default {DEVICES})")
    add("--period", type=int, default=5, help="seconds between a device's readings (default 5)")
    add("--engines", default=",".join(known), help=f"of {', '.join(known)} (default: all)")
    add("--runs", type=int, default=3, help="runs of each engine that count (default 3)")
    add(
        "--seconds",
        type=float,
        default=30.0,
        help="what a prefix should take (default 30); 0: the shortest one, without finding out",
    )
    add("--peers", type=Path, help=f"where peers are installed (default {peers_folder()})")
    add("--json", action="store_true", help="one object with `rows` instead of a table")
    options = parser.parse_args()
    if options.peers:
        known = engines(options.peers.absolute())
    names = [name.strip() for name in options.engines.split(",")]
    for name in names:
        if name not in known:
            parser.error(f"unknown engine {name!r}: use some of {', '.join(known)}")
    for name in ("events", "devices", "period", "runs"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}: give 1 or more")
    report = compare(
        [known[name] for name in names],
        events=options.events,
        devices=options.devices,
        period_s=options.period,
        runs=options.runs,
        seconds=options.seconds,
    )
    if options.json:
        print(json.dumps(report))
    else:
        show(report, Console())


if __name__ == "__main__":
    main()
