"""The wish to end a run: a signal, or a reader of standard output that went away."""

from __future__ import annotations

import asyncio
import signal
import time
from types import FrameType

_IMPATIENT_S = 1.0


class Stop:
    """Noted from any place, seen by the run.

    Examples
    --------
    >>> stop = Stop()
    >>> stop.wish()
    >>> stop.wished
    True
    """

    def __init__(self) -> None:
        self.since: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None

    @property
    def wished(self) -> bool:
        return self.since is not None

    def install(self) -> None:
        """Take SIGINT and SIGTERM as the wish to end."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # A terminal and a wrapper may both send the first one; a later one is meant.
        if self.since is not None and time.monotonic() - self.since > _IMPATIENT_S:
            raise KeyboardInterrupt
        self.wish()

    def wish(self) -> None:
        """Wish the run to end."""
        if self.since is None:
            self.since = time.monotonic()
        if self._loop is not None and self._event is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    def event(self) -> asyncio.Event:
        """An event of the running loop that is set when the wish is there."""
        self._loop, self._event = asyncio.get_running_loop(), asyncio.Event()
        if self.wished:
            self._event.set()
        return self._event


STOP = Stop()
"""That of this process: signals are the whole process's."""
