"""Models of signs inside the assess task: which keys, what they learn, what a correction says."""

from __future__ import annotations

from dataclasses import asdict
from math import nan
from typing import Any

from agents.assess import Assess
from agents.detectors.protocol import ALARM
from agents.judges import SignJudge, judges_of, parameters_of
from agents.plan import compile_plan
from schemas.configuration import Configuration
from schemas.loading import load
from tests.rules.configurations import configuration, sensor, topic, window
from tests.rules.wide import by_hours, gaussian

MINUTE = 60_000


def made(model: dict[str, Any], **fields: Any) -> Configuration:
    given = {"aggregate": {"function": "mean"}, "window": window(60, 60), "rollup": "mean"}
    signs = [
        sensor("a.judged", "mm", "rain", "street", keys=["street", "city"], model=model, **given),
        sensor("a.plain", "mm", "rain", "street", keys=["street", "city"], **given),
    ]
    return configuration(signs, [topic("sensor", 1, 300)])


CITY = ("city", "4401")


def judge(model: dict[str, Any]) -> SignJudge:
    (found,) = judges_of(compile_plan(made(model))).values()
    return found


def test_only_signs_with_models_have_judges() -> None:
    assert list(judges_of(compile_plan(made(gaussian())))) == ["a.judged"]
    shipped = compile_plan(load(None, environ={}))
    judged = {sign.id for sign in shipped.configuration.signs if sign.model is not None}
    assert set(judges_of(shipped)) == judged
    assert len(judged) > 5


def test_only_the_keys_that_are_given_are_judged() -> None:
    found = judge(gaussian(keys=["street"]))
    assert found.says(CITY, 1, MINUTE) is None
    street = found.says(("street", "440106001"), 1, MINUTE)
    assert street == {"basis": "warming", "score": None, "expected": None, "band": None}
    assert len(found.judge) == 1


def test_a_null_is_neither_judged_nor_learned() -> None:
    found = judge(gaussian())
    model = found.says(CITY, nan, MINUTE)
    assert model == {"basis": "missing", "score": None, "expected": None, "band": None}
    assert found.judge.counters.skipped == 1
    assert len(found.judge) == 0


def test_what_is_flagged_is_not_learned() -> None:
    found = judge(gaussian(floor=1))
    for minute, value in enumerate([10, 11, 9, 10]):
        found.says(CITY, value, minute * MINUTE)
    for minute in range(4, 9):
        model = found.says(CITY, 1000, minute * MINUTE)
        assert model is not None
        assert model["score"] >= ALARM
        assert model["expected"] == 10
    assert found.judge.counters.learned == 4


def test_a_probe_changes_nothing() -> None:
    """Two judges of the same values, of which one plants an outlier every hour."""
    probed, calm = judge(gaussian(floor=1, probe_times=100)), judge(gaussian(floor=1))
    calm.judge._plant = lambda *_: None  # type: ignore[method-assign]
    for hour in range(30):
        one, two = (j.says(CITY, hour % 5, hour * 60 * MINUTE) for j in (probed, calm))
        assert one == two
    assert probed.judge.counters.probes > 20
    assert calm.judge.counters.probes == 0


def test_parameters_are_those_of_the_configuration() -> None:
    rule = made(by_hours(keep=9, counts=True, floor=2.5)).signs[0].model
    assert rule is not None
    given = asdict(parameters_of(rule))  # type: ignore[call-overload]
    assert (given["ring"], given["counts"], given["floor"], given["least"]) == (9, True, 2.5, 3)


def test_models_of_a_shard_are_frozen_with_it() -> None:
    plan = compile_plan(made(gaussian()))
    assess = Assess(plan)
    assess.judges["a.judged"].says(CITY, 5.0, MINUTE)
    parts = {name: encode() for name, encode in assess.freeze(whole=True).items() if encode}
    assert "judge/a.judged/keys" in parts
    again = Assess(plan)
    again.load(parts)
    assert len(again.judges["a.judged"].judge) == 1
    assert {n: e() for n, e in again.freeze(whole=True).items() if e} == parts
