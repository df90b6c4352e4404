"""Small random logs for the oracle, and how a pipeline runs them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

from agents.pipeline import Pipeline
from agents.plan import Plan, compile_plan
from schemas.configuration import Configuration
from schemas.device_vital import rows_of
from schemas.metrics import METRICS
from streams.records import Chunk, Lane, Output
from tests.rules.lanes import LaneName, Record

MALFORMED = b'{"t":'
PLACES = (
    "440106001001001",
    "440106001001002",
    "440106001002001",
    "440106002001001",
    "440111001001001",
    "440106001",
    "440111",
    "4401",
)
SENSED = ("pm25", "water_depth", "rain", "air_temperature", "laeq", "fall", "sos", "humidity")


class Writer:
    """Writes a log as random lets it, in the order of arrival.

    Parameters
    ----------
    rng
        What decides; Hypothesis can be behind it.
    start
        Log timestamp of the first record, int64 ms UTC.
    unit
        Usual step between two records, ms.
    lateness
        Delays are drawn around this allowed lateness, ms.
    """

    def __init__(self, rng: Random, start: int, unit: int, lateness: int) -> None:
        self.rng, self.start, self.unit, self.lateness = rng, start, unit, lateness
        self.sent: dict[LaneName, list[dict[str, Any]]] = defaultdict(list)

    def write(self, configuration: Configuration, count: int) -> dict[LaneName, list[Record]]:
        topics = configuration.topics
        log: dict[LaneName, list[Record]] = {
            (topic.name, p): [] for topic in topics for p in range(topic.partitions)
        }
        now = self.start
        for _ in range(count):
            now += self.rng.choice((0, 1, 1, 1, 2, 3, 40)) * self.unit
            topic = self.rng.choice(topics)
            draw = self.rng.randrange(20)
            number = self.rng.randrange(4)
            lane = (topic.name, number % topic.partitions)
            if draw == 0:
                log[lane].append((now, None))
            elif draw < 3 and self.sent[lane]:
                log[lane].append((now, self.rng.choice(self.sent[lane])))
            else:
                event = self.event(topic.kind, number, self.time(now))
                self.sent[lane].append(event)
                log[lane].append((now, event))
        return log

    def time(self, now: int) -> int:
        late = self.lateness
        usual = (0, 0, 0, 0, 1000, 5000, self.unit, 2 * self.unit)
        rare = (late // 2, late - 1000, late, late + 5000, late + 15_000, 3 * late, -10_000)
        far = (-60_000, -60_001, -600_000)
        t = now - self.rng.choice(usual * 4 + rare * 2 + far)
        return t // 15_000 * 15_000 + self.rng.choice((0, 0, 0, -1, 1, 7000))

    def event(self, kind: str, number: int, t: int) -> dict[str, Any]:
        rng = self.rng
        event: dict[str, Any] = {"source": "tests"}
        if rng.randrange(2):
            event["id"] = f"e{rng.randrange(10**6)}"
        length = rng.choice((0, 60_000, 120_000))
        # A thing moves between two places, but is never at both in one moment.
        where = PLACES[(number * 3 + t // 1_200_000 % 2) % len(PLACES)]
        if kind == "sensor":
            metric = rng.choice(SENSED)
            event |= {"device": f"d{number}", "metric": metric, "unit": METRICS[metric].unit}
            event["value"] = rng.choice((0, 1, 20, 40, 45.125, 0.1, 33.3))
            if metric in ("fall", "sos"):
                event["value"] = rng.choice((0, 1))
            elif metric == "laeq":
                event["value"] = rng.choice((50, 61.7, 80.25))
            event["q"] = rng.choice(("good", "good", "good", "suspect", "bad"))
            event["period_s"] = rng.choice((60, 300, 600, 3600))
            if rng.randrange(2):
                event["site"] = f"s{number // 2}"
                where = PLACES[(number // 2 * 5 + t // 1_200_000 % 3) % len(PLACES)]
        elif kind == "traffic":
            what = rng.choice(
                ("segment_flow", "segment_flow", "incident", "parking", "transit_hub")
            )
            event |= {"kind": what, "source_id": f"r{number}"}
            values = {
                "link_len_m": (0, 250, 800.5),
                "speed_kmh": (0, 12.5, 40),
                "free_flow_kmh": (50, 60.1),
                "intensity": (0, 7, 30),
                "occupied": (0, 17, 100),
                "capacity": (0, 100),
                "event_id": ("a", "b", "c"),
            }
            event |= {f: rng.choice(v) for f, v in values.items() if rng.randrange(8)}
        else:
            event |= {"kind": "order", "order_id": f"o{rng.randrange(9)}", "category": ["x"]}
            event |= {"system": "12345", "status": rng.choice(("created", "closed", "replied"))}
            event |= {"seq": rng.randrange(3), "urgency": rng.choice(("urgent", "normal"))}
            event |= {"t_created": t - 1000, "t": t, "place": rng.choice(PLACES)}
            return event
        event |= {"t": t, "place": where}
        if length:
            event |= {"t": t - length, "t_end": t}
        return event


def raw_of(event: dict[str, Any] | bytes | None) -> bytes:
    """A record's bytes."""
    if isinstance(event, bytes):
        return event
    return MALFORMED if event is None else json.dumps(event).encode()


def chunks_of(log: Mapping[LaneName, Sequence[Record]], size: int = 10**6) -> list[Chunk]:
    """The log in chunks of one lane after another."""
    chunks = []
    for (topic, partition), records in log.items():
        values = [raw_of(event) for _, event in records]
        times = [logged for logged, _ in records]
        for at in range(0, len(records), size):
            part = slice(at, at + size)
            offsets = range(len(records))[part]
            keys = [None] * len(offsets)
            chunks.append(Chunk(topic, partition, offsets, times[part], keys, values[part]))
    return chunks


def replay(plan: Plan | Configuration, chunks: Iterable[Chunk]) -> tuple[Pipeline, list[Output]]:
    """Run chunks to the end of the log; the pipeline, and all it sent."""
    pipeline = Pipeline(plan if isinstance(plan, Plan) else compile_plan(plan))
    outputs = [output for chunk in chunks for output in pipeline.step(chunk)]
    return pipeline, outputs + pipeline.end()


def results_of(outputs: Iterable[Output]) -> dict[tuple[str, str, str, int, int], dict[str, Any]]:
    """Results by ``(sign, key level, key, end, rev)``; each stands there once."""
    results: dict[tuple[str, str, str, int, int], dict[str, Any]] = {}
    for output in outputs:
        for r in told_by(output):
            name = (r["vital"], r["key_level"], r["key"], r["t_end"], r["rev"])
            assert name not in results, f"{name} was said twice"
            results[name] = r
    return results


def told_by(output: Output) -> list[dict[str, Any]]:
    """The results that a record tells: one, or those of many devices."""
    if output.topic == "city.vitals-log.v1":
        return [json.loads(output.value)]
    if output.topic != "city.device-vitals.v1":
        return []
    return list(rows_of(json.loads(output.value)))


def lane_of(name: LaneName) -> Lane:
    return Lane(*name)
