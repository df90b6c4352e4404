"""Alerts raised one level early: water and cables of the catalogue by hand, and the same bytes.

A gauge that rises by so much a minute has that slope in every window that is all rise.
"""

from __future__ import annotations

import json
import re
from functools import cache
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from agents.outputs import ALERT_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from tests.rules.driven import alone
from tests.rules.incident_cities import CityWriter, city
from tests.rules.incident_runs import CATALOGUE, MINUTE, Alert, Event, alerts_of, clock, reading
from tests.rules.logs import chunks_of, told_by
from tests.rules.test_incidents_same_bytes import FLOOD
from tests.rules.test_same_bytes import assert_log_stands as assert_one_process_stands
from tests.rules.test_shards import SPLITS, assert_log_union
from tests.rules.test_two_hops import assert_log_stands as assert_two_hops_stand
from tests.rules.wide import SECRET

DAY = 1_780_848_000_000
"""2026-06-08 00:00 in Guangzhou."""


def at(text: str) -> int:
    return clock(DAY, text)


def rises(
    metric: str, begin: str, end: str, start: float, by: float, since: str = "05:30"
) -> list[Event]:
    """A value each half minute, that changes by so much a minute from one time to another."""
    first, last = at(begin), at(end)
    return [
        reading(t, metric, round(start + by * (min(max(t, first), last) - first) / MINUTE, 6), "d0")
        for t in range(at(since), at("07:30"), MINUTE // 2)
    ]


def alerts(sign: str, events: list[Event], *, early: bool = True) -> list[Alert]:
    configuration = alone(CATALOGUE, CATALOGUE.sign[sign])
    if not early:
        content = configuration.model_dump(mode="json")
        for one in content["signs"]:
            if one["alert"] is not None:
                one["alert"]["early"] = None
        content["signs"] = [one for one in content["signs"] if not one["hidden"]]
        configuration = Configuration.model_validate(content)
    return [a for a in alerts_of(configuration, events) if a["rule"] == sign]


def story(found: list[Alert]) -> list[tuple[int, str, int, float, float | None]]:
    """Seconds after 06:00, what, the level, the value, and the minutes to it where it is early."""
    return [
        (
            (a["t_update"] - at("06:00")) // 1000,
            a["transition"],
            a["level"],
            a["value"],
            a["why"].get("early", {}).get("in_min"),
        )
        for a in found
    ]


RISE = rises("water_depth", "06:00", "06:36", 4.0, 0.5)


def test_water_that_rises_is_told_a_level_early() -> None:
    """From 4 cm at 06:00 by 0.5 cm a minute to 22 cm at 06:36."""
    found = alerts("drain.depth", RISE)
    told = story(found)
    _, what, level, value, minutes = told[0]
    # The slope of five minutes is 0.5 once all of them are rise: from then on 10 cm is within
    # a quarter of an hour, and it is on for a minute.
    assert (what, level) == ("raised", 1)
    assert value < 10
    assert minutes is not None
    assert minutes < 15
    raised = {a["level"]: a for a in found if a["transition"] in ("raised", "escalated")}
    assert set(raised) == {1, 2, 3}
    for level, threshold in ((1, 10.0), (2, 15.0), (3, 25.0)):
        alert, early = raised[level], raised[level]["why"]["early"]
        assert early["sign"] == "drain.rise_rate"
        assert early["reaches"] == alert["why"]["threshold"] == threshold
        assert alert["value"] < threshold
        words = alert["annotations"]["early_en"]
        assert re.fullmatch(rf"raised one level early: reaches {threshold:g} cm in \d+ min", words)
        assert alert["annotations"]["early_zh"].startswith("提前一级")
    # In the whole rise the slope is 0.5: the minutes are the gap by it.
    for alert in (raised[2], raised[3]):
        early = alert["why"]["early"]
        assert early["in_min"] == pytest.approx((early["reaches"] - alert["value"]) / 0.5)
        assert early["in_min"] < 15
    # Orange was never reached: when the water stands, yellow stays, ten minutes later.
    last = [step for step in told if step[1] == "deescalated"][-1]
    assert last[2] == 2
    assert last[0] > 36 * 60 + 600
    late = {a["level"]: a["t_update"] for a in alerts_without("drain.depth")}
    assert set(late) == {1, 2}
    assert all(raised[level]["t_update"] < t for level, t in late.items())


def alerts_without(sign: str) -> list[Alert]:
    found = alerts(sign, RISE, early=False)
    assert all("early" not in a["why"] for a in found)
    assert all("early_en" not in a["annotations"] for a in found)
    return [a for a in found if a["transition"] in ("raised", "escalated")]


def test_a_slow_rise_is_told_when_it_is_there() -> None:
    """By 0.1 cm a minute from 5 to 8 cm: 10 cm is always 20 minutes away or more."""
    found = alerts("drain.depth", rises("water_depth", "06:00", "06:30", 5.0, 0.1))
    assert found == []


def test_a_cable_that_warms_is_told_a_level_early() -> None:
    """From 30 °C by 1 °C a minute to 56 °C: 55 °C is blue, and 70 °C within 14 minutes."""
    found = alerts("fire.cable_temp", rises("cable_temperature", "06:00", "06:26", 30.0, 1.0))
    first = story(found)[0]
    assert first[1:3] == ("raised", 1)
    assert first[3] < 55
    yellow = next(a for a in found if a["level"] == 2)
    assert yellow["why"]["early"]["sign"] == "fire.cable_rise"
    assert yellow["why"]["early"]["reaches"] == 70.0
    assert yellow["value"] <= 56
    assert max(a["level"] for a in found) == 2


# --- the same bytes ------------------------------------------------------------------------------


def with_early(tree: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The gauges of small cities: their depth comes with its own slope, told every half minute."""
    depth = next(one for one in tree if one["id"] == "t.depth")
    slope = {
        **depth,
        "id": "t.slope",
        "unit": "cm/min",
        "aggregate": {"function": "slope", "scale": 60},
        "window": {"size_s": 180, "hop_s": 30},
        "keys": ["site"],
        "hidden": ["site"],
        "rollup": "none",
    }
    slope.pop("levels")
    slope.pop("alert")
    early = {"within_min": 15, "rate": "t.slope"}
    alert = {**depth["alert"], "keys": ["site"], "early": early}
    return [*(one | {"alert": alert} if one is depth else one for one in tree), slope]


def shipped() -> list[dict[str, Any]]:
    content = city([FLOOD]).model_dump(mode="json")
    signs: list[dict[str, Any]] = content["signs"]
    return signs


EARLY = city([FLOOD], with_early(shipped()))
ALONE = EARLY.model_copy(update={"incidents": []})


@cache
def log_of(seed: int) -> Any:
    return CityWriter(Random(seed)).log()


def one_after_another(configuration: Configuration, seed: int) -> list[Any]:
    pipeline = Pipeline(compile_plan(configuration, SECRET))
    outputs = [o for chunk in chunks_of(log_of(seed)) for o in pipeline.step(chunk)]
    return outputs + pipeline.end()


def test_the_logs_have_alerts_a_level_early() -> None:
    told = [
        o.value
        for seed in range(6)
        for o in one_after_another(EARLY, seed)
        if o.topic == ALERT_LOG and b'"early":' in o.value
    ]
    assert len(told) > 5


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("configuration", [EARLY, ALONE], ids=["held", "alone"])
def test_one_process(configuration: Configuration, seed: int) -> None:
    assert_one_process_stands(configuration, log_of(seed), Random(seed))


@pytest.mark.parametrize("seed", range(3))
def test_two_hops(seed: int) -> None:
    assert_two_hops_stand(EARLY, log_of(seed), Random(seed))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("configuration", [EARLY, ALONE], ids=["held", "alone"])
def test_shards(configuration: Configuration, split: str) -> None:
    assert_log_union(configuration, SPLITS[split], log_of(2), Random(2))


def test_results_are_as_ever() -> None:
    """Levels of results are memoryless: alerts alone are told early."""
    signs = with_early(shipped())
    for one in signs:
        if one.get("alert") is not None:
            one["alert"] = {**one["alert"], "early": None}
    plain = city([FLOOD], [one for one in signs if one["id"] != "t.slope"])
    found = [
        [
            {name: told for name, told in result.items() if name != "config"}
            for output in one_after_another(each, 1)
            for result in told_by(output)
        ]
        for each in (EARLY, plain)
    ]
    found = [sorted(each, key=lambda one: json.dumps(one, sort_keys=True)) for each in found]
    assert found[0] == found[1]


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("early", "message"),
    [
        ({"within_min": 15, "rate": "t.slop"}, "unknown sign 't.slop': did you mean 't.slope'?"),
        ({"within_min": 15, "rate": "t.depth"}, "is the sign itself"),
        ({"within_min": 15, "rate": "t.rain"}, "'t.rain' has no key site"),
        ({"within_min": 0, "rate": "t.slope"}, "greater than 0"),
        ({"rate": "t.slope"}, "within_min"),
    ],
)
def test_a_fault_is_told(early: dict[str, Any], message: str) -> None:
    signs = with_early(shipped())
    depth = next(one for one in signs if one["id"] == "t.depth")
    depth["alert"] = {**depth["alert"], "early": early}
    with pytest.raises(ValidationError, match=re.escape(message)):
        city([FLOOD], signs)
