"""Levels of many values at once against the level of each."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.levels import COLOURS, Scale
from schemas.signs import Levels, Thresholds

POINTS = st.sampled_from([-inf, -2.5, -1.0, -0.0, 0.0, 1.0, 1e-300, 7.25, inf])


@pytest.mark.parametrize("compare", ["ge", "gt", "le", "lt"])
@given(
    st.dictionaries(st.sampled_from(COLOURS[1:]), st.integers(-4, 9).map(float), min_size=1),
    st.lists(POINTS | st.integers(-5, 10).map(float) | st.just(nan)),
)
def test_columns_are_the_levels_of_the_values(
    compare: str, given: dict[str, float], values: list[float]
) -> None:
    up = compare in ("ge", "gt")
    ordered = sorted(given.values(), reverse=not up)
    names = sorted(given, key=COLOURS.index)
    thresholds = Thresholds(**dict(zip(names, ordered, strict=True)))
    levels = Levels(compare=compare, thresholds=thresholds, source="x", standing="proposal")  # type: ignore[arg-type]
    scale = Scale(levels)
    found = scale.levels_of(np.array(values, np.float64))
    assert found.dtype == np.int8
    assert found.tolist() == [-1 if x != x else scale.level(x) for x in values]
    # By the rule: the highest level whose threshold is met.
    for x, level in zip(values, found.tolist(), strict=True):
        met = [
            COLOURS.index(name)
            for name, step in thresholds.given()
            if (x > step if up else x < step) or (x == step and compare in ("ge", "le"))
        ]
        assert level == (-1 if x != x else max(met, default=0))
