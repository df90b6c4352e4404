"""The named systems: every one is there, and what is said of it is there too."""

from __future__ import annotations

import ast
import json
from collections import Counter
from pathlib import Path

import pytest

from schemas.loading import load
from schemas.named_systems import (
    ALL,
    EXAMPLES,
    SHOWN,
    named_systems,
    signs_in,
    systems_markdown,
    ways_shown,
)
from tests.commands.console import here
from tests.rules.driven_all import DRIVEN
from tests.rules.driven_connected import connected, topics_of
from tests.rules.driven_live import STEPS
from tests.rules.test_driven_incidents import SCENES
from tests.rules.test_unrated_signs import MODELLED
from tests.rules.test_unrated_signs import SHOWN as UNRATED_SHOWN
from tests.schemas.feeding import Fed, is_fed

CONFIGURATION = load(environ={})
ROOT = Path(__file__).parents[2]


def test_the_owner_names_116_systems() -> None:
    systems = named_systems()
    assert [system.no for system in systems] == list(range(1, 117))
    assert Counter(system.scope for system in systems) == {"in": 56, "configuration": 51, "out": 9}


def test_what_is_named_exists() -> None:
    incidents = {incident.id for incident in CONFIGURATION.incidents}
    signs, kinds = set(CONFIGURATION.sign), {topic.kind for topic in CONFIGURATION.topics}
    for system in named_systems():
        own = {name for example in system.examples for name, _ in signs_in(example)}
        assert set(system.signs) <= signs | own | {ALL}, system
        assert set(system.incidents) <= incidents | {ALL}, system
        for event in system.events:
            fed = Fed.read(event)
            assert fed.kind in kinds, system
            if fed.kind == "sensor" and fed.what:
                assert fed.what in connected(tuple(system.examples)).known_metrics, system
        assert (system.scope == "configuration") == bool(system.examples), system
        assert (system.scope == "out") == (system.why is not None), system


def test_what_a_system_sends_feeds_what_it_is_said_to() -> None:
    """Each event is read by one of its signs or incidents, and these read one of its events."""
    for system in named_systems():
        if ALL in system.signs or not system.events:
            continue
        found = connected(tuple(system.examples))
        names = [name for name in (*system.signs, *system.incidents) if name != ALL]
        for name in names:
            assert any(is_fed(found, name, event) for event in system.events), (system.no, name)
        for event in system.events:
            assert any(is_fed(found, name, event) for name in names), (system.no, event)


def test_what_is_sent_has_a_topic() -> None:
    for system in named_systems():
        kinds = {topic.kind for topic in topics_of(tuple(system.examples))}
        assert {Fed.read(event).kind for event in system.events} <= kinds, system.no


def test_the_tests_that_show_it_are_there() -> None:
    for node in SHOWN.values():
        path, _, function = node.partition("::")
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        assert function in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}


def test_the_tests_that_show_it_are_of_its_signs_and_incidents() -> None:
    rated, unrated = {sign.id for sign in DRIVEN}, {sign.id for sign in UNRATED_SHOWN}
    surprising, scenes = {sign.id for sign in MODELLED}, {s.incident for s in SCENES.values()}
    hidden = {s.id for s in CONFIGURATION.signs if set(s.keys) <= set(s.hidden)}
    for system in named_systems():
        if system.scope != "in":
            continue
        signs, told = set(system.signs_of(CONFIGURATION)), ways_shown(system, CONFIGURATION)
        assert signs <= rated | unrated | hidden | STEPS.keys(), system
        assert ("levels" in told) == bool(signs & rated)
        assert ("values" in told) == bool(signs & unrated)
        assert ("surprises" in told) == bool(signs & surprising)
        assert ("live" in told) == bool(signs & STEPS.keys())
        assert ("incidents" in told) == bool(system.incidents)
        assert set(system.incidents) <= scenes | {ALL}
        # Signs that are not shown are shown by what reads them.
        if signs & hidden:
            assert system.incidents or not set(system.signs) & hidden


def test_every_example_is_used_and_every_incident_named() -> None:
    used = {example for system in named_systems() for example in system.examples}
    assert used == {path.stem for path in EXAMPLES.glob("*.yaml")}
    named = {name for system in named_systems() for name in system.incidents}
    assert {incident.id for incident in CONFIGURATION.incidents} <= named | {ALL}


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.yaml")))
def test_an_example_is_one_more_file_beside_the_catalogue(name: str) -> None:
    assert connected((name,)).fingerprint


def test_the_page_is_current() -> None:
    """Made by `cityvitals catalogue --systems --md > schemas/systems.md`."""
    page = (ROOT / "schemas" / "systems.md").read_text("utf-8")
    assert page == systems_markdown(CONFIGURATION)


def test_the_command_tells_them() -> None:
    told = json.loads(here("catalogue", "--systems", "--json").out)["systems"]
    assert len(told) == 116
    water = next(system for system in told if "ce.waterlogging" in system["incidents"])
    assert water["shown_by"]
    shown = here("catalogue", "--systems")
    assert shown.code == 0
    assert "116" in shown.out
    assert here("catalogue", "drain.depth", "--systems").code == 2
