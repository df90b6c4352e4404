"""What the oracle makes of one lane: bins, watermark, and the rows of every sign.

An event is ``(logged, fields)``; ``fields`` is None where the record cannot pass the gate, or its
bytes where something of them can be read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd, inf
from typing import Any, NamedTuple

from schemas.configuration import Topic
from schemas.devices import Register
from schemas.metrics import METRICS
from schemas.signs import WindowSign
from tests.rules.facts import arrival_of, fact_of, refused_arrival

PLACE_DIGITS = {"city": 4, "district": 6, "street": 9, "community": 12, "grid": 15}
LEVEL_OF_DIGITS = {digits: level for level, digits in PLACE_DIGITS.items()}
HOUR_MS = 3_600_000

LaneName = tuple[str, int]
Record = tuple[int, dict[str, Any] | bytes | None]
KeyName = tuple[str, str]


class Row(NamedTuple):
    """What one event adds to one sign."""

    e: int
    pane: int
    late: bool
    level: str
    key: str
    place: str
    value: int
    weight: int
    member: str
    covered: int


@dataclass
class Lane:
    """What one lane made of its records."""

    bins: Counter[str] = field(default_factory=Counter)
    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    late: list[tuple[int, int]] = field(default_factory=list)
    watermark: float = -inf


def micro(x: float) -> int:
    return round(x * 1e6)


def ms(seconds: float) -> int:
    return round(seconds * 1000)


def event_time(kind: str, event: Mapping[str, Any]) -> int:
    end: int | None = event.get("t_end") if kind != "hotline" else None
    return event["t"] if end is None else end


def identity(kind: str, event: Mapping[str, Any]) -> tuple[Any, ...] | None:
    if event.get("id") is not None:
        return ("id", event.get("source"), event["id"])
    names = {
        "sensor": ("device", "metric", "t", "seq"),
        "traffic": ("kind", "source_id", "lane", "direction", "t"),
        "hotline": ("system", "order_id", "seq", "status"),
    }[kind]
    if kind == "hotline" and event["kind"] == "call":
        return None
    return ("natural", *(event.get(name) for name in names))


def measured(sign: WindowSign, event: Mapping[str, Any]) -> tuple[int, int, str] | None:
    """``(value, second value, member)``, or None where a field is absent."""
    what = sign.aggregate
    if what.function == "count" or (what.function == "rate" and what.of is None):
        return (0, 0, "")
    if what.function == "tpi":
        fields = [event.get(f) for f in ("link_len_m", "speed_kmh", "free_flow_kmh")]
        if None in fields:
            return None
        length, speed, free = fields
        return (micro(length * 3.6 / max(speed, 1)), micro(length * 3.6 / max(free, 1)), "")
    if what.function in ("share", "hits"):
        conditions = [*(what.where or {}).items(), *(what.among or {}).items()]
        if any(event.get(name) is None for name, _ in conditions):
            return None
        could = all(holds(event[name], wanted) for name, wanted in (what.among or {}).items())
        does = all(holds(event[name], wanted) for name, wanted in (what.where or {}).items())
        return (int(could and does), int(could), "")
    of = event.get(what.of or "value")
    if of is None:
        return None
    if what.function == "distinct" and not all(
        holds(event.get(name), wanted) for name, wanted in (what.where or {}).items()
    ):
        return None
    if what.function == "distinct":
        return (0, 0, str(of))
    if what.function == "leq":
        return (round(10 ** (of / 10) * 1000), 0, "")
    if what.over is None:
        return (micro(of), 0, "")
    over = event.get(what.over)
    if what.function == "ratio":
        return None if over is None else (micro(of), micro(over), "")
    return (micro(of / over), 0, "") if over and of / over <= 1e12 else None


def holds(value: Any, wanted: Any) -> bool:
    """Whether one condition holds of a field's value."""
    if hasattr(wanted, "at_least"):
        low = -inf if wanted.at_least is None else wanted.at_least
        high = inf if wanted.at_most is None else wanted.at_most
        return value is not None and low <= value <= high
    return value in wanted if isinstance(wanted, list) else bool(value == wanted)


def takes(sign: WindowSign, kind: str, event: Mapping[str, Any]) -> bool:
    if kind in ("sensor", "traffic") and event.get("q") in ("bad", "calib", "maint"):
        return False
    for name, wanted in sign.match.items():
        accepted = wanted if isinstance(wanted, list) else [wanted]
        if event.get(name) not in accepted:
            return False
    return measured(sign, event) is not None


def covered_ms(kind: str, event: Mapping[str, Any]) -> int:
    if kind == "sensor":
        period = event.get("period_s")
        return ms(METRICS[event["metric"]].period_s if period is None else period)
    if kind == "traffic" and event.get("t_end") is not None:
        return int(event["t_end"] - event["t"])
    return 0


def dimension_of(sign: WindowSign) -> str | None:
    """The field by which the keys of places are divided, if they are."""
    return next((key.partition("*")[0] for key in sign.keys if "*" in key), None)


def base_key(sign: WindowSign, kind: str, event: Mapping[str, Any]) -> KeyName:
    reporter = event.get("device" if kind in ("sensor", "arrivals") else "source_id")
    if sign.base in ("station", "site"):
        return sign.base, event.get("site") or str(reporter)
    if sign.base not in PLACE_DIGITS:
        return sign.base, str(reporter)
    place = str(event["place"])[: PLACE_DIGITS[sign.base]]
    level, dimension = LEVEL_OF_DIGITS[len(place)], dimension_of(sign)
    divided = dimension and event.get(dimension)
    return (f"{dimension}*{level}", f"{divided}*{place}") if divided else (level, place)


def pane_ms(sign: Any) -> int:
    if sign.window.calendar:
        return HOUR_MS
    return gcd(ms(sign.window.size_s), ms(sign.window.hop_s))


def row_of(
    sign: WindowSign, kind: str, event: Mapping[str, Any], e: int, covered: int, before: float
) -> Row:
    level, key = base_key(sign, kind, event)
    value, weight, member = measured(sign, event) or (0, 0, "")
    pane = e // pane_ms(sign) * pane_ms(sign)
    late = pane + pane_ms(sign) <= before
    return Row(e, pane, late, level, key, str(event["place"]), value, weight, member, covered)


def read_lane(
    topic: Topic, signs: Sequence[WindowSign], records: Iterable[Record], register: Register
) -> Lane:
    lane, noted = Lane(), dict[tuple[Any, ...], int]()
    lateness, skew = ms(topic.allowed_lateness_s), ms(topic.skew_s)
    of_events = [sign for sign in signs if sign.topic != "arrivals"]
    of_arrivals = [sign for sign in signs if sign.topic == "arrivals"]

    def arrive(arrival: Mapping[str, Any] | None, at: float) -> None:
        if arrival is not None and at > -inf:
            for sign in of_arrivals:
                if takes(sign, "arrivals", arrival):
                    lane.rows[sign.id].append(row_of(sign, "arrivals", arrival, int(at), 0, -inf))

    for offset, (logged, event) in enumerate(records):
        lane.bins["read"] += 1
        before = lane.watermark
        if event is None or isinstance(event, bytes):
            lane.bins["rejected"] += 1
            if isinstance(event, bytes) and before > -inf:
                arrive(refused_arrival(event, int(before), register), before)
            continue
        e = event_time(topic.kind, event)
        if e <= logged + skew:
            lane.watermark = max(lane.watermark, e - ms(topic.disorder_s))
        who = identity(topic.kind, event)
        if who is not None and who in noted and noted[who] >= before - lateness:
            lane.bins["duplicate"] += 1
            continue
        if topic.kind == "sensor":
            counts_at = before if e > logged + skew else max(e, before)
            arrive(arrival_of(event, e, logged, register), counts_at)
        if e < before - lateness:
            lane.bins["late"] += 1
            lane.late.append((offset, int(before - e)))
            continue
        if who is not None:
            noted[who] = e
        fact = fact_of(event, e) if topic.kind == "hotline" else event
        taking = [sign for sign in of_events if takes(sign, topic.kind, fact)]
        lane.bins["accepted" if taking else "filtered"] += 1
        lane.bins["accepted_late"] += bool(taking and e < before)
        for sign in taking:
            covered = covered_ms(topic.kind, event)
            lane.rows[sign.id].append(row_of(sign, topic.kind, fact, e, covered, before))
    return lane
