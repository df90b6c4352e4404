"""The traffic performance index by the bands of GB/T 33171-2016, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agents.measures import measure_of, value_of
from schemas.signs import Aggregate
from schemas.tables import TPI
from streams.aggregates import MOMENTS
from tests.cells import state_of

INDEX = Aggregate(function="tpi")


def index_of(*segments):
    """The index of segments of so many metres, km/h and free-flow km/h, through the sums."""
    measure = measure_of(INDEX)
    rows = []
    for t, (metres, speed, free_flow) in enumerate(segments):
        event = SimpleNamespace(link_len_m=metres, speed_kmh=speed, free_flow_kmh=free_flow)
        value, second = measure(event)
        rows.append((t, value, second, 0))
    return value_of(INDEX)(state_of(MOMENTS, rows), 300_000)


@pytest.mark.parametrize(
    ("proportion", "index"),
    [
        # Edges of the bands.
        (0, 0),
        (0.3, 2),
        (0.5, 4),
        (0.6, 6),
        (0.7, 8),
        (1, 10),
        # Halfway within them.
        (0.15, 1),
        (0.4, 3),
        (0.55, 5),
        (0.65, 7),
        (0.85, 9),
        # Faster than free flow is free.
        (-0.2, 0),
    ],
)
def test_bands(proportion, index):
    assert TPI.at(proportion) == pytest.approx(index, abs=1e-12)


def test_one_segment():
    # 20 of 40 km/h: half of the travel time is delay.
    assert index_of((600, 20, 40)) == 4


def test_times_are_added_up_and_indices_are_not_averaged():
    # 600 m at 20 of 40 km/h take 108 s instead of 54; 500 m at 50 of 50 km/h take 36 s.
    # 1 - (54 + 36) / (108 + 36) = 0.375, which is 2 + 2·0.075/0.2 = 2.75.
    # The indices alone are 4 and 0, on average 2.
    assert index_of((600, 20, 40), (500, 50, 50)) == pytest.approx(2.75)


def test_a_longer_segment_weighs_more():
    # 1800 m at 20 of 40 km/h take 324 s instead of 162; 1 - 198/360 = 0.45 is 3.5.
    assert index_of((1800, 20, 40), (500, 50, 50)) == pytest.approx(3.5)


def test_a_standing_segment_is_taken_at_a_walk():
    # 100 m at 1 km/h take 360 s, at 50 km/h 7.2 s: 0.98 is 8 + 2·0.28/0.3 = 9.87.
    assert index_of((100, 0, 50)) == pytest.approx(9.8667, abs=1e-4)


def test_free_flow_and_faster():
    assert index_of((100, 50, 50)) == 0
    assert index_of((100, 70, 50)) == 0
