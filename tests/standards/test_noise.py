"""Equivalent levels by hand, and the limits of GB 3096-2008."""

from __future__ import annotations

from itertools import accumulate
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.standards.noise import (
    LIMITS,
    STEPS_PER_UNIT,
    energy,
    equivalent_level,
    limit,
)

levels = st.floats(20, 140)


def leq(*samples):
    return equivalent_level(sum(map(energy, samples)), len(samples))


@pytest.mark.parametrize(
    ("zone", "day", "night"),
    [
        ("0", 50, 40),
        ("1", 55, 45),
        ("2", 60, 50),
        ("3", 65, 55),
        ("4a", 70, 55),
        ("4b", 70, 60),
    ],
)
def test_limits(zone, day, night):
    assert (limit(zone, "day"), limit(zone, "night")) == (day, night)


def test_limits_say_where_they_come_from():
    assert "GB 3096-2008" in LIMITS.source
    assert LIMITS.standing == "verified-secondary"


def test_50_and_70_decibels():
    # 10·lg((10⁵ + 10⁷) / 2) = 10·lg(5 050 000) = 67.03; the mean of the decibels is 60.
    assert leq(50, 70) == pytest.approx(67.03, abs=0.005)


def test_equal_levels_stay():
    for level in (20, 55.5, 100, 140):
        assert leq(level, level, level) == pytest.approx(level, abs=2.2e-5)


def test_a_day_with_one_loud_hour():
    # 15 hours of 55 dB and one of 75: (15·10^5.5 + 10^7.5) / 16 = 7.1875·10^5.5,
    # 55 + 10·lg 7.1875 = 63.57; 56.25 as a mean of decibels. Above zone 2 by 3.57.
    day = leq(*[55] * 15, 75)
    assert day == pytest.approx(63.566, abs=0.001)
    assert day - limit("2", "day") == pytest.approx(3.566, abs=0.001)


def test_a_night_with_one_loud_hour():
    # 7 hours of 40 dB and one of 60: (7 + 100) / 8 = 13.375 times 10⁴,
    # 40 + 10·lg 13.375 = 51.26. Above zone 2 by 1.26, within zone 3.
    night = leq(*[40] * 7, 60)
    assert night == pytest.approx(51.263, abs=0.001)
    assert limit("2", "night") < night < limit("3", "night")


def test_a_louder_half_hour_of_many_samples():
    # 30 minutes of 60 dB and 30 of 70, one a minute: (1 + 10) / 2 = 5.5 times 10⁶, 67.40.
    assert leq(*[60] * 30, *[70] * 30) == pytest.approx(67.404, abs=0.001)


@given(levels)
def test_a_level_comes_back(level):
    assert equivalent_level(energy(level), 1) == pytest.approx(level, abs=2.2e-5)


@given(levels, levels)
def test_a_louder_level_has_no_less_energy(a, b):
    assert (energy(a) <= energy(b)) or a > b


@given(st.lists(levels, min_size=1, max_size=50).flatmap(lambda x: st.permutations(x)))
def test_sums_do_not_depend_on_order_or_grouping(samples):
    energies = [energy(level) for level in samples]
    total = list(accumulate(sorted(energies)))[-1]
    cut = len(energies) // 3
    assert sum(energies[:cut]) + sum(energies[cut:]) == total
    assert min(samples) - 2.2e-5 <= equivalent_level(total, len(samples)) <= max(samples) + 2.2e-5


def test_energies_fit_the_kernel():
    assert energy(20) == 100 * STEPS_PER_UNIT
    assert energy(140) < 1 << 63
    assert 1_700_000 * energy(130) ** 2 < 1 << 127
    assert 17_000 * energy(140) ** 2 < 1 << 127


@pytest.mark.parametrize("wrong", [nan, inf, -inf, 0, 19.9, 140.1])
def test_what_is_no_level_is_refused(wrong):
    with pytest.raises(ValueError, match="20 to 140 dB"):
        energy(wrong)
