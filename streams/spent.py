"""Processor time by stage of the work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

FETCH, INTAKE, ASSESS, SEND, SAVE = "fetch", "intake", "assess", "send", "save"
STAGES = (FETCH, INTAKE, ASSESS, SEND, SAVE)


class Spent:
    """Seconds of processor time that each stage took in this process, over all of its threads.

    Examples
    --------
    >>> spent = Spent()
    >>> with spent.on(INTAKE):
    ...     with spent.on(ASSESS):
    ...         _ = sum(range(100_000))
    >>> of = spent.seconds()
    >>> 0 <= of["intake"] < of["assess"], list(of)
    (True, ['fetch', 'intake', 'assess', 'send', 'save'])
    """

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._lock = threading.Lock()
        self._inner = threading.local()

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """Count what this thread does meanwhile; a stage within a stage counts once, as its own.

        Nothing may be awaited within it: the thread would do something else.
        """
        before, began = getattr(self._inner, "seconds", 0.0), time.thread_time()
        self._inner.seconds = 0.0
        try:
            yield
        finally:
            took = time.thread_time() - began
            with self._lock:
                self._seconds[stage] += took - self._inner.seconds
            self._inner.seconds = before + took

    def note_thread(self, stage: str) -> None:
        """Note that all this thread has ever done was one stage, which no other thread has."""
        with self._lock:
            self._seconds[stage] = time.thread_time()

    def seconds(self) -> dict[str, float]:
        """By stage; the rest of the process's time is its start, its clients, the event loop."""
        with self._lock:
            return dict(self._seconds)
