"""Formulas over children: of places, and in hierarchies of one level or many."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

from agents.entries import (
    INCOMPLETE,
    UNDEFINED,
    WARMING,
    Entry,
    KeyName,
    missing_reason,
    places_above,
)
from agents.formulas import Past
from agents.hierarchies import Hierarchy
from agents.joins import FUNCTIONS, same_or
from schemas.derivations import Children

_NAMING = ("min", "max")
"""Functions whose value is that of one child."""


class ChildrenFormula:
    """A function over the values of each parent's children.

    Parameters
    ----------
    hierarchy
        Of the parents; None where they are places.
    """

    reach_ms = 0

    def __init__(
        self, formula: Children, keys: tuple[str, ...], hierarchy: Hierarchy | None
    ) -> None:
        self.formula, self.keys, self.hierarchy = formula, keys, hierarchy
        same = formula.how == "same"
        self._function = same_or(formula.otherwise) if same else FUNCTIONS[formula.how]

    def ends_touched(self, end: int) -> list[int]:
        return [end]

    def entries(self, end: int, past: Past) -> list[Entry]:
        children = [e for e in past(self.formula.of, end).values() if e.level == self.formula.child]
        if self.hierarchy is None:
            return self._of_places(children, end, past)
        return self._of_hierarchy(self.hierarchy, children, end, past)

    def _of_places(self, children: list[Entry], end: int, past: Past) -> list[Entry]:
        groups: dict[KeyName, list[Entry]] = {}
        for child in children:
            for name in places_above(child.level, child.place, self.keys):
                groups.setdefault(name, []).append(child)
        counted = self._counted(end, past)
        return [
            self._entry(name, name[1], group, self._told(group, counted))
            for name, group in sorted(groups.items())
        ]

    def _of_hierarchy(
        self, hierarchy: Hierarchy, children: list[Entry], end: int, past: Past
    ) -> list[Entry]:
        """The deepest parents first: each is a child of the one above it."""
        groups: dict[str, list[Entry]] = {}
        for child in children:
            parent = hierarchy.parent(child.key, end)
            if parent is not None:
                groups.setdefault(parent, []).append(child)
        counted = self._counted(end, past)
        carried = None if self.formula.carry is None else past(self.formula.carry, end)
        waiting = [(-hierarchy.depth(parent), parent) for parent in groups]
        heapq.heapify(waiting)
        found = []
        while waiting:
            _, parent = heapq.heappop(waiting)
            group, name = groups[parent], (hierarchy.name, parent)
            expected = hierarchy.expected(parent, end)
            if expected is None:
                expected = self._told(group, counted)
            entry = self._entry(name, hierarchy.place, group, expected)
            found.append(entry)
            above = hierarchy.above(parent)
            worth = entry if carried is None else carried.get(name)
            if above is None or worth is None:
                continue
            if above not in groups:
                groups[above] = []
                heapq.heappush(waiting, (-hierarchy.depth(above), above))
            groups[above].append(worth)
        return sorted(found, key=lambda entry: entry.name)

    def _counted(self, end: int, past: Past) -> Mapping[KeyName, Entry] | None:
        """What a sign says of how many children there are, if one does."""
        sign = self.formula.complete
        return None if sign in (None, "register") else past(str(sign), end)

    def _told(self, group: list[Entry], counted: Mapping[KeyName, Entry] | None) -> int | None:
        """The number of children on which those that have a value agree."""
        if counted is None:
            return None
        said = [counted.get(child.name) for child in group if child.value is not None]
        numbers = {entry.value if entry is not None else None for entry in said}
        number = numbers.pop() if len(numbers) == 1 else None
        return int(number) if number is not None and number >= 1 and number % 1 == 0 else None

    def _entry(self, name: KeyName, place: str, group: list[Entry], expected: int | None) -> Entry:
        group = sorted(group, key=lambda child: child.name)
        valid = [child for child in group if child.value is not None]
        values = [child.value for child in valid if child.value is not None]
        known = max(len(group), expected or 0)
        n, coverage = sum(child.n for child in group), len(valid) / known
        detail: dict[str, Any] = {"children": known}
        if self.formula.complete is not None and len(valid) != expected:
            begins = all(child.reason == WARMING for child in group)
            why = WARMING if begins else INCOMPLETE
            return Entry(*name, place, None, n, coverage, why, detail=detail)
        if not values:
            return Entry(*name, place, None, n, coverage, missing_reason(group), detail=detail)
        value = self._function(values)
        if self.formula.how in _NAMING:
            detail = {"child": next(c.key for c in valid if c.value == value), **detail}
        reason = UNDEFINED if value is None else None
        return Entry(*name, place, value, n, coverage, reason, detail=detail)
