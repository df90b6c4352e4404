"""Joins, lags and functions over children, on hand-made entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agents.derived import formula_of
from agents.entries import Entry
from agents.hierarchies import Hierarchy, KeyHierarchy, RegisterHierarchy
from schemas.devices import Device
from schemas.signs import DerivedSign
from streams.windows import Hopping
from tests.agents.test_derived import MINUTE, MINUTELY, Said, derived


def entry(key: str, value: float | None, reason: str | None = None, **fields: Any) -> Entry:
    why: Any = reason or (None if value is not None else "uncovered")
    return Entry("device", key, "440106001", value, 2, 1.0, why)._replace(**fields)


def found(
    sign: DerivedSign,
    said: Mapping[tuple[str, int], list[Entry]],
    hierarchies: Mapping[str, Hierarchy] | None = None,
    end: int = 3,
) -> list[Entry]:
    formula = formula_of(sign, MINUTELY, "UTC", hierarchies or {})
    return formula.entries(end * MINUTE, Said(said))


def join(how: str, *of: str, **fields: Any) -> DerivedSign:
    return derived({"name": "combine", "of": list(of), "how": how, **fields}, ["device"])


@pytest.mark.parametrize(
    ("how", "a", "b", "value"),
    [
        ("first", 3, 4, 3),
        ("sum", 3, 4, 7),
        ("mean", 3, 4, 3.5),
        ("min", 3, 4, 3),
        ("max", 3, 4, 4),
        ("product", 3, 4, 12),
        ("difference", 3, 4, -1),
        ("ratio", 3, 4, 0.75),
        ("relative_change", 3, 4, -0.25),
        ("same", 3, 3, 3),
        ("same", 3, 4, None),
        ("ratio", 3, 0, None),
        ("relative_change", 3, 0, None),
    ],
)
def test_a_join(how: str, a: float, b: float, value: float | None) -> None:
    said = {("a.a", 3): [entry("x", a)], ("a.b", 3): [entry("x", b)]}
    (one,) = found(join(how, "a.a", "a.b"), said)
    assert (one.value, one.reason) == (value, None if value is not None else "undefined")
    assert (one.n, one.coverage, one.place) == (4, 1.0, "440106001")
    assert one.detail == {"inputs": {"a.a": a, "a.b": b}}


@pytest.mark.parametrize(
    ("a", "b", "reason", "coverage"),
    [
        (entry("x", 1), None, "incomplete", 0.5),
        (None, entry("x", 1), "incomplete", 0.5),
        (entry("x", None), entry("x", 1), "incomplete", 0.5),
        (entry("x", None, "warming"), entry("x", 1), "warming", 0.5),
        (entry("x", None), entry("x", None), "incomplete", 0.0),
    ],
)
def test_a_join_of_less_is_null(
    a: Entry | None, b: Entry | None, reason: str, coverage: float
) -> None:
    said = {(sign, 3): [e] for sign, e in (("a.a", a), ("a.b", b)) if e is not None}
    (one,) = found(join("sum", "a.a", "a.b"), said)
    assert (one.value, one.reason, one.coverage) == (None, reason, coverage)


def test_a_join_has_a_scale_and_says_otherwise() -> None:
    said = {("a.a", 3): [entry("x", 3)], ("a.b", 3): [entry("x", 4)]}
    assert found(join("ratio", "a.a", "a.b", scale=100.0), said)[0].value == 75
    assert found(join("same", "a.a", "a.b", otherwise=-1.0), said)[0].value == -1


LAG = derived({"name": "lag", "of": "a.a", "windows": 2}, ["device"])


def test_a_lag_is_what_was_said_then() -> None:
    said = {
        ("a.a", 1): [entry("x", 5), entry("null", None), entry("gone", 1)],
        ("a.a", 3): [entry("x", 6), entry("null", 6), entry("new", 6)],
    }
    told = {e.key: (e.value, e.reason) for e in found(LAG, said)}
    assert told == {"x": (5, None), "null": (None, "uncovered"), "new": (None, "warming")}


def test_a_lag_goes_by_the_hop() -> None:
    window = {"size_s": 120, "hop_s": 30}
    sign = LAG.model_copy(update={"window": LAG.window.model_copy(update=window)})
    formula = formula_of(sign, Hopping(120_000, 30_000), "UTC")
    assert formula.reach_ms == 60_000
    assert formula.ends_touched(MINUTE) == [MINUTE, 2 * MINUTE]


def children(keys: list[str], **fields: Any) -> DerivedSign:
    formula = {"name": "children", "of": "a.a", "child": "device", **fields}
    return derived(formula, keys)


SECTIONS = {"section": KeyHierarchy("section", "/", "4401")}


@pytest.mark.parametrize(
    ("how", "values", "value"),
    [
        ("sum", [1, 2], 3),
        ("mean", [1, 2], 1.5),
        ("min", [1, 2], 1),
        ("max", [1, 2], 2),
        ("count", [1, 2], 2),
        ("same", [2, 2], 2),
        ("same", [1, 2], None),
        ("sum", [1, None], 1),
        ("count", [1, None], 1),
        ("sum", [None, None], None),
    ],
)
def test_children_by_the_heads_of_their_keys(
    how: str, values: list[float | None], value: float | None
) -> None:
    said = {("a.a", 3): [entry(f"p/q/{i}", v) for i, v in enumerate(values)]}
    (one,) = found(children(["section"], how=how), said, SECTIONS)
    assert (one.level, one.key, one.place, one.value) == ("section", "p/q", "4401", value)
    spoke = [v for v in values if v is not None]
    assert one.coverage == len(spoke) / 2
    assert one.reason == (None if value is not None else "undefined" if spoke else "uncovered")


@pytest.mark.parametrize(
    ("counts", "value", "reason"),
    [
        ([2, 2], 3, None),
        ([3, 3], None, "incomplete"),
        ([1, 1], None, "incomplete"),
        ([2, 3], None, "incomplete"),
        ([None, 2], None, "incomplete"),
    ],
)
def test_children_are_complete_where_a_sign_says_so(
    counts: list[float | None], value: float | None, reason: str | None
) -> None:
    said = {
        ("a.a", 3): [entry("p/0", 1), entry("p/1", 2)],
        ("a.n", 3): [entry(f"p/{i}", n) for i, n in enumerate(counts)],
    }
    (one,) = found(children(["section"], how="sum", complete="a.n"), said, SECTIONS)
    assert (one.value, one.reason) == (value, reason)


def test_children_of_places() -> None:
    said = {
        ("a.a", 3): [entry("x", 1), entry("y", 5, place="440106002"), entry("z", None)],
        ("a.n", 3): [entry("x", 2), entry("y", 1, place="440106002")],
    }
    told = found(children(["street", "district"], how="max", complete="a.n"), said)
    assert [(e.level, e.key, e.value, e.reason) for e in told] == [
        ("district", "440106", None, "incomplete"),
        ("street", "440106001", None, "incomplete"),
        ("street", "440106002", 5, None),
    ]
    assert told[2].detail == {"child": "y", "children": 1}


def registered(*rows: tuple[str, str, int, int | None]) -> dict[str, Hierarchy]:
    devices = [
        Device(name, "sensor", "rain", "", "4401", since=s, until=u, part_of=(("group", path),))
        for name, path, s, u in rows
    ]
    return {"group": RegisterHierarchy("group", devices, "4401")}


NORTH = registered(
    ("a", "all/north", 0, None),
    ("b", "all/north", 0, None),
    ("c", "all/south", 0, None),
    ("d", "all", 0, None),
    ("e", "all/south", 10 * MINUTE, None),
)
SAID = {
    ("a.a", n): [entry(key, v) for key, v in zip("abcd", (1, 2, 4, 8), strict=True)]
    for n in (3, 20)
}


def test_groups_of_many_levels() -> None:
    told = found(children(["group"], how="sum"), SAID, NORTH)
    assert {e.key: (e.value, e.coverage) for e in told} == {
        "north": (3, 1.0),
        "south": (4, 1.0),
        "all": (15, 1.0),
    }
    assert {e.n for e in told if e.key == "all"} == {8}


def test_a_group_is_worth_what_another_sign_says() -> None:
    sums = [entry("north", 3, level="group"), entry("south", 4, level="group")]
    told = found(
        children(["group"], how="mean", carry="a.sum"), {**SAID, ("a.sum", 3): sums}, NORTH
    )
    assert {e.key: e.value for e in told} == {"north": 1.5, "south": 4, "all": 5}


def test_groups_are_complete_by_the_register_of_their_time() -> None:
    sign = children(["group"], how="sum", complete="register")
    assert {e.key: e.value for e in found(sign, SAID, NORTH)} == {"north": 3, "south": 4, "all": 15}
    later = found(sign, SAID, NORTH, end=20)
    assert {e.key: (e.value, e.reason, e.coverage) for e in later} == {
        "north": (3, None, 1.0),
        "south": (None, "incomplete", 0.5),
        "all": (None, "incomplete", 2 / 3),
    }


def test_what_is_moved_counts_where_it_is() -> None:
    moved = registered(("a", "north", 0, 5 * MINUTE), ("a", "south", 5 * MINUTE, None))
    sign = children(["group"], how="count")
    told = {
        end: [e.key for e in found(sign, {("a.a", end): [entry("a", 1)]}, moved, end)]
        for end in (5, 6)
    }
    assert told == {5: ["north"], 6: ["south"]}
