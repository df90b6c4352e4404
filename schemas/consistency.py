"""What no field of a configuration can tell alone: every inconsistency, with its path."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from math import gcd
from zoneinfo import ZoneInfo

from schemas.configuration import (
    City,
    DerivedSign,
    EventSign,
    Growth,
    SampledSign,
    Shard,
    Sign,
    Topic,
    WindowSign,
)
from schemas.durations import whole_ms
from schemas.fields import fields_of
from schemas.formulas import Finding, Path, check_cycles, check_formula
from schemas.metrics import METRICS
from schemas.places import LEVELS, level_of, normalise
from schemas.spelling import guess

MOST_PANES = 2_000
"""Panes that one window may read: a hop out of step with the size makes them tiny."""

_COUNTING = ("count", "sum", "rate", "distinct")
_KEEPING_UNIT = ("sum", "mean", "min", "max", "stddev", "quantile")
_SAMPLED = ("ratio", "sum", "mean", "max", "min", "count")


def find_problems(
    city: City | None,
    topics: Mapping[int, Topic],
    signs: Mapping[int, Sign],
    shards: Mapping[int, Shard],
    *,
    unread: Collection[str] = (),
    topics_complete: bool = True,
) -> list[Finding]:
    """Find every inconsistency.

    Parameters
    ----------
    city, topics, signs, shards
        The readable parts of a configuration, by their place in its lists.
    unread
        Ids of signs that stand in the configuration but have faults of their own.
    topics_complete
        Whether every topic of the configuration is in `topics`.

    Returns
    -------
    list of (path, message)
        In the order of the configuration.
    """
    by_id: dict[str, Sign] = {}
    for sign in signs.values():
        by_id.setdefault(sign.id, sign)
    kinds = {topic.kind for topic in topics.values()} if topics_complete else None
    problems = list(_city(city)) if city else []
    problems += _repeated("topics", "name", {i: t.name for i, t in topics.items()})
    problems += _repeated("signs", "id", {i: s.id for i, s in signs.items()})
    for index, topic in topics.items():
        problems += [(("topics", index, *path), message) for path, message in _grown(topic)]
    problems += _shards(shards)
    for index, sign in signs.items():
        found = [*_windows(sign), *_keys(sign), *_levels(sign), *_empty(sign)]
        if isinstance(sign, DerivedSign):
            found += check_formula(sign, by_id, unread)
        else:
            found += _event_sign(sign, kinds)
        problems += [(("signs", index, *path), message) for path, message in found]
    return problems + list(check_cycles(signs))


def _city(city: City) -> Iterator[Finding]:
    try:
        if level_of(normalise(city.place)) != "city":
            yield ("city", "place"), "expected the code of a city: four digits, such as '4401'"
    except ValueError as error:
        yield ("city", "place"), str(error)
    try:
        ZoneInfo(city.time_zone)
    except (ValueError, OSError, LookupError):
        message = f"unknown time zone '{city.time_zone}': use an IANA name, such as Asia/Shanghai"
        yield ("city", "time_zone"), message


def _grown(topic: Topic) -> Iterator[Finding]:
    before = topic.partitions
    for i, (growth, since) in enumerate(zip(topic.grown, _since(topic), strict=True)):
        if growth.partitions <= before:
            message = f"there were {before} already: partitions can only be added"
            yield ("grown", i, "partitions"), message
        if i and since is not None and since <= (_since(topic)[i - 1] or 0):
            yield ("grown", i, "since"), "is not after the growth before it"
        before = growth.partitions
        if since is None:
            yield ("grown", i, "since"), "is not between 1973 and 2100"


def _since(topic: Topic) -> list[int | None]:
    def ms(growth: Growth) -> int | None:
        try:
            return growth.since_ms
        except ValueError:
            return None

    return [ms(growth) for growth in topic.grown]


def _shards(shards: Mapping[int, Shard]) -> Iterator[Finding]:
    owners: dict[str, int] = {}
    for index, shard in shards.items():
        for i, place in enumerate(shard.places):
            path = ("shards", index, "places", i)
            try:
                level = level_of(normalise(place))
            except ValueError as error:
                yield path, str(error)
                continue
            if level == "city":
                yield path, "the city belongs to the shard that lists nothing"
                continue
            for known in owners:
                if place.startswith(known) or known.startswith(place):
                    yield path, f"'{place}' overlaps '{known}': every place has one owner"
            owners[place] = index


def _repeated(part: str, field: str, names: Mapping[int, str]) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, name in names.items():
        if name in seen:
            yield (part, index, field), f"'{name}' is defined twice: rename or remove one"
        seen.add(name)


def _windows(sign: Sign) -> Iterator[Finding]:
    window = sign.window
    if window.calendar is not None:
        if window.size_s is not None or window.hop_s is not None:
            yield ("window",), "takes either size_s and hop_s, or calendar alone"
        elif sign.kind == "sampled":
            yield ("window", "calendar"), "a sampled sign takes size_s and hop_s"
        return
    if window.size_s is None or window.hop_s is None:
        yield ("window",), "needs size_s and hop_s, or calendar: day, night or month"
        return
    size, hop = whole_ms(window.size_s), whole_ms(window.hop_s)
    for field, ms in (("size_s", size), ("hop_s", hop)):
        if ms is None:
            yield ("window", field), "expected a whole number of milliseconds"
    if size is None or hop is None:
        return
    if hop > size:
        yield ("window", "hop_s"), "is above size_s: events between the windows would be lost"
    elif size // gcd(size, hop) > MOST_PANES:
        message = f"makes more than {MOST_PANES} panes a window: use a hop that divides size_s"
        yield ("window", "hop_s"), message
    if sign.kind == "sampled" and hop != size:
        yield ("window", "hop_s"), "a sampled sign has hop_s equal to size_s"


def _keys(sign: Sign) -> Iterator[Finding]:
    for i, key in enumerate(sign.keys):
        if key in sign.keys[:i]:
            yield ("keys", i), f"'{key}' is listed twice"
    if isinstance(sign, DerivedSign):
        return
    for i, key in enumerate(sign.keys):
        if key not in LEVELS:
            if key != sign.base:
                yield ("keys", i), f"needs base: {key}, or remove '{key}'"
        elif sign.base in LEVELS and LEVELS.index(sign.base) < LEVELS.index(key):
            yield ("keys", i), f"'{key}' is finer than the base '{sign.base}'"
    if sign.topic in ("hotline", "external") and sign.base not in LEVELS:
        yield ("base",), f"'{sign.base}' is no key of a {sign.topic} event: use a level of places"
    if isinstance(sign, WindowSign) and sign.rollup == "none" and sign.keys != [sign.base]:
        yield ("rollup",), f"a sign with more keys than its base '{sign.base}' needs a roll-up"


def _levels(sign: Sign) -> Iterator[Finding]:
    if sign.alert is not None and sign.levels is None:
        yield ("alert",), "an alert needs levels: give them, or remove alert"
    if sign.levels is None:
        return
    given = sign.levels.thresholds.given()
    if not given:
        yield ("levels", "thresholds"), "needs at least one of blue, yellow, orange, red"
    rising = sign.levels.compare in ("ge", "gt")
    for (milder, low), (level, high) in pairwise(given):
        if not (low < high if rising else low > high):
            relation = "above" if rising else "below"
            message = f"must be {relation} {milder} ({low:g}), since compare is "
            yield ("levels", "thresholds", level), message + sign.levels.compare


def _empty(sign: Sign) -> Iterator[Finding]:
    if sign.empty == "missing":
        return
    if not isinstance(sign, WindowSign) or sign.aggregate.function not in _COUNTING:
        message = f"zero is for window signs that {', '.join(_COUNTING)}: use missing"
        yield ("empty",), message
    elif sign.coverage is not None:
        yield ("empty",), "zero contradicts coverage: remove one"


def _event_sign(sign: EventSign, kinds: Collection[str] | None) -> Iterator[Finding]:
    if kinds is not None and sign.topic not in kinds:
        yield ("topic",), f"no topic of kind '{sign.topic}' is listed under topics"
    yield from _match(sign)
    yield from _aggregate(sign)
    yield from _unit(sign)
    yield from _coverage(sign)
    if isinstance(sign, SampledSign):
        if sign.aggregate.function not in _SAMPLED:
            message = f"a sampled sign takes one of {', '.join(_SAMPLED)}"
            yield ("aggregate", "function"), message
        if whole_ms(sign.period_s) is None:
            yield ("period_s",), "expected a whole number of milliseconds"


def _match(sign: EventSign) -> Iterator[Finding]:
    known = fields_of(sign.topic)
    for name, wanted in sign.match.items():
        path: Path = ("match", name)
        if name not in known:
            yield path, f"{sign.topic} events have no field '{name}' to match{guess(name, known)}"
            continue
        field = known[name]
        if isinstance(wanted, list) and not wanted:
            yield path, "an empty list matches nothing: give at least one value"
        values = wanted if isinstance(wanted, list) else [wanted]
        shape = {str: "text", bool: "flag", float: "number", int: "number"}
        if any(shape[type(value)] != field.shape for value in values):
            expected = {"flag": "true or false", "number": "a number", "text": "text in quotes"}
            yield path, f"field '{name}' takes {expected[field.shape]}"
            continue
        for value in map(str, values if field.shape == "text" else ()):
            if name == "metric" and sign.topic == "sensor" and value not in METRICS:
                yield path, f"unknown metric '{value}'{guess(value, METRICS)}"
            elif field.choices and value not in field.choices:
                choices = ", ".join(field.choices)
                yield path, f"field '{name}' is never '{value}': use one of {choices}"


def _aggregate(sign: EventSign) -> Iterator[Finding]:
    aggregate, function = sign.aggregate, sign.aggregate.function
    known = fields_of(sign.topic)
    for which, name in (("of", aggregate.of), ("over", aggregate.over)):
        if name is None:
            continue
        if name not in known:
            message = f"{sign.topic} events have no field '{name}' to aggregate"
            yield ("aggregate", which), message + guess(name, known)
        elif known[name].shape != "number" and function != "distinct":
            yield ("aggregate", which), f"field '{name}' holds no numbers to aggregate"
    if function in ("count", "tpi"):
        if aggregate.of is not None:
            yield ("aggregate", "of"), f"{function} takes no field: remove of"
    elif function == "distinct" and aggregate.of is None:
        yield ("aggregate",), "distinct needs of: the field whose values are counted"
    elif function != "rate" and sign.reads is None:
        yield ("aggregate",), f"{function} needs of: the field to aggregate"
    if function == "tpi" and sign.topic != "traffic":
        yield ("aggregate", "function"), "tpi reads topic: traffic"
    for which, given, user in (
        ("q", aggregate.q is not None, "quantile"),
        ("over", aggregate.over is not None, "ratio"),
    ):
        if function == user and not given:
            yield ("aggregate",), f"{user} needs {which}"
        elif function != user and given:
            yield ("aggregate", which), f"is for {user} alone: remove it"


def _unit(sign: EventSign) -> Iterator[Finding]:
    if sign.topic != "sensor" or sign.reads != "value":
        return
    wanted = sign.match.get("metric")
    if wanted is None:
        yield ("match",), "values of different metrics do not mix: give metric"
        return
    codes = wanted if isinstance(wanted, list) else [wanted]
    units = {METRICS[code].unit for code in codes if isinstance(code, str) and code in METRICS}
    if len(units) > 1:
        message = f"metrics of different units do not mix: {', '.join(sorted(units))}"
        yield ("match", "metric"), message
    elif units and sign.aggregate.function in _KEEPING_UNIT and sign.aggregate.scale == 1:
        unit = units.pop()
        if sign.unit != unit:
            yield ("unit",), f"the metric comes in {unit}: use that unit, or a scale"


def _coverage(sign: EventSign) -> Iterator[Finding]:
    if sign.coverage is None:
        return
    if sign.coverage.by in ("time", "devices") and sign.coverage.at_least > 1:
        message = f"a share of {sign.coverage.by} is at most 1: write 0.75 for 75 %"
        yield ("coverage", "at_least"), message
    if sign.coverage.by == "time" and sign.topic not in ("sensor", "traffic"):
        message = f"{sign.topic} events cover no time: use samples"
        yield ("coverage", "by"), message
