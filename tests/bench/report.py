"""The report of a run with planted episodes, as tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show(report: dict[str, Any], console: Console) -> None:
    """Print all tables of a report."""
    console.print(
        f"seed {report['seed']}, scale {report['scale']:g}, {report['days']:g} days, "
        f"{report['episodes']} episodes, configuration {report['config']}: "
        f"{report['events']:,} events in {report['seconds']:,} s ({report['events_per_s']:,}/s)"
    )
    console.print(_kinds(report["kinds"]))
    _listed(console, "missed", report["missed"])
    console.print(_counted(report["counted_as"]))
    false = report["false"]
    console.print(_false(false))
    console.print(f"false alarms by day of the run: {false['by_day']}")
    _listed(console, "false alarms, the first 20", false["list"][:20])
    _listed(console, "the list of alerts", [report["alerts"]])
    _listed(console, "flapping", report["flapping"])


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right", overflow="fold")
    return table


def _text(value: Any) -> str:
    return "–" if value is None else str(value)


def _kinds(kinds: list[dict[str, Any]]) -> Table:
    columns = ("planted", "found", "missed", "median_min", "max_min")
    table = _table("episodes; minutes from onset to the alert", "kind", *columns, "by")
    for row in kinds:
        by = ", ".join(f"{rule} {count}" for rule, count in row["by"].items())
        table.add_row(row["kind"], *(_text(row[name]) for name in columns), by)
    totals = [str(sum(row[name] for row in kinds)) for name in columns[:3]]
    table.add_row("all", *totals, "", "", "", style="bold")
    return table


def _counted(rows: list[dict[str, Any]]) -> Table:
    table = _table("alerts that were counted as", "episode", "role", "rule", "kind", "alerts")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    return table


def _false(false: dict[str, Any]) -> Table:
    title = f"false alarms: {false['alerts']}, {false['per_day']} a day"
    table = _table(title, "rule", "kind", "level", "alerts", "a day")
    for row in false["by_rule"]:
        table.add_row(*(str(value) for value in row.values()))
    return table


def _listed(console: Console, title: str, rows: list[dict[str, Any]]) -> None:
    console.print(f"[bold]{title}")
    for row in rows:
        told = ", ".join(f"{name} {_text(value)}" for name, value in row.items())
        console.print(f"  {told}", highlight=False, markup=False)
