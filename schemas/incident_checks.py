"""Whether incidents fit the signs they read and suppress."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from schemas.durations import whole_ms
from schemas.findings import Finding, Path
from schemas.hierarchies import Hierarchy
from schemas.incidents import COMPARISONS, Fact, Incident
from schemas.places import LEVELS
from schemas.related import POSITION
from schemas.signs import COUNTS, LiveSign, Sign
from schemas.spelling import guess
from schemas.words import LEVELS_KNOWN, split_level


def check_incidents(
    incidents: Mapping[int, Incident],
    signs: Mapping[str, Sign],
    unread: Collection[str],
    hierarchies: Mapping[str, Hierarchy] | None,
) -> Iterator[Finding]:
    """What is wrong with incidents.

    Parameters
    ----------
    incidents
        By their place in the configuration.
    signs
        By id.
    unread
        Ids that stand in the configuration but have faults of their own.
    hierarchies
        Where they can be told.
    """
    known: dict[str, Incident] = {}
    for index, incident in incidents.items():
        if incident.id in known or incident.id in signs:
            message = f"'{incident.id}' is defined twice: rename or remove one"
            yield ("incidents", index, "id"), message
        known.setdefault(incident.id, incident)
    for index, incident in incidents.items():
        found = [
            *_shape(incident, hierarchies),
            *_facts(incident, signs, known, unread),
            *_suppressed(incident, signs, unread),
        ]
        yield from ((("incidents", index, *path), message) for path, message in found)
    yield from _cycles(incidents)


def _shape(incident: Incident, hierarchies: Mapping[str, Hierarchy] | None) -> Iterator[Finding]:
    names = [condition.id for condition in incident.conditions]
    for i, condition in enumerate(incident.conditions):
        if condition.id in names[:i]:
            yield ("conditions", i, "id"), f"'{condition.id}' is there twice: rename one"
        for field in ("within_s", "for_s"):
            value = getattr(condition, field)
            if value and whole_ms(value) is None:
                yield ("conditions", i, field), "expected a whole number of milliseconds"
        given = [part for part in (condition.any, condition.none) if part is not None]
        if len(given) != 1 or not given[0]:
            yield ("conditions", i), "takes any or none: a list of facts"
    lists: list[tuple[Path, list[str]]] = [
        (("must",), incident.must),
        (("until",), incident.until),
    ]
    for i, override in enumerate(incident.override):
        lists.append((("override", i, "conditions"), override.conditions or []))
        if override.any == []:
            yield ("override", i, "any"), "is empty: give at least one fact, or remove it"
        if override.standing is not None and whole_ms(override.standing.for_s) is None:
            yield ("override", i, "standing", "for_s"), "expected a whole number of milliseconds"
        if not (override.any or override.conditions or override.standing or override.related):
            yield ("override", i), "takes any, conditions or standing: when the level is set"
        elif not (override.any or override.conditions):
            what = "would hold itself up" if override.standing else "is no cause by itself"
            beside = "standing" if override.standing else "related"
            yield ("override", i), f"{what}: give any or conditions beside {beside}"
    for path, listed in lists:
        for j, name in enumerate(listed):
            if name not in names:
                yield (*path, j), f"unknown condition '{name}'{guess(name, names)}"
    given_need = incident.need.given()
    if not given_need:
        yield ("need",), "needs a number for at least one of blue, yellow, orange, red"
    for level, number in given_need:
        if number > len(names):
            message = f"is more than there are conditions ({len(names)}): never met"
            yield ("need", level), message
    for (milder, low), (level, high) in pairwise(given_need):
        if low >= high:
            yield ("need", level), f"must be above {milder} ({low})"
    for field in ("within_s", "cooldown_s", "clear_s", "every_s"):
        value = getattr(incident, field)
        if value and whole_ms(value) is None:
            yield (field,), "expected a whole number of milliseconds"
    if hierarchies is not None and incident.key not in [*LEVELS_KNOWN, *hierarchies]:
        known = [*LEVELS_KNOWN, *hierarchies]
        yield ("key",), f"expected one of {', '.join(known)}{guess(incident.key, known)}"


def _facts(
    incident: Incident,
    signs: Mapping[str, Sign],
    incidents: Mapping[str, Incident],
    unread: Collection[str],
) -> Iterator[Finding]:
    yield from _together(incident)
    for path, level, fact in incident.facts:
        if fact.all is not None:
            yield (*path, "all"), "stands in an all already: list its facts there"
            continue
        if (fact.sign is None) == (fact.incident is None):
            yield path, "names one sign or one incident"
            continue
        asked = sum(getattr(fact, name) is not None for name in COMPARISONS)
        asked += (fact.level is not None) + fact.anomaly
        if asked != 1:
            yield path, "takes one of ge, gt, le, lt, level and anomaly"
        if fact.of is not None and split_level(level)[0] is None:
            yield (*path, "of"), f"'{level}' has no dimension: remove of"
        if fact.of == []:
            yield (*path, "of"), "is empty: name at least one, or remove it for any"
        yield from ((path, message) for message in _relation(fact))
        by_place = fact.relation is None and fact.within_m is None
        if fact.keys > 1 and by_place and not _has_many(incident, level):
            yield (*path, "keys"), f"there is one {level} for an incident at {incident.key}"
        if fact.deadband and fact.comparison is None:
            yield (*path, "deadband"), "is for ge, gt, le and lt: remove it"
        if fact.incident is not None:
            yield from (((*path, "incident"), m) for m in _of_incident(fact, level, incidents))
        elif fact.sign not in signs:
            if fact.sign not in unread:
                name = str(fact.sign)
                yield (*path, "sign"), f"unknown sign '{name}'{guess(name, signs)}"
        else:
            sign = signs[str(fact.sign)]
            yield from (((*path, "sign"), m) for m in _of_sign(fact, level, sign))


def _relation(fact: Fact) -> Iterator[str]:
    if fact.relation is not None and fact.within_m is not None:
        yield "takes one of relation and within_m"
    if fact.relation == POSITION:
        yield f"'{POSITION}' says where a key lies: ask with within_m"


def _together(incident: Incident) -> Iterator[Finding]:
    """Lists of facts that must all be met, and that have more to say."""
    lists = [
        *((("conditions", i, "any"), c.any) for i, c in enumerate(incident.conditions)),
        *((("conditions", i, "none"), c.none) for i, c in enumerate(incident.conditions)),
        *((("override", i, "any"), o.any) for i, o in enumerate(incident.override)),
    ]
    for path, alternatives in lists:
        for i, one in enumerate(alternatives or ()):
            if one.all is not None and (len(one.all) < 2 or one != Fact(all=one.all)):
                yield (*path, i), "takes all with two facts or more, and nothing beside it"


def _has_many(incident: Incident, level: str) -> bool:
    """Whether several keys of a level can be related to one of the incident's."""
    dimension, base = split_level(level)
    own = split_level(incident.key)[1]
    if level == incident.key:
        return False
    around = base in LEVELS and (own not in LEVELS or LEVELS.index(base) <= LEVELS.index(own))
    return dimension is not None or not around


def _of_sign(fact: Fact, level: str, sign: Sign) -> Iterator[str]:
    if isinstance(sign, LiveSign):
        yield f"'{sign.id}' is live: it is no function of the log, and no incident may read it"
    elif level not in sign.keys:
        yield f"'{sign.id}' has no key {level}: give at, one of {', '.join(sign.keys)}"
    dimension = split_level(level)[0]
    named = None if dimension is None else getattr(sign, "match", {}).get(dimension)
    for value in fact.of or ():
        known = [named] if isinstance(named, str) else named
        if isinstance(known, list) and value not in known:
            yield f"'{sign.id}' takes no {dimension} '{value}'{guess(value, known)}"
    function = getattr(getattr(sign, "aggregate", None), "function", "")
    below = fact.le is not None or fact.lt is not None
    if below and function in COUNTS and set(sign.keys) <= set(sign.hidden):
        yield f"'{sign.id}' is a hidden count, known from its first event on: ask for ge or gt"
    if fact.level is not None and sign.levels is None:
        yield f"'{sign.id}' has no levels"
    if fact.anomaly and sign.model is None:
        yield f"'{sign.id}' has no model"


def _of_incident(fact: Fact, level: str, incidents: Mapping[str, Incident]) -> Iterator[str]:
    name = str(fact.incident)
    if name not in incidents:
        yield f"unknown incident '{name}'{guess(name, incidents)}"
    elif incidents[name].key != level:
        yield f"'{name}' happens at {incidents[name].key}: give at: {incidents[name].key}"
    if fact.level is None:
        yield "an incident is asked for its level: give level"


def _suppressed(
    incident: Incident, signs: Mapping[str, Sign], unread: Collection[str]
) -> Iterator[Finding]:
    for i, one in enumerate(incident.suppresses):
        sign, path = signs.get(one.sign), ("suppresses", i, "sign")
        if sign is None:
            if one.sign not in unread:
                yield path, f"unknown sign '{one.sign}'{guess(one.sign, signs)}"
        elif isinstance(sign, LiveSign) or (sign.alert is None and sign.model is None):
            yield path, f"'{one.sign}' raises no alert that could be suppressed"
        elif one.of is not None and all(split_level(key)[0] is None for key in sign.keys):
            yield ("suppresses", i, "of"), f"'{one.sign}' has no key with a dimension: remove of"


def _cycles(incidents: Mapping[int, Incident]) -> Iterator[Finding]:
    reads = {
        one.id: [fact.incident for _, _, fact in one.facts if fact.incident]
        for one in incidents.values()
    }
    try:
        TopologicalSorter(reads).prepare()
    except CycleError as error:
        names: list[str] = error.args[1]
        index = next(i for i, one in incidents.items() if one.id == names[0])
        message = f"reads itself: {' reads '.join(reversed(names))}"
        yield ("incidents", index, "conditions"), message
