"""The watchdog: it tells a stall from a lull."""

from __future__ import annotations

import asyncio
import threading
import time

from agents.watchdog import Watchdog

STALL_S = 1.5


def barks(steps: list[int], *, occupied: bool, block: bool = False, seconds: float = 4.0) -> str:
    """What the watchdog said within some seconds; empty if nothing."""
    said: list[str] = []
    heard = threading.Event()

    def end(reason: str) -> None:
        said.append(reason)
        heard.set()

    watchdog = Watchdog(lambda: sum(steps), lambda: occupied, STALL_S, end)

    async def run() -> None:
        attending = asyncio.ensure_future(watchdog.attend())
        await asyncio.sleep(0)
        if block:
            heard.wait(seconds)  # the loop does not turn
        else:
            deadline = time.monotonic() + seconds
            while not heard.is_set() and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
                if steps:
                    steps.append(1)
        attending.cancel()

    asyncio.run(run())
    return said[0] if said else ""


def test_work_that_stands_still_is_a_stall() -> None:
    assert "none was done" in barks([], occupied=True, seconds=30)


def test_a_loop_that_does_not_turn_is_a_stall() -> None:
    assert "event loop" in barks([], occupied=False, block=True, seconds=30)


def test_nothing_to_do_is_none() -> None:
    assert barks([], occupied=False) == ""


def test_work_that_is_done_is_none() -> None:
    assert barks([1], occupied=True) == ""
