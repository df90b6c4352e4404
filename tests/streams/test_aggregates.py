"""R3: merging is associative and commutative to the bit; sketches keep their promises."""

from __future__ import annotations

from math import floor
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.aggregates import DISTINCT, FACTS, MOMENTS, QUANTILES, SLOPES, Family
from streams.aggregates.distinct import member
from tests.cells import state_of

FAMILIES = pytest.mark.parametrize(
    "family", [MOMENTS, QUANTILES, DISTINCT, SLOPES, FACTS], ids=lambda f: str(f.name)
)
INT64 = st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(
    st.tuples(st.integers(-5, 5), INT64 | st.integers(-9, 9), INT64, st.integers(0, 10**9))
)


@st.composite
def long_rows(draw: st.DrawFn) -> list[tuple[int, int, int, int]]:
    """Up to some hundred rows: beyond 64 sketches take over."""
    rows = draw(ROWS)
    rng = Random(draw(st.integers(0, 99)))
    bits = rng.choice((3, 8, 62))
    more = draw(st.sampled_from([0, 50, 64 - len(rows), 65 - len(rows), 200]))
    return rows + [(rng.randrange(9), rng.getrandbits(bits), 1, 1) for _ in range(more)]


@FAMILIES
@settings(deadline=None, max_examples=60)
@given(rows=long_rows(), rng=st.randoms(use_true_random=False))
def test_any_grouping_and_order_give_the_same_state(
    family: Family, rows: list[tuple[int, int, int, int]], rng: Random
) -> None:
    expected = state_of(family, rows)
    states = [family.row(*row) for row in rows] + [family.empty]
    Random(rng.randrange(10**6)).shuffle(states)
    while len(states) > 1:
        at = rng.randrange(len(states) - 1)
        states[at : at + 2] = [family.merge(states[at], states[at + 1])]
    assert states == [expected]


@FAMILIES
@settings(deadline=None, max_examples=60)
@given(a=long_rows(), b=long_rows(), c=long_rows())
def test_the_laws_of_merging(
    family: Family,
    a: list[tuple[int, int, int, int]],
    b: list[tuple[int, int, int, int]],
    c: list[tuple[int, int, int, int]],
) -> None:
    x, y, z = (state_of(family, rows) for rows in (a, b, c))
    merge = family.merge
    assert merge(x, y) == merge(y, x)
    assert merge(merge(x, y), z) == merge(x, merge(y, z))
    assert merge(x, family.empty) == x == merge(family.empty, x)


@given(ROWS.filter(bool))
def test_moments_are_those_of_the_rows(rows: list[tuple[int, int, int, int]]) -> None:
    values = [value for _, value, _, _ in rows]
    last_t, last = max((t, value) for t, value, _, _ in rows)
    n, t, covered, total, squares, low, high, last_value, weight = state_of(MOMENTS, rows)
    assert (n, t, last_value) == (len(rows), last_t, last)
    assert (total, squares) == (sum(values), sum(v * v for v in values))
    assert (low, high) == (min(values), max(values))
    assert weight == sum(row[2] for row in rows)
    assert covered == sum(row[3] for row in rows)


def test_sums_of_a_million_extremes_are_exact() -> None:
    one = MOMENTS.row(0, -(2**63), 2**63 - 1, 0)
    state = one
    for _ in range(20):
        state = MOMENTS.merge(state, state)
    assert state[3:5] == (-(2**83), 2**146)


@pytest.mark.parametrize("q", [0.01, 0.3, 0.5, 0.9, 0.999])
@given(st.lists(INT64, min_size=1, max_size=64))
def test_quantiles_of_64_values_are_interpolated(q: float, values: list[int]) -> None:
    state = state_of(QUANTILES, [(0, value, 0, 0) for value in values])
    ordered, rank = sorted(values), q * (len(values) - 1)
    low = floor(rank)
    high = ordered[min(low + 1, len(values) - 1)]
    exact = ordered[low] + (high - ordered[low]) * (rank - low)
    found = QUANTILES.quantile(state, q)
    assert found == pytest.approx(exact, rel=1e-9, abs=1e-3 * abs(high - ordered[low]) * 1e-9)


def test_no_values_have_no_quantile() -> None:
    assert QUANTILES.quantile(QUANTILES.empty, 0.5) is None


@pytest.mark.parametrize("q", [0.01, 0.5, 0.95, 0.999])
@pytest.mark.parametrize("seed", range(4))
def test_quantiles_of_more_are_within_a_hundredth(seed: int, q: float) -> None:
    rng = Random(seed)
    draw = [
        lambda: round(rng.lognormvariate(10, 4)),
        lambda: rng.randrange(-(10**12), 10**12),
        lambda: rng.choice((0, 0, 1, -1, 2**62)),
        lambda: round(-rng.expovariate(1e-9)),
    ][seed]
    values = sorted(draw() for _ in range(3000))
    found = QUANTILES.quantile(state_of(QUANTILES, [(0, v, 0, 0) for v in values]), q)
    exact = values[floor(q * (len(values) - 1))]
    assert found is not None
    assert abs(found - exact) <= 0.010001 * abs(exact)


@given(st.lists(st.integers(0, 80).map(str)))
def test_up_to_64_members_are_counted_exactly(names: list[str]) -> None:
    state = state_of(DISTINCT, [(0, member(name), 0, 0) for name in names])
    count, members = DISTINCT.count(state), len(set(names))
    assert state[0] == len(names)
    if members <= 64:
        assert count == members
    else:
        assert abs(count - members) <= 0.05 * members


@pytest.mark.parametrize("members", [65, 500, 5000, 12_000, 30_000])
def test_more_members_are_counted_within_five_hundredths(members: int) -> None:
    """Three standard errors of 4,096 registers are 4.9 %."""
    state = DISTINCT.empty
    for at in range(0, members, 64):
        part = [member(f"device-{i}") for i in range(at, min(at + 64, members))]
        state = DISTINCT.merge(state, (len(part), 0, 0, tuple(sorted(part)), None))
    assert abs(DISTINCT.count(state) - members) <= 0.049 * members


def test_a_sketch_is_bounded() -> None:
    values = [sign * 2**k for sign in (-1, 1) for k in range(63)] + list(range(-500, 500))
    state = state_of(QUANTILES, [(0, value, 0, 0) for value in values * 3])
    buckets = [bucket for bucket, _ in state[4]]
    assert buckets == sorted(set(buckets))
    assert len(buckets) <= 4400
    assert sum(count for _, count in state[4]) == len(values) * 3
