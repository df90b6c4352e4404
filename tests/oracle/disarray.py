"""A small log in which everything that can be in disarray is, seeded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from streams.event_logs import Writer

START_MS = 1_772_456_400_000
"""Three hours before midnight in the city of the shipped catalogue."""
_STREETS = ("440103001", "440103002", "440104001", "440111")  # the last is a whole district
_METRICS = (
    ("rain", "mm", 4.0),
    ("water_depth", "cm", 40.0),
    ("pm25", "ug/m3", 300.0),
    ("air_temperature", "Cel", 41.0),
)
_SILENCES_S = {400: 5400, 700: 3 * 3600, 950: 7190}
"""After so many steps, nothing arrives for so long: below, above and about `FORGET_S`."""

FORGET_S = 7200.0


def write_disarray(folder: Path, seed: int, steps: int = 1200) -> None:
    """Write logs of the sensor, traffic and hotline topics over some hours.

    Events come early and late, ahead of their record's time, twice, damaged, of bad quality,
    with fields missing, with and without id, place and site; and there are silences.
    """
    random = Random(seed)
    with (
        Writer(folder, "city.sensor.v1") as sensor,
        Writer(folder, "city.traffic.v1") as traffic,
        Writer(folder, "city.hotline.v1") as hotline,
    ):
        logs = (sensor, traffic, hotline)
        pending: list[tuple[int, Writer, bytes]] = []
        now = START_MS
        for step in range(steps):
            now += random.choice((500, 3000, 20_000, 40_000)) + _SILENCES_S.get(step, 0) * 1000
            for log, event in zip(logs, _events(random, step, now), strict=True):
                if event is None:
                    continue
                line = _spoil(random, msgspec.json.encode(event))
                log.write(line)
                if random.random() < 0.08:
                    pending.append((step + random.choice((1, 3, 15)), log, line))
            for _, log, line in [one for one in pending if one[0] <= step]:
                log.write(line)
            pending = [one for one in pending if one[0] > step]


def _events(random: Random, step: int, now: int) -> Iterator[dict[str, Any] | None]:
    for family in (_reading, _observation, _order):
        # Delays in seconds: in order, within the disorder, corrections, too late, ahead.
        delay = random.choice((0, 0, 0, 0, 2, 4, 40, 100, 130, 280, 320, 1500, -50, -90))
        event = family(random, step, now - delay * 1000 - random.choice((0, 0, 1, 777)))
        if event is not None:
            if random.random() < 0.7:
                event["t_ingest"] = now
            if random.random() < 0.3:
                event |= {"id": f"e{random.randrange(3 * (step + 1))}", "source": "s1"}
        yield event


def _reading(random: Random, step: int, t: int) -> dict[str, Any]:
    metric, unit, top = random.choice(_METRICS)
    number = random.randrange(8)
    event: dict[str, Any] = {
        "device": f"{metric}-{number}",
        "metric": metric,
        "value": round(random.random() * top, random.choice((0, 1, 7))),
        "unit": unit,
        "t": t,
        "place": _STREETS[number % 4],
        "q": random.choice(("good", "good", "good", "good", "suspect", "manual", "bad", "maint")),
    }
    if number < 6:
        event["site"] = f"site-{number // 2 * 4 + number % 4}"
    if random.random() < 0.7:
        event["period_s"] = random.choice((60, 600, 900.5, 36_000))
    if random.random() < 0.2:
        event["t_end"] = t + random.choice((0, 1000, 60_000))
    if random.random() < 0.5:
        event["seq"] = step
    return event


def _observation(random: Random, step: int, t: int) -> dict[str, Any]:
    number = random.randrange(8)
    event: dict[str, Any] = {"t": t, "place": _STREETS[number % 4]}
    if random.random() < 0.25:
        name = f"i{random.randrange(1 + step // 8)}"
        return event | {"kind": "incident", "source_id": f"camera-{number}", "event_id": name}
    event |= {
        "kind": "segment_flow",
        "source_id": f"seg-{number}",
        "speed_kmh": random.choice((0, 9.7, 33.3, 71)),
    }
    fields = {"link_len_m": 321.5, "free_flow_kmh": 60, "intensity": random.randrange(30)}
    event |= {name: value for name, value in fields.items() if random.random() < 0.9}
    if random.random() < 0.8:
        event["t_end"] = t + 60_000
    if random.random() < 0.3:
        event |= {"lane": "1", "direction": "N"}
    if random.random() < 0.1:
        event["q"] = "bad"
    return event


def _order(random: Random, step: int, t: int) -> dict[str, Any] | None:
    if random.random() < 0.6:
        return None
    place = random.choice((*_STREETS, "440103001002", "4401"))
    if random.random() < 0.2:
        return {"kind": "call", "t": t, "place": place, "wait_s": 3.5, "answered": True}
    return {
        "kind": "order",
        "order_id": f"o{step}",
        "seq": 0,
        "status": random.choice(("created", "created", "closed")),
        "t": t,
        "t_created": t,
        "category": ["x"],
        "urgency": random.choice(("normal", "urgent", "critical")),
        "place": place,
    }


def _spoil(random: Random, line: bytes) -> bytes:
    if random.random() < 0.03:
        return random.choice((line[:-9], line.replace(b'"t":1', b'"t":"x'), b"{}", b"[1", b"\xff"))
    return line
