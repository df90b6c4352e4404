"""The real console script in processes of its own, and its commands in this one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from agents.commands.cli import app

SCRIPT = Path(sys.executable).with_name("cityvitals")
TIMEOUT_S = 60


@dataclass
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Ended]


def here(*arguments: object, env: dict[str, str] | None = None) -> Ended:
    """The command in this process, which has loaded all it needs."""
    ended = CliRunner().invoke(app, [*map(str, arguments)], env=env)
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A command that goes on; killed where a test leaves it running."""
    with subprocess.Popen(
        [SCRIPT, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)


@dataclass
class CityRun:
    """The data folder of a short run of the city, and what the run printed."""

    data: Path
    ended: Ended
