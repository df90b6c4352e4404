"""R6, R7, R8: ids, numbers and nulls of everything that a city's run sends."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from math import isfinite
from random import Random
from typing import Any

import msgspec
import pytest

from agents.outputs import (
    ALERT_LOG,
    ALERTS,
    COMPACTED,
    DEAD_LETTER,
    DEVICE_VITALS,
    LATE,
    TICKS,
    VITALS,
    VITALS_LOG,
)
from agents.pipeline import Pipeline
from agents.plan import Plan, compile_plan
from schemas.alert import Alert
from schemas.deadletter import DeadLetter
from schemas.device_vital import DeviceResults
from schemas.late import LateEvent
from schemas.tick import Tick
from schemas.vital import VitalResult
from streams.records import Chunk, Output
from tests.rules.city_logs import city_plan, interleaved
from tests.rules.configurations import configuration, sensor, topic, window
from tests.rules.logs import chunks_of, replay, results_of
from tests.rules.wide import HOURS, SECRET, WIDE
from tests.rules.wide_logs import written

TYPES = {
    VITALS: VitalResult,
    VITALS_LOG: VitalResult,
    DEVICE_VITALS: DeviceResults,
    ALERTS: Alert,
    ALERT_LOG: Alert,
    LATE: LateEvent,
    DEAD_LETTER: DeadLetter,
    TICKS: Tick,
}
# Twice the results of other topics are in one: the log holds each of them once.
LOGS = {VITALS: VITALS_LOG, ALERTS: ALERT_LOG}


@pytest.fixture(scope="module")
def outputs() -> list[Output]:
    return replay(city_plan(), interleaved(500))[1]


def results_in(outputs: Iterable[Output]) -> list[VitalResult]:
    decoder = msgspec.json.Decoder(VitalResult)
    return [decoder.decode(o.value) for o in outputs if o.topic == VITALS_LOG]


@pytest.fixture(scope="module")
def results(outputs: list[Output]) -> list[VitalResult]:
    return results_in(outputs)


@pytest.fixture(scope="module")
def of_states() -> list[tuple[Plan, list[Output]]]:
    """What small logs say of arrivals, orders, repeats, limits, indices and models."""
    plans = {name: compile_plan(made, SECRET) for name, made in (("w", WIDE), ("h", HOURS))}
    logs = [("w", WIDE, seed, 150) for seed in range(6)]
    logs += [("h", HOURS, seed, 600) for seed in range(3)]
    return [
        (plans[name], replay(plans[name], chunks_of(written(made, Random(seed), count)))[1])
        for name, made, seed, count in logs
    ]


def test_ids_are_unique_and_repeats_alike(outputs: list[Output]) -> None:
    again = replay(city_plan(), interleaved(500))[1]
    assert again == outputs
    ids = Counter((o.topic, dict(o.headers)["ce_id"]) for o in outputs)
    assert ids.most_common(1)[0][1] == 1


def test_what_is_compacted_stands_in_the_log(outputs: list[Output]) -> None:
    logged = {(o.topic, o.key, o.value) for o in outputs}
    for o in outputs:
        if o.topic in COMPACTED:
            assert (LOGS[o.topic], o.key, o.value) in logged


def newest_of(outputs: Iterable[Output], topic: str) -> dict[bytes, Any]:
    """The newest window's last result by key."""
    newest: dict[bytes, Any] = {}
    for o in outputs:
        if o.topic == topic:
            result = json.loads(o.value)
            known = newest.get(o.key)
            if known is None or (result["t_end"], result["rev"]) >= (known["t_end"], known["rev"]):
                newest[o.key] = result
    return newest


def test_the_newest_window_is_the_one_compacted() -> None:
    """But for windows that the log does not reach the end of: they hold a part."""
    pipeline, log = Pipeline(city_plan()), list(interleaved(500))
    outputs = [output for chunk in log for output in pipeline.step(chunk)]
    compacted = {o.key: json.loads(o.value) for o in outputs if o.topic == VITALS}
    assert compacted == newest_of(outputs, VITALS_LOG)
    last = max(t for chunk in log for t in chunk.timestamps)
    ended = pipeline.end()
    logged, put = newest_of(ended, VITALS_LOG), newest_of(ended, VITALS)
    assert max(result["t_end"] for result in logged.values()) > last
    assert max(result["t_end"] for result in put.values()) <= last
    assert {o.key: json.loads(o.value) for o in ended if o.topic == VITALS} == put


def test_everything_reads_back(
    outputs: list[Output], of_states: list[tuple[Plan, list[Output]]]
) -> None:
    read_back([*outputs, *(o for _, said in of_states for o in said)])


def read_back(outputs: list[Output]) -> None:
    decoders = {topic: msgspec.json.Decoder(kind, strict=True) for topic, kind in TYPES.items()}
    for o in outputs:
        read = decoders[o.topic].decode(o.value)
        assert json.loads(msgspec.json.encode(read)) == json.loads(o.value)
        headers = dict(o.headers)
        assert headers["ce_specversion"] == b"1.0"
        assert headers["ce_type"].startswith(b"city.")
    assert {o.topic for o in outputs} == set(TYPES) - {DEVICE_VITALS}


def test_every_number_is_finite(
    outputs: list[Output], of_states: list[tuple[Plan, list[Output]]]
) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    def walk(value: Any) -> None:
        if isinstance(value, float):
            assert isfinite(value)
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                walk(item)

    for o in (*outputs, *(o for _, said in of_states for o in said)):
        walk(json.loads(o.value, parse_constant=refuse))


def test_a_value_beyond_all_numbers_is_null() -> None:
    """A factor may take a sum beyond the largest float; what is not a number enters nowhere."""
    fields = {"aggregate": {"function": "sum", "scale": 1e308}, "window": window(60, 60)}
    keys = ["device", "city"]
    rains = [
        sensor("a.merged", "1", "rain", "device", **fields, keys=keys, rollup="merge"),
        sensor("a.worst", "1", "rain", "device", **fields, keys=keys, rollup="max"),
    ]
    head = b'{"device":"d","metric":"rain","unit":"mm","place":"440106001","t":1772294400000,'
    values = [head + b'"value":%s}' % value for value in (b"50", b"NaN", b"Infinity", b"1e999")]
    offsets = range(len(values))
    chunk = Chunk("sensor", 0, offsets, [1_772_294_400_000] * 4, [None] * 4, values)
    made = configuration(rains, [topic("sensor", 1, 300)])
    pipeline, outputs = replay(made, [chunk])
    assert pipeline.total().rejected == 3
    found = results_of(outputs)
    said = {(name[0], name[1]): (r["value"], r["reason"], r["n"]) for name, r in found.items()}
    undefined = (None, "undefined", 1)
    assert said["a.merged", "device"] == said["a.merged", "city"] == undefined
    assert said["a.worst", "device"] == undefined
    assert said["a.worst", "city"] == (None, "uncovered", 1)


def test_a_null_has_a_reason_and_no_level(
    results: list[VitalResult], of_states: list[tuple[Plan, list[Output]]]
) -> None:
    assert_reasoned(city_plan(), results)
    assert {r.reason for r in results} >= {None, "warming", "uncovered"}
    reasons = set()
    for plan, said in of_states:
        assert_reasoned(plan, results_in(said))
        reasons |= {r.reason for r in results_in(said)}
    assert reasons == {None, "warming", "uncovered", "no_limit", "undefined"}


def assert_reasoned(plan: Plan, results: list[VitalResult]) -> None:
    signs = plan.configuration.sign
    for r in results:
        assert (r.value is None) == (r.reason is not None)
        judged = r.value is not None and signs[r.vital].levels is not None
        assert (r.level is not None) == judged
        assert 0 <= r.coverage <= 1
        assert r.final == (r.rev == 1)
        assert r.t_start < r.t_end
        assert r.key_level in signs[r.vital].keys
        rule = signs[r.vital].model
        judged = rule is not None and r.key_level in (rule.keys or signs[r.vital].keys)
        assert (r.model is not None) == judged or r.rev == 1


def test_a_key_warms_up_once(results: list[VitalResult]) -> None:
    """What was said on time is null until a window lies behind the key's first event."""
    warm: set[tuple[str, str, str]] = set()
    for r in sorted((r for r in results if r.rev == 0), key=lambda r: r.t_end):
        name = (r.vital, r.key_level, r.key)
        if r.reason != "warming":
            warm.add(name)
        elif city_plan().configuration.sign[r.vital].kind == "window":
            assert name not in warm
    assert warm


def test_what_is_said_once_has_no_correction(of_states: list[tuple[Plan, list[Output]]]) -> None:
    """Arrivals, repeats and open orders that come late count when they come."""
    for plan, said in of_states:
        once = {s.sign.id for s in plan.folded if s.at_arrival or s.sign.kind == "sampled"}
        assert len(once) >= 4
        assert not [r for r in results_in(said) if r.vital in once and r.rev]


def test_a_correction_says_what_the_model_said(
    results: list[VitalResult], of_states: list[tuple[Plan, list[Output]]]
) -> None:
    """It was once said of the signs alone that another sign reads."""
    corrected = set()
    for said in (results, *(results_in(said) for _, said in of_states)):
        first = {(r.vital, r.key_level, r.key, r.t_end): r for r in said if r.rev == 0}
        for r in said:
            before = first.get((r.vital, r.key_level, r.key, r.t_end))
            if r.rev and before is not None:
                assert r.model == before.model
                corrected.update([r.vital] if r.model else [])
    assert corrected >= {"wide.leq", "wide.mean", "wide.burst", "wide.topic_orders"}


def test_a_final_says_something_else(results: list[VitalResult]) -> None:
    first = {(r.vital, r.key_level, r.key, r.t_end): r for r in results if r.rev == 0}
    finals = [r for r in results if r.rev == 1]
    assert len(finals) > 10
    for r in finals:
        before = first.get((r.vital, r.key_level, r.key, r.t_end))
        if before is not None:
            assert msgspec.structs.replace(r, rev=0, final=False) != before
