"""Incidents of the catalogue at keys that the table of relations relates, worked out by hand."""

from __future__ import annotations

import pytest

from schemas.related import Relation, Relations
from tests.rules.driven_incidents_related import CASES, RED, TOO_FAR, Case
from tests.rules.driven_incidents_tools import Scene, Step, story_of
from tests.rules.driven_incidents_water import GAUGE
from tests.rules.incident_runs import GRID, Alert, alerts_of, of, only, reading


def run(scene: Scene, relations: list[Relation]) -> list[Alert]:
    names = (scene.incident, *scene.others)
    configuration = only(names, scene.devices).with_relations(Relations(relations))
    return alerts_of(configuration, scene.all_events(), scene.step_ms)


def told(alerts: list[Alert], scene: Scene) -> list[Step]:
    return story_of(alerts, scene.incident, scene.key)


@pytest.mark.parametrize("name", CASES)
def test_what_lies_elsewhere_counts_by_its_relation(name: str) -> None:
    scene, relations, cause, _ = CASES[name]
    alerts = run(scene, relations)
    assert told(alerts, scene) == scene.story
    raised = of(alerts, scene.incident)[0]
    named = {
        (e["sign"], e.get("key", ""), e.get("relation", ""))
        for e in raised["why"]["evidence"]
        if e["holds"] and "sign" in e
    }
    assert cause in named


@pytest.mark.parametrize("name", CASES)
def test_without_rows_it_counts_for_nothing(name: str) -> None:
    scene, _, _, without = CASES[name]
    assert told(run(scene, []), scene) == without


@pytest.mark.parametrize("name", CASES)
def test_rows_count_for_their_time_alone(name: str) -> None:
    """Until just before the incident, and from just after its end."""
    scene, relations, _, without = CASES[name]
    raised = of(run(scene, relations), scene.incident)[0]["t_update"]
    ended = [row._replace(until=raised - 1) for row in relations]
    assert [s for s in told(run(scene, ended), scene) if s.what == "raised"] == without
    begun = [row._replace(since=raised) for row in relations]
    first = told(run(scene, begun), scene)[0]
    assert first.time > scene.story[0].time


def test_what_is_farther_does_not_count() -> None:
    case: Case = CASES["an instrument within 200 m"]
    assert told(run(case.scene, TOO_FAR), case.scene) == []


def test_where_a_grid_has_a_position_its_place_does_not_count() -> None:
    """The second instrument is of the same grid, and 210 m away."""
    case: Case = CASES["an instrument within 200 m"]
    events = [(t, topic, {**said, "place": GRID}) for t, topic, said in case.scene.events]
    scene = case.scene._replace(events=events)
    assert told(run(scene, []), scene) == case.scene.story
    assert told(run(scene, TOO_FAR), scene) == []


@pytest.mark.parametrize("name", RED)
def test_what_stands_there_makes_it_red(name: str) -> None:
    scene = RED[name]
    assert told(run(scene, [*scene.relations]), scene) == scene.story
    assert {step.level for step in told(run(scene, []), scene)} <= {1, 2, 3}


def test_a_gauge_is_right_where_another_one_near_by_sees_water() -> None:
    (device,) = {a["key"] for a in of(run(GAUGE, []), GAUGE.incident)}
    said = {"place": "440111007001001", "site": "s7"}
    times = [t for t, _, each in GAUGE.events if each.get("metric") == "water_depth"]
    wet = [reading(t, "water_depth", 12.0, "near", **said) for t in times]
    scene = GAUGE._replace(events=[*GAUGE.events, *wet])
    at = [
        Relation("position", f"device:{device}", "", 113.2644, 23.1291),
        Relation("position", "device:near", "", 113.2674, 23.1291),
    ]
    assert told(run(scene, []), scene) == GAUGE.story
    assert told(run(scene, at), scene) == []
