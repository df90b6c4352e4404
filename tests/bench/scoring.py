"""What alerts say of planted episodes: found, missed and false, and how quiet the list is.

Numbers to compare with: ISA-18.2 and EEMUA 191 hold that an operator can take about 150 alarms a
day, that three raises of one alarm within a minute are chatter, that one standing for more than a
day is stale, and that more than ten in ten minutes are a flood.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from statistics import median
from typing import Any

from agents.city import MINUTE_MS, START_MS, Episode
from agents.city.episodes import KINDS
from agents.city.rhythm import local_time
from agents.levels import COLOURS
from tests.bench.evidence import NEVER, Matcher, Where, evidence_of

_HOUR_MS, _DAY_MS = 60 * MINUTE_MS, 1440 * MINUTE_MS
_FLOOD_MS, _FLOOD = 10 * MINUTE_MS, 10
_CHATTER = 3


@dataclass
class Life:
    """One alert from its first transition to its last.

    Attributes
    ----------
    raised, told, cleared
        When its window ended, until when it was said (the minute of the log), and when it cleared;
        int64 ms UTC.
    """

    where: Where
    kind: str
    raised: int
    told: int
    value: float | None
    max_level: int
    cleared: int | None = None
    transitions: int = 0

    @property
    def name(self) -> tuple[str, str, str, str]:
        """Rule, kind and key: what a list of alerts shows as one line."""
        return (self.where.rule, self.kind, self.where.key_level, self.where.key)


def lives_of(transitions: Iterable[tuple[int, dict[str, Any]]]) -> list[Life]:
    """Alerts from the transitions of the log, each with the time until which it was said."""
    lives: dict[str, Life] = {}
    for told, alert in transitions:
        life = lives.get(alert["alert_id"])
        if life is None:
            about = Where(
                alert["rule"],
                alert["key_level"],
                alert["key"],
                alert["place"] or "",
                alert["t_onset"],
            )
            life = lives[alert["alert_id"]] = Life(
                about, alert["kind"], alert["t_raised"], told, alert["value"], alert["level"]
            )
        life.transitions += 1
        life.max_level = max(life.max_level, alert["max_level"])
        life.cleared = alert["t_cleared"]
    return sorted(lives.values(), key=lambda life: (life.raised, life.name))


def score(
    episodes: Sequence[Episode],
    lives: Sequence[Life],
    results: Sequence[dict[str, Any]],
    matcher: Matcher,
    days: float,
) -> dict[str, Any]:
    """The whole report, as plain values for JSON.

    Parameters
    ----------
    results
        Those of the keys that could have shown an episode; see `Matcher.watched`.
    """
    finders: dict[Episode, list[Life]] = {episode: [] for episode in episodes}
    counted: Counter[tuple[str, str, str, str]] = Counter()
    false: list[Life] = []
    for life in lives:
        found, explained = matcher.explain(life.where)
        for episode in found:
            finders[episode].append(life)
        if found or explained:
            role = "finds" if found else "follows"
            kind = (found or explained)[0].kind
            counted[kind, role, life.where.rule, life.kind] += 1
        elif matcher.explained_by_absent(life.where):
            counted[NEVER, "follows", life.where.rule, life.kind] += 1
        else:
            false.append(life)
    return {
        "kinds": [_kind(kind, finders) for kind in KINDS],
        "missed": [
            {**_told(episode), "why": _why(episode, results, matcher)}
            for episode, found in finders.items()
            if not found
        ],
        "counted_as": [
            {"episode": kind, "role": role, "rule": rule, "kind": how, "alerts": count}
            for (kind, role, rule, how), count in sorted(counted.items())
        ],
        "false": _false(false, days),
        "alerts": _quiet(lives, days),
        "flapping": [
            _flapping(episode, found, results, matcher)
            for episode, found in finders.items()
            if episode.kind == "flapping"
        ],
    }


def _kind(kind: str, finders: dict[Episode, list[Life]]) -> dict[str, Any]:
    mine = {e: found for e, found in finders.items() if e.kind == kind}
    waits = [
        (min(life.raised for life in found) - e.start_ms) / MINUTE_MS
        for e, found in mine.items()
        if found
    ]
    by: Counter[str] = Counter()
    for found in mine.values():
        by.update({life.where.rule for life in found})
    return {
        "kind": kind,
        "planted": len(mine),
        "found": len(waits),
        "missed": len(mine) - len(waits),
        "median_min": round(median(waits), 1) if waits else None,
        "max_min": round(max(waits), 1) if waits else None,
        "by": dict(by.most_common()),
    }


def _told(episode: Episode) -> dict[str, Any]:
    return {
        "kind": episode.kind,
        "place": episode.place,
        "signal": episode.signal,
        "start": f"{local_time(episode.start_ms):%a %H:%M}",
        "minutes": episode.end - episode.start,
    }


def _why(episode: Episode, results: Sequence[dict[str, Any]], matcher: Matcher) -> str:
    """Why nothing was said: as far as the results of the episode's own keys tell."""
    keys = matcher.watched(episode)
    mine = [
        r
        for r in results
        if f"{r['vital']}|{r['key_level']}|{r['key']}" in keys
        and episode.start_ms < r["t_end"] <= episode.end_ms + matcher.memory(r["vital"])
        and r["value"] is not None
    ]
    if not mine:
        return "no value"
    scores = [r["model"]["score"] for r in mine if r["model"] is not None]
    known = [s for s in scores if s is not None]
    if scores and not known:
        return "model warming"
    if known:
        return f"within the band: score {max(known):.2f} of 0.5 at most"
    levels = [r["level"] for r in mine if r["level"] is not None]
    # A level is no alert where it was there before, or did not last as long as the on-delay.
    return "below the thresholds" if not any(levels) else "at a level, with no alert of its own"


def _false(lives: list[Life], days: float) -> dict[str, Any]:
    counts = Counter((life.where.rule, life.kind, life.max_level) for life in lives)
    by_day = Counter((life.raised - START_MS) // _DAY_MS for life in lives)
    return {
        "alerts": len(lives),
        "per_day": round(len(lives) / days, 2),
        "by_day": [by_day[day] for day in range(ceil(days))],
        "by_rule": [
            {
                "rule": rule,
                "kind": kind,
                "level": COLOURS[level],
                "alerts": count,
                "per_day": round(count / days, 2),
            }
            for (rule, kind, level), count in sorted(counts.items())
        ],
        "list": [
            {
                "rule": life.where.rule,
                "kind": life.kind,
                "key_level": life.where.key_level,
                "key": life.where.key,
                "raised": f"{local_time(life.raised):%a %H:%M}",
                "level": COLOURS[life.max_level],
                "value": life.value,
            }
            for life in lives
        ],
    }


def _quiet(lives: Sequence[Life], days: float) -> dict[str, Any]:
    """How often the list changes, by the numbers of ISA-18.2 and EEMUA 191."""
    end = START_MS + round(days * _DAY_MS)
    by_name: dict[tuple[str, ...], list[Life]] = defaultdict(list)
    for life in lives:
        by_name[life.name].append(life)
    again, chatter = Counter[str](), Counter[str]()
    for (rule, *_), mine in by_name.items():
        again[rule] += sum(
            before.cleared is not None and after.raised - before.cleared < _HOUR_MS
            for before, after in pairwise(mine)
        )
        chatter[rule] += sum(
            mine[i + _CHATTER - 1].raised - mine[i].raised < MINUTE_MS
            for i in range(len(mine) - _CHATTER + 1)
        )
    tens = Counter((life.raised - START_MS) // _FLOOD_MS for life in lives)
    transitions = [life.transitions for life in lives]
    standing = Counter(
        life.where.rule for life in lives if (life.cleared or end) - life.raised > _DAY_MS
    )
    return {
        "raised": len(lives),
        "per_day": round(len(lives) / days, 1),
        "by_rule": dict(Counter(life.where.rule for life in lives).most_common()),
        "transitions_mean": round(sum(transitions) / len(lives), 2) if lives else None,
        "transitions_max": max(transitions, default=0),
        "chattering": dict(+chatter),
        "reraised_within_hour": dict(+again),
        "standing_over_24h": dict(standing),
        "ten_minutes_mean": round(len(lives) / (days * 144), 2),
        "ten_minutes_most": max(tens.values(), default=0),
        "flood_share": round(sum(n > _FLOOD for n in tens.values()) / (days * 144), 4),
        "told_after_min_max": max(
            ((life.told - life.raised) // MINUTE_MS for life in lives), default=0
        ),
    }


def _flapping(
    episode: Episode, found: list[Life], results: Sequence[dict[str, Any]], matcher: Matcher
) -> dict[str, Any]:
    """Level changes without memory of the flapping key itself, and what the list showed of it."""
    sign, names = evidence_of(episode).shows[0], matcher.names(episode)
    levels = [
        r["level"]
        for r in sorted(results, key=lambda r: r["t_end"])
        if r["vital"] == sign
        and r["key"] in names
        and r["level"] is not None
        and episode.start_ms < r["t_end"] <= episode.end_ms + matcher.memory(sign)
    ]
    own = [life for life in found if life.where.key in names and life.where.rule == sign]
    return {
        **_told(episode),
        "key": sorted(names - set(episode.devices))[0],
        "sign": sign,
        "level_changes": sum(a != b for a, b in pairwise(levels)),
        "episodes": len(own),
        "transitions": sum(life.transitions for life in own),
        "with_places": len([life for life in found if life.where.rule == sign]),
    }
