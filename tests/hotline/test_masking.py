"""Masking: cases by hand, laws, and the requirement over generated texts."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.hotline.identifiers import is_identity
from agents.hotline.masking import PLACEHOLDERS, mask, spans
from tests.hotline.harmless import HARMLESS
from tests.hotline.masking_texts import (
    FORMS,
    SENTENCES,
    measure_forms,
    measure_harmless,
    plant,
    share,
)

PER_FORM = 750
"""40,000 texts in all; the command takes more."""


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("回电16100000000，谢谢", "回电[电话]，谢谢"),
        ("+86 161-0000-0000", "[电话]"),
        ("（+86）161 0000 0000", "[电话]"),
        ("0086161 0000 0000", "[电话]"),
        ("86-161—0000—0000", "[电话]"),
        ("016100000000", "[电话]"),
        ("１６１，００００，００００。", "[电话]。"),
        ("一六一零零零零零零零零一直关机", "[电话]一直关机"),
        ("幺陆幺零洞〇零○零零零", "[电话]"),
        ("1️⃣6️⃣1️⃣0️⃣0️⃣0️⃣0️⃣0️⃣0️⃣0️⃣0️⃣找我", "[电话]找我"),
        ("16100000000、16100000001", "[电话]、[电话]"),
        ("电话161000000003栋", "电话[电话]3栋"),
        ("16100000000302室，16100000000302号", "[电话]302室，16100000000302号"),
        ("二16100000000二十四小时", "二[电话]二十四小时"),
        ("3栋 1 6 1 0 0 0 0 0 0 0 0 5楼", "3栋 [电话] 5楼"),
        ("161\n0000\n0000", "[电话]"),
        ("(020)80000000转801", "[电话]"),
        ("020一80000000", "[电话]"),
        ("+86（0）20-8000 0000", "[电话]"),
        ("0755 8000000", "[电话]"),
        ("电话80000000、8000001，8000-0002", "电话[电话]、[电话]，[电话]"),
        ("+852 9000 0000", "[电话]"),
        ("110105194912310021", "110105194912310021"),
        ("11010519491231002X", "[证件]"),
        ("１１０１０５ 19491231 ００２ｘ", "[证件]"),
        ("一一〇一〇五一九四九一二三一〇〇二X", "[证件]"),
        ("身份证110105194912310021", "身份证[证件]"),
        ("身份证号是11010519491231002，少一位", "身份证号是[证件]，少一位"),
        ("身份证11010519491231002X16100000000", "身份证[证件][电话]"),
        ("110105491231002", "[证件]"),
        ("编号110105491231002", "编号110105491231002"),
        ("6200000000000005", "[银行卡]"),
        ("6200 0000 0000 0005", "[银行卡]"),
        ("6200 0000 0000 0000 001", "6200 0000 0000 0000 001"),
        ("银行卡号6200 0000 0000 0000 001", "银行卡号[银行卡]"),
        ("收款账户：1000000000000000", "收款账户：[银行卡]"),
        ("订单号6200000000000005", "订单号6200000000000005"),
        ("粤A·00000、粤ａ０００００、粤 A 0 0 0 0 0", "[车牌]、[车牌]、[车牌]"),
        ("粤AD00000和粤A00000F", "[车牌]和[车牌]"),
        ("粤A0000警、粤A0000学、粤A0000挂、粤Z0000港、粤Z00AB澳", "、".join(["[车牌]"] * 5)),
        ("粤A0000学校、粤A0000警察、云A栋12345", "粤A0000学校、粤A0000警察、云A栋12345"),
        ("粤A一二三四五一直停", "[车牌]一直停"),
        ("a.b-1＠example．com，c @ example.org", "[邮箱]，[邮箱]"),
        ("c[at]example[dot]org", "[邮箱]"),
        ("a@example.com16100000000", "[邮箱][电话]"),
        ("16100000000@example.com", "[邮箱]"),
        ("@所有人，5@2.50", "@所有人，5@2.50"),
        ("拨打12345、110和95598，邮编510000", "拨打12345、110和95598，邮编510000"),
        ("", ""),
    ],
)
def test_by_hand(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize("mark", ["", " ", "-"])
def test_a_card_is_not_left_with_its_last_digit(mark: str) -> None:
    """The first 18 digits of this card are an identity number, with its day and its check."""
    card = "6200001990010100056"
    assert is_identity(card[:18])
    assert mask(f"打到{mark.join(card)}，谢谢") == "打到[银行卡]，谢谢"


def test_the_requirement() -> None:
    """At most one in a thousand is missed, at most one in a hundred is masked for nothing."""
    planted = measure_forms(PER_FORM, seed=2)
    clean = measure_harmless(PER_FORM, seed=2)
    assert len(planted) >= 20
    assert sum(row.texts for row in planted) >= 40_000
    assert len(clean) >= 30
    assert len(SENTENCES) >= 12
    assert share(planted) <= 0.001, [row for row in planted if row.wrong]
    assert share(clean) <= 0.01, [row for row in clean if row.wrong]


@pytest.mark.parametrize("form", FORMS)
def test_kinds_are_told(form: str) -> None:
    told = [spans(plant(form, number, seed=4).text) for number in range(50)]
    kinds = [[span.kind for span in found] for found in told]
    assert kinds.count([FORMS[form][0]]) >= 48, kinds


@pytest.mark.realdata
def test_real_messages_are_left_alone() -> None:
    """Who published them took nearly all identifiers out: most of what is masked were wrong."""
    folder = os.environ.get("CITYVITALS_TEST_DATA")
    if not folder:
        pytest.skip("CITYVITALS_TEST_DATA names no folder with the public data")
    with gzip.open(Path(folder) / "hotline_replies.ndjson.gz", "rt", encoding="utf-8") as lines:
        messages = [json.loads(line)["x"].get("text") for line in lines if line.strip()]
    texts = [text for text in messages if text]
    assert len(texts) > 2000
    assert sum(bool(spans(text)) for text in texts) <= 0.01 * len(texts)


# What makes up identifiers, their neighbours, and what masking itself writes.
PIECES = st.sampled_from(
    [
        *"0123456789零一二幺Xx+-—.·，、()（）[]@粤Aa学元 \n\u200b是为",
        *("16100000000", "86", "020", "80000000", "110105194912310021", "11010519491231002X"),
        *("6200000000000005", "粤A", "D00000", "a@b.cn", "[at]", "电话", "身份证号", "卡号"),
        *("订单号", "账户", *PLACEHOLDERS.values(), "110105491231002", "转", "。cn", "161、0000、"),
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=80)


@given(TEXTS)
def test_a_masked_text_is_masked_no_further(text: str) -> None:
    once = mask(text)
    assert mask(once) == once


@given(TEXTS)
def test_spans_are_of_the_original_in_order(text: str) -> None:
    end = 0
    for span in spans(text):
        assert end <= span.start < span.end <= len(text)
        assert span.kind in PLACEHOLDERS
        end = span.end


@given(TEXTS)
def test_what_is_not_masked_is_left(text: str) -> None:
    rest, done = [], 0
    for span in spans(text):
        rest.append(text[done : span.start])
        done = span.end
    pattern = "|".join(map(re.escape, PLACEHOLDERS.values()))
    kept = re.sub(pattern, "", "".join([*rest, text[done:]]))
    assert re.sub(pattern, "", mask(text)) == kept or "[" in text or "]" in text


# A number with letters or signs beside it stands out; digits beside it would be of another one.
BESIDE = st.text(alphabet="的是，。、（）a [ ]:：\n电话单号3７二@.-", max_size=12)


@given(BESIDE, st.integers(0, 10**8 - 1), BESIDE, st.sampled_from(["", "-", " ", "."]))
def test_no_neighbour_hides_a_mobile_number(before: str, rest: int, after: str, mark: str) -> None:
    digits = f"{rest:08}"
    number = mark.join(("161", digits[:4], digits[4:]))
    text = f"{before}是{number}的{after}"
    masked = mask(text)
    assert number not in masked
    assert sum(c.isdigit() for c in masked) <= sum(c.isdigit() for c in before + after)


HOSTILE = ("1", "16", "1-", "1 ", "a@", "@", "a.", "粤A", "粤A1", "[at]", "一", "电话1", "０\u200b")


@pytest.mark.parametrize("unit", HOSTILE)
def test_long_hostile_texts_are_masked(unit: str) -> None:
    mask(unit * (100_000 // len(unit)))


MODULES = ("callers", "cues", "mails", "numbers", "plates")


@pytest.mark.parametrize("name", MODULES)
def test_no_pattern_can_backtrack_far(name: str) -> None:
    """Where the number of turns is open and can exceed four, none is ever given back."""
    module = importlib.import_module(f"agents.hotline.{name}")
    patterns = [value for value in vars(module).values() if isinstance(value, re.Pattern)]
    assert patterns
    for pattern in patterns:
        parsed = importlib.import_module("re._parser").parse(pattern.pattern, pattern.flags)
        assert all(most <= 4 for most in _repeats(parsed)), pattern.pattern


def _repeats(parsed: Any) -> list[int]:
    """Most turns of every repetition that may give back."""
    found: list[int] = []
    for operation, value in parsed:
        if str(operation) in ("MAX_REPEAT", "MIN_REPEAT"):
            found.append(int(value[1]) if value[0] != value[1] else 1)
        for inner in _inner(value):
            found += _repeats(inner)
    return found


def _inner(value: Any) -> list[Any]:
    """The patterns inside the argument of an operation."""
    if hasattr(value, "state") and hasattr(value, "data"):
        return [value]
    if isinstance(value, list | tuple):
        return [inner for part in value for inner in _inner(part)]
    return []


def test_the_harmless_are_many() -> None:
    assert len(HARMLESS) >= 30
