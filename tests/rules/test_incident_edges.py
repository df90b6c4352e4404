"""Incidents of the catalogue where places meet, where something is silent, and where much is read
and little of it counts.
"""

from __future__ import annotations

import pytest

from schemas.places import LEVELS
from schemas.signs import LiveSign
from tests.rules import driven_incidents_hazards as hazards
from tests.rules import driven_incidents_people as people
from tests.rules import driven_incidents_water as water
from tests.rules.driven_incidents_tools import Scene, Step, at, says, sensor, story_of
from tests.rules.incident_runs import (
    CATALOGUE,
    DISTRICT,
    GRID,
    Alert,
    Event,
    alerts_of,
    call,
    of,
    only,
    warning,
)

NEXT_GRID, COMMUNITY, STREET = f"{GRID[:12]}099", GRID[:12], GRID[:9]


def run(scene: Scene) -> list[Alert]:
    names = (scene.incident, *scene.others)
    return alerts_of(only(names, scene.devices), scene.all_events(), scene.step_ms)


def keys_of(alerts: list[Alert], incident: str) -> set[str]:
    return {a["key"] for a in of(alerts, incident)}


def flooded(depth: float) -> list[Event]:
    return says("water_depth", {"06:05": 0, "06:10": depth}, "06:30", 30)


# --- warnings and the places they are for --------------------------------------------------------

NEXT_DISTRICT = "440106"
HERE = says("rain", {"05:00": 0}, "07:30", 300, "g0", period_s=300.0)
THERE = says(
    "rain", {"05:00": 0}, "07:30", 300, "g1", period_s=300.0, site="s1", place=NEXT_DISTRICT
)


def warn(event: str, level: int, place: str) -> Event:
    return warning(at("06:00:10"), event, level, at("06:59:30"), place)


@pytest.mark.parametrize("event", ["typhoon", "storm_surge", "rain", "flood"])
def test_a_warning_for_the_whole_city_is_a_mode_of_districts_that_are_heard_of(event: str) -> None:
    scene = people.STORM._replace(events=[warn(event, 3, "4401"), *HERE, *THERE])
    alerts = run(scene)
    assert keys_of(alerts, scene.incident) == {DISTRICT, NEXT_DISTRICT}
    for key in (DISTRICT, NEXT_DISTRICT):
        assert story_of(alerts, scene.incident, key) == people.STORM.story


OF_THE_WORST = "the city's number is that of its worst district: no warning for the city is needed"


def test_a_warning_for_another_district_is_no_mode_of_this_one() -> None:
    scene = people.STORM._replace(events=[warn("typhoon", 3, NEXT_DISTRICT), *HERE, *THERE])
    assert keys_of(run(scene), scene.incident) == {NEXT_DISTRICT}


def test_a_rain_warning_for_another_district_is_no_rain_here() -> None:
    scene = water.FLOOD._replace(events=[warn("rain", 2, NEXT_DISTRICT), *flooded(16)])
    assert of(run(scene), scene.incident) == []


def test_a_heat_warning_for_another_district_is_no_heat_here() -> None:
    scene = people.HEAT._replace(events=[warn("heat", 3, NEXT_DISTRICT), *people.HELP])
    assert of(run(scene._replace(until="07:00")), scene.incident) == []


# --- a water main --------------------------------------------------------------------------------

OF_TWO = water.BURST.story[:1]
"""Pressure and calls."""


@pytest.mark.parametrize("more", [{"place": NEXT_GRID}, {"place": COMMUNITY}, {"site": "s7"}, {}])
def test_two_nodes_of_a_street_are_of_one_zone_without_a_flow_meter(more: dict[str, str]) -> None:
    nodes = [*water.nodes("p0"), *water.nodes("p1", **more)]
    scene = water.BURST._replace(events=[*nodes, *water.BURST_CALLS])
    alerts = run(scene)
    assert keys_of(alerts, scene.incident) == {STREET}
    assert story_of(alerts, scene.incident)[:1] == OF_TWO


def test_the_inflow_of_a_street_counts_wherever_its_meter_is() -> None:
    flow = [
        (t, kind, {**said, "site": "works", "place": NEXT_GRID})
        for t, kind, said in (*water.USUAL, *water.FLOW)
    ]
    scene = water.BURST._replace(
        events=[*flow, *water.nodes("p0", "p1"), *water.BURST_CALLS],
    )
    assert story_of(run(scene), scene.incident) == water.BURST.story


def test_a_main_bursts_once_however_many_sites_its_street_has() -> None:
    dry_gauge = says("water_depth", {"06:00": 0}, "06:45", 60, "wg", site="underpass")
    scene = water.BURST._replace(
        events=[*water.FLOW, *water.nodes("p0", "p1"), *water.BURST_CALLS, *dry_gauge]
    )
    alerts = run(scene)
    assert keys_of(alerts, scene.incident) == {STREET}
    assert len({a["alert_id"] for a in of(alerts, scene.incident)}) == 1


# --- calls that name only their community --------------------------------------------------------

COMMUNITY_CALLS = [
    call(at("06:08:10"), "内涝积水", "a", place=COMMUNITY),
    call(at("06:08:20"), "内涝积水", "b", place=NEXT_GRID),
]
"""No grid has two of them."""


def test_callers_of_a_community_speak_for_a_grid_that_a_gauge_names() -> None:
    scene = water.FLOOD._replace(events=[*water.WET, *COMMUNITY_CALLS, *flooded(16)])
    alerts = run(scene._replace(until="06:30"))
    assert keys_of(alerts, scene.incident) == {GRID}
    # The gauge tells of 15 cm at 06:11:30, and has done so for two minutes at 06:13:30.
    assert story_of(alerts, scene.incident)[:2] == [
        Step("06:11:30", "raised", 2, ("rain", "citizens")),
        Step("06:13:30", "escalated", 3, ("rain", "depth", "citizens")),
    ]


def test_callers_of_a_community_alone_are_no_flood_in_its_grids() -> None:
    scene = water.FLOOD._replace(events=[*water.WET, *COMMUNITY_CALLS, *flooded(14)])
    assert of(run(scene._replace(until="06:30")), scene.incident) == []


def test_callers_of_a_grid_name_it_by_themselves() -> None:
    calls = [call(at(f"06:08:{n}0"), "内涝积水", f"c{n}") for n in (1, 2)]
    scene = water.FLOOD._replace(events=[*water.WET, *calls], until="06:15")
    assert story_of(run(scene), scene.incident) == [
        Step("06:09", "raised", 2, ("rain", "citizens"))
    ]


# --- what is known by what is read at its own key ------------------------------------------------


def test_rain_and_a_call_are_a_landslide_where_a_slope_is_watched() -> None:
    still = {"-1 22:00": 0.0}
    scene = water.SLOPE._replace(
        events=[
            *water.RAIN,
            *says("displacement", still, "1 00:00", 3600, "d0"),
            # Another site of this grid, and a slope of the next, where nobody calls.
            *says("water_depth", still, "1 00:00", 3600, "wg", site="road"),
            *says("displacement", still, "1 00:00", 3600, "d1", site="s1", place=NEXT_GRID),
            call(at("23:20:30"), "山体滑坡", "a"),
        ],
        until="1 00:00",
    )
    alerts = run(scene)
    assert keys_of(alerts, scene.incident) == {"s0"}
    assert story_of(alerts, scene.incident) == [Step("23:25", "raised", 2, ("rain", "report"))]


# --- levels that have stood ----------------------------------------------------------------------


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
        # Three hours after yellow, not after blue.
        Step("10:05", "escalated", 3, ("excess", "wind", "citizens")),
    ]


# --- devices that are silent ---------------------------------------------------------------------

NO_FLEET = [event for event in hazards.OUTAGE.events if event[2].get("metric") != "humidity"]


def test_a_grid_in_which_all_is_silent_has_no_power() -> None:
    scene = hazards.OUTAGE._replace(events=[*hazards.fleet(20), *NO_FLEET])
    assert story_of(run(scene), scene.incident) == hazards.OUTAGE.story


@pytest.mark.parametrize(("registered", "told"), [(10, True), (9, False)])
def test_ten_registered_devices_tell_that_a_grid_is_silent(registered: int, told: bool) -> None:
    devices = tuple(sensor(f"t{n}", "humidity") for n in range(registered))
    names = {device.device for device in devices}
    fleet = [event for event in hazards.fleet(20) if event[2]["device"] in names]
    scene = hazards.OUTAGE._replace(events=[*fleet, *hazards.CHARGERS], devices=devices)
    story = [Step("06:16", "raised", 2, ("silence", "charging"))] if told else []
    assert story_of(run(scene), scene.incident)[:1] == story


# --- overrides of which nothing more is heard ----------------------------------------------------


def test_an_override_of_which_nothing_more_is_heard_holds_as_long_as_a_condition_counts() -> None:
    smoke = [*hazards.smoke("f0", "06:10:02", "06:40:02")]
    smoke += hazards.smoke("f1", "06:10:03", "06:40:03")
    scene = hazards.TWO_DETECTORS._replace(events=[*smoke, *hazards.hot("06:10:35")], until="06:40")
    first, second, third = story_of(run(scene), scene.incident)[:3]
    assert [first, second] == hazards.TWO_DETECTORS.story[:2]
    # The heat is told until 06:11:30, and counts for three minutes and for the minute that a window
    # of its slowest sign may take; ten minutes without it bring the level down.
    assert third[1:] == ("deescalated", 3, None)
    assert "06:25" <= third.time <= "06:26"


# --- what is suppressed --------------------------------------------------------------------------


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
