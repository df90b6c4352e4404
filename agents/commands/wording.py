"""Words and figures that people read, Chinese and English."""

from __future__ import annotations

import csv
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

LEVELS = ("正常 normal", "蓝 blue", "黄 yellow", "橙 orange", "红 red")
STYLES = ("green", "bright_blue", "yellow", "dark_orange", "bold red")
"""Rich styles of the levels."""

REASONS = {
    "warming": "预热",
    "uncovered": "缺测",
    "no_limit": "无限值",
    "incomplete": "不全",
    "undefined": "无定义",
}
STATES = {"raised": "报警 raised", "clearing": "解除中 clearing", "cleared": "已解除 cleared"}
TRANSITIONS = {
    "raised": "报警 raised",
    "escalated": "升级 escalated",
    "deescalated": "降级 deescalated",
    "clearing": "解除中 clearing",
    "reraised": "再报警 reraised",
    "cleared": "解除 cleared",
    "suppressed": "抑制 suppressed",
    "unsuppressed": "取消抑制 unsuppressed",
    "acked": "确认 acked",
    "unacked": "取消确认 unacked",
    "shelved": "搁置 shelved",
    "unshelved": "取消搁置 unshelved",
}
MARKED = {
    "ack": TRANSITIONS["acked"],
    "unack": TRANSITIONS["unacked"],
    "shelve": TRANSITIONS["shelved"],
    "unshelve": TRANSITIONS["unshelved"],
}
"""What a command does to an alert."""
KINDS = {
    "threshold": "阈值 threshold",
    "anomaly": "异常 anomaly",
    "incident": "综合事件 incident",
    "loss": "丢失 loss",
    "live": "引擎 engine",
}
COMPARE = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
BINS = {
    "accepted": "计入 accepted",
    "filtered": "无关 filtered",
    "late": "迟到 late",
    "duplicate": "重复 duplicate",
    "rejected": "拒收 rejected",
}

_SHARES = ("1", "ratio")
_UNSAID = ("1", "0-100")
"""Units that say how a number is to be taken, and are no word of its measure."""

_DIVISIONS = Path(__file__).parents[1] / "city" / "divisions_4401.csv"
_CITIES = {"4401": "广州市"}


@cache
def place_names() -> dict[str, str]:
    """Names by place code: Guangzhou, its districts and streets."""
    return _CITIES | {row["code"]: row["name"] for row in _divisions()}


@cache
def english_names() -> dict[str, str]:
    """Names of districts and streets in Pinyin, by place code."""
    return {row["code"]: row["name_en"] for row in _divisions()}


@cache
def _divisions() -> list[dict[str, str]]:
    # Not by the city's own module, which needs half a second for what it computes with.
    with _DIVISIONS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def place_name(code: str | None) -> str:
    """Name of a place, or of the nearest place above it that has one; else nothing.

    Examples
    --------
    >>> place_name("440103"), place_name("440103001004012"), place_name("1101")
    ('荔湾区', '沙面街道', '')
    """
    names = place_names()
    for length in (9, 6, 4):
        if code and len(code) >= length and code[:length] in names:
            return names[code[:length]]
    return ""


def port_note(wanted: int, address: str) -> str:
    """What to say beside an address that has another port than was wanted; nothing if it has it.

    >>> port_note(8808, "http://127.0.0.1:39023/#token=x")
    '  (8808 is in use)'
    >>> port_note(0, "http://127.0.0.1:39023/")
    ''
    """
    return "" if wanted in (0, urlsplit(address).port) else f"  ({wanted} is in use)"


def is_aside(alert: dict[str, Any]) -> bool:
    """Whether an incident suppresses it, or somebody shelved it."""
    return alert["suppressed_by"] is not None or alert["shelved_until"] is not None


def key_with_name(key: str, place: str | None) -> str:
    """A key, and the name of where it is.

    >>> key_with_name("yl-440103-00012", "440103001")
    'yl-440103-00012 沙面街道'
    """
    return f"{key} {place_name(place)}".strip()


def figure(value: float, unit: str) -> str:
    """A value with as many digits as its unit deserves.

    >>> figure(47.06, "mm"), figure(3.0, "count"), figure(1204.2, "1/h"), figure(0.745, "1")
    ('47.1', '3', '1204', '0.74')
    """
    if unit in _SHARES:
        return f"{value:.2f}"
    return f"{value:.0f}" if unit == "count" or abs(value) >= 100 else f"{value:.1f}"


def with_unit(number: str, unit: str) -> str:
    """A number with its unit; one that is a share or stands on a scale is told alone.

    >>> with_unit("≥ 30", "mm"), with_unit("≤ 0.3", "1"), with_unit("≤ 85", "0-100")
    ('≥ 30 mm', '≤ 0.3', '≤ 85')
    """
    return number if unit in _UNSAID else f"{number} {unit}"


def amount(value: float | None, unit: str) -> str:
    """A value as people read it, or the dash of a missing one.

    >>> amount(47.06, "mm"), amount(81.2, "0-100"), amount(None, "mm")
    ('47.1 mm', '81.2', '–')
    """
    return "–" if value is None else with_unit(figure(value, unit), unit)


def moment(t: int, zone: str) -> str:
    """Local time of int64 ms UTC, to the minute.

    >>> moment(1772402400000, "Asia/Shanghai")
    '2026-03-02 06:00'
    """
    return f"{datetime.fromtimestamp(t / 1000, ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def against(why: dict[str, Any]) -> str:
    """The limit that an alert's value was compared with.

    >>> against({"compare": "ge", "threshold": 30.0})
    '≥ 30'
    """
    threshold = why["threshold"]
    return "" if threshold is None else f"{COMPARE[why['compare']]} {threshold:g}"


def sourced(why: dict[str, Any]) -> str:
    """Where a limit comes from, and its standing where the source does not begin with it.

    >>> sourced({"threshold_source": "district rule", "standing": "verified-primary"})
    'district rule (verified-primary)'
    >>> sourced({"threshold_source": "proposal, per street", "standing": "proposal"})
    'proposal, per street'
    """
    source, standing = why["threshold_source"], why["standing"]
    return source if source.startswith(standing) else f"{source} ({standing})"


def printable(text: str) -> str:
    """A text without what could steer a terminal.

    >>> printable("a" + chr(27) + "[2Jb")
    'a\\\\x1b[2Jb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
