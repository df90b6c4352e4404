"""Public records of New York as event logs: requests of its hotline, and rain in its park.

The five boroughs are districts of a city whose code has the right shape, no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

import msgspec

from streams.event_logs import Writer
from tests.oracle.convert import SENSOR
from tests.oracle.public_rows import instant, rows_of

HOTLINE = "city.hotline.v1"
CITY, ZONE = "3600", "America/New_York"
BOROUGHS = {
    "BRONX": "360005",
    "BROOKLYN": "360047",
    "MANHATTAN": "360061",
    "QUEENS": "360081",
    "STATEN ISLAND": "360085",
}
PARK = "central-park"
RAIN = "central_park_rain_2024h1.ndjson.gz"
FLOOD = "nyc_flood_2024h1.ndjson.gz"
DAY = "nyc311_day.ndjson.gz"

MM = 25.4
"""Millimetres in an inch."""

_HOUR_MS = 3_600_000
_CATEGORY = 32  # characters that a category may have
_DEPARTMENTS = {
    "transport": ("Street", "Traffic", "Highway", "Sidewalk", "Bridge", "Curb"),
    "police": ("Noise", "Illegal", "Blocked", "Derelict", "Vending", "Homeless", "Disorderly"),
    "water": ("Water", "Sewer", "Hazardous", "Air Quality", "Lead"),
    "streets": ("Dirty", "Sanitation", "Missed", "Snow", "Graffiti", "Rodent", "Damaged Tree"),
}
_CITY_MANAGEMENT = ("transport", "streets")

Delay = Callable[[str], int]
"""How long after an event it is sent, by its order: hours."""


def at_once(order_id: str) -> int:
    """No delay."""
    return 0


def by_hand(order_id: str) -> int:
    """One order in six is entered by hand, up to 29 hours later."""
    number = crc32(order_id.encode())
    return number // 6 % 30 if number % 6 == 0 else 0


def write_flood(data: Path, folder: Path, first: str, last: str) -> None:
    """Write complaints of floods with their closures, and the rain of the same days.

    Parameters
    ----------
    data
        Folder of the public data.
    folder
        Where the logs go.
    first, last
        Local dates, both included.
    """
    write_rain(data, folder, first, last)
    steps = _steps(data / FLOOD, first, last, lambda kind: {})
    _send(folder, steps, at_once)


def write_rain(data: Path, folder: Path, first: str, last: str) -> None:
    """Write the hourly rain: a missing value is no reading."""
    with Writer(folder, SENSOR) as log:
        for t, value in rain(data):
            day = datetime.fromtimestamp(t / 1000, ZoneInfo(ZONE)).date().isoformat()
            if first <= day <= last:
                event = {
                    "device": PARK,
                    "metric": "rain",
                    "value": value,
                    "unit": "mm",
                    "t": t,
                    "period_s": 3600,
                    "site": PARK,
                    "place": BOROUGHS["MANHATTAN"],
                }
                log.write(msgspec.json.encode(event))


def rain(data: Path) -> Iterator[tuple[int, float]]:
    """Time, int64 ms, and mm of every hour that has a value."""
    for row in rows_of(data / RAIN):
        if row["value"] is not None:
            yield instant(row), row["value"] * MM


def complaints(data: Path) -> Iterator[int]:
    """The time of every complaint of a flood, int64 ms."""
    return (instant(row) for row in rows_of(data / FLOOD) if row["kind"] == "complaint")


def write_day(data: Path, folder: Path, last: str, delay: Delay = at_once) -> None:
    """Write one day of requests to all agencies, and closures up to a local date.

    The data do not say who works on a request, nor until when: types of requests have departments
    here, some are of city management, and heat and traffic are due within a day.
    """
    steps = _steps(data / DAY, "2013-12-25", last, _of_the_day)
    _send(folder, steps, delay)


def _of_the_day(kind: str) -> dict[str, Any]:
    department = next((d for d, words in _DEPARTMENTS.items() if kind.startswith(words)), None)
    if kind.isupper():
        department = "housing"
    fields: dict[str, Any] = {} if department is None else {"department": department}
    if department in _CITY_MANAGEMENT:
        fields["system"] = "cgj"
    if kind == "HEATING" or kind.startswith("Traffic"):
        fields["due_h"] = 24
    return fields


def _steps(
    path: Path, first: str, last: str, more: Callable[[str], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The steps of orders that stand in a file of complaints and closures."""
    created: dict[str, int] = {}
    for row in rows_of(path):
        number, kind, t = row["x"]["id"], row["x"]["type"], instant(row)
        complaint = row["kind"] == "complaint"
        created.setdefault(number, t)
        if not first <= row["ts"][:10] <= last:
            continue
        step = {
            "kind": "order",
            "order_id": number,
            "seq": 0 if complaint else 1,
            "status": "created" if complaint else "closed",
            "t": t,
            "t_created": created[number],
            "category": [_category(kind)],
            "place": BOROUGHS.get(row["key"], CITY),
            **more(kind),
        }
        if complaint:
            # Nobody knows who called: each complaint is another's.
            step |= {"type": "complaint", "caller": f"resident {number}"}
        due_h = step.pop("due_h", None)
        if complaint and due_h is not None:
            step["due"] = t + due_h * _HOUR_MS
        yield step


def _category(kind: str) -> str:
    return re.sub(r"\s*\(.*?\)", "", kind)[:_CATEGORY].strip()


def _send(folder: Path, steps: Iterable[dict[str, Any]], delay: Delay) -> None:
    """Write steps in the order in which they are sent."""
    sent = []
    for number, step in enumerate(steps):
        hours = delay(step["order_id"])
        if hours:
            step["t_ingest"] = step["t"] + hours * _HOUR_MS
        sent.append((step.get("t_ingest", step["t"]), number, step))
    with Writer(folder, HOTLINE) as log:
        for _, _, step in sorted(sent, key=lambda one: one[:2]):
            log.write(msgspec.json.encode(step))
