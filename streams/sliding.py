"""Merged states over a sliding run of panes, without merging every pane at every hop.

Source: Tangwongsan, Hirzel, Schneider, Wu, "General incremental sliding-window aggregation",
PVLDB 8 (2015), the two-stacks algorithm.  Merging is exact, so this gives the same bits as
merging all panes afresh; it is a cache and is not part of a snapshot.
"""

from __future__ import annotations

from streams.aggregates import Accumulator, Family


class Sliding:
    """Panes of one key, pushed and evicted in the order of their start.

    Examples
    --------
    >>> from streams.aggregates import MOMENTS
    >>> window = Sliding(MOMENTS)
    >>> for start in (0, 1, 2):
    ...     window.push(start, MOMENTS.row(start, 1, 0, 0))
    >>> window.since(1)[0]
    2
    """

    __slots__ = ("_back", "_back_sum", "_family", "_front")

    def __init__(self, family: Family) -> None:
        self._family = family
        self._front: list[tuple[int, Accumulator]] = []
        self._back: list[tuple[int, Accumulator]] = []
        self._back_sum: Accumulator | None = None

    def push(self, start: int, state: Accumulator) -> None:
        """Add the pane that starts at ``start`` (ms), later than all before it."""
        self._back.append((start, state))
        known = self._back_sum
        self._back_sum = state if known is None else self._family.merge(known, state)

    def since(self, start: int) -> Accumulator | None:
        """Evict panes that start before ``start``; the merged rest, or None."""
        front = self._front
        while True:
            while front and front[-1][0] < start:
                front.pop()
            if front or not self._back or self._back[0][0] >= start:
                break
            self._turn()
        if not front:
            return self._back_sum
        merged = front[-1][1]
        return merged if self._back_sum is None else self._family.merge(merged, self._back_sum)

    def _turn(self) -> None:
        """Move the back to the front as suffix merges, oldest on top."""
        merged: Accumulator | None = None
        while self._back:
            start, state = self._back.pop()
            merged = state if merged is None else self._family.merge(state, merged)
            self._front.append((start, merged))
        self._back_sum = None
