"""The keys of a lane's partials by the numbers that a sign in the assess task gives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streams.cuts import Key
from streams.heads import Ints

_LOST = -2
"""Instead of the number of a key that was forgotten."""


class NumberedKeys:
    """The keys of partials, which grow at their end, by the numbers that the sign gives them."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys, self.count = keys, 0
        self.columns: list[tuple[Ints, Ints]] = []

    def extend(self, targets: list[tuple[tuple[int, int], ...]]) -> None:
        for turn in range(max(map(len, targets), default=0)):
            if turn == len(self.columns):
                none = np.full(self.count, -1, np.int64)
                self.columns.append((none, none))
            numbers, places = self.columns[turn]
            more = [t[turn] if turn < len(t) else (-1, 0) for t in targets]
            added = np.array(more, np.int64).reshape(-1, 2)
            self.columns[turn] = (
                np.concatenate((numbers, added[:, 0])),
                np.concatenate((places, added[:, 1])),
            )
        self.count += len(targets)
        self._fill()

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

    def _fill(self) -> None:
        for turn, (numbers, places) in enumerate(self.columns):
            if len(numbers) < self.count:
                none = np.full(self.count - len(numbers), -1, np.int64)
                self.columns[turn] = (
                    np.concatenate((numbers, none)),
                    np.concatenate((places, none)),
                )
