"""What is wrong with an incident is told where it stands, with what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.configuration import Configuration
from tests.rules.incident_runs import only

Tree = dict[str, Any]
RULES = ("ce.waterlogging", "ce.flooded_road_blocked")
CONTENT = only(RULES).model_dump(mode="json", exclude_none=True)
FLOOD, BLOCKED = (
    i for rule in RULES for i, x in enumerate(CONTENT["incidents"]) if x["id"] == rule
)


def refusal(change: Callable[[Tree], object], incident: int = FLOOD) -> str:
    """What is said of the catalogue's incident after a change; nothing if it is accepted."""
    content = deepcopy(CONTENT)
    change(content["incidents"][incident])
    try:
        Configuration.model_validate(content)
    except ValidationError as error:
        return str(error)
    return ""


def put(*path: str | int, to: Any) -> Callable[[Tree], None]:
    """Set what stands at a path."""

    def change(tree: Any) -> None:
        for step in path[:-1]:
            tree = tree[step]
        tree[path[-1]] = to

    return change


def fact(**fields: Any) -> Callable[[Tree], None]:
    """Ask something else in the condition of depth."""
    return put("conditions", 1, "any", to=[{"sign": "drain.depth", **fields}])


def test_the_catalogues_own_is_right() -> None:
    assert refusal(lambda tree: None) == ""


def test_several_keys_can_be_related_where_a_place_has_one() -> None:
    assert "there is one street" in refusal(fact(ge=1, at="street", keys=2))
    assert refusal(fact(ge=1, at="street", keys=2, relation="neighbour")) == ""
    assert refusal(fact(ge=1, at="street", keys=2, within_m=300)) == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("need", to={}), "need: needs a number for at least one"),
        (put("need", to={"yellow": 4}), "need.yellow: is more than there are conditions (3)"),
        (put("need", to={"yellow": 2, "red": 2}), "need.red: must be above yellow (2)"),
        (fact(ge=1, relation="zone", within_m=5), "any.0: takes one of relation and within_m"),
        (fact(ge=1, relation="position"), "any.0: 'position' says where a key lies"),
        (fact(ge=1, relation="A zone"), "relation"),
        (fact(ge=1, within_m=0), "within_m"),
        (
            put("override", to=[{"level": "red", "related": "critical"}]),
            "override.0: is no cause by itself: give any or conditions beside related",
        ),
        (put("must", to=["rains"]), "must.0: unknown condition 'rains': did you mean 'rain'?"),
        (put("until", to=["x"]), "until.0: unknown condition 'x'"),
        (put("key", to="grids"), "key: expected one of"),
        (put("id", to="drain.depth"), "'drain.depth' is defined twice"),
        (put("within_s", to=0.0001), "within_s: expected a whole number of milliseconds"),
        (put("conditions", 0, "id", to="depth"), "'depth' is there twice"),
        (put("conditions", 0, "any", to=[]), "conditions.0: takes any or none"),
        (put("conditions", 0, "none", to=[]), "conditions.0: takes any or none"),
        (put("conditions", 1, "for_s", to=0.0001), "for_s: expected a whole number"),
        (put("override", 0, "any", to=[]), "override.0.any: is empty"),
        (
            put("override", 0, to={"level": "red"}),
            "override.0: takes any, conditions or standing",
        ),
        (
            put("override", 0, to={"level": "red", "standing": {"level": "blue", "for_s": 60}}),
            "override.0: would hold itself up",
        ),
        (fact(), "any.0: takes one of ge, gt, le, lt, level and anomaly"),
        (fact(ge=1, level="red"), "any.0: takes one of ge, gt, le, lt, level and anomaly"),
        (fact(ge=1, at="device"), "'drain.depth' has no key device"),
        (fact(anomaly=True), "'drain.depth' has no model"),
        (fact(ge=1, of=["x"]), "any.0.of: 'site' has no dimension"),
        (fact(ge=1, at="city", keys=2), "any.0.keys: there is one city for an incident at grid"),
        (fact(level="red", deadband=1), "any.0.deadband: is for ge, gt, le and lt"),
        (fact(ge=1, incident="ce.x"), "any.0: names one sign or one incident"),
        (
            put("conditions", 1, "any", to=[{"all": [{"sign": "drain.depth", "ge": 1}]}]),
            "any.0: takes all with two facts or more",
        ),
        (
            put("conditions", 1, "any", to=[{"sign": "drain.dept", "ge": 1}]),
            "any.0.sign: unknown sign 'drain.dept': did you mean 'drain.depth'?",
        ),
        (put("conditions", 2, "any", 0, "of", to=["水"]), "takes no category '水'"),
        (put("conditions", 2, "any", 0, "of", to=[]), "any.0.of: is empty"),
        (
            put("conditions", 2, "any", 0, to={"sign": "hotline.callers_30min", "lt": 1}),
            "is a hidden count, known from its first event on: ask for ge or gt",
        ),
        (
            put("suppresses", to=[{"sign": "hotline.callers_30min"}]),
            "suppresses.0.sign: 'hotline.callers_30min' raises no alert",
        ),
        (
            put("suppresses", 0, "of", to=["x"]),
            "suppresses.0.of: 'drain.depth' has no key with a dimension",
        ),
    ],
)
def test_a_fault_is_told(change: Callable[[Tree], None], message: str) -> None:
    assert message in refusal(change)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"incident": "ce.water", "level": "red"}, "unknown incident 'ce.water'"),
        ({"incident": "ce.waterlogging", "ge": 1}, "an incident is asked for its level"),
        (
            {"incident": "ce.waterlogging", "level": "red", "at": "street"},
            "'ce.waterlogging' happens at grid",
        ),
    ],
)
def test_an_incident_reads_another_as_it_is(given: Tree, message: str) -> None:
    assert message in refusal(put("conditions", 0, "any", to=[given]), BLOCKED)


def test_no_incident_reads_itself() -> None:
    again = [{"incident": "ce.flooded_road_blocked", "level": "red", "at": "segment"}]
    assert "reads itself: " in refusal(put("conditions", 1, "any", to=again))
