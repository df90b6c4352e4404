"""Islands: stretches of panes in which a key was never silent for as long as it is remembered."""

from __future__ import annotations

Island = tuple[int, int]
"""Starts of the first and the last pane, int64 ms."""


def lengthened(
    islands: tuple[Island, ...], start: int, pane_ms: int, forget_ms: int
) -> tuple[Island, ...]:
    """The islands with one more pane, later than all others.

    >>> lengthened(((0, 10),), 30, pane_ms=10, forget_ms=10)
    ((0, 30),)
    >>> lengthened(((0, 10),), 31, pane_ms=10, forget_ms=10)
    ((0, 10), (31, 31))
    """
    if islands and start - islands[-1][1] - pane_ms <= forget_ms:
        return (*islands[:-1], (islands[-1][0], start))
    return (*islands, (start, start))


def reaching(islands: tuple[Island, ...], end: int, pane_ms: int, forget_ms: int) -> Island | None:
    """The island that reaches to a window's end; None where there was silence for too long.

    >>> reaching(((0, 10), (90, 90)), 30, pane_ms=10, forget_ms=10)
    (0, 10)
    >>> reaching(((0, 10), (90, 90)), 31, pane_ms=10, forget_ms=10)
    """
    for island in reversed(islands):
        if island[0] < end:
            silence = end - island[1] - pane_ms
            return island if silence <= forget_ms else None
    return None
