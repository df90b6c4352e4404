"""Back pressure: how many chunks of a partition wait for an agent."""

from __future__ import annotations

from collections.abc import Callable
from weakref import ref

from faust.types import TP, Message

CHUNKS_AHEAD = 4


class Ahead:
    """The messages of each partition that no agent is done with.

    Faust says nothing when a stream is done with a message of a topic without acks, so what is
    counted is messages still alive.

    Parameters
    ----------
    freed
        Called after one was done with, in the thread that let go of it.
    """

    def __init__(self, freed: Callable[[], None]) -> None:
        self._freed = freed
        self._alive: dict[TP, set[ref[Message]]] = {}

    def room(self, tp: TP) -> int:
        """How many more may be read; from any thread."""
        return CHUNKS_AHEAD - len(self._alive.get(tp, ()))

    def add(self, tp: TP, message: Message) -> None:
        """Count a message until it is gone."""
        alive = self._alive.setdefault(tp, set())

        def done(dead: ref[Message]) -> None:
            alive.discard(dead)
            self._freed()

        alive.add(ref(message, done))

    def forget(self, tp: TP) -> None:
        """Count the messages of a partition no more: what follows is read from elsewhere."""
        self._alive.pop(tp, None)

    def clear(self) -> None:
        """Forget all partitions."""
        self._alive.clear()
