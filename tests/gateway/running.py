"""Gateways that run, and how tests talk to them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson

from agents.outputs import ALERT_LOG, ALERTS
from streams.log_store import LogStore
from streams.records import Output
from tests.commands.console import SCRIPT

PATIENCE_S = 60.0
_RUNS = 10
_ADDRESS = re.compile(rb"page +(https?://\S+?)/(?:#token=(\S+))?(?: +\(.*\))?\n")


class Running:
    """A gateway in a process of its own."""

    def __init__(
        self, *arguments: object, env: dict[str, str] | None = None, show_token: bool = True
    ) -> None:
        shown = ("--show-token",) if show_token else ()
        self.process = subprocess.Popen(
            [SCRIPT, "gateway", *shown, *map(str, arguments)],
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        self.told: deque[bytes] = deque(maxlen=100)
        assert self.process.stderr is not None
        found = None
        for line in self.process.stderr:
            self.told.append(line)
            found = _ADDRESS.search(line)
            if found:
                break
        assert found is not None, b"".join(self.told).decode()
        self.url = found[1].decode()
        self.token = (found[2] or b"").decode()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.told.append(line)

    def client(self, token: str | None = None, **more: Any) -> httpx.Client:
        headers = {"authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE_S, **more)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/ready", timeout=5, verify=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise AssertionError(b"".join(self.told).decode())

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        self._listener.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


def copied(folder: Path, to: Path) -> Path:
    """A data folder of its own, without what a gateway keeps."""
    return Path(shutil.copytree(folder, to, ignore=shutil.ignore_patterns("gateway", "lock")))


@contextmanager
def gateway(*arguments: object, env: dict[str, str] | None = None) -> Iterator[Running]:
    """A gateway that is ready."""
    running = Running(*arguments, env=env)
    try:
        running.wait_ready()
        yield running
    finally:
        running.end(signal.SIGKILL if running.process.poll() is None else signal.SIGTERM)


Event = tuple[str, str | None, Any]
"""Name, id and data of a server-sent event."""


def events(lines: Iterator[str]) -> Iterator[Event]:
    """The server-sent events of a stream, read as the standard says."""
    name, number, data = "message", None, list[str]()
    for line in lines:
        if not line:
            if data:
                yield name, number, json.loads("\n".join(data))
            name, number, data = "message", None, []
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "id":
                number = value
            elif field == "data":
                data.append(value)


def until(found: Iterator[Event], name: str) -> Event:
    """The next event of a name."""
    return next(event for event in found if event[0] == name)


def alerts_of(store: LogStore) -> list[dict[str, Any]]:
    """The alerts of thresholds: those of the engine come when a machine is busy."""
    found = (orjson.loads(latest.value) for latest in store.latest(ALERTS))
    return [alert for alert in found if alert["kind"] == "threshold"]


def with_more_alerts(folder: Path) -> Path:
    """The folder, with an alert that is there said three times more, under other ids."""
    with closing(LogStore(folder)) as store:
        alert = alerts_of(store)[0]
        more = [alert | {"alert_id": f"{n}{alert['alert_id']}"} for n in range(3)]
        with store.transaction() as tx:
            tx.send(
                [
                    Output(topic, one["alert_id"].encode(), orjson.dumps(one), headers, 1, None)
                    for one in more
                    for headers in [(("ce_id", f"{one['alert_id']}/1".encode()),)]
                    for topic in (ALERT_LOG, ALERTS)
                ]
            )
    return folder


def folder_of(path: Path, seconds: int = 3, config: Path | None = None) -> Path:
    """A data folder in which a city ran for some seconds, and until there was an alert of it."""
    more = () if config is None else ("--config", config)
    command = [SCRIPT, "up", *more, "--data", path, "--for", f"{seconds}s", "--json", "--no-page"]
    for _ in range(_RUNS):
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=180)
        with closing(LogStore(path)) as store:
            if alerts_of(store):
                break
    return path
