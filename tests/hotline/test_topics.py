"""Topics and places of texts: only what the closed lists hold, and nothing where it is doubtful."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.hotline.masking import mask
from agents.hotline.topics import Places, Topic, Topics

FLOOD = Topic("内涝积水", "0803", ("积水", "内涝", "水浸"))
WATER = Topic("停水", "0807", ("停水", "没有水", "水压"))
NIGHT = Topic("夜间施工", "0502", ("深夜施工", "打桩", "工地"))
PARKING = Topic("停车难", "0713", ("停车", "车牌", "车位"))
TOPICS = Topics([FLOOD, WATER, NIGHT, PARKING])


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("路口积水很深", FLOOD),
        ("工地深夜施工打桩，水压低", NIGHT),
        ("停水，积水", FLOOD),  # as strong: the first of the list
        ("停水，没有水", WATER),
        ("积\u200b水，Ａ座", FLOOD),
        ("粤A·00000占道", None),  # the placeholder [车牌] is no keyword
        ("积水积水积水，停水，水压", WATER),  # a keyword counts once
        ("谢谢", None),
        ("", None),
    ],
)
def test_topics(text: str, topic: Topic | None) -> None:
    assert TOPICS.find(mask(text)) == topic


def test_of_two_that_are_even_the_longer_word_wins() -> None:
    short = Topic("甲", "1", ("路灯", "不亮"))
    long = Topic("乙", "2", ("灯柱倒下",))
    assert Topics([short, long]).find("路灯不亮，灯柱倒下") == long


@given(st.text(alphabet="积水内涝停工地打桩车位深夜施 [电话]"))
def test_only_the_list_comes_out(text: str) -> None:
    assert TOPICS.find(text) in (None, *TOPICS.topics)


@pytest.mark.parametrize(
    ("topics", "message"),
    [
        ([FLOOD, FLOOD], "name 内涝积水 comes twice"),
        ([FLOOD, Topic("水浸", "0803", ("水浸",))], "code 0803 comes twice"),
        ([Topic("水浸", "1", ())], "水浸 has no or an empty keyword"),
        ([Topic("水浸", "1", ("x", "\u200b"))], "水浸 has no or an empty keyword"),
    ],
)
def test_a_list_that_is_not_one(topics: list[Topic], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Topics(topics)


PLACES = Places(
    [
        ("白云区", "440111"),
        ("天河区", "440106"),
        ("石井街道", "440111019"),
        ("井街", "440106099"),
        ("三元里街道", "440111001"),
        ("车陂街道", "440106012"),
        ("人民街道", "440111050"),
        ("人民街道", "440106050"),
        ("广州市", "440100"),
        ("东区街道", "441900100"),
    ]
)


@pytest.mark.parametrize(
    ("text", "within", "place"),
    [
        ("石井街道路灯不亮", "4401", "440111019"),
        ("石井街道路灯不亮", "440111", "440111019"),
        ("广州市白云区石井街道", "4401", "440111019"),
        ("白云区有积水", "4401", "440111"),
        ("白云区有积水", "440111", None),  # no finer than what is known
        ("天河区有积水", "440111", None),  # outside
        ("石井街道到车陂街道", "440111", "440111019"),  # the other is outside
        ("石井街道到车陂街道", "4401", None),
        ("白云区车陂街道", "4401", None),
        ("从白云区到天河区", "4401", None),
        ("石井街道和三元里街道", "4401", None),
        ("人民街道", "4401", None),  # two have the name
        ("天河区人民街道", "4401", "440106050"),
        ("人民街道", "440111", "440111050"),
        ("石井街道", "440111019", None),
        ("石井街道", "440111019001", None),
        ("东区街道", "4419", "441900100"),
        ("石 井街道", "4401", "440106099"),
        ("谢谢", "4401", None),
    ],
)
def test_places(text: str, within: str, place: str | None) -> None:
    assert PLACES.find(text, within) == place


def test_names_that_are_none() -> None:
    with pytest.raises(ValueError, match="the name of 440111 is empty"):
        Places({"\u200b": "440111"})
    with pytest.raises(ValueError, match="the code of 白云区 is not a place code"):
        Places({"白云区": "44011"})
    with pytest.raises(ValueError, match="is not a place code"):
        PLACES.find("白云区", "44")


@given(st.text(alphabet="白云天河区石井街道人民三元里车陂到和，"))
def test_a_place_is_inside(text: str) -> None:
    for within in ("4401", "440111"):
        place = PLACES.find(text, within)
        assert place is None or (place.startswith(within) and len(place) > len(within))
