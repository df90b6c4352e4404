"""Parents of keys that are no places: groups of the register, or the heads of keys.  Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Protocol

from schemas.configuration import Configuration
from schemas.devices import Device
from schemas.relations import DIVIDER
from streams.timeline import AFTER_ALL


class Hierarchy(Protocol):
    """Says what a key is part of.

    Attributes
    ----------
    name
        Key level of the parents.
    place
        Place of the parents: the city's, for they may reach over all others.
    """

    name: str
    place: str

    def parent(self, key: str, end: int) -> str | None:
        """What a child is part of in windows that end at ``end``, int64 ms."""
        ...

    def above(self, parent: str) -> str | None:
        """What a parent is itself part of."""
        ...

    def depth(self, parent: str) -> int:
        """How many parents stand above a parent."""
        ...

    def expected(self, parent: str, end: int) -> int | None:
        """How many children a parent has; None where nobody says."""
        ...


class KeyHierarchy:
    """A key is part of its own head.

    >>> KeyHierarchy("road", "/", "4401").parent("a/7/lane2", 0)
    'a/7'
    """

    def __init__(self, name: str, divider: str, place: str) -> None:
        self.name, self.divider, self.place = name, divider, place

    def parent(self, key: str, end: int) -> str | None:
        return key.rpartition(self.divider)[0] or None

    def above(self, parent: str) -> str | None:
        return None

    def depth(self, parent: str) -> int:
        return 0

    def expected(self, parent: str, end: int) -> int | None:
        return None


class RegisterHierarchy:
    """What the register's column says, at any time: devices in groups, groups in groups.

    Examples
    --------
    >>> row = Device("s1", "sensor", "rain", "", "4401", part_of=(("group", "all/north"),))
    >>> hierarchy = RegisterHierarchy("group", [row, row._replace(device="s2")], "4401")
    >>> hierarchy.parent("s1", 1), hierarchy.above("north"), hierarchy.above("all")
    ('north', 'all', None)
    >>> hierarchy.expected("north", 1), hierarchy.expected("all", 1)
    (2, 1)
    """

    def __init__(self, name: str, devices: Iterable[Device], place: str) -> None:
        self.name, self.place = name, place
        self._above: dict[str, str | None] = {}
        self._depth: dict[str, int] = {}
        self._spans: dict[str, list[tuple[int, int, str]]] = {}
        times: set[int] = set()
        for row in devices:
            path = dict(row.part_of).get(name)
            if path is None:
                continue
            groups = path.split(DIVIDER)
            self._above[groups[0]] = None
            self._above.update((group, above) for above, group in pairwise(groups))
            self._depth.update((group, depth) for depth, group in enumerate(groups))
            until = AFTER_ALL if row.until is None else row.until
            self._spans.setdefault(row.device, []).append((row.since, until, groups[-1]))
            times |= {row.since, until}
        self._times = sorted(times)
        self._counts: dict[int, Mapping[str, int]] = {}

    def parent(self, key: str, end: int) -> str | None:
        for since, until, group in self._spans.get(key, ()):
            if since < end <= until:
                return group
        return None

    def above(self, parent: str) -> str | None:
        return self._above[parent]

    def depth(self, parent: str) -> int:
        return self._depth[parent]

    def expected(self, parent: str, end: int) -> int | None:
        # Between two times at which a row begins or ends nothing changes.
        since = bisect_left(self._times, end)
        counts = self._counts.get(since)
        if counts is None:
            counts = self._counts[since] = self._count(end)
        return counts.get(parent, 0)

    def _count(self, end: int) -> Mapping[str, int]:
        parents = (self.parent(device, end) for device in self._spans)
        counts = Counter(group for group in parents if group is not None)
        for group in sorted(self._depth, key=self._depth.__getitem__, reverse=True):
            above = self._above[group]
            if above is not None and counts[group]:
                counts[above] += 1
        return counts


def hierarchies_of(configuration: Configuration) -> dict[str, Hierarchy]:
    """The hierarchies of a configuration, by their names."""
    place, devices = configuration.city.place, configuration.register.devices
    found: dict[str, Hierarchy] = {}
    for one in configuration.hierarchies:
        if one.by == "key":
            found[one.name] = KeyHierarchy(one.name, one.divider, place)
        else:
            found[one.name] = RegisterHierarchy(one.name, devices, place)
    return found
