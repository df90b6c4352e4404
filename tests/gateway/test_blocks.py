"""Blocks give back every bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.gateway.blocks import pack, unpack
from agents.gateway.windows import WINDOW

FLOATS = [name for name in WINDOW.names or () if WINDOW[name].kind == "f"]

decimals = st.integers(-(10**9), 10**9).flatmap(
    lambda n: st.sampled_from([0, 1, 2, 3, 6]).map(lambda power: n / 10**power)
)
values = st.one_of(
    st.floats(allow_infinity=False), decimals, st.just(float("nan")), st.sampled_from([0.0, -0.0])
)


@pytest.mark.parametrize("name", WINDOW.names or ())
@given(data=st.data())
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_rows_come_back(name: str, data: st.DataObject) -> None:
    kind = WINDOW[name]
    lists = st.sampled_from([values, decimals]).flatmap(lambda one: st.lists(one, max_size=40))
    if kind.kind == "i":
        room = np.iinfo(kind)
        lists = st.lists(st.integers(room.min, room.max), max_size=40)
    column = np.array(data.draw(lists), kind)
    rows = np.zeros(len(column), WINDOW)
    rows["t"] = np.arange(len(column)) * 60_000
    rows[name] = column
    assert_same(unpack(pack(rows)), rows)


def assert_same(found: Any, rows: Any) -> None:
    for name in WINDOW.names or ():
        one, other = found[name].copy(), rows[name].copy()
        if name in FLOATS:
            missing = np.isnan(other)
            assert (np.isnan(one) == missing).all()
            one[missing] = other[missing] = 0.0
            one, other = one.view(np.int64), other.view(np.int64)
        assert (one == other).all(), name


def test_damage_is_told() -> None:
    packed = pack(np.zeros(3, WINDOW))
    with pytest.raises(ValueError, match="damaged"):
        unpack(packed[:-4])
    with pytest.raises(ValueError, match="damaged"):
        unpack(b"no block")
