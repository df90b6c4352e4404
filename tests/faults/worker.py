"""A worker for fault runs: the embedded engine over a log that is there already, to its end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agents.app import run
from agents.engine import Engine
from agents.feeds import keep_behind
from agents.metrics import Metrics
from streams.log_store import LogStore
from tests.faults.settings import read


def main(folder: Path, config: Path) -> None:
    store = LogStore(folder)
    store.own()
    engine = Engine(read(config), store, Metrics(), checkpoint_s=0.1)
    engine.open()

    async def source() -> None:
        # Whoever is about to kill this process waits for it.
        (folder / "began").touch()
        await keep_behind(engine, 0)
        await engine.finish()
        with store.transaction() as tx:
            tx.set_meta("finished", b"1")

    asyncio.run(run(engine.plan, engine, folder, source))
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
