"""What the signs of an incident say: facts by key, as long as they can count.  Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from operator import attrgetter, ge, gt, le, lt
from typing import Any, TypeAlias

import numpy as np

from agents.detectors.protocol import ALARM
from agents.entries import KeyName
from agents.levels import COLOURS
from agents.related import Related
from agents.said import Said
from schemas import incidents
from schemas.places import LEVELS, at_level
from schemas.words import BY, split_level
from streams.heads import Flags, Floats
from streams.timeline import BEFORE_ALL, to_ms

_COMPARE: dict[str, Callable[[Floats, float], Flags]] = {"ge": ge, "gt": gt, "le": le, "lt": lt}


@dataclass(slots=True)
class Fact:
    """One key that said what was asked for; times are ends of windows in int64 ms UTC.

    ``met`` tells whether its newest value does, ``since`` when that began, ``told`` when it had its
    newest one, and ``counted`` when it last was met for long enough, with the ``value`` of then and
    ``counted_since``, when that had begun.
    """

    place: str
    since: int
    told: int
    counted: int
    met: bool
    value: float
    counted_since: int

    def dump(self) -> tuple[Any, ...]:
        values: tuple[Any, ...] = _FIELDS(self)
        return values


_FIELDS = attrgetter(*(field.name for field in fields(Fact)))


_Grouped: TypeAlias = dict[str, list[tuple[KeyName, Fact]]]


class Atom:
    """One fact that is asked for, and the keys that meet it.

    Parameters
    ----------
    asked
        What is asked.
    level
        The key level it is read at.
    for_s
        How long it must be met until it counts.
    key
        The key level of the incident.
    related
        Which keys it is read at, where not by place alone.
    """

    def __init__(
        self,
        asked: incidents.Fact,
        level: str,
        for_s: float,
        key: str,
        related: Related | None = None,
    ) -> None:
        self.asked, self.level, self._related = asked, level, related
        self.facts: dict[KeyName, Fact] = {}
        self.heard = BEFORE_ALL
        """When any key of the level last had a value, int64 ms."""
        self._for_ms = to_ms(for_s)
        dimension, base = split_level(level)
        self._of = None if asked.of is None else frozenset(asked.of)
        own_base = split_level(key)[1]
        self.own = level == key
        lies_in = base in LEVELS and not self.own and not _finer(base, own_base)
        self._around = base if lies_in else ""
        """A place level at which the incident's key lies."""
        self.inside = not self.own and not self._around
        """Whether it is read at keys that lie in the incident's place."""
        self._is_place = key in LEVELS
        named_by_place = self._is_place and (self.inside or base == key)
        self.names = named_by_place or (self.own and related is None)
        """Whether its facts tell of which keys of the incident they speak."""
        self._base, self._own_base = base, own_base
        self._within = own_base if own_base in LEVELS else LEVELS[-1]
        self._dimension = dimension
        self._places: _Grouped | None = None
        self._bases: _Grouped | None = None

    def take(self, said: Said, end: int) -> None:
        """What a sign says of the window that ends at ``end``."""
        present = ~np.isnan(said.values)
        if not present.any():
            return
        self._regroup()
        if self.heard < end and any(said.names[i][0] == self.level for i in _some(present)):
            self.heard = end
        meeting = _some(self._meets(said) & present)
        met = {said.names[row]: row for row in meeting if self._is(said, row)}
        if self.facts:
            for row, name in enumerate(said.names):
                fact = self.facts.get(name)
                if fact is not None and name not in met and present[row]:
                    if fact.met and self._holds(said.values[row : row + 1]):
                        met[name] = row
                    else:
                        fact.met, fact.told = False, end
        for name, row in met.items():
            fact = self.facts.get(name)
            if fact is None:
                fact = self.facts[name] = Fact("", end, end, BEFORE_ALL, False, 0.0, BEFORE_ALL)
            if not fact.met:
                fact.since, fact.met = end, True
            fact.place, fact.told = said.places[row], end
            if end - fact.since >= self._for_ms:
                fact.counted, fact.value = end, float(said.values[row])
                fact.counted_since = fact.since

    def _is(self, said: Said, row: int) -> bool:
        level, key = said.names[row]
        return level == self.level and (self._of is None or key.partition(BY)[0] in self._of)

    def _meets(self, said: Said) -> Flags:
        asked = self.asked
        if asked.level is not None:
            return said.levels >= COLOURS.index(asked.level)
        if asked.anomaly:
            flags = np.zeros(len(said), np.bool_)
            flags[[i for i, m in said.models.items() if (m["score"] or 0.0) >= ALARM]] = True
            return flags
        assert asked.comparison is not None
        compare, limit = asked.comparison
        return _COMPARE[compare](said.values, limit)

    def _holds(self, value: Floats) -> bool:
        """Whether one value that has met it is still within the deadband."""
        if self.asked.comparison is None or not self.asked.deadband:
            return False
        compare, limit = self.asked.comparison
        slack = self.asked.deadband if compare in ("ge", "gt") else -self.asked.deadband
        return bool(_COMPARE[compare](value, limit - slack)[0])

    def of(self, key: str, place: str) -> Iterable[tuple[KeyName, Fact]]:
        """The facts at keys that are related to the incident's key at this place."""
        if self._related is not None:
            own = _without_dimension(key)
            if self._related.knows(self._own_base, own, self._base):
                keys = self._related.keys(self._own_base, own, self._base)
                return self._at(keys - {own} if self.own else keys)
            if self.own:
                return ()
        if self.inside:
            return self._by_place().get(place[: _DIGITS[self._within]], ())
        if self.own:
            names = [(self.level, key)]
        else:
            around = at_level(place, self._around)
            if around is None:
                return ()
            if self._dimension is not None:
                return self._by_place().get(around, ())
            names = [(self.level, around)]
        return [(name, self.facts[name]) for name in names if name in self.facts]

    def via(self, key: str) -> str | None:
        """The relation by which it is read for an incident's key; None where by place."""
        own = _without_dimension(key)
        if self._related is None or not self._related.knows(self._own_base, own, self._base):
            return None
        return self._related.label

    def _at(self, keys: frozenset[str]) -> Iterable[tuple[KeyName, Fact]]:
        if self._bases is None:
            self._bases = defaultdict(list)
            for name, fact in self.facts.items():
                self._bases[_without_dimension(name[1])].append((name, fact))
        bases = self._bases
        some, others = (keys, bases.keys()) if len(keys) < len(bases) else (bases.keys(), keys)
        return [each for base in some if base in others for each in bases[base]]

    def _regroup(self) -> None:
        self._places = self._bases = None

    def _by_place(self) -> _Grouped:
        if self._places is None:
            digits = _DIGITS[self._around or self._within]
            found: _Grouped = defaultdict(list)
            for name, fact in self.facts.items():
                found[fact.place[:digits]].append((name, fact))
            self._places = found
        return self._places

    def named(self) -> Iterator[tuple[str, str]]:
        """Keys and places of incidents that its facts speak of by themselves."""
        if self._related is not None and self._is_place:
            for _, key in self.facts:
                base = _without_dimension(key)
                for named in self._related.keys(self._base, base, self._own_base):
                    yield named, named
        if self.own:
            if self._related is None:
                yield from ((key, fact.place) for (_, key), fact in self.facts.items())
        elif self.names:
            for fact in self.facts.values():
                place = at_level(fact.place, self._within)
                if place is not None:
                    yield place, place

    def prune(self, before: int) -> None:
        """Forget facts that were last told before a time (ms)."""
        gone = [name for name, fact in self.facts.items() if fact.told < before]
        for name in gone:
            del self.facts[name]
        if gone:
            self._regroup()

    def dump(self) -> Iterator[tuple[Any, ...]]:
        return ((*name, *fact.dump()) for name, fact in self.facts.items())

    def load(self, rows: Iterable[list[Any]]) -> None:
        self._regroup()
        self.facts = {(level, key): Fact(*rest) for level, key, *rest in rows}


_DIGITS = dict(zip(LEVELS, (4, 6, 9, 12, 15), strict=True))


def _without_dimension(key: str) -> str:
    return key.rpartition(BY)[2]


def _finer(level: str, than: str) -> bool:
    """Whether a level of places lies in those of another one, or of things that have a place."""
    return than in LEVELS and LEVELS.index(level) > LEVELS.index(than)


def _some(flags: Flags) -> list[int]:
    rows: list[int] = np.flatnonzero(flags).tolist()
    return rows
