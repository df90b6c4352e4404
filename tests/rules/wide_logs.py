"""Small random logs for the configurations of `wide`: refused records, calls, whole orders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

from agents.hotline.lifecycle import PATH, STATUSES
from schemas.configuration import Configuration
from schemas.metrics import METRICS
from tests.rules.lanes import LaneName, Record
from tests.rules.logs import MALFORMED, PLACES, Writer
from tests.rules.wide import HOURS, START, WIDE

VALUES: dict[str, tuple[float, ...]] = {
    "pm25": (0, 20, 35.5, 41, 60, 400),
    "laeq": (45, 50.5, 61.7, 80.25),
    "manhole_level": (0, 0.5, 1.25, 3),
    "water_depth": (0, 1, 20, 40),
    "humidity": (40,),
}
CALLERS = ("16100000001", "+86 161-0000-0001", "16100000002", "16100000003", "匿名")
CATEGORIES = (["城市管理", "积水"], ["噪声"], ["a*b|c"])
TEXTS = ("五山街道这里积水很深", "白云区半夜太吵", "没有说什么")


class WideWriter(Writer):
    """Writes of what the configurations of `wide` read.

    Parameters
    ----------
    homes
        Where a thing may be, by its number; it moves between these places.
    numbers
        How many things of a kind there are.
    """

    def __init__(
        self,
        rng: Random,
        start: int,
        unit: int,
        lateness: int,
        homes: Mapping[int, list[str]] | None = None,
        numbers: int = 4,
    ) -> None:
        super().__init__(rng, start, unit, lateness)
        self.homes, self.numbers = homes, numbers

    def write(self, configuration: Configuration, count: int) -> dict[LaneName, list[Record]]:
        log = super().write(configuration, count)
        kinds = {topic.name: topic.kind for topic in configuration.topics}
        return {
            lane: [
                (now, self.refused() if kinds[lane[0]] == "sensor" else MALFORMED)
                if event is None
                else (now, event)
                for now, event in records
            ]
            for lane, records in log.items()
        }

    def refused(self) -> bytes:
        """A record that is no event; of most of them the device can be read."""
        rng, number = self.rng, self.rng.randrange(self.numbers)
        event = {"device": f"d{number}", "metric": "pm25", "unit": "ug/m3", "value": 5}
        event |= {"t": START, "place": self.where(number, 0), "source": "tests"}
        draw = rng.randrange(5)
        if draw == 0:
            return MALFORMED
        if draw == 1:
            return json.dumps({**event, "metric": "unknown"}).encode()
        if draw == 2:
            return json.dumps({**event, "value": 1e9, "source": None}).encode()
        if draw == 3:
            return json.dumps({**event, "place": "nowhere"}).encode()
        return json.dumps(event).encode()[:-7]

    def where(self, number: int, t: int) -> str:
        """A thing moves between two places, but is never at both in one moment."""
        if self.homes is None:
            return PLACES[(number * 3 + t // 1_200_000 % 2) % len(PLACES)]
        home = self.homes[number]
        return home[t // 1_200_000 % len(home)]

    def event(self, kind: str, number: int, t: int) -> dict[str, Any]:
        if self.numbers > 4:
            number += 4 * self.rng.randrange(self.numbers // 4)
        event: dict[str, Any] = {}
        if self.rng.randrange(2):
            event["id"] = f"e{self.rng.randrange(10**6)}"
        if kind == "sensor":
            return event | self.reading(number, t)
        if kind == "traffic":
            return event | self.parking(number, t)
        return event | (self.call(t) if self.rng.randrange(8) == 0 else self.step(number, t))

    def reading(self, number: int, t: int) -> dict[str, Any]:
        rng = self.rng
        metric = rng.choice(("pm25", *VALUES))
        event = {"device": f"d{number}", "metric": metric, "unit": METRICS[metric].unit, "t": t}
        event |= {"value": rng.choice(VALUES[metric]), "place": self.where(number, t)}
        if rng.randrange(3):
            event["source"] = rng.choice(("tests", "gz"))
        if rng.randrange(3) == 0:
            event["q"] = rng.choice(("good", "suspect", "bad", "calib"))
        if rng.randrange(3) == 0:
            event["t_ingest"] = t + rng.choice((0, 1500, 61_000, 600_001))
        if rng.randrange(4) == 0:
            event["period_s"] = rng.choice((60, 600))
        if metric in ("laeq", "water_depth") and number in (0, 2):
            event["site"] = f"s{number // 2}"
        return event

    def parking(self, number: int, t: int) -> dict[str, Any]:
        rng = self.rng
        event = {"kind": rng.choice(("parking", "parking", "incident")), "t": t}
        event |= {"source_id": f"r{number}", "place": self.where(number, t), "source": "tests"}
        values = {"occupied": (0, 17, 100, 10**7), "capacity": (0, 3, 100)}
        event |= {f: rng.choice(v) for f, v in values.items() if rng.randrange(8)}
        if number == 0:
            event["site"] = "s0"
        return event

    def step(self, number: int, t: int) -> dict[str, Any]:
        rng = self.rng
        order = f"o{number}-{rng.randrange(4)}"
        status = rng.choice(("created", "created", "closed", *PATH, *STATUSES))
        event = {"kind": "order", "system": rng.choice(("12345", "cgj")), "order_id": order}
        event |= {"status": status, "t": t, "t_created": t - rng.choice((0, 1000, 90_000_000))}
        event |= {"place": rng.choice(PLACES), "source": "tests"}
        event |= {"text": rng.choice(TEXTS)} if rng.randrange(2) else {}
        if rng.randrange(3) or "text" not in event:
            event["category"] = rng.choice(CATEGORIES)
        if rng.randrange(2):
            event["seq"] = rng.randrange(6)
        if rng.randrange(2):
            event["due"] = t + rng.choice((-60_000, 0, 600_000, 3_600_000))
        if rng.randrange(2):
            event["type"] = rng.choice(("help", "consult"))
        if status != "created" and rng.randrange(2):
            event["department"] = rng.choice(("水务局", "城管局"))
        if status == "merged":
            event["duplicate_of"] = "o0-0"
        draw = rng.randrange(3)
        if draw == 0:
            event["caller"] = rng.choice(CALLERS)
        elif draw == 1:
            event["caller_hash"] = rng.choice(("9a", "9b"))
        return event

    def call(self, t: int) -> dict[str, Any]:
        return {"kind": "call", "t": t, "place": "4401", "wait_s": 3, "answered": True}


def written(
    configuration: Configuration, rng: Random, count: int | None = None
) -> dict[LaneName, list[Record]]:
    """A log for one of the configurations of `wide`, dense or thin."""
    assert configuration in (WIDE, HOURS)
    if configuration is WIDE:
        writer = WideWriter(rng, START, rng.choice((2000, 4000, 12_000)), 300_000)
        return writer.write(WIDE, rng.randrange(5, 160) if count is None else count)
    writer = WideWriter(rng, START, rng.choice((30_000, 60_000, 120_000)), 7_200_000)
    return writer.write(HOURS, rng.randrange(20, 400) if count is None else count)
