"""Place codes: levels, parents, and what is not a code."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.places import (
    LENGTHS,
    LEVELS,
    PATTERN,
    ancestors,
    at_level,
    level_of,
    normalise,
    parent,
)

DIGITS = "0123456789"
CODES = st.sampled_from(LENGTHS).flatmap(
    lambda length: st.text(alphabet=DIGITS, min_size=length, max_size=length)
)


@pytest.mark.parametrize(
    ("code", "level", "above"),
    [
        ("4401", "city", ()),
        ("440111", "district", ("4401",)),
        ("440111004", "street", ("440111", "4401")),
        ("440111004003", "community", ("440111004", "440111", "4401")),
        ("440111004003012", "grid", ("440111004003", "440111004", "440111", "4401")),
        ("441900003", "street", ("4419",)),
    ],
)
def test_level_and_ancestors(code: str, level: str, above: tuple[str, ...]) -> None:
    assert normalise(code) == code
    assert level_of(code) == level
    assert ancestors(code) == above


def test_a_district_code_of_the_whole_city_is_the_city() -> None:
    assert normalise("440100") == "4401"


@pytest.mark.parametrize(
    "code",
    [
        "",
        "44",
        "44011",
        "4401110",
        "4401110040030123",
        "４４０１",  # full width
        "４４０１１１",
        "44o1",
        "4401\n",
        "440\n",
        " 4401",
        "-401",
        "+401",
        "44.1",
        "4_01",
        "²²²²",
        "٤٤٠١",  # Arabic-Indic digits
        "440111\x00",
    ],
)
def test_other_shapes_are_refused(code: str) -> None:
    with pytest.raises(ValueError, match="send 4, 6, 9, 12 or 15 ASCII digits"):
        normalise(code)


def test_unknown_levels_and_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="use one of city"):
        at_level("440111", "province")
    for function in (level_of, parent, ancestors):
        with pytest.raises(ValueError, match="not a place code"):
            function("44011")


@given(CODES)
def test_ancestors_are_ever_shorter_prefixes_up_to_the_city(code: str) -> None:
    place = normalise(code)
    chain = (place, *ancestors(place))
    for finer, coarser in pairwise(chain):
        assert finer.startswith(coarser)
        assert len(finer) > len(coarser)
        assert parent(finer) == coarser
    assert level_of(chain[-1]) == "city"


@given(CODES)
def test_at_level_finds_exactly_the_chain(code: str) -> None:
    place = normalise(code)
    chain = {level_of(p): p for p in (place, *ancestors(place))}
    assert {level: at_level(place, level) for level in LEVELS} == {
        level: chain.get(level) for level in LEVELS
    }


@given(st.text(max_size=20) | st.text(alphabet="0149４", max_size=16))
def test_any_text_is_a_place_by_its_shape_or_refused(text: str) -> None:
    if re.fullmatch(PATTERN[1:-1], text):
        place = normalise(text)
        assert normalise(place) == place
        assert len(place) in LENGTHS
    else:
        with pytest.raises(ValueError, match="not a place code"):
            normalise(text)
