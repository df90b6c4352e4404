"""The job in plain Python, for engines that bring no windows of their own, or only the first step.

Works on any Python and needs nothing installed: it runs inside the environments of the peers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

PANE_MS = 10_000
HOP_PANES = 6
LATENESS_MS = 30_000
DISORDER_MS = 5_000
LEVELS = (("grid", 15), ("street", 9), ("district", 6), ("city", 4))
ROWS_A_RECORD = 500

Cell = list  # count, sum, minimum, maximum


def fold(cells: dict[str, Cell], key: str, n: int, total: float, low: float, high: float) -> None:
    """Merge into the cell of a key."""
    cell = cells.get(key)
    if cell is None:
        cells[key] = [n, total, low, high]
        return
    cell[0] += n
    cell[1] += total
    if low < cell[2]:
        cell[2] = low
    if high > cell[3]:
        cell[3] = high


class Panes:
    """Panes of 10 s by device, and what is made of them when they are over.

    Parameters
    ----------
    device_hops
        Whether windows of 60 s are made by device too.
    """

    def __init__(self, device_hops: bool) -> None:
        self.levels = ["device", *(level for level, _ in LEVELS)]
        self._hops = [level for level in self.levels if device_hops or level != "device"]
        self._open: dict[int, dict[str, Cell]] = {}
        self._places: dict[str, str] = {}
        self._recent: dict[str, deque[dict[str, Cell]]] = {
            level: deque(maxlen=HOP_PANES) for level in self._hops
        }
        self._last_end: int | None = None

    def add(
        self, device: str, place: str, t: int, n: int, total: float, low: float, high: float
    ) -> None:
        """Take an event (``n`` is 1), or what a window of 10 s that holds ``t`` came to."""
        start = t - t % PANE_MS
        pane = self._open.get(start)
        if pane is None:
            pane = self._open[start] = {}
        self._places[device] = place
        fold(pane, device, n, total, low, high)

    def close(self, until: int) -> Iterator[str]:
        """Rows of all windows that end by then, each as a line of CSV without its end."""
        while (end := self._next_end()) is not None and end <= until:
            yield from self._rows(end)

    def _next_end(self) -> int | None:
        first = min(self._open) + PANE_MS if self._open else None
        if self._last_end is not None and any(any(panes) for panes in self._recent.values()):
            after = self._last_end + PANE_MS
            return after if first is None else min(first, after)
        return first

    def _rows(self, end: int) -> Iterator[str]:
        devices = self._open.pop(end - PANE_MS, {})
        panes = {"device": devices, **self._rolled_up(devices)}
        if self._last_end is not None and end > self._last_end + PANE_MS:
            for recent in self._recent.values():
                recent.clear()
        self._last_end = end
        for level in self.levels:
            yield from _lines(level, 10, end - PANE_MS, panes[level])
        for level in self._hops:
            recent = self._recent[level]
            recent.append(panes[level])
            merged: dict[str, Cell] = {}
            for pane in recent:
                for key, cell in pane.items():
                    fold(merged, key, *cell)
            yield from _lines(level, 60, end - HOP_PANES * PANE_MS, merged)

    def _rolled_up(self, devices: dict[str, Cell]) -> dict[str, dict[str, Cell]]:
        grids: dict[str, Cell] = {}
        for device, cell in devices.items():
            fold(grids, self._places[device], *cell)
        rolled, below = {"grid": grids}, grids
        for level, digits in LEVELS[1:]:
            above: dict[str, Cell] = {}
            for key, cell in below.items():
                fold(above, key[:digits], *cell)
            rolled[level] = below = above
        return rolled


def _lines(level: str, window_s: int, start: int, cells: dict[str, Cell]) -> Iterator[str]:
    for key, (n, total, low, high) in cells.items():
        yield f"{level},{window_s},{key},{start},{n},{total!r},{low!r},{high!r}"


def packed(lines: Iterator[str]) -> Iterator[bytes]:
    """Rows as records of the results' topic."""
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == ROWS_A_RECORD:
            yield "\n".join(batch).encode()
            batch.clear()
    if batch:
        yield "\n".join(batch).encode()


class Clock:
    """Watermarks by partition: which events count, and up to when windows are over."""

    def __init__(self, partitions: int) -> None:
        self._newest: dict[int, int] = dict.fromkeys(range(partitions), -(1 << 62))

    def admits(self, partition: int, t: int) -> bool:
        """Whether an event counts; moves the watermark."""
        newest = self._newest[partition]
        if t > newest:
            self._newest[partition] = t
            return True
        return t >= newest - DISORDER_MS - LATENESS_MS

    def over(self) -> int:
        """Windows that end by then are over in every partition."""
        return min(self._newest.values()) - DISORDER_MS - LATENESS_MS
