"""The engine's own signs, with a clock that is set: what it says late, and how often it alarms."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from agents.engine import Engine
from agents.metrics import Metrics
from agents.plan import Plan, compile_plan
from schemas.configuration import Configuration
from streams.log_store import LogStore
from streams.records import Output
from tests.rules.driven_events import MORNING, Event, measured

TOPIC = "city.sensor.v1"
SMOKE = "fire.alarms"
"""One detector that alarms is one alert of its site, at the next ten seconds."""
HOP_MS = 10_000
"""Of that sign, and so the time between two steps of the log."""


class Step(NamedTuple):
    """What comes, and what time it is in the city when the engine saves what came of it."""

    events: list[Event]
    now: int


class Log:
    """Events of smoke detectors; each step says what the one before it brought."""

    def __init__(self) -> None:
        self.t = MORNING
        self._sites = 0

    def step(self, alarms: int = 0, hops: int = 1) -> list[Event]:
        """Go on by so many hops; so many detectors that nobody knew say that there is smoke."""
        self.t += hops * HOP_MS
        events = [smoke("calm", self.t, 0.0)]
        for _ in range(alarms):
            self._sites += 1
            events.append(smoke(f"s{self._sites}", self.t, 1.0))
        return events


def smoke(site: str, t: int, value: float) -> Event:
    return measured("smoke_alarm", t, value, device=f"d-{site}", site=site)


LAGS = (0.0, 7.5, 26.25, 120.0, 360.0, 0.0)
"""Seconds: none, a quarter of the way on from 5, 15, 60 and 300, and none."""
LAG_STEPS = 24
"""Four minutes for each."""
DISORDER_MS = 5_000


def lag() -> Iterator[Step]:
    """The city's clock is ahead of the hop that is said last by so much.

    A clock does not go back: where the lag is less, the log goes on by more.
    """
    log, now = Log(), 0
    for lag_s in LAGS:
        for _ in range(LAG_STEPS):
            said = (log.t + HOP_MS - DISORDER_MS) // HOP_MS * HOP_MS
            wanted = said + round(1000 * lag_s)
            behind = max(0, -((wanted - now) // HOP_MS))
            events = log.step(hops=1 + behind)
            now = wanted + behind * HOP_MS
            yield Step(events, now)


TEN_MINUTES_MS = 600_000


def alarming(counts: list[int], after: int = 0) -> Iterator[Step]:
    """So many alerts in each ten minutes: smoke comes, and time goes on until it is told.

    Then none, so many times ten minutes later, and ten minutes after that.
    """
    log = Log()
    at = [*range(len(counts)), len(counts) + after, len(counts) + after + 1]
    for n, count in zip(at, [*counts, 0, 0], strict=True):
        yield Step([*log.step(count), *log.step(hops=2)], MORNING + n * TEN_MINUTES_MS)


RATES = [0, 1, 2, 5, 10]
"""Alerts in ten minutes: none, and where each level begins."""

DAY, FLOODS = 144, 15
"""Ten minutes, so many of them: those of a day, without alerts, then ones with eleven alerts."""
SHARES = {1: 1, 2: 2, 8: 3, 15: 4}
"""After how many floods a level begins: 1 of 144 is 0.7 %, 2 are 1.4 %, 8 are 5.6 %, 15 10.4 %."""


def flooded() -> Iterator[Step]:
    """A day of calm, the floods, and a day of which nothing is known."""
    return alarming([0] * DAY + [11] * FLOODS, after=DAY)


STEPS: dict[str, Callable[[], Iterator[Step]]] = {
    "engine.lag": lag,
    "engine.alert_rate": lambda: alarming(RATES),
    "engine.flood_time": flooded,
}


def plan_of(catalogue: Configuration, sign: str) -> Plan:
    """The sign, and the one that raises alerts."""
    content = catalogue.model_dump(mode="json")
    content["signs"] = [s for s in content["signs"] if s["id"] in (sign, SMOKE)]
    content["incidents"] = content["overlays"] = []
    for topic in content["topics"]:
        topic["partitions"] = 1
    return compile_plan(Configuration.model_validate(content))


def run(plan: Plan, sign: str, folder: Path) -> list[Output]:
    """Let the engine take step after step, and save after each; what it made durable."""
    now, published = [MORNING], list[Output]()
    store = LogStore(folder)
    never = float("inf")
    engine = Engine(plan, store, Metrics(), publish=published.extend, checkpoint_s=never)
    engine.open()
    engine.watch(lambda: now[0], pace=1.0)

    async def go() -> None:
        offset = 0
        for events, now[0] in STEPS[sign]():
            raw = [json.dumps(said).encode() for _, _, said in events]
            with store.transaction() as tx:
                tx.append(TOPIC, 0, [t for t, _, _ in events], [None] * len(raw), raw)
            for chunk in store.read(TOPIC, 0, offset):
                await engine.take(chunk)
            offset += len(raw)
            await engine.checkpoint()

    asyncio.run(go())
    store.close()
    return published
