from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.aggregates import DISTINCT, MOMENTS, QUANTILES, Family
from streams.sliding import Sliding


@pytest.mark.parametrize("family", [MOMENTS, QUANTILES, DISTINCT], ids=lambda f: str(f.name))
@given(st.data())
def test_it_is_the_merge_of_all_panes(family: Family, data: st.DataObject) -> None:
    sliding, panes, now, oldest = Sliding(family), dict[int, int](), 0, 0
    for step in data.draw(st.lists(st.integers(-4, 4), max_size=60)):
        if step > 0:
            now += step
            panes[now] = data.draw(st.integers(-9, 9))
            sliding.push(now, family.row(now, panes[now], 0, 1))
        else:
            oldest = max(oldest, now + step)
            states = [family.row(t, v, 0, 1) for t, v in panes.items() if t >= oldest]
            expected = reduce(family.merge, states) if states else None
            assert sliding.since(oldest) == expected
            assert sliding.since(oldest) == expected
