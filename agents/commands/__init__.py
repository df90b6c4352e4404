"""The command line ``cityvitals``: one module a command, heavy imports inside the commands."""

from __future__ import annotations

import sys

from agents.commands.stopping import STOP

_RUNS = ("up", "replay", "worker")


def main() -> None:
    """Run the command line; the exit code is one of `agents.commands.exits`."""
    if sys.argv[1:2] and sys.argv[1] in _RUNS:
        # Before the slow imports: a Ctrl-C at any moment ends a run with its summary.
        STOP.install()
    from agents.commands.cli import app

    app()
