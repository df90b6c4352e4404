"""Alerts of all signs: which key is in which episode, and what each transition says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from agents.entries import Entry, KeyName
from agents.episodes import Episode, Rule, advance, episode_id
from agents.levels import COLOURS
from agents.outputs import alert_transition
from schemas.alert import Alert, Contributor, State, Transition, Why
from schemas.configuration import Configuration, Sign
from streams.frozen import Frozen, decode_rows, encode_rows
from streams.records import Output

_STATES: dict[str, State] = {"clearing": "clearing", "cleared": "cleared"}


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
        self._rules = {
            sign.id: (sign, Rule.of(sign.levels, sign.alert))
            for sign in configuration.signs
            if sign.levels is not None and sign.alert is not None
        }
        self._episodes: dict[tuple[str, KeyName], Episode] = {}
        self._changed = False

    def judge(self, sign: str, entry: Entry, start: int, end: int) -> list[Output]:
        """Take the key's episode on to a window of events that were on time."""
        found = self._rules.get(sign)
        if found is None or entry.value is None:
            return []
        spec, rule = found
        name = (sign, entry.name)
        episode = self._episodes.get(name)
        if episode is None:
            if not entry.severity:
                return []
            episode = self._episodes[name] = Episode()
        self._changed = True
        transition = advance(episode, rule, end, entry.value)
        if episode.phase == "normal" and transition is None:
            del self._episodes[name]
        if transition is None:
            return []
        outputs = self._send(spec, rule, entry, episode, transition, (start, end), late=False)
        if transition == "cleared":
            del self._episodes[name]
        return outputs

    def judge_final(
        self, sign: str, before: Entry | None, entry: Entry, start: int, end: int
    ) -> list[Output]:
        """Judge a corrected window once: it may raise an alert marked late, never withdraw one.

        A late alert is over when it is sent: the windows after it were judged by themselves.
        """
        found = self._rules.get(sign)
        if found is None or entry.value is None or not entry.severity:
            return []
        spec, rule = found
        known = self._episodes.get((sign, entry.name))
        covered = known is not None and known.phase != "pending" and known.first_end <= end
        if covered or (before is not None and (before.severity or 0) >= entry.severity):
            return []
        episode = Episode("normal", end, end, entry.severity, entry.severity)
        window = (start, end)
        outputs = self._send(spec, rule, entry, episode, "raised", window, late=True)
        return outputs + self._send(spec, rule, entry, episode, "cleared", window, late=True)

    def _send(
        self,
        sign: Sign,
        rule: Rule,
        entry: Entry,
        episode: Episode,
        transition: Transition,
        window: tuple[int, int],
        *,
        late: bool,
    ) -> list[Output]:
        assert entry.value is not None
        start, end = window
        rule_name = f"{sign.id}/late" if late else sign.id
        self.count += transition == "raised"
        why = Why(
            t_start=start,
            t_end=end,
            n=entry.n,
            value=entry.value,
            threshold=rule.scale.threshold(episode.level),
            compare=rule.scale.levels.compare,
            threshold_source=rule.scale.levels.source,
            standing=rule.scale.levels.standing,
            coverage=entry.coverage,
            config=self.config,
            contributors=_contributors(entry),
        )
        alert = Alert(
            alert_id=episode_id(rule_name, entry.level, entry.key, episode.first_end),
            rule=sign.id,
            kind="threshold",
            key_level=entry.level,
            key=entry.key,
            place=entry.place,
            state=_STATES.get(transition, "raised"),
            transition=transition,
            level=episode.level,
            max_level=episode.max_level,
            t_onset=episode.first_end,
            t_raised=episode.raised_at,
            t_update=end,
            t_cleared=end if transition == "cleared" else None,
            late=late,
            value=entry.value,
            unit=sign.unit,
            labels={
                "alertname": sign.id,
                "severity": COLOURS[episode.level],
                "domain": sign.domain,
                "key_level": entry.level,
                "key": entry.key,
            },
            annotations={"title_zh": sign.name.zh, "title_en": sign.name.en},
            why=why,
        )
        episode.number += 1
        return alert_transition(alert, episode.number)

    def raised(self) -> int:
        """Number of alerts that stand."""
        # Asked from another thread: a copy, for the table may grow meanwhile.
        return sum(e.phase in ("raised", "clearing") for e in tuple(self._episodes.values()))

    def freeze(self, *, whole: bool = False) -> Frozen:
        if not self._episodes:
            return {}
        encode = None
        if whole or self._changed:
            # Copied here: an episode changes in place.
            rows = [(*name, *episode.dump()) for name, episode in self._episodes.items()]
            encode = partial(encode_rows, rows)
        self._changed = False
        return {"episodes": encode}

    def load(self, parts: Mapping[str, bytes]) -> None:
        rows = decode_rows(parts["episodes"]) if "episodes" in parts else ()
        self._episodes = {
            (sign, (level, key)): Episode(*rest) for sign, (level, key), *rest in rows
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
