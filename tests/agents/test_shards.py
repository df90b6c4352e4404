"""Which shard owns a place, and which shards need the rows of a sign there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.shards import CITY, Shards
from schemas.configuration import Configuration
from schemas.places import ancestors
from tests.rules.configurations import (
    FULL,
    SMALL_TOPICS,
    configuration,
    levels,
    past_mean,
    sensor,
    sign,
    window,
)


def mean(name: str, *keys: str, **fields: Any) -> dict[str, Any]:
    return sensor(
        name,
        "ug/m3",
        "pm25",
        keys[0],
        aggregate={"function": "mean"},
        window=window(60, 60),
        keys=list(keys),
        rollup="none" if len(keys) == 1 else "mean",
        **fields,
    )


def shards(of: Configuration, *places: list[str]) -> Shards:
    listed = [{"places": each} for each in places]
    return Shards(Configuration.model_validate(of.model_dump() | {"shards": listed}))


def test_without_a_list_all_is_the_citys() -> None:
    one = shards(FULL)
    assert (one.count, one.places) == (1, [])
    assert one.of("440106") == one.of("4401") == CITY
    assert one.wanted_by("small.mean", "440106001") == (CITY,)


@pytest.mark.parametrize(
    ("place", "owner"),
    [
        ("4401", CITY),
        ("440105", CITY),
        ("440106", 1),
        ("440106001", 1),
        ("440106001001001", 1),
        ("440111", CITY),
        ("440111004", 2),
        ("440111004001", 2),
        ("440111005", 1),
        ("440112001001", CITY),
        ("440112001001001", 2),
    ],
)
def test_a_place_is_owned_with_all_that_lies_in_it(place: str, owner: int) -> None:
    three = shards(FULL, ["440106", "440111005"], ["440111004", "440112001001001"])
    assert three.count == 3
    assert three.places == [["440106", "440111005"], ["440111004", "440112001001001"]]
    assert three.of(place) == owner


DIGITS = st.sampled_from(["4401", "440106", "440106001", "440106001001", "440106001001002"])


@given(st.lists(DIGITS, unique=True, max_size=3), DIGITS)
def test_the_owner_of_a_place_owns_what_lies_in_it(listed: list[str], place: str) -> None:
    apart = [p for p in listed if p != "4401" and not set(ancestors(p)) & set(listed)]
    some = shards(FULL, *([place] for place in apart))
    for above in ancestors(place):
        assert some.of(above) in (CITY, some.of(place))


CHILDREN = {"name": "children_at_level", "child": "street", "level": "red"}
DERIVED = configuration(
    [
        mean("a.station", "station"),
        mean("a.street", "station", "street", levels=levels("gt", red=9)),
        mean("a.district", "station", "district", levels=levels("gt", red=9)),
        mean("a.city", "station", "city"),
        # A chain: what the city's mean reads must reach the city though its own keys do not.
        mean("b.read", "station", "street"),
        past_mean(
            "b.first",
            "ug/m3",
            "b.read",
            formula={"windows": 2, "step_s": 60, "at_least": 1},
            window=window(60, 60),
            keys=["street"],
            levels=levels("gt", red=9),
        ),
        sign(
            "b.second",
            "count",
            kind="derived",
            formula={
                "name": "children_at_level",
                "of": "b.first",
                "child": "street",
                "level": "red",
            },
            window=window(60, 60),
            keys=["city"],
        ),
    ],
    SMALL_TOPICS,
)


@pytest.mark.parametrize(
    ("name", "at_district", "at_street", "at_grid"),
    [
        ("a.station", (1,), (2,), (3,)),
        ("a.street", (1,), (2,), (CITY, 3)),
        ("a.district", (1,), (CITY, 2), (CITY, 3)),
        ("a.city", (CITY, 1), (CITY, 2), (CITY, 3)),
        ("b.read", (CITY, 1), (CITY, 2), (CITY, 3)),
    ],
)
def test_rows_go_up_where_a_sign_has_a_key_above_the_shard(
    name: str, at_district: tuple[int], at_street: tuple[int], at_grid: tuple[int]
) -> None:
    many = shards(DERIVED, ["440106"], ["440111004"], ["440112001001001"])
    assert many.wanted_by(name, "440106001001001") == at_district
    assert many.wanted_by(name, "440106") == at_district
    assert many.wanted_by(name, "440111004002") == at_street
    assert many.wanted_by(name, "440112001001001") == at_grid
    assert many.wanted_by(name, "440111") == (CITY,)
