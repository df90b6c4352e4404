"""Readings that state the extremes of their samples: signs of maxima and minima read them."""

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
    sign = sensor(
        "a.heat",
        "Cel",
        "heat_temperature",
        "site",
        aggregate={"function": function},
        window=window(60, 60),
        keys=["site"],
        rollup="none",
    )
    pipeline = Pipeline(compile_plan(configuration([sign], SMALL_TOPICS)))
    lane = next(lane for lane in pipeline.lanes if "sensor" in lane.topic)
    raw = []
    for number, stat in enumerate(stats):
        event = {"device": "d", "metric": "heat_temperature", "value": 25.0, "unit": "Cel"}
        event |= {"t": START + 1000 * number, "place": "440111004003012", "source": "edge"}
        event |= {} if stat is None else {"stat": stat}
        raw.append(json.dumps(event).encode())
    times = [START] * len(raw)
    outputs = pipeline.step(Chunk(*lane, range(len(raw)), times, [None] * len(raw), raw))
    outputs += pipeline.end()
    results = [json.loads(o.value) for o in outputs if o.topic == VITALS_LOG]
    return next(r["value"] for r in results if r["vital"] == "a.heat")


@pytest.mark.parametrize(
    ("function", "value"), [("max", 61.5), ("min", -7.5), ("peak", 61.5), ("mean", 25.0)]
)
def test_an_extreme_is_that_of_the_samples(function: str, value: float) -> None:
    assert said(function, STAT) == value


def test_a_record_after_those_without_is_read_as_well() -> None:
    """The first ones teach the gate what their sender says."""
    assert said("max", None, None, None, STAT, None) == 61.5
    assert said("max", STAT, None, STAT | {"max": 70.0}) == 70.0
    assert said("max", None, None) == 25.0
