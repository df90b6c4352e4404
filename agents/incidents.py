"""Incidents: conditions over several signs at related keys, from onset to clear.  Pure.

An incident is judged at whole steps of time, when all lanes of what it reads have passed them, so
that it is a function of the log alone.  Conditions are made of facts, and these of what signs said
first (``rev 0``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from agents.entries import Entry
from agents.episodes import Episode, Rule, advance, episode_id, state_of
from agents.incident_conditions import Conditions, Held
from agents.levels import COLOURS
from agents.marks import OVER, Mark, is_over, logged, put
from agents.related import Register
from agents.said import Said
from schemas.alert import Alert, Certainty, Transition, Why
from schemas.incidents import Incident
from schemas.signs import AlertRule, Levels, Thresholds, Window
from schemas.words import BY
from streams.frozen import Frozen, decode_rows, encode_rows, grouped
from streams.records import Output
from streams.timeline import AFTER_ALL, BEFORE_ALL, DAY_MS, to_ms

_NEVER = (AFTER_ALL,) * len(COLOURS)
"""Since when a key stands at each level that does not stand."""
_DISTRICT = len("440111")
_PENDING = "pending"
"""Digits: what is said of the whole city is not about one place of it."""


class Span(NamedTuple):
    """One episode of an incident that stands, or stood until ``cleared``; int64 ms UTC.

    ``levels`` are those that it stood at, each with the moment from which on it did.
    """

    alert_id: str
    key: str
    place: str
    raised: int
    cleared: int
    levels: Sequence[tuple[int, int]] = ()

    def level_at(self, end: int) -> int:
        """Its level at a moment at which it stands; the gravest where none was noted."""
        told = (level for since, level in reversed(self.levels) if since <= end)
        return next(told, len(COLOURS) - 1)


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
    register
        How keys are related beside their places.
    """

    def __init__(
        self,
        spec: Incident,
        config: str,
        hidden: Collection[str] = (),
        longest_ms: int = 0,
        register: Register | None = None,
    ) -> None:
        self.spec, self.config = spec, config
        self.last_end = BEFORE_ALL
        self.count = 0
        self.spans: list[Span] = []
        self._conditions = Conditions(spec, hidden, longest_ms, register)
        self._step_ms, self._within_ms = to_ms(spec.every_s), to_ms(spec.within_s)
        self._cooldown_ms = to_ms(spec.cooldown_s)
        self._rule = _rule(spec)
        self._pending: dict[int, dict[str, Said]] = {}
        self._frozen: set[int] = set()
        """Ends of which the last snapshot has all that is pending."""
        self._episodes: dict[str, tuple[Episode, str]] = {}
        self._cleared: dict[str, int] = {}
        self._known: dict[str, tuple[str, int]] = {}
        self._reached: dict[str, Sequence[int]] = {}
        """By key, since when it stands at each level or above; `AFTER_ALL` if it does not."""
        self._quiet: dict[str, list[int]] = {}
        """By key, the conditions of none of several facts that held in its episode."""
        self._asks_known = self._conditions.needs_known()

    # --- what it waits for -------------------------------------------------------------------

    def expect(self, source: str, end: int, said: Said) -> None:
        """Take note of what a sign or incident says of the window that ends at ``end``.

        What is said of an end that was judged already comes after the end of a log, and is too
        late.
        """
        if end > self.last_end:
            self._pending.setdefault(end, {})[source] = said
            self._frozen.discard(end)

    def settles(self, farthest: int) -> int:
        """The moment after a time at which it is judged, int64 ms."""
        return farthest + self._step_ms

    def next_end(self, limit: int = AFTER_ALL) -> int:
        """When it is judged next, int64 ms, or `AFTER_ALL`; not beyond the end of a log."""
        end = AFTER_ALL
        if self._pending:
            end = -(-min(self._pending) // self._step_ms) * self._step_ms
        if self._episodes or any(atom.facts for atom in self._conditions.atoms):
            end = min(end, self.last_end + self._step_ms)
        return end if end - self._step_ms < limit else AFTER_ALL

    def next_final(self) -> int:
        """Incidents run on what was said first: nothing is corrected."""
        return AFTER_ALL

    # --- judging -----------------------------------------------------------------------------

    def close(self, end: int) -> tuple[list[Output], Said]:
        """Judge all keys at a moment: transitions, and how each key stands."""
        self.last_end = end
        self._conditions.put(end)
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
        self._conditions.hear(source, said, end)
        if self._asks_known and self._conditions.names_keys(source):
            level = self.spec.key
            self._known.update(
                (name[1], (place, end))
                for name, place in zip(said.names, said.places, strict=True)
                if name[0] == level
            )

    def _candidates(self) -> set[tuple[str, str]]:
        found: dict[str, str] = {key: place for key, (_, place) in self._episodes.items()}
        if self._conditions.is_idle():
            return set(found.items())
        if self._asks_known:
            found = {key: place for key, (place, _) in self._known.items()} | found
        for atom in self._conditions.atoms:
            for key, place in atom.named():
                found.setdefault(key, place)
        return set(found.items())

    def _judge(self, key: str, place: str, end: int, entries: list[Entry]) -> list[Output]:
        known = self._episodes.get(key)
        held = self._held(key, place, end, None if known is None else known[0])
        if known is None:
            if not held.level:
                return []
            known = self._episodes[key] = Episode(), place
        episode, place = known
        outputs = put(episode, OVER, end) if is_over(episode, end) else []
        transition = advance(episode, self._rule, end, float(held.level))
        conditions = self._conditions.conditions
        quiet = {i for i in held.conditions if not conditions[i].wanted}
        if quiet and self._conditions.until:
            self._quiet[key] = sorted(quiet.union(self._quiet.get(key, ())))
        level = 0 if episode.phase == "normal" else episode.level
        before = self._reached.get(key, _NEVER)
        self._reached[key] = [
            min(since, end) if level >= n else AFTER_ALL for n, since in enumerate(before)
        ]
        entries.append(
            Entry(self.spec.key, key, place, float(level), len(held.conditions), 1.0, None, level)
        )
        if transition is not None:
            outputs += self._send(key, place, episode, transition, held, end)
        if transition == "raised":
            self.count += 1
            levels = [(end, episode.level)]
            self.spans.append(Span(self._id(key, episode), key, place, end, AFTER_ALL, levels))
        elif transition in ("escalated", "deescalated"):
            self._note(key, lambda span: span._replace(levels=[*span.levels, (end, level)]))
        if episode.phase == "normal":
            del self._episodes[key], self._reached[key]
            self._quiet.pop(key, None)
        if transition == "cleared":
            self._cleared[key] = end
            self._note(key, lambda span: span._replace(cleared=end))
        return outputs

    def _note(self, key: str, change: Callable[[Span], Span]) -> None:
        """Change the span of the episode of a key that stands."""
        for i, span in enumerate(self.spans):
            if span.key == key and span.cleared == AFTER_ALL:
                self.spans[i] = change(span)

    def _id(self, key: str, episode: Episode) -> str:
        return episode_id(self.spec.id, self.spec.key, key, episode.first_end)

    def _held(self, key: str, place: str, end: int, episode: Episode | None) -> Held:
        """How a key stands: without a level if it is over, or nothing is new in the cool-down."""
        held = self._conditions.held(key, place, end, self._reached.get(key, _NEVER))
        if episode is None:
            cleared = self._cleared.get(key)
            cooling = cleared is not None and end - cleared <= self._cooldown_ms
            over = cleared is not None and cooling and held.since <= cleared
        else:
            since, quiet = episode.first_end, self._quiet.get(key, ())
            over = held.level > 0 and self._conditions.is_over(key, place, since, quiet)
        return held._replace(level=0) if over else held

    def _send(
        self,
        key: str,
        place: str,
        episode: Episode,
        transition: Transition,
        held: Held,
        end: int,
    ) -> list[Output]:
        spec = self.spec
        conditions = self._conditions
        told = [conditions.conditions[i].spec.name for i in held.conditions]
        needed = conditions.threshold(episode.level) if held.needed == episode.level else None
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
            acked=episode.acked_level > 0,
            shelved_until=episode.shelved_until,
            certainty=_certainty(len(held.conditions), len(conditions.conditions)),
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
                threshold=needed,
                compare="ge",
                threshold_source=spec.source,
                standing=spec.standing,
                coverage=conditions.heard(end),
                config=self.config,
                contributors=[],
                evidence=list(conditions.evidence(key, place, end, held)),
            ),
        )
        return logged(episode, alert)

    def _forget(self, end: int) -> None:
        self._conditions.forget(end)
        self._cleared = {k: at for k, at in self._cleared.items() if at + self._cooldown_ms > end}
        gone = end - DAY_MS
        if self._known and any(at < gone for _, at in self._known.values()):
            self._known = {k: known for k, known in self._known.items() if known[1] >= gone}

    def mark(self, alert_id: str, mark: Mark, number: int | None = None) -> list[Output]:
        """Mark an alert after the last moment that was judged, if it stands; as `Alerts.mark`."""
        for key, (episode, _) in self._episodes.items():
            stands = episode.phase in ("raised", "clearing")
            if stands and self._id(key, episode) == alert_id:
                written = number in (None, episode.number + 1)
                return put(episode, mark, self.last_end) if written else []
        return []

    # --- what others ask ---------------------------------------------------------------------

    def suppressing(self, sign: str, entry: Entry, end: int) -> Iterator[tuple[str, int]]:
        """The alerts that suppress those of a sign's key at ``end``, and how grave they are."""
        rules = [one for one in self.spec.suppresses if one.sign == sign]
        if not rules or not self.spans:
            return
        of = {value for one in rules for value in one.of or ()}
        value, divided, _ = entry.key.partition(BY)
        chosen = bool(divided) and value in of
        if all(one.of is not None for one in rules) and not chosen:
            return
        for span in self.spans:
            if span.raised <= end < span.cleared and self._covers(span, entry, around=chosen):
                yield span.alert_id, span.level_at(end)

    def stands_at(self, entry: Entry, end: int) -> bool:
        """Whether it stands at a key, or around it, at ``end``."""
        return any(
            span.raised <= end < span.cleared and self._covers(span, entry, around=False)
            for span in self.spans
        )

    def stood_before(self, entry: Entry | None, end: int) -> bool:
        """Whether it stood at a key, or around it, just before ``end``; anywhere, if none is given.

        What is judged at ``end`` itself changes nothing of it.
        """
        return any(
            span.raised < end <= span.cleared
            and (entry is None or self._covers(span, entry, around=False))
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

    def freeze(self, *, whole: bool = False) -> Frozen:
        """Its state, and what it waits with, each moment in a part that is written once."""
        state: list[Any] = [
            self.last_end,
            self.count,
            [list(span) for span in self.spans],
            [(key, place, *e.dump(), e.message) for key, (e, place) in self._episodes.items()],
            list(self._cleared.items()),
            [(key, *known) for key, known in self._known.items()],
            list(self._reached.items()),
            list(self._quiet.items()),
            [(atom.heard, list(atom.dump())) for atom in self._conditions.atoms],
        ]
        parts: Frozen = {"state": partial(encode_rows, state)}
        for end, sources in self._pending.items():
            same = end in self._frozen and not whole
            parts[f"{_PENDING}/{end}"] = None if same else partial(_encoded, dict(sources))
        self._frozen = set(self._pending)
        return parts

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
        ) = decode_rows(parts["state"])
        self.spans = [Span(*span) for span in spans]
        self._episodes = {key: (Episode(*rest), place) for key, place, *rest in episodes}
        self._cleared = dict(cleared)
        self._known = {key: (place, end) for key, place, end in known}
        self._reached, self._quiet = dict(reached), dict(quiet)
        for atom, (heard, rows) in zip(self._conditions.atoms, atoms, strict=True):
            atom.heard = heard
            atom.load(rows)
        pending = grouped(parts).get(_PENDING, {})
        self._pending = {int(end): _decoded(part) for end, part in pending.items()}
        self._frozen = set(self._pending)


def _encoded(sources: Mapping[str, Said]) -> bytes:
    """What signs and incidents say of a moment."""
    return encode_rows((source, s.dump(), list(s.models.items())) for source, s in sources.items())


def _decoded(part: bytes) -> dict[str, Said]:
    found = {}
    for source, dumped, models in decode_rows(part):
        said = found[source] = Said.load(dumped)
        said.names = [(level, key) for level, key in said.names]
        said.models.update(models)
    return found


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
