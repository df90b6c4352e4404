"""What fills the log of an embedded engine: the simulated city, or recorded event logs.

Feeds append to the log and follow the engine, so that they never run far ahead of it.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from bisect import bisect_left
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from agents.city import START_MS, City, Emission
from agents.engine import Engine
from streams.event_logs import head, partition_of, read_lines, topic_of
from streams.log_store import LogStore
from streams.log_transaction import Transaction
from streams.timeline import HOUR_MS, MINUTE_MS, SECOND_MS

AHEAD = 10_000
"""Records a feed may be ahead of the engine: about a second of its work, so that what people see
is not far behind the city's clock."""
SILENCE_MS = 10 * SECOND_MS
"""A lane that was silent for so long is ticked."""
BACKLOG_MS = 2 * HOUR_MS
"""Simulated time that lies in the past when a city starts: made at full speed."""

POSITION = "city.position"
"""Name under which the log keeps the simulated city's clock, int ms UTC."""

DEFAULT_SEED = 7

_SEED = "city.seed"
_SLICE_S = 0.25
_PAUSE_S = 0.05
_BATCH = 8000


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
    """Wait until the engine is at most so many records behind the log; for good where it broke."""
    while engine.broken or behind(engine) > ahead:
        await asyncio.sleep(0.005)


def behind(engine: Engine) -> int:
    """Records in the log that the engine has not applied."""
    ends = engine.store.end_offsets()
    return sum(max(0, ends.get(lane, 0) - engine.position(lane)) for lane in engine.plan.lanes)


class FeedError(ValueError):
    """What was to be fed is not as it must be."""


class SeedError(FeedError):
    """The data folder holds a city of another seed."""


def claim_seed(store: LogStore, seed: int | None) -> int:
    """Bind the data folder to a seed; one that is not given is the folder's, else 7.

    Raises
    ------
    SeedError
        The folder holds a city of another seed.
    """
    known = store.meta(_SEED)
    if known is None:
        seed = DEFAULT_SEED if seed is None else seed
        with store.transaction() as tx:
            tx.set_meta(_SEED, str(seed).encode())
    elif seed is not None and int(known) != seed:
        raise SeedError(
            f"{store.path} holds the city of seed {int(known)}, not {seed}: "
            f"use --seed {int(known)}, or another folder with --data"
        )
    return int(known or seed or 0)


class CityFeed:
    """The simulated city: two hours at full speed, then at ``speed`` times real time.

    A second run on the same folder goes on where the last one stood, at ``speed``.

    Parameters
    ----------
    speed
        Simulated seconds in a second.
    until
        Wall-clock seconds after which the feed ends; None runs on.

    Attributes
    ----------
    now
        The city's clock, int64 ms UTC: all that arrived before it is in the log.
    """

    def __init__(self, engine: Engine, city: City, speed: float, until: float | None) -> None:
        self.engine, self.city = engine, city
        self.speed, self.until = speed, until
        self.now = int(engine.store.meta(POSITION) or START_MS)
        self._minute = -1
        self._emissions: list[Emission] = []

    async def run(self) -> None:
        """Feed until the time is over."""
        began = time.monotonic()
        live_from = max(self.now, START_MS + BACKLOG_MS)
        live_since: float | None = None
        while self.until is None or time.monotonic() - began < self.until:
            target = self.now - self.now % MINUTE_MS + MINUTE_MS
            if self.now >= live_from:
                live_since = live_since or time.monotonic()
                passed = (time.monotonic() - live_since) * self.speed * 1000
                target = min(target, live_from + int(passed))
            if target > self.now:
                self._append_until(target)
            await keep_behind(self.engine, AHEAD)
            await self.engine.tick_silent(self.now, SILENCE_MS)
            # Behind its time, the city goes on at once; but others get their turn.
            late = live_since is None or target % MINUTE_MS == 0
            left = _SLICE_S if self.until is None else began + self.until - time.monotonic()
            await asyncio.sleep(0 if late else max(0.0, min(_SLICE_S, left)))

    def _append_until(self, target: int) -> None:
        """Append what arrives from now to ``target``, both in one minute."""
        minute = (self.now - START_MS) // MINUTE_MS
        if minute != self._minute:
            self._minute, self._emissions = minute, self.city.minute(minute)
        low, high = (
            bisect_left(self._emissions, t, key=attrgetter("arrival_ms"))
            for t in (self.now, target)
        )
        topics = self.engine.plan.topics
        records = [
            Emitted(
                e.arrival_ms,
                e.topic,
                partition_of(e.key, topics[e.topic].topic.partitions),
                e.key,
                e.value,
            )
            for e in self._emissions[low:high]
            if e.topic in topics
        ]
        with self.engine.store.transaction() as tx:
            append(tx, records)
            tx.set_meta(POSITION, str(target).encode())
        self.now = target


class ReplayFeed:
    """Recorded event logs, merged by their log timestamps, with a tick at the end.

    The timestamp of a line is its ``t_ingest``, else its event time, else that of the line before.

    Parameters
    ----------
    logs
        Pairs of topic and file.
    speed
        Recorded seconds in a second; None is as fast as the engine takes them.

    Attributes
    ----------
    now
        Log timestamp of the record fed last, int64 ms UTC.
    lines, size
        Lines fed so far, and their bytes unpacked.
    """

    def __init__(
        self, engine: Engine, logs: list[tuple[str, int | None, Path]], speed: float | None
    ) -> None:
        self.engine, self.logs, self.speed = engine, logs, speed
        self.now = self.lines = self.size = 0

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
            if len(batch) >= _BATCH:
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
            self.now = batch[-1].timestamp
            self.lines += len(batch)
            self.size += sum(len(record.value) + 1 for record in batch)
        await keep_behind(self.engine, AHEAD)

    def _records(self, topic: str, partition: int | None, path: Path) -> Iterator[Emitted]:
        partitions, timestamp = self.engine.plan.topics[topic].topic.partitions, 0
        lines = read_lines(path)
        while True:
            try:
                line = next(lines)
            except StopIteration:
                return
            except ValueError as error:
                raise FeedError(str(error)) from error
            key, at = head(line)
            timestamp = timestamp if at is None else at
            place = partition_of(key, partitions) if partition is None else partition
            yield Emitted(timestamp, topic, place, key, line)


def logs_of(paths: list[Path], topic: str | None) -> list[tuple[str, int | None, Path]]:
    """Topic, partition and file of each event log; a folder stands for the logs in it.

    Raises
    ------
    FeedError
        A file is missing, or its name does not tell the topic.
    """
    found: list[tuple[str, int | None, Path]] = []
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if ".ndjson" in p.name)
            if not files:
                raise FeedError(f"{path}: no event log (*.ndjson, .gz, .zst) in this folder")
            found += logs_of(files, topic)
        elif not path.is_file():
            raise FeedError(f"{path}: no such file")
        else:
            found.append((*_topic_of(path, topic), path))
    return found


def _topic_of(path: Path, topic: str | None) -> tuple[str, int | None]:
    if topic is not None:
        return topic, None
    try:
        return topic_of(path)
    except ValueError as error:
        raise FeedError(f"{error}, or name the topic with --topic") from error
