from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.timeline import BEFORE_ALL
from streams.watermark import Watermark

times = st.integers(-(10**6), 10**6)


@given(st.lists(st.tuples(times, times)), st.integers(0, 1000), st.integers(0, 1000))
def test_it_is_the_largest_time_within_the_skew(
    records: list[tuple[int, int]], disorder: int, skew: int
) -> None:
    watermark = Watermark(disorder, skew)
    for count, (t, logged) in enumerate(records, 1):
        believed = [t for t, logged in records[:count] if t <= logged + skew]
        expected = max(believed) - disorder if believed else BEFORE_ALL
        assert watermark.observe(t, logged) == watermark.value == expected


def test_a_clock_ahead_by_just_the_skew_is_believed() -> None:
    watermark = Watermark(5, 60)
    assert watermark.observe(160, logged=100) == 155
    assert watermark.observe(161, logged=100) == 155


@given(st.lists(times, min_size=1), st.integers(0, 1000))
def test_ticks_move_it_on_and_never_back(ticks: list[int], disorder: int) -> None:
    watermark = Watermark(disorder, 0)
    for count, t in enumerate(ticks, 1):
        assert watermark.tick(t) == max(ticks[:count]) - disorder
