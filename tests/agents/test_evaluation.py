"""What cells say of a window's keys, against the rule gone through key by key."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.entries import Entry, judged
from agents.evaluation import Evaluation
from agents.gathered import Held
from agents.levels import scale_of
from agents.measures import value_of
from agents.plan import FoldedSign, compile_plan
from streams.aggregates import Accumulator
from tests.cells import PlainRow, cells_of, state_of
from tests.rules.configurations import configuration, levels, sensor, topic, window
from tests.rules.oracle import against
from tests.rules.wide import arrivals

START, END = 60_000, 180_000
NAMES = [("station", name) for name in "abcdef"]
LIMIT = {"name": "well_depth_m", "scale": 100}
PER_CENT = {"function": "ratio", "of": "value", "over": "period_s", "scale": 100}


def plan(**fields: Any) -> FoldedSign:
    given: dict[str, Any] = {"keys": ["station"], "rollup": "none", "window": window(120, 60)}
    given |= {"aggregate": {"function": "sum"}, "levels": levels("ge", blue=1, red=40)}
    made = sensor("a.rain", "mm", "rain", "station", **given | fields)
    return compile_plan(configuration([made], [topic("sensor", 1, 300)])).folded[0]


def sampled(**fields: Any) -> FoldedSign:
    given: dict[str, Any] = {"aggregate": {"function": "mean"}, "window": window(60, 60)}
    return plan(**given | {"kind": "sampled", "rollup": "merge", "period_s": 60, **fields})


def online() -> FoldedSign:
    fields = {"aggregate": {"function": "online", "scale": 100}, "kind": "sampled"}
    made = arrivals("a.online", "%", keys=["street"], window=window(60, 60), **fields)
    return compile_plan(configuration([made], [topic("sensor", 1, 300)])).folded[0]


SIGNS = {
    "plain": plan(),
    "zero": plan(empty="zero"),
    "time": plan(coverage={"by": "time", "at_least": 0.75}),
    "samples": plan(coverage={"by": "samples", "at_least": 2}),
    "devices": sampled(coverage={"by": "devices", "at_least": 0.5}),
    "sampled": sampled(),
    "undefined": plan(aggregate=PER_CENT),
    "ratio": plan(limit={**LIMIT, "how": "ratio"}),
    "deviation": plan(limit={"name": "limit", "how": "deviation", "scale": 100}),
    "excess of zero": plan(limit={**LIMIT, "how": "excess"}, empty="zero"),
    "online": online(),
}


def by_the_rule(
    of: FoldedSign,
    state: Accumulator | None,
    first: int,
    devices: int,
    limit: float | None,
) -> tuple[float | None, int, float, Any]:
    """Value, rows, coverage and reason (rule R8)."""
    sign, rule = of.sign, of.sign.coverage
    sampled, zero = sign.kind == "sampled", sign.empty == "zero"
    is_online = sign.aggregate.function == "online"
    n, covered = (0, 0) if state is None else (state[0], state[2])
    if sampled:
        covered = max(covered, devices)
    enough = n > 0
    if rule is None:
        coverage = 1.0 if zero or n else 0.0
        enough = enough or zero
        if sampled and covered and not zero:
            coverage, enough = n / covered, enough or is_online
    elif rule.by == "time":
        coverage = min(1.0, covered / (END - START))
        enough = enough and coverage >= rule.at_least
    elif rule.by == "samples":
        coverage, enough = min(1.0, n / rule.at_least), n >= rule.at_least
    else:
        coverage = n / covered if covered else 0.0
        enough = enough and coverage >= rule.at_least
    limited = getattr(sign, "limit", None)
    if first > START:
        return None, n, coverage, "warming"
    if not enough:
        return None, n, coverage, "uncovered"
    if limited is not None and limit is None:
        return None, n, coverage, "no_limit"
    value: float | None
    if n == 0 and zero:
        value = 0.0
    elif is_online:
        value = n / covered * sign.aggregate.scale
    else:
        assert state is not None
        value = value_of(sign.aggregate)(state, END - START)
    if value is None:
        return None, n, coverage, "undefined"
    if limited is not None and limit is not None:
        value = against(limited.how, value, limit) * limited.scale
    return value, n, coverage, None


ROW = st.tuples(
    st.integers(START, END - 1),
    st.integers(-5, 50).map(lambda mm: mm * 1_000_000),
    st.integers(0, 2),
    st.sampled_from([0, 30_000, 60_000]),
)
KEY = st.tuples(
    st.lists(ROW, max_size=4),
    st.sampled_from([0, START, START + 1]),
    st.integers(0, 3),
    st.none() | st.sampled_from([0.5, 2.0, 3.0]),
)


@pytest.mark.parametrize("name", sorted(SIGNS))
@settings(deadline=None, max_examples=60)
@given(keys=st.lists(KEY, max_size=len(NAMES)), empty=st.booleans())
def test_rows_are_those_of_the_rule(
    name: str, keys: list[tuple[list[PlainRow], int, int, float | None]], empty: bool
) -> None:
    of = SIGNS[name]
    family = of.family
    if of.sign.kind == "sampled":  # a row covers a device there
        keys = [([(t, v, w, 1) for t, v, w, _ in rows], *rest) for rows, *rest in keys]  # type: ignore[misc]
    # A cell may be of no key that is asked for; the cells stand in an order of their own.
    rows = [(9, (START, 10**6, 1, 1))] if empty else []
    rows += [(id, row) for id, (mine, *_) in reversed(list(enumerate(keys))) for row in mine]
    cells = cells_of(family, rows)
    index = np.empty(len(keys), np.int64)
    cells.find(np.arange(len(keys)), index)
    held = Held(
        NAMES[: len(keys)],
        [f"44010{n}" for n in range(len(keys))],
        cells,
        index,
        np.array([first for _, first, _, _ in keys], np.int64),
        np.array([devices for _, _, devices, _ in keys], np.int64),
        np.array([np.nan if limit is None else limit for *_, limit in keys], np.float64),
    )
    said = Evaluation(of).said(held, START, END)
    expected = []
    for n, (mine, first, devices, limit) in enumerate(keys):
        state = state_of(family, mine) if mine else None
        told = by_the_rule(of, state, first, devices, limit)
        entry = Entry(*NAMES[n], f"44010{n}", *told)  # type: ignore[arg-type]
        expected.append(judged(entry, scale_of(of.sign.levels)))
    assert list(said) == expected
