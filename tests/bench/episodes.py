"""A week of the generated city with planted episodes: found, missed, false, and how quiet it is.

``python -m tests.bench.episodes --days 7 --episodes 50``: every event of the seeded city goes
through the product's own pipeline under the shipped configuration, minute by minute, with ticks for
silent lanes as the embedded engine writes them.  What counts as what stands in
``tests.bench.evidence``.  Times to detect are from the onset to the end of the window that raised
the alert; how much later the minute of the log was over in which it was said is told beside them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from typing import Any

import orjson
from rich.console import Console
from rich.progress import Progress

from agents.city import MINUTE_MS, START_MS, City, Emission
from agents.city.devices import build_fleet
from agents.city.register import register_of
from agents.feeds import SILENCE_MS
from agents.outputs import ALERT_LOG, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.loading import load
from streams.partitioning import partition_of
from streams.records import Chunk, Lane, Output
from tests.bench.evidence import Matcher
from tests.bench.report import show
from tests.bench.scoring import lives_of, score

SECRET = b"callers of a simulated city"


class Run:
    """A run of the city through a pipeline.

    Attributes
    ----------
    events
        How many records were fed.
    transitions
        Those of all alerts, with the end of the minute in which each was said, int64 ms UTC.
    results
        Those of the keys that could show an episode, of the events that were on time.
    """

    def __init__(self, seed: int, scale: float, minutes: int, episodes: int) -> None:
        self.minutes = minutes
        self.city = City(seed, scale, episodes=episodes, minutes=minutes)
        register = register_of(scale)
        self.plan = compile_plan(load(environ={}).with_register(register), SECRET)
        self.pipeline = Pipeline(self.plan)
        self.planted = self.city.episodes(minutes)
        self.matcher = Matcher(self.plan, build_fleet(scale), self.planted)
        self._watched = {
            key.encode() for episode in self.planted for key in self.matcher.watched(episode)
        }
        self._logged: dict[Lane, int] = {}
        self.events = 0
        self.transitions: list[tuple[int, dict[str, Any]]] = []
        self.results: list[dict[str, Any]] = []

    def minute(self, k: int) -> None:
        """Feed what arrives in a minute of the city, then the ticks that are due."""
        now = START_MS + (k + 1) * MINUTE_MS
        for lane, emissions in self._by_lane(self.city.minute(k)).items():
            self._keep(self.pipeline.step(self._chunk(lane, emissions)), now)
            self._logged[lane] = emissions[-1].arrival_ms
            self.events += len(emissions)
        for lane in self.plan.lanes:
            if now - self._logged.get(lane, now - SILENCE_MS) >= SILENCE_MS:
                disorder_ms = self.plan.topics[lane.topic].disorder_ms
                self._keep(self.pipeline.tick(lane, now - disorder_ms), now)
                self._logged[lane] = now

    def report(self) -> dict[str, Any]:
        """What came of it."""
        lives, days = lives_of(self.transitions), self.minutes / 1440
        return score(self.planted, lives, self.results, self.matcher, days)

    def _by_lane(self, emissions: list[Emission]) -> dict[Lane, list[Emission]]:
        lanes: dict[Lane, list[Emission]] = defaultdict(list)
        for emission in emissions:
            plan = self.plan.topics[emission.topic]
            lanes[Lane(emission.topic, partition_of(emission.key, plan.topic.partitions))].append(
                emission
            )
        return lanes

    def _chunk(self, lane: Lane, emissions: list[Emission]) -> Chunk:
        first = self.pipeline.tasks[lane].intake.next_offset
        return Chunk(
            *lane,
            range(first, first + len(emissions)),
            [emission.arrival_ms for emission in emissions],
            [emission.key for emission in emissions],
            [emission.value for emission in emissions],
        )

    def _keep(self, outputs: list[Output], now: int) -> None:
        for output in outputs:
            if output.topic == ALERT_LOG:
                self.transitions.append((now, orjson.loads(output.value)))
            elif output.topic == VITALS_LOG and output.key in self._watched:
                result = orjson.loads(output.value)
                if result["rev"] == 0:
                    self.results.append(result)


def measure(
    seed: int, scale: float, minutes: int, episodes: int, *, progress: bool = False
) -> dict[str, Any]:
    """Run a city of so many minutes; the report, as plain values for JSON."""
    began = time.perf_counter()
    run = Run(seed, scale, minutes, episodes)
    with Progress(console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task("一周 week", total=minutes)
        for k in range(minutes):
            run.minute(k)
            bar.advance(task)
    seconds = time.perf_counter() - began
    return {
        "seed": seed,
        "scale": scale,
        "days": minutes / 1440,
        "episodes": len(run.planted),
        "config": run.plan.config,
        "events": run.events,
        "remainder": run.pipeline.total().remainder,
        "seconds": round(seconds, 1),
        "events_per_s": round(run.events / seconds),
        **run.report(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--scale", type=float, default=0.25)
    parser.add_argument("--json", action="store_true", help="one object instead of tables")
    options = parser.parse_args()
    minutes = round(options.days * 1440)
    report = measure(options.seed, options.scale, minutes, options.episodes, progress=True)
    if options.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        show(report, Console(width=None if sys.stdout.isatty() else 160))


if __name__ == "__main__":
    main()
