"""What scenarios of incidents are told in: times of a day, instruments that say so much from then
on, and what shall become of it.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from schemas.devices import Device
from schemas.related import Relation
from tests.rules.incident_runs import GRID, MINUTE, Alert, Event, clock, observation, reading

DAY = 1_780_848_000_000
"""2026-06-08 00:00 in Guangzhou, a Monday."""
DAY_MS = 86_400_000
HOUR = 60 * MINUTE


def at(text: str) -> int:
    """A time of that day, or so many days after it.

    >>> at("1 06:00") - at("06:00")
    86400000
    """
    days, _, time = text.rpartition(" ")
    return clock(DAY + int(days or 0) * DAY_MS, time)


def text_of(t: int) -> str:
    """The time as `at` reads it.

    >>> text_of(at("06:12:30")), text_of(at("1 06:12"))
    ('06:12:30', '1 06:12')
    """
    days, time = (t - DAY) // DAY_MS, datetime.fromtimestamp(t / 1000, ZoneInfo("Asia/Shanghai"))
    clock_time = f"{time:%H:%M:%S}".removesuffix(":00")
    return f"{days} {clock_time}" if days else clock_time


class Step(NamedTuple):
    """A transition: when, what, the level, and which conditions count, where it matters."""

    time: str
    what: str
    level: int
    holding: tuple[str, ...] | None = None


class Scene(NamedTuple):
    """What happens, and what becomes of it.

    Parameters
    ----------
    incident
        Its id.
    events
        What is sent.
    until
        The last minute that is heard of.
    story
        Every transition of the incident.
    key
        At which it shall be.
    child
        A sign that it suppresses, and the key of the alert that is raised meanwhile.
    devices
        The register.
    others
        Incidents that are needed besides.
    step_ms
        How far time goes between two looks at all lanes.
    relations
        Rows of the table of relations.
    """

    incident: str
    events: list[Event]
    until: str
    story: list[Step]
    key: str = GRID
    child: tuple[str, str] | None = None
    devices: tuple[Device, ...] = ()
    others: tuple[str, ...] = ()
    step_ms: int = MINUTE
    relations: tuple[Relation, ...] = ()

    def all_events(self) -> list[Event]:
        """Those that matter, and one that only tells that time goes on."""
        return [*self.events, reading(at(self.until), "humidity", 50.0, "other", site="s9")]


def story_of(alerts: list[Alert], incident: str, key: str | None = None) -> list[Step]:
    """What became of an incident, with the conditions where it was raised or went up."""
    return [
        Step(text_of(a["t_update"]), a["transition"], a["level"], holding_of(a))
        for a in alerts
        if a["rule"] == incident and key in (None, a["key"])
    ]


def conditions_of(alert: Alert) -> list[dict[str, Any]]:
    """The evidence of conditions; that of overrides stands beside it."""
    evidence: list[dict[str, Any]] = alert["why"]["evidence"]
    return [e for e in evidence if not e["condition"].startswith("override:")]


def holding_of(alert: Alert) -> tuple[str, ...] | None:
    """The conditions that count; None where the alert does not go up."""
    if alert["transition"] not in ("raised", "escalated"):
        return None
    found = [e["condition"] for e in conditions_of(alert) if e["holds"]]
    return tuple(dict.fromkeys(found))


def says(
    metric: str,
    values: dict[str, float],
    until: str,
    every_s: float,
    device: str = "d0",
    **more: Any,
) -> list[Event]:
    """A device that says so much from each of these times on, every so many seconds."""
    steps = [*((at(time), value) for time, value in values.items()), (at(until), 0.0)]
    return [
        reading(t, metric, value, device, **more)
        for (begin, value), (end, _) in pairwise(steps)
        for t in range(begin, end, round(1000 * every_s))
    ]


def drives(speeds: dict[str, float], until: str, every_s: float = 60, **more: Any) -> list[Event]:
    """A road of 60 km/h on which vehicles are so fast from each of these times on."""
    steps = [*((at(time), value) for time, value in speeds.items()), (at(until), 0.0)]
    said: dict[str, Any] = {"free_flow_kmh": 60, "link_len_m": 1000, **more}
    return [
        observation(t, "segment_flow", "r0", speed_kmh=speed, **said)
        for (begin, speed), (end, _) in pairwise(steps)
        for t in range(begin, end, round(1000 * every_s))
    ]


def dry(since: str, until: str) -> list[Event]:
    """A rain gauge that says every hour that none fell in it."""
    return says("rain", {since: 0.0}, until, 3600, "rg", period_s=3600.0)


def sensor(device: str, metric: str, **more: Any) -> Device:
    """A row of the register."""
    return Device(device, "sensor", metric, "tests", GRID, "s0", period_s=60.0)._replace(**more)
