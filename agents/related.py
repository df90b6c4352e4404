"""Which keys the register relates to a key, by a named relation or by distance.  Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from math import asin, cos, radians, sin, sqrt
from typing import Protocol

from schemas.related import POSITION, Relation, Relations, split_key
from streams.timeline import AFTER_ALL, BEFORE_ALL

EARTH_M = 6_371_008.8
"""Mean radius of the Earth, m."""
_DEGREE_M = EARTH_M * radians(1)

Key = tuple[str, str]
"""Level and key."""
_NONE: frozenset[str] = frozenset()


class Related(Protocol):
    """Says what is related to a key at the time it was put to.

    Attributes
    ----------
    label
        How evidence calls it.
    """

    label: str

    def put(self, end: int) -> None:
        """Answer for the windows that end at a time, int64 ms."""
        ...

    def keys(self, level: str, key: str, wanted: str) -> frozenset[str]:
        """The keys of a level that are related to a key; itself with those of a thing, or near."""
        ...

    def knows(self, level: str, key: str, wanted: str) -> bool:
        """Whether it is known what keys of a level are related to a key, be it none."""
        ...


class _Dated:
    """Rows that count for a time: between two changes the same ones do."""

    def __init__(self, rows: Iterable[Relation]) -> None:
        self._rows = tuple(rows)
        ends = (AFTER_ALL if row.until is None else row.until for row in self._rows)
        self._times = sorted({*(row.since for row in self._rows), *ends})
        self._at: int | None = None
        self.put(BEFORE_ALL)

    def put(self, end: int) -> None:
        # A row counts in windows that end after its since, up to and with its until.
        at = bisect_left(self._times, end)
        if at == self._at:
            return
        self._at = at
        self._take(
            row for row in self._rows if row.since < end and (row.until is None or end <= row.until)
        )

    def _take(self, rows: Iterable[Relation]) -> None:
        raise NotImplementedError


class Named(_Dated):
    """A relation by its rows.

    Examples
    --------
    >>> rows = [Relation("river", "river:R1", to) for to in ("station:s1", "site:o1", "site:o2")]
    >>> river = Named("river", [*rows, Relation("river", "station:s1", "grid:440111004003012")])
    >>> river.put(1)
    >>> sorted(river.keys("station", "s1", "site")), sorted(river.keys("site", "o1", "site"))
    (['o1', 'o2'], ['o1', 'o2'])
    >>> river.keys("grid", "440111004003012", "station")
    frozenset({'s1'})
    """

    def __init__(self, name: str, rows: Iterable[Relation]) -> None:
        self.label = name
        super().__init__(rows)

    def _take(self, rows: Iterable[Relation]) -> None:
        things: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._things: dict[Key, list[str]] = defaultdict(list)
        """By key, the relation's own things that it belongs to."""
        direct: dict[tuple[Key, str], set[str]] = defaultdict(set)
        for row in rows:
            origin, to = split_key(row.origin), split_key(row.to)
            assert to is not None
            if origin is None:
                things[row.origin, to[0]].add(to[1])
                self._things[to].append(row.origin)
            else:
                direct[origin, to[0]].add(to[1])
                direct[to, origin[0]].add(origin[1])
        self._members = {name: frozenset(keys) for name, keys in things.items()}
        self._direct = {name: frozenset(keys) for name, keys in direct.items()}
        self._bound = {key for key, _ in direct}

    def keys(self, level: str, key: str, wanted: str) -> frozenset[str]:
        found = self._direct.get(((level, key), wanted), _NONE)
        for thing in self._things.get((level, key), ()):
            members = self._members.get((thing, wanted), _NONE)
            found = found | members if found else members
        return found

    def knows(self, level: str, key: str, wanted: str) -> bool:
        return (level, key) in self._bound or (level, key) in self._things


class Near(_Dated):
    """Keys whose positions are no farther than a radius.

    What is near to a key is worked out once for the positions that count.

    Examples
    --------
    >>> at = ((113.2644, 23.1291), (113.2644, 23.1300), (113.2744, 23.1291))
    >>> rows = [Relation(POSITION, f"device:d{n}", "", *each) for n, each in enumerate(at)]
    >>> near = Near(500, rows)
    >>> near.put(1)
    >>> near.label, sorted(near.keys("device", "d0", "device"))
    ('within 500 m', ['d0', 'd1'])
    """

    def __init__(self, radius_m: float, rows: Iterable[Relation]) -> None:
        self.label, self._radius_m = f"within {radius_m:g} m", radius_m
        super().__init__(rows)

    def _take(self, rows: Iterable[Relation]) -> None:
        self._places: dict[Key, tuple[float, float]] = {}
        for row in rows:
            key = split_key(row.origin)
            assert key is not None
            assert row.lon is not None
            assert row.lat is not None
            self._places[key] = row.lat, row.lon
        self._by_level: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
        for (level, name), place in self._places.items():
            self._by_level[level].append((*place, name))
        for listed in self._by_level.values():
            listed.sort()
        self._found: dict[tuple[Key, str], frozenset[str]] = {}

    def keys(self, level: str, key: str, wanted: str) -> frozenset[str]:
        asked = (level, key), wanted
        found = self._found.get(asked)
        if found is None:
            found = self._found[asked] = self._near((level, key), wanted)
        return found

    def _near(self, key: Key, wanted: str) -> frozenset[str]:
        here = self._places.get(key)
        if here is None:
            return _NONE
        listed, reach = self._by_level.get(wanted, []), self._radius_m / _DEGREE_M + 1e-6
        first = bisect_left(listed, (here[0] - reach,))
        last = bisect_right(listed, (here[0] + reach, AFTER_ALL))
        return frozenset(
            name
            for lat, lon, name in listed[first:last]
            if distance_m(here, (lat, lon)) <= self._radius_m
        )

    def knows(self, level: str, key: str, wanted: str) -> bool:
        return (level, key) in self._places and wanted in self._by_level


def distance_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The great-circle distance of two places by their latitudes and longitudes, in whole cm.

    >>> distance_m((23.0, 113.0), (23.01, 113.0))
    1111.95
    """
    (lat, lon), (to_lat, to_lon) = ((radians(a), radians(b)) for a, b in (one, other))
    half = sin((to_lat - lat) / 2) ** 2 + cos(lat) * cos(to_lat) * sin((to_lon - lon) / 2) ** 2
    return round(2 * EARTH_M * asin(min(1.0, sqrt(half))), 2)


class Register:
    """The relations of a table, each made once for all that ask."""

    def __init__(self, table: Relations) -> None:
        self._table = table
        self._made: dict[str | float, Related] = {}

    def of(self, relation: str | None, within_m: float | None) -> Related | None:
        """A named relation, or that of a radius; None where neither is asked for."""
        name = within_m if relation is None else relation
        if name is None:
            return None
        if name not in self._made:
            if isinstance(name, str):
                self._made[name] = Named(name, self._table.of(name))
            else:
                self._made[name] = Near(name, self._table.of(POSITION))
        return self._made[name]

    def put(self, end: int) -> None:
        """Answer for the windows that end at a time, int64 ms."""
        for related in self._made.values():
            related.put(end)
