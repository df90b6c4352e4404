"""Events that bring a sign without levels to a value, worked out from what its words mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from schemas.devices import Device, Register
from tests.rules.driven import other
from tests.rules.driven_events import EVENING, MORNING, PLACE, Event, measured, observed, order

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


class Steady(NamedTuple):
    """The same thing again and again, and what the sign says of it.

    Parameters
    ----------
    events
        From one time to another, so many times as much as is ordinary.
    value
        What the sign says of what is ordinary.
    hours
        How long it goes on.
    begin
        Since when, int64 ms UTC.
    limit
        What the register allows of the metric.
    much
        How many times as much is out of the ordinary.
    """

    events: Callable[[int, int, float], Iterator[Event]]
    value: float
    hours: float = 3
    begin: int = MORNING
    limit: tuple[str, float] | None = None
    much: float = 5.0

    def drive(self) -> list[Event]:
        """The events of an ordinary time."""
        return list(self.events(self.begin, self.begin + round(self.hours * HOUR_MS), 1.0))

    @property
    def register(self) -> Register:
        """The device of which a limit is known."""
        if self.limit is None:
            return Register()
        metric, limit = self.limit
        row = Device(f"d-{metric}", "sensor", metric, "tests", PLACE, "s0", period_s=300.0)
        return Register([row._replace(medium="effluent", limit=limit)])


def _every(step_s: float, begin: int, end: int) -> Iterator[tuple[int, int]]:
    return enumerate(range(begin, end, round(1000 * step_s)))


def readings(metric: str, value: float, step_s: float = 60, **more: Any) -> Any:
    """A device that says a value, times the factor."""

    def drive(begin: int, end: int, factor: float) -> Iterator[Event]:
        for _, t in _every(step_s, begin, end):
            yield measured(metric, t, round(value * factor, 6), **more)

    return drive


def happenings(send: Callable[[int, int], Event], step_s: float) -> Any:
    """Things that happen every so often, the factor as often."""

    def drive(begin: int, end: int, factor: float) -> Iterator[Event]:
        for n, t in _every(step_s / factor, begin, end):
            yield send(t, n)

    return drive


def created(t: int, n: int, **more: Any) -> Event:
    """An order that is new, of one of three callers."""
    said = {"category": ["noise"], "caller_hash": f"caller {n % 3}", "order_id": f"o{t}"}
    return order(t, n, "created", seq=0, t_created=t, **said, **more)


def flows(begin: int, end: int, factor: float) -> Iterator[Event]:
    """Ten vehicles a minute."""
    for _, t in _every(60, begin, end):
        yield observed("segment_flow", t, intensity=round(10 * factor), period_s=60.0)


def gates(begin: int, end: int, factor: float) -> Iterator[Event]:
    """Thirty come in a minute, and twelve go."""
    yield from readings("person_in", 30)(begin, end, factor)
    yield from readings("person_out", 12)(begin, end, factor)


def seen(t: int, n: int) -> Event:
    return measured("ai_event", t, 1.0, cls="rubbish", conf=0.9)


def warned(event: str, begin: int, end: int, factor: float) -> Iterator[Event]:
    """A warning of the third level, all the time."""
    said: dict[str, Any] = {"kind": "warning", "warning_id": "w0", "issuer": "x", "id": "w0"}
    said |= {"event": event, "t": begin, "place": PLACE[:6], "level": 3, "source": "tests"}
    yield begin, "external", {**said, "status": "active", "t_expires": end}


BODY = partial(readings, site_type="elder")
RIVER = partial(readings, step_s=900, medium="surface_water")


def outfall(metric: str, value: float, limit: float) -> Steady:
    """An outfall of which a permit is known; the sign says the share of it."""
    events = readings(metric, value, 300, medium="effluent")
    return Steady(events, value / limit, limit=(metric, limit))


UNRATED: dict[str, Steady] = {
    "air.so2_1h": Steady(readings("so2", 15, 300), 15),
    "air.no2_1h": Steady(readings("no2", 20, 300), 20),
    "air.co_1h": Steady(readings("co", 0.8, 300), 0.8),
    "care.resp": Steady(BODY("resp", 16), 16, hours=1),
    "care.spo2": Steady(BODY("spo2", 98), 98, hours=1),
    "care.sbp": Steady(BODY("sbp", 120, 3600), 120),
    "care.hr": Steady(BODY("hr", 70), 70, hours=1),
    "care.body_temperature": Steady(BODY("body_temperature", 36.6, 600), 36.6, hours=1),
    # Four quarters of an hour with five each.
    "med.er_count": Steady(readings("er_arrival", 5, 900), 20),
    "crowd.inflow": Steady(gates, 30, hours=1),
    "crowd.outflow": Steady(gates, 12, hours=1),
    "crowd.net_inflow": Steady(gates, 18, hours=1),
    "hotline.inflow": Steady(happenings(created, 360), 10),
    "hotline.topic_orders": Steady(happenings(created, 180), 5),
    "hotline.topic_callers": Steady(happenings(created, 180), 3),
    "meteo.warning_rain": Steady(partial(warned, "rain"), 3),
    "meteo.warning_typhoon": Steady(partial(warned, "typhoon"), 3),
    "meteo.warning_heat": Steady(partial(warned, "heat"), 3),
    "supply.flow": Steady(readings("pipe_flow", 120, 60, medium="water"), 120, hours=1),
    "cm.case_rate": Steady(happenings(partial(created, system="grid"), 300), 12),
    "cm.video_ai_events": Steady(happenings(seen, 600), 6),
    "noise.day_leq": Steady(readings("laeq", 58), 58, hours=17),
    "noise.night_leq": Steady(readings("laeq", 48), 48, hours=9, begin=EVENING),
    "noise.leq_1h": Steady(readings("laeq", 58), 58, much=1.3),
    "traffic.flow": Steady(flows, 600, hours=1),
    "waterenv.codmn": Steady(RIVER("codmn", 3.2), 3.2, hours=5),
    "waterenv.tp": Steady(RIVER("tp", 0.12), 0.12, hours=5),
    "waterenv.ph": Steady(RIVER("ph", 7.1), 7.1, hours=5),
    "waterenv.outfall_cod": outfall("cod", 30, 50),
    "waterenv.outfall_nh3n": outfall("nh3n", 1.5, 5),
    "waterenv.outfall_tp": outfall("tp", 0.3, 0.5),
    "waterenv.outfall_tn": outfall("tn", 10, 15),
    "meteo.wind_2min": Steady(readings("wind_speed", 4.2), 4.2, hours=0.5),
}
"""Every sign without levels that is shown."""

BASELINE_DAYS = 4


def out_of_ordinary(steady: Steady) -> list[Event]:
    """Four days of an ordinary morning, then one of many times as much, then what is ordinary."""
    found: list[Event] = []
    # The hour before has to be known for windows that reach into it, and what follows to end it.
    for day in range(BASELINE_DAYS + 1):
        begin = MORNING + day * 24 * HOUR_MS
        much = steady.much if day == BASELINE_DAYS else 1.0
        found += steady.events(begin, begin + 2 * HOUR_MS, 1.0)
        found += steady.events(begin + 2 * HOUR_MS, begin + 4 * HOUR_MS, much)
        found += steady.events(begin + 4 * HOUR_MS, begin + 8 * HOUR_MS, 1.0)
    return found


def ended(events: list[Event]) -> list[Event]:
    """The events in the order of their times, and others of their kinds that go on after them."""
    last = max(t for t, _, _ in events) + 120_000
    kinds = sorted({kind for _, kind, _ in events})
    return [*sorted(events, key=lambda event: event[0]), *(other(kind, last) for kind in kinds)]
