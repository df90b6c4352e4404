"""The conditions of an incident: which hold at a key, and what they rest on.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from agents.entries import KeyName
from agents.incident_facts import Atom, Fact
from agents.levels import COLOURS
from agents.related import Register, Related
from agents.said import Said
from schemas.alert import Evidence
from schemas.incidents import Fact as Asked
from schemas.incidents import Incident, IncidentCondition, Override
from schemas.related import Relations
from schemas.words import BY, split_level
from streams.timeline import BEFORE_ALL, HOUR_MS, to_ms

_MOST_EVIDENCE = 5
"""Facts that are told of one condition."""

Alternatives = list[list[Atom]]
"""Of one of these lists all must be met."""

_Found = tuple[Atom, KeyName, Fact]


class Condition(NamedTuple):
    """One condition, compiled."""

    spec: IncidentCondition
    alternatives: Alternatives
    wanted: bool
    """Whether one must be met, or none."""
    within_ms: int


class _Override(NamedTuple):
    spec: Override
    alternatives: Alternatives
    related: Related | None


class Held(NamedTuple):
    """How a key stands at one moment.

    Attributes
    ----------
    level, needed
        With overrides, and what ``need`` alone gives.
    conditions, overrides
        Those that hold, by their numbers.
    since
        Since when the newest fact is met, int64 ms.
    """

    level: int
    needed: int
    conditions: tuple[int, ...]
    overrides: tuple[int, ...]
    since: int


class Conditions:
    """All conditions of one incident, and what was said that they ask for.

    Parameters
    ----------
    spec
        The incident.
    hidden
        Signs whose results are not sent.
    longest_ms
        From one window of a sign that it reads to the next, at most: facts last as long.
    register
        How keys are related beside their places.
    """

    def __init__(
        self,
        spec: Incident,
        hidden: Collection[str] = (),
        longest_ms: int = 0,
        register: Register | None = None,
    ) -> None:
        self.spec = spec
        self._register = register or Register(Relations())
        self.atoms: list[Atom] = []
        self._hidden, self._longest_ms = frozenset(hidden), longest_ms
        self._within_ms = to_ms(spec.within_s)
        self.conditions = [
            Condition(
                c,
                self._compiled(c.any or c.none, c.at, c.for_s),
                c.any is not None,
                self._within_ms if c.within_s is None else to_ms(c.within_s),
            )
            for c in spec.conditions
        ]
        self._overrides = [
            _Override(
                o,
                self._compiled(o.any, o.at or spec.key, 0.0),
                self._register.of(o.related, None),
            )
            for o in spec.override
        ]
        self._by_source: dict[str, list[Atom]] = {}
        for atom in self.atoms:
            self._by_source.setdefault(atom.asked.source, []).append(atom)
        names = [c.id for c in spec.conditions]
        self._must = frozenset(names.index(name) for name in spec.must)
        self.until = [names.index(name) for name in spec.until]
        self._need = [(COLOURS.index(level), n) for level, n in spec.need.given()]
        self._least = min(n for _, n in self._need)
        spans = (self._within_ms, to_ms(spec.clear_s), *(c.within_ms for c in self.conditions))
        self._reach_ms = max(spans) + to_ms(spec.every_s) + longest_ms

    def _compiled(self, alternatives: list[Asked] | None, at: str, for_s: float) -> Alternatives:
        found: Alternatives = []
        for one in alternatives or ():
            facts = [one] if one.all is None else one.all
            atoms = [
                Atom(
                    fact,
                    fact.at or at,
                    for_s,
                    self.spec.key,
                    self._register.of(fact.relation, fact.within_m),
                )
                for fact in facts
            ]
            self.atoms += atoms
            found.append(atoms)
        return found

    def needs_known(self) -> bool:
        """Whether what is said around a key can raise an incident there that no fact names."""
        around = [
            i
            for i, condition in enumerate(self.conditions)
            if not condition.wanted
            or any(all(not a.names for a in atoms) for atoms in condition.alternatives)
        ]
        enough = len(around) >= self._least and self._must <= set(around)
        names = {self.conditions[i].spec.id for i in around}
        return enough or any(
            set(override.spec.conditions or ()) <= names
            and (
                override.spec.any is None
                or any(all(not a.names for a in atoms) for atoms in override.alternatives)
            )
            for override in self._overrides
        )

    def put(self, end: int) -> None:
        """Relate keys as the register does at a moment."""
        self._register.put(end)

    def hear(self, source: str, said: Said, end: int) -> None:
        """What a sign says of the window that ends at ``end``."""
        for atom in self._by_source[source]:
            atom.take(said, end)

    def names_keys(self, source: str) -> bool:
        """Whether a sign is asked at the incident's own key level."""
        return any(atom.own for atom in self._by_source[source])

    def is_idle(self) -> bool:
        """Whether nothing at all is said of a condition without which there is no incident."""
        missing = {
            self.conditions[i].spec.id
            for i in self._must
            if self.conditions[i].wanted
            and not any(atom.facts for atoms in self.conditions[i].alternatives for atom in atoms)
        }
        return bool(missing) and all(
            missing.intersection(override.spec.conditions or ()) for override in self._overrides
        )

    def held(self, key: str, place: str, end: int, reached: Sequence[int]) -> Held:
        """The level that conditions and overrides make, and what it rests on.

        ``reached`` tells since when the key stands at each level or above.
        """
        counting: list[int] = []
        newest = BEFORE_ALL
        for i, condition in enumerate(self.conditions):
            met, since = _met(condition.alternatives, key, place, end - condition.within_ms)
            if met == condition.wanted:
                counting.append(i)
                newest = max(newest, since)
        needed = 0
        if self._must.issubset(counting):
            needed = max((n for n, least in self._need if len(counting) >= least), default=0)
        level, holding = needed, list[int]()
        for i, override in enumerate(self._overrides):
            over = self._overrides_at(override, (key, place, end), counting, reached)
            if over is not None:
                holding.append(i)
                level = max(level, COLOURS.index(override.spec.level))
                newest = max(newest, over)
        return Held(level, needed, tuple(counting), tuple(holding), newest)

    def _overrides_at(
        self,
        override: _Override,
        at: tuple[str, str, int],
        counting: Collection[int],
        reached: Sequence[int],
    ) -> int | None:
        """Since when the newest fact of an override is met; None where it does not hold."""
        spec, since = override.spec, BEFORE_ALL
        key, place, end = at
        if spec.any is not None:
            heard = end - self._within_ms - self._longest_ms
            met, since = _met(override.alternatives, key, place, None, heard)
            if not met:
                return None
        names = [self.conditions[i].spec.id for i in counting]
        if spec.conditions is not None and not set(spec.conditions) <= set(names):
            return None
        if override.related is not None:
            level, base = split_level(self.spec.key)[1], key.rpartition(BY)[2]
            if not override.related.knows(level, base, level):
                return None
        if spec.standing is not None:
            stood = reached[COLOURS.index(spec.standing.level)]
            if end - stood < to_ms(spec.standing.for_s):
                return None
        return since

    def is_over(self, key: str, place: str, since: int, quiet: Collection[int]) -> bool:
        """Whether the conditions that end it held in it, and are told not to hold any more.

        Parameters
        ----------
        since
            The end of the episode's first window, int64 ms.
        quiet
            The conditions of none of several facts that held in it.
        """
        seen = False
        for i in self.until:
            condition = self.conditions[i]
            if _met(condition.alternatives, key, place, None)[0] == condition.wanted:
                return False
            if condition.wanted:
                seen |= _met(condition.alternatives, key, place, since - 1)[0]
            else:
                seen |= i in quiet
        return seen

    def threshold(self, level: int) -> float | None:
        """How many conditions a level needs."""
        return next((float(least) for n, least in self._need if n == level), None)

    def heard(self, end: int) -> float:
        """The share of the conditions whose signs say anything anywhere."""
        after = end - max(self._within_ms, HOUR_MS)
        told = [
            any(atom.heard > after for atoms in condition.alternatives for atom in atoms)
            for condition in self.conditions
        ]
        return sum(told) / len(told)

    def evidence(self, key: str, place: str, end: int, held: Held) -> Iterator[Evidence]:
        """The facts behind each condition, and behind the overrides that hold."""
        for i, condition in enumerate(self.conditions):
            found = _facts(condition.alternatives, key, place, end - condition.within_ms)
            yield from self._told(condition.spec.id, i in held.conditions, key, found)
        for i in held.overrides:
            found = _facts(self._overrides[i].alternatives, key, place, None)
            if found:
                name = f"override:{self._overrides[i].spec.level}"
                yield from self._told(name, True, key, found)

    def _told(self, name: str, holds: bool, own: str, found: list[_Found]) -> Iterator[Evidence]:
        """Facts of one condition, those of the greatest value first."""
        if not found:
            yield Evidence(condition=name, holds=holds)
        for atom, (level, key), fact in found[:_MOST_EVIDENCE]:
            # Who calls from where about what is not told of single citizens.
            single = atom.asked.source in self._hidden and split_level(level)[0] is not None
            yield Evidence(
                condition=name,
                holds=holds,
                sign=atom.asked.source,
                key_level=None if single else level,
                key=None if single else key,
                value=fact.value,
                t=fact.counted,
                relation=atom.via(own),
            )

    def forget(self, end: int) -> None:
        """Facts that are too old to count."""
        for atom in self.atoms:
            atom.prune(end - self._reach_ms)


def _facts(alternatives: Alternatives, key: str, place: str, after: int | None) -> list[_Found]:
    """The related facts that count after a time, or that are met now; the greatest value first."""
    found = [
        (atom, name, fact)
        for atoms in alternatives
        for atom in atoms
        for name, fact in atom.of(key, place)
        if (fact.met if after is None else fact.counted > after)
    ]
    found.sort(key=lambda each: (-abs(each[2].value), each[0].asked.source, each[1]))
    return found


def _met(
    alternatives: Alternatives,
    key: str,
    place: str,
    after: int | None,
    heard: int = BEFORE_ALL,
) -> tuple[bool, int]:
    """Whether all facts of one alternative are met, and since when the newest of them is.

    Those count that were met for long enough after a time; without one, those that are met now and
    were told after ``heard``.
    """
    met, newest = False, BEFORE_ALL
    for atoms in alternatives:
        since = BEFORE_ALL
        for atom in atoms:
            facts = [
                fact.since if after is None else fact.counted_since
                for _, fact in atom.of(key, place)
                if (fact.met and fact.told > heard if after is None else fact.counted > after)
            ]
            if len(facts) < atom.asked.keys:
                break
            since = max(since, *facts)
        else:
            met, newest = True, max(newest, since)
    return met, newest
