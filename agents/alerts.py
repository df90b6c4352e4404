"""Alerts of all signs: which key is in which episode, and what each transition says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from agents.approach import Approach
from agents.dated import Labels
from agents.detectors.protocol import ALARM
from agents.early import early_of, told_early, words_of
from agents.entries import Entry, KeyName
from agents.episodes import Episode, Rule, advance, episode_id, state_of
from agents.levels import COLOURS
from agents.marks import OVER, Mark, is_over, logged, put
from agents.outputs import table_of
from agents.overlays import Overlays, rules_of
from agents.said import Said
from schemas.alert import Alert, Contributor, Kind, Transition, Why
from schemas.configuration import Configuration
from schemas.judging import ModelRule
from schemas.signs import AlertRule, Levels, Sign, Thresholds
from streams.frozen import Frozen, decode_rows, encode_rows
from streams.heads import Flags
from streams.records import Output
from streams.timeline import to_ms

ANOMALY, LATE = "/anomaly", "/late"
"""What the names of rules end in that are not the sign's thresholds on events that were on time."""

_FAR = 0.6
"""Score of a value that is half as far out again as an anomaly must be; a proposal."""
_CALM = 0.1
"""How far below an anomaly a score must be to count as ordinary again; a proposal."""


class _Told(NamedTuple):
    """Windows, by their ends in int64 ms, of which an alert that is over has told."""

    first_end: int
    last_end: int
    max_level: int


class Around(NamedTuple):
    """What incidents and other signs make of a key's alerts.

    Attributes
    ----------
    incidents
        The alerts of incidents that suppress them, each with its level.
    modes
        The overlays that are on there.
    rate
        Change of the value a minute, where a sign tells it.
    """

    incidents: Sequence[tuple[str, int]]
    modes: Sequence[str]
    rate: float | None = None

    def suppressor(self, level: int) -> str | None:
        """What suppresses an alert of a level: an incident that is as grave, or graver."""
        return next((alert for alert, most in self.incidents if most >= level), None)


ALONE = Around((), ())


class Alerts:
    """Episodes by sign and key.

    Parameters
    ----------
    configuration, config
        Where the rules stand, and its version as it goes into every alert's ``why``.
    """

    def __init__(self, configuration: Configuration, config: str) -> None:
        self.config = config
        self.count = 0
        zone = configuration.city.time_zone
        self.labels = {sign.id: Labels(sign, zone) for sign in configuration.signs}
        self._rules = {
            sign.id: (sign, rules_of(sign.levels, sign.alert, zone))
            for sign in configuration.signs
            if sign.levels is not None and sign.alert is not None
        }
        self._surprises = {
            sign.id: (sign, surprise_rule(sign.model))
            for sign in configuration.signs
            if sign.model is not None
        }
        self._episodes: dict[tuple[str, KeyName], Episode] = {}
        self._followed: dict[str, Counter[KeyName]] = {}
        """Keys with episodes, by sign."""
        self._told: dict[str, dict[KeyName, tuple[_Told, ...]]] = {}
        self._swept: dict[str, int] = {}
        # No correction comes later than that after its window.
        lateness = (topic.allowed_lateness_s for topic in configuration.topics)
        self._lateness_ms = max(map(to_ms, lateness), default=0)
        self._changed = self._resaid = False
        """Whether episodes are others than at the last freeze, and what was said of them."""
        self._said = False
        """Whether there was anything said of them then."""
        self.judged: dict[str, int] = {}
        """The end of the last window that each sign was judged by, int64 ms."""
        self._shelved: dict[str, set[tuple[str, KeyName]]] = {}
        self._overlays = Overlays(configuration)
        self._around = ALONE
        self._overlay: str | None = None
        """What may suppress the alerts of the key that is judged, and what changes its rule."""

    def concerned(self, sign: str, said: Said, end: int) -> list[int]:
        """The rows of a window that may begin or change an episode of the sign, in their order."""
        told = ~np.isnan(said.values)
        rows = set(np.flatnonzero(told & self.may_meet(sign, said, end)).tolist())
        if sign in self._surprises:
            rows.update(said.models)
        followed = self._followed.get(sign)
        if followed:
            rows.update(row for row, name in enumerate(said.names) if name in followed)
        return sorted(row for row in rows if told[row])

    def may_meet(self, sign: str, said: Said, end: int) -> Flags:
        """Which rows meet a threshold of the sign, or of an overlay, be it on or not."""
        elsewhere = self._overlays.may_meet(sign, said.values, end)
        met: Flags = said.levels > 0
        return met if elsewhere is None else met | elsewhere

    def standing(self, sign: str, said: Said) -> list[int]:
        """The rows without a value of keys that have an episode."""
        followed = self._followed.get(sign)
        if not followed:
            return []
        silent = np.flatnonzero(np.isnan(said.values)).tolist()
        return [row for row in silent if said.names[row] in followed]

    def look_again(
        self, sign: str, entry: Entry, start: int, end: int, around: Around
    ) -> list[Output]:
        """Tell of a standing alert whose key says nothing that it is suppressed, or no more."""
        episode = self._episodes.get((sign, entry.name))
        if episode is None or episode.phase not in ("raised", "clearing"):
            return []
        found = self._rule(sign, entry, end, around)
        by = around.suppressor(episode.level)
        if found is None or episode.suppressed_by == by:
            return []
        episode.suppressed_by = by
        self._changed = True
        transition: Transition = "suppressed" if by else "unsuppressed"
        return self._send(*found, sign, entry, episode, transition, (start, end))

    def unshelve(self, sign: str, end: int) -> list[Output]:
        """End the shelves that have come to their limit by a window, before it is judged."""
        outputs: list[Output] = []
        for name in sorted(self._shelved.get(sign, ())):
            if is_over(self._episodes[name], end):
                outputs += self._put(sign, name, OVER, end)
        return outputs

    def note_judged(self, sign: str, end: int) -> None:
        """A window of the sign was judged."""
        if sign in self._rules or sign in self._surprises:
            self.judged[sign] = end

    def mark(self, sign: str, alert_id: str, mark: Mark, number: int | None = None) -> list[Output]:
        """Mark the alert of a sign after the last window that was judged, if it stands.

        Parameters
        ----------
        number
            The transition that this must be, where it was written before.

        Raises
        ------
        Refused
            The mark can not be put any more.
        """
        for name, episode in self._episodes.items():
            if (
                name[0].removesuffix(ANOMALY) == sign
                and episode.phase in ("raised", "clearing")
                and episode_id(name[0], *name[1], episode.first_end) == alert_id
            ):
                if number not in (None, episode.number + 1):
                    return []
                return self._put(sign, name, mark, self.judged[sign])
        return []

    def _put(self, sign: str, name: tuple[str, KeyName], mark: Mark, end: int) -> list[Output]:
        episode = self._episodes[name]
        outputs = put(episode, mark, end)
        self._changed = self._resaid = True
        self._note_shelved(sign, name, episode)
        return outputs

    def _note_shelved(self, sign: str, name: tuple[str, KeyName], episode: Episode) -> None:
        if episode.shelved_until is not None:
            self._shelved.setdefault(sign, set()).add(name)
        else:
            self._shelved.get(sign, set()).discard(name)

    def judge(
        self, sign: str, entry: Entry, start: int, end: int, around: Around = ALONE
    ) -> list[Output]:
        """Take the key's episodes on to a window of events that were on time.

        ``around`` tells of the incidents that stand at the key then.
        """
        if entry.value is None:
            return []
        self._around = around
        found = self._rule(sign, entry, end, around)
        outputs: list[Output] = []
        if found is not None:
            early = early_of(found[1], entry.value, around.rate)
            outputs += self._take(*found, sign, entry, entry.value, (start, end), early)
        surprise = self._surprises.get(sign)
        silent = found is not None and not found[1].scale.levels.thresholds.given()
        known = entry.model is not None and entry.model["score"] is not None
        if surprise is not None and known and not silent:
            outputs += self._take_surprise(*surprise, entry, entry.value, (start, end))
        return outputs

    def _rule(self, sign: str, entry: Entry, end: int, around: Around) -> tuple[Sign, Rule] | None:
        """The sign's thresholds then and there, if keys of this level raise alerts."""
        found = self._rules.get(sign)
        self._overlay = None
        if found is None:
            return None
        assert found[0].alert is not None
        keys = found[0].alert.keys
        if keys is not None and entry.level not in keys:
            return None
        overlaid = self._overlays.find(sign, entry.place, end, around.modes)
        rules = found[1] if overlaid is None else overlaid.rules
        rule = rules.at(end)
        if rule is None:
            return None
        self._overlay = None if overlaid is None else overlaid.id
        return found[0], rule

    def _take_surprise(
        self, spec: Sign, rule: Rule, entry: Entry, value: float, window: tuple[int, int]
    ) -> list[Output]:
        """An anomaly is told where no threshold is met: what meets one has its own alert."""
        assert entry.model is not None
        name = f"{spec.id}{ANOMALY}"
        known = self._episodes.get((name, entry.name))
        rules = self._rules.get(spec.id)
        limits = None if rules is None else rules[1].at(window[1])
        met = entry.severity if limits is None else limits.scale.level(value)
        if met and (known is None or known.phase in ("normal", "pending")):
            return []
        return self._take(spec, rule, name, entry, entry.model["score"], window)

    def _take(
        self,
        spec: Sign,
        rule: Rule,
        rule_name: str,
        entry: Entry,
        value: float,
        window: tuple[int, int],
        early: Approach | None = None,
    ) -> list[Output]:
        name = (rule_name, entry.name)
        episode = self._episodes.get(name)
        if episode is None:
            if rule.scale.level(value) == 0 and early is None:
                return []
            episode = self._episodes[name] = Episode()
            self._followed.setdefault(spec.id, Counter())[entry.name] += 1
        self._changed = True
        transition: Transition | None = advance(
            episode, rule, window[1], value, 0 if early is None else early.level
        )
        if episode.phase == "normal" and transition is None:
            self._drop(spec.id, name)
        stands = episode.phase in ("raised", "clearing")
        by = self._around.suppressor(episode.level)
        if stands and transition is None and episode.suppressed_by != by:
            transition = "unsuppressed" if by is None else "suppressed"
        episode.suppressed_by = by
        if transition is None:
            return []
        outputs = self._send(spec, rule, rule_name, entry, episode, transition, window, early)
        if transition == "cleared":
            self._drop(spec.id, name)
            if rule_name == spec.id:
                told = _Told(episode.first_end, window[1], episode.max_level)
                self._note(spec.id, entry.name, rule, told)
        return outputs

    def _drop(self, sign: str, name: tuple[str, KeyName]) -> None:
        """An episode is over."""
        del self._episodes[name]
        self._shelved.get(sign, set()).discard(name)
        followed = self._followed[sign]
        followed[name[1]] -= 1
        if not followed[name[1]]:
            del followed[name[1]]

    def judge_final(
        self,
        sign: str,
        before: Entry | None,
        entry: Entry,
        start: int,
        end: int,
        around: Around = ALONE,
    ) -> list[Output]:
        """Judge a corrected window once: it may raise an alert marked late, never withdraw one.

        A late alert is over when it is sent: the windows after it were judged by themselves.  One
        is enough for a run of windows that are no farther apart than its off-delay.
        """
        found = self._rule(sign, entry, end, around)
        if found is None or entry.value is None:
            return []
        spec, rule = found
        level = rule.scale.level(entry.value)
        if not level:
            return []
        said = None if before is None else before.value
        met_before = said is not None and rule.scale.level(said) >= level
        if met_before or self._is_told(sign, entry.name, rule, end, level):
            return []
        self._note(sign, entry.name, rule, _Told(end, end, level))
        episode = Episode("normal", end, end, level, level)
        episode.suppressed_by = around.suppressor(level)
        window, name = (start, end), f"{sign}{LATE}"
        outputs = self._send(spec, rule, name, entry, episode, "raised", window)
        return outputs + self._send(spec, rule, name, entry, episode, "cleared", window)

    def _is_told(self, sign: str, key: KeyName, rule: Rule, end: int, level: int) -> bool:
        """Whether a window is as near to an alert, that stands or is over, as those of one are.

        One that is over then reaches to that window.
        """
        reach = rule.off_delay_ms
        known = self._episodes.get((sign, key))
        if (
            known is not None
            and known.phase != "pending"
            and known.first_end <= end + reach
            and level <= known.max_level
        ):
            return True
        for told in self._told.get(sign, {}).get(key, ()):
            first, last, most = told
            if first - reach <= end <= last + reach and level <= most:
                self._note(sign, key, rule, _Told(min(first, end), max(last, end), most), told)
                return True
        return False

    def _note(
        self, sign: str, key: KeyName, rule: Rule, told: _Told, instead: _Told | None = None
    ) -> None:
        """Remember what an alert that is over has told of, as long as a correction can ask."""
        keys = self._told.setdefault(sign, {})
        oldest = told.last_end - rule.off_delay_ms - self._lateness_ms
        kept = (one for one in keys.get(key, ()) if one != instead and one.last_end >= oldest)
        keys[key] = (*kept, told)
        self._changed = True
        # All keys of a sign are judged in the order of their windows: what is as old for one is so
        # for all.  Looked through when there are twice as many, a key costs a moment.
        if len(keys) > 2 * self._swept.get(sign, 16):
            newest = {k: max(one.last_end for one in told) for k, told in keys.items()}
            self._told[sign] = {k: v for k, v in keys.items() if newest[k] >= oldest}
            self._swept[sign] = max(16, len(self._told[sign]))

    def _send(
        self,
        sign: Sign,
        rule: Rule,
        rule_name: str,
        entry: Entry,
        episode: Episode,
        transition: Transition,
        window: tuple[int, int],
        early: Approach | None = None,
    ) -> list[Output]:
        _, end = window
        # What an incident speaks for already is no alarm more for the person who reads them.
        self.count += transition == "raised" and episode.suppressed_by is None
        surprise = rule_name.endswith(ANOMALY)
        why = _surprise(sign, entry) if surprise else _limit(rule, episode, self._overlay)
        plain: Kind = "live" if sign.kind == "live" else "threshold"
        kind: Kind = "anomaly" if surprise else plain
        told = told_early(sign, episode, early)
        alert = Alert(
            alert_id=episode_id(rule_name, entry.level, entry.key, episode.first_end),
            rule=sign.id,
            kind=kind,
            key_level=entry.level,
            key=entry.key,
            place=entry.place,
            state=state_of(episode, transition),
            transition=transition,
            level=episode.level,
            max_level=episode.max_level,
            t_onset=episode.first_end,
            t_raised=episode.raised_at,
            t_update=end,
            t_cleared=end if transition == "cleared" else None,
            late=rule_name.endswith(LATE),
            value=entry.value,
            unit=sign.unit,
            acked=episode.acked_level > 0,
            shelved_until=episode.shelved_until,
            suppressed_by=episode.suppressed_by,
            labels={
                "alertname": sign.id,
                "kind": kind,
                "severity": COLOURS[episode.level],
                "domain": sign.domain,
                "key_level": entry.level,
                "key": entry.key,
            },
            annotations={
                "title_zh": sign.name.zh,
                "title_en": sign.name.en,
                **words_of(told, sign.unit),
            },
            why=Why(
                t_start=window[0],
                t_end=end,
                n=entry.n,
                value=entry.value,
                coverage=entry.coverage,
                config=self.config,
                table=table_of(self.labels[sign.id].at(end), entry.detail),
                contributors=_contributors(entry),
                early=told,
                **why,
            ),
        )
        self._resaid = True
        return logged(episode, alert)

    def raised(self) -> int:
        """Number of alerts that stand."""
        # Asked from another thread: a copy, for the table may grow meanwhile.
        return sum(e.phase in ("raised", "clearing") for e in tuple(self._episodes.values()))

    def freeze(self, *, whole: bool = False) -> Frozen:
        changed, resaid = whole or self._changed, whole or self._resaid
        self._changed = self._resaid = False
        parts: Frozen = {}
        if self._episodes:
            # Copied here: an episode changes in place.
            rows = ((*name, *episode.dump()) for name, episode in self._episodes.items())
            parts["episodes"] = partial(encode_rows, list(rows)) if changed else None
        if resaid:
            said = [(*name, e.message) for name, e in self._episodes.items() if e.message]
            self._said = bool(said)
        if self._said:
            parts["messages"] = partial(encode_rows, said) if resaid else None
        if self._told:
            told = [(sign, key, v) for sign, keys in self._told.items() for key, v in keys.items()]
            parts["told"] = partial(encode_rows, told) if changed else None
        return parts

    def load(self, parts: Mapping[str, bytes]) -> None:
        rows = decode_rows(parts["episodes"]) if "episodes" in parts else ()
        self._episodes = {
            (sign, (level, key)): Episode(*rest) for sign, (level, key), *rest in rows
        }
        self._said = "messages" in parts
        for rule, (level, key), message in decode_rows(parts["messages"]) if self._said else ():
            self._episodes[rule, (level, key)].message = message
        self._followed, self._shelved = {}, {}
        for name, episode in self._episodes.items():
            sign = name[0].removesuffix(ANOMALY)
            self._followed.setdefault(sign, Counter())[name[1]] += 1
            self._note_shelved(sign, name, episode)
        self._told = {}
        for sign, (level, key), told in decode_rows(parts["told"]) if "told" in parts else ():
            keys = self._told.setdefault(sign, {})
            keys[level, key] = tuple(_Told(*one) for one in told)


def surprise_rule(model: ModelRule) -> Rule:
    """Scores as levels: an anomaly is blue, and yellow where it is half as far out again."""
    thresholds = Thresholds(blue=ALARM, yellow=_FAR)
    levels = Levels(compare="ge", thresholds=thresholds, source="proposal", standing="proposal")
    delays = AlertRule(deadband=_CALM, on_delay_s=model.on_delay_s, off_delay_s=model.off_delay_s)
    return Rule.of(levels, delays)


def _limit(rule: Rule, episode: Episode, overlay: str | None) -> dict[str, Any]:
    levels = rule.scale.levels
    return {
        "overlay": overlay,
        "threshold": rule.scale.threshold(episode.level),
        "compare": levels.compare,
        "threshold_source": levels.source,
        "standing": levels.standing,
    }


def _surprise(sign: Sign, entry: Entry) -> dict[str, Any]:
    """What the model expected, and which end of its band the value is beyond."""
    assert sign.model is not None
    assert entry.model is not None
    low, high = entry.model["band"]
    above = entry.value is not None and entry.value >= entry.model["expected"]
    basis = entry.model["basis"]
    return {
        "threshold": high if above else low,
        "compare": "gt" if above else "lt",
        "threshold_source": f"{sign.model.z_alarm:g} deviations from what is usual here ({basis})",
        "standing": "proposal",
        "expected": entry.model["expected"],
        "band": (low, high),
        "score": entry.model["score"],
        "model": f"{sign.model.detector}/{basis}",
    }


def _contributors(entry: Entry) -> list[Contributor]:
    """The children or inputs that made the value what it is, as far as the entry knows them."""
    detail = entry.detail or {}
    if "child" in detail:
        assert entry.value is not None
        return [Contributor(key=detail["child"], value=entry.value)]
    if "reached" in detail:
        return [Contributor(key=key, value=value) for key, value in detail["reached"].items()]
    worst = sorted(detail.get("levels", {}).items(), key=lambda item: (-item[1], item[0]))
    return [Contributor(key=sign, value=float(level)) for sign, level in worst if level]
