"""What no field of a configuration can tell alone: every inconsistency, with its path."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import gcd
from types import MappingProxyType
from zoneinfo import ZoneInfo

from schemas.citizens import Calendar, Hotline, Orders
from schemas.configuration import City, Growth, Shard, Topic
from schemas.durations import whole_ms
from schemas.early_checks import check_early
from schemas.fields import fields_of
from schemas.findings import Finding
from schemas.formulas import check_cycles, check_formula
from schemas.hierarchies import Hierarchy, check_hierarchies
from schemas.incident_checks import check_incidents
from schemas.incidents import Incident
from schemas.judging import Gaussian
from schemas.level_tables import (
    LevelTable,
    check_level_tables,
    check_table,
    out_of_order,
    with_levels,
)
from schemas.metric_entries import MetricEntry
from schemas.metrics import METRICS, Metrics
from schemas.overlays import MOST_PANES, Overlay, check_overlays
from schemas.places import LEVELS, level_of, normalise
from schemas.record_shapes import check_shape
from schemas.sign_checks import check_reading
from schemas.signals import SignalTable, check_signals
from schemas.signs import DatedLevels, DerivedSign, EventSign, LiveSign, Sign, WindowSign
from schemas.spelling import guess
from schemas.words import LEVELS_KNOWN, KeyLevel, split_level

_DURING_MS = {"night": 7 * 3_600_000, "daytime": 15 * 3_600_000}
"""An hour less than they have: where clocks go forward a night is shorter."""
_COUNTING = ("count", "sum", "rate", "distinct", "hits")


def find_problems(
    city: City | None,
    topics: Mapping[int, Topic],
    signs: Mapping[int, Sign],
    shards: Mapping[int, Shard],
    *,
    hotline: Hotline | None = None,
    orders: Orders | None = None,
    calendar: Calendar | None = None,
    hierarchies: Sequence[Hierarchy] | None = None,
    incidents: Mapping[int, Incident] = MappingProxyType({}),
    metrics: Mapping[int, MetricEntry] = MappingProxyType({}),
    overlays: Mapping[int, Overlay] = MappingProxyType({}),
    tables: Mapping[int, LevelTable] = MappingProxyType({}),
    signals: Mapping[int, SignalTable] = MappingProxyType({}),
    unread: Collection[str] = (),
    topics_complete: bool = True,
) -> list[Finding]:
    """Find every inconsistency.

    Parameters
    ----------
    city, topics, signs, shards
        The readable parts of a configuration, by their place in its lists.
    hotline, orders, calendar
        What is said of the hotline, of orders and of working days, where that is readable.
    hierarchies
        Where they can be told.
    incidents
        By their place in the configuration.
    overlays, tables, signals
        By their place in the configuration.
    metrics
        Beside those that every configuration knows.
    unread
        Ids of signs and tables that stand in the configuration but have faults of their own.
    topics_complete
        Whether every topic of the configuration is in `topics`.

    Returns
    -------
    list of (path, message)
        In the order of the configuration.
    """
    dated = {table.id: table for table in tables.values()}
    written, signs = signs, {i: with_levels(sign, dated) for i, sign in signs.items()}
    by_id: dict[str, Sign] = {}
    for sign in signs.values():
        by_id.setdefault(sign.id, sign)
    kinds = {topic.kind for topic in topics.values()} if topics_complete else None
    known = METRICS.with_more(entry.metric for entry in metrics.values())
    problems = list(_city(city)) if city else []
    problems += _metrics(metrics)
    problems += _repeated("topics", "name", {i: t.name for i, t in topics.items()})
    problems += _repeated("signs", "id", {i: s.id for i, s in signs.items()})
    for index, topic in topics.items():
        problems += [(("topics", index, *path), message) for path, message in _topic(topic, known)]
    problems += _shards(shards)
    problems += _hotline(hotline) if hotline else []
    problems += _orders(orders) if orders else []
    problems += _calendar(calendar) if calendar else []
    problems += check_hierarchies(hierarchies or ())
    named = None if hierarchies is None else {one.name: one for one in hierarchies}
    problems += _repeated("tables", "id", {i: t.id for i, t in tables.items()})
    problems += check_level_tables(tables)
    problems += _repeated("signals", "id", {i: t.id for i, t in signals.items()})
    problems += check_signals(signals)
    for index, sign in signs.items():
        found = [*_windows(sign), *_keys(sign, named), *_levels(sign), *_empty(sign), *_model(sign)]
        found += check_table(written[index], dated, unread)
        found += check_early(sign, by_id, unread)
        if isinstance(sign, DerivedSign):
            found += check_formula(sign, by_id, unread, named or {})
        elif isinstance(sign, LiveSign):
            found += _live(sign)
        else:
            found += check_reading(sign, kinds, known)
        problems += [(("signs", index, *path), message) for path, message in found]
    problems += check_cycles(signs)
    problems += _hidden(signs, incidents)
    problems += check_incidents(incidents, by_id, unread, named)
    standing = [incident.id for incident in incidents.values()]
    return problems + list(check_overlays(overlays, by_id, standing, unread))


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


def _metrics(metrics: Mapping[int, MetricEntry]) -> Iterator[Finding]:
    codes = {i: entry.code for i, entry in metrics.items()}
    yield from _repeated("metrics", "code", codes)
    for i, entry in metrics.items():
        if entry.code in METRICS:
            message = (
                f"'{entry.code}' is known already, in {METRICS[entry.code].unit}: choose another"
            )
            yield ("metrics", i, "code"), message
        if entry.minimum >= entry.maximum:
            yield ("metrics", i, "maximum"), f"must be above minimum ({entry.minimum:g})"
    factors = {i: entry.hj212 for i, entry in metrics.items() if entry.hj212 is not None}
    yield from _repeated("metrics", "hj212", factors)
    for i, factor in factors.items():
        if factor in METRICS.by_factor:
            message = f"'{factor}' is that of '{METRICS.by_factor[factor].code}' already"
            yield ("metrics", i, "hj212"), message


def _topic(topic: Topic, metrics: Metrics) -> Iterator[Finding]:
    yield from _grown(topic)
    if topic.record is not None:
        for path, message in check_shape(topic.kind, topic.record, metrics):
            yield ("record", *path), message


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
        elif window.during is not None:
            yield ("window", "during"), "is for windows of a size: remove it"
        elif sign.kind in ("sampled", "history", "live"):
            yield ("window", "calendar"), f"a {sign.kind} sign takes size_s and hop_s"
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
    if window.during is not None:
        longest = _DURING_MS[window.during]
        if sign.kind != "window":
            yield ("window", "during"), "is for window signs"
        elif size + hop > longest:
            hours = longest // 3_600_000
            message = f"needs size_s and hop_s of {hours} hours together: longer ones may never fit"
            yield ("window", "during"), message
    of_slots = isinstance(sign, LiveSign) and sign.measure == "flood_time"
    if sign.kind in ("sampled", "live") and hop != size and not of_slots:
        yield ("window", "hop_s"), f"a {sign.kind} sign has hop_s equal to size_s"


def _keys(sign: Sign, hierarchies: Mapping[str, Hierarchy] | None) -> Iterator[Finding]:
    yield from _levels_known(sign, hierarchies)
    for i, key in enumerate(sign.keys):
        if key in sign.keys[:i]:
            yield ("keys", i), f"'{key}' is listed twice"
    if isinstance(sign, DerivedSign | LiveSign):
        return
    for i, key in enumerate(sign.keys):
        dimension, level = split_level(key)
        if key not in LEVELS_KNOWN:
            continue
        if level not in LEVELS:
            of_devices = key == "site" and sign.base == "device" and _is_over(sign)
            if key != sign.base and not of_devices:
                yield ("keys", i), f"needs base: {key}, or remove '{key}'"
        elif sign.base in LEVELS and LEVELS.index(sign.base) < LEVELS.index(level):
            yield ("keys", i), f"'{key}' is finer than the base '{sign.base}'"
        if dimension is not None and dimension not in fields_of(sign.topic):
            yield ("keys", i), f"{sign.topic} events have no field '{dimension}'"
    if sign.topic in ("hotline", "external", "orders") and sign.base not in LEVELS:
        yield ("base",), f"'{sign.base}' is no key of a {sign.topic} event: use a level of places"
    dimensions = {split_level(key)[0] for key in sign.keys} - {None}
    if len(dimensions) > 1:
        yield ("keys",), f"one dimension a sign: {' or '.join(sorted(map(str, dimensions)))}"
    elif dimensions and (sign.rollup != "merge" or sign.base not in LEVELS):
        yield ("keys",), "keys with a dimension need rollup: merge, and a place as base"
    if isinstance(sign, WindowSign) and sign.rollup == "none" and sign.keys != [sign.base]:
        yield ("rollup",), f"a sign with more keys than its base '{sign.base}' needs a roll-up"


def _is_over(sign: Sign) -> bool:
    """Whether its parents have a function over their children; of devices the register says the
    site."""
    return isinstance(sign, WindowSign) and sign.rollup not in ("merge", "none")


def _levels_known(sign: Sign, hierarchies: Mapping[str, Hierarchy] | None) -> Iterator[Finding]:
    """Key levels that are none; those of hierarchies belong to derived signs."""
    if hierarchies is None:
        return
    known = [*LEVELS_KNOWN, *hierarchies]
    for i, key in enumerate(sign.keys):
        if key not in known:
            yield ("keys", i), f"expected one of {', '.join(known)}{guess(key, known)}"
        elif key in hierarchies and not isinstance(sign, DerivedSign):
            message = f"'{key}' is a hierarchy: a derived sign has such keys, by formula children"
            yield ("keys", i), message


def _hidden(signs: Mapping[int, Sign], incidents: Mapping[int, Incident]) -> Iterator[Finding]:
    """Keys that are hidden, and those that nobody reads."""
    read = {n for s in signs.values() if isinstance(s, DerivedSign) for n in s.inputs}
    read |= {name for incident in incidents.values() for name in incident.inputs}
    read |= {s.alert.early.rate for s in signs.values() if s.alert and s.alert.early}
    for index, sign in signs.items():
        at = ("signs", index, "hidden")
        for path, message in _chosen("hidden", sign.hidden, sign):
            yield ("signs", index, *(step for step in path if step != "keys")), message
        if sign.hidden and isinstance(sign, LiveSign):
            yield at, "a live sign is read by nobody: remove hidden"
        elif sign.hidden and sign.id not in read:
            yield at, "no sign or incident reads it: remove hidden, or the sign"


def _model(sign: Sign) -> Iterator[Finding]:
    if sign.model is None:
        return
    if isinstance(sign, LiveSign):
        yield ("model",), "a live sign is no function of the log: nothing can be learned of it"
    kept = sign.model.window if isinstance(sign.model, Gaussian) else sign.model.keep
    if sign.model.least > kept:
        yield ("model", "least"), f"is above the number of values that are kept ({kept})"
    yield from _chosen("model", sign.model.keys, sign)


def _chosen(part: str, keys: list[KeyLevel] | None, sign: Sign) -> Iterator[Finding]:
    """What a part of a sign may say of its keys: those that the sign has."""
    for i, key in enumerate(keys or ()):
        if key not in sign.keys:
            yield (part, "keys", i), f"'{sign.id}' has no key {key}"


def _live(sign: LiveSign) -> Iterator[Finding]:
    if sign.keys != ["city"]:
        yield ("keys",), "a live sign is the engine's own: its one key is city"
    if sign.empty != "missing":
        yield ("empty",), "a live sign has a value at every hop: remove empty"


def _hotline(hotline: Hotline) -> Iterator[Finding]:
    for field in ("name", "code"):
        told = [getattr(topic, field) for topic in hotline.topics]
        for i, one in enumerate(told):
            if one in told[:i]:
                path = ("hotline", "topics", i, field)
                yield path, f"'{one}' is defined twice: give each topic its own"
    for i, topic in enumerate(hotline.topics):
        for j, word in enumerate(topic.keywords):
            if not _has_letters(word):
                yield ("hotline", "topics", i, "keywords", j), "has no letter or digit to look for"
    for name, code in hotline.places.items():
        if not _has_letters(name):
            yield ("hotline", "places", name), "the name has no letter or digit to look for"
        try:
            normalise(code)
        except ValueError as error:
            yield ("hotline", "places", name), str(error)


def _has_letters(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _orders(orders: Orders) -> Iterator[Finding]:
    types = [limit.type for limit in orders.due]
    for i, one in enumerate(types):
        if one in types[:i]:
            yield ("orders", "due", i, "type"), f"'{one}' has a limit already: remove one"


def _calendar(calendar: Calendar) -> Iterator[Finding]:
    for i, day in enumerate(calendar.workdays):
        if day in calendar.holidays:
            yield ("calendar", "workdays", i), f"{day} is a holiday too: take it out of one list"


def _levels(sign: Sign) -> Iterator[Finding]:
    if sign.alert is not None and sign.levels is None and sign.table is None:
        yield ("alert",), "an alert needs levels: give them, or remove alert"
    if sign.alert is not None:
        yield from _chosen("alert", sign.alert.keys, sign)
    if sign.levels is None:
        return
    every = [sign.levels]
    if isinstance(sign.levels, DatedLevels):
        every = [levels for *_, levels in sign.levels.versions]
    given = sign.levels.thresholds.given()
    if sign.alert is not None and all(levels.thresholds.given() for levels in every):
        least = sign.alert.least_level
        if not all(levels.thresholds.since(least).given() for levels in every):
            message = f"no threshold is {least} or graver: it would never alert"
            yield ("alert", "least_level"), message
    if sign.table is not None:
        return  # the rest is said of the table
    if not given:
        yield ("levels", "thresholds"), "needs at least one of blue, yellow, orange, red"
    for at, message in out_of_order(sign.levels.compare, given):
        yield ("levels", "thresholds", *at), message


def _empty(sign: Sign) -> Iterator[Finding]:
    if sign.empty == "missing" or isinstance(sign, LiveSign):
        return
    if sign.kind == "sampled" and sign.topic == "external":
        return  # no warning holds
    counts = isinstance(sign, WindowSign) or (
        isinstance(sign, EventSign) and sign.topic == "orders"
    )
    if not counts or sign.aggregate.function not in _COUNTING:  # type: ignore[union-attr]
        message = f"zero is for window signs that {', '.join(_COUNTING)}: use missing"
        yield ("empty",), message
    elif isinstance(sign, EventSign) and sign.coverage is not None:
        yield ("empty",), "zero contradicts coverage: remove one"
