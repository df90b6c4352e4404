"""What a device is part of: columns ``part_of:NAME`` of the register.

Such a column holds a path, the widest first: ``north/feeder-2`` says that the device is part of
feeder-2, and that feeder-2 is part of north.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from schemas.devices import Device

COLUMN = "part_of:"
DIVIDER = "/"
LONGEST_NAME = 64
DEEPEST = 16

PartOf: TypeAlias = tuple[tuple[str, str], ...]
"""Relation and path, by the relation's name."""

_COLUMN = re.compile(r"part_of:[a-z]+(_[a-z]+)*", re.ASCII)


def is_relation(column: str) -> bool:
    """Whether a column of a register's file tells a relation.

    >>> is_relation("part_of:group"), is_relation("part_of:")
    (True, False)
    """
    return bool(_COLUMN.fullmatch(column)) and len(column) <= len(COLUMN) + 24


def path(text: str) -> str:
    """Check a path of a register's file; empty where the device is part of nothing.

    Raises
    ------
    ValueError
        With words for people.
    """
    names = text.split(DIVIDER) if text else []
    if not all(names):
        raise ValueError(f"a name is empty: divide names by {DIVIDER}, such as north/feeder-2")
    if len(names) > DEEPEST:
        raise ValueError(f"has {len(names)} levels: at most {DEEPEST}")
    for name in names:
        if len(name) > LONGEST_NAME:
            raise ValueError(f"a name has {len(name)} characters: at most {LONGEST_NAME}")
        if name != name.strip():
            raise ValueError("a name begins or ends with a space: take it out")
    if len(set(names)) < len(names):
        raise ValueError("a name stands in it twice: nothing is part of itself")
    return text


def columns_of(devices: Iterable[Device]) -> tuple[str, ...]:
    """The relations that rows tell, in order."""
    return tuple(sorted({name for row in devices for name, _ in row.part_of}))


def contradictions(rows: Iterable[Device]) -> Iterator[tuple[Device, Device, str]]:
    """Rows that say otherwise of the same thing: two of them, and what they disagree about."""
    above: dict[tuple[str, str], tuple[str, Device]] = {}
    told: dict[tuple[str, str], list[Device]] = {}
    for row in rows:
        for relation, text in row.part_of:
            for parent, name in pairwise(["", *text.split(DIVIDER)]):
                known, first = above.setdefault((relation, name), (parent, row))
                if known != parent:
                    yield first, row, f"puts '{name}' elsewhere"
            told.setdefault((relation, row.device), []).append(row)
    for (relation, _), same in told.items():
        for one, other in combinations(same, 2) if len(same) > 1 else ():
            apart = dict(one.part_of)[relation] != dict(other.part_of)[relation]
            if apart and _meet(one, other):
                yield one, other, "puts this device elsewhere at the same time"


def _meet(one: Device, other: Device) -> bool:
    ends = (
        (one.until is None or other.since < one.until),
        (other.until is None or one.since < other.until),
    )
    return all(ends)
