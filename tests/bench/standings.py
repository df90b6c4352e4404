"""The table of a comparison."""

from __future__ import annotations

import statistics
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from tests.bench.engines import Engine, Run
from tests.bench.job import describe

OWN = "cityvitals"


def row_of(
    engine: Engine,
    events: int | None,
    devices: int,
    runs: list[tuple[Run, dict[str, int]]],
    failed: str | None,
) -> dict[str, Any]:
    """What an engine came to; where it has no run, why."""
    row: dict[str, Any] = {
        "engine": engine.name,
        "label": engine.label,
        "kind": "batch reference, not streaming" if engine.batch else "streaming",
        "note": engine.note,
        "events": events,
    }
    if failed is not None:
        row["reason"] = failed
    if not runs or events is None:
        return row
    rates = [events / run.wall_s for run, _ in runs]
    worst = min((check for _, check in runs), key=lambda check: check["equal"])
    return row | {
        "events_per_s": {
            "median": round(statistics.median(rates)),
            "min": round(min(rates)),
            "max": round(max(rates)),
        },
        "cpu_us_per_event": round(statistics.median(r.cpu_s for r, _ in runs) / events * 1e6, 2),
        "broker_us_per_event": round(
            statistics.median(r.broker_cpu_s for r, _ in runs) / events * 1e6, 2
        ),
        "peak_mb": max(run.peak_bytes for run, _ in runs) >> 20,
        "events_per_device": round(events / devices, 2),
        "windows_per_event": round(worst["windows"] / events, 2),
        "rows_per_event": round(worst["rows"] / events, 2),
        "check": worst,
        "result": describe(worst),
        "told": runs[-1][0].told,
        "runs": [round(run.wall_s, 2) for run, _ in runs],
    }


def with_ratios(rows: list[dict[str, Any]]) -> None:
    """Add to each row how many times as fast this engine is."""
    own = next((r["events_per_s"]["median"] for r in rows if _measured(r, OWN)), None)
    for row in rows:
        if own is not None and "events_per_s" in row:
            row["ratio"] = round(own / row["events_per_s"]["median"], 2)


def _measured(row: dict[str, Any], name: str) -> bool:
    return row["engine"] == name and "events_per_s" in row


def _short(number: int) -> str:
    """A number of events in thousands or millions.

    >>> _short(941), _short(15_432), _short(100_000), _short(1_234_000)
    ('0.94k', '15.4k', '100k', '1.23M')
    """
    size, unit = (number / 1e3, "k") if number < 1_000_000 else (number / 1e6, "M")
    return f"{size:.{2 if size < 10 else 1 if size < 100 else 0}f}{unit}"


def _prefix(row: dict[str, Any]) -> str:
    """What an engine was given, and what it made of it."""
    return (
        f"{row['events_per_device']:,g} events a device, {row['windows_per_event']:,g} windows and "
        f"{row['rows_per_event']:,g} rows of results an event"
    )


def show(report: dict[str, Any], console: Console) -> None:
    """Print the table, and under it what is to be known of each row."""
    per = report["events_per_device_and_window"]
    hops = "" if report["device_hops"] else ", windows of 60 s from the grid upward"
    title = (
        f"{report['devices']:,} devices, {per['10']:g} events a device and 10 s, "
        f"{per['60']:g} a device and 60 s{hops}; {report['runs']} runs, interleaved"
    )
    console.print(title, highlight=False)
    table = Table(box=SIMPLE, padding=(0, 1), pad_edge=False, collapse_padding=True)
    table.add_column("engine", no_wrap=True)
    columns = ("events", "per s", "min", "max", "CPU µs", "broker", "MB", "ours ×")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in report["rows"]:
        label = row["engine"] + (" (batch)" if row["kind"].startswith("batch") else "")
        if "events_per_s" not in row:
            table.add_row(label, *("–" for _ in columns))
            continue
        rates = row["events_per_s"]
        cells = map(_short, [row["events"], rates["median"], rates["min"], rates["max"]])
        cost = [f"{row['cpu_us_per_event']:g}", f"{row['broker_us_per_event']:g}"]
        ratio = f"{row['ratio']:g}" if "ratio" in row else "–"
        table.add_row(label, *cells, *cost, f"{row['peak_mb']:,}", ratio)
    console.print(table)
    for row in report["rows"]:
        said = [row[name] for name in ("result", "reason", "note") if row.get(name)]
        if "events_per_s" in row:
            said.insert(0, _prefix(row))
        batch = "batch reference, not streaming; " if row["kind"].startswith("batch") else ""
        console.print(f"{row['label']}: {batch}{'; '.join(said)}", highlight=False, markup=False)
