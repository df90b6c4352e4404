"""Kill -9 at random points of a real process, restart, and count what came out.

``python -m tests.faults.kill_restore --kills 50 --seed 1`` is the long form.

The story: a power cut takes the process in the middle of anything, a SQLite transaction included.
The checker knows nothing of the engine's state: it runs the same log once without a fault, and
counts records of every output topic by id and bytes.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.city import City
from agents.engine import Engine
from agents.metrics import Metrics
from agents.plan import Plan, compile_plan
from agents.recordings import Emitted, append
from schemas.loading import load
from streams.event_logs import partition_of
from streams.log_store import LogStore

TOPICS = ("city.vitals-log.v1", "city.alert-log.v1", "city.late.v1", "city.deadletter.v1")
Found = Counter[tuple[str, bytes, bytes]]


def fill(folder: Path, plan: Plan, minutes: int) -> int:
    """Write the log of a small city; the number of records."""
    store = LogStore(folder)
    Engine(plan, store, Metrics()).open()
    city, count = City(3, scale=0.4), 0
    for minute in range(minutes):
        records = [
            Emitted(e.arrival_ms, e.topic, partition_of(e.key, 4), e.key, e.value)
            for e in city.minute(minute)
            if e.topic != "city.external.v1"
        ]
        count += len(records)
        with store.transaction() as tx:
            append(tx, records)
    store.close()
    return count


def outputs(folder: Path) -> Found:
    """Every output record by topic, id and bytes."""
    store, found = LogStore(folder), Found()
    for topic in TOPICS:
        for record in store.every_record(topic):
            found[topic, dict(record.headers)["ce_id"], record.value] += 1
    store.close()
    return found


def finished(folder: Path) -> bool:
    store = LogStore(folder)
    done = store.meta("finished") is not None
    store.close()
    return done


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.faults.worker", str(folder)])


def kill_until_done(folder: Path, kills: int, rng: random.Random) -> int:
    """Kill a worker at random points, then let one finish; how many kills hit a living one."""
    hit = 0
    for _ in range(kills):
        process = start(folder)
        _wait_for_start(process)
        time.sleep(rng.uniform(0.0, 0.6))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            hit += 1
        process.wait()
        if finished(folder):
            break
    if not finished(folder):
        assert start(folder).wait() == 0
    return hit


def _wait_for_start(process: subprocess.Popen[bytes]) -> None:
    """About as long as Faust needs to hand over the first chunk; less only makes a kill milder."""
    deadline = time.monotonic() + 2.0
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)


def run_faults(kills: int, seed: int, minutes: int) -> dict[str, int]:
    """Lost, wrong and doubled records after so many kills."""
    plan = compile_plan(load(None))
    with TemporaryDirectory() as calm, TemporaryDirectory() as rough:
        read = fill(Path(calm), plan, minutes)
        fill(Path(rough), plan, minutes)
        assert start(Path(calm)).wait() == 0
        hit = kill_until_done(Path(rough), kills, random.Random(seed))
        expected, found = outputs(Path(calm)), outputs(Path(rough))
    return {
        "events": read,
        "outputs": sum(expected.values()),
        "kills": hit,
        "lost": len(expected.keys() - found.keys()),
        "wrong": len(found.keys() - expected.keys()),
        "doubled": sum(n - 1 for n in found.values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=900)
    options = parser.parse_args()
    print(f"seed {options.seed}", run_faults(options.kills, options.seed, options.minutes))


if __name__ == "__main__":
    main()
