"""The embedded engine over a log that is there already, with ticks written in the middle of it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agents.app import run
from agents.engine import Engine
from agents.feeds import behind
from agents.metrics import Metrics
from streams.log_store import LogStore
from streams.timeline import BEFORE_ALL
from tests.faults.settings import read


def main(folder: Path, config: Path) -> None:
    store = LogStore(folder)
    store.own()
    engine = Engine(read(config), store, Metrics())
    engine.open()

    async def tick_some() -> None:
        """Tick silent lanes, and the last one a little: where that is depends on the moment."""
        marks = {lane: intake.watermark.value for lane, intake in engine.lanes.items()}
        known = [mark for mark in marks.values() if mark > BEFORE_ALL]
        for lane, mark in marks.items():
            if known and mark <= min(known):
                disorder = engine.plan.topics[lane.topic].disorder_ms
                await engine.tick(lane, min(known) + disorder + 2000)

    async def source() -> None:
        while behind(engine):
            await asyncio.sleep(0.5)
            await tick_some()
        await engine.finish()

    asyncio.run(run(engine.plan, engine, folder, source))
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
