"""What the register says of the keys of a sign, as columns by the numbers of the keys."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import numpy as np

from agents.expected import Expected
from agents.key_table import KeyTable
from streams.heads import Floats, Ints


class Known(NamedTuple):
    """Keys that have devices in a window: their numbers, how many devices each has, where it is,
    since when (int64 ms), and its limit, NaN without one."""

    numbers: Ints
    devices: Ints
    places: Ints
    since: Ints
    limits: Floats


class Registered:
    """The register's keys of one sign; what is said of them changes at few times alone."""

    def __init__(self, expected: Expected, keys: KeyTable) -> None:
        self._expected, self._keys = expected, keys
        self._changes = sorted(set().union(*(key.changes for key in expected.values())))
        self._known: Known | None = None
        self._at = -1

    def __bool__(self) -> bool:
        return bool(self._expected)

    def forget_numbers(self) -> None:
        """The keys were given other numbers."""
        self._known = None

    def at(self, end: int) -> Known:
        """The keys in windows that end at ``end``, int64 ms."""
        at = bisect_right(self._changes, end - 1)
        if self._known is None or at != self._at:
            self._known, self._at = self._find(end), at
        return self._known

    def _find(self, end: int) -> Known:
        present = [
            (self._keys.number(name), count, key)
            for name, key in self._expected.items()
            if (count := key.devices(end))
        ]
        limits = [key.limit(end) for _, _, key in present]
        place = self._keys.codes.of
        return Known(
            np.array([number for number, _, _ in present], np.int64),
            np.array([count for _, count, _ in present], np.int64),
            np.array([place(key.place(end)) for _, _, key in present], np.int64),
            np.array([key.since(end) for _, _, key in present], np.int64),
            np.array([np.nan if x is None else x for x in limits], np.float64),
        )
