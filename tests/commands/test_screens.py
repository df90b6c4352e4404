"""What stands on a screen of 80 or 140 cells, looked at line by line."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType

from agents.commands.alert_table import alert_lines

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


ALERTS = [
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
    lines = printed(alert_lines(ALERTS, ZONE, width, "t_raised", reasons=True), width or 1000)
    assert len(lines) == 2 + 2 * len(ALERTS)
    assert max(map(cell_len, lines)) <= (width or 1000)
    first, second = lines[2], lines[3]
    for words in ("03-02 06:00", "红 red", "道路积水深度", "underpass-440111-00004 三元里街道"):
        assert words in first, words
    assert second.startswith("abcdef01  ")
    both = f"{first}  {second}"
    for words in ("road water depth", "16.4 cm", "≥ 40", "解除中 clearing"):
        assert both.count(words) == 1, words
    assert second.count("proposal") == 1


def test_a_wide_screen_has_it_all_in_one_line() -> None:
    head, *lines = printed(alert_lines(ALERTS, ZONE, 140), 140)
    assert head.split()[-6:] == ["值", "value", "限", "limit", "状态", "state"]
    assert lines[1].split() == [
        *("03-02", "06:09", "蓝", "blue", "道路积水深度", "road", "water", "depth"),
        *("440111", "白云区", "0.20", "≥", "40", "已解除", "cleared", "迟", "late"),
    ]
