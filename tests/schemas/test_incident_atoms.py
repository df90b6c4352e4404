"""What the proposal of the incidents says in free words stands as a condition, or is told."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.loading import load

ATOMS: list[tuple[str, str, str]] = [
    (
        "ce.waterlogging",
        "drain.depth>=25 where site_type in underpass,tunnel",
        "drain.depth_tunnel",
    ),
    ("ce.gas_leak", "another device >=10 %LEL within 200 m", "second"),
    ("ce.pipe_burst", "supply.pressure drops >=20 % in 300 s at >=2 nodes", "pressure"),
    ("ce.pipe_burst", "metric pipe_flow into DMA z>=4", "flow"),
    ("ce.pipe_burst", "drain.depth>=5 and meteo.rain_1h<1", "water_or_orders"),
    ("ce.pipe_burst", "hospital in DMA", "critical"),
    ("ce.pipe_burst", "users>10000", "told: red where more than 10,000 users are in the zone"),
    ("ce.fire_confirmed", "ai_event cls in smoke,flame conf>=0.8", "fire.video_smoke"),
    ("ce.fire_confirmed", "fire.alarms>=2 and fire.temperature>=54", "fire.temperature"),
    ("ce.electrical_fire_risk", "cable_temperature slope>=3 Cel/min", "fire.cable_rise"),
    ("ce.electrical_fire_risk", "e-bike charging in rental_house", "fire.ebike_charging"),
    ("ce.air_point_source", "2 x median of neighbours", "told: twice the median of the neighbours"),
    (
        "ce.air_point_source",
        "wind_dir from source site +-45 deg",
        "told: wind from the site, within 45 degrees",
    ),
    ("ce.air_point_source", "wind_speed>=1", "meteo.wind_2min"),
    ("ce.air_point_source", "yellow held for 10800 s", "10800"),
    ("ce.black_odour", "(do<0.2 or orp<-200) and nh3n>15", "waterenv.orp"),
    (
        "ce.night_noise",
        "no night-work permit in reference table",
        "told: yellow without a permit for night work",
    ),
    (
        "ce.night_noise",
        "yellow on 3 of the last 7 nights",
        "told: orange on three nights of seven",
    ),
    ("ce.gridlock", "orange and emergency route affected", "ambulance_route"),
    (
        "ce.power_cascade",
        ">=20 % of devices silent within 120 s",
        "told: that a fifth falls silent within two minutes",
    ),
    ("ce.power_cascade", ">=20 % of devices and >=10 devices silent", "iot.grid_online"),
    ("ce.power_cascade", "traffic signals offline", "told: traffic signals offline"),
    ("ce.power_cascade", "orange and (hospital, pump station or tunnel in the grid)", "critical"),
    ("ce.hazchem_vehicle", "stopped>300 s off route or in tunnel", "traffic.hazchem_stops"),
    ("ce.hazchem_vehicle", "stop and gas", "gas"),
    (
        "ce.landslide",
        "tilt change>=0.5 deg in 3600 s",
        "told: tilt changes by 0.5 degrees in an hour",
    ),
    ("ce.citizen_hotspot", "max(5, .) orders from >=3 callers", "hotline.callers_24h"),
    ("ce.citizen_hotspot", "3 x baseline", "told: three times the baseline of the community"),
    ("ce.citizen_hotspot", "within 500 m", "told: within 500 m"),
    (
        "ce.citizen_hotspot",
        "yellow and any order urgent",
        "told: an urgent order of the category in the community",
    ),
    ("ce.sensor_fault", "out of range", "drain.gauge_valid"),
    (
        "ce.sensor_fault",
        "frozen, or residual to >=3 neighbours z>=6",
        "told: frozen values, or a residual to three neighbours",
    ),
    ("ce.sensor_fault", "no order", "quiet"),
    ("ce.sensor_fault", "no other metric moves", "told: no other metric moves within 500 m"),
    ("ce.storm_mode", "response level declared", "told: a response level that is declared"),
]
"""Incident, what is asked for, and what of the incident it is: an id of a condition, a sign, a
relation or a time in it; or what is told as not expressed."""


INCIDENTS = {one.id: one for one in load(environ={}).incidents}


@pytest.mark.parametrize(("name", "atom", "found"), ATOMS)
def test_each_is_a_condition_or_told(name: str, atom: str, found: str) -> None:
    incident = INCIDENTS[name]
    if found.startswith("told: "):
        assert found.removeprefix("told: ") in [each.what for each in incident.untold]
    else:
        content = incident.model_dump(mode="json", exclude={"untold", "suppresses", "name"})
        assert found in set(_words(content))


def _words(tree: Any) -> list[str]:
    """All that stands in it, as text."""
    if isinstance(tree, dict):
        return [word for value in tree.values() for word in _words(value)]
    if isinstance(tree, list):
        return [word for value in tree for word in _words(value)]
    return [f"{tree:g}" if isinstance(tree, float) else str(tree)]
