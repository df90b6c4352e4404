"""Incidents of the shipped catalogue, each with the signs it needs, fed minute by minute."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from agents.outputs import ALERT_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from schemas.devices import Device, Register
from schemas.loading import load
from schemas.metrics import METRICS
from schemas.signs import DerivedSign
from streams.records import Chunk, Lane

CATALOGUE = load(environ={})
MINUTE = 60_000
GRID = "440111004003012"
DISTRICT = GRID[:6]
SECRET = b"callers of the tests, kept apart"

Event = tuple[int, str, dict[str, Any]]
"""Time in ms, kind of topic, fields."""
Alert = dict[str, Any]


def clock(day_ms: int, text: str) -> int:
    """A time of day as ms.

    >>> clock(0, "06:40:30")
    24030000
    """
    hours, minutes, *seconds = map(int, text.split(":"))
    return day_ms + ((hours * 60 + minutes) * 60 + sum(seconds)) * 1000


def only(names: Collection[str], devices: Iterable[Device] = ()) -> Configuration:
    """The catalogue with some of its incidents, and the signs they read or suppress."""
    content = CATALOGUE.model_dump(mode="json")
    incidents = [one for one in CATALOGUE.incidents if one.id in names]
    wanted = {n for one in incidents for n in (*one.inputs, *(s.sign for s in one.suppresses))}
    for sign in CATALOGUE.signs:
        if sign.id in wanted and sign.alert and sign.alert.early:
            wanted.add(sign.alert.early.rate)
    for _ in CATALOGUE.signs:  # as long a chain as there can be
        for sign in CATALOGUE.signs:
            if sign.id in wanted and isinstance(sign, DerivedSign):
                wanted.update(sign.inputs)
    content["incidents"] = [one for one in content["incidents"] if one["id"] in names]
    content["signs"] = [one for one in content["signs"] if one["id"] in wanted]
    content["overlays"] = []
    for topic in content["topics"]:
        topic["partitions"] = 1
    return Configuration.model_validate(content).with_register(Register(list(devices)))


def alerts_of(
    configuration: Configuration, events: Iterable[Event], step_ms: int = MINUTE
) -> list[Alert]:
    """Every transition of alerts, in the order in which they were said.

    All lanes are heard of at every minute, or at steps so long: those without events by a tick.
    """
    pipeline = Pipeline(compile_plan(configuration, SECRET))
    topics = {topic.kind: topic.name for topic in configuration.topics}
    offsets: dict[str, int] = defaultdict(int)
    steps: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        steps[event[0] // step_ms].append(event)
    found: list[Alert] = []
    for step in range(min(steps), max(steps) + 1):
        outputs = []
        now: dict[str, list[Event]] = defaultdict(list)
        for event in sorted(steps.get(step, ()), key=lambda event: event[0]):
            now[event[1]].append(event)
        for kind, name in topics.items():
            records = now.get(kind, [])
            times = [t for t, _, _ in records]
            raw = [json.dumps(said).encode() for _, _, said in records]
            first = offsets[name]
            offsets[name] += len(raw)
            if raw:
                offs = range(first, first + len(raw))
                outputs += pipeline.step(Chunk(name, 0, offs, times, [None] * len(raw), raw))
            outputs += pipeline.tick(Lane(name, 0), (step + 1) * step_ms)
        found += [json.loads(o.value) for o in outputs if o.topic == ALERT_LOG]
    for lane in pipeline.lanes.values():
        counts = lane.accounting
        assert (counts.rejected, counts.late, counts.duplicate) == (0, 0, 0), counts
    return found


def of(alerts: Iterable[Alert], rule: str) -> list[Alert]:
    """Those of one sign or incident."""
    return [alert for alert in alerts if alert["rule"] == rule]


# --- events --------------------------------------------------------------------------------------


def reading(t: int, metric: str, value: float, device: str, **more: Any) -> Event:
    """A reading at the grid, of the site s0 if no other is given."""
    said = {"device": device, "metric": metric, "value": value, "unit": METRICS[metric].unit}
    said |= {"t": t, "place": GRID, "source": "tests", "site": "s0"}
    return t, "sensor", {**said, **more}


_orders = iter(range(10**9))


def call(t: int, category: str, caller: str, **more: Any) -> Event:
    """A citizen's order of a category from the grid."""
    said = {"kind": "order", "order_id": f"o{next(_orders)}", "status": "created", "seq": 0, "t": t}
    said |= {"t_created": t, "category": [category], "place": GRID, "source": "tests"}
    return t, "hotline", {**said, "caller": caller, **more}


def observation(t: int, kind: str, source: str, **more: Any) -> Event:
    said = {"kind": kind, "source_id": source, "t": t, "place": GRID, "source": "tests"}
    return t, "traffic", {**said, "site": "s0", **more}


def warning(t: int, event: str, level: int, until: int, place: str = DISTRICT) -> Event:
    """An official warning that holds until a time."""
    said: dict[str, Any] = {"kind": "warning", "warning_id": f"{event}{t}", "issuer": "x"}
    said |= {
        "event": event,
        "t": t,
        "place": place,
        "level": level,
        "source": "tests",
        "id": f"{event}{t}",
    }
    return t, "external", {**said, "status": "active", "t_expires": until}
