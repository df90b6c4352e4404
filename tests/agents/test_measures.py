"""What aggregates say of many cells at once, to the bit what they say of each state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.measures import family_of, one_by_one, share_of_repeats, value_of, values_of
from schemas.signs import Aggregate
from streams.aggregates import FACTS
from tests.cells import PlainRow, cells_of

AGGREGATES: dict[str, dict[str, Any]] = {
    "count": {},
    "sum": {},
    "mean": {},
    "min": {},
    "max": {},
    "rate": {"scale": 3600},
    "last": {},
    "variance": {},
    "stddev": {},
    "quantile": {"q": 0.85},
    "distinct": {"of": "x"},
    "ratio": {"of": "x", "over": "y", "scale": 100},
    "slope": {"scale": 60},
    "leq": {},
    "tpi": {},
    "online": {},
    "peak": {},
    "share": {"where": {"value": 1.0}, "scale": 100},
    "hits": {"where": {"value": 1.0}},
}
Rows = list[tuple[int, PlainRow]]

SMALL = st.integers(-(10**9), 10**9)
EDGE = st.integers(-3, 3).flatmap(lambda d: st.sampled_from([2**53 + d, -(2**53) + d]))
LARGE = st.integers(-(2**59), 2**59)
ROW = st.tuples(st.integers(0, 10**6), SMALL | EDGE | LARGE, SMALL | LARGE, st.integers(0, 90_000))
ROWS = st.lists(st.tuples(st.integers(0, 4), ROW), min_size=1, max_size=20)


def test_all_functions_are_here() -> None:
    assert set(AGGREGATES) == set(Aggregate.model_fields["function"].annotation.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize("function", sorted(AGGREGATES))
@settings(deadline=None, max_examples=60)
@given(
    ROWS, st.sampled_from([None, 0.1, 1 / 3, 1e6]), st.sampled_from([1, 60_000, 31 * 86_400_000])
)
@example([(0, (0, 2**53, 1, 1)), (0, (1, 2**53, 1, 1)), (1, (0, -1, 0, 0))], None, 60_000)
@example([(0, (0, (2**53 + 1) // 1000 + 1, 1, 1))], None, 60_000)
@example([(0, (n, n * n * 10**7, 1, 1)) for n in range(90)], None, 60_000)
def test_columns_are_the_values_of_the_states(
    function: str, rows: Rows, scale: float | None, ms: int
) -> None:
    given: dict[str, Any] = {"function": function, **AGGREGATES[function]}
    aggregate = Aggregate(**given if scale is None else {**given, "scale": scale})
    if function in ("leq", "tpi"):  # energies and travel times are above zero
        rows = [(id, (t, abs(x) + 1, abs(w) + 1, c)) for id, (t, x, w, c) in rows]
    cells: Any = cells_of(family_of(aggregate), rows)
    index = np.array([*range(len(cells)), 0], np.int64)[::-1].copy()
    found = values_of(aggregate)(cells, index, ms)
    exact = [value_of(aggregate)(cells.state(i), ms) for i in index.tolist()]
    assert found.dtype == np.float64
    assert [None if np.isnan(x) else x.hex() for x in found.tolist()] == [
        None if x is None else float(x).hex() for x in exact
    ]


@pytest.mark.parametrize("function", ["sum", "mean", "min", "max", "rate"])
def test_sums_that_no_float_holds_are_rounded_once(function: str) -> None:
    """10 billion units and a step: half a step more than the float beside it."""
    rows: Rows = [(0, (0, 2**53, 0, 0)), (0, (1, 1, 0, 0)), (0, (2, 2**53, 0, 0))]
    aggregate = Aggregate(function=function)  # type: ignore[arg-type]
    cells: Any = cells_of(family_of(aggregate), rows)
    (found,) = values_of(aggregate)(cells, np.zeros(1, np.int64), 1000).tolist()
    total = 2**54 + 1
    assert (
        found
        == {
            "sum": total / 10**6,
            "mean": total / (3 * 10**6),
            "min": 1e-6,
            "max": 2**53 / 10**6,
            "rate": total / 10**6,
        }[function]
    )


def test_shares_of_repeats_one_by_one() -> None:
    rows: Rows = [(id, (t, (t,), 0, 0)) for id, t in ((0, 1), (0, 2), (1, 3))]
    cells = cells_of(FACTS, rows)
    cells.replace(0, FACTS.judged(cells.state(0), 1))  # type: ignore[attr-defined]
    found = one_by_one(share_of_repeats)(cells, np.array([1, 0]), 1000)
    assert found.tolist() == [0.0, 50.0]


def test_no_cells_have_no_values() -> None:
    for function, fields in AGGREGATES.items():
        given: dict[str, Any] = {"function": function, **fields}
        aggregate = Aggregate(**given)
        cells = family_of(aggregate).cells()
        assert len(values_of(aggregate)(cells, np.zeros(0, np.int64), 1000)) == 0
