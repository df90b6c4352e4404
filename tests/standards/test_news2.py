"""NEWS2 by hand, from chart 1 of the Royal College of Physicians (2017)."""

from __future__ import annotations

import pytest

from agents.scores import news2
from schemas.standards.body import score


@pytest.mark.parametrize(
    ("measure", "values"),
    [
        ("resp", {8: 3, 9: 1, 11: 1, 12: 0, 20: 0, 21: 2, 24: 2, 25: 3}),
        ("spo2", {91: 3, 92: 2, 93: 2, 94: 1, 95: 1, 96: 0, 100: 0}),
        ("sbp", {90: 3, 91: 2, 100: 2, 101: 1, 110: 1, 111: 0, 219: 0, 220: 3}),
        ("hr", {40: 3, 41: 1, 50: 1, 51: 0, 90: 0, 91: 1, 110: 1, 111: 2, 130: 2, 131: 3}),
        (
            "body_temperature",
            {35.0: 3, 35.1: 1, 36.0: 1, 36.1: 0, 38.0: 0, 38.1: 1, 39.0: 1, 39.1: 2},
        ),
    ],
)
def test_points(measure: str, values: dict[float, int]) -> None:
    assert {value: score(measure, value) for value in values} == values


def test_a_mean_is_rounded_as_the_chart_is_read() -> None:
    assert score("hr", 90.4) == 0
    assert score("hr", 90.6) == 1
    assert score("body_temperature", 38.04) == 0
    assert score("body_temperature", 38.06) == 1


def test_a_sick_person() -> None:
    # 25 breaths (3), 93 % (2), 95 mmHg (2), 112 beats (2), 39.2 °C (2) are 11.
    measured = {"resp": 25, "spo2": 93, "sbp": 95, "hr": 112, "body_temperature": 39.2}
    points = {"resp": 3, "spo2": 2, "sbp": 2, "hr": 2, "body_temperature": 2}
    assert news2(measured) == (11, points)
    healthy = {"resp": 16, "spo2": 98, "sbp": 120, "hr": 70, "body_temperature": 36.6}
    assert news2(healthy)[0] == 0
