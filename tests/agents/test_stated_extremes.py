"""Readings of many samples: signs read the extremes that they state, and count each sample."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.outputs import VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from streams.records import Chunk
from tests.rules.configurations import SMALL_TOPICS, configuration, sensor, window

START = 1_772_402_400_000
STAT = {"n": 60, "min": -7.5, "max": 61.5, "mean": 25.0}


def said(function: str, *stats: dict[str, float] | None) -> Any:
    """The value of a minute in which a device spoke so often, each time with the mean 25."""
    return result_of(function, *({} if stat is None else {"stat": stat} for stat in stats))["value"]


def result_of(function: str, *more: dict[str, Any], sampled: dict[str, Any] | None = None) -> Any:
    """What is said of a minute in which a device said this, one reading a second."""
    sign = sensor(
        "a.heat",
        "Cel",
        "heat_temperature",
        "site",
        aggregate={"function": function},
        window=window(60, 60),
        keys=["site"],
        rollup="none",
        coverage={"by": "time", "at_least": 0.01},
    ) | (sampled or {})
    pipeline = Pipeline(compile_plan(configuration([sign], SMALL_TOPICS)))
    lane = next(lane for lane in pipeline.lanes if "sensor" in lane.topic)
    raw = []
    for number, changed in enumerate(more):
        event = {"device": "d", "metric": "heat_temperature", "value": 25.0, "unit": "Cel"}
        event |= {"t": START + 1000 * number, "place": "440111004003012", "source": "edge"}
        event |= changed
        raw.append(json.dumps(event).encode())
    times = [START] * len(raw)
    outputs = pipeline.step(Chunk(*lane, range(len(raw)), times, [None] * len(raw), raw))
    outputs += pipeline.end()
    results = [json.loads(o.value) for o in outputs if o.topic == VITALS_LOG]
    return next(r for r in results if r["vital"] == "a.heat")


@pytest.mark.parametrize(
    ("function", "value"), [("max", 61.5), ("min", -7.5), ("peak", 61.5), ("mean", 25.0)]
)
def test_an_extreme_is_that_of_the_samples(function: str, value: float) -> None:
    assert said(function, STAT) == value


@pytest.mark.parametrize(
    ("function", "value"), [("sum", 25.0), ("mean", 25.0), ("max", 61.5), ("min", -7.5)]
)
def test_a_sampled_value_is_the_mean_or_the_extreme(function: str, value: float) -> None:
    sampled = {"kind": "sampled", "period_s": 60, "rollup": "merge", "coverage": None}
    assert result_of(function, {"stat": STAT}, sampled=sampled)["value"] == value


def test_a_record_after_those_without_is_read_as_well() -> None:
    """The first ones teach the gate what their sender says."""
    assert said("max", None, None, None, STAT, None) == 61.5
    assert said("max", STAT, None, STAT | {"max": 70.0}) == 70.0
    assert said("max", None, None) == 25.0


@pytest.mark.parametrize(
    ("function", "value"),
    # 10 once and 2 three times.
    [("sum", 16.0), ("mean", 4.0), ("count", 4.0), ("max", 10.0)],
)
def test_a_mean_counts_as_each_of_its_samples(function: str, value: float) -> None:
    found = result_of(
        function,
        {"value": 10.0},
        {"value": 2.0, "stat": {"n": 3, "min": 1.0, "mean": 2.0, "max": 3.0}},
    )
    assert (found["value"], found["n"]) == (value, 4)


def test_samples_speak_for_the_time_of_their_reading() -> None:
    half = {"t_end": START + 30_000, "stat": {"n": 7, "mean": 25.0}}
    found = result_of("mean", half)
    assert (found["n"], found["coverage"]) == (7, 0.5)
    each = {"period_s": 5.0, "stat": {"n": 3, "mean": 25.0}}
    assert result_of("mean", each)["coverage"] == 0.25
    assert result_of("mean", {"period_s": 5.0})["coverage"] == pytest.approx(5 / 60, abs=0.001)
