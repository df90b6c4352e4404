"""Ordinary days of the simulated city stay below the first thresholds of every sign."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from agents.city import City
from agents.city.devices import NOISE_ZONES
from agents.city.draws import Floats
from agents.city.rhythm import DAY, local_time, time_of

# What the first hundred points of the air-quality index allow: HJ 633-2026, Tables 1 and 3, at
# the shortest mean that it knows; ozone at 8 hours, PM2.5 and PM10 at 24.
AIR_LIMITS = {"pm25": 60, "pm10": 120, "no2": 80, "so2": 150, "co": 4, "o3": 160}


def ordinary(seed: int, step: int) -> Iterator[tuple[int, dict[str, Floats]]]:
    """Values of all devices every so many minutes of an ordinary week, by table."""
    city = City(seed, 0.3, episodes=0, days=8)
    for k in range(0, 8 * DAY, step):
        values = city._measures.at(k)
        yield k, {table.name: values[table.rows] for table in city._fleet.tables}


@pytest.mark.parametrize("seed", [1, 7])
def test_ordinary_values(seed: int) -> None:
    fleet = City(seed, 0.3)._fleet
    size = {table.name: table.size for table in fleet.tables}
    zones = [NOISE_ZONES[stand.zone] for stand in fleet.table("laeq").stands]
    for k, values in ordinary(seed, 11):
        for metric, limit in AIR_LIMITS.items():
            assert values[metric].max() < 0.8 * limit, metric
            assert values[metric].min() > 0
        fill = values["manhole_level"] / size["manhole_level"]
        assert fill.min() >= 0.1
        assert fill.max() <= 0.4
        assert (values["intersection"] / size["intersection"]).max() < 0.5
        assert (values["segment_flow"] / size["segment_flow"]).min() > 0.5
        assert (values["parking"] / size["parking"]).max() < 0.85
        assert values["water_depth"].max() < 5
        assert values["rain"].max() < 20 / 60 + 0.1
        night = not 6 <= local_time(time_of(k)).hour < 22
        limits = np.array([zone[night] for zone in zones])
        assert (values["laeq"] <= limits - 1).all()


def test_ozone_has_a_day() -> None:
    by_hour = {
        local_time(time_of(k)).hour: float(values["o3"].mean())
        for k, values in ordinary(7, 60)
        if k < DAY
    }
    assert max(by_hour, key=lambda hour: by_hour[hour]) in (13, 14, 15)
    assert by_hour[14] > 2.5 * by_hour[4]


def test_two_gauges_of_a_site_agree() -> None:
    table = City(7, 0.3)._fleet.table("water_depth")
    for k, values in ordinary(7, 997):
        pairs = values["water_depth"].reshape(-1, 2)
        assert np.abs(pairs[:, 0] - pairs[:, 1]).max() < 1, k
    assert (table.site.reshape(-1, 2)[:, 0] == table.site.reshape(-1, 2)[:, 1]).all()
