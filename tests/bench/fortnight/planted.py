"""What is planted in the fortnight: a story for each sign that is asked for, and of every incident.

Each story carries its truth, which is worked out from the values it was written with and from the
thresholds of the catalogue, before anything is fed to the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from schemas.devices import Device
from schemas.incidents import Incident
from schemas.related import Relation
from schemas.signs import Sign
from tests.bench.fortnight import weeks
from tests.bench.fortnight.stories import CITY, DAY_MS, Districts, Event, Home, Span
from tests.rules import driven_incidents_hazards as hazards
from tests.rules import driven_incidents_people as people
from tests.rules import driven_incidents_water as water
from tests.rules.driven import DRIVERS, phases_of, register_of, values
from tests.rules.driven_all import CATALOGUE, DRIVEN, MORE, SURPRISING
from tests.rules.driven_events import LEVELS, MORNING, PLACE, Driven, Phases, order
from tests.rules.driven_incidents_related import RED
from tests.rules.driven_incidents_tools import DAY as SCENE_DAY
from tests.rules.driven_incidents_tools import HOUR, Scene, Step, at
from tests.rules.driven_surprises import SURPRISING as SURPRISES
from tests.rules.driven_surprises import surprises
from tests.rules.incident_runs import GRID

BEGIN = 1_783_267_200_000
"""2026-07-06 00:00 in Guangzhou, a Monday: of no holiday, and of one month with its fortnight."""
MIDNIGHT = MORNING - 6 * HOUR
LAST_DAY = 13
APART_MS = 26 * HOUR
"""So long is a district quiet between two stories: a window of a day, and what follows it."""
DISTRICTS = [f"{CITY}{n:02}" for n in range(10, 100)]
BACKGROUND = ["440103", "440104"]
NEIGHBOURS = {
    "city.domain_index": "440601",
    "city.health_index": "440501",
    "care.sos_most": "440701",
    "cm.case_rate": "440801",
    "cm.video_ai_events": "440901",
    "hotline.inflow": "441201",
    "hotline.inflow_ratio": "441301",
}
"""Districts of other cities, for signs of a whole city: here all other stories are a part of it."""
BASELINE = (*SURPRISES, "med.er_arrivals", "hotline.topic_burst", "hotline.inflow_ratio")
"""Signs that are judged by what is usual at this hour; their usual days go four weeks back."""
SCENES = {**water.SCENES, **people.SCENES, **hazards.SCENES, **RED}
TOGETHER = {
    "city.health_index": "crowd",
    "ce.flooded_road_blocked": "drain",
    "ce.sensor_fault": "drain",
    "ce.storm_mode": "drain",
    "ce.gas_leak": "hazchem",
    "lifeline.gas_leak": "hazchem",
    "lifeline.gas_pressure": "hazchem",
    "ce.citizen_hotspot": "cm",
    "ce.heat_health": "care",
}
"""Rules told on the days of another domain than their own: they are made of its signs."""
DAYS = {"hotline.answer_15s": 0, "hotline.connect_rate": 3}
"""Both are about all calls of the city, and so a day apart."""
LEFT_OPEN = ("hotline.open_age_p90", "hotline.urgent", "hotline.dispatch_p95")
"""Signs whose drives leave orders open, which would grow older than orders shall be."""
OWN_BASELINE = ("burst", "order burst", "burst at a hospital")
"""Scenes with usual working days before them: they begin on the weekday they were written for."""


class Phase(NamedTuple):
    """From when to when, int64 ms UTC, a sign has a value and so a level."""

    begin: int
    end: int
    value: float
    level: int


class SignTruth(NamedTuple):
    """What shall be said of a sign at its keys, and in which episodes.

    Parameters
    ----------
    keys
        Key levels and keys at which the planted values must be seen.
    alerted
        Those of them that have alerts: one episode each.
    phases
        One after the other.
    surprise
        Whether the levels are those of anomalies, and the episodes too.
    """

    keys: frozenset[tuple[str, str]]
    alerted: frozenset[tuple[str, str]]
    phases: tuple[Phase, ...]
    surprise: bool = False


class IncidentTruth(NamedTuple):
    """Every transition of an incident at a key: the story of the scene, in ms."""

    key: str
    steps: tuple[tuple[int, Step], ...]


class Story(NamedTuple):
    """One drive at one place.

    Parameters
    ----------
    rule
        Sign or incident.
    name
        Its own; the sign's id, or that of the scene.
    """

    rule: str
    name: str
    home: Home
    span: Span
    events: tuple[Event, ...]
    devices: tuple[Device, ...]
    truth: SignTruth | IncidentTruth
    relations: tuple[Relation, ...] = ()


# --- signs ---------------------------------------------------------------------------------------


@cache
def driven_of(name: str) -> Driven | None:
    return weeks.DRIVEN.get(name) or MORE.get(name) or SURPRISES.get(name)


def _drawn(sign: Sign) -> tuple[Phases, list[Event]]:
    """Phases and events as they were written, with the usual days of four weeks."""
    driven = driven_of(sign.id)
    found = phases_of(sign, driven)
    driver = DRIVERS.get(sign.id, values) if driven is None else driven.events
    events = sorted(driver(sign, found), key=lambda event: event[0])
    if sign.id in BASELINE:
        usual = [event for event in events if event[0] < found[0][0]]
        events = [*(e for n in (3, 2, 1) for e in _week(usual, n, found[0][0])), *events]
    if sign.id in LEFT_OPEN:
        events += _ended(events, found[-1][1])
    return found, events


def _week(usual: list[Event], weeks_before: int, begin: int) -> Iterator[Event]:
    """The usual days so many weeks before, and the last of them on the weekday that is driven."""
    yield from _earlier(usual, 7 * weeks_before)
    last = [event for event in usual if event[0] >= begin - DAY_MS - HOUR]
    if last and not any(event[0] < begin - 6 * DAY_MS for event in usual):
        yield from _earlier(last, 7 * weeks_before - 1)


def _earlier(events: list[Event], days_before: int) -> Iterator[Event]:
    for t, kind, said in events:
        back = days_before * DAY_MS
        times = {name: said[name] - back for name in ("t", "t_created") if name in said}
        if "order_id" in said:
            times["order_id"] = f"{said['order_id']}-{days_before}"
        yield t - back, kind, {**said, **times}


def _ended(events: list[Event], end: int) -> list[Event]:
    """The orders that are open are closed: they would grow older than they shall be."""
    opened: dict[str, int] = {}
    for _, _, said in events:
        if said["status"] == "closed":
            opened.pop(said["order_id"], None)
        else:
            opened[said["order_id"]] = said["t_created"]
    return [
        order(end, int(name[1:]), "closed", seq=1, t_created=created)
        for name, created in opened.items()
    ]


def sign_story(sign: Sign, length_ms: int, districts: Districts) -> Story:
    """The story of a sign on one of the days on which it fits into so long a time."""
    found, events = _drawn(sign)
    first, last = events[0][0], max(events[-1][0], found[-1][1])
    # Usual days and weeks go before the fortnight; what is planted is in it.
    room = (length_ms - (last - MIDNIGHT)) // DAY_MS
    days = 7 * (room >= 7) if sign.id in BASELINE else min(_turn(sign.id, sign.domain), room)
    shift = BEGIN - MIDNIGHT + days * DAY_MS
    span = Span(first + shift, last + shift)
    district = NEIGHBOURS.get(sign.id) or districts.take(span)
    home = Home(sign.id, shift, district, PLACE[:6], own_topics=True)
    moved = tuple(home.events(events))
    driven = driven_of(sign.id)
    rows = (register_of(sign) if driven is None else driven.register).devices
    devices = tuple(home.device(row, *span) for row in rows)
    keys = frozenset(keys_of(sign, home, moved))
    rule = sign.model if sign.id in SURPRISES else sign.alert
    wanted = rule.keys or sign.keys if rule else ()
    alerted = frozenset(key for key in keys if key[0] in map(str, wanted))
    phases = _phases(sign, found, events, shift)
    truth = SignTruth(keys, alerted, phases, surprise=sign.id in SURPRISES)
    return Story(sign.id, sign.id, home, span, moved, devices, truth)


@cache
def _turns() -> list[str]:
    """Domains, in the order of their days."""
    return list(dict.fromkeys(sign.domain for sign in DRIVEN))


def _turn(rule: str, domain: str) -> int:
    """How many days after the first one a rule has its day, if there are so many.

    Those of a domain have the same: what closes windows for one of them closes them for all.
    """
    return DAYS.get(rule, _turns().index(TOGETHER.get(rule, domain)) % LAST_DAY)


def _phases(sign: Sign, found: Phases, events: list[Event], shift: int) -> tuple[Phase, ...]:
    if sign.levels is None:
        wanted = zip(found, surprises(sign), strict=True)
        return tuple(Phase(b + shift, e + shift, v, level) for (b, e, v), (_, level) in wanted)
    levels = [LEVELS.index(name) + 1 for name, _ in sign.levels.thresholds.given()]
    phases = []
    for (begin, end, value), level in zip(found, [0, *levels, 0], strict=True):
        exact = _share(sign, events, end) if sign.id in _SHARES else value
        if sign.unit == "%" and sign.levels.compare == "lt":
            exact = min(exact, 100.0)
        phases.append(Phase(begin + shift, end + shift, exact, level))
    return tuple(phases)


_SHARES = weeks.DRIVEN.keys() - {"hotline.wellbeing"}


def _share(sign: Sign, events: list[Event], end: int) -> float:
    what = {"hotline.satisfaction": "satisfied", "hotline.resolved_rate": "resolved"}.get(sign.id)
    goods = [(t, said[what] if what else said["due"] > t) for t, _, said in events]
    return weeks.share_at(goods, end)


def keys_of(sign: Sign, home: Home, events: tuple[Event, ...]) -> Iterator[tuple[str, str]]:
    """Where the planted values are those of a key, however many other ones the city has."""
    for level in map(str, sign.keys):
        if level in map(str, getattr(sign, "hidden", ())):
            continue
        base, _, place = level.partition("*")
        if place:
            where = {home.city} if place == "city" else _named(place, events)
            yield from ((level, f"{head}*{key}") for head in _heads(base, events) for key in where)
        elif level == "city":
            if events[0][2]["place"] == CITY or sign.id in NEIGHBOURS:
                yield level, home.city
        else:
            yield from ((level, key) for key in _named(level, events))


_FIELDS = {
    "device": "device",
    "site": "site",
    "station": "site",
    "segment": "source_id",
    "intersection": "source_id",
}
_DIGITS = {"grid": 15, "community": 12, "street": 9, "district": 6}


def _named(level: str, events: tuple[Event, ...]) -> set[str]:
    if level in _FIELDS:
        return {said[_FIELDS[level]] for _, _, said in events if _FIELDS[level] in said}
    digits = _DIGITS[level]
    return {said["place"][:digits] for _, _, said in events if len(said["place"]) >= digits}


def _heads(base: str, events: tuple[Event, ...]) -> set[str]:
    """Classes, platforms, the one domain that is driven; no order names a department."""
    if base in ("platform", "cls"):
        return {said["source" if base == "platform" else base] for _, _, said in events}
    if base == "category":
        return {said["category"][-1] for _, _, said in events}
    return {"traffic"} if base == "domain" else set()


# --- incidents -----------------------------------------------------------------------------------


def scene_story(name: str, scene: Scene, length_ms: int, districts: Districts) -> Story:
    events = sorted(scene.all_events(), key=lambda event: event[0])
    first, last = events[0][0], max(events[-1][0], at(scene.until))
    room = (length_ms - (last - SCENE_DAY)) // DAY_MS
    before = max(0, -((first - SCENE_DAY) // DAY_MS))
    turn = max(before, _turn(scene.incident, INCIDENTS[scene.incident].domain))
    days = 7 * (room >= 7) if name in OWN_BASELINE else max(0, min(turn, room))
    shift = BEGIN - SCENE_DAY + days * DAY_MS
    span = Span(first + shift, last + shift)
    home = Home(f"{scene.incident}.{name}", shift, districts.take(span), GRID[:6])
    steps = tuple((at(step.time) + shift, step) for step in scene.story)
    return Story(
        scene.incident,
        home.name,
        home,
        span,
        tuple(home.events(events)),
        tuple(home.device(row, *span) for row in scene.devices),
        IncidentTruth(_key(scene.key, home), steps),
        tuple(home.relation(row, *span) for row in scene.relations),
    )


def _key(key: str, home: Home) -> str:
    head, _, place = key.rpartition("*")
    if not place.isdigit():
        return home.named(key)
    return f"{head}*{home.place(place)}" if head else home.place(place)


# --- all of them ---------------------------------------------------------------------------------

SIGNS: Mapping[str, Sign] = {sign.id: sign for sign in CATALOGUE.signs}
INCIDENTS: Mapping[str, Incident] = {one.id: one for one in CATALOGUE.incidents}


def plant(days: int, only: frozenset[str] | None = None) -> list[Story]:
    """The stories of the signs and incidents that fit into so many days; of those named alone."""
    districts = Districts(DISTRICTS, APART_MS)
    stories = []
    for name, scene in SCENES.items():
        if only is None or scene.incident in only:
            stories.append(scene_story(name, scene, days * DAY_MS, districts))
    for sign in (*DRIVEN, *SURPRISING):
        if only is None or sign.id in only:
            stories.append(sign_story(sign, days * DAY_MS, districts))
    return stories
