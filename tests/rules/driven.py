"""Events that bring a sign of the catalogue to each of its levels and back, one after another.

What has to be sent for a value is worked out from what the sign's words mean, in the plainest way:
a mean of 70 is devices that say 70, a share of 5 % is ten of two hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from schemas.configuration import Configuration
from schemas.devices import Device, Register
from schemas.metrics import METRICS
from schemas.signs import DerivedSign, Sign, WindowSign
from tests.rules.driven_events import (
    EVENING,
    LEVELS,
    MORNING,
    PATTERN,
    PLACE,
    Driven,
    Event,
    Phases,
    call,
    course,
    every,
    measured,
    observed,
    order,
)

NORMAL = {
    # Where a step below the mildest level is no value that can be, or still is of that level.
    "lifeline.gallery_o2": 20.9,
    "waterenv.do": 7.0,
    "waterenv.class": 2,
    "care.news2": 0,
    "drain.river_over": -1.5,
    "meteo.official_warning": 0,
}
LARGEST = {"supply.pressure": 0.05, "waterenv.do": 0.1, "waterenv.class": 6}
"""What the gravest level is shown with, where a step beyond it can not be."""
LIMITED = {
    "drain.manhole_fill": 5.0,
    "drain.river_over": 20.0,
    "waterenv.outfall_ratio": 50.0,
    "lifeline.gas_pressure": 0.4,
    "lifeline.bridge_accel": 40.0,
    "lifeline.bridge_strain": 400.0,
    "crowd.load_ratio": 1000.0,
}
"""The limit that the register has of the device."""


def value_at(sign: Sign, level: int) -> float:
    """A value of a level, 0 for none: a quarter of the way to the next one."""
    assert sign.levels is not None
    given = sign.levels.thresholds.given()
    values = [value for _, value in given]
    step = values[1] - values[0] if len(values) > 1 else values[0] / 2
    if level == 0:
        return NORMAL.get(sign.id, max(0.0, values[0] - step) if values[0] >= 0 else values[0])
    at = [LEVELS.index(name) + 1 for name, _ in given].index(level)
    if _counts(sign):
        return values[at]
    if at + 1 < len(values):
        return values[at] + (values[at + 1] - values[at]) / 4
    if sign.id in LARGEST:
        return LARGEST[sign.id]
    more = values[at] + (values[at] - values[at - 1] if at else step) / 4
    function = getattr(getattr(sign, "aggregate", None), "function", "")
    return min(more, 100.0) if function in ("share", "ratio") and sign.unit == "%" else more


def _counts(sign: Sign) -> bool:
    function = getattr(getattr(sign, "aggregate", None), "function", "")
    return function in ("hits", "count", "distinct") or sign.unit in ("level", "class", "score")


def phases(sign: Sign, begin: int) -> Phases:
    """Normal, each level in turn, and normal again, each long enough to be told and alarmed."""
    assert sign.levels is not None
    assert sign.window.size_s is not None
    assert sign.window.hop_s is not None
    delays = (sign.alert.on_delay_s, sign.alert.off_delay_s) if sign.alert else (0.0, 0.0)
    slack = 4 * sign.window.hop_s + 60 + _reach_s(sign)
    levels = [LEVELS.index(name) + 1 for name, _ in sign.levels.thresholds.given()]
    # The last one is longer: what is sent seldom must be sent again.
    length_s = sign.window.size_s + max(delays) + slack
    return course(begin, length_s, [value_at(sign, level) for level in (0, *levels, 0)])


def _reach_s(sign: Sign) -> float:
    """How much further back a sign looks than its window."""
    return 600.0 if sign.id == "meteo.wind_mean" else 0.0


# --- sensors -------------------------------------------------------------------------------------


def reading(sign: Any, t: int, value: float, device: str = "d0", **more: Any) -> Event:
    metric = sign.match["metric"]
    metric = metric[0] if isinstance(metric, list) else metric
    said: dict[str, Any] = {
        "device": device,
        "metric": metric,
        "value": value,
        "unit": METRICS[metric].unit,
    }
    said |= {"t": t, "place": PLACE, "source": "tests", "site": "s0"}
    for name in ("medium", "site_type"):
        wanted = sign.match.get(name)
        if wanted is not None:
            said[name] = wanted[0] if isinstance(wanted, list) else wanted
    return t, "sensor", {**said, **more}


def values(sign: Any, found: Phases) -> Iterator[Event]:
    """Devices that say what the sign shall have."""
    metric = METRICS[_first(sign.match["metric"])]
    step_s = min(metric.period_s or 60, sign.window.hop_s)
    how, limit, ramp = sign.aggregate, LIMITED.get(sign.id), 0.0
    for t, value, _ in every(found, step_s):
        raw = value / how.scale
        if isinstance(sign, WindowSign) and sign.limit is not None:
            raw = _against(sign, value, 55.0 if limit is None else limit)
        if how.function == "sum" and sign.kind == "window":
            raw *= step_s / sign.window.size_s
        elif how.function == "slope":
            ramp += raw * step_s
            raw = ramp
        # A ten-millionth beyond a threshold that a sum of rounded parts must still reach.
        yield reading(sign, t, round(raw + 1e-6, 6) if raw > 0 else round(raw, 6))


def _first(wanted: Any) -> str:
    return str(wanted[0] if isinstance(wanted, list) else wanted)


def _against(sign: WindowSign, value: float, limit: float) -> float:
    assert sign.limit is not None
    scaled = value / sign.limit.scale
    if sign.limit.how == "ratio":
        return scaled * limit
    return scaled + limit if sign.limit.how == "excess" else limit * (1 + scaled)


_STATES: dict[str, tuple[float, float]] = {
    "energy.ev_fault_rate": (255, 1),
    "energy.ev_offline_rate": (0, 1),
    "energy.ev_utilisation": (3, 1),
    "drain.pump_available": (1, 0),
    "drain.cover_open": (20, 1),
    "fire.alarms": (1, 0),
    "lifeline.lamp_fault_rate": (1, 0),
    "cm.bin_full_rate": (95, 10),
}
"""What counts, and what does not."""


def states(sign: Any, found: Phases) -> Iterator[Event]:
    """Many devices of which so many are in the state that counts."""
    hit, miss = _STATES[sign.id]
    share = sign.aggregate.function == "share"
    count = 200 if share else 12
    period_s = min(sign.period_s, 600)
    for t, value, _ in every(found, period_s):
        hits = round(count * value / 100) if share else round(value)
        for n in range(count):
            yield reading(sign, t + n, hit if n < hits else miss, f"d{n}")


def happenings(sign: Any, found: Phases) -> Iterator[Event]:
    """So many in each window, evenly."""
    size_ms = round(1000 * sign.window.size_s)
    loud = 50.0 if sign.id == "lifeline.bridge_overload" else 1.0
    for begin, end, value in found:
        step = round(size_ms / (value + 0.5)) if value else 0
        if step:
            yield from (reading(sign, t, loud) for t in range(begin, end, step))


def alarms(sign: Any, found: Phases) -> Iterator[Event]:
    """So many different detectors, each again and again."""
    for t, value, _ in every(found, 21_600):
        for n in range(6):
            yield reading(sign, t + n, 1.0 if n < value else 0.0, f"d{n}")


def total(sign: Any, found: Phases) -> Iterator[Event]:
    """One device that says the sum."""
    yield from (reading(sign, t, value) for t, value, _ in every(found, 60))


# --- traffic, warnings, the hotline --------------------------------------------------------------


def hub(sign: Sign, found: Phases) -> Iterator[Event]:
    for t, value, _ in every(found, 20):
        yield observed("transit_hub", t, persons=round(10 * value), capacity=1000)


def trucks(sign: Sign, found: Phases) -> Iterator[Event]:
    for t, value, _ in every(found, 300):
        for n in range(round(value)):
            event = {"event_id": f"e{n}", "cls": "dump_truck", "source_id": f"v{n}"}
            yield observed("vehicle_event", t + n, **event)


def incidents(sign: Sign, found: Phases) -> Iterator[Event]:
    for t, value, _ in every(found, 60):
        for n in range(round(value)):
            yield observed("incident", t + n, event_id=f"e{n}", source_id=f"i{n}")


def exhaust(sign: Sign, found: Phases) -> Iterator[Event]:
    for n, (t, value, _) in enumerate(every(found, 10)):
        yield observed("remote_sensing", t, exceed=n * PATTERN % 100 < value, source_id=f"v{n}")


def parking(sign: Sign, found: Phases) -> Iterator[Event]:
    for t, value, _ in every(found, 60):
        yield observed("parking", t, occupied=min(1000, round(10 * value)), capacity=1000)


def queue(sign: Sign, found: Phases) -> Iterator[Event]:
    for t, value, _ in every(found, 60):
        yield observed("intersection", t, queue_m=round(100 * value, 3), link_len_m=100)


def speed(sign: Sign, found: Phases) -> Iterator[Event]:
    for t, value, _ in every(found, 60):
        yield observed("segment_flow", t, speed_kmh=round(60 * value, 3), free_flow_kmh=60)


def warnings(sign: Sign, found: Phases) -> Iterator[Event]:
    for n, (begin, end, value) in enumerate(found):
        said: dict[str, Any] = {
            "kind": "warning",
            "warning_id": f"w{n}",
            "issuer": "x",
            "event": "rain",
        }
        said |= {"t": begin, "place": PLACE[:6], "level": round(value), "source": "tests"}
        yield begin, "external", {**said, "id": f"w{n}", "status": "active", "t_expires": end}


def spread(step_s: float, send: Callable[[int, int, bool], Event], parts: int = 100) -> Any:
    """Events of which a share has a property: so many parts of ``parts`` that follow each other."""

    def drive(sign: Sign, found: Phases) -> Iterator[Event]:
        for n, (t, value, _) in enumerate(every(found, step_s)):
            yield send(t, n, n * PATTERN % parts * 100 < value * parts)

    return drive


def dispatched(sign: Sign, found: Phases) -> Iterator[Event]:
    for n, (t, value, _) in enumerate(every(found, 30)):
        yield order(t, n, "dispatched", t_created=t - round(1000 * value))


def urgent(sign: Sign, found: Phases) -> Iterator[Event]:
    number = 0
    for begin, end, value in found:
        step = round(900_000 / value) if value else end - begin
        for t in range(begin, end if value else begin, step):
            number += 1
            yield order(t, number, "created", urgency="urgent", seq=0, t_created=t)


def closed(system: str) -> Any:
    def send(t: int, n: int, ok: bool) -> Event:
        due = t + 1000 if ok else t - 500
        return order(t, n, "closed", system=system, due=due)

    return spread(1800, send)


# --- signs of signs ------------------------------------------------------------------------------


def wind(sign: Sign, found: Phases) -> Iterator[Event]:
    for t, value, _ in every(found, 30):
        yield measured("wind_speed", t, round(value, 3))


def outfall(sign: Sign, found: Phases) -> Iterator[Event]:
    for t, value, _ in every(found, 300):
        raw = round(value * LIMITED["waterenv.outfall_ratio"], 3)
        yield measured("cod", t, raw, medium="effluent")


def water(sign: Sign, found: Phases) -> Iterator[Event]:
    """Oxygen, ammonia and pH of a class; the oxygen of it decides."""
    oxygen = {2: 6.5, 4: 3.5, 5: 2.5, 6: 1.0}
    for t, value, _ in every(found, 1800):
        yield measured("do", t, oxygen[round(value)], medium="surface_water")
        yield measured("nh3n", t, 0.1, medium="surface_water")
        yield measured("ph", t, 7.0, medium="surface_water")


def body(sign: Sign, found: Phases) -> Iterator[Event]:
    """Points from heart, breath and oxygen: 131 beats are 3, 25 breaths 3, 90 % 3."""
    for t, value, _ in every(found, 60):
        points = round(value)
        hr = {0: 70, 1: 100, 2: 120}.get(points, 140)
        resp = {0: 16, 2: 22}.get(max(0, points - 3), 28 if points > 3 else 16)
        spo2 = {0: 98, 1: 94}.get(max(0, points - 6), 90 if points > 6 else 98)
        for metric, raw in (("hr", hr), ("resp", resp), ("spo2", spo2)):
            yield measured(metric, t, raw, site_type="elder")


DRIVERS: dict[str, Callable[[Any, Phases], Iterator[Event]]] = {
    "traffic.hub_load": hub,
    "traffic.heavy_truck_violation": trucks,
    "traffic.incidents": incidents,
    "traffic.exhaust_exceed_rate": exhaust,
    "traffic.parking_occupancy": parking,
    "traffic.queue_ratio": queue,
    "traffic.speed_ratio": speed,
    "meteo.official_warning": warnings,
    "meteo.wind_mean": wind,
    "waterenv.outfall_ratio": outfall,
    "waterenv.class": water,
    "care.news2": body,
    "care.sos": happenings,
    "safety.site_violations": happenings,
    "lifeline.bridge_overload": happenings,
    "fire.rental_alarms_24h": alarms,
    "energy.outage_users": total,
    "hotline.urgent": urgent,
    "hotline.dispatch_p95": dispatched,
    "hotline.answer_15s": spread(20, lambda t, n, ok: call(t, n, wait_s=10 if ok else 40)),
    "hotline.connect_rate": spread(120, lambda t, n, ok: call(t, n, answered=ok)),
    # A day has 400 of them: a quarter of a per cent each.
    "hotline.dispatch_accuracy": spread(
        216, lambda t, n, ok: order(t, n, "accepted" if ok else "returned"), 400
    ),
    "hotline.auto_dispatch": spread(
        300, lambda t, n, ok: order(t, n, "dispatched", by="auto" if ok else "human")
    ),
    "hotline.satisfaction": spread(
        1800, lambda t, n, ok: order(t, n, "evaluated", satisfied=ok, resolved=True)
    ),
    "hotline.resolved_rate": spread(
        1800, lambda t, n, ok: order(t, n, "evaluated", satisfied=True, resolved=ok)
    ),
    "hotline.on_time_close": closed("12345"),
    "cm.on_time_rate": closed("cgj"),
    **dict.fromkeys(_STATES, states),
}


def phases_of(sign: Sign, driven: Driven | None = None) -> Phases:
    """From when to when the sign shall have which value."""
    if driven is not None and driven.phases is not None:
        return driven.phases(sign)
    return phases(sign, EVENING if sign.id == "noise.night_peak" else MORNING)


def drive(sign: Sign, driven: Driven | None = None) -> list[Event]:
    """The events, in the order of their times."""
    driver = DRIVERS.get(sign.id, values) if driven is None else driven.events
    found = phases_of(sign, driven)
    events = sorted(driver(sign, found), key=lambda event: event[0])
    # Another thing goes on when no more of this one comes, and tells how late it is.
    return [*events, *(other(kind, found[-1][1]) for kind in {kind for _, kind, _ in events})]


def other(kind: str, t: int) -> Event:
    if kind == "traffic":
        return observed("intersection", t, source_id="other", site="s9")
    if kind == "hotline":
        return order(t, 999_999, "in_progress", system="zz")
    if kind == "external":
        said: dict[str, Any] = {
            "kind": "warning",
            "warning_id": "other",
            "issuer": "x",
            "event": "other",
        }
        said |= {"t": t, "place": "440103", "level": 0, "source": "tests", "id": "other"}
        return t, kind, {**said, "status": "cancelled"}
    return measured("humidity", t, 50.0, device="other", site="s9")


def alone(configuration: Configuration, sign: Sign, driven: Driven | None = None) -> Configuration:
    """A configuration of a sign and those it is made of, and a register with its limit."""
    by_id = {each.id: each for each in configuration.signs}
    wanted, left = dict[str, Sign](), [sign]
    while left:
        each = left.pop()
        wanted[each.id] = each
        if isinstance(each, DerivedSign):
            left += [by_id[name] for name in each.inputs]
        if each.alert is not None and each.alert.early is not None:
            left.append(by_id[each.alert.early.rate])
    content = configuration.model_dump(mode="json")
    content["signs"] = [each.model_dump(mode="json") for each in wanted.values()]
    content["incidents"] = content["overlays"] = []
    for topic in content["topics"]:
        topic["partitions"] = 1
    made = Configuration.model_validate(content)
    return made.with_register(register_of(sign) if driven is None else driven.register)


def register_of(sign: Sign) -> Register:
    """The device of a sign that is judged against a limit; empty for others."""
    metric = {"waterenv.outfall_ratio": "cod"}.get(sign.id)
    if metric is None:
        match = getattr(sign, "match", {})
        metric = _first(match["metric"]) if "metric" in match else None
    limit = LIMITED.get(sign.id)
    if metric is None or (limit is None and getattr(sign, "limit", None) is None):
        return Register()
    device = "d-cod" if metric == "cod" else "d0"
    row = Device(device, "sensor", metric, "tests", PLACE, "s0", period_s=60.0)
    depth = limit if sign.id == "drain.manhole_fill" else None
    medium = "effluent" if metric == "cod" else getattr(sign, "match", {}).get("medium", "")
    row = row._replace(medium=medium)
    return Register([row._replace(limit=limit, noise_zone="4a", well_depth_m=depth)])
