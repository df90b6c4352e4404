"""Which slots of a lane were heard of late: those that were not make room for others.  Pure."""

from __future__ import annotations

import numpy as np

from streams.heads import Flags, Ints
from streams.timeline import BEFORE_ALL, floor_to


class Heard:
    """Slots by whether they were heard in this period of event time, or in the one before.

    So a slot is silent after one period at least, and two at most.

    Parameters
    ----------
    forget_ms
        Length of a period, int64 ms.

    Attributes
    ----------
    period
        Begin of this one, int64 ms.
    changed
        Whether `packed` is another than it was; whoever takes it says so.

    Examples
    --------
    >>> heard = Heard(1000)
    >>> heard.turn(500), heard.note(np.array([0])), heard.turn(999), heard.turn(1000)
    (True, None, False, True)
    >>> heard.note(np.array([1])), heard.flags(3).tolist()
    (None, [True, True, False])
    >>> heard.turn(2000), heard.flags(3).tolist()
    (True, [False, True, False])
    """

    def __init__(self, forget_ms: int) -> None:
        self.forget_ms = forget_ms
        self.period = BEFORE_ALL
        self.changed = False
        self._flags = np.zeros((2, 0), np.bool_)

    def note(self, slots: Ints) -> None:
        """Note that slots were heard."""
        if len(slots):
            self._widen(int(slots.max()) + 1)
            self.changed = self.changed or not self._flags[0, slots].all()
            self._flags[0, slots] = True

    def _widen(self, count: int) -> None:
        room = self._flags.shape[1]
        if count > room:
            more = np.zeros((2, max(count, 2 * room) - room), np.bool_)
            self._flags = np.concatenate((self._flags, more), axis=1)

    def turn(self, watermark: int) -> bool:
        """Begin the period that a watermark, int64 ms, lies in; whether it is another one."""
        period = floor_to(watermark, self.forget_ms)
        if period <= self.period:
            return False
        self._flags[1] = self._flags[0] if period == self.period + self.forget_ms else False
        self._flags[0] = False
        self.changed = True
        self.period = period
        return True

    def flags(self, count: int) -> Flags:
        """Which of the first slots were heard in either period."""
        self._widen(count)
        return self._flags[0, :count] | self._flags[1, :count]

    def keep(self, slots: Ints) -> None:
        """Only these slots are left, and numbered anew in this order."""
        self._widen(int(slots.max(initial=-1)) + 1)
        self._flags = self._flags[:, slots]
        self.changed = True

    @property
    def any(self) -> bool:
        """Whether any slot was heard in either period."""
        return bool(self._flags.any())

    def packed(self) -> bytes:
        """The flags for `load`."""
        used = int(np.flatnonzero(self.flags(self._flags.shape[1])).max(initial=-1)) + 1
        return np.packbits(self._flags[:, :used], axis=1).tobytes()

    def load(self, period: int, packed: bytes) -> None:
        """Take over a state."""
        self.period, self.changed = period, False
        bits = np.frombuffer(packed, np.uint8).reshape(2, -1)
        self._flags = np.unpackbits(bits, axis=1).astype(np.bool_)
