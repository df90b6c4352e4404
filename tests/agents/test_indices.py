"""Indices of the air, and a value by its baseline, on hand-made entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agents.derived import formula_of
from agents.entries import Entry, KeyName
from agents.indices import AirIndexFormula, RatioFormula
from schemas.derivations import AirIndex, RatioToBaseline
from streams.windows import Calendar, Hopping
from tests.agents.test_derived import derived

HOUR = 3_600_000
MARCH = 1_772_294_400_000
"""2026-03-01 00:00 in Shanghai, from when HJ 633-2026 holds."""
ZONE = "Asia/Shanghai"
POLLUTANTS = ("pm25", "pm10", "so2", "no2", "co", "o3")
CLEAN = {"pm25": 10.0, "pm10": 20.0, "so2": 5.0, "no2": 10.0, "co": 0.5, "o3": 40.0}


def air(period: str, windows: Any) -> AirIndexFormula:
    of = {name: f"a.{name}" for name in POLLUTANTS}
    rule = AirIndex.model_validate({"name": "aqi", "of": of, "period": period})
    return AirIndexFormula(rule, ("station",), windows, ZONE)


class Hours:
    """Hourly means by pollutant, by the number of the hour that ends."""

    def __init__(self, means: Mapping[str, Mapping[int, float | None]]) -> None:
        self.means = means

    def __call__(self, sign: str, at: int, /) -> Mapping[KeyName, Entry]:
        said = self.means[sign.removeprefix("a.")]
        hour = (at - MARCH) // HOUR
        if hour not in said:
            return {}
        value, reason = said[hour], None
        if value is None:
            reason = "uncovered" if hour >= 0 else "warming"
        entry = Entry("station", "s", "440106001", value, 4, 1.0, reason)  # type: ignore[arg-type]
        return {entry.name: entry}


def always(hours: range, **changed: Mapping[int, float | None]) -> Hours:
    means: dict[str, dict[int, float | None]] = {
        name: dict.fromkeys(hours, value) for name, value in CLEAN.items()
    }
    return Hours({name: {**said, **changed.get(name, {})} for name, said in means.items()})


HOURLY = Hopping(HOUR, HOUR)


def test_the_hour_is_judged_by_its_own_means() -> None:
    said = always(range(1, 25), pm25={24: 100.0})
    (found,) = air("hour", HOURLY).entries(MARCH + 24 * HOUR, said)
    assert (found.value, found.reason, found.coverage) == (137.0, None, 1.0)
    assert found.detail is not None
    assert (found.detail["primary"], found.detail["table"]) == (["pm25"], "HJ 633-2026")
    (before,) = air("hour", HOURLY).entries(MARCH + 23 * HOUR, said)
    assert before.value is not None
    assert before.value < 50


def test_the_table_is_that_of_the_day_on_which_the_window_ends() -> None:
    """The last ms counts: the hour that ends at midnight is of the day before."""
    said = always(range(-48, 2))
    tables = []
    for hour in (0, 1):
        (found,) = air("hour", HOURLY).entries(MARCH + hour * HOUR, said)
        assert found.detail is not None
        tables.append(found.detail["table"])
    assert tables == ["HJ 633-2012", "HJ 633-2026"]


def test_a_missing_pollutant() -> None:
    said = always(range(1, 25), o3={24: None})
    (found,) = air("hour", HOURLY).entries(MARCH + 24 * HOUR, said)
    assert (found.value, found.reason) == (None, "uncovered")
    assert found.coverage == pytest.approx(5 / 6)


def test_all_that_warms_up_is_warming() -> None:
    said = Hours({name: dict.fromkeys(range(-3, 0)) for name in POLLUTANTS})
    (found,) = air("hour", HOURLY).entries(MARCH - HOUR, said)
    assert (found.value, found.reason) == (None, "warming")


@pytest.mark.parametrize(("gaps", "whole"), [(0, True), (4, True), (5, False)])
def test_a_day_needs_twenty_hours(gaps: int, whole: bool) -> None:
    said = always(range(1, 25), **{name: dict.fromkeys(range(1, 1 + gaps)) for name in POLLUTANTS})
    for windows in (Calendar("day", ZONE), Hopping(24 * HOUR, HOUR)):
        (found,) = air("day", windows).entries(MARCH + 24 * HOUR, said)
        assert (found.value is not None) == whole
        assert found.n == 24 * 6 * 4


def test_ends_that_read_an_hour() -> None:
    day, sliding = air("day", Calendar("day", ZONE)), air("day", Hopping(24 * HOUR, HOUR))
    assert day.ends_touched(MARCH + HOUR) == [MARCH + 24 * HOUR]
    assert day.ends_touched(MARCH + 24 * HOUR) == [MARCH + 24 * HOUR]
    assert day.ends_touched(MARCH + HOUR // 2) == []
    assert sliding.ends_touched(MARCH) == [MARCH + k * HOUR for k in range(24)]
    assert max(day.ends_touched(MARCH + HOUR)) - MARCH - HOUR <= day.reach_ms


def ratio(**fields: Any) -> RatioFormula:
    rule = {"name": "ratio_to_baseline", "of": "a.count", **fields}
    return RatioFormula(RatioToBaseline.model_validate(rule), ("city",))


def judged(value: float | None, expected: float | None, reason: Any = None) -> Entry:
    model = {"basis": "hour_of_week", "score": 0.1, "expected": expected}
    model["band"] = None if expected is None else [0.0, 2 * expected]
    return Entry("city", "4401", "4401", value, 7, 1.0, reason, model=model)


def by_baseline(formula: RatioFormula, entry: Entry, other: float | None = None) -> Any:
    second = Entry("city", "4401", "4401", other, 1, 1.0, None)

    def past(sign: str, at: int) -> Mapping[KeyName, Entry]:
        return {entry.name: entry if sign == "a.count" else second}

    (found,) = formula.entries(0, past)
    assert found.model is None
    return found.value, found.reason


@pytest.mark.parametrize(
    ("entry", "value", "reason"),
    [
        (judged(12, 4), 3.0, None),
        (judged(12, 0.0), 12.0, None),  # at least one is expected
        (judged(8, 4), 2.0, None),
        (judged(7, 4), 1.0, None),  # within the band: it may be chance
        (judged(12, None), None, "warming"),
        (judged(None, 4, "uncovered"), None, "uncovered"),
        (judged(12, 4)._replace(model=None), None, "warming"),
        (judged(0, 4), 0.0, None),
    ],
)
def test_a_value_by_what_was_expected(entry: Entry, value: Any, reason: Any) -> None:
    assert by_baseline(ratio(), entry) == (value, reason)


@pytest.mark.parametrize(
    ("count", "others", "value"),
    [(4, 3, 1.0), (5, 3, 2.5), (5, 2, 1.0), (5, None, 1.0), (1, 3, 0.5)],
)
def test_numbers_that_are_small_by_chance_are_no_burst(
    count: int, others: Any, value: float
) -> None:
    formula = ratio(at_least=5, and_of="a.callers", and_at_least=3)
    assert by_baseline(formula, judged(count, 2), others) == (value, None)


def test_the_formulas_are_found_by_their_names() -> None:
    of = dict.fromkeys(POLLUTANTS, "a.sign")
    index = derived({"name": "aqi", "of": of, "period": "hour"}, ["station"])
    assert isinstance(formula_of(index, HOURLY, ZONE), AirIndexFormula)
    burst = derived({"name": "ratio_to_baseline", "of": "a.sign"}, ["city"])
    assert isinstance(formula_of(burst, HOURLY, ZONE), RatioFormula)
