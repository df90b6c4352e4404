"""Everything the engine says of small logs, against the oracle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isclose
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.outputs import LATE
from agents.plan import compile_plan
from schemas.configuration import Configuration
from tests.rules import oracle
from tests.rules.configurations import CALENDAR, NEW_YORK, SMALL
from tests.rules.lanes import LaneName, Record
from tests.rules.logs import Writer, chunks_of, lane_of, replay, results_of
from tests.rules.wide import DAY_SIGNS, EVENT_SIGNS, SECRET, wide
from tests.rules.wide import START as MIDNIGHT
from tests.rules.wide_logs import WideWriter

EVENTS = wide(EVENT_SIGNS, 300, 1800)
DAYS = wide(DAY_SIGNS, 7200, 21_600)


def assert_agree(configuration: Configuration, log: Mapping[LaneName, Sequence[Record]]) -> int:
    lanes, expected = oracle.run(configuration, log)
    pipeline, outputs = replay(compile_plan(configuration, SECRET), chunks_of(log))
    for name, lane in lanes.items():
        counts = pipeline.lanes[lane_of(name)].accounting.as_dict()
        assert counts == {**dict.fromkeys(counts, 0), **lane.bins}, name
    late = [json.loads(output.value) for output in outputs if output.topic == LATE]
    told = {(r["topic"], r["partition"], r["offset"]): r["late_by_ms"] for r in late}
    assert told == {(*name, at): by for name, lane in lanes.items() for at, by in lane.late}
    found = results_of(outputs)
    missing, excess = expected.keys() - found.keys(), found.keys() - expected.keys()
    assert not missing, f"not said: {[(name, expected[name]) for name in sorted(missing)[:3]]}"
    assert not excess, f"said in excess: {[found[name] for name in sorted(excess)[:3]]}"
    for name, result in found.items():
        assert_same(configuration, name, result, expected[name])
    return len(found)


def assert_same(
    configuration: Configuration, name: Any, found: dict[str, Any], expected: dict[str, Any]
) -> None:
    sign = configuration.sign[name[0]]
    for what in ("n", "reason", "place", "t_start", "detail"):
        assert found[what] == expected[what], (what, name, found, expected)
    assert isclose(found["coverage"], expected["coverage"], rel_tol=1e-9), (name, found, expected)
    value, wanted = found["value"], expected["value"]
    assert (value is None) == (wanted is None), (name, found, expected)
    if value is not None:
        assert isclose(value, wanted, rel_tol=1e-9, abs_tol=1e-12), (name, found, expected)
    judged = value is not None and sign.levels is not None
    assert found["level"] == (oracle.level_of(value, sign.levels) if judged else None), found
    assert found["unit"] == sign.unit
    assert found["config"] == configuration.label
    assert found["final"] == (name[4] == 1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("unit", [1500, 12_000])
def test_minutes(unit: int, seed: int) -> None:
    log = Writer(Random(seed), MIDNIGHT, unit, 300_000).write(SMALL, 400)
    assert assert_agree(SMALL, log) > 1000


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("zone", [CALENDAR, NEW_YORK], ids=lambda c: str(c.city.time_zone))
def test_days(zone: Configuration, seed: int) -> None:
    # A spring forward in New York, five hours behind: 2026-03-08.
    start = MIDNIGHT + (6 * 24 if zone is NEW_YORK else -40) * 3_600_000
    log = Writer(Random(seed), start, 900_000, 7_200_000).write(zone, 300)
    assert assert_agree(zone, log) > 50


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_any_small_log(rng: Random, count: int) -> None:
    assert_agree(SMALL, Writer(rng, MIDNIGHT, 12_000, 300_000).write(SMALL, count))


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_any_small_log_of_days(rng: Random, count: int) -> None:
    assert_agree(CALENDAR, Writer(rng, MIDNIGHT, 900_000, 7_200_000).write(CALENDAR, count))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("unit", [1500, 6000])
def test_arrivals_dimensions_limits_and_registers(unit: int, seed: int) -> None:
    log = WideWriter(Random(seed), MIDNIGHT, unit, 300_000).write(EVENTS, 300)
    assert assert_agree(EVENTS, log) > 1000


@pytest.mark.parametrize("seed", range(4))
def test_arrivals_and_daytimes(seed: int) -> None:
    log = WideWriter(Random(seed), MIDNIGHT, 240_000, 7_200_000).write(DAYS, 300)
    assert assert_agree(DAYS, log) > 20


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.integers(1, 60))
def test_any_small_log_of_arrivals(rng: Random, count: int) -> None:
    assert_agree(EVENTS, WideWriter(rng, MIDNIGHT, 6000, 300_000).write(EVENTS, count))
