"""Corners of the rule of incidents that random cities seldom come to, worked out by hand.

Times are minutes after the beginning.  Windows of one minute end a minute after they begin, so what
a gauge says from minute 3 on is known at minute 4.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import pytest

from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from schemas.metrics import METRICS
from streams.records import Chunk, Lane, Output
from tests.rules.city_logs import chopped
from tests.rules.configurations import window
from tests.rules.incident_cities import (
    MINUTE,
    PLACES,
    SIGNS,
    chunks,
    city,
    condition,
    plain,
)
from tests.rules.lanes import LaneName, Record
from tests.rules.logs import replay
from tests.rules.test_incident_oracle import (
    alerts_of,
    assert_as_the_oracle,
    marks_of,
    oracle_of,
    run,
    steps_of,
)
from tests.rules.wide import SECRET, START

GRID = PLACES[0]
DEPTH = {"sign": "t.depth", "at": "grid"}
NOISE = {"sign": "t.noise", "at": "grid"}
Story = Sequence[tuple[float, str, int]]
Events = list[tuple[int, LaneName, dict[str, Any]]]


def gauge(
    metric: str, values: Sequence[float | None], place: str = GRID, device: str = "d0"
) -> Events:
    """One value a minute."""
    found: Events = []
    for minute, value in enumerate(values):
        t = START + minute * MINUTE + 1000
        event = {"device": device, "site": f"s{device}", "metric": metric, "value": value, "t": t}
        event |= {"unit": METRICS[metric].unit, "place": place, "source": "tests"}
        if value is not None:
            found.append((t, ("sensor", 0), event))
    return found


def log_of(*events: Events) -> list[Chunk]:
    log: dict[LaneName, list[Record]] = {("sensor", 0): [], ("hotline", 0): []}
    for arrival, lane, event in sorted((e for each in events for e in each), key=lambda e: e[0]):
        log[lane].append((arrival, event))
    return chunks(log)


def assert_story(configuration: Configuration, log: Iterable[Chunk], expected: Story) -> None:
    """Both the engine and the oracle say so of the one incident."""
    outputs = run(configuration, log)
    oracle = oracle_of(configuration, outputs).steps()
    found = steps_of(alerts_of(outputs))
    for said in (oracle, found):
        steps = [step for each in said.values() for step in each]
        assert [((s.t - START) / MINUTE, s.transition, s.level) for s in steps] == list(expected)


def wet(**fields: Any) -> dict[str, Any]:
    """A condition ``x``: 10 cm or more in the grid."""
    return condition("x", "grid", any=[DEPTH | {"ge": 10}], **fields)


def loud(**fields: Any) -> dict[str, Any]:
    """A condition ``y``: more than 50 dB in the grid."""
    return condition("y", "grid", any=[NOISE | {"gt": 50}], **fields)


def test_what_is_new_raises_it_in_the_cooldown_and_what_held_does_not() -> None:
    incident = plain(
        "ce.a",
        "grid",
        within_s=900,
        need={"yellow": 2},
        until=["x"],
        cooldown_s=600,
        conditions=[wet(), loud()],
    )
    depth = [0, 0, 0, 12, 12, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0]
    log = log_of(gauge("water_depth", depth), gauge("laeq", [70] * 15))
    story = [
        (4, "raised", 2),
        (6, "clearing", 2),
        (7, "cleared", 2),
        # Both still count, but did so already at 7; the water of 10 is new.
        (11, "raised", 2),
        (12, "clearing", 2),
        (13, "cleared", 2),
        # Ten minutes later both count still, until a quarter of an hour after they last held: of
        # the depth that is 26, and no such water was seen in this episode.
        (24, "raised", 2),
        (26, "clearing", 2),
        (27, "cleared", 2),
    ]
    assert_story(city([incident]), log, story)


def test_what_began_at_the_moment_it_cleared_held_already() -> None:
    incident = plain(
        "ce.a",
        "grid",
        within_s=900,
        need={"yellow": 2},
        until=["x"],
        cooldown_s=600,
        conditions=[wet(), loud()],
    )
    # From 09:31 on: the first window of a minute and a half that holds it ends at 10.
    again = gauge("laeq", [None] * 9 + [70] * 20)
    late = [(t + 30_000, lane, event | {"t": t + 30_000}) for t, lane, event in again]
    quiet = gauge("laeq", [70] * 4 + [50] * 5)
    log = log_of(gauge("water_depth", [0] * 3 + [12] * 5 + [0] * 16), quiet, late)
    story = [
        (4, "raised", 2),
        (9, "clearing", 2),
        (10, "cleared", 2),
        (21, "raised", 2),
        (23, "clearing", 2),
        (24, "cleared", 2),
    ]
    assert_story(city([incident]), log, story)


def test_one_new_fact_of_several_raises_it_in_the_cooldown() -> None:
    both = condition("x", "grid", any=[{"all": [DEPTH | {"ge": 10}, NOISE | {"gt": 50}]}])
    incident = plain("ce.a", "grid", within_s=60, cooldown_s=600, conditions=[both])
    depth = [0] * 3 + [12] * 2 + [0] * 5 + [12] + [0] * 4
    log = log_of(gauge("water_depth", depth), gauge("laeq", [70] * 15))
    once, again = [(4, "raised"), (6, "clearing"), (7, "cleared")], [(11, "raised")]
    story = [(t, what, 2) for t, what in [*once, *again, (12, "clearing"), (13, "cleared")]]
    assert_story(city([incident]), log, story)


def call(minute: int, number: int, category: str) -> Events:
    t = START + minute * MINUTE + 1000
    event = {"kind": "order", "order_id": f"o{number}", "status": "created", "seq": 0}
    event |= {"t": t, "t_created": t, "category": [category], "place": GRID, "source": "tests"}
    return [(t, ("hotline", 0), event)]


def test_calls_of_a_category_are_suppressed_around_it_too() -> None:
    of_a = {"sign": "t.calls", "of": ["a"]}
    incident = plain("ce.a", "grid", conditions=[wet()], suppresses=[of_a])
    calls = [call(minute, minute, "ab"[minute % 2]) for minute in range(1, 12)]
    log = log_of(gauge("water_depth", [12] * 15), *calls)
    outputs = run(city([incident]), log)
    alerts = alerts_of(outputs)
    by_key: dict[str, set[bool]] = {}
    for a, by in marks_of(alerts):
        if a["rule"] == "t.calls" and a["t_update"] <= START + 12 * MINUTE:
            by_key.setdefault(a["key"], set()).add(by is not None)
    street = GRID[:9]
    assert by_key == {f"a*{GRID}": {True}, f"a*{street}": {True}, f"b*{GRID}": {False}} | {
        f"b*{street}": {False}
    }
    assert_as_the_oracle(city([incident]), log)


def test_what_is_graver_than_the_incident_is_not_suppressed() -> None:
    """Blue water is spoken for by a yellow incident; red water while it is red alone."""
    incident = plain(
        "ce.a",
        "grid",
        within_s=60,
        conditions=[condition("x", "grid", any=[NOISE | {"gt": 60}])],
        override=[{"level": "red", "any": [NOISE | {"gt": 75}]}],
        suppresses=[{"sign": "t.depth"}],
    )
    noise = [50] * 3 + [70] * 6 + [80.5] * 3 + [70] * 6 + [50] * 4
    log = log_of(
        gauge("laeq", noise), gauge("water_depth", [0] * 4 + [12] * 2 + [45] * 12 + [0] * 4)
    )
    alerts = assert_as_the_oracle(city([incident]), log)
    incidents = [a for a in alerts if a["kind"] == "incident"]
    assert [a["transition"] for a in incidents[:3]] == ["raised", "escalated", "deescalated"]
    found = [
        (a["transition"], a["level"], a["suppressed_by"] is not None)
        for a in alerts
        if a["rule"] == "t.depth" and a["key"] == GRID
    ]
    assert found[:4] == [
        ("raised", 1, True),
        ("escalated", 4, False),
        ("suppressed", 4, True),
        ("unsuppressed", 4, False),
    ]


def test_a_correction_is_marked_after_the_incident_is_over() -> None:
    """Depths of the window that ends at 7 come at 10, and are judged at 12."""
    incident = plain(
        "ce.a",
        "grid",
        within_s=60,
        need={"red": 1},
        conditions=[condition("x", "grid", any=[NOISE | {"gt": 60}])],
        suppresses=[{"sign": "t.depth"}],
    )
    (_, lane, deep), *_ = gauge("water_depth", [None] * 6 + [45], device="d4")
    events = gauge("laeq", [50] * 5 + [70] * 3 + [50] * 12) + gauge("rain", [0] * 20)
    (log,) = log_of([*events, (START + 10 * MINUTE + 500, lane, deep)])
    configuration = city([incident])
    pipeline = Pipeline(compile_plan(configuration, SECRET))
    outputs: list[Output] = []
    for chunk in chopped(log, 1):
        outputs += pipeline.step(chunk)
        outputs += pipeline.tick(Lane("sensor", 1), chunk.timestamps[0])
    alerts = alerts_of(outputs)
    raised, _, cleared = (a for a in alerts if a["kind"] == "incident")
    assert (raised["t_update"], cleared["t_update"]) == (START + 6 * MINUTE, START + 11 * MINUTE)
    late = {a["key"]: a["suppressed_by"] for a in alerts if a["late"]}
    assert late[GRID] == raised["alert_id"]
    # The district is not in the grid.
    assert late[GRID[:6]] is None


def test_a_level_stands_from_when_it_was_reached() -> None:
    incident = plain(
        "ce.a",
        "grid",
        need={"blue": 1, "yellow": 2},
        conditions=[wet(), condition("y", "grid", any=[DEPTH | {"ge": 20}])],
        override=[
            {"level": "orange", "conditions": ["y"], "standing": {"level": "yellow", "for_s": 600}}
        ],
    )
    log = log_of(gauge("water_depth", [12] * 12 + [25] * 17))
    story = [(1, "raised", 1), (13, "escalated", 2), (23, "escalated", 3)]
    # The log ends with the 29th minute, and what held in it counts for five.
    story += [(34, "clearing", 3), (35, "cleared", 3)]
    assert_story(city([incident]), log, story)


def test_it_is_not_over_for_a_condition_that_never_held() -> None:
    """Two devices must be loud; one was, for a while."""
    two = condition("y", "device", any=[{"sign": "t.noise", "gt": 60, "keys": 2}])
    incident = plain("ce.a", "grid", until=["y"], conditions=[wet(), two])
    log = log_of(
        gauge("water_depth", [12] * 29),
        gauge("laeq", [50] * 4 + [70] * 5 + [50] * 15),
        gauge("laeq", [50] * 24, device="d4"),
    )
    assert_story(city([incident]), log, [(1, "raised", 2), (34, "clearing", 2), (35, "cleared", 2)])


def test_it_is_over_when_one_of_several_facts_is_not_met() -> None:
    both = condition("y", "grid", any=[{"all": [DEPTH | {"ge": 20}, NOISE | {"gt": 60}]}])
    incident = plain("ce.a", "grid", until=["y"], conditions=[wet(), both], cooldown_s=3600)
    log = log_of(gauge("water_depth", [25] * 29), gauge("laeq", [50] * 4 + [70] * 5 + [50] * 15))
    # The loudest of a minute and a half is over 60 dB up to the window that ends at 10.
    assert_story(city([incident]), log, [(1, "raised", 2), (10, "clearing", 2), (11, "cleared", 2)])


def test_it_is_over_when_a_condition_of_none_does_not_hold_any_more() -> None:
    quiet = condition("y", "grid", none=[NOISE | {"gt": 60}])
    incident = plain(
        "ce.a", "grid", within_s=60, until=["y"], conditions=[wet(), quiet], cooldown_s=3600
    )
    log = log_of(gauge("water_depth", [0] * 2 + [25] * 25), gauge("laeq", [50] * 8 + [70] * 8))
    found = steps_of(alerts_of(run(city([incident]), log)))["ce.a", GRID]
    assert [(s.t - START) / MINUTE for s in found if s.transition == "clearing"] == [9]


def test_a_short_blip_in_the_cooldown_raises_nothing() -> None:
    """Depth must be met for two minutes; when it was over, it was met for a moment."""
    incident = plain(
        "ce.a",
        "grid",
        within_s=1200,
        clear_s=120,
        need={"yellow": 2},
        until=["x"],
        cooldown_s=1200,
        conditions=[wet(for_s=120), loud()],
    )
    depth = [0] * 3 + [12] * 5 + [0] * 6 + [12] + [0] * 12
    log = log_of(gauge("water_depth", depth), gauge("laeq", [70] * 29))
    assert_story(city([incident]), log, [(6, "raised", 2), (9, "clearing", 2), (11, "cleared", 2)])


@pytest.mark.parametrize(("cooldown_s", "again"), [(30, 11), (90, 12), (150, 13)])
def test_a_cooldown_is_no_longer_than_it_says(cooldown_s: float, again: int) -> None:
    incident = plain(
        "ce.a",
        "grid",
        within_s=900,
        need={"yellow": 2},
        until=["x"],
        cooldown_s=cooldown_s,
        conditions=[wet(), loud()],
    )
    log = log_of(gauge("water_depth", [0] * 3 + [12] * 5 + [0] * 16), gauge("laeq", [70] * 29))
    story = [(4, "raised", 2), (9, "clearing", 2), (10, "cleared", 2), (again, "raised", 2)]
    # Nothing was wet in the second one: it stands as long as the first wet counts.
    assert_story(city([incident]), log, [*story, (23, "clearing", 2), (24, "cleared", 2)])


def test_an_override_by_conditions_around_raises_at_known_keys() -> None:
    rain = {"sign": "t.rain", "ge": 2}
    incident = plain(
        "ce.a",
        "grid",
        need={"yellow": 3},
        conditions=[
            condition("x", "district", any=[rain]),
            condition("y", "street", any=[rain]),
            condition("z", "grid", any=[DEPTH | {"ge": 45}]),
        ],
        override=[{"level": "red", "conditions": ["x", "y"]}],
    )
    log = log_of(gauge("water_depth", [12] * 29), gauge("rain", [3] * 20, device="d2"))
    assert_story(city([incident]), log, [(2, "raised", 4), (26, "clearing", 4), (27, "cleared", 4)])


SLOW = deepcopy(SIGNS)
SLOW[0]["window"] = window(300, 300)
"""Depths are said every five minutes."""


def test_a_fact_of_a_slow_sign_lasts_from_one_window_to_the_next() -> None:
    incident = plain("ce.a", "grid", within_s=60, conditions=[wet(for_s=600)])
    alerts = alerts_of(run(city([incident], SLOW), log_of(gauge("water_depth", [12] * 29))))
    steps = steps_of(alerts)["ce.a", GRID]
    assert [((s.t - START) / MINUTE, s.transition) for s in steps][:1] == [(15, "raised")]


def test_an_override_holds_as_long_as_its_slow_sign_says_so() -> None:
    never = condition("x", "grid", any=[DEPTH | {"ge": 45}])
    over = {"level": "orange", "any": [DEPTH | {"ge": 10}]}
    incident = plain("ce.a", "grid", within_s=60, conditions=[never], override=[over])
    alerts = alerts_of(run(city([incident], SLOW), log_of(gauge("water_depth", [12] * 29))))
    steps = [s for s in steps_of(alerts)["ce.a", GRID] if s.t <= START + 28 * MINUTE]
    assert [((s.t - START) / MINUTE, s.transition) for s in steps] == [(5, "raised")]


@pytest.mark.parametrize("field", ["cooldown_s", "clear_s"])
def test_no_time_at_all_is_a_time(field: str) -> None:
    """The type of both, and the schema for editors, take zero."""
    incident = plain("ce.a", "grid", conditions=[wet()])
    assert city([incident | {field: 0}])


def test_the_end_of_a_log_takes_all_corrections_of_suppressed_signs() -> None:
    """An incident that never happens changes nothing; its other topic has a short lateness."""
    calls = condition("x", "category*grid", any=[{"sign": "t.calls", "ge": 1000}])
    never = plain("ce.a", "grid", conditions=[calls], suppresses=[{"sign": "t.depth"}])
    # A depth of the window that ends at 12, after rain at 13: only a correction can tell of it.
    (_, lane, wet_late), *_ = gauge("water_depth", [None] * 11 + [45], device="d4")
    rows = [*gauge("water_depth", [0] * 10), *gauge("rain", [0] * 14)]
    rows.append((START + 14 * MINUTE, lane, wet_late))
    said = []
    for incidents in ([], [never]):
        content = city(incidents).model_dump(mode="json")
        for topic in content["topics"]:
            if topic["kind"] == "hotline":
                topic["allowed_lateness_s"] = 1
        plan = compile_plan(Configuration.model_validate(content), SECRET)
        alerts = alerts_of(replay(plan, log_of(rows))[1])
        said.append(Counter(json.dumps(a | {"why": None}) for a in alerts))
    assert said[0]
    assert said[1] == said[0]
