"""Signs whose rows are kept once for all of them say what each says alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest

from agents.common_rows import leaders_of
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from streams.records import Output
from tests.rules.configurations import configuration, levels, sensor, topic, window
from tests.rules.lanes import LaneName, Record
from tests.rules.logs import Writer, chunks_of, replay, results_of

Log = Mapping[LaneName, Sequence[Record]]
START = 1_772_402_400_000
FUNCTIONS = ("count", "sum", "mean", "min", "max", "last", "rate", "stddev")
ALERT = {"levels": levels("gt", blue=5), "alert": {"off_delay_s": 60}}


def rain(function: str, number: int = 0, **fields: Any) -> dict[str, Any]:
    fields = {"window": window(120, 60), "rollup": "merge", **fields}
    return sensor(
        f"rain.{function}_{number}",
        "mm",
        "rain",
        fields.pop("base", "device"),
        aggregate={"function": function},
        **fields,
    )


def configured(*signs: dict[str, Any]) -> Configuration:
    return configuration(list(signs), [topic("sensor", 2, 300)])


SETS = {
    "of lanes": [rain(f, keys=["device", "street", "city"], **ALERT) for f in FUNCTIONS],
    "of shards": [
        rain(f, base="station", keys=["station", "district", "city"], **ALERT) for f in FUNCTIONS
    ],
    "windows": [
        rain("sum", size, base="station", keys=["station", "city"], window=window(size, 60))
        for size in (60, 120, 600)
    ],
    "roll-ups": [
        rain(f, n, base="station", keys=["station", "street"], rollup=rollup)
        for n, rollup in enumerate(("max", "mean"))
        for f in ("max", "mean")
    ],
    "empty": [
        rain(f, n, base="street", keys=["street"], empty=empty)
        for n, empty in enumerate(("missing", "zero"))
        for f in ("sum", "count")
    ],
}


@pytest.fixture(scope="module")
def log() -> Log:
    """Readings, late, repeated and broken ones."""
    return Writer(Random(7), START, 12_000, 300_000).write(configured(*SETS["of lanes"]), 600)


@pytest.mark.parametrize("name", SETS)
def test_together_they_say_what_each_says_alone(log: Log, name: str) -> None:
    signs = SETS[name]
    plan = compile_plan(configured(*signs))
    assert len(set(plan.leaders.values())) == 1, "they are meant to have rows in common"
    together = told(replay(plan, chunks_of(log)))
    assert together == {
        result: said
        for sign in signs
        for result, said in told(replay(configured(sign), chunks_of(log))).items()
    }
    assert len(together) > 20


def told(replayed: tuple[Pipeline, list[Output]]) -> dict[Any, Any]:
    results = results_of(replayed[1])
    for result in results.values():
        result.pop("config")
    return results


@pytest.mark.parametrize("size", [1, 13, 900])
def test_the_results_do_not_depend_on_how_the_log_is_cut(log: Log, size: int) -> None:
    plan = compile_plan(configured(*SETS["of lanes"]))
    assert told(replay(plan, chunks_of(log, size))) == told(replay(plan, chunks_of(log)))


@pytest.mark.parametrize(
    "other",
    [
        rain("mean", 1, base="station", keys=["station"]),
        rain("mean", 1, keys=["device"], window=window(90, 30)),
        rain("mean", 1, keys=["device"], forget_s=60),
        rain("mean", 1, keys=["device", "street"], rollup="max"),
        rain("slope", 1, keys=["device"]),
        rain("mean", 1, keys=["device"]) | {"unit": "ug/m3", "match": {"metric": "pm25"}},
    ],
)
def test_rows_that_differ_in_anything_are_kept_apart(other: dict[str, Any]) -> None:
    plan = compile_plan(configured(rain("mean", keys=["device"]), other))
    assert len(set(plan.leaders.values())) == 2


def test_a_count_has_the_rows_of_those_that_read_the_value() -> None:
    signs = compile_plan(configured(rain("count", keys=["device"]), rain("sum", keys=["device"])))
    leaders = leaders_of(signs.topics["sensor"].signs, {"rain.count_0", "rain.sum_0"})
    assert leaders == dict.fromkeys(("rain.count_0", "rain.sum_0"), "rain.sum_0")
