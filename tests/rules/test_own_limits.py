"""Each instrument of a site is held against its own limit, and the site has the worst of them."""

from __future__ import annotations

from schemas.devices import Device, Register
from tests.rules.driven import alone
from tests.rules.driven_all import CATALOGUE
from tests.rules.driven_events import MORNING, PLACE, Driven, Event, measured
from tests.rules.driven_runs import Said, outputs_of, said_of

MINUTE_MS = 60_000
BRIDGE, OTHER = "b0", "b1"


def gauge(name: str, limit: float | None, site: str = BRIDGE) -> Device:
    row = Device(name, "sensor", "strain", "tests", PLACE, site, period_s=60.0)
    return row._replace(limit=limit)


def strain(name: str, value: float, site: str = BRIDGE) -> list[Event]:
    times = range(MORNING, MORNING + 20 * MINUTE_MS, MINUTE_MS)
    return [measured("strain", t, value, device=name, site=site) for t in times]


def said(rows: list[Device], events: list[Event]) -> dict[str, Said]:
    (sign,) = (sign for sign in CATALOGUE.signs if sign.id == "lifeline.bridge_strain")
    driven = Driven(lambda sign, found: iter(()), register=Register(rows))
    sent = [("city.sensor.v1", t, e) for t, _, e in sorted(events, key=lambda event: event[0])]
    return said_of(sign, outputs_of(alone(CATALOGUE, sign, driven), sent))


def test_a_large_value_of_a_large_limit_is_no_alarm() -> None:
    """50 of 100 and 400 of 1000: the worst is half of its limit."""
    found = said([gauge("a", 100.0), gauge("b", 1000.0)], strain("a", 50.0) + strain("b", -400.0))
    assert {(value, level) for _, value, level in found["site"]} == {(0.5, 0)}
    assert {(value, level) for _, value, level in found["district"]} == {(0.5, 0)}
    assert {value for _, value, _ in found["device"]} == {0.5, 0.4}


def test_the_worst_of_a_site_is_that_of_its_devices() -> None:
    rows = [gauge("a", 100.0), gauge("b", 1000.0), gauge("c", 50.0, OTHER)]
    events = strain("a", 50.0) + strain("b", 900.0) + strain("c", 10.0, OTHER)
    found = said(rows, events)
    assert {(value, level) for _, value, level in found["site"]} == {(0.9, 2), (0.2, 0)}
    assert {(value, level) for _, value, level in found["district"]} == {(0.9, 2)}


def test_what_has_no_limit_is_not_rated_and_the_others_are() -> None:
    found = said([gauge("a", 100.0), gauge("b", None)], strain("a", 50.0) + strain("b", 900.0))
    assert {(value, level) for _, value, level in found["site"]} == {(0.5, 0)}
    assert {value for _, value, _ in found["device"]} == {0.5}
