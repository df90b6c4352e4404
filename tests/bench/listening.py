"""The embedded engine over a log that another process fills, in real time.

It is the engine of ``cityvitals up`` without the simulated city.  Beside the log it keeps a file of
notes, a JSON line each: of every checkpoint when its outputs were durable and how many there were,
and twice a second how many records were unread.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from agents.commands.quantities import retention
from agents.commands.running import Run, execute
from agents.commands.stopping import STOP
from agents.engine import Engine
from agents.feeds import SILENCE_MS, behind
from agents.outputs import ALERT_LOG, VITALS_LOG
from agents.plan import compile_plan
from agents.view import View
from schemas.loading import load
from streams.records import Output

NOTES = "notes.ndjson"
_LOOK_S = 0.5


class Notes:
    """What is shown of the run: when its outputs were durable."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def begin(self, view: View) -> None:
        self.note(began=True)

    def publish(self, outputs: list[Output]) -> None:
        vitals = sum(output.topic == VITALS_LOG for output in outputs)
        alerts = sum(output.topic == ALERT_LOG for output in outputs)
        self.note(vitals=vitals, alerts=alerts)

    async def attend(self) -> None:
        await asyncio.Event().wait()

    def end(self, summary: dict[str, Any]) -> None:
        self.note(total=summary["total"], peak=summary["peak_rss_bytes"])

    def close(self) -> None:
        self.file.flush()

    def note(self, **what: Any) -> None:
        print(json.dumps({"at": time.time() * 1000, **what}), file=self.file, flush=True)


class Listening:
    """A feed that feeds nothing: it states the time of lanes that are silent, as `up` does."""

    def __init__(self, engine: Engine, notes: Notes) -> None:
        self.engine, self.notes = engine, notes

    @property
    def now(self) -> int:
        return time.time_ns() // 1_000_000

    async def run(self) -> None:
        while True:
            self.notes.note(lag=behind(self.engine))
            await self.engine.tick_silent(self.now, SILENCE_MS)
            await asyncio.sleep(_LOOK_S)


def main(folder: Path) -> None:
    STOP.install()
    with (folder / NOTES).open("w", encoding="utf-8") as file:
        notes = Notes(file)
        run = Run(
            plan=compile_plan(load(environ={})),
            folder=folder / "data",
            shown=str(folder),
            retention=retention([]),
            port=0,
            display=notes,
            stop=STOP,
            pace=1.0,
        )
        execute(run, lambda engine: Listening(engine, notes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
