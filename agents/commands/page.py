"""The gateway of a run: a process of its own, started with the engine and again if it ends."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from agents.commands.exits import complain
from agents.commands.gateway import told_of_page
from schemas.gateway import Gateway

_LOOK_S, _AGAIN_S, _LONGEST_S = 0.2, 1.0, 30.0
_PATIENCE_S = 1.0


class Page:
    """The gateway over a data folder.

    Parameters
    ----------
    settings
        Of the configuration; the port is another one where it is taken.
    folder
        The data folder, absolute.
    show_token
        Whether the owner's token is told, though it was before.
    """

    def __init__(self, settings: Gateway, folder: Path, *, show_token: bool = False) -> None:
        from agents.gateway.access import is_loopback
        from agents.gateway.running import prepare
        from agents.gateway.server import listen

        token, _ = prepare(settings, folder / "gateway")
        # The socket outlives the process: who connects while it starts again has to wait, no more.
        strict = not is_loopback(settings.host)
        self._socket: socket.socket = listen(settings.host, settings.port, strict=strict)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.told = told_of_page(self._socket, settings, token, show=show_token)
        """Where it is, for people."""

    async def run(self) -> None:
        """Keep a gateway running until it is cancelled."""
        wait = _AGAIN_S
        try:
            while True:
                began = time.monotonic()
                self._process = process = self._start()
                while process.poll() is None:
                    await asyncio.sleep(_LOOK_S)
                complain(f"the page's gateway ended with {process.returncode}; it starts again")
                if time.monotonic() - began > _LONGEST_S:
                    wait = _AGAIN_S
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_S)
        finally:
            # It ends while the run saves what it has.
            if self._process is not None:
                self._process.terminate()

    def _start(self) -> subprocess.Popen[bytes]:
        number = self._socket.fileno()
        # A Ctrl-C is for the run: it ends the gateway when it has ended itself.
        return subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "agents.gateway", "--data", str(self._folder)),
                *("--fd", str(number), "--parent", str(os.getpid())),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(number,),
            process_group=0,
        )

    def close(self) -> None:
        """End it for good; what it keeps is as durable when it is killed."""
        self._socket.close()
        if self._process is not None:
            try:
                self._process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
