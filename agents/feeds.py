"""What fills the log of an embedded engine: the simulated city, or recorded event logs.

Feeds append to the log and follow the engine, so that they never run far ahead of it.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from agents.city import START_MS, City
from agents.engine import Engine
from streams.event_logs import head, partition_of, read_lines, topic_of
from streams.log_store import Transaction
from streams.timeline import MINUTE_MS, SECOND_MS

AHEAD = 40_000
"""Records a feed may be ahead of the engine."""
SILENCE_MS = 10 * SECOND_MS
"""A lane that was silent for so long is ticked."""
BACKLOG_MINUTES = 120
"""Simulated minutes that lie in the past when a city starts: made at full speed."""

_POSITION = "city.position"
_SEED = "city.seed"
_PAUSE_S = 0.05


class Emitted(NamedTuple):
    """A record to append."""

    timestamp: int
    topic: str
    partition: int
    key: bytes | None
    value: bytes


def append(tx: Transaction, records: list[Emitted]) -> None:
    """Append records to their lanes, one batch a lane, in their order."""
    lanes: dict[tuple[str, int], list[Emitted]] = {}
    for record in records:
        lanes.setdefault((record.topic, record.partition), []).append(record)
    for (topic, partition), batch in lanes.items():
        tx.append(
            topic,
            partition,
            [r.timestamp for r in batch],
            [r.key for r in batch],
            [r.value for r in batch],
        )


async def keep_behind(engine: Engine, ahead: int) -> None:
    """Wait until the engine is at most so many records behind the log."""
    while not engine.broken:
        ends = engine.store.end_offsets()
        behind = (ends.get(lane, 0) - engine.position(lane) for lane in engine.plan.lanes)
        if sum(behind) <= ahead:
            return
        await asyncio.sleep(0.005)


class SeedError(ValueError):
    """The data folder holds a city of another seed."""


class CityFeed:
    """The simulated city: two hours at full speed, then at ``speed`` times real time.

    A second run on the same folder goes on at the minute after the last one made.

    Parameters
    ----------
    speed
        Simulated seconds in a second.
    until
        Wall-clock seconds after which the feed ends; None runs on.
    """

    def __init__(
        self, engine: Engine, city: City, seed: int, speed: float, until: float | None
    ) -> None:
        self.engine, self.city, self.seed = engine, city, seed
        self.speed, self.until = speed, until
        self.now = START_MS

    def claim(self) -> None:
        """Bind the data folder to the seed.

        Raises
        ------
        SeedError
            It holds a city of another seed.
        """
        store = self.engine.store
        known = store.meta(_SEED)
        if known is None:
            with store.transaction() as tx:
                tx.set_meta(_SEED, str(self.seed).encode())
        elif int(known) != self.seed:
            raise SeedError(
                f"{store.path} holds the city of seed {int(known)}, not {self.seed}: "
                f"use --seed {int(known)}, or another folder with --data"
            )

    async def run(self) -> None:
        began = time.monotonic()
        store = self.engine.store
        minute = int(store.meta(_POSITION) or b"0")
        live_from = max(minute, BACKLOG_MINUTES)
        live_since: float | None = None
        while self.until is None or time.monotonic() - began < self.until:
            if minute >= live_from:
                live_since = live_since or time.monotonic()
                ready = live_since + (minute - live_from + 1) * MINUTE_MS / 1000 / self.speed
                while time.monotonic() < ready and not self._over(began):
                    self._set_now(live_from, live_since)
                    await self.engine.tick_silent(self.now, SILENCE_MS)
                    await asyncio.sleep(min(0.25, max(0.0, ready - time.monotonic())))
                if self._over(began):
                    return
            self._append(minute)
            minute += 1
            self.now = START_MS + minute * MINUTE_MS
            await keep_behind(self.engine, AHEAD)
            await self.engine.tick_silent(self.now, SILENCE_MS)

    def _over(self, began: float) -> bool:
        return self.until is not None and time.monotonic() - began >= self.until

    def _set_now(self, live_from: int, live_since: float) -> None:
        passed = (time.monotonic() - live_since) * self.speed * 1000
        self.now = max(self.now, START_MS + live_from * MINUTE_MS + int(passed) - MINUTE_MS)

    def _append(self, minute: int) -> None:
        topics = self.engine.plan.topics
        records = [
            Emitted(
                e.arrival_ms,
                e.topic,
                partition_of(e.key, topics[e.topic].topic.partitions),
                e.key,
                e.value,
            )
            for e in self.city.minute(minute)
            if e.topic in topics
        ]
        with self.engine.store.transaction() as tx:
            append(tx, records)
            tx.set_meta(_POSITION, str(minute + 1).encode())


class ReplayFeed:
    """Recorded event logs, merged by their log timestamps, with a tick at the end.

    The timestamp of a line is its ``t_ingest``, else its event time, else that of the line before.

    Parameters
    ----------
    logs
        Pairs of topic and file.
    speed
        Recorded seconds in a second; None is as fast as the engine takes them.
    """

    def __init__(
        self,
        engine: Engine,
        logs: list[tuple[str, int | None, Path]],
        speed: float | None,
        progress: Callable[[int], None] = lambda lines: None,
    ) -> None:
        self.engine, self.logs, self.speed, self.progress = engine, logs, speed, progress
        self.lines = 0

    async def run(self) -> None:
        streams = [self._records(*log) for log in self.logs]
        records = (
            streams[0]
            if len(streams) == 1
            else heapq.merge(*streams, key=lambda record: record.timestamp)
        )
        batch: list[Emitted] = []
        began, first = time.monotonic(), None
        for record in records:
            batch.append(record)
            if self.speed is not None:
                first = record.timestamp if first is None else first
                wait = (record.timestamp - first) / 1000 / self.speed - (time.monotonic() - began)
                if wait > _PAUSE_S:
                    await self._flush(batch)
                    batch = []
                    await self._sleep(wait, record.timestamp)
            if len(batch) >= 8000:
                await self._flush(batch)
                batch = []
        await self._flush(batch)
        await keep_behind(self.engine, 0)
        await self.engine.finish()

    async def _sleep(self, wait: float, now: int) -> None:
        assert self.speed is not None
        until = time.monotonic() + wait
        while (left := until - time.monotonic()) > 0:
            await keep_behind(self.engine, 0)
            await self.engine.tick_silent(now - int(left * self.speed * 1000), SILENCE_MS)
            await asyncio.sleep(min(left, 0.25))

    async def _flush(self, batch: list[Emitted]) -> None:
        if batch:
            with self.engine.store.transaction() as tx:
                append(tx, batch)
            self.lines += len(batch)
            self.progress(self.lines)
        await keep_behind(self.engine, AHEAD)

    def _records(self, topic: str, partition: int | None, path: Path) -> Iterator[Emitted]:
        partitions, timestamp = self.engine.plan.topics[topic].topic.partitions, 0
        for line in read_lines(path):
            key, at = head(line)
            timestamp = timestamp if at is None else at
            place = partition_of(key, partitions) if partition is None else partition
            yield Emitted(timestamp, topic, place, key, line)


def logs_of(paths: list[Path], topic: str | None) -> list[tuple[str, int | None, Path]]:
    """Topic, partition and file of each event log; a folder stands for the logs in it.

    Raises
    ------
    ValueError
        A file is missing, or its name does not tell the topic.
    """
    found: list[tuple[str, int | None, Path]] = []
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if ".ndjson" in p.name)
            if not files:
                raise ValueError(f"{path}: no event log (*.ndjson, .gz, .zst) in this folder")
            found += logs_of(files, topic)
        elif not path.is_file():
            raise ValueError(f"{path}: no such file")
        else:
            found.append((topic, None, path) if topic else (*topic_of(path), path))
    return found
