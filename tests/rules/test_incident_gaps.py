"""What incidents of the catalogue ask for and the engine does not do: each fails until it does."""

from __future__ import annotations

import pytest

from schemas.places import LEVELS
from schemas.signs import LiveSign
from tests.rules import driven_incidents_hazards as hazards
from tests.rules import driven_incidents_water as water
from tests.rules.driven_incidents_tools import HOUR, Scene, Step, at, drives, says, story_of
from tests.rules.incident_runs import (
    CATALOGUE,
    DISTRICT,
    GRID,
    Alert,
    Event,
    alerts_of,
    call,
    observation,
    of,
    only,
    warning,
)


def run(scene: Scene) -> list[Alert]:
    names = (scene.incident, *scene.others)
    return alerts_of(only(names, scene.devices), scene.all_events(), scene.step_ms)


def beside(events: list[Event]) -> list[Event]:
    """The same in the next grid of the community."""
    return [(t, kind, {**said, "place": f"{GRID[:12]}099"}) for t, kind, said in events]


CALLS = [event for event in water.BURST.events if event[1] == "hotline"]
NODES = water.nodes("p0", "p1")


@pytest.mark.xfail(strict=True, reason="only districts that had a warning of their own are known")
def test_a_warning_for_the_whole_city_is_a_mode_of_its_districts() -> None:
    event = warning(at("06:00:10"), "typhoon", 4, at("06:59:30"), "4401")
    gauge = says("rain", {"05:00": 0}, "07:00", 300, "rg", period_s=300.0)
    scene = Scene("ce.storm_mode", [event, *gauge], "07:15", [], DISTRICT)
    assert [a["key"] for a in of(run(scene), scene.incident)][:1] == [DISTRICT]


@pytest.mark.xfail(strict=True, reason="a zone is known by its flow meter or a road gauge alone")
def test_a_zone_without_a_flow_meter_can_burst() -> None:
    scene = water.BURST._replace(events=[*NODES, *CALLS], step_ms=HOUR)
    assert story_of(run(scene), scene.incident)[:1] == water.BURST.story[:1]


@pytest.mark.xfail(strict=True, reason="sites of every sign that is read are known, whatever it is")
def test_no_main_bursts_at_the_gauge_of_an_underpass() -> None:
    gauge = says("water_depth", {"06:00": 0}, "06:45", 60, "wg", site="underpass")
    scene = water.BURST._replace(events=[*water.FLOW, *NODES, *CALLS, *gauge])
    assert {a["key"] for a in of(run(scene), scene.incident)} == {"s0"}


@pytest.mark.xfail(strict=True, reason="devices are those of the grid in which the site is")
def test_the_nodes_of_a_zone_may_stand_in_two_grids() -> None:
    nodes = [*water.nodes("p0"), *beside(water.nodes("p1"))]
    scene = water.BURST._replace(events=[*water.FLOW, *nodes, *CALLS])
    assert story_of(run(scene), scene.incident)[:1] == water.BURST.story[:1]


@pytest.mark.xfail(strict=True, reason="devices are those of the grid in which the site is")
def test_the_nodes_of_another_zone_are_not_those_of_this_one() -> None:
    nodes = [(t, kind, {**said, "site": "s7"}) for t, kind, said in NODES]
    scene = water.BURST._replace(events=[*water.FLOW, *nodes, *CALLS])
    assert story_of(run(scene), scene.incident, "s0") == []


@pytest.mark.xfail(strict=True, reason="no sign that it reads has keys of grids")
def test_rain_and_callers_of_a_community_are_a_flood_in_its_grids() -> None:
    calls = [call(at("06:16:10"), "内涝积水", "a")]
    calls += beside([call(at("06:16:20"), "内涝积水", "b")])
    gauge = says("water_depth", {"06:00": 0}, "06:45", 30)
    scene = water.FLOOD._replace(events=[*water.WET, *calls, *gauge])
    assert story_of(run(scene), scene.incident, GRID)[:1] == [
        Step("06:17", "raised", 2, ("rain", "citizens"))
    ]


@pytest.mark.xfail(strict=True, reason="it is counted since the incident was raised, at any level")
def test_a_level_has_stood_since_it_was_reached() -> None:
    scene = hazards.LONG_SOURCE._replace(
        events=[
            *hazards.dust("10:30", "11:00"),
            *hazards.wind("11:00"),
            *hazards.dust_calls("07:01", "07:50", "08:40", "09:30", "10:00"),
        ]
    )
    assert story_of(run(scene), scene.incident)[:3] == [
        Step("06:10", "raised", 1, ("excess", "wind")),
        Step("07:05", "escalated", 2, ("excess", "wind", "citizens")),
        Step("10:05", "escalated", 3, ("excess", "wind", "citizens")),
    ]


@pytest.mark.xfail(strict=True, reason="samples are the devices that are online, and must be ten")
def test_a_grid_in_which_all_is_silent_has_no_power() -> None:
    other = [event for event in hazards.OUTAGE.events if event[2].get("metric") != "humidity"]
    scene = hazards.OUTAGE._replace(events=[*hazards.fleet(20), *other])
    assert story_of(run(scene), scene.incident) == hazards.OUTAGE.story


@pytest.mark.xfail(strict=True, reason="a street's number is null until its whole window was seen")
def test_the_first_accident_of_a_street_is_one() -> None:
    scene = water.BLOCKED._replace(
        events=[
            *water.WATER,
            *drives({"06:15": 60, "06:20": 18}, "06:50"),
            observation(at("06:27:30"), "incident", "i0", event_id="e0"),
        ]
    )
    assert story_of(run(scene), scene.incident) == water.BLOCKED.story


@pytest.mark.xfail(strict=True, reason="alerts of streets for an incident of a segment or a grid")
def test_what_an_incident_suppresses_has_alerts_where_it_can() -> None:
    """An alert is suppressed at the incident's key or in its place."""
    signs = {sign.id: sign for sign in CATALOGUE.signs}
    never = []
    for incident in CATALOGUE.incidents:
        least = LEVELS.index(incident.key) if incident.key in LEVELS else len(LEVELS)
        for one in incident.suppresses:
            sign = signs[one.sign]
            assert not isinstance(sign, LiveSign)
            keys = (sign.alert and sign.alert.keys) or sign.keys
            inside = [k for k in keys if k not in LEVELS or LEVELS.index(k) >= least]
            if not inside:
                never.append((incident.id, one.sign))
    assert never == []
