"""What was said against what was planted: a row for each sign and incident."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isclose
from typing import Any, NamedTuple

from schemas.signs import Sign
from tests.bench.fortnight.planted import INCIDENTS, SIGNS, IncidentTruth, SignTruth, Story
from tests.bench.fortnight.run import Key, Said
from tests.bench.fortnight.side import Side
from tests.bench.fortnight.stories import CITY, DAY_MS, OTHER
from tests.rules.driven_all import off_by
from tests.rules.driven_events import LEVELS
from tests.rules.driven_incidents_tools import holding_of

Alert = dict[str, Any]
AFTER_MS = DAY_MS
"""So long after a story its windows may still be told."""
NEAR = 3
"""Of so many last windows of a phase one has the planted value."""


class Episode(NamedTuple):
    """One alert from when it was raised; ``cleared`` is None while it stands."""

    raised: int
    cleared: int | None
    highest: int


class Row(NamedTuple):
    """A sign or incident: what was seen, what shall be, and every difference in words.

    Parameters
    ----------
    seen, levels
        Levels that were seen where something was planted, and those that are defined.
    places_seen, places
        Keys at which all planted levels were seen, and keys at which they were planted.
    episodes_seen, episodes
        Episodes at those keys.
    also
        Episodes that other stories caused elsewhere: their places are known, their number is not.
    """

    rule: str
    seen: list[int]
    levels: list[int]
    places_seen: int
    places: int
    episodes_seen: int
    episodes: int
    also: int
    differs: list[str]


def rows_of(
    stories: Sequence[Story],
    results: Mapping[Key, Sequence[Said]],
    alerts: Sequence[Alert],
    sides: Iterable[Side],
) -> list[Row]:
    """A row for each rule that has a story, in the order of the stories."""
    by_rule: dict[str, list[Story]] = defaultdict(list)
    for story in stories:
        by_rule[story.rule].append(story)
    by_key = defaultdict[Key, list[Alert]](list)
    for alert in alerts:
        by_key[alert["rule"], alert["key_level"], alert["key"]].append(alert)
    rows = []
    for rule, own in by_rule.items():
        if rule in SIGNS:
            rows.append(_sign_row(SIGNS[rule], own, results, by_key))
        else:
            mine = [side for side in sides if side.incident == rule]
            rows.append(_incident_row(rule, own, mine, by_key))
    return rows


# --- signs ---------------------------------------------------------------------------------------


def _sign_row(
    sign: Sign,
    stories: Sequence[Story],
    results: Mapping[Key, Sequence[Said]],
    alerts: Mapping[Key, Sequence[Alert]],
) -> Row:
    levels, seen, differs = set[int](), set[int](), list[str]()
    places = wanted = found = complete = 0
    planted = set[Key]()
    for story in stories:
        truth = story.truth
        assert isinstance(truth, SignTruth)
        levels |= {phase.level for phase in truth.phases}
        if truth.surprise:
            levels.discard(0)
        for level, key in sorted(truth.keys):
            said = [s for s in results.get((sign.id, level, key), ()) if _within(story, s.t)]
            here = {s.level for s in said if s.level is not None}
            seen |= here
            places += 1
            faults = list(_values(sign, truth, said, f"{level} {key}"))
            complete += (truth.surprise or here == levels) and not faults
            differs += faults
        for level, key in sorted(truth.alerted):
            name = (sign.id, level, key)
            planted.add(name)
            wanted += 1
            own = [a for a in alerts.get(name, ()) if _within(story, a["t_onset"])]
            mine = episodes_of(own, anomalies=truth.surprise)
            found += len(mine)
            differs += _episodes(sign, truth, mine, f"{level} {key}")
            if truth.surprise:
                # A level is seen where an anomaly was raised to it or went up to it.
                rising = ("raised", "escalated")
                seen |= {alert["level"] for alert in own if alert["transition"] in rising}
    if seen != levels:
        differs.append(f"levels {sorted(seen)}, not {sorted(levels)}")
    surprise = sign.levels is None
    also = sum(
        len(episodes_of(told, anomalies=surprise))
        for name, told in alerts.items()
        if name[0] == sign.id and name not in planted
    )
    counted = (complete, places, found, wanted, also, differs)
    return Row(sign.id, sorted(seen), sorted(levels), *counted)


def _within(story: Story, t: int) -> bool:
    return story.span.begin < t <= story.span.end + 60_000


def _values(sign: Sign, truth: SignTruth, said: Sequence[Said], where: str) -> Iterator[str]:
    """When a phase is over, its level and its value; nothing at all may be said of none."""
    rel, near = off_by(sign)
    for n, phase in enumerate(truth.phases):
        last = [s for s in said if phase.begin < s.t <= phase.end][-NEAR:]
        if not last:
            if phase.value != 0:
                yield f"{where}: phase {n} is silent"
            continue
        if not truth.surprise and last[-1].level != phase.level:
            yield f"{where}: phase {n} ends at level {last[-1].level}, not {phase.level}"
        if not any(isclose(s.value, phase.value, rel_tol=rel, abs_tol=near) for s in last):
            yield f"{where}: phase {n} ends at {last[-1].value:g}, not {phase.value:g}"


def _episodes(
    sign: Sign, truth: SignTruth, episodes: Sequence[Episode], where: str
) -> Iterator[str]:
    """One, raised in the first phase that is to be alarmed and cleared in the last one."""
    least = LEVELS.index(sign.alert.least_level) + 1 if sign.alert else 1
    first = next(phase for phase in truth.phases if phase.level >= least)
    last = truth.phases[-1]
    if len(episodes) != 1:
        yield f"{where}: {len(episodes)} episodes, not 1"
        return
    (episode,) = episodes
    if not first.begin < episode.raised <= first.end:
        yield f"{where}: raised {_off(episode.raised, first.begin)} after its first phase began"
    if episode.cleared is None:
        yield f"{where}: not cleared"
    elif not last.begin < episode.cleared <= last.end:
        yield f"{where}: cleared {_off(episode.cleared, last.begin)} after its last phase began"
    highest = max(phase.level for phase in truth.phases)
    if episode.highest != highest:
        yield f"{where}: level {episode.highest} at most, not {highest}"


def _off(t: int, since: int) -> str:
    return f"{(t - since) / 60_000:g} min"


def episodes_of(alerts: Iterable[Alert], *, anomalies: bool = False) -> list[Episode]:
    """The episodes that transitions tell, each under its own id: of levels, or of anomalies."""
    told: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if (alert["kind"] == "anomaly") == anomalies:
            told[alert["alert_id"]].append(alert)
    return [
        Episode(
            found[0]["t_update"],
            found[-1]["t_update"] if found[-1]["transition"] == "cleared" else None,
            found[-1]["max_level"],
        )
        for found in told.values()
    ]


# --- incidents -----------------------------------------------------------------------------------


def _incident_row(
    rule: str,
    stories: Sequence[Story],
    sides: Sequence[Side],
    alerts: Mapping[Key, Sequence[Alert]],
) -> Row:
    incident = INCIDENTS[rule]
    planted = {story.truth.key for story in stories if isinstance(story.truth, IncidentTruth)}
    planted |= {side.key for side in sides}
    levels = {LEVELS.index(level) + 1 for level, _ in incident.need.given()}
    levels |= {LEVELS.index(override.level) + 1 for override in incident.override}
    told = {key: found for (name, _, key), found in alerts.items() if name == rule}
    faults = {key: list[str]() for key in planted | told.keys()}
    for key in told.keys() - planted:
        faults[key].append(f"{key}: {len(episodes_of(told[key]))} episodes, none was planted")
    for story in stories:
        faults[_key_of(story)] += _story(story, told.get(_key_of(story), ()))
    for side in sides:
        faults[side.key] += _side(side, told.get(side.key, ()))
    differs = [fault for found in faults.values() for fault in found]
    # A level is seen where an alert was raised to it or went up to it.
    seen = {
        alert["level"]
        for key in planted
        for alert in told.get(key, ())
        if alert["transition"] in ("raised", "escalated")
    }
    if seen != levels:
        differs.append(f"levels {sorted(seen)}, not {sorted(levels)}")
    found = sum(len(episodes_of(all_)) for all_ in told.values())
    wanted = len(stories) + len(sides)
    right = sum(not faults[key] for key in planted)
    counted = (right, len(planted), found, wanted, 0, differs)
    return Row(rule, sorted(seen), sorted(levels), *counted)


def _key_of(story: Story) -> str:
    assert isinstance(story.truth, IncidentTruth)
    return story.truth.key


def _story(story: Story, alerts: Iterable[Alert]) -> Iterator[str]:
    """Every transition at its minute, with its level and the conditions that count."""
    assert isinstance(story.truth, IncidentTruth)
    within = [a for a in alerts if _within(story, a["t_update"])]
    said = [(a["t_update"], a["transition"], a["level"], holding_of(a)) for a in within]
    wanted = [(t, step.what, step.level, step.holding) for t, step in story.truth.steps]
    if said != wanted:
        yield f"{story.name}: {said}, not {wanted}"


def _side(side: Side, alerts: Iterable[Alert]) -> Iterator[str]:
    within = [a for a in alerts if side.begin <= a["t_onset"] <= side.end]
    episodes = episodes_of(within)
    if len(episodes) != 1:
        yield f"{side.key}: {len(episodes)} episodes by {side.story}, not 1"
        return
    (episode,) = episodes
    if episode.highest != side.level:
        yield f"{side.key}: level {episode.highest} by {side.story}, not {side.level}"
    if (episode.cleared is not None) != side.cleared:
        yield f"{side.key}: cleared {episode.cleared} by {side.story}, not {side.cleared}"


# --- where nothing was planted -------------------------------------------------------------------


def strays(told: Sequence[tuple[Story, set[str]]], alerts: Iterable[Alert]) -> list[str]:
    """Alerts that no story can have raised: none reads what a story there says at the time.

    Parameters
    ----------
    told
        The stories, each with what it says.
    """
    reads = {rule: read_by(rule) for rule in (*SIGNS, *INCIDENTS)}
    found = list[str]()
    for alert in alerts:
        if alert["transition"] != "raised":
            continue
        place, rule, t = alert["place"] or CITY, alert["rule"], alert["t_onset"]
        if not any(
            _is_at(story, place)
            and story.span.begin <= t <= story.span.end + AFTER_MS
            and (said & reads[rule] or None in reads[rule])
            for story, said in told
        ):
            found.append(f"{rule} {alert['kind']} at {alert['key']}: nothing was planted")
    return found


def _is_at(story: Story, place: str) -> bool:
    """In its district, around it, or in the one beside, which it does not have for itself."""
    districts = (story.home.district, story.home.city + OTHER)
    return any(place.startswith(one) or one.startswith(place) for one in districts)


def said_by(story: Story) -> set[str]:
    """Metrics and kinds of a story's events."""
    return {str(said.get("metric", said.get("kind"))) for _, _, said in story.events}


def read_by(rule: str) -> set[str | None]:
    """Metrics and kinds that a sign or incident reads, through those it is made of; None is all."""
    left, seen, found = [rule], set[str](), set[str | None]()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        known = SIGNS[name] if name in SIGNS else INCIDENTS[name]
        left += getattr(known, "inputs", ())
        match = getattr(known, "match", None)
        if match is None:
            continue
        wanted = match.get("metric", match.get("kind"))
        if wanted is None and getattr(known, "topic", "") == "hotline":
            wanted = "order"
        found |= set(wanted) if isinstance(wanted, list) else {wanted}
    return found
