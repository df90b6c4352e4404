"""What a day and an hour say, from hourly means: validity by GB 3095 and HJ 663."""

from __future__ import annotations

from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.air_quality import aqi, day_values, hour_values
from schemas.standards.air import AQI_2012, AQI_2026


def first(known, of, value):
    """A day with values in its first hours alone."""
    return [float(value)] * known + [None] * (of - known)


@pytest.mark.parametrize(
    ("pollutant", "average"),
    [
        ("pm25", "pm25"),
        ("pm10", "pm10"),
        ("so2", "so2_24h"),
        ("no2", "no2_24h"),
        ("co", "co_24h"),
    ],
)
def test_a_day_needs_20_hours(pollutant, average):
    assert day_values({pollutant: first(20, 24, 12)})[average] == 12
    assert day_values({pollutant: first(19, 24, 12)})[average] is None
    assert day_values({pollutant: first(19, 24, 900)})[average] is None


def test_a_mean_is_over_the_hours_that_are_there():
    # (10·30 + 10·60) / 20 = 45.
    hours = [30.0] * 10 + [None] * 4 + [60.0] * 10
    assert day_values({"pm25": hours})["pm25"] == 45


concentrations = st.floats(0, 1000)
days = st.tuples(
    st.lists(concentrations, min_size=20, max_size=20),
    st.lists(st.none() | concentrations, min_size=4, max_size=4),
).map(lambda parts: parts[0] + parts[1])


@given(days.flatmap(lambda hours: st.tuples(st.just(hours), st.permutations(hours))))
def test_a_mean_does_not_depend_on_the_order_of_hours(two):
    here, there = (day_values({"pm25": hours, "co": hours}) for hours in two)
    assert here["pm25"] is not None
    assert (here["pm25"], here["co_24h"]) == (there["pm25"], there["co_24h"])


def test_absent_pollutants_have_no_values():
    values = day_values({"pm25": first(24, 24, 7)})
    assert values.pop("pm25") == 7
    assert set(values.values()) == {None}


@pytest.mark.parametrize("hours", [0, 1, 22, 26, 48])
def test_a_day_has_23_to_25_hours(hours):
    with pytest.raises(ValueError, match=f"no2: {hours} of them"):
        day_values({"no2": first(hours, hours, 7)})


def test_running_means_of_ozone_lie_within_the_day():
    # Hours that end at 17:00 to 24:00 make the window that ends at 24:00.
    assert day_values({"o3": [40.0] * 16 + [200.0] * 8})["o3_8h"] == 200
    # Hours that end at 01:00 to 08:00 make the first one.
    assert day_values({"o3": [180.0] * 8 + [40.0] * 16})["o3_8h"] == 180
    # Four high hours at each end of a day lie in no common window: (4·200 + 4·40) / 8 = 120.
    assert day_values({"o3": [200.0] * 4 + [40.0] * 16 + [200.0] * 4})["o3_8h"] == 120


def test_the_largest_running_mean_is_taken():
    # 11:00 to 18:00 are 100, 110 … 170, on average 135; no other eight hours have as much.
    hours = [20.0] * 10 + [100.0 + 10 * k for k in range(8)] + [20.0] * 6
    assert day_values({"o3": hours})["o3_8h"] == 135


def test_a_running_mean_needs_6_of_8_hours():
    # Six hours lie in the window that ends at 08:00; it is above 160, so one window is enough.
    assert day_values({"o3": first(6, 24, 200)})["o3_8h"] == 200
    assert day_values({"o3": first(5, 24, 200)})["o3_8h"] is None
    # (210 + 220 + 230 + 240 + 250 + 260) / 6 = 235.
    hours = [None, *(210.0 + 10 * k for k in range(6)), *[None] * 17]
    assert day_values({"o3": hours})["o3_8h"] == 235


def test_ozone_needs_14_running_means():
    # Windows end at 08:00 to 24:00. With the first 19 hours there, those that end at 08:00 to
    # 19:00 are full, 20:00 has seven hours, 21:00 six, 22:00 five: 14 of them. With 18: 13.
    assert day_values({"o3": first(19, 24, 90)})["o3_8h"] == 90
    assert day_values({"o3": first(18, 24, 90)})["o3_8h"] is None


@pytest.mark.parametrize(("level", "valid"), [(160, False), (160.5, False), (160.6, True)])
def test_fewer_running_means_are_enough_above_the_limit(level, valid):
    # The limit is 160; 160.5 is written as 160, the even one, and 160.6 as 161.
    said = day_values({"o3": first(18, 24, level)})["o3_8h"]
    assert said == (pytest.approx(level) if valid else None)


@pytest.mark.parametrize("hours", [23, 25])
def test_days_on_which_the_clock_is_changed(hours):
    assert day_values({"pm25": first(20, hours, 30)})["pm25"] == 30
    assert day_values({"pm25": first(19, hours, 30)})["pm25"] is None
    # The last window ends with the last hour, whatever its number.
    assert day_values({"o3": [40.0] * (hours - 8) + [150.0] * 8})["o3_8h"] == 150
    assert day_values({"o3": first(19, hours, 90)})["o3_8h"] == 90
    assert day_values({"o3": first(18, hours, 90)})["o3_8h"] is None


def test_the_largest_hour_of_ozone():
    assert day_values({"o3": [80.0] * 19 + [170.0] + [None] * 4})["o3_1h"] == 170
    assert day_values({"o3": first(19, 24, 170)})["o3_1h"] is None
    assert day_values({"o3": first(1, 24, 201)})["o3_1h"] == 201


def test_no_ozone_at_all():
    values = day_values({"o3": [None] * 24})
    assert (values["o3_8h"], values["o3_1h"]) == (None, None)


DAY = {
    # Means: 12 hours of 30 and 12 of 90 are 60; 20 hours of 150; 24 of 25 and of 40; 24 of 0.8.
    "pm25": [30.0] * 12 + [90.0] * 12,
    "pm10": first(20, 24, 150),
    "so2": first(24, 24, 25),
    "no2": first(24, 24, 40),
    "co": first(24, 24, 0.8),
    # Largest hour 180, largest eight hours (4·180 + 4·80) / 8 = 130.
    "o3": [80.0] * 12 + [180.0] * 4 + [80.0] * 8,
}


def test_a_whole_day_by_either_standard():
    values = day_values(DAY)
    # PM2.5 60 → 82 or 100; PM10 150 → 100 or 112; SO2 25 → 25; NO2 40 → 50; CO 0.8 → 20;
    # O3 130 → 75, and 180 → 75 in 2012 alone.
    then, now = aqi(AQI_2012, values, AQI_2012.daily), aqi(AQI_2026, values, AQI_2026.daily)
    assert then.iaqi == {
        "so2_24h": 25,
        "no2_24h": 50,
        "pm10": 100,
        "co_24h": 20,
        "o3_1h": 75,
        "o3_8h": 75,
        "pm25": 82,
    }
    assert (then.value, then.primary) == (100, ("pm10",))
    assert now.iaqi == {
        "so2_24h": 25,
        "no2_24h": 50,
        "co_24h": 20,
        "o3_8h": 75,
        "pm10": 112,
        "pm25": 100,
    }
    assert (now.value, now.primary) == (112, ("pm10",))


def test_a_day_with_a_pollutant_of_19_hours():
    values = day_values(DAY | {"pm25": first(19, 24, 60)})
    # PM10 is 112 in 2026, so the day is published; it is 100 in 2012, so it is not.
    assert aqi(AQI_2026, values, AQI_2026.daily).value == 112
    index = aqi(AQI_2012, values, AQI_2012.daily)
    assert (index.value, index.missing, index.reason) == (None, ("pm25",), "uncovered")


@pytest.mark.parametrize(
    ("high", "index"),
    [
        # (6·0.1 + 18·0.7) / 24 = 0.55, written as 0.6: 50·0.6/2 = 15; 0.5 would be 12.5.
        (0.7, 15),
        # (6·0.1 + 18·1.1) / 24 = 0.85, written as 0.8: 50·0.8/2 = 20; 0.9 would be 22.5.
        (1.1, 20),
    ],
)
def test_a_half_by_hand_is_a_half_though_its_float_is_not(high, index):
    day = day_values({"co": [0.1] * 6 + [high] * 18})
    assert day["co_24h"] not in (0.55, 0.85)
    assert aqi(AQI_2026, day, ("co_24h",)).value == index


def test_a_half_of_hours_without_an_end():
    # 12 hours of 62 1/3 and 12 of 62 2/3 are 62.5, written as 62: 100 + 50·2/55 = 101.8.
    day = day_values({"pm25": [62 + 1 / 3] * 12 + [62 + 2 / 3] * 12})
    assert aqi(AQI_2026, day, ("pm25",)).value == 102


def test_an_hour_of_2026_reads_the_hour_alone():
    hours = {p: [5.0] * 23 + [10.0] for p in ("so2", "no2", "co", "o3", "pm10", "pm25")}
    now = hour_values(AQI_2026, hours)
    assert {now[a] for a in AQI_2026.hourly} == {10}
    assert hour_values(AQI_2026, {"pm25": [47.0]})["pm25"] == 47
    assert hour_values(AQI_2026, {"pm25": [47.0, None]})["pm25"] is None
    assert hour_values(AQI_2026, {"pm25": []})["pm25"] is None


def test_an_hour_of_2012_reads_24_hours_of_particles_and_8_of_ozone():
    hours = {
        # The oldest of 25 hours is not read; (20·30 + 4·60) / 24 = 35.
        "pm25": [900.0] + [30.0] * 20 + [60.0] * 4,
        "pm10": [None] * 5 + [90.0] * 19,
        # The last eight: (6·100 + 2·148) / 8 = 112.
        "o3": [10.0] * 16 + [100.0] * 6 + [148.0] * 2,
        "so2": [100.0] * 23 + [900.0],
    }
    now = hour_values(AQI_2012, hours)
    assert (now["pm25"], now["pm10"], now["o3_8h"], now["o3_1h"]) == (35, None, 112, 148)
    # (23·100 + 900) / 24 = 133.3: what speaks for an hour of sulphur dioxide above 800.
    assert now["so2_1h"] == 900
    assert now["so2_24h"] == fsum([100.0] * 23 + [900.0]) / 24
    hours["o3"][-3:] = [None, None, None]
    assert hour_values(AQI_2012, hours)["o3_8h"] is None
