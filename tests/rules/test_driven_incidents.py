"""Every incident of the catalogue, driven by raw events: to each of its levels and back, and not by
less than it asks for.

When, what and why is worked out in the scenarios from the rule and the times of the events.
"""

from __future__ import annotations

from functools import cache

import pytest

from schemas.incidents import Incident, facts_of
from tests.rules import driven_incidents_hazards as hazards
from tests.rules import driven_incidents_people as people
from tests.rules import driven_incidents_water as water
from tests.rules.driven_incidents_related import RED
from tests.rules.driven_incidents_tools import Scene, conditions_of, story_of
from tests.rules.driven_incidents_ways import WAYS
from tests.rules.incident_runs import CATALOGUE, GRID, Alert, alerts_of, of, only

SCENES = {**water.SCENES, **people.SCENES, **hazards.SCENES}
TOO_LITTLE = {**water.TOO_LITTLE, **people.TOO_LITTLE, **hazards.TOO_LITTLE}
INCIDENTS = {incident.id: incident for incident in CATALOGUE.incidents}
LEVELS = ("", "blue", "yellow", "orange", "red")


def run(scene: Scene) -> list[Alert]:
    names = (scene.incident, *scene.others)
    return alerts_of(only(names, scene.devices), scene.all_events(), scene.step_ms)


@cache
def alerts_of_scene(name: str) -> list[Alert]:
    """What was said in one of the scenarios, each run once."""
    return run(SCENES[name] if name in SCENES else WAYS[name].scene)


def place_of(incident: Incident, scene: Scene) -> str:
    """Where an incident at this key is: districts, streets and communities are what they say."""
    if incident.key in ("district", "street"):
        return scene.key
    return GRID[:12] if incident.key == "category*community" else GRID


@pytest.mark.parametrize("name", SCENES)
def test_an_incident_goes_through_its_levels_and_is_over(name: str) -> None:
    scene, alerts = SCENES[name], alerts_of_scene(name)
    incident = INCIDENTS[scene.incident]
    assert story_of(alerts, scene.incident) == scene.story
    found = of(alerts, scene.incident)
    assert {a["key"] for a in found} == {scene.key}
    assert {a["key_level"] for a in found} == {incident.key}
    assert {a["place"] for a in found} == {place_of(incident, scene)}
    assert len({a["alert_id"] for a in found}) == 1
    assert [a["state"] for a in found[-2:]] == ["clearing", "cleared"]
    assert {a["max_level"] for a in found[-2:]} == {max(step.level for step in scene.story)}


@pytest.mark.parametrize("name", SCENES)
def test_an_alert_tells_its_conditions_and_what_they_rest_on(name: str) -> None:
    scene, alerts = SCENES[name], alerts_of_scene(name)
    incident = INCIDENTS[scene.incident]
    needs = {LEVELS.index(level): n for level, n in incident.need.given()}
    for alert, step in zip(of(alerts, scene.incident), scene.story, strict=True):
        why, count = alert["why"], len(alert["annotations"]["conditions_en"].split(", "))
        assert (alert["value"], why["value"], why["n"]) == (why["n"],) * 3
        # An override sets a level without a number of conditions.
        need = needs.get(alert["level"])
        assert why["threshold"] == (need if need is not None and why["n"] >= need else None)
        assert [*dict.fromkeys(e["condition"] for e in conditions_of(alert))] == [
            condition.id for condition in incident.conditions
        ]
        assert all(e["t"] <= alert["t_update"] for e in why["evidence"] if "t" in e)
        if step.holding:
            assert count == why["n"] == len(step.holding)
            assert {e["condition"] for e in conditions_of(alert) if e["holds"]} == {*step.holding}


@pytest.mark.parametrize("name", [name for name, scene in SCENES.items() if scene.child])
def test_a_child_is_suppressed_while_it_stands_and_is_as_grave(name: str) -> None:
    scene, alerts = SCENES[name], alerts_of_scene(name)
    assert scene.child is not None
    sign, key = scene.child
    first, last = of(alerts, scene.incident)[0], of(alerts, scene.incident)[-1]
    children = of(alerts, sign)
    begin, end = first["t_update"], last["t_update"]
    mine = [a for a in children if a["key"] == key]
    meanwhile = [a for a in mine if begin <= a["t_update"] < end]
    told = of(alerts, scene.incident)
    assert meanwhile
    for child in meanwhile:
        level = [a["level"] for a in told if a["t_update"] <= child["t_update"]][-1]
        by = first["alert_id"] if child["level"] <= level else None
        assert child["suppressed_by"] == by, (child["t_update"], level)
    assert {a["suppressed_by"] for a in mine if not begin <= a["t_update"] < end} <= {None}
    assert sign in first["suppresses"]
    # The alert of a place around it goes on.
    if sign != "hotline.topic_burst":
        around = [a for a in children if len(a["place"]) < len(first["place"])]
        assert {a["suppressed_by"] for a in around} <= {None}


@pytest.mark.parametrize("name", TOO_LITTLE)
def test_less_than_it_asks_for_raises_nothing(name: str) -> None:
    assert of(run(TOO_LITTLE[name]), TOO_LITTLE[name].incident) == []


@pytest.mark.parametrize("name", WAYS)
def test_there_are_other_ways_to_a_condition(name: str) -> None:
    scene, signs = WAYS[name]
    alerts = alerts_of_scene(name)
    story = story_of(alerts, scene.incident, scene.key)
    assert story[:1] == scene.story
    raised = next(a for a in of(alerts, scene.incident) if a["key"] == scene.key)
    assert set(signs) <= {e["sign"] for e in raised["why"]["evidence"] if "sign" in e}


def test_every_level_of_every_incident_is_reached() -> None:
    for incident in INCIDENTS.values():
        defined = {level for level, _ in incident.need.given()}
        defined |= {override.level for override in incident.override}
        names = [name for name, scene in SCENES.items() if scene.incident == incident.id]
        reached = {
            LEVELS[alert["level"]]
            for name in names
            for alert in of(alerts_of_scene(name), incident.id)
            if alert["transition"] in ("raised", "escalated")
        }
        # What the table of relations says of a place has scenarios of its own.
        by_relation = [scene for scene in RED.values() if scene.incident == incident.id]
        reached |= {LEVELS[step.level] for scene in by_relation for step in scene.story}
        assert reached == defined, incident.id
        assert any(scene.incident == incident.id for scene in TOO_LITTLE.values()), incident.id


def test_every_fact_of_every_condition_is_met_in_a_scenario() -> None:
    seen = {
        (alert["rule"], e["condition"], e["sign"], e.get("key_level"))
        for name in (*SCENES, *WAYS)
        for alert in alerts_of_scene(name)
        if alert["kind"] == "incident"
        for e in alert["why"]["evidence"]
        if "sign" in e
    }
    # Of citizens who call it is not told from where.
    asked = {
        (incident.id, condition.id, fact.source, level if "*" not in level else None)
        for incident in INCIDENTS.values()
        for condition in incident.conditions
        for _, fact in facts_of(condition.any)
        for level in [fact.at or condition.at]
    }
    assert asked - seen == set()
