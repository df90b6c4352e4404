"""Event times: both forms, the floor, and the hints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.times import EARLIEST, LATEST, epoch_ms


def test_the_range_is_half_open() -> None:
    assert epoch_ms(EARLIEST) == EARLIEST == epoch_ms(datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC))
    assert epoch_ms(LATEST - 1) == LATEST - 1
    for outside in (LATEST, datetime(2100, 1, 1, tzinfo=UTC)):
        with pytest.raises(ValueError, match="outside"):
            epoch_ms(outside)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1779403290, "looks like seconds: send milliseconds"),
        (99_999_999_999, "looks like seconds: send milliseconds"),
        (1779403290000000, "looks like microseconds: send milliseconds"),
        (1779403290000000000, "looks like nanoseconds: send milliseconds"),
        (0, "outside"),
        (-1, "outside"),
        (10**30, "outside"),
        (datetime(2026, 5, 22), "has no offset"),
        (datetime(1970, 1, 1, tzinfo=UTC), "outside"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), "outside"),
        (datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12))), "outside"),
    ],
)
def test_other_times_are_refused(value: int | datetime, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        epoch_ms(value)


@given(
    st.integers(EARLIEST, LATEST - 1),
    st.integers(0, 999),
    st.integers(-14 * 60, 14 * 60),
)
def test_both_forms_agree_and_microseconds_are_cut(ms: int, us: int, offset: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms, microseconds=us)
    local = moment.astimezone(timezone(timedelta(minutes=offset)))
    assert epoch_ms(local) == ms == epoch_ms(ms)
