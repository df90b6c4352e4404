"""A slow oracle of the engine in plain Python, written from the rules and not from the engine.

It reads whole lanes as lists of dictionaries, keeps every row, and computes each window afresh.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import fsum, inf, log10, sqrt
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from schemas.configuration import Configuration
from schemas.devices import Device
from schemas.signs import WindowSign
from schemas.words import TOPIC_OF
from tests.rules.lanes import (
    PLACE_DIGITS,
    KeyName,
    Lane,
    LaneName,
    Record,
    Row,
    base_key,
    ms,
    pane_ms,
    read_lane,
)

NOISE_LIMITS = {"0": (50, 40), "1": (55, 45), "2": (60, 50), "3": (65, 55), "4a": (70, 55)}
"""dB by day and by night, GB 3096-2008, Table 1."""


class Said(NamedTuple):
    """A result, without what is the same for the whole sign."""

    value: float | None
    n: int
    coverage: float
    reason: str | None
    place: str | None
    detail: dict[str, Any] | None


# --- windows -------------------------------------------------------------------------------------


def local_ms(year: int, month: int, day: int, hour: int, zone: str) -> int:
    at = datetime.datetime(year, month, day, hour, tzinfo=ZoneInfo(zone))
    return round(at.timestamp() * 1000)


def calendar_windows(unit: str, zone: str, low: int, high: int) -> Iterator[tuple[int, int]]:
    """Every window of the local calendar that may hold a time from ``low`` to ``high``."""
    day = datetime.timedelta(days=1)
    date = datetime.datetime.fromtimestamp(low / 1000, ZoneInfo(zone)).date() - 32 * day
    last = datetime.datetime.fromtimestamp(high / 1000, ZoneInfo(zone)).date() + 32 * day
    while date <= last:
        after = date + day
        midnight = local_ms(after.year, after.month, after.day, 0, zone)
        if unit == "day":
            yield local_ms(date.year, date.month, date.day, 0, zone), midnight
        elif unit == "daytime":
            yield (
                local_ms(date.year, date.month, date.day, 6, zone),
                local_ms(date.year, date.month, date.day, 22, zone),
            )
        elif unit == "night":
            yield (
                local_ms(date.year, date.month, date.day, 22, zone),
                local_ms(after.year, after.month, after.day, 6, zone),
            )
        elif after.day == 1:
            yield local_ms(date.year, date.month, 1, 0, zone), midnight
        date = after


def windows(sign: Any, zone: str, low: int, high: int) -> list[tuple[int, int]]:
    """Windows ``(start, end)`` in order whose end is above ``low`` and start not above ``high``."""
    if sign.window.calendar:
        found = calendar_windows(sign.window.calendar, zone, low, high)
    else:
        size, hop = ms(sign.window.size_s), ms(sign.window.hop_s)
        first, last = (low - size) // hop - 1, high // hop + 1
        found = ((k * hop, k * hop + size) for k in range(first, last + 1))
    return [(start, end) for start, end in found if end > low and start <= high]


# --- aggregates ----------------------------------------------------------------------------------


def quantile(values: list[int], q: float) -> Fraction:
    values = sorted(values)
    rank = Fraction(q) * (len(values) - 1)
    low = int(rank)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (rank - low)


def delay_index(delay: Fraction) -> Fraction:
    knots = [(Fraction(0), 0), (Fraction("0.3"), 2), (Fraction("0.5"), 4), (Fraction("0.6"), 6)]
    knots += [(Fraction("0.7"), 8), (Fraction(1), 10)]
    if delay <= 0:
        return Fraction(0)
    for (x0, y0), (x1, y1) in pairwise(knots):
        if delay <= x1:
            return y0 + (y1 - y0) * (delay - x0) / (x1 - x0)
    return Fraction(10)


def slope(rows: list[Row]) -> Fraction | None:
    """Least squares, a second: the covariance with time over the variance of time."""
    n = len(rows)
    mean_t, mean_v = Fraction(sum(r.e for r in rows), n), Fraction(sum(r.value for r in rows), n)
    spread = sum((row.e - mean_t) ** 2 for row in rows)
    if spread == 0:
        return None
    return sum((r.e - mean_t) * (r.value - mean_v) for r in rows) / spread * 1000 / 10**6


def aggregate(sign: WindowSign, rows: list[Row], length_ms: int) -> float | None:
    """The value of at least one row, scaled; None where it is undefined."""
    function, values = sign.aggregate.function, [row.value for row in rows]
    n, total, weight = len(rows), sum(values), sum(row.weight for row in rows)
    found: Fraction | float | None
    if function == "count":
        found = Fraction(n)
    elif function == "distinct":
        found = Fraction(len({row.member for row in rows}))
    elif function == "rate" and sign.reads is None:
        found = Fraction(n * 1000, length_ms)
    elif function == "rate":
        found = Fraction(total * 1000, length_ms * 10**6)
    elif function in ("ratio", "share"):
        found = Fraction(total, weight) if weight else None
    elif function == "hits":
        found = Fraction(total)
    elif function == "peak":
        found = Fraction(max(map(abs, values)), 10**6)
    elif function == "leq":
        return 10 * log10(total / (n * 1000))
    elif function == "slope":
        found = slope(rows)
    elif function == "tpi":
        found = delay_index(1 - Fraction(weight, total)) if total else None
    elif function == "stddev":
        found = sqrt(Fraction(n * sum(v * v for v in values) - total * total, n * n)) / 1e6
    elif function == "variance":
        found = Fraction(n * sum(v * v for v in values) - total * total, n * n * 10**12)
    elif function == "last":
        found = Fraction(max((row.e, row.value) for row in rows)[1], 10**6)
    elif function == "mean":
        found = Fraction(total, n) / 10**6
    elif function == "quantile":
        found = quantile(values, sign.aggregate.q or 0) / 10**6
    else:
        found = Fraction({"sum": sum, "min": min, "max": max}[function](values), 10**6)
    return None if found is None else float(found) * sign.aggregate.scale


def against(how: str, value: float, limit: float) -> float:
    """A value against a limit."""
    if how == "ratio":
        return value / limit
    return value - limit if how == "excess" else abs(value - limit) / limit


def coverage_of(sign: WindowSign, rows: list[Row], length_ms: int) -> tuple[float, bool]:
    if sign.empty == "zero":
        return 1.0, True
    if sign.coverage is None:
        return (1.0 if rows else 0.0), bool(rows)
    if sign.coverage.by == "time":
        share = min(1.0, sum(row.covered for row in rows) / length_ms)
        return share, bool(rows) and share >= sign.coverage.at_least
    share = min(1.0, len(rows) / sign.coverage.at_least)
    return share, len(rows) >= sign.coverage.at_least


def level_of(value: float, levels: Any) -> int:
    meets = {
        "ge": lambda limit: value >= limit,
        "gt": lambda limit: value > limit,
        "le": lambda limit: value <= limit,
        "lt": lambda limit: value < limit,
    }[levels.compare]
    names = ("blue", "yellow", "orange", "red")
    limits = [getattr(levels.thresholds, name) for name in names]
    met = [i + 1 for i, limit in enumerate(limits) if limit is not None and meets(limit)]
    return max(met, default=0)


# --- one sign ------------------------------------------------------------------------------------


class Keyed(NamedTuple):
    """Rows of one key."""

    on_time: list[Row]
    late: list[Row]


def place_above(place: str, level: str, own: str) -> str | None:
    digits = PLACE_DIGITS[level]
    if len(place) < digits or (own in PLACE_DIGITS and PLACE_DIGITS[own] <= digits):
        return None
    return place[:digits]


def names_of(sign: WindowSign, row: Row) -> list[KeyName]:
    if "*" in row.level:
        return names_divided(sign, row)
    names = [(row.level, row.key)]
    if sign.rollup == "merge":
        for level in sign.keys:
            if level in PLACE_DIGITS:
                above = place_above(row.place, level, row.level)
                names += [(level, above)] if above else []
    return names


def names_divided(sign: WindowSign, row: Row) -> list[KeyName]:
    """Keys of the places above a row, in all and by the row's own category."""
    dimension, own = row.level.split("*")
    names = []
    for level in sign.keys:
        by, _, at = level.rpartition("*")
        if by in ("", dimension) and PLACE_DIGITS[at] <= PLACE_DIGITS[own]:
            place = row.place[: PLACE_DIGITS[at]]
            names.append((level, f"{row.key.rpartition('*')[0]}*{place}" if by else place))
    return names


@dataclass
class Listed:
    """What the register says of one key."""

    rows: list[Device] = field(default_factory=list)

    def counting(self, end: int) -> list[Device]:
        """The rows that count when a window ends."""
        return [r for r in self.rows if r.since < end and (r.until is None or r.until >= end)]

    def place(self, end: int, name: KeyName) -> str:
        if name[0].rpartition("*")[2] in PLACE_DIGITS:
            return name[1].rpartition("*")[2]
        return max(self.counting(end), key=lambda row: (row.since, row.place)).place

    def limit(self, sign: WindowSign, end: int) -> float | None:
        assert sign.limit is not None
        if sign.limit.name in ("limit", "well_depth_m"):
            listed = [getattr(row, sign.limit.name) for row in self.counting(end)]
            return min((x for x in listed if x is not None), default=None)
        by_night = sign.limit.name == "noise_night_db"
        zones = [row.noise_zone for row in self.counting(end) if row.noise_zone]
        return min((NOISE_LIMITS[zone][by_night] for zone in zones), default=None)


def listed_of(configuration: Configuration, sign: WindowSign) -> dict[KeyName, Listed]:
    """The keys of a sign that the register says must speak."""
    found: dict[KeyName, Listed] = defaultdict(Listed)
    if sign.topic not in ("sensor", "traffic", "arrivals"):
        return found
    for row in configuration.register.devices:
        if row.topic != TOPIC_OF[sign.topic]:
            continue
        told: dict[str, Any] = {"device": row.device, "source_id": row.device, "metric": row.kind}
        told |= {"kind": row.kind, "place": row.place, "site": row.site or None}
        told |= {"platform": row.platform or None, "registered": True}
        accepted = {n: v if isinstance(v, list) else [v] for n, v in sign.match.items()}
        if not all(told[name] in values for name, values in accepted.items()):
            continue
        level, key = base_key(sign, sign.topic, told)
        empty = Row(0, 0, False, level, key, row.place, 0, 0, "", 0)
        for name in names_of(sign, empty):
            found[name].rows.append(row)
    return found


def sites_of(listed: Mapping[KeyName, Listed], end: int) -> dict[str, str]:
    """Where each device of the register is, or was last."""
    found = {}
    for (_, device), each in listed.items():
        row = max(each.counting(end) or each.rows, key=lambda r: (r.since, r.place))
        if row.site:
            found[device] = row.site
    return found


def island(panes: list[int], pane: int, forget: int, end: int) -> int | None:
    """First pane of the stretch in which the key is alive at ``end``; None where it is not."""
    first = last = None
    for p in sorted(p for p in set(panes) if p < end):
        if last is None or p - (last + pane) > forget:
            first = p
        last = p
    return first if last is not None and end - (last + pane) <= forget else None


@dataclass
class Answers:
    """What a sign says: by window end and key, first and corrected."""

    first: dict[int, dict[KeyName, Said]] = field(default_factory=lambda: defaultdict(dict))
    final: dict[int, dict[KeyName, Said]] = field(default_factory=lambda: defaultdict(dict))
    start: dict[int, int] = field(default_factory=dict)

    def only(self, wanted: Callable[[str], bool]) -> Answers:
        """What is said of some key levels."""
        found = Answers()
        found.start.update(self.start)
        for mine, theirs in ((found.first, self.first), (found.final, self.final)):
            for end, entries in theirs.items():
                mine[end] = {name: said for name, said in entries.items() if wanted(name[0])}
        return found

    def add(self, more: Answers) -> None:
        """What is said of other keys too."""
        self.start.update(more.start)
        for mine, theirs in ((self.first, more.first), (self.final, more.final)):
            for end, entries in theirs.items():
                mine.setdefault(end, {}).update(entries)

    def corrected(self, end: int) -> dict[KeyName, Said]:
        return {**self.first.get(end, {}), **self.final.get(end, {})}


def say(
    sign: WindowSign,
    rows: list[Row],
    start: int,
    end: int,
    first: float,
    place: str,
    limit: float | None,
) -> Said:
    inside = [row for row in rows if start <= row.e < end]
    coverage, enough = coverage_of(sign, inside, end - start)
    value, reason = None, None
    if start < first:
        reason = "warming"
    elif not enough:
        reason = "uncovered"
    elif sign.limit is not None and limit is None:
        reason = "no_limit"
    else:
        value = aggregate(sign, inside, end - start) if inside else 0.0
        reason = "undefined" if value is None else None
    if value is not None and sign.limit is not None and limit is not None:
        value = against(sign.limit.how, value, limit)
        value *= sign.limit.scale
    return Said(value, len(inside), coverage, reason, place, None)


def place_of(name: KeyName, rows: list[Row]) -> str:
    if name[0].rpartition("*")[2] in PLACE_DIGITS:
        return name[1].rpartition("*")[2]
    return max((row.e, row.place) for row in rows)[1]


def roll_up(
    sign: WindowSign, children: Mapping[KeyName, Said], sites: Mapping[str, str] = {}
) -> dict[KeyName, Said]:
    groups: dict[KeyName, dict[str, Said]] = defaultdict(dict)
    for (own, key), said in children.items():
        for level in sign.keys:
            above = place_above(said.place or "", level, own) if level in PLACE_DIGITS else None
            if level == "site" != own:
                above = sites.get(key)
            if above:
                groups[level, above][key] = said
    parents = {}
    for name, group in groups.items():
        values = {key: said.value for key, said in group.items() if said.value is not None}
        detail: dict[str, Any] = {"children": len(group)}
        value, reason = None, None
        if not values:
            warming = all(said.reason == "warming" for said in group.values())
            value, reason = None, "warming" if warming else "uncovered"
        elif sign.rollup == "mean":
            value = fsum(values.values()) / len(values)
        elif sign.rollup == "share":
            value = sum(v != 0 for v in values.values()) / len(values)
        else:
            value = (max if sign.rollup == "max" else min)(values.values())
            detail["child"] = min(key for key, v in values.items() if v == value)
        n, share = sum(said.n for said in group.values()), len(values) / len(group)
        place = name[1] if name[0] in PLACE_DIGITS else group[min(group)].place
        parents[name] = Said(value, n, share, reason, place, detail if values else None)
    return parents


def answer(
    configuration: Configuration,
    sign: WindowSign,
    rows: list[Row],
    watermark: float,
    horizon: float,
) -> Answers:
    said, pane, forget = Answers(), pane_ms(sign), ms(configuration.forget_s)
    keyed: dict[KeyName, Keyed] = defaultdict(lambda: Keyed([], []))
    for row in rows:
        for name in names_of(sign, row):
            (keyed[name].late if row.late else keyed[name].on_time).append(row)
    if not rows:
        return said
    listed = listed_of(configuration, sign)
    for name in listed:
        keyed[name]  # a key that is listed may have no row
    on_time = [row for row in rows if not row.late]
    beginning = min((row.pane for row in on_time), default=inf)
    last_data = max((row.pane for row in rows if row.pane + pane <= horizon), default=-inf)
    low = min(row.e for row in rows)
    high = max([row.e for row in rows] + ([int(watermark)] if watermark > -inf else []))
    over = sign.rollup in ("max", "min", "mean", "share")
    for start, end in windows(sign, configuration.city.time_zone, low, high):
        said.start[end] = start
        if end > horizon:
            break
        closed = end <= watermark or start <= last_data
        first: dict[KeyName, Said] = {}
        final: dict[KeyName, Said] = {}
        # Who is listed is missed as long as others are heard of late.
        heard = island([row.pane for row in on_time], pane, forget, end) is not None
        for name, (punctual, late) in keyed.items():
            since = island([row.pane for row in punctual], pane, forget, end)
            known = [row for row in punctual if row.e < end]
            corrections = [row for row in late if start <= row.e < end]
            missed = listed[name].counting(end) if name in listed and heard else []
            limit = listed[name].limit(sign, end) if name in listed and sign.limit else None
            unheard = max(beginning, min((row.since for row in missed), default=inf))
            if since is not None and closed:
                opening = beginning if sign.empty == "zero" else since
                place = place_of(name, known)
                first[name] = say(sign, punctual, start, end, opening, place, limit)
            elif missed and closed:
                place = listed[name].place(end, name)
                first[name] = say(sign, punctual, start, end, unheard, place, limit)
            if corrections:
                opening = (
                    beginning if sign.empty == "zero" else (unheard if since is None else since)
                )
                opening = min([opening, *(row.pane for row in corrections)])
                place = place_of(name, known + corrections)
                final[name] = say(sign, punctual + corrections, start, end, opening, place, limit)
        if over:
            sites = sites_of(listed, end) if sign.base == "device" else {}
            parents = roll_up(sign, first, sites)
            if final:
                final |= roll_up(sign, {**first, **final}, sites)
            first |= parents
        said.first[end] = first
        said.final[end] = {name: now for name, now in final.items() if first.get(name) != now}
    return said


def past_mean(sign: Any, of: Answers, corrected_until: float) -> Answers:
    said, step = Answers(), ms(sign.formula.step_s)

    def entry(now: Said, past: list[Said | None]) -> Said:
        values = [then.value for then in past if then is not None and then.value is not None]
        n = sum(then.n for then in past if then is not None)
        share = len(values) / sign.formula.windows
        if past[-1] is None or past[-1].reason == "warming":
            return Said(None, n, share, "warming", now.place, None)
        if len(values) < sign.formula.at_least:
            return Said(None, n, share, "uncovered", now.place, None)
        return Said(fsum(values) / len(values), n, share, None, now.place, None)

    def entries(end: int, look: Any) -> dict[KeyName, Said]:
        back = [look(end - k * step) for k in range(sign.formula.windows)]
        return {name: entry(now, [b.get(name) for b in back]) for name, now in back[0].items()}

    size, hop = ms(sign.window.size_s), ms(sign.window.hop_s)
    for end in of.start:
        if (end - size) % hop == 0:
            said.start[end] = end - size
            said.first[end] = entries(end, lambda at: of.first.get(at, {}))
            corrected = entries(end, of.corrected) if end <= corrected_until else {}
            said.final[end] = {
                name: now for name, now in corrected.items() if said.first[end].get(name) != now
            }
    return said


# --- a whole run ---------------------------------------------------------------------------------


def horizon_of(configuration: Configuration, kind: str, farthest: float) -> float:
    """How far the end of a log takes the lanes of a topic.

    Every window that holds the farthest event time that moved a watermark is closed, with its
    corrections.  What a clock ahead by more than the skew put beyond that stays open.
    """
    if farthest == -inf:
        return -inf
    zone, t = configuration.city.time_zone, int(farthest)
    last = []
    for sign in configuration.signs:
        if isinstance(sign, WindowSign) and TOPIC_OF[sign.topic] == kind:
            ends = [end for start, end in windows(sign, zone, t, t) if start <= t < end]
            last += ends or [min(e for _, e in windows(sign, zone, t, t + 2 * 86_400_000))]
    lateness = max(ms(t.allowed_lateness_s) for t in configuration.topics if t.kind == kind)
    return max(last) + lateness


def is_own(configuration: Configuration, sign: WindowSign) -> bool:
    """Whether each lane finishes the sign for its own devices, by its own time."""
    read = {name for s in configuration.signs if s.kind == "derived" for name in s.inputs}
    return (
        sign.topic == "sensor"
        and sign.base == "device"
        and "device" in sign.keys
        and sign.rollup in ("merge", "none")
        and sign.id not in read
    )


def run(
    configuration: Configuration, log: Mapping[LaneName, Sequence[Record]]
) -> tuple[dict[LaneName, Lane], dict[tuple[str, str, str, int, int], dict[str, Any]]]:
    """Lanes, and results by ``(sign, key level, key, end, rev)``."""
    topics = {topic.name: topic for topic in configuration.topics}
    signs = [sign for sign in configuration.signs if isinstance(sign, WindowSign)]
    lanes = {
        name: read_lane(
            topics[name[0]],
            [s for s in signs if TOPIC_OF[s.topic] == topics[name[0]].kind],
            records,
            configuration.register,
        )
        for name, records in log.items()
    }
    answers: dict[str, Answers] = {}
    farthest = max(lane.watermark + ms(topics[name[0]].disorder_s) for name, lane in lanes.items())
    for sign in signs:
        kind = TOPIC_OF[sign.topic]
        mine = [lane for name, lane in lanes.items() if topics[name[0]].kind == kind]
        rows = [row for lane in mine for row in lane.rows[sign.id]]
        watermark = max(lane.watermark for lane in mine)
        horizon = horizon_of(configuration, kind, farthest)
        answers[sign.id] = answer(configuration, sign, rows, watermark, horizon)
        if is_own(configuration, sign):
            told = answers[sign.id].only(lambda level: level != "device")
            for lane in mine:
                alone = answer(configuration, sign, lane.rows[sign.id], lane.watermark, horizon)
                told.add(alone.only(lambda level: level == "device"))
            answers[sign.id] = told
    for derived in configuration.signs:
        if derived.kind == "derived":
            source = configuration.sign[derived.inputs[0]]
            assert isinstance(source, WindowSign)
            horizon = horizon_of(configuration, source.topic, farthest)
            (topic,) = (t for t in configuration.topics if t.kind == source.topic)
            until = horizon - ms(topic.allowed_lateness_s)
            answers[derived.id] = past_mean(derived, answers[source.id], until)
    results = {}
    for each in configuration.signs:
        if each.id not in answers:
            continue
        said = answers[each.id]
        for rev, ends in enumerate((said.first, said.final)):
            for end, entries in ends.items():
                for (level, key), entry in entries.items():
                    if level in each.keys:
                        result = {**entry._asdict(), "t_start": said.start[end]}
                        results[each.id, level, key, end, rev] = result
    return lanes, results
