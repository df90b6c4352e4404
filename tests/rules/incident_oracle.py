"""What incidents shall say of results: the rule of `schemas.incidents` in its plainest form.

Nothing is kept from one moment to the next but the life of each episode: everything else is looked
up again in the list of what signs said.  Where the rule leaves something open, this holds:

- every fact counts by itself for ``within_s`` after it was last met, the last moment left out; so
  two keys, or two facts of an ``all``, need not say it at the same time;
- ``none`` is met where no fact counts;
- of a key that is silent its last word stands until that is older than all the incident's times;
- an incident can happen at keys that a fact names and at those that its signs ever spoke of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from schemas.configuration import Configuration
from schemas.incidents import Fact, Incident
from schemas.related import Relation
from tests.rules.incident_relations import bare, counting, is_bound, related_keys

COLOURS = ("normal", "blue", "yellow", "orange", "red")
DIGITS = {"city": 4, "district": 6, "street": 9, "community": 12, "grid": 15}


class Row(NamedTuple):
    """What a sign, or an incident, said first of a key at the end of a window."""

    source: str
    level: str
    key: str
    place: str
    t: int
    value: float | None
    severity: int
    score: float = 0.0


class Step(NamedTuple):
    """One transition of an incident or of an alert."""

    t: int
    transition: str
    level: int
    max_level: int
    onset: int
    conditions: tuple[str, ...]
    """Those that count, by name."""


class Span(NamedTuple):
    """An episode of an incident that stood from one time up to another."""

    rule: str
    key_level: str
    key: str
    place: str
    onset: int
    cleared: int | None


class Marked(NamedTuple):
    """A transition of a child, and the incident ``(rule, key, onset)`` that suppresses it then."""

    t: int
    transition: str
    level: int
    by: tuple[str, str, int] | None


@dataclass
class Life:
    """Normal, raised, clearing: an alert without on-delay."""

    off_ms: int
    level: int = 0
    max_level: int = 0
    onset: int = 0
    stands: bool = False
    clearing: bool = False
    below: list[tuple[int, int]] = field(default_factory=list)
    """Since it was last at its level: when and what."""
    levels: list[tuple[int, int]] = field(default_factory=list)
    """At which level it was after each moment."""

    def step(self, t: int, level: int) -> str | None:
        """The transition of a moment."""
        said = self._step(t, level)
        self.levels.append((t, self.level if self.stands else 0))
        return said

    def _step(self, t: int, level: int) -> str | None:
        if not self.stands:
            if not level:
                return None
            self.stands, self.onset, self.max_level = True, t, level
            return self._settle(level, "raised")
        if level > self.level:
            self.max_level = max(self.max_level, level)
            return self._settle(level, "escalated")
        if level == self.level:
            return self._settle(level, "reraised" if self.clearing else None)
        self.below.append((t, level))
        if level:
            if t - self.below[0][0] >= self.off_ms:
                return self._settle(max(x for _, x in self.below), "deescalated")
            was, self.clearing = self.clearing, False
            return "reraised" if was else None
        quiet = t
        for at, x in reversed(self.below):
            if x:
                break
            quiet = at
        if t - quiet >= self.off_ms:
            self.stands = self.clearing = False
            return "cleared"
        was, self.clearing = self.clearing, True
        return None if was else "clearing"

    def _settle(self, level: int, said: str | None) -> str | None:
        self.level, self.clearing, self.below = level, False, []
        return said

    def stood(self, least: int, t: int) -> int:
        """For how many ms up to ``t`` it has stood at a level at least, -1 if it does not."""
        if not self.stands or self.level < least:
            return -1
        since = self.levels[-1][0]
        for at, level in reversed(self.levels):
            if level < least:
                break
            since = at
        return t - since


class Said(NamedTuple):
    """What a row means for a fact; ``since`` is when it began to be met without a break.

    ``first`` marks a row before which nothing is remembered.
    """

    t: int
    place: str
    met: bool
    since: int
    counts: bool
    first: bool


class Known(NamedTuple):
    """What is known of a fact at one key at a moment.

    ``met_since`` is of what is met now, ``counted_since`` of what was met when it last counted, and
    ``newest_since`` of what was met last.
    """

    place: str
    told: int
    met_since: int | None
    counted: int | None
    counted_since: int | None
    newest_since: int | None


Line = list[Said]


class FactOracle:
    """One fact at all its keys."""

    def __init__(
        self,
        fact: Fact,
        level: str,
        for_s: float,
        incident: Incident,
        rows: Iterable[Row],
        longest: int,
        relations: Sequence[Relation] = (),
    ) -> None:
        self.fact, self.level, self.incident = fact, level, incident
        self.relations = relations
        self.step = ms(incident.every_s)
        withins = [ms(c.within_s) for c in incident.conditions if c.within_s is not None]
        self.reach = max(ms(incident.clear_s), ms(incident.within_s), *withins, 0)
        self.reach += self.step + longest

        self.lines: dict[str, Line] = defaultdict(list)
        for row in rows:
            if row.source != fact.source or row.level != level or row.value is None:
                continue
            if fact.of is not None and row.key.partition("*")[0] not in fact.of:
                continue
            line = self.lines[row.key]
            before = line[-1] if line and not self.is_forgotten(line[-1].t, row.t) else None
            was_met = before is not None and before.met
            met = self.meets(row, row.value) or (was_met and self.is_near(row.value))
            since = before.since if before is not None and before.met and met else row.t
            counts = met and row.t - since >= ms(for_s)
            line.append(Said(row.t, row.place, met, since, counts, before is None))

    def is_forgotten(self, told: int, t: int) -> bool:
        """Whether a judgement between both found the older one too old."""
        return (told + self.reach) // self.step * self.step + self.step < t

    def meets(self, row: Row, value: float) -> bool:
        fact = self.fact
        if fact.level is not None:
            return row.severity >= COLOURS.index(fact.level)
        if fact.anomaly:
            return row.score >= 0.5
        return self.compares(value, 0.0)

    def is_near(self, value: float) -> bool:
        return self.fact.deadband > 0 and self.compares(value, self.fact.deadband)

    def compares(self, value: float, slack: float) -> bool:
        fact = self.fact
        return (
            (fact.ge is not None and value >= fact.ge - slack)
            or (fact.gt is not None and value > fact.gt - slack)
            or (fact.le is not None and value <= fact.le + slack)
            or (fact.lt is not None and value < fact.lt + slack)
        )

    def known(self, key: str, t: int) -> Known | None:
        """What is known of a key at a moment."""
        said = [one for one in self.lines[key] if one.t <= t]
        if not said or self.is_forgotten(said[-1].t, t):
            return None
        began = max(i for i, one in enumerate(said) if one.first)
        said = said[began:]
        met = [one for one in said if one.met]
        counted = [one for one in said if one.counts]
        return Known(
            said[-1].place,
            said[-1].t,
            said[-1].since if said[-1].met else None,
            counted[-1].t if counted else None,
            counted[-1].since if counted else None,
            met[-1].since if met else None,
        )

    def related(self, key: str, place: str, t: int) -> list[Known]:
        """What is known at the keys that are related to the incident's."""
        found = []
        keys = self.registered(key, t)
        for name in self.lines:
            known = self.known(name, t)
            if known is None:
                continue
            if keys is not None and bare(name) in keys:
                found.append(known)
            if keys is None and self.is_related(name, known.place, key, place):
                found.append(known)
        return found

    def registered(self, key: str, t: int) -> set[str] | None:
        """The keys that the register relates to the incident's, of the level that is asked; None
        where it says nothing of the key."""
        level, fact = bare(self.level), self.fact
        own = f"{bare(self.incident.key)}:{bare(key)}"
        if fact.relation is not None:
            said = is_bound(self.relations, fact.relation, own, t)
        elif fact.within_m is not None:
            placed = {r.origin for r in counting(self.relations, t) if r.relation == "position"}
            said = own in placed and any(k.startswith(f"{level}:") for k in placed)
        if not self.by_register or not said:
            return None
        found = related_keys(self.relations, fact.relation, fact.within_m, own, t)
        itself = {bare(key)} if self.level == self.incident.key else set()
        return {name for each, name in found if each == level} - itself

    @property
    def by_register(self) -> bool:
        return self.fact.relation is not None or self.fact.within_m is not None

    def is_related(self, name: str, at: str, key: str, place: str) -> bool:
        if self.level == self.incident.key and self.by_register:
            return False
        if self.level == self.incident.key:
            return name == key
        base, own = self.level.rpartition("*")[2], self.incident.key.rpartition("*")[2]
        digits, own_digits = DIGITS.get(base, 16), DIGITS.get(own, 15)
        if digits <= own_digits:
            return at[:digits] == place[:digits]
        return at[:own_digits] == place[:own_digits]

    def names(self, t: int) -> Iterator[tuple[str, str]]:
        """Keys and places of incidents of which the fact speaks by itself."""
        base, own = self.level.rpartition("*")[2], DIGITS.get(self.incident.key)
        for key in self.lines:
            known = self.known(key, t)
            if known is None or known.newest_since is None:
                continue
            if self.by_register and own is not None:
                fact = self.fact
                here = f"{bare(self.level)}:{bare(key)}"
                for level, name in related_keys(
                    self.relations, fact.relation, fact.within_m, here, t
                ):
                    if level == self.incident.key:
                        yield name, name
            if self.level == self.incident.key:
                if not self.by_register:
                    yield key, known.place
            elif own is not None and DIGITS.get(base, 16) >= own and len(known.place) >= own:
                yield known.place[:own], known.place[:own]


Alternatives = list[list[FactOracle]]


def ms(seconds: float) -> int:
    return round(seconds * 1000)


def newest(
    alternatives: Alternatives,
    key: str,
    place: str,
    t: int,
    after: int | None,
    heard: int | None = None,
) -> int | None:
    """Since when the newest of the facts is met that count after a time; None where none does.

    Without a time, it is those that are met now, and were told of after ``heard``.
    """
    found: list[int] = []
    for together in alternatives:
        since: list[int] = []
        for one in together:
            known = one.related(key, place, t)
            if after is None:
                heard_of = [k for k in known if heard is None or k.told > heard]
                times = [k.met_since for k in heard_of if k.met_since is not None]
            else:
                counting = [k for k in known if k.counted is not None and k.counted > after]
                times = [k.counted_since for k in counting if k.counted_since is not None]
            if len(times) < one.fact.keys:
                break
            since += times
        else:
            found.append(max(since))
    return max(found, default=None)


class IncidentOracle:
    """One incident at all its keys, from the rows of what it reads."""

    def __init__(
        self,
        incident: Incident,
        rows: Sequence[Row],
        until: int,
        longest: int = 0,
        relations: Sequence[Relation] = (),
    ) -> None:
        self.relations = relations
        self.spec, self.until, self.longest = incident, until, longest
        self.rows = [row for row in rows if row.source in incident.inputs]
        self.steps: dict[str, list[Step]] = defaultdict(list)
        self.spans: list[Span] = []
        self.told: list[Row] = []
        self.lives: dict[str, Life] = {}
        self.cleared: dict[str, int] = {}
        self.facts: list[FactOracle] = []
        self.counted: dict[tuple[str, int], set[str]] = defaultdict(set)
        """Conditions that counted in an episode."""
        self.conditions = [
            (c, self.alternatives(c.any or c.none, c.at, c.for_s)) for c in incident.conditions
        ]
        self.overrides = [
            (o, self.alternatives(o.any, o.at or incident.key, 0.0)) for o in incident.override
        ]
        self.run()

    def alternatives(self, facts: list[Fact] | None, at: str, for_s: float) -> Alternatives:
        found: Alternatives = []
        for one in facts or []:
            together = [one] if one.all is None else one.all
            named = [(f, f.at or at) for f in together]
            rest = (for_s, self.spec, self.rows, self.longest, self.relations)
            of = [FactOracle(*each, *rest) for each in named]
            found.append(of)
            self.facts += found[-1]
        return found

    def run(self) -> None:
        step = ms(self.spec.every_s)
        if not self.rows:
            return
        first = -(-min(row.t for row in self.rows) // step) * step
        for t in range(first, self.until + 1, step):
            for key, place in sorted(self.candidates(t).items()):
                self.judge(key, place, t)

    def candidates(self, t: int) -> dict[str, str]:
        asked = {fact.fact.source for fact in self.facts if fact.level == self.spec.key}
        known = [r for r in self.rows if r.source in asked and r.level == self.spec.key]
        found = {r.key: r.place for r in known if r.t <= t}
        for fact in self.facts:
            found |= dict(fact.names(t))
        for span in self.spans:
            if span.cleared is None:
                found[span.key] = span.place
        return found

    def judge(self, key: str, place: str, t: int) -> None:
        life = self.lives.setdefault(key, Life(ms(self.spec.clear_s)))
        level, counting = self.level(key, place, t, life)
        stood = life.stands
        said = life.step(t, level)
        self.counted[key, life.onset] |= counting
        if not stood and not life.stands:
            return
        now = life.level if life.stands else 0
        self.told.append(Row(self.spec.id, self.spec.key, key, place, t, float(now), now))
        if said is not None:
            holding = tuple(sorted(counting))
            self.steps[key].append(Step(t, said, life.level, life.max_level, life.onset, holding))
        if said == "raised":
            self.spans.append(Span(self.spec.id, self.spec.key, key, place, t, None))
        if said == "cleared":
            self.cleared[key] = t
            at = max(i for i, span in enumerate(self.spans) if span.key == key)
            self.spans[at] = self.spans[at]._replace(cleared=t)

    def level(self, key: str, place: str, t: int, life: Life) -> tuple[int, set[str]]:
        """The level at a moment, and the conditions that count."""
        spec, since = self.spec, list[int]()
        counting: set[str] = set()
        for condition, alternatives in self.conditions:
            within = spec.within_s if condition.within_s is None else condition.within_s
            held = newest(alternatives, key, place, t, t - ms(within))
            if (held is not None) == (condition.any is not None):
                counting.add(condition.id)
                since += [] if held is None else [held]
        level = 0
        if set(spec.must) <= counting:
            for name, least in spec.need.given():
                if len(counting) >= least:
                    level = max(level, COLOURS.index(name))
        for override, alternatives in self.overrides:
            heard = t - ms(self.spec.within_s) - self.longest
            met = newest(alternatives, key, place, t, None, heard) if override.any else t
            holds = met is not None and set(override.conditions or ()) <= counting
            if override.related is not None:
                own = f"{bare(spec.key)}:{bare(key)}"
                holds = holds and is_bound(self.relations, override.related, own, t)
            if override.standing is not None:
                least = COLOURS.index(override.standing.level)
                holds = holds and life.stood(least, t) >= ms(override.standing.for_s)
            if holds:
                level = max(level, COLOURS.index(override.level))
                since += [met] if override.any and met is not None else []
        cleared = self.cleared.get(key)
        if not life.stands and cleared is not None and t - cleared <= ms(spec.cooldown_s):
            level = level if any(one > cleared for one in since) else 0
        if life.stands and self.is_over(key, place, t, life.onset):
            level = 0
        return level, counting

    def at(self, span: Span, t: int) -> int:
        """The level of an episode at a time at which it stands."""
        return [level for at, level in self.lives[span.key].levels if at <= t][-1]

    def is_over(self, key: str, place: str, t: int, onset: int) -> bool:
        """Whether what ends it held in it, and is told not to hold any more."""
        held = False
        for condition, alternatives in self.conditions:
            if condition.id not in self.spec.until:
                continue
            met = newest(alternatives, key, place, t, None) is not None
            if met == (condition.any is not None):
                return False
            if condition.any is not None:
                held |= newest(alternatives, key, place, t, onset - 1) is not None
            else:
                held |= condition.id in self.counted[key, onset]
        return held


class CityOracle:
    """All incidents of a configuration, those that are read first, and the children.

    Parameters
    ----------
    until
        Up to when every lane was heard, int64 ms UTC.
    """

    def __init__(
        self,
        configuration: Configuration,
        rows: Iterable[Row],
        until: int,
    ) -> None:
        self.configuration = configuration
        self.rows = sorted(rows, key=lambda row: row.t)
        self.incidents: dict[str, IncidentOracle] = {}
        waiting = {one.id: one for one in configuration.incidents}
        for _ in count():
            if not waiting:
                break
            ready = [one for one in waiting.values() if not set(one.inputs) & set(waiting)]
            for one in ready:
                table = configuration.relations.rows
                oracle = IncidentOracle(one, self.rows, until, self.longest(one), table)
                self.incidents[one.id] = oracle
                self.rows = sorted(self.rows + oracle.told, key=lambda row: row.t)
                del waiting[one.id]

    def longest(self, incident: Incident) -> int:
        """From one window of a sign that it reads to the next, or one judgement of an incident."""
        hops = [s.window.hop_s or 0.0 for s in self.configuration.signs if s.id in incident.inputs]
        hops += [one.every_s for one in self.configuration.incidents if one.id in incident.inputs]
        return ms(max(hops))

    def steps(self) -> dict[tuple[str, str], list[Step]]:
        """Transitions by incident and key."""
        return {
            (name, key): steps
            for name, one in self.incidents.items()
            for key, steps in one.steps.items()
        }

    def suppressing(self, row: Row, level: int) -> set[tuple[str, str, int]]:
        """Episodes of incidents that suppress alerts of a level of a sign's key then: those that
        are as grave."""
        found = set()
        for oracle in self.incidents.values():
            for rule in oracle.spec.suppresses:
                if rule.sign != row.source:
                    continue
                for span in oracle.spans:
                    stands = span.onset <= row.t and (span.cleared is None or row.t < span.cleared)
                    if stands and covers(span, row, rule.of) and oracle.at(span, row.t) >= level:
                        found.add((span.rule, span.key, span.onset))
        return found

    def children(self) -> dict[tuple[str, str, str], list[Marked]]:
        """Transitions of the alerts of suppressed signs, by sign and key."""
        names = {rule.sign for one in self.configuration.incidents for rule in one.suppresses}
        found: dict[tuple[str, str, str], list[Marked]] = defaultdict(list)
        lives: dict[tuple[str, str, str], tuple[Life, list[tuple[str, str, int] | None]]] = {}
        for row in self.rows:
            if row.source not in names:
                continue
            alert = self.configuration.sign[row.source].alert
            if alert is None:
                continue
            assert not alert.deadband
            assert not alert.on_delay_s
            name = (row.source, row.level, row.key)
            if row.value is None and name not in lives:
                continue
            life, marks = lives.setdefault(name, (Life(ms(alert.off_delay_s)), []))
            # A key that has fallen silent is told of incidents all the same.
            said = None if row.value is None else life.step(row.t, row.severity)
            by = self.by(row, life.level)
            if said is None and life.stands and by != marks[-1]:
                said = "unsuppressed" if by is None else "suppressed"
            marks.append(by)
            if said is not None:
                found[name].append(Marked(row.t, said, life.level, by))
        return dict(found)

    def by(self, row: Row, level: int) -> tuple[str, str, int] | None:
        """The one that is named: of an incident that others read, then the oldest episode."""

        def rank(episode: tuple[str, str, int]) -> tuple[int, int, str]:
            rule, key, onset = episode
            return list(self.incidents).index(rule), onset, key

        return min(self.suppressing(row, level), key=rank, default=None)


def covers(span: Span, row: Row, of: Sequence[str] | None) -> bool:
    """Whether an incident stands at a child's key, or around it."""
    value, divided, _ = row.key.partition("*")
    if of is not None and not (divided and value in of):
        return False
    if row.level == span.key_level:
        return row.key == span.key
    around = of is not None
    if "*" in span.key:
        if not (divided and value == span.key.partition("*")[0]):
            return False
        around = True
    holds = around and len(row.place) >= 6 and span.place.startswith(row.place)
    return row.place.startswith(span.place) or holds


def read(results: Iterable[Mapping[str, object]]) -> list[Row]:
    """Rows of results, as they stand in the log of results; corrections are left out."""
    rows = []
    for r in results:
        if r["rev"] != 0:
            continue
        value, level, model = r["value"], r["level"], r["model"]
        score = model.get("score") if isinstance(model, dict) else None
        rows.append(
            Row(
                str(r["vital"]),
                str(r["key_level"]),
                str(r["key"]),
                str(r["place"]),
                int(str(r["t_end"])),
                None if value is None else float(str(value)),
                -1 if level is None else int(str(level)),
                0.0 if score is None else float(score),
            )
        )
    return rows
