"""The other ways to each condition: a scenario for every sign that the longer ones do not need."""

from __future__ import annotations

from typing import NamedTuple

from tests.rules import driven_incidents_hazards as hazards
from tests.rules import driven_incidents_people as people
from tests.rules import driven_incidents_water as water
from tests.rules.driven_incidents_tools import HOUR, Scene, Step, at, drives, dry, says, sensor
from tests.rules.incident_runs import DISTRICT, GRID, MINUTE, Event, call, observation, reading
from tests.rules.incident_runs import warning as official

RAISED = "raised"
CITY = GRID[:4]


class Way(NamedTuple):
    """A scenario of which the beginning alone matters, and the signs that it is raised by."""

    scene: Scene
    signs: tuple[str, ...]


def way(
    incident: str,
    signs: str,
    events: list[Event],
    step: tuple[str, int, str],
    **more: object,
) -> Way:
    """A way to an incident: the time, the level and the conditions when it is raised."""
    time, level, holding = step
    story = [Step(time, RAISED, level, tuple(holding.split()))]
    scene = Scene(incident, events, str(more.pop("until", time)), story)
    return Way(scene._replace(**more), tuple(signs.split()))  # type: ignore[arg-type]


CURRENT = says("residual_current", {"05:50": 50, "06:00": 320}, "06:20", 300, "r0")
HOURS_OF_ER = [
    reading(t, "er_arrival", 400.0 if t >= at("06:00") else 200.0, "er")
    for day in (-6, -5, -4, -3, 0)
    for t in range(at(f"{day} 03:00"), at(f"{day} {'06' if day == 0 else '08'}:30"), 15 * MINUTE)
]
"""Eight hundred an hour on four working days, and twice as many from 06:00 on."""

WAYS = {
    "rain of one hour and of three": way(
        "ce.waterlogging",
        "meteo.rain_1h meteo.rain_3h drain.depth",
        [
            *says("rain", {"02:50": 0, "05:00": 9}, "06:20", 600, "rg", period_s=600.0),
            *says("water_depth", {"06:05": 0, "06:10": 16}, "06:20", 30),
        ],
        ("06:13:30", 2, "rain depth"),
        until="06:20",
    ),
    "a rain warning for the city": way(
        "ce.waterlogging",
        "meteo.city_warning_rain drain.depth",
        [
            official(at("06:00:10"), "rain", 2, at("06:59:30"), CITY),
            *says("water_depth", {"06:05": 0, "06:10": 16}, "06:20", 30),
        ],
        ("06:13:30", 2, "rain depth"),
        until="06:20",
    ),
    "callers of two grids": way(
        "ce.waterlogging",
        "hotline.callers_30min drain.depth",
        [
            *says("water_depth", {"06:05": 0, "06:10": 16}, "06:20", 30),
            call(at("06:14:10"), "内涝积水", "a"),
            call(at("06:15:10"), "内涝积水", "b", place=f"{GRID[:12]}099"),
        ],
        ("06:16", 2, "depth citizens"),
    ),
    "callers about a blocked road": way(
        "ce.flooded_road_blocked",
        "ce.waterlogging hotline.callers_1min",
        [*water.WATER, *drives({"06:00": 60}, "06:30"), call(at("06:27:10"), "道路阻断", "a")],
        ("06:28", 3, "water report"),
        key="r0",
        others=("ce.waterlogging",),
    ),
    "water on a road where it is dry": way(
        "ce.pipe_burst",
        "supply.node_drop drain.depth meteo.rain_1h",
        [
            *water.nodes("p0", "p1"),
            *says("water_depth", {"05:50": 0, "06:00": 6}, "06:20", 30, "wg", site="road"),
            *dry("03:00", "06:20"),
        ],
        ("06:11", 2, "pressure water_or_orders"),
        key=water.STREET,
        until="06:20",
    ),
    "callers about water of two communities": way(
        "ce.pipe_burst",
        "supply.node_drop hotline.callers_10min",
        [
            *water.nodes("p0", "p1"),
            call(at("06:11:10"), "停水", "a"),
            call(at("06:11:20"), "停水", "b", place=f"{water.STREET}099"),
        ],
        ("06:12", 2, "pressure water_or_orders"),
        key=water.STREET,
    ),
    "smoke and a hot cable": way(
        "ce.fire_confirmed",
        "fire.alarms fire.cable_temp",
        [
            *hazards.smoke("f0", "06:10:02", "06:15:02"),
            reading(at("05:50"), "cable_temperature", 30.0, "c0"),
            reading(at("06:10:30"), "cable_temperature", 95.0, "c0"),
        ],
        ("06:11", 3, "smoke second"),
        key="s0",
    ),
    "a cable that grows hot": way(
        "ce.electrical_fire_risk",
        "fire.residual_current fire.cable_rise",
        [
            *CURRENT,
            # Four degrees a minute.
            reading(at("05:50"), "cable_temperature", 30.0, "c0"),
            reading(at("06:05"), "cable_temperature", 30.0, "c0"),
            reading(at("06:10"), "cable_temperature", 50.0, "c0"),
        ],
        ("06:11", 2, "residual cable"),
        key="s0",
    ),
    "an e-bike in a rental house": way(
        "ce.electrical_fire_risk",
        "fire.residual_current fire.ebike_charging",
        [
            *CURRENT,
            reading(at("06:10:10"), "ai_event", 1.0, "cam", cls="ebike", site_type="rental_house"),
        ],
        ("06:11", 2, "residual charging"),
        key="s0",
    ),
    "a river's redox potential": way(
        "ce.black_odour",
        "waterenv.orp waterenv.nh3n",
        [
            *water.river("02:00", 7.0, 0.1),
            *water.river("06:00", 7.0, 17.0),
            reading(at("02:00"), "orp", 200.0, "orp", medium="surface_water"),
            reading(at("06:00"), "orp", -250.0, "orp", medium="surface_water"),
        ],
        ("06:15", 4, "oxygen ammonia"),
        key="s0",
        step_ms=HOUR,
    ),
    "a river of which people speak": way(
        "ce.black_odour",
        "waterenv.do hotline.callers_24h",
        [
            *water.river("02:00", 7.0, 0.1),
            *water.river("06:00", 1.5, 0.1),
            call(at("06:05"), "河涌污染", "a"),
            call(at("06:06"), "河涌污染", "b"),
        ],
        ("06:15", 2, "oxygen source"),
        key="s0",
    ),
    "a queue to the next crossing": way(
        "ce.gridlock",
        "traffic.tpi traffic.queue_ratio",
        [
            *people.SLOW,
            *water.queue(0.2, "06:10", "06:20"),
            *water.queue(1.2, "06:20", "06:30"),
        ],
        ("06:21", 2, "congestion cause"),
        key=people.STREET,
        until="06:40",
    ),
    "a bridge strained beyond its limit": way(
        "ce.bridge_overload",
        "lifeline.bridge_strain",
        [*hazards.CALM, reading(at("06:13:20"), "strain", 420.0, "s")],
        ("06:14", 4, "strain"),
        key="s0",
        devices=hazards.BRIDGE,
        until="06:20",
    ),
    "a full venue": way(
        "ce.gridlock",
        "traffic.tpi crowd.load_ratio",
        [
            *people.SLOW,
            reading(at("06:05"), "person_count", 500.0, "n0"),
            reading(at("06:25:05"), "person_count", 950.0, "n0"),
        ],
        ("06:26", 2, "congestion venue"),
        key=people.STREET,
        devices=people.HALL,
        until="06:40",
    ),
    "a call from a crowd": way(
        "ce.crowd_crush_risk",
        "crowd.density hotline.callers_1min",
        [*people.crowd(4.2), call(at("06:12:05"), "人群聚集", "a")],
        ("06:13", 3, "density load_or_call"),
        key="s0",
        until="06:20",
    ),
    "a hot day": way(
        "ce.heat_health",
        "meteo.temp_max care.sos",
        [
            *says("air_temperature", {"-1 23:00": 38}, "1 01:00", 3600, "a0", period_s=3600.0),
            *people.HELP[:1],
            *(reading(at(f"23:50:0{n}"), "sos", 1.0, f"b{n}", site_type="elder") for n in range(3)),
        ],
        ("1 00:00", 2, "heat people"),
        key=DISTRICT,
        step_ms=HOUR,
    ),
    "a heat warning for the city": way(
        "ce.heat_health",
        "meteo.city_warning_heat care.sos",
        [official(at("06:00:10"), "heat", 3, at("06:59:30"), CITY), *people.HELP],
        ("06:15", 2, "heat people"),
        key=DISTRICT,
        until="06:20",
    ),
    "a full emergency room": way(
        "ce.heat_health",
        "meteo.warning_heat med.er_arrivals",
        # 200 + 200 + 400 + 400 in the hour that ends at 06:20 are one and a half times 800.
        [*people.HOT, *HOURS_OF_ER],
        ("06:20", 2, "heat people"),
        key=DISTRICT,
        step_ms=HOUR,
    ),
    "people without power in the heat": way(
        "ce.heat_health",
        "meteo.warning_heat energy.outage_users",
        [*people.HOT, reading(at("06:10"), "outage_users", 150.0, "ou")],
        ("06:15", 2, "heat power"),
        key=DISTRICT,
    ),
    "people without power": way(
        "ce.power_cascade",
        "energy.ev_offline_rate energy.outage_users",
        [*hazards.CHARGERS, reading(at("06:12"), "outage_users", 150.0, "ou")],
        ("06:16", 2, "charging report"),
        until="06:16",
    ),
    "toxic gas": way(
        "ce.hazchem_vehicle",
        "traffic.hazchem_stops hazchem.toxic",
        [
            *hazards.STOP,
            reading(at("06:05"), "gas_oel", 0.0, "o0", site_type="hazchem"),
            reading(at("06:15:05"), "gas_oel", 60.0, "o0", site_type="hazchem"),
        ],
        ("06:16", 3, "stop gas"),
    ),
    "a gauge that is not sound": way(
        "ce.sensor_fault",
        "drain.gauge_valid meteo.rain_3h",
        [
            *dry("06:00", "09:20"),
            *says("water_depth", {"08:30": 0}, "09:00", 60, "wg"),
            # Five sound readings of fifteen.
            *says("water_depth", {"09:00": 0}, "09:20", 60, "wg", q="bad"),
        ],
        ("09:10", 1, "odd dry quiet"),
        key="wg",
    ),
    "a rain storm": way(
        "ce.storm_mode",
        "meteo.warning_rain",
        [official(at("06:00:10"), "flood", 3, at("06:59:30"))],
        ("06:01", 1, "warning"),
        key=DISTRICT,
    ),
    "a typhoon over the city": way(
        "ce.storm_mode",
        "meteo.city_warning_typhoon meteo.rain_1h",
        [official(at("06:00:10"), "typhoon", 3, at("06:59:30"), CITY), *dry("03:00", "06:01")],
        ("06:01", 1, "warning"),
        key=DISTRICT,
    ),
    "a rain storm over the city": way(
        "ce.storm_mode",
        "meteo.city_warning_rain meteo.rain_1h",
        [official(at("06:00:10"), "rain", 3, at("06:59:30"), CITY), *dry("03:00", "06:01")],
        ("06:01", 1, "warning"),
        key=DISTRICT,
    ),
    "an accident on a flooded road": way(
        "ce.flooded_road_blocked",
        "ce.waterlogging traffic.incidents_1min",
        [
            *water.WATER,
            *drives({"06:00": 60}, "06:30"),
            observation(at("06:27:30"), "incident", "i0", event_id="e0"),
        ],
        ("06:28", 3, "water report"),
        key="r0",
        others=("ce.waterlogging",),
    ),
    "a leak and a node of the gas network": way(
        "ce.gas_leak",
        "lifeline.gas_leak lifeline.gas_pressure",
        hazards.PIPE.events,
        ("06:12:30", 3, "leak second"),
        devices=(sensor("p0", "pipe_pressure", limit=0.4, medium="gas"),),
    ),
    "citizens of a grid who tell its staff": way(
        "ce.citizen_hotspot",
        "hotline.orders_24h hotline.callers_24h",
        [(t, kind, {**said, "system": "grid"}) for t, kind, said in people.many("abcab")],
        ("06:15", 1, "orders"),
        until="06:35",
        key=people.HOT_SPOT.key,
        step_ms=HOUR,
    ),
}
