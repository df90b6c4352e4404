"""Hashes of callers: one for all spellings, another every month, and never the number."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.hotline.callers import CallerKeys, canonical

ZONE = ZoneInfo("Asia/Shanghai")
KEYS = CallerKeys(b"a secret of the tests", "Asia/Shanghai")


def at(year: int, month: int, day: int, hour: int = 12) -> int:
    return int(datetime(year, month, day, hour, tzinfo=ZONE).timestamp() * 1000)


OCTOBER = at(2026, 10, 12)


@pytest.mark.parametrize(
    "spelling",
    [
        *("161 0000 0000", "+8616100000000", "+86 161-0000-0000", "0086 16100000000"),
        *("86-16100000000", "016100000000", "１６１００００００００", "(+86)161·0000·0000"),
        *(
            "一六一零零零零零零零零",
            "幺六幺〇〇〇〇〇〇〇〇",
            "161\u200b00000000",
            " 16100000000\n",
        ),
    ],
)
def test_one_caller_in_all_spellings(spelling: str) -> None:
    assert KEYS.hash(spelling, OCTOBER) == KEYS.hash("16100000000", OCTOBER)


@pytest.mark.parametrize(
    ("spelling", "same"),
    [
        ("+86 20 8000 0000", "02080000000"),
        ("+86 (0)20 8000 0000", "02080000000"),
        ("（020）8000-0000", "02080000000"),
        ("0086-755-8000 0000", "075580000000"),
        ("86-10-80000000", "01080000000"),
        ("+852 9000 0000", "85290000000"),
        ("WX_Ab12", "wx_ab12"),
        ("u16100000000", "u16100000000"),
    ],
)
def test_numbers_and_accounts(spelling: str, same: str) -> None:
    assert canonical(spelling) == same


@pytest.mark.parametrize("caller", ["", " ", "\u200b", "匿名", "Unknown", "无"])
def test_who_withheld_the_number_is_nobody(caller: str) -> None:
    assert KEYS.hash(caller, OCTOBER) is None
    assert KEYS.hash_before(caller, OCTOBER) is None


def test_callers_differ() -> None:
    callers = ["16100000000", "16100000001", "02080000000", "u16100000000", "u1610"]
    assert len({KEYS.hash(caller, OCTOBER) for caller in callers}) == len(callers)


def test_the_key_is_of_the_local_month() -> None:
    first, last = at(2026, 10, 1, 0), at(2026, 11, 1, 0) - 1
    assert KEYS.hash("16100000000", first) == KEYS.hash("16100000000", last)
    assert KEYS.hash("16100000000", last) != KEYS.hash("16100000000", last + 1)
    # 16:00 UTC of the last day is the next month in Guangzhou, and not yet in London.
    london = CallerKeys(b"a secret of the tests", "Europe/London")
    assert london.hash("16100000000", last) == london.hash("16100000000", last + 1)


def test_a_repeat_over_the_border_of_a_month() -> None:
    """31 December and 1 January: the second call finds the first under the key of before."""
    before, after = at(2026, 12, 31), at(2027, 1, 1)
    assert KEYS.hash_before("+86 161 0000 0000", after) == KEYS.hash("16100000000", before)
    assert KEYS.hash_source_before("x", after) == KEYS.hash_source("x", before)
    assert KEYS.hash_before("16100000000", after) != KEYS.hash("16100000000", after)


def test_the_hash_of_a_source_does_not_cross() -> None:
    given_hash = "5f4dcc3b5aa765d61d8327deb882cf99"
    hashed = KEYS.hash_source(given_hash, OCTOBER)
    assert hashed is not None
    assert hashed != given_hash
    assert hashed != KEYS.hash(given_hash, OCTOBER)
    assert KEYS.hash_source(" ", OCTOBER) is None


def test_secrets_differ_and_are_not_told() -> None:
    other = CallerKeys(b"another secret of the tests", "Asia/Shanghai")
    assert other.hash("16100000000", OCTOBER) != KEYS.hash("16100000000", OCTOBER)
    assert "secret" not in repr(KEYS)
    with pytest.raises(ValueError, match="has 5 bytes: give at least 16") as error:
        CallerKeys(b"short", "Asia/Shanghai")
    assert "short" not in str(error.value)


def test_hashes_stay() -> None:
    """They are compared with those of earlier builds for a month."""
    assert KEYS.hash("16100000000", OCTOBER) == "6cb4c9df072da5677d639caf8bf29b05"


@given(st.text(max_size=64), st.integers(0, 4 * 10**12))
def test_every_caller_has_a_hash(caller: str, t: int) -> None:
    hashed = KEYS.hash(caller, t)
    assert hashed is None or (len(hashed) == 32 and int(hashed, 16) >= 0)
    assert hashed == CallerKeys(b"a secret of the tests", "Asia/Shanghai").hash(caller, t)


@given(st.text(max_size=64))
def test_a_canonical_caller_is_canonical(caller: str) -> None:
    name = canonical(caller)
    assert name is None or canonical(name) in (name, None) or name[0] in "08"
