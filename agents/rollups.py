"""Roll-up ``over``: base windows close first, then a function over the children's values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import fsum

from agents.entries import Entry, KeyName, missing_reason, places_above


def _worst(children: list[Entry], pick: Callable[[list[float]], float]) -> tuple[float, str]:
    value = pick([c.value for c in children if c.value is not None])
    return value, min(c.key for c in children if c.value == value)


def roll_up(
    children: Iterable[Entry],
    function: str,
    levels: tuple[str, ...],
    only: Collection[KeyName] | None = None,
) -> list[Entry]:
    """Entries of the places above the children, in the order of levels and keys.

    Parameters
    ----------
    children
        Judged entries of the base keys that are alive.
    function
        ``max``, ``min`` or ``mean`` of the values, or ``share``: the part of the children whose
        value is not zero.
    levels
        The key levels of the sign; those that are places coarser than the base are made.
    only
        The places wanted; None means all.
    """
    groups: dict[KeyName, list[Entry]] = {}
    for child in children:
        for name in places_above(child.level, child.place, levels):
            if only is None or name in only:
                groups.setdefault(name, []).append(child)
    return [_entry(name, group, function) for name, group in sorted(groups.items())]


def _entry(name: KeyName, group: list[Entry], function: str) -> Entry:
    valid = [c for c in group if c.value is not None]
    n, coverage = sum(c.n for c in group), len(valid) / len(group)
    level, place = name
    if not valid:
        return Entry(level, place, place, None, n, coverage, missing_reason(group))
    if function in ("max", "min"):
        value, key = _worst(valid, max if function == "max" else min)
        detail = {"child": key}
    elif function == "mean":
        value, detail = fsum(c.value for c in valid if c.value is not None) / len(valid), {}
    else:
        value, detail = sum(c.value != 0 for c in valid) / len(valid), {}
    detail_or_none = {**detail, "children": len(group)}
    return Entry(level, place, place, value, n, coverage, None, detail=detail_or_none)
