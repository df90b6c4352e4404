"""Bytes of state a device in one embedded engine, by what holds them.

``python -m tests.bench.memory --devices 1000 100000 1400000``: for each number of devices a process
of its own replays a frozen log (seed 1, one reading a device and minute, four metrics, the shipped
catalogue) as ``cityvitals replay`` does.  When all of it is taken, and before windows are closed at
its end, the parts of the engine are dropped one by one, and what is in use is read after each.
Eight minutes are enough for all that is kept to be there: what is remembered against repeats is
as old as the allowed lateness, five minutes.

The shipped catalogue has no sign by device that a lane finishes by itself.  Those of the comparison
with other engines are: ``--config tests/bench/compare.yaml`` (of the four metrics it takes one).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agents.app import first_of, run
from agents.engine import Engine
from agents.feeds import ReplayFeed, keep_behind
from agents.metrics import Metrics
from agents.plan import compile_plan
from agents.recordings import logs_of
from schemas.loading import load
from streams.log_store import LogStore
from tests.bench.backlog import prepare
from tests.bench.holders import (
    CAN_COUNT,
    Held,
    census,
    holders_of,
    peak_bytes,
    resident_bytes,
    used_bytes,
)

TARGET = 200
"""Bytes a device besides open panes, of the issue."""


class _Measured(ReplayFeed):
    """A replay that ends in a census."""

    held: list[Held]
    empty = full = resident = peak = events = 0

    async def run(self) -> None:
        self.empty = used_bytes()
        # The feeder follows what is saved.
        await first_of(self._follow(), self._keep_saved())
        await keep_behind(self.engine, 0)
        await self.engine.checkpoint()
        self.peak, self.resident, self.full = peak_bytes(), resident_bytes(), used_bytes()
        self.events = self.engine.pipeline.total().read
        self.held = census(holders_of(self.engine.pipeline))

    async def _keep_saved(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            await self.engine.checkpoint_if_due()


def take(log: Path, devices: int, minutes: int, config: Path | None = None) -> dict[str, Any]:
    """Replay a log in this process; what held how much."""
    importlib.import_module("river.anomaly")  # else loaded by the first model, and no state
    with TemporaryDirectory(prefix="cityvitals-memory-") as folder:
        store = LogStore(Path(folder) / "data")
        store.own()
        engine = Engine(compile_plan(load(config, environ={})), store, Metrics())
        feed = _Measured(engine, logs_of([log], None), None)
        engine.open()
        asyncio.run(run(engine.plan, engine, store.path, feed.run))
        store.close()
    assert feed.events == devices * minutes, feed.events
    panes = sum(held.size for held in feed.held if held.open_panes)
    state = sum(held.size for held in feed.held) - panes
    rest = feed.full - feed.empty - panes - state
    return {
        "devices": devices,
        "events": feed.events,
        "empty_mb": round(feed.empty / 1e6, 1),
        "used_mb": round(feed.full / 1e6, 1),
        "resident_mb": round(feed.resident / 1e6, 1),
        "peak_mb": round(feed.peak / 1e6, 1),
        "bytes_a_device": round(state / devices, 1),
        "open_panes_bytes_a_device": round(panes / devices, 1),
        "no_part_mb": round(rest / 1e6, 1),
        "target_bytes_a_device": TARGET,
        "held": [
            {
                "what": held.name,
                "bytes_a_device": round(held.size / devices, 1) or 0.0,
                "open_panes": held.open_panes,
            }
            for held in feed.held
        ],
    }


def measure(devices: int, minutes: int, config: Path | None = None) -> dict[str, Any]:
    """The figures of so many devices, from a process of its own."""
    with TemporaryDirectory(prefix="cityvitals-memory-") as folder:
        log = Path(folder) / "log"
        prepare(log, devices * minutes, devices)
        command = [sys.executable, "-m", "tests.bench.memory", "--devices", str(devices)]
        options = ["--minutes", str(minutes), "--log", str(log)]
        options += [] if config is None else ["--config", str(config)]
        done = subprocess.run([*command, *options], stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def show(found: dict[str, Any]) -> None:
    """Print the figures of one number of devices."""
    verdict = "within" if found["bytes_a_device"] <= TARGET else "ABOVE"
    print(
        f"{found['devices']:,} devices: {found['bytes_a_device']:,} bytes a device, {verdict} the "
        f"target of {TARGET}; open panes {found['open_panes_bytes_a_device']:,}; "
        f"in use {found['empty_mb']:,} MB when empty, {found['used_mb']:,} MB when full, "
        f"{found['no_part_mb']:,} MB of these in no part; resident {found['resident_mb']:,} MB, "
        f"peak {found['peak_mb']:,} MB"
    )
    for held in found["held"]:
        note = "  (open panes, told apart)" if held["open_panes"] else ""
        print(f"  {held['bytes_a_device']:10,.1f}  {held['what']}{note}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--devices", type=int, nargs="+", default=[1_000, 100_000, 1_400_000], metavar="N"
    )
    parser.add_argument("--minutes", type=int, default=8, help="readings of each device")
    parser.add_argument(
        "--config", type=Path, help="of other signs than those of the shipped catalogue"
    )
    parser.add_argument("--json", action="store_true", help="one object instead of lines")
    parser.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not CAN_COUNT:
        raise SystemExit("only glibc 2.33 and later says what is in use: measure on such a Linux")
    if options.log is not None:
        print(json.dumps(take(options.log, options.devices[0], options.minutes, options.config)))
        return
    runs = []
    for devices in options.devices:
        runs.append(measure(devices, options.minutes, options.config))
        if not options.json:
            show(runs[-1])
    if options.json:
        print(json.dumps({"minutes": options.minutes, "runs": runs}))


if __name__ == "__main__":
    main()
