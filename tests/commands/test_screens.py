"""What stands on a screen of 80 or 140 cells, looked at line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType

from agents.commands.alert_table import alert_lines
from agents.commands.deadletters import Letter, letter_lines
from agents.commands.displays import coarse_alert_lines
from agents.engine import Engine
from agents.metrics import Metrics
from agents.outputs import ALERT_LOG, ALERTS, VITALS
from agents.plan import compile_plan
from agents.view import View
from schemas.deadletter import DeadLetter
from schemas.loading import load
from streams.log_store import LogStore
from streams.records import Output

ZONE = "Asia/Shanghai"
START_MS = 1_772_402_400_000
"""2026-03-02 06:00 in Guangzhou."""
MINUTE = 60_000


def alert(key: str, place: str, **other: Any) -> dict[str, Any]:
    why = {
        "threshold": 40.0,
        "compare": "ge",
        "threshold_source": "proposal; such roads are closed elsewhere",
        "standing": "proposal",
        "contributors": [],
    }
    return {
        "alert_id": f"abcdef01{key}",
        "level": 4,
        "state": "clearing",
        "late": False,
        "t_raised": START_MS,
        "t_update": START_MS + 9 * MINUTE,
        "key": key,
        "place": place,
        "value": 16.4,
        "unit": "cm",
        "annotations": {"title_zh": "道路积水深度", "title_en": "road water depth"},
        "why": why,
    } | other


LISTED = [
    alert("underpass-440111-00004", "440111002"),
    alert("440111", "440111", level=1, unit="1", value=0.2, state="cleared", late=True),
]


def printed(lines: Iterable[RenderableType], width: int) -> list[str]:
    """What a terminal of that width shows."""
    console = Console(width=width, file=StringIO(), force_terminal=False)
    console.print(Group(*lines))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 140, None])
def test_names_of_alerts_are_whole_at_every_width(width: int | None) -> None:
    lines = printed(alert_lines(LISTED, ZONE, width, "t_raised", reasons=True), width or 1000)
    assert len(lines) == 2 + 2 * len(LISTED)
    assert max(map(cell_len, lines)) <= (width or 1000)
    first, second = lines[2], lines[3]
    for words in ("03-02 06:00", "红 red", "道路积水深度", "underpass-440111-00004 三元里街道"):
        assert words in first, words
    assert second.startswith("abcdef01  ")
    assert lines[0].startswith("报警 raised  ")
    assert "  于 at" in lines[0]
    assert "  06:09" in first.removeprefix("03-02 06:00")
    both = f"{first}  {second}"
    for words in ("road water depth", "16.4 cm", "≥ 40", "解除中", "clearing"):
        assert both.count(words) == 1, words
    assert second.count("proposal") == 1


def test_of_a_value_it_is_said_of_when_it_is() -> None:
    later = alert("440111", "440111", t_update=START_MS + 1440 * MINUTE)
    head, _, first, _ = printed(alert_lines([later], ZONE, 140, "t_raised", reasons=True), 140)
    assert "值 then  于 at" in head
    assert "16.4 cm  03-03 06:00  ≥ 40" in first


def test_a_wide_screen_has_it_all_in_one_line() -> None:
    head, *lines = printed(alert_lines(LISTED, ZONE, 140), 140)
    assert head.split()[-6:] == ["值", "value", "限", "limit", "状态", "state"]
    assert lines[1].split() == [
        *("03-02", "06:09", "蓝", "blue", "道路积水深度", "road", "water", "depth"),
        *("440111", "白云区", "0.20", "≥", "40", "已解除", "迟", "cleared", "late"),
    ]


def results() -> Iterator[Output]:
    """A red district, a blue city, and a sign without a value."""
    for sign, level, key, value, found in (
        ("traffic.tpi", "city", "4401", 4.6, 1),
        ("traffic.tpi", "district", "440111", 9.2, 4),
        ("meteo.rain_1h", "district", "440111", None, None),
    ):
        row = {"key_level": level, "key": key, "value": value, "unit": "index", "level": found}
        row["reason"] = "uncovered" if value is None else None
        yield Output(VITALS, f"{sign}|{level}|{key}".encode(), orjson.dumps(row), (), START_MS)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_live_view_says_levels_in_words_and_breaks_no_name(tmp_path: Path, width: int) -> None:
    with closing(LogStore(tmp_path)) as store:
        view = View(Engine(compile_plan(load(environ={})), store, Metrics()), lambda: START_MS)
        raised = [Output(ALERTS, a["key"].encode(), orjson.dumps(a), (), 0) for a in LISTED]
        view.take([*results(), *raised])
        lines = printed([view], width)
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    for words in ("4.6 蓝 blue", "9.2 红 red", "城市运行体征总指数", "截至 as of", "迟到 late 0"):
        assert words in text, words
    if width > 60:
        assert "– 缺测" in text
        row = "道路积水深度  underpass-440111-00004 三元里街道"
        assert row in text.replace("road water depth  ", "")
    assert ("广州市  4401 " in text) == (width == 140)


def test_alert_lines_stand_in_the_order_of_their_times() -> None:
    raised = {"transition": "raised", "key_level": "district"}
    alerts = [
        alert(f"44011{number}", "440111", t_update=START_MS + minute * MINUTE) | raised
        for number, minute in enumerate([7, 3, 5, 3])
    ]
    outputs = [Output(ALERT_LOG, b"", orjson.dumps(told), (), 0) for told in alerts]
    times = [line.split()[1] for line in coarse_alert_lines(outputs, ZONE)]
    assert times == ["06:03", "06:03", "06:05", "06:07"]


def test_a_line_says_what_became_of_an_alert() -> None:
    steps = ("raised", "escalated", "deescalated", "clearing", "reraised", "cleared")
    alerts = [
        alert("440111", "440111", t_update=START_MS + minute * MINUTE, level=minute % 5)
        | {"transition": step, "key_level": "district"}
        for minute, step in enumerate(steps)
    ]
    outputs = [Output(ALERT_LOG, b"", orjson.dumps(told), (), 0) for told in alerts]
    lines = coarse_alert_lines(outputs, ZONE)
    ends = [line.partition("16.4 cm (≥ 40)")[2].strip() for line in lines]
    assert ends == ["", "升级 escalated", "已解除 cleared"]
    assert "蓝 blue" in lines[1]


def test_what_to_do_about_a_dead_letter_is_whole_in_a_narrow_terminal() -> None:
    hint = "has no offset: end it in Z or in an offset such as +08:00"
    said = DeadLetter(
        topic="city.traffic.v1",
        partition=0,
        offset=365,
        timestamp=START_MS,
        reason="bad_time",
        where="$.t",
        hint=hint,
        size=100,
        attempt=1,
    )
    letters = [Letter(b"", said, "city.traffic.v1/0/999")]
    head, first, *below = printed(letter_lines(letters, ZONE, 80), 80)
    assert first.split()[:5] == ["city.traffic.v1/0/365", "2026-03-02", "06:00", "bad_time", "$.t"]
    assert [line.strip() for line in below] == [hint, "重投 redriven to city.traffic.v1/0/999"]
    assert "…" not in head
    _, wide = printed(letter_lines(letters, ZONE, None), 1000)
    assert wide.endswith(hint)
