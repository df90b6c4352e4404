"""The named systems: every one is there, and what is said of it is there too."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from schemas.loading import CATALOGUE, load
from schemas.named_systems import ALL, EXAMPLES, named_systems, shown_by, systems_markdown
from tests.commands.console import here

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
        assert set(system.signs) <= signs | {ALL}, system
        assert set(system.incidents) <= incidents | {ALL}, system
        for event in system.events:
            kind, _, of = event.partition(" ")
            assert kind in kinds, system
            assert kind != "sensor" or not of or of in CONFIGURATION.known_metrics, system
        assert (system.scope == "configuration") == (system.example is not None), system
        assert (system.scope == "out") == (system.why is not None), system
        if system.scope == "in":
            assert all(
                (ROOT / path).exists() for path in shown_by(system, CONFIGURATION).split(", ")
            )


def test_every_example_is_used_and_every_incident_named() -> None:
    used = {system.example for system in named_systems()} - {None}
    assert used == {path.stem for path in EXAMPLES.glob("*.yaml")}
    named = {name for system in named_systems() for name in system.incidents}
    assert {incident.id for incident in CONFIGURATION.incidents} <= named | {ALL}


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.yaml")))
def test_an_example_is_one_more_file_beside_the_catalogue(name: str, tmp_path: Path) -> None:
    shutil.copytree(CATALOGUE, tmp_path / "mine")
    shutil.copy(EXAMPLES / f"{name}.yaml", tmp_path / "mine")
    assert load(tmp_path / "mine", environ={}).fingerprint


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
