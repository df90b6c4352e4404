"""What people call about: topics of the hotline, their words and who answers."""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """A class of orders.

    Attributes
    ----------
    path, code
        Category from large to small, and its code.
    office
        Which office answers.
    kind
        Type of the order: consult, help, complaint or report.
    keywords
        Every text of the topic holds one of them, and no text of another topic does.
    texts
        What people write, with a gap for the name of the street.
    """

    path: tuple[str, str]
    code: str
    office: str
    kind: str
    keywords: tuple[str, ...]
    texts: tuple[str, str]


TOPICS = (
    Topic(
        ("水务", "内涝积水"),
        "0803",
        "shuiwu",
        "help",
        ("积水", "水浸"),
        ("{}路口积水很深，车辆熄火，请尽快排水。", "{}隧道口水浸，行人过不去，请派人处理。"),
    ),
    Topic(
        ("噪声", "夜间施工"),
        "0502",
        "huanbao",
        "complaint",
        ("施工", "打桩"),
        ("{}工地深夜还在施工，居民无法休息。", "{}半夜打桩声很大，希望有人管一管。"),
    ),
    Topic(
        ("城管", "垃圾清运"),
        "0311",
        "chengguan",
        "complaint",
        ("垃圾",),
        ("{}垃圾桶满了两天没有人清运。", "{}路边堆放建筑垃圾，影响通行。"),
    ),
    Topic(
        ("水务", "停水"),
        "0807",
        "shuiwu",
        "help",
        ("停水", "水压"),
        ("{}整栋楼停水，没有收到通知。", "{}水压很低，高层用不上水。"),
    ),
    Topic(
        ("城管", "违规占道"),
        "0305",
        "chengguan",
        "report",
        ("占用",),
        ("{}人行道被摊档占用，只能走车道。", "{}有车辆长期占用盲道。"),
    ),
    Topic(
        ("市政", "路灯故障"),
        "0612",
        "zhujian",
        "report",
        ("路灯",),
        ("{}路灯不亮已有一周，夜里出行不便。", "{}几盏路灯一直闪烁，请检修。"),
    ),
    Topic(
        ("交通", "公交线路"),
        "0704",
        "jiaotong",
        "consult",
        ("公交",),
        ("请问经过{}的公交末班车是几点？", "{}公交站等车太久，建议加密班次。"),
    ),
)

BY_NAME = {topic.path[1]: number for number, topic in enumerate(TOPICS)}
"""Position in `TOPICS` by the small class."""
