"""A log of the fortnight through the product's pipeline, and what was said where something was
planted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from agents.outputs import ALERT_LOG, DEVICE_VITALS, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import Plan
from agents.recordings import Emitted, logs_of, merged
from schemas.device_vital import rows_of
from streams.records import Chunk, Lane, Output

STEP_MS = 60_000
SILENCE_MS = 1_800_000
"""Lanes that say nothing are ticked, so much behind the others: no event of a story comes later."""

Key = tuple[str, str, str]
"""Sign, key level, key."""


class Said(NamedTuple):
    """End of a window, int64 ms UTC, with its value and level, where the sign has any."""

    t: int
    value: float
    level: int | None


class Heard:
    """What the engine said: results of the keys that matter, and every transition of alerts."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._wanted = {"|".join(key).encode(): key for key in keys}
        self._devices = {name[0] for name in self._wanted.values() if name[1] == "device"}
        self.results: dict[Key, list[Said]] = defaultdict(list)
        self.alerts: list[dict[str, Any]] = []
        self.outputs = 0

    def take(self, outputs: list[Output]) -> None:
        self.outputs += len(outputs)
        for output in outputs:
            if output.topic == ALERT_LOG:
                self.alerts.append(orjson.loads(output.value))
            elif output.topic == VITALS_LOG:
                key = self._wanted.get(output.key or b"")
                if key is not None:
                    self._result(key, orjson.loads(output.value))
            elif output.topic == DEVICE_VITALS:
                self._columns(orjson.loads(output.value))

    def _result(self, key: Key, result: dict[str, Any]) -> None:
        if result["value"] is not None and not result["rev"]:
            self.results[key].append(Said(result["t_end"], result["value"], result["level"]))

    def _columns(self, record: dict[str, Any]) -> None:
        told = {sign["vital"]: sign["level"] for sign in record["vitals"]}
        if record["rev"] or not any(told[name] for name in self._devices & told.keys()):
            return
        for row in rows_of(record):
            key = (row["vital"], "device", row["key"])
            if row["level"] is not None and "|".join(key).encode() in self._wanted:
                self.results[key].append(Said(row["t_end"], row["value"], row["level"]))


def run(plan: Plan, folder: Path, heard: Heard, told: Callable[[int], None]) -> Pipeline:
    """Feed the logs of a folder, merged as a replay merges them, to the end of the log.

    Parameters
    ----------
    told
        Is told how many records were fed, now and then.
    """
    pipeline, last = Pipeline(plan), dict[Lane, int]()
    for now, records in _steps(plan, folder):
        lanes: dict[Lane, list[Emitted]] = defaultdict(list)
        for record in records:
            lanes[Lane(record.topic, record.partition)].append(record)
        for lane, found in lanes.items():
            heard.take(pipeline.step(_chunk(pipeline, lane, found)))
            last[lane] = now
        for lane in plan.lanes:
            if last.get(lane) != now:
                heard.take(pipeline.tick(lane, now - SILENCE_MS))
        told(sum(map(len, lanes.values())))
    heard.take(pipeline.end())
    return pipeline


def _steps(plan: Plan, folder: Path) -> Iterator[tuple[int, Iterable[Emitted]]]:
    """The records of each minute that has any, and its end."""
    partitions = {name: found.topic.partitions for name, found in plan.topics.items()}
    newest = 0

    def minute(record: Emitted) -> int:
        nonlocal newest
        newest = max(newest, record.timestamp // STEP_MS)
        return newest

    for number, records in groupby(merged(logs_of([folder], None), partitions, {}), minute):
        yield (number + 1) * STEP_MS, records


def _chunk(pipeline: Pipeline, lane: Lane, records: list[Emitted]) -> Chunk:
    first = pipeline.tasks[lane].intake.next_offset
    return Chunk(
        *lane,
        range(first, first + len(records)),
        [record.timestamp for record in records],
        [record.key for record in records],
        [record.value for record in records],
    )
