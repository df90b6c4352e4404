"""Whether derived signs fit their inputs: keys, window ends, formulas, no cycle."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from schemas.derivations import (
    AirIndex,
    Children,
    ChildrenAtLevel,
    Combine,
    DomainIndex,
    EarlyWarning,
    Lag,
    LevelIndex,
    OverallIndex,
    PastMean,
    Penalties,
    TimeToThreshold,
    WaterClass,
    WeightedSign,
)
from schemas.durations import whole_ms
from schemas.findings import Finding, Path
from schemas.hierarchies import Hierarchy
from schemas.joins import check_children, check_combine, check_lag
from schemas.places import LEVELS
from schemas.signs import DerivedSign, LiveSign, Sign, Window
from schemas.spelling import guess
from schemas.words import split_level

HOUR_MS = 3_600_000
_OF_LEVELS = ("children_at_level", "level_index", "domain_index")


def check_formula(
    sign: DerivedSign,
    by_id: Mapping[str, Sign],
    unread: Collection[str],
    hierarchies: Mapping[str, Hierarchy],
) -> Iterator[Finding]:
    """What is wrong with the inputs and the numbers of a formula, by paths inside its sign."""
    formula = sign.formula
    for name, path in sign.input_paths:
        source = by_id.get(name)
        if source is not None:
            for message in _input(sign, source):
                yield path, message
        elif name not in unread:
            yield path, f"unknown sign '{name}'{guess(name, by_id)}"
    if isinstance(formula, PastMean):
        yield from _past_mean(formula, by_id.get(formula.of))
    elif isinstance(formula, ChildrenAtLevel):
        yield from _children(sign, formula, by_id.get(formula.of))
    elif isinstance(formula, LevelIndex):
        yield from _level_index(formula.of, formula.penalties, ("formula", "of"))
        yield from _at_least(formula.at_least, len(formula.of))
    elif isinstance(formula, DomainIndex):
        yield from _domain_index(sign, formula)
    elif isinstance(formula, OverallIndex):
        yield from _overall_index(formula, by_id.get(formula.of))
        yield from _at_least(formula.at_least, len(formula.domains))
    elif isinstance(formula, WaterClass | EarlyWarning):
        yield from _at_least(formula.at_least, len(sign.input_paths))
    elif isinstance(formula, AirIndex):
        yield from _air_index(sign, formula)
    elif isinstance(formula, Combine):
        yield from check_combine(formula)
    elif isinstance(formula, TimeToThreshold):
        of = by_id.get(formula.of)
        if of is not None and of.levels is None:
            yield ("formula", "of"), f"'{of.id}' has no levels"
    elif isinstance(formula, Lag):
        yield from check_lag(sign)
    elif isinstance(formula, Children):
        yield from check_children(sign, formula, by_id, hierarchies)
    else:
        yield from _ratio(sign, by_id.get(formula.of))


def _input(sign: DerivedSign, source: Sign) -> Iterator[str]:
    """Why a sign cannot be an input of another, whatever the formula."""
    if isinstance(source, LiveSign):
        yield f"'{source.id}' is live: it is no function of the log, and no sign may read it"
        return
    if isinstance(sign.formula, DomainIndex):
        if not any(split_level(key)[1] in source.keys for key in sign.keys):
            yield f"'{source.id}' has none of the places of this sign's keys"
    elif isinstance(sign.formula, OverallIndex):
        missing = [f"domain*{key}" for key in sign.keys if f"domain*{key}" not in source.keys]
        if missing:
            yield f"'{source.id}' has no key {', '.join(missing)}"
    elif sign.formula.name not in ("children_at_level", "children"):
        missing = [key for key in sign.keys if key not in source.keys]
        if missing:
            yield f"'{source.id}' has no key {', '.join(missing)}"
    if sign.formula.name in _OF_LEVELS and source.levels is None:
        yield f"'{source.id}' has no levels"
    agree = _hours_agree if isinstance(sign.formula, AirIndex) else _ends_agree
    if not agree(sign.window, source.window):
        yield (
            f"'{source.id}' has no window that ends when each window of this sign ends: "
            "use a hop that is a multiple of its hop"
        )


def _ends_agree(window: Window, source: Window) -> bool:
    if window.calendar is not None or source.calendar is not None:
        return window.calendar == source.calendar
    lengths = [window.size_s, window.hop_s, source.size_s, source.hop_s]
    size, hop, source_size, source_hop = (whole_ms(s) if s is not None else None for s in lengths)
    if not (size and hop and source_size and source_hop):
        return True  # said at the window itself
    return hop % source_hop == 0 and (size - source_size) % source_hop == 0


def _hours_agree(window: Window, source: Window) -> bool:
    """Whether the source has a window that ends at each hour of a day's or sliding window."""
    hop = whole_ms(source.hop_s) if source.hop_s is not None else None
    size = whole_ms(source.size_s) if source.size_s is not None else None
    return bool(size == HOUR_MS and hop and HOUR_MS % hop == 0)


def _air_index(sign: DerivedSign, formula: AirIndex) -> Iterator[Finding]:
    window = sign.window
    hours = (window.size_s, window.hop_s)
    if formula.period == "hour" and hours != (3600, 3600):
        yield ("window",), "an index of the hour has size_s and hop_s 3600"
    if formula.period == "day" and window.calendar != "day" and hours != (86400, 3600):
        yield ("window",), "an index of the day has calendar: day, or size_s 86400 and hop_s 3600"


def _ratio(sign: DerivedSign, source: Sign | None) -> Iterator[Finding]:
    if source is None:
        return
    if source.model is None:
        yield ("formula", "of"), f"'{source.id}' has no model that expects anything"
        return
    learned = source.model.keys or source.keys
    for i, key in enumerate(sign.keys):
        if key in source.keys and key not in learned:
            yield ("keys", i), f"the model of '{source.id}' does not learn {key}"


def _past_mean(formula: PastMean, source: Sign | None) -> Iterator[Finding]:
    step = whole_ms(formula.step_s)
    if step is None:
        yield ("formula", "step_s"), "expected a whole number of milliseconds"
    if formula.at_least > formula.windows:
        yield ("formula", "at_least"), f"is above windows ({formula.windows})"
    if source is None:
        return
    if source.window.calendar is not None:
        yield ("formula", "of"), f"'{source.id}' has calendar windows, which have no fixed step"
    elif source.window.hop_s is not None and step is not None:
        hop = whole_ms(source.window.hop_s)
        if hop and step % hop:
            message = f"is not a multiple of the hop of '{source.id}' ({source.window.hop_s:g})"
            yield ("formula", "step_s"), message


def _children(
    sign: DerivedSign, formula: ChildrenAtLevel, source: Sign | None
) -> Iterator[Finding]:
    for i, key in enumerate(sign.keys):
        if key not in LEVELS:
            yield ("keys", i), f"'{key}' has no children: use levels of places"
        elif formula.child in LEVELS and LEVELS.index(key) >= LEVELS.index(formula.child):
            yield ("keys", i), f"'{key}' is not above the child '{formula.child}'"
    if source is None:
        return
    if formula.child not in source.keys:
        yield ("formula", "child"), f"'{source.id}' has no key {formula.child}"
    if source.levels is not None:
        order = ("blue", "yellow", "orange", "red")
        at_or_above = order[order.index(formula.level) :]
        if not any(level in at_or_above for level, _ in source.levels.thresholds.given()):
            message = f"'{source.id}' has no threshold at {formula.level} or above"
            yield ("formula", "level"), message


def _at_least(at_least: int, inputs: int) -> Iterator[Finding]:
    if at_least > inputs:
        yield ("formula", "at_least"), f"is above the number of inputs ({inputs})"


def _domain_index(sign: DerivedSign, formula: DomainIndex) -> Iterator[Finding]:
    for i, key in enumerate(sign.keys):
        if split_level(key)[0] != "domain":
            yield ("keys", i), f"'{key}' is of no domain: use domain*city and such"
    names = [each.domain for each in formula.domains]
    for d, each in enumerate(formula.domains):
        if each.domain in names[:d]:
            yield ("formula", "domains", d, "domain"), f"'{each.domain}' is listed twice"
        yield from _level_index(each.of, formula.penalties, ("formula", "domains", d, "of"))


def _overall_index(formula: OverallIndex, source: Sign | None) -> Iterator[Finding]:
    if source is None:
        return
    if not isinstance(source, DerivedSign) or not isinstance(source.formula, DomainIndex):
        yield ("formula", "of"), f"'{source.id}' is no index of domains: use a domain_index"
        return
    known = [each.domain for each in source.formula.domains]
    names = [each.domain for each in formula.domains]
    for d, name in enumerate(names):
        at = ("formula", "domains", d, "domain")
        if name not in known:
            yield at, f"'{source.id}' has no domain '{name}'{guess(name, known)}"
        if name in names[:d]:
            yield at, f"'{name}' is listed twice"
    for c, name in enumerate(formula.critical):
        if name not in names:
            at_c = ("formula", "critical", c)
            yield at_c, f"'{name}' is no domain of this index{guess(name, names)}"


def _level_index(of: Sequence[WeightedSign], given: Penalties, at: Path) -> Iterator[Finding]:
    names = [i.sign for i in of]
    for i, name in enumerate(names):
        if name in names[:i]:
            yield (*at, i, "sign"), f"'{name}' is listed twice"
    steps = [("blue", given.blue), ("yellow", given.yellow), ("orange", given.orange)]
    for (milder, low), (level, high) in pairwise([*steps, ("red", given.red)]):
        if high < low:
            yield ("formula", "penalties", level), f"must not be below {milder} ({low:g})"


def check_cycles(signs: Mapping[int, Sign]) -> Iterator[Finding]:
    """One problem for each way round that leads from a derived sign back to itself."""
    derived = {s.id: (i, s) for i, s in signs.items() if isinstance(s, DerivedSign)}
    graph = {name: [n for n in s.inputs if n in derived] for name, (_, s) in derived.items()}
    while True:
        try:
            TopologicalSorter(graph).prepare()
            return
        except CycleError as error:
            around: list[str] = error.args[1]
            first = min(around, key=lambda name: derived[name][0])
            index, sign = derived[first]
            # graphlib lists each node before the one that depends on it.
            names = around[:-1][::-1]
            turn = names.index(first)
            names = [*names[turn:], *names[:turn], first]
            at = next(path for name, path in sign.input_paths if name == names[1])
            path: Path = ("signs", index, *at)
            yield path, f"the sign depends on itself: {' reads '.join(names)}"
            graph[first] = []
