"""Rows by pane and slot, for the families that have no kernel of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from streams.timeline import floor_to

PlainRow = tuple[int, Any, Any, int]


def gathered(
    rows: Iterable[tuple[int, int, Any, int, int]],
    pane_ms: int,
    gather: Callable[[list[PlainRow]], tuple[Any, ...]],
) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """``(pane start, slot, accumulator)`` of rows ``(t, slot, value, weight, covered)``."""
    groups: dict[tuple[int, int], list[PlainRow]] = {}
    for t, slot, value, weight, covered in rows:
        groups.setdefault((floor_to(t, pane_ms), slot), []).append((t, value, weight, covered))
    for (start, slot), group in groups.items():
        yield start, slot, gather(group)
