"""A run of `cityvitals up` with its page, and what its topics said and when."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from tests.commands.console import SCRIPT

PAGE = re.compile(r"http://\S+#token=\S+")
START_S = 300


def chromium() -> str | None:
    """The system's browser."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


class Product:
    """The engine and its gateway as processes.

    Parameters
    ----------
    process
        The run, with its standard output as JSON lines.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.address = ""
        self.said: dict[str, tuple[float, dict[str, Any]]] = {}
        """By alert and transition: when the topic had it (wall seconds), and what it says."""
        self._readers = [
            Thread(target=self._read_topic, daemon=True),
            Thread(target=self._read_words, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_topic(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(b'{"alert_id"'):
                alert = json.loads(line)
                self.said.setdefault(
                    f"{alert['alert_id']} {alert['transition']}", (time.time(), alert)
                )

    def _read_words(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            found = PAGE.search(line.decode())
            if found:
                self.address = found.group()

    @property
    def base(self) -> str:
        return self.address.split("#")[0]

    @property
    def token(self) -> str:
        return self.address.split("token=")[1]

    def ask(self, path: str, body: bytes | None = None, form: str = "application/x-ndjson") -> Any:
        """What the gateway answers: JSON, or the lines of it where a batch was sent."""
        headers = {"authorization": f"Bearer {self.token}", "content-type": form}
        request = urllib.request.Request(self.base + path.lstrip("/"), body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            lines = answer.read().splitlines()
        return json.loads(lines[0]) if body is None else [json.loads(one) for one in lines]

    def wait_for(self, what: str, ready: Any, seconds: float = START_S) -> Any:
        """What `ready` gives back as soon as it is true."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, f"the run ended with {self.process.returncode}"
            try:
                found = ready()
            except OSError:
                found = None
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError(f"no {what} within {seconds:.0f} s")

    def standing(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.ask("/alerts?limit=500")["items"]
        return items

    def kill_gateway(self) -> None:
        """End the gateway as a crash would; the run starts another one."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
            except OSError:
                continue
            if b"agents.gateway" in words and parent == str(self.process.pid):
                os.kill(int(folder.name), signal.SIGKILL)
                return
        raise AssertionError("the run has no gateway")


@contextmanager
def product(folder: Path, *, speed: int = 30) -> Iterator[Product]:
    """A run that has told the index of the city and raised an alert."""
    arguments = ("up", "--json", "--data", folder, "--speed", speed, "--port", 0)
    with subprocess.Popen(
        [SCRIPT, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            run = Product(process)
            run.wait_for("address of the page", lambda: run.address)
            index = "/signs?sign=city.health_index&key_level=city"
            run.wait_for(
                "index of the city", lambda: any(one["value"] for one in run.ask(index)["items"])
            )
            run.wait_for("alert", run.standing)
            yield run
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
