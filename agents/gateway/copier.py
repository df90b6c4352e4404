"""Copies what the engine says into a database beside the gateway."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Protocol

from agents.gateway.feed import Feed
from agents.outputs import ALERT_LOG, VITALS_LOG

RESULTS, TRANSITIONS = f"{VITALS_LOG}/0", f"{ALERT_LOG}/0"
_PAUSE_S, _TRIM_S = 1.0, 600.0
_SHORTEST_S, _LONGEST_S = 0.5, 30.0
_MUCH = 1_000

log = logging.getLogger("cityvitals.gateway")


class Sink(Protocol):
    """What is copied to: `agents.gateway.postgres.Postgres`."""

    def position(self) -> dict[str, int]: ...

    def append(
        self, results: Iterable[bytes], transitions: Iterable[bytes], position: Mapping[str, int]
    ) -> None:
        """All of it or nothing; what is appended twice is there once."""
        ...

    def trim(self, now_ms: int) -> None: ...

    def close(self) -> None: ...


class Copier:
    """Goes on where the sink's own position is; a sink that is away is waited for.

    The logs keep what was not copied yet as long as their retention says: a sink that is away for
    longer misses the rest.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.trouble: str | None = None
        """Why nothing can be written just now."""

    async def run(self, feed: Feed) -> None:
        """Follow the logs for ever."""
        trimmed, wait = time.monotonic() - _TRIM_S, _SHORTEST_S
        while True:
            try:
                rows = await asyncio.to_thread(self.step, feed)
                if time.monotonic() - trimmed >= _TRIM_S:
                    now = await asyncio.to_thread(feed.now)
                    if now is not None:
                        await asyncio.to_thread(self._sink.trim, now)
                    trimmed = time.monotonic()
            except Exception as error:
                if self.trouble is None:
                    log.warning("results and alerts are not written on: %s", error)
                self.trouble = str(error)
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_S)
                continue
            self.trouble, wait = None, _SHORTEST_S
            await asyncio.sleep(0.01 if rows > _MUCH else _PAUSE_S)

    def close(self) -> None:
        self._sink.close()

    def step(self, feed: Feed) -> int:
        """Copy some of what is new; how many records it were."""
        position = self._sink.position()
        results = feed.results_log(position.get(RESULTS, 0), "copier")
        transitions = feed.transitions(position.get(TRANSITIONS, 0), _MUCH)
        came = {RESULTS: results, TRANSITIONS: transitions}
        passed = {lane: rows[-1][0] + 1 for lane, rows in came.items() if rows}
        if passed:
            self._sink.append([v for _, v in results], [v for _, v in transitions], passed)
        return len(results) + len(transitions)
