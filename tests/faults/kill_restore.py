"""Kill -9 at random points of a real process, restart, and count what came out.

``python -m tests.faults.kill_restore --kills 50 --seed 1`` is the long form.

The story: a power cut takes the process in the middle of anything, a SQLite transaction included,
while models learn and orders change.  The checker knows nothing of the engine's state: the pure
pipeline says what the same log leads to under the same secret, in one go and without a store, and
records of every output topic are counted by id and bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.city import City
from agents.engine import Engine
from agents.metrics import Metrics
from agents.outputs import ALERT_LOG, DEAD_LETTER, LATE, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import Plan
from agents.recordings import Emitted, append
from streams.log_store import LogStore
from streams.partitioning import partition_of
from streams.records import Chunk, Lane
from tests.faults.settings import catalogue, read, write
from tests.kafka.checker import verdicts

SCALE = 0.4
TOPICS = (VITALS_LOG, ALERT_LOG, LATE, DEAD_LETTER)
Found = Counter[tuple[bytes, bytes]]
"""Records by digest of topic and id, and by digest of their bytes."""

_EVENTS_A_SECOND = 5000
"""About as many as the engine takes."""


def minutes_of(count: int) -> Iterator[list[Emitted]]:
    """The log of a small city, minute by minute."""
    city = City(3, scale=SCALE)
    for minute in range(count):
        yield [
            Emitted(e.arrival_ms, e.topic, partition_of(e.key, 4), e.key, e.value)
            for e in city.minute(minute)
            if e.topic != "city.external.v1"
        ]


def fill(folder: Path, plan: Plan, minutes: int) -> int:
    """Write the log into a folder; the number of records."""
    store, count = LogStore(folder), 0
    Engine(plan, store, Metrics()).open()
    for records in minutes_of(minutes):
        count += len(records)
        with store.transaction() as tx:
            append(tx, records)
    store.close()
    return count


def _digest(*parts: bytes) -> bytes:
    return hashlib.blake2b(b"|".join(parts), digest_size=12).digest()


def _named(topic: str, headers: Iterable[tuple[str, bytes]], value: bytes) -> tuple[bytes, bytes]:
    return _digest(topic.encode(), dict(headers)["ce_id"]), _digest(value)


class Expected:
    """What the pure pipeline says of the log, and how much of it rests on models and orders."""

    def __init__(self, plan: Plan, minutes: int) -> None:
        self.found, self.told = Found(), Counter[str]()
        self.pipeline = Pipeline(plan)
        offsets: Counter[Lane] = Counter()
        for records in minutes_of(minutes):
            lanes: dict[Lane, list[Emitted]] = {}
            for record in records:
                lanes.setdefault(Lane(record.topic, record.partition), []).append(record)
            for lane, listed in lanes.items():
                first = offsets[lane]
                offsets[lane] += len(listed)
                times, _, _, keys, values = zip(*listed, strict=True)
                chunk = Chunk(*lane, range(first, offsets[lane]), times, keys, values)
                self._note(self.pipeline.step(chunk))
        desks = [intake.desk for intake in self.pipeline.lanes.values()]
        self.told["orders_open"] = sum(desk.orders.open_count for desk in desks if desk)
        self._note(self.pipeline.end())

    def _note(self, outputs: Iterable[object]) -> None:
        for output in outputs:
            topic, value = output.topic, output.value  # type: ignore[attr-defined]
            if topic in TOPICS:
                self.found[_named(topic, output.headers, value)] += 1  # type: ignore[attr-defined]
            if topic == VITALS_LOG:
                judged, flagged = verdicts([value])
                self.told.update(judged=judged, flagged=flagged)
            elif topic == ALERT_LOG:
                self.told["anomaly_alerts"] += b'"kind":"anomaly"' in value


def outputs(folder: Path) -> Found:
    """Every output record that stands in a folder."""
    store, found = LogStore(folder), Found()
    for topic in TOPICS:
        for record in store.every_record(topic):
            found[_named(topic, record.headers, record.value)] += 1
    store.close()
    return found


def differing(folder: Path, plan: Plan, pipeline: Pipeline) -> int:
    """Lanes whose account or order table is another than the pure pipeline's at the end."""
    store = LogStore(folder)
    engine = Engine(plan, store, Metrics())
    engine.open()
    count = 0
    for lane, intake in engine.lanes.items():
        expected = pipeline.lanes[lane]
        same = intake.accounting.as_dict() == expected.accounting.as_dict()
        if intake.desk is not None and expected.desk is not None:
            same = same and intake.desk.dump() == expected.desk.dump()
            mine, theirs = intake.desk.freeze(whole=True), expected.desk.freeze(whole=True)
            parts = [{n: e() for n, e in one.items() if e} for one in (mine, theirs)]
            same = same and parts[0] == parts[1]
        count += not same
    store.close()
    return count


def finished(folder: Path) -> bool:
    store = LogStore(folder)
    done = store.meta("finished") is not None
    store.close()
    return done


def start(folder: Path, config: Path) -> subprocess.Popen[bytes]:
    (folder / "began").unlink(missing_ok=True)
    return subprocess.Popen([sys.executable, "-m", "tests.faults.worker", str(folder), str(config)])


def kill_until_done(
    folder: Path, config: Path, kills: int, longest_s: float, rng: random.Random
) -> int:
    """Kill a worker at random points, then let one finish; how many kills hit a living one."""
    hit = 0
    for _ in range(kills):
        process = start(folder, config)
        _wait_for_start(process, folder)
        time.sleep(rng.uniform(0.0, longest_s))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            hit += 1
        process.wait()
        if finished(folder):
            break
    if not finished(folder):
        assert start(folder, config).wait() == 0
    return hit


def _wait_for_start(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until the engine has its state and the first chunk is about to come."""
    deadline = time.monotonic() + 60.0
    while process.poll() is None and not (folder / "began").exists():
        assert time.monotonic() < deadline, "the worker has not begun"
        time.sleep(0.02)


def run_faults(kills: int, seed: int, minutes: int, *, quickly: bool = True) -> dict[str, int]:
    """Lost, wrong and doubled records after so many kills.

    Parameters
    ----------
    quickly
        Whether models judge after a few values; else they are as shipped.
    """
    configuration = catalogue(SCALE, quickly=quickly)
    with TemporaryDirectory(prefix="cityvitals-kills-") as name:
        config = write(Path(name) / "city.yaml", configuration)
        plan, folder = read(config), Path(name) / "data"
        count = fill(folder, plan, minutes)
        longest_s = 1.6 * count / _EVENTS_A_SECOND / kills
        hit = kill_until_done(folder, config, kills, longest_s, random.Random(seed))
        expected, found = Expected(plan, minutes), outputs(folder)
        differs = differing(folder, plan, expected.pipeline)
    return {
        "events": count,
        "outputs": expected.found.total(),
        **expected.told,
        "kills": hit,
        "lost": len(expected.found.keys() - found.keys()),
        "wrong": len(found.keys() - expected.found.keys()),
        "doubled": sum(n - 1 for n in found.values()),
        "lanes_differ": differs,
    }


BAD = ("lost", "wrong", "doubled", "lanes_differ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=900)
    parser.add_argument("--shipped", action="store_true", help="models as in the catalogue")
    options = parser.parse_args()
    kills, seed, minutes = options.kills, options.seed, options.minutes
    report = run_faults(kills, seed, minutes, quickly=not options.shipped)
    print(f"seed {seed}", report)
    sys.exit(1 if any(report[name] for name in BAD) else 0)


if __name__ == "__main__":
    main()
