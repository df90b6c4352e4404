"""Alerts as they are listed: one a line, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from rich.cells import set_cell_size
from rich.text import Text

from agents.commands.layout import Column, column, fitting, heads, rows
from agents.commands.naming import SHOWN
from agents.commands.wording import (
    LEVELS,
    STATES,
    STYLES,
    against,
    amount,
    key_with_name,
    moment,
    sourced,
)

_TIMES = {"t_raised": "报警 raised", "t_update": "时间 time"}

_TOP = 3


def alert_lines(
    alerts: list[dict[str, Any]],
    zone: str,
    width: int | None,
    time: Literal["t_raised", "t_update"] = "t_update",
    *,
    reasons: bool = False,
) -> Iterator[Text]:
    """Heads, and a line for each alert.

    Parameters
    ----------
    width
        In cells: in a narrow terminal columns go before names break. None has no end.
    time
        Which time of an alert is told.
    reasons
        Whether a second line says which alert it is, what the first had no room for, and why.
    """
    columns = _columns(alerts, zone, time)
    kept = fitting(columns, width)
    gone = [column for column in columns if column not in kept]
    yield from heads(kept)
    if reasons:
        yield _second_line(kept, "号 id", ["原因 why"])
    for number, (alert, line) in enumerate(zip(alerts, rows(kept), strict=True)):
        if alert["state"] == "cleared":
            line.stylize("dim")
        yield line
        if reasons:
            moved = [column.cells[number].plain for column in gone]
            yield _second_line(kept, alert["alert_id"][:SHOWN], [*moved, *_reasons(alert)])


def _columns(alerts: list[dict[str, Any]], zone: str, time: str) -> list[Column]:
    # An alert has the value with which it changed last, and that need not be the present one.
    amounts = [amount(a["value"], a["unit"]) for a in alerts]
    if time == "t_update":
        values = [column("值 value", amounts, 3, right=True)]
    else:
        changed = column("于 at", (_changed(a, zone) for a in alerts), 1)
        values = [column("值 then", amounts, 3, right=True), changed]
    return [
        column(_TIMES[time], (_at(a, time, zone) for a in alerts)),
        column("级 level", (Text(LEVELS[a["level"]], STYLES[a["level"]]) for a in alerts)),
        column("报警", (a["annotations"]["title_zh"] for a in alerts)),
        column("alert", (a["annotations"]["title_en"] for a in alerts), 6),
        column("对象 key", (key_with_name(a["key"], a["place"]) for a in alerts)),
        *values,
        column("限 limit", (against(a["why"]) for a in alerts), 5),
        column("状态", (_state(a, 0) for a in alerts), 2),
        column("state", (_state(a, 1) for a in alerts), 4),
    ]


def _at(alert: dict[str, Any], time: str, zone: str) -> str:
    return moment(alert[time], zone)[5:]


def _changed(alert: dict[str, Any], zone: str) -> str:
    """When it changed last, without the date where it was raised that day."""
    raised, changed = (_at(alert, time, zone) for time in ("t_raised", "t_update"))
    return changed[6:] if changed[:5] == raised[:5] else changed


def _state(alert: dict[str, Any], language: int) -> str:
    """In Chinese or in English: in a narrow terminal the one has room without the other."""
    late = (" 迟", " late")[language] if alert["late"] else ""
    suppressed = (" 抑制", " suppressed")[language] if alert.get("suppressed_by") else ""
    acked = (" 确认", " acked")[language] if alert.get("acked") else ""
    shelved = (" 搁置", " shelved")[language] if alert.get("shelved_until") is not None else ""
    state = STATES[alert["state"]].split()[language]
    return f"{state}{late}{acked}{shelved}{suppressed}"


def conditions(alert: dict[str, Any]) -> Iterator[str]:
    """The conditions of an incident that hold, each with what was said first of all."""
    seen = set()
    for fact in alert["why"]["evidence"]:
        if fact["holds"] and fact["condition"] not in seen:
            seen.add(fact["condition"])
            said = f" ({fact['sign']} {fact['value']:g})" if "value" in fact else ""
            yield f"{fact['condition']}{said}"


def _second_line(columns: list[Column], name: str, parts: list[str]) -> Text:
    told = " · ".join(part for part in parts if part)
    name = set_cell_size(name, columns[0].width)
    return Text(f"{name}  {told}", "dim", no_wrap=True, overflow="ellipsis")


def _reasons(alert: dict[str, Any]) -> Iterator[str]:
    why = alert["why"]
    if alert.get("kind") == "incident":
        # The event of its own words: which conditions hold, and by what.
        yield f"条件 conditions {', '.join(conditions(alert))}"
    if why["contributors"]:
        most = (f"{c['key']} {c['value']:g}" for c in why["contributors"][:_TOP])
        yield f"最多 top {', '.join(most)}"
    yield sourced(why)
