"""The keys of a lane's partials by the numbers that a sign in the assess task gives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streams.cuts import Key
from streams.heads import Ints

_NONE = np.empty(0, np.int64)
_LOST = -2
"""Instead of the number of a key that was forgotten."""


class NumberedKeys:
    """The keys of partials, which grow at their end, by the numbers that the sign gives them."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys, self.count = keys, 0
        self._columns: list[tuple[Ints, Ints]] = []
        """Longer than there are keys: what is behind the last one is that of no number."""

    @property
    def columns(self) -> list[tuple[Ints, Ints]]:
        """Numbers and places, as often as the most numbered key has one; -1 is no number."""
        return [(numbers[: self.count], places[: self.count]) for numbers, places in self._columns]

    def extend(self, targets: list[tuple[tuple[int, int], ...]]) -> None:
        first, self.count = self.count, self.count + len(targets)
        self._columns = [(self._grown(a), self._grown(b)) for a, b in self._columns]
        for turn in range(max(map(len, targets), default=0)):
            if turn == len(self._columns):
                self._columns.append((self._grown(_NONE), self._grown(_NONE)))
            numbers, places = self._columns[turn]
            more = [t[turn] if turn < len(t) else (-1, -1) for t in targets]
            numbers[first : self.count], places[first : self.count] = np.array(more, np.int64).T

    def _grown(self, column: Ints) -> Ints:
        """A column with room for all keys, and for as many more where there was too little."""
        if self.count <= len(column):
            return column
        room = np.full(2 * self.count - len(column), -1, np.int64)
        return np.concatenate((column, room))

    def rename(self, renamed: Ints) -> None:
        """The sign's keys have other numbers; -1 of those that it has forgotten."""
        for numbers, _ in self.columns:
            known = numbers >= 0
            new = renamed[numbers[known]]
            numbers[known] = np.where(new < 0, _LOST, new)

    def lost(self, ids: Ints) -> list[int]:
        """Which of these keys have a number no more, and speak again."""
        found = [ids[numbers[ids] == _LOST] for numbers, _ in self.columns]
        return sorted({id for lost in found for id in lost.tolist()})

    def find_again(self, id: int, targets: tuple[tuple[int, int], ...]) -> None:
        """Number a key again."""
        for (numbers, _), (number, _) in zip(self.columns, targets, strict=False):
            numbers[id] = number
