"""Ends a worker that stands still: started again, it goes on from its snapshot."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable

_LOOK_S = 1.0
STALLED = 3
"""Exit code."""


class Watchdog:
    """A thread that looks whether the event loop turns and whether work is done.

    Parameters
    ----------
    steps
        A number that grows with all that is done.
    occupied
        Whether there is anything to do.
    stall_s
        Seconds without a step, or a turn of the loop, after which the process ends.
    end
        Called with a sentence; ends the process, as nothing in it can be trusted to.
    """

    def __init__(
        self,
        steps: Callable[[], int],
        occupied: Callable[[], bool],
        stall_s: float,
        end: Callable[[str], None] | None = None,
    ) -> None:
        self._steps, self._occupied, self._stall_s = steps, occupied, stall_s
        self._end = end or end_process
        self._turned = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    async def attend(self) -> None:
        """Show that the loop turns; runs beside the work."""
        self._turned = time.monotonic()
        self._thread.start()
        try:
            while True:
                self._turned = time.monotonic()
                await asyncio.sleep(_LOOK_S)
        finally:
            self._stopped.set()

    def _watch(self) -> None:
        steps, since = self._steps(), time.monotonic()
        looked = since
        while not self._stopped.wait(_LOOK_S):
            now = time.monotonic()
            if now - looked > 5 * _LOOK_S:
                # The whole process was stopped, and this thread with it.
                since = self._turned = now
            looked = now
            if self._steps() != steps or not self._occupied():
                steps, since = self._steps(), now
            if now - self._turned > self._stall_s:
                self._end(f"the event loop has not turned for {self._stall_s:.0f} s")
            elif now - since > self._stall_s:
                self._end(f"there is work, but none was done for {self._stall_s:.0f} s")


def end_process(reason: str) -> None:
    """End at once, without what an orderly end would wait for."""
    print(
        f"stalled: {reason}. The worker ends with exit code {STALLED}; start it again: it goes on "
        "from its last snapshot. Is the broker there, and is the machine overloaded?",
        file=sys.stderr,
        flush=True,
    )
    os._exit(STALLED)
