"""Individual and air quality indices, worked out by hand from HJ 633."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.air_quality import aqi, iaqi, rounded
from schemas.standards.air import AQI_2012, AQI_2026, IAQI, TABLES, table_on

CLEAN_HOUR = {"so2_1h": 15, "no2_1h": 20, "co_1h": 0.5, "o3_1h": 32, "pm10": 10, "pm25": 7}
"""Indices 5, 10, 5, 10, 10, 10: 50 over the first limits 150, 100, 5, 160, 50 and 35."""


@pytest.mark.parametrize(
    ("pollutant", "concentration", "expected"),
    [
        # GB/T 8170: less than half down, more than half up, a half to the even neighbour.
        ("pm25", 62.4, 62),
        ("pm25", 62.5, 62),
        ("pm25", 62.6, 63),
        ("pm25", 63.5, 64),
        ("pm10", 0.5, 0),
        ("o3", 160.5, 160),
        ("o3", 161.5, 162),
        # Carbon monoxide keeps a tenth: 0.85 lies between 0.8 and 0.9, and 8 is even.
        ("co", 0.84, Fraction(8, 10)),
        ("co", 0.85, Fraction(8, 10)),
        ("co", 0.95, Fraction(10, 10)),
        ("co", 1.25, Fraction(12, 10)),
        ("co", 1.35, Fraction(14, 10)),
        # Last bits of a mean do not decide a half.
        ("pm25", 62.50000000000001, 62),
        ("pm25", 63.49999999999999, 64),
        ("co", 0.8500000000000001, Fraction(8, 10)),
        # A true difference does.
        ("pm25", 62.500001, 63),
        ("pm25", 63.499999, 63),
    ],
)
def test_concentrations_are_rounded_first(pollutant, concentration, expected):
    assert rounded(pollutant, concentration) == expected


def test_the_float_means_its_shortest_decimal():
    # The binary value of 1.15 lies below a half, and that of 0.35 too: 1.2 and 0.4 all the same.
    assert Fraction(1.15) < Fraction(115, 100)
    assert rounded("co", 1.15) == Fraction(12, 10)
    assert Fraction(0.35) < Fraction(35, 100)
    assert rounded("co", 0.35) == Fraction(4, 10)


@pytest.mark.parametrize("wrong", [nan, inf, -inf, -1.0, -0.4])
def test_what_is_no_concentration_is_refused(wrong):
    with pytest.raises(ValueError, match=r"pm10.*or None"):
        iaqi(AQI_2026, "pm10", wrong)
    with pytest.raises(ValueError, match=r"pm10.*or None"):
        aqi(AQI_2026, {"pm10": wrong}, ("pm10",))


@pytest.mark.parametrize(
    ("average", "concentration", "in_2012", "in_2026"),
    [
        # 20/35 of 50 is 28.6.
        ("pm25", 20, 29, 29),
        # 2012: 50 + 50·12/40 = 65; 2026: 50 + 50·12/25 = 74.
        ("pm25", 47, 65, 74),
        # 2012: 50 + 50·25/40 = 81.25; 2026: the limit.
        ("pm25", 60, 82, 100),
        # 2012: the limit; 2026: 100 + 50·15/55 = 113.6.
        ("pm25", 75, 100, 114),
        # 2012: 100 + 50·15/40 = 118.75; 2026: 100 + 50·30/55 = 127.3.
        ("pm25", 90, 119, 128),
        # 150 + 50·15/35 = 171.4.
        ("pm25", 130, 172, 172),
        # 300 + 100·50/100, and 400 + 100·75/150.
        ("pm25", 300, 350, 350),
        ("pm25", 425, 450, 450),
        # 2012: 50 + 50·35/100 = 67.5; 2026: 50 + 50·35/70 = 75.
        ("pm10", 85, 68, 75),
        # 2012: 50 + 50·70/100 = 85; 2026: the limit.
        ("pm10", 120, 85, 100),
        # 2012: the limit; 2026: 100 + 50·30/130 = 111.5.
        ("pm10", 150, 100, 112),
        # 200 + 100·35/70, and 300 + 100·40/80.
        ("pm10", 385, 250, 250),
        ("pm10", 460, 350, 350),
        # 50 + 50·50/100; 100 + 50·195/325; 200 + 100·400/800.
        ("so2_24h", 100, 75, 75),
        ("so2_24h", 345, 130, 130),
        ("so2_24h", 1200, 250, 250),
        # 50 + 50·175/350; 150 + 50·50/150 = 166.7.
        ("so2_1h", 325, 75, 75),
        ("so2_1h", 700, 167, 167),
        # 50 + 50·20/40; 100 + 50·50/100; 300 + 100·92/185 = 349.7.
        ("no2_24h", 60, 75, 75),
        ("no2_24h", 130, 125, 125),
        ("no2_24h", 657, 350, 350),
        # 100 + 50·250/500; 400 + 100·375/750.
        ("no2_1h", 450, 125, 125),
        ("no2_1h", 3465, 450, 450),
        # 50 + 50·0.1/2 = 52.5; 100 + 50·5/10.
        ("co_24h", 2.1, 53, 53),
        ("co_24h", 9, 125, 125),
        # 50·0.1/5 = 1; 50 + 50·2.5/5; 300 + 100·15/30.
        ("co_1h", 0.1, 1, 1),
        ("co_1h", 7.5, 75, 75),
        ("co_1h", 105, 350, 350),
        # 50 + 50·30/60; 100 + 50·2/55 = 101.8; 200 + 100·235/535 = 243.9.
        ("o3_8h", 130, 75, 75),
        ("o3_8h", 162, 102, 102),
        ("o3_8h", 500, 244, 244),
        # 50 + 50·20/40; 100 + 50·1/100 = 100.5; 200 + 100·200/400.
        ("o3_1h", 180, 75, 75),
        ("o3_1h", 201, 101, 101),
        ("o3_1h", 600, 250, 250),
    ],
)
def test_indices_between_the_limits(average, concentration, in_2012, in_2026):
    assert iaqi(AQI_2012, average, concentration) == in_2012
    assert iaqi(AQI_2026, average, concentration) == in_2026


def test_rounding_up_starts_from_the_exact_number():
    # 50 + 50·0.2/2 = 55 and 200 + 100·5.4/30 = 218; in binary both come out a little above.
    assert iaqi(AQI_2026, "co_24h", 2.2) == 55
    assert iaqi(AQI_2026, "co_1h", 65.4) == 218


def test_rounding_the_concentration_comes_before_rounding_up():
    # 60.5 is written as 60 and keeps its limit; 61 is 100 + 50/55 = 100.9.
    assert iaqi(AQI_2026, "pm25", 60.5) == 100
    assert iaqi(AQI_2026, "pm25", 60.6) == 101


@pytest.mark.parametrize(
    ("average", "last", "index"),
    [
        ("pm25", 500, 500),
        ("pm10", 600, 500),
        ("so2_24h", 2620, 500),
        ("no2_24h", 940, 500),
        ("no2_1h", 3840, 500),
        ("co_24h", 60, 500),
        ("co_1h", 150, 500),
        ("o3_1h", 1200, 500),
        ("so2_1h", 800, 200),
        ("o3_8h", 800, 300),
    ],
)
def test_above_the_last_limit(average, last, index):
    for table in TABLES:
        assert iaqi(table, average, last) == index
    assert iaqi(AQI_2026, average, last + 1) == index
    assert iaqi(AQI_2026, average, 10 * last) == index
    # In 2012 what is above a short column is "no longer calculated" (notes 2 and 3 of Table 1).
    assert iaqi(AQI_2012, average, last + 1) == (None if index < 500 else 500)


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.label)
def test_limits_have_the_index_of_their_row(table):
    for average, column in table.columns.items():
        assert [iaqi(table, average, c) for c in column] == list(IAQI[: len(column)])


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.label)
@given(data=st.data())
def test_an_index_never_falls_as_a_concentration_rises(table, data):
    average = data.draw(st.sampled_from(sorted(table.columns)))
    anything = st.floats(0, 1.2 * table.columns[average][-1])
    low, high = sorted((data.draw(anything), data.draw(anything)))
    # What has no index lies above everything that has one.
    below, above = (inf if (x := iaqi(table, average, c)) is None else x for c in (low, high))
    assert 0 <= below <= above


@given(st.integers(0, 500))
def test_every_whole_concentration_by_integers_alone(c):
    column = AQI_2026.columns["pm25"]
    i = max(1, sum(limit < c for limit in column))
    rise, run = IAQI[i] - IAQI[i - 1], column[i] - column[i - 1]
    assert iaqi(AQI_2026, "pm25", c) == IAQI[i - 1] - (-rise * (c - column[i - 1]) // run)


def test_tables_by_date():
    assert table_on(date(2013, 1, 1)) is AQI_2012
    assert table_on(date(2026, 2, 28)) is AQI_2012
    assert table_on(date(2026, 3, 1)) is AQI_2026
    assert table_on(date(2031, 1, 1)) is AQI_2026
    assert table_on(date.min) is AQI_2012


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.label)
def test_tables_say_where_they_come_from(table):
    assert table.label in table.source
    assert table.standing == "verified-primary"
    assert {*table.hourly, *table.daily} == set(table.columns)


def test_the_tables_differ_in_two_limits():
    changed = {
        (average, old, new)
        for average, column in AQI_2012.columns.items()
        for old, new in zip(column, AQI_2026.columns[average], strict=True)
        if old != new
    }
    assert changed == {("pm10", 150, 120), ("pm25", 75, 60)}


def test_the_largest_index_is_the_air_quality_index():
    index = aqi(AQI_2026, CLEAN_HOUR | {"o3_1h": 180}, AQI_2026.hourly)
    assert index.value == 75
    assert index.primary == ("o3",)
    assert index.iaqi == {
        "so2_1h": 5,
        "no2_1h": 10,
        "co_1h": 5,
        "o3_1h": 75,
        "pm10": 10,
        "pm25": 10,
    }
    assert index.missing == ()
    assert index.reason is None


@pytest.mark.parametrize(
    ("more", "value", "primary"),
    [
        # Up to 50 no pollutant is primary.
        ({"pm25": 35}, 50, ()),
        ({"pm25": 36}, 52, ("pm25",)),
        # Equal largest indices are primary together, in the order of the table:
        # pm10 85 and no2 150 are 75 both.
        ({"pm10": 85, "no2_1h": 150}, 75, ("no2", "pm10")),
        # Equal when rounded up: 100 + 50·1/100 = 100.5 and 100 + 50·1/55 = 100.9.
        ({"o3_1h": 201, "pm25": 61}, 101, ("o3", "pm25")),
        # Both beyond the table.
        ({"pm10": 700, "pm25": 800}, 500, ("pm10", "pm25")),
        # Sulphur dioxide of an hour stays at 200 (note b).
        ({"so2_1h": 2000}, 200, ("so2",)),
    ],
)
def test_primary_pollutants(more, value, primary):
    index = aqi(AQI_2026, CLEAN_HOUR | more, AQI_2026.hourly)
    assert (index.value, index.primary) == (value, primary)


@pytest.mark.parametrize(
    ("ozone", "value", "primary", "reason"),
    [
        (32, None, (), "uncovered"),
        # Exactly 100 is not above 100.
        (200, None, (), "uncovered"),
        # 100 + 50·1/100 = 100.5 is, and the pollutants that are there make the index.
        (201, 101, ("o3",), None),
    ],
)
def test_a_missing_pollutant_hides_an_index_up_to_100(ozone, value, primary, reason):
    for without in (CLEAN_HOUR | {"pm25": None}, {k: CLEAN_HOUR[k] for k in ("so2_1h", "o3_1h")}):
        index = aqi(AQI_2026, without | {"o3_1h": ozone}, AQI_2026.hourly)
        assert (index.value, index.primary, index.reason) == (value, primary, reason)
        assert "pm25" in index.missing
        assert index.iaqi["pm25"] is None
        # Individual indices are published all the same.
        assert index.iaqi["so2_1h"] == 5


def test_nothing_measured():
    index = aqi(AQI_2026, {}, AQI_2026.daily)
    assert index.value is None
    assert index.reason == "uncovered"
    assert index.missing == tuple(AQI_2026.daily)


def test_a_pollutant_that_need_not_be_measured_does_not_hide_the_index():
    needed = tuple(a for a in AQI_2026.hourly if a != "co_1h")
    assert aqi(AQI_2026, CLEAN_HOUR | {"co_1h": None}, needed).value == 10


def test_the_hour_of_2026_is_not_judged_by_eight_hours_of_ozone():
    assert aqi(AQI_2026, CLEAN_HOUR | {"o3_8h": 700}, AQI_2026.hourly).value == 10


def test_eight_hours_of_ozone_above_800():
    day = {"so2_24h": 0, "no2_24h": 0, "co_24h": 0, "pm10": 0, "pm25": 0, "o3_8h": 850}
    # 2026, note c: counted as 300.
    assert aqi(AQI_2026, day, AQI_2026.daily).value == 300
    # 2012, note 3: ozone is reported by its hour, 300 + 100·100/200.
    index = aqi(AQI_2012, day | {"o3_1h": 900}, AQI_2012.daily)
    assert (index.value, index.primary, index.missing) == (350, ("o3",), ())
    assert index.iaqi["o3_8h"] is None


def test_an_hour_of_sulphur_dioxide_above_800_in_2012():
    clean = {"no2_1h": 0, "pm10": 0, "co_1h": 0, "o3_1h": 0, "o3_8h": 0, "pm25": 0}
    hour = clean | {"so2_1h": 801}
    # Note 2: reported by its 24 hours, 50 + 50·50/100.
    index = aqi(AQI_2012, hour | {"so2_24h": 100}, AQI_2012.hourly)
    assert (index.value, index.primary) == (75, ("so2",))
    assert index.iaqi["so2_24h"] == 75
    # Without them there is no index, and clean air elsewhere must not stand for it.
    index = aqi(AQI_2012, hour, AQI_2012.hourly)
    assert (index.value, index.reason, index.missing) == (None, "undefined", ("so2_1h",))
    # Dirty air elsewhere does: 100 + 50·50/100.
    assert aqi(AQI_2012, hour | {"o3_1h": 250}, AQI_2012.hourly).value == 125
    # 2026: 200 by note b.
    assert aqi(AQI_2026, CLEAN_HOUR | {"so2_1h": 801}, AQI_2026.hourly).value == 200


def test_both_means_of_ozone_are_one_pollutant():
    clean = {"so2_24h": 0, "no2_24h": 0, "co_24h": 0, "pm10": 0, "pm25": 0}
    # 50 + 50·20/40 and 50 + 50·30/60 are 75.
    index = aqi(AQI_2012, clean | {"o3_1h": 180, "o3_8h": 130}, AQI_2012.daily)
    assert (index.value, index.primary) == (75, ("o3",))
