"""Cells and partials made of plain rows, and told as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

from ext.cells import Cells, Objects
from ext.rows import Rows
from streams.aggregates import Accumulator, Family
from streams.cuts import Cut, Key, Partial

PlainRow = tuple[int, Any, int, int]
"""``(t, value, weight, covered)``; the value of a fact is a tuple."""


def state_of(family: Family, rows: Iterable[PlainRow]) -> Accumulator:
    """The accumulator of rows, one merged after the other."""
    return reduce(family.merge, (family.row(*row) for row in rows), family.empty)


def states_of(
    family: Family, rows: Iterable[tuple[int, PlainRow]]
) -> list[tuple[int, Accumulator]]:
    """What `Cells.states` is to say of ``(id, row)``."""
    groups: dict[int, list[PlainRow]] = {}
    for id, row in rows:
        groups.setdefault(id, []).append(row)
    return [(id, state_of(family, group)) for id, group in sorted(groups.items())]


def cells_of(family: Family, rows: Iterable[tuple[int, PlainRow]]) -> Cells:
    """Cells of ``(id, row)``."""
    cells = family.cells()
    for id, (t, value, weight, covered) in rows:
        if isinstance(value, tuple):
            assert isinstance(cells, Objects)
            cells.put(id, family.row(t, value, weight, covered))  # type: ignore[arg-type]
        else:
            cells.add(Rows([(t, id, value, weight, covered)]))
    return cells


def partial_of(
    sign: str,
    start: int,
    family: Family,
    rows: Sequence[tuple[Key, PlainRow]],
    *,
    late: bool = False,
    n: int | None = None,
) -> Partial:
    """A partial of rows of keys; ``n`` is their number if nothing else is said."""
    keys = list(dict.fromkeys(key for key, _ in rows))
    cells = cells_of(family, [(keys.index(key), row) for key, row in rows])
    return Partial(sign, start, late, len(rows) if n is None else n, keys, cells)


def plain(cut: Cut) -> Any:
    """All that a cut says, to be compared: of the keys those that have a cell."""
    return cut._replace(partials=[(*p[:4], p.rows()) for p in cut.partials])  # type: ignore[misc]
