"""Roll-ups of children's values, against children gone through one by one."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.entries import Entry, KeyName
from agents.rollups import RollUp
from agents.said import Said

LEVELS = {"city": 4, "district": 6, "street": 9, "community": 12, "grid": 15}
PLACES = ("4401", "440106", "440106001", "440106001002", "440111", "440111004", "441900003")
VALUE = st.none() | st.sampled_from([0.0, -1.5, 2.0, 0.1, 1e300]) | st.floats(-1e6, 1e6)


@st.composite
def some_children(draw: st.DrawFn) -> list[Entry]:
    children = []
    for key in draw(st.lists(st.integers(0, 99), unique=True, max_size=12)):
        level, place = draw(st.sampled_from(["station", "place"])), draw(st.sampled_from(PLACES))
        if level == "place":
            (level,) = (name for name, digits in LEVELS.items() if digits == len(place))
        value = draw(VALUE)
        reason: Any = draw(st.sampled_from(["warming", "uncovered", "no_limit"]))
        children.append(
            Entry(
                level, f"k{key}", place, value, key % 5, 0.5, None if value is not None else reason
            )
        )
    return children


def above(child: Entry, level: str) -> str | None:
    """The place of a level that holds a child and is coarser than it.

    In a city without districts the districts' digits are 00: there is no such place.
    """
    own = LEVELS.get(child.level, 99)
    digits = LEVELS[level]
    if digits >= own or len(child.place) < digits:
        return None
    place = child.place[:digits]
    return None if digits == 6 and place.endswith("00") else place


def by_the_rule(
    children: list[Entry], function: str, levels: tuple[str, ...], only: set[KeyName] | None
) -> list[Entry]:
    groups: dict[KeyName, list[Entry]] = {}
    for child in children:
        for level in levels:
            place = above(child, level) if level in LEVELS else None
            if place is not None and (only is None or (level, place) in only):
                groups.setdefault((level, place), []).append(child)
    found = []
    for (level, place), of in sorted(groups.items()):
        valid = [(child.value, child.key) for child in of if child.value is not None]
        value: float | None = None
        reason: Any = None
        detail: dict[str, Any] | None = {"children": len(of)}
        if not valid:
            warming = all(child.reason == "warming" for child in of)
            reason, detail = "warming" if warming else "uncovered", None
        elif function == "mean":
            value = float(sum(map(Fraction, [x for x, _ in valid]))) / len(valid)
        elif function == "share":
            value = sum(x != 0 for x, _ in valid) / len(valid)
        else:
            value = max(valid)[0] if function == "max" else min(valid)[0]
            worst = min(key for x, key in valid if x == value)
            detail = {"child": worst, "children": len(of)}
        n, coverage = sum(child.n for child in of), len(valid) / len(of)
        found.append(Entry(level, place, place, value, n, coverage, reason, None, detail))
    return found


@pytest.mark.parametrize("function", ["max", "min", "mean", "share"])
@settings(deadline=None, max_examples=80)
@given(
    some_children(),
    some_children(),
    st.sets(st.sampled_from([*LEVELS, "station"]), min_size=1).map(sorted).map(tuple),
    st.none() | st.sets(st.sampled_from(PLACES)),
)
def test_parents_are_those_of_the_rule(
    function: str,
    others: list[Entry],
    children: list[Entry],
    levels: tuple[str, ...],
    wanted: set[str] | None,
) -> None:
    """Whatever was rolled up before."""
    only = None
    if wanted is not None:
        by_digits = {digits: name for name, digits in LEVELS.items()}
        only = {(by_digits[len(place)], place) for place in wanted}
    rolled = RollUp(function, levels)
    for before in (others, children, children[1:]):
        rolled.of(Said.of(before))
    found = rolled.of(Said.of(children), only)
    assert list(found) == by_the_rule(children, function, levels, only)


def test_a_sum_of_many_is_rounded_once() -> None:
    children = [
        Entry("station", f"{n}", "4401", x, 1, 1.0, None) for n, x in enumerate((1e16, 1.0, -1e16))
    ]
    (found,) = RollUp("mean", ("city",)).of(Said.of(children))
    assert found.value == 1 / 3
