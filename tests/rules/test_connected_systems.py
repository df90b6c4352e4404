"""Systems that are connected by configuration: what they send, in their own words, brings the signs
that they are said to have to their values and levels.
"""

from __future__ import annotations

import json

import pytest

from agents.outputs import VITALS_LOG
from schemas.configuration import Configuration
from schemas.named_systems import named_systems
from schemas.signs import Sign
from streams.records import Output
from tests.rules.driven import alone, drive, phases_of
from tests.rules.driven_all import MORE
from tests.rules.driven_connected import (
    LEVELLED,
    PROMISED,
    VALUES,
    connected,
    heard,
    sent,
)
from tests.rules.driven_events import MORNING, PLACE, Driven, Event, order
from tests.rules.driven_runs import check_alert, check_levels, outputs_of, said_of, values_of
from tests.rules.driven_unrated import UNRATED, Steady, ended, out_of_ordinary

Examples = tuple[str, ...]


def run(
    examples: Examples, configuration: Configuration, events: list[Event], *, refused: bool = False
) -> list[Output]:
    return outputs_of(configuration, [sent(examples, event) for event in events], refused=refused)


def check_steady(examples: Examples, sign: Sign, steady: Steady) -> None:
    """It says what it shall at each of its keys, and raises what is out of the ordinary."""
    configuration = alone(connected(examples), sign).with_register(steady.register)
    said = values_of(sign, run(examples, configuration, ended(steady.drive())))
    # Who names no grid has no value there.
    assert said
    assert said.keys() >= {key for key in sign.keys if key.endswith(("district", "city"))}
    for values in said.values():
        assert any(value == pytest.approx(steady.value, rel=0.01) for value in values), said
    if sign.model is not None:
        check_alert(sign, run(examples, configuration, ended(out_of_ordinary(steady))), ["anomaly"])


def check_driven(examples: Examples, sign: Sign, driven: Driven | None) -> None:
    """It goes through its levels, and its alert rises and clears."""
    refused = driven is not None and driven.refused
    configuration = alone(connected(examples), sign, driven)
    outputs = run(examples, configuration, drive(sign, driven), refused=refused)
    check_levels(sign, phases_of(sign, driven), outputs)
    if sign.alert is not None:
        check_alert(sign, outputs)


@pytest.mark.parametrize(
    ("examples", "name"),
    PROMISED,
    ids=lambda each: each if isinstance(each, str) else "+".join(each),
)
def test_what_a_system_sends_brings_its_sign_to_its_values(examples: Examples, name: str) -> None:
    sign = connected(examples).sign[name]
    if sign.levels is None:
        check_steady(examples, sign, VALUES.get(name) or UNRATED[name])
    else:
        driven = heard(examples, name) or LEVELLED.get(name) or MORE.get(name)
        check_driven(examples, sign, driven)


def test_a_text_that_names_a_place_of_an_example_is_put_there() -> None:
    examples = ("districts_and_places",)
    configuration = alone(connected(examples), connected(examples).sign["hotline.inflow"])
    said = {"place": "4401", "text": "示例社区路灯不亮"}
    events = [order(MORNING + n * 360_000, n, "created", seq=0, **said) for n in range(30)]
    outputs = outputs_of(configuration, [("city.hotline.v1", t, e) for t, _, e in ended(events)])
    found = [json.loads(o.value) for o in outputs if o.topic == VITALS_LOG]
    assert {r["key"] for r in found if r["key_level"] == "street"} == {"440111004"}


def test_a_window_of_the_edge_tells_its_largest_sample() -> None:
    """50 degrees in the mean, and 70 at most: the alarm is of what was hottest."""
    configuration = connected(("platform_readings",))
    sign = configuration.sign["fire.temperature"]
    window = {"start": MORNING, "end": MORNING + 60_000}
    samples = {"n": 6, "min": 40.0, "max": 70.0, "mean": 50.0}
    record = {"node": "n1", "item": "heat_temperature", "unit": "Cel", "grid": PLACE}
    record |= {"window": window | {"samples": samples}}
    outputs = outputs_of(
        alone(configuration, sign), [("edge.windows.v1", MORNING + 60_000, record)]
    )
    said = said_of(sign, outputs)
    assert {(value, level) for _, value, level in said["district"]} == {(70.0, 3)}


def test_every_topic_and_sign_of_an_example_is_used() -> None:
    """No example has more than what a system is shown to send or have."""
    used = {name for _, name in PROMISED}
    shipped = connected(())
    taken = {
        sent(examples, event)[0]
        for examples, name in PROMISED
        for event in _kinds_of_events(examples, name)
    }
    for example in {one for system in named_systems() for one in system.examples}:
        found = connected((example,))
        assert found.sign.keys() - shipped.sign.keys() <= used
        mine = {topic.name for topic in found.topics} - {topic.name for topic in shipped.topics}
        # That of the edge has its own test.
        assert mine - taken <= {"edge.windows.v1"}, example


def _kinds_of_events(examples: Examples, name: str) -> list[Event]:
    """One of each metric and kind that drives a sign."""
    sign = connected(examples).sign[name]
    if sign.levels is None:
        events = (VALUES.get(name) or UNRATED[name]).drive()
    else:
        events = drive(sign, heard(examples, name) or LEVELLED.get(name) or MORE.get(name))
    found = {(kind, e.get("metric"), e.get("kind")): (t, kind, e) for t, kind, e in events}
    return list(found.values())
