"""Incidents: conditions over several signs at related keys, from onset to clear.  Pure.

An incident is judged at whole steps of time, when all lanes of what it reads have passed them, so
that it is a function of the log alone.  Conditions are made of facts, and these of what signs said
first (``rev 0``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from agents.entries import Entry, KeyName
from agents.episodes import Episode, Rule, advance, episode_id, state_of
from agents.incident_facts import Atom, Fact
from agents.levels import COLOURS
from agents.outputs import alert_transition
from agents.said import Said
from schemas.alert import Alert, Certainty, Evidence, Transition, Why
from schemas.incidents import Fact as Asked
from schemas.incidents import Incident, IncidentCondition, Override
from schemas.signs import AlertRule, Levels, Thresholds, Window
from schemas.words import BY, split_level
from streams.frozen import Frozen, decode_rows, encode_rows
from streams.records import Output
from streams.timeline import AFTER_ALL, BEFORE_ALL, DAY_MS, to_ms

_DISTRICT = len("440111")
"""Digits: what is said of the whole city is not about one place of it."""
_MOST_EVIDENCE = 5
"""Facts that are told of one condition."""

Alternatives = list[list[Atom]]
"""Of one of these lists all must be met."""


_Found = tuple[Atom, KeyName, Fact]


class _Condition(NamedTuple):
    spec: IncidentCondition
    alternatives: Alternatives
    wanted: bool
    """Whether one must be met, or none."""
    within_ms: int


class _Override(NamedTuple):
    spec: Override
    alternatives: Alternatives


class _Held(NamedTuple):
    """How a key stands at one moment: its level, that which ``need`` alone gives, and the
    conditions and overrides that hold."""

    level: int
    needed: int
    conditions: tuple[int, ...]
    overrides: tuple[int, ...]


class Span(NamedTuple):
    """One episode of an incident that stands, or stood until ``cleared``; int64 ms UTC."""

    alert_id: str
    key: str
    place: str
    raised: int
    cleared: int


class IncidentState:
    """One incident at all its keys.

    Parameters
    ----------
    spec
        The incident.
    config
        Version of the configuration, as it goes into every alert's ``why``.
    hidden
        Signs whose results are not sent.
    longest_ms
        From one window of a sign that it reads to the next, at most: facts last as long.
    """

    def __init__(
        self, spec: Incident, config: str, hidden: Collection[str] = (), longest_ms: int = 0
    ) -> None:
        self.spec, self.config = spec, config
        self.last_end = BEFORE_ALL
        self.count = 0
        self.spans: list[Span] = []
        self._hidden, self._longest_ms = frozenset(hidden), longest_ms
        self._step_ms, self._within_ms = to_ms(spec.every_s), to_ms(spec.within_s)
        self._cooldown_ms, self._clear_ms = to_ms(spec.cooldown_s), to_ms(spec.clear_s)
        self._rule = _rule(spec)
        self._atoms: list[Atom] = []
        self._conditions = [
            _Condition(
                c,
                self._compiled(c.any or c.none, c.at, c.for_s),
                c.any is not None,
                self._within_ms if c.within_s is None else to_ms(c.within_s),
            )
            for c in spec.conditions
        ]
        self._overrides = [
            _Override(o, self._compiled(o.any, o.at or spec.key, 0.0)) for o in spec.override
        ]
        self._by_source: dict[str, list[Atom]] = {}
        for atom in self._atoms:
            self._by_source.setdefault(atom.asked.source, []).append(atom)
        names = [c.id for c in spec.conditions]
        self._must = frozenset(names.index(name) for name in spec.must)
        self._until = [names.index(name) for name in spec.until]
        self._need = [(COLOURS.index(level), n) for level, n in spec.need.given()]
        self._least = min(n for _, n in self._need)
        self._pending: dict[int, dict[str, Said]] = {}
        self._episodes: dict[str, tuple[Episode, str]] = {}
        self._cleared: dict[str, int] = {}
        self._known: dict[str, tuple[str, int]] = {}
        self._reached: dict[str, list[int]] = {}
        """By key, since when it stands at each level or above; `AFTER_ALL` if it does not."""
        self._quiet: dict[str, list[int]] = {}
        """By key, the conditions of none of several facts that held in its episode."""
        self._asks_known = self._needs_known()

    def _compiled(self, alternatives: list[Asked] | None, at: str, for_s: float) -> Alternatives:
        found: Alternatives = []
        for one in alternatives or ():
            facts = [one] if one.all is None else one.all
            atoms = [Atom(fact, fact.at or at, for_s, self.spec.key) for fact in facts]
            self._atoms += atoms
            found.append(atoms)
        return found

    def _needs_known(self) -> bool:
        """Whether what is said around a key can raise an incident there that no fact names."""
        around = [
            i
            for i, condition in enumerate(self._conditions)
            if not condition.wanted
            or any(all(not a.names for a in atoms) for atoms in condition.alternatives)
        ]
        enough = len(around) >= self._least and self._must <= set(around)
        names = {self._conditions[i].spec.id for i in around}
        return enough or any(
            set(override.spec.conditions or ()) <= names
            and (
                override.spec.any is None
                or any(all(not a.names for a in atoms) for atoms in override.alternatives)
            )
            for override in self._overrides
        )

    # --- what it waits for -------------------------------------------------------------------

    def expect(self, source: str, end: int, said: Said) -> None:
        """Take note of what a sign or incident says of the window that ends at ``end``.

        What is said of an end that was judged already comes after the end of a log, and is too
        late.
        """
        if end > self.last_end:
            self._pending.setdefault(end, {})[source] = said

    def next_end(self, limit: int = AFTER_ALL) -> int:
        """When it is judged next, int64 ms, or `AFTER_ALL`; not beyond the end of a log."""
        end = AFTER_ALL
        if self._pending:
            end = -(-min(self._pending) // self._step_ms) * self._step_ms
        if self._episodes or any(atom.facts for atom in self._atoms):
            end = min(end, self.last_end + self._step_ms)
        return end if end - self._step_ms < limit else AFTER_ALL

    def next_final(self) -> int:
        """Incidents run on what was said first: nothing is corrected."""
        return AFTER_ALL

    # --- judging -----------------------------------------------------------------------------

    def close(self, end: int) -> tuple[list[Output], Said]:
        """Judge all keys at a moment: transitions, and how each key stands."""
        self.last_end = end
        for at in sorted(at for at in self._pending if at <= end):
            for source, said in sorted(self._pending.pop(at).items(), key=itemgetter(0)):
                self._hear(source, said, at)
        outputs: list[Output] = []
        entries: list[Entry] = []
        for key, place in sorted(self._candidates()):
            outputs += self._judge(key, place, end, entries)
        self._forget(end)
        return outputs, Said.of(entries)

    def _hear(self, source: str, said: Said, end: int) -> None:
        for atom in self._by_source[source]:
            atom.take(said, end)
        if self._asks_known and any(atom.own for atom in self._by_source[source]):
            level = self.spec.key
            self._known.update(
                (name[1], (place, end))
                for name, place in zip(said.names, said.places, strict=True)
                if name[0] == level
            )

    def _candidates(self) -> set[tuple[str, str]]:
        found: dict[str, str] = {key: place for key, (_, place) in self._episodes.items()}
        if self._is_idle():
            return set(found.items())
        if self._asks_known:
            found = {key: place for key, (place, _) in self._known.items()} | found
        for atom in self._atoms:
            for key, place in atom.named():
                found.setdefault(key, place)
        return set(found.items())

    def _is_idle(self) -> bool:
        """Whether nothing at all is said of a condition without which there is no incident."""
        missing = {
            self._conditions[i].spec.id
            for i in self._must
            if self._conditions[i].wanted
            and not any(atom.facts for atoms in self._conditions[i].alternatives for atom in atoms)
        }
        return bool(missing) and all(
            missing.intersection(override.spec.conditions or ()) for override in self._overrides
        )

    def _judge(self, key: str, place: str, end: int, entries: list[Entry]) -> list[Output]:
        known = self._episodes.get(key)
        held = self._held(key, place, end, None if known is None else known[0])
        if known is None:
            if not held.level:
                return []
            known = self._episodes[key] = Episode(), place
        episode, place = known
        transition = advance(episode, self._rule, end, float(held.level))
        quiet = {i for i in held.conditions if not self._conditions[i].wanted}
        if quiet and self._until:
            self._quiet[key] = sorted(quiet.union(self._quiet.get(key, ())))
        level = 0 if episode.phase == "normal" else episode.level
        before = self._reached.get(key, [AFTER_ALL] * len(COLOURS))
        self._reached[key] = [
            min(since, end) if level >= n else AFTER_ALL for n, since in enumerate(before)
        ]
        entries.append(
            Entry(self.spec.key, key, place, float(level), len(held.conditions), 1.0, None, level)
        )
        outputs = []
        if transition is not None:
            outputs = self._send(key, place, episode, transition, held, end)
        if transition == "raised":
            self.count += 1
            self.spans.append(Span(self._id(key, episode), key, place, end, AFTER_ALL))
        if episode.phase == "normal":
            del self._episodes[key], self._reached[key]
            self._quiet.pop(key, None)
        if transition == "cleared":
            self._cleared[key] = end
            for i, span in enumerate(self.spans):
                if span.key == key and span.cleared == AFTER_ALL:
                    self.spans[i] = span._replace(cleared=end)
        return outputs

    def _id(self, key: str, episode: Episode) -> str:
        return episode_id(self.spec.id, self.spec.key, key, episode.first_end)

    def _held(self, key: str, place: str, end: int, episode: Episode | None) -> _Held:
        """The level that conditions and overrides make, and what it rests on."""
        counting: list[int] = []
        newest = BEFORE_ALL
        for i, condition in enumerate(self._conditions):
            met, since = _met(condition.alternatives, key, place, end - condition.within_ms)
            if met == condition.wanted:
                counting.append(i)
                newest = max(newest, since)
        needed = 0
        if self._must.issubset(counting):
            needed = max((n for n, least in self._need if len(counting) >= least), default=0)
        level, holding = needed, list[int]()
        for i, override in enumerate(self._overrides):
            over = self._overrides_at(override, key, place, end, counting)
            if over is not None:
                holding.append(i)
                level = max(level, COLOURS.index(override.spec.level))
                newest = max(newest, over)
        cleared = self._cleared.get(key)
        cooling = cleared is not None and end - cleared <= self._cooldown_ms
        if episode is None and cleared is not None and cooling and newest <= cleared:
            level = 0
        if level and episode is not None and self._is_over(key, place, episode):
            level = 0
        return _Held(level, needed, tuple(counting), tuple(holding))

    def _overrides_at(
        self, override: _Override, key: str, place: str, end: int, counting: list[int]
    ) -> int | None:
        """Since when the newest fact of an override is met; None where it does not hold."""
        spec, since = override.spec, BEFORE_ALL
        if spec.any is not None:
            heard = end - self._within_ms - self._longest_ms
            met, since = _met(override.alternatives, key, place, None, heard)
            if not met:
                return None
        names = [self._conditions[i].spec.id for i in counting]
        if spec.conditions is not None and not set(spec.conditions) <= set(names):
            return None
        if spec.standing is not None:
            reached = self._reached.get(key)
            stood = AFTER_ALL if reached is None else reached[COLOURS.index(spec.standing.level)]
            if end - stood < to_ms(spec.standing.for_s):
                return None
        return since

    def _is_over(self, key: str, place: str, episode: Episode) -> bool:
        """Whether the conditions that end it held in it, and are told not to hold any more."""
        seen = False
        for i in self._until:
            condition = self._conditions[i]
            if _met(condition.alternatives, key, place, None)[0] == condition.wanted:
                return False
            if condition.wanted:
                seen |= _met(condition.alternatives, key, place, episode.first_end - 1)[0]
            else:
                seen |= i in self._quiet.get(key, ())
        return seen

    def _send(
        self,
        key: str,
        place: str,
        episode: Episode,
        transition: Transition,
        held: _Held,
        end: int,
    ) -> list[Output]:
        spec = self.spec
        told = [self._conditions[i].spec.name for i in held.conditions]
        heard = [self._is_heard(condition, end) for condition in self._conditions]
        alert = Alert(
            alert_id=self._id(key, episode),
            rule=spec.id,
            kind="incident",
            key_level=spec.key,
            key=key,
            place=place,
            state=state_of(episode, transition),
            transition=transition,
            level=episode.level,
            max_level=episode.max_level,
            t_onset=episode.first_end,
            t_raised=episode.raised_at,
            t_update=end,
            t_cleared=end if transition == "cleared" else None,
            late=False,
            value=float(len(held.conditions)),
            unit="conditions",
            certainty=_certainty(len(held.conditions), len(self._conditions)),
            suppresses=[one.sign for one in spec.suppresses],
            labels={
                "alertname": spec.id,
                "kind": "incident",
                "severity": COLOURS[episode.level],
                "domain": spec.domain,
                "key_level": spec.key,
                "key": key,
                "category": spec.category,
            },
            annotations={
                "title_zh": spec.name.zh,
                "title_en": spec.name.en,
                "conditions_zh": "、".join(name.zh for name in told),
                "conditions_en": ", ".join(name.en for name in told),
            },
            why=Why(
                t_start=end - self._within_ms,
                t_end=end,
                n=len(held.conditions),
                value=float(len(held.conditions)),
                threshold=self._threshold(episode.level) if held.needed == episode.level else None,
                compare="ge",
                threshold_source=spec.source,
                standing=spec.standing,
                coverage=sum(heard) / len(heard),
                config=self.config,
                contributors=[],
                evidence=list(self._evidence(key, place, end, held)),
            ),
        )
        episode.number += 1
        return alert_transition(alert, episode.number)

    def _threshold(self, level: int) -> float | None:
        return next((float(least) for n, least in self._need if n == level), None)

    def _is_heard(self, condition: _Condition, end: int) -> bool:
        """Whether the signs of a condition say anything anywhere."""
        atoms = [atom for atoms in condition.alternatives for atom in atoms]
        return any(atom.heard > end - max(self._within_ms, 3_600_000) for atom in atoms)

    def _evidence(self, key: str, place: str, end: int, held: _Held) -> Iterator[Evidence]:
        """The facts behind each condition, and behind the overrides that hold."""
        for i, condition in enumerate(self._conditions):
            found = _facts(condition.alternatives, key, place, end - condition.within_ms)
            yield from self._told(condition.spec.id, i in held.conditions, found)
        for i in held.overrides:
            found = _facts(self._overrides[i].alternatives, key, place, None)
            if found:
                yield from self._told(f"override:{self._overrides[i].spec.level}", True, found)

    def _told(self, name: str, holds: bool, found: list[_Found]) -> Iterator[Evidence]:
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
            )

    def _forget(self, end: int) -> None:
        reach = max(self._clear_ms, *(c.within_ms for c in self._conditions), self._within_ms)
        reach += self._step_ms + self._longest_ms
        for atom in self._atoms:
            atom.prune(end - reach)
        self._cleared = {k: at for k, at in self._cleared.items() if at + self._cooldown_ms > end}
        gone = end - DAY_MS
        if self._known and any(at < gone for _, at in self._known.values()):
            self._known = {k: known for k, known in self._known.items() if known[1] >= gone}

    # --- what others ask ---------------------------------------------------------------------

    def suppressing(self, sign: str, entry: Entry, end: int) -> str | None:
        """The alert that suppresses those of a sign's key at ``end``, if one does."""
        rules = [one for one in self.spec.suppresses if one.sign == sign]
        if not rules or not self.spans:
            return None
        of = {value for one in rules for value in one.of or ()}
        value, divided, _ = entry.key.partition(BY)
        chosen = bool(divided) and value in of
        if all(one.of is not None for one in rules) and not chosen:
            return None
        for span in self.spans:
            if span.raised <= end < span.cleared and self._covers(span, entry, around=chosen):
                return span.alert_id
        return None

    def stands_at(self, entry: Entry, end: int) -> bool:
        """Whether it stands at a key, or around it, at ``end``."""
        return any(
            span.raised <= end < span.cleared and self._covers(span, entry, around=False)
            for span in self.spans
        )

    def _covers(self, span: Span, entry: Entry, *, around: bool) -> bool:
        if entry.level == self.spec.key:
            return entry.key == span.key
        value, divided, _ = span.key.partition(BY)
        if divided:
            if not entry.key.startswith(f"{value}{BY}"):
                return False
            around = True
        if around and len(entry.place) >= _DISTRICT and span.place.startswith(entry.place):
            return True
        return entry.place.startswith(span.place)

    def raised(self) -> int:
        """Number of incidents that stand."""
        return sum(e.phase in ("raised", "clearing") for e, _ in tuple(self._episodes.values()))

    def prune(self, before: int) -> None:
        """Forget what was over before a time (ms) that nobody asks about any more."""
        self.spans = [span for span in self.spans if span.cleared > before]

    def freeze(self) -> Frozen:
        state: list[Any] = [
            self.last_end,
            self.count,
            [list(span) for span in self.spans],
            [(key, place, *e.dump()) for key, (e, place) in self._episodes.items()],
            list(self._cleared.items()),
            [(key, *known) for key, known in self._known.items()],
            list(self._reached.items()),
            list(self._quiet.items()),
            [(atom.heard, list(atom.dump())) for atom in self._atoms],
        ]
        pending = [
            (end, source, said.dump(), list(said.models.items()))
            for end, sources in self._pending.items()
            for source, said in sources.items()
        ]
        return {"state": partial(encode_rows, [*state, pending])}

    def load(self, parts: Mapping[str, bytes]) -> None:
        (
            self.last_end,
            self.count,
            spans,
            episodes,
            cleared,
            known,
            reached,
            quiet,
            atoms,
            pending,
        ) = decode_rows(parts["state"])
        self.spans = [Span(*span) for span in spans]
        self._episodes = {key: (Episode(*rest), place) for key, place, *rest in episodes}
        self._cleared = dict(cleared)
        self._known = {key: (place, end) for key, place, end in known}
        self._reached, self._quiet = dict(reached), dict(quiet)
        for atom, (heard, rows) in zip(self._atoms, atoms, strict=True):
            atom.heard = heard
            atom.load(rows)
        self._pending = {}
        for end, source, dumped, models in pending:
            said = Said.load(dumped)
            said.names = [(level, key) for level, key in said.names]
            said.models.update(models)
            self._pending.setdefault(end, {})[source] = said


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


def _certainty(holding: int, of: int) -> Certainty:
    """As CAP 1.2 has it: all conditions are an observation, half of them make it likely."""
    if holding == of:
        return "observed"
    return "likely" if 2 * holding >= of else "possible"


def _rule(spec: Incident) -> Rule:
    """Levels as values: every level is its own threshold."""
    thresholds = Thresholds(blue=1, yellow=2, orange=3, red=4)
    levels = Levels(compare="ge", thresholds=thresholds, source=spec.source, standing=spec.standing)
    return Rule.of(levels, AlertRule(off_delay_s=spec.clear_s))


def hop_ms(window: Window) -> int:
    """From one window to the next, int64 ms, at most; those of one night or day as they follow."""
    if window.hop_s is not None:
        return to_ms(window.hop_s)
    return (32 if window.calendar == "month" else 2) * DAY_MS
