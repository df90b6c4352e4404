"""Incidents, and the children they suppress, against an oracle that looks everything up again."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.outputs import ALERT_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from streams.records import Chunk, Output
from streams.timeline import to_ms
from tests.rules.driven_incidents_tools import conditions_of
from tests.rules.incident_cities import LENGTH, MINUTE, CityWriter, chunks
from tests.rules.incident_oracle import CityOracle, Marked, Row, Step, read
from tests.rules.logs import told_by
from tests.rules.wide import SECRET, START

END = START + LENGTH + 5 * MINUTE
"""Up to when every lane is heard."""


def run(configuration: Configuration, log: Iterable[Chunk]) -> list[Output]:
    """Each lane to its end, then a tick in each."""
    pipeline = Pipeline(compile_plan(configuration, SECRET))
    outputs = [output for chunk in log for output in pipeline.step(chunk)]
    disorder = {topic.name: to_ms(topic.disorder_s) for topic in configuration.topics}
    for lane in pipeline.lanes:
        outputs += pipeline.tick(lane, END + disorder[lane.topic])
    return outputs


Alert = dict[str, Any]


def alerts_of(outputs: Iterable[Output]) -> list[Alert]:
    return [json.loads(output.value) for output in outputs if output.topic == ALERT_LOG]


def oracle_of(configuration: Configuration, outputs: Iterable[Output]) -> CityOracle:
    results = [result for output in outputs for result in told_by(output)]
    return CityOracle(configuration, read(results), END)


def steps_of(alerts: Iterable[Alert]) -> dict[tuple[str, str], list[Step]]:
    """Transitions of incidents, by incident and key."""
    found = defaultdict(list)
    for a in alerts:
        if a["kind"] == "incident":
            holding = {e["condition"] for e in conditions_of(a) if e["holds"]}
            assert a["value"] == a["why"]["n"] == len(holding)
            levels = (a["level"], a["max_level"])
            step = Step(
                a["t_update"], a["transition"], *levels, a["t_onset"], tuple(sorted(holding))
            )
            found[a["rule"], a["key"]].append(step)
    return dict(found)


def assert_evidence(alerts: Iterable[Alert], oracle: CityOracle) -> None:
    """What is given as evidence was said so, and all conditions are there in their order."""
    said = {(r.source, r.level, r.key, r.t, r.value) for r in oracle.rows}
    for a in alerts:
        if a["kind"] == "incident":
            evidence = conditions_of(a)
            conditions = [c.id for c in oracle.incidents[a["rule"]].spec.conditions]
            assert list(dict.fromkeys(e["condition"] for e in evidence)) == conditions
            holding = {e["condition"] for e in evidence if e["holds"]}
            assert (a["certainty"] == "observed") == (len(holding) == len(conditions))
            for e in evidence:
                if "sign" in e:
                    row = (e["sign"], e["key_level"], e["key"], e["t"], e["value"])
                    assert row in said
                    assert e["t"] <= a["t_update"]


def marks_of(alerts: Iterable[Alert]) -> list[tuple[Alert, tuple[str, str, int] | None]]:
    """Every alert that is no incident, and what suppresses it."""
    known = {a["alert_id"]: (a["rule"], a["key"], a["t_onset"]) for a in alerts}
    marks = [(a, a["suppressed_by"]) for a in alerts if a["kind"] != "incident"]
    return [(a, None if by is None else known[by]) for a, by in marks]


def assert_as_the_oracle(configuration: Configuration, log: Iterable[Chunk]) -> list[Alert]:
    outputs = run(configuration, log)
    alerts, oracle = alerts_of(outputs), oracle_of(configuration, outputs)
    found = steps_of(alerts)
    expected = oracle.steps()
    for key in sorted({*expected, *found}):
        assert (key, found.get(key, [])) == (key, expected.get(key, []))
    assert_evidence(alerts, oracle)
    suppressed = {rule.sign for one in configuration.incidents for rule in one.suppresses}
    told: dict[tuple[str, str, str], list[Marked]] = defaultdict(list)
    for a, by in marks_of(alerts):
        name = (a["rule"], a["key_level"], a["key"])
        row = Row(*name, a["place"], a["t_update"], a["value"], a["level"])
        assert (a, by) == (a, oracle.by(row, a["level"]))
        if a["rule"] in suppressed and a["kind"] == "threshold" and not a["late"]:
            told[name].append(Marked(a["t_update"], a["transition"], a["level"], by))
    assert told == oracle.children()
    return alerts


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_any_incidents(rng: Random) -> None:
    writer = CityWriter(rng)
    assert_as_the_oracle(writer.city(), chunks(writer.log()))


@pytest.mark.parametrize("seed", range(30))
def test_incidents_of_a_seed(seed: int) -> None:
    writer = CityWriter(Random(seed))
    assert_as_the_oracle(writer.city(), chunks(writer.log()))


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_any_incidents_of_related_keys(rng: Random) -> None:
    writer = CityWriter(rng, related=True)
    assert_as_the_oracle(writer.city(), chunks(writer.log()))


@pytest.mark.parametrize("seed", range(60))
def test_incidents_of_related_keys_of_a_seed(seed: int) -> None:
    writer = CityWriter(Random(seed), related=True)
    assert_as_the_oracle(writer.city(), chunks(writer.log()))
