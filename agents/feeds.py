"""What fills the log of an embedded engine: the simulated city, recorded event logs, or the log of
another engine.

Feeds append to the log and follow the engine, so that they never run far ahead of it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from bisect import bisect_left
from collections.abc import Callable
from itertools import islice
from operator import attrgetter

import msgspec

from agents.city import START_MS, City, Emission
from agents.engine import CONSUMER, MARKS, Engine
from agents.marks import written_marks
from agents.outputs import ALERT_LOG, TICKS
from agents.recordings import (
    BATCH,
    PACE,
    POSITION,
    REPLAYED,
    SEED,
    Emitted,
    Fed,
    FeedError,
    Order,
    Past,
    Recording,
    Replayed,
    append,
    append_lines,
    claim_replay,
    end_replay,
    merged,
    note_replay,
)
from agents.shapes import shapes_of
from streams.log_store import LogStore
from streams.partitioning import partition_of
from streams.records import Output
from streams.timeline import HOUR_MS, MINUTE_MS, SECOND_MS

AHEAD = 10_000
"""Records a feed may be ahead of the engine: about a second of its work, so that what people see
is not far behind the city's clock."""
SILENCE_MS = 10 * SECOND_MS
"""A lane that was silent for so long is ticked."""
BACKLOG_MS = 2 * HOUR_MS
"""Simulated time that lies in the past when a city starts: made at full speed."""

CARRIED = ("secret", "crashes")
"""Names under which a folder keeps what decides results beside its records: the key that callers
are hashed with, and the records that stopped the engine."""

DEFAULTSEED = 7

_SLICE_S = 0.25
_PAUSE_S = 0.05


async def keep_behind(engine: Engine, ahead: int) -> None:
    """Wait until the engine is at most so many records behind the log; for good where it broke."""
    while engine.broken or behind(engine) > ahead:
        await asyncio.sleep(0.005)


def behind(engine: Engine) -> int:
    """Records in the log that the engine has not applied."""
    ends = engine.store.end_offsets()
    return sum(max(0, ends.get(lane, 0) - engine.position(lane)) for lane in engine.plan.lanes)


class SeedError(FeedError):
    """The data folder holds a city of another seed, or a replay."""


def claim_seed(store: LogStore, seed: int | None) -> int:
    """Bind the data folder to a seed; one that is not given is the folder's, else 7.

    Raises
    ------
    SeedError
        The folder holds a city of another seed, or a replay.
    """
    if store.meta(REPLAYED) is not None:
        raise SeedError(f"{store.path} holds a replay: choose another folder with --data")
    known = store.meta(SEED)
    if known is None:
        seed = DEFAULTSEED if seed is None else seed
        with store.transaction() as tx:
            tx.set_meta(SEED, str(seed).encode())
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
            tx.set_meta(PACE, str(self.speed).encode())
        self.now = target


class ReplayFeed:
    """Recorded event logs, merged by their log timestamps, with a tick at the end.

    Parameters
    ----------
    speed
        Recorded seconds in a second; None is as fast as the engine takes them.

    Attributes
    ----------
    now
        Log timestamp of the record fed last, int64 ms UTC.
    lines, size
        Lines fed so far, and their bytes unpacked.
    """

    def __init__(self, engine: Engine, logs: list[Recording], speed: float | None) -> None:
        self.engine, self.logs, self.speed = engine, logs, speed
        self.now = self.lines = self.size = 0
        topics = engine.plan.topics.values()
        self._partitions = {plan.topic.name: plan.topic.partitions for plan in topics}
        self._shapes = shapes_of(plan.topic for plan in topics)
        self._skip = claim_replay(engine.store, logs)

    async def run(self) -> None:
        """Feed to the end and have the engine close every window.

        Raises
        ------
        FeedError
            A log is damaged: what stands before the damage was fed.
        """
        if self.speed is None:
            await self._follow()
        else:
            await self._pace(self.speed)
        await keep_behind(self.engine, 0)
        await self.engine.finish()
        end_replay(self.engine.store)

    async def _follow(self) -> None:
        logs = [(log.topic, log.partition, str(log.path.absolute())) for log in self.logs]
        folder = str(self.engine.store.path.absolute())
        order = Order(folder, CONSUMER, logs, self._partitions, self._skip, shapes=self._shapes)
        await follow(order, self._note)

    def _note(self, fed: Fed) -> None:
        self.now, self.lines, self.size = fed

    async def _pace(self, speed: float) -> None:
        # No ticks here: the same log must give the same results at every speed.
        batch: list[Emitted] = []
        records = merged(self.logs, self._partitions, self._shapes)
        self.lines = self._skip
        self.size = sum(len(record.value) + 1 for record in islice(records, self._skip))
        began, first = time.monotonic(), None
        for record in records:
            first = record.timestamp if first is None else first
            wait = (record.timestamp - first) / 1000 / speed - (time.monotonic() - began)
            if wait > _PAUSE_S or len(batch) >= BATCH:
                await self._flush(batch)
                batch = []
                await asyncio.sleep(max(0.0, wait))
            batch.append(record)
        await self._flush(batch)

    async def _flush(self, batch: list[Emitted]) -> None:
        if batch:
            append_lines(self.engine.store, batch)
            self.now = batch[-1].timestamp
            self.lines += len(batch)
            self.size += sum(len(record.value) + 1 for record in batch)
        await keep_behind(self.engine, AHEAD)


class PastFeed:
    """The log of another data folder, record by record where it stood.

    Its ticks are in the engine's log before the engine is opened (`claim_past`), and are obeyed
    where they stand; the one that ended the log, if it has, is among them.

    Parameters
    ----------
    until
        Event time, int64 ms UTC, after which nothing is asked for: the feed ends where all lanes
        have passed it, and ``enough`` has come.

    Attributes
    ----------
    now
        Log timestamp of the record fed last, int64 ms UTC.
    lines, size
        Lines fed so far, and their bytes.
    """

    def __init__(
        self,
        engine: Engine,
        past: Past,
        until: int | None = None,
        enough: Callable[[], bool] = lambda: True,
    ) -> None:
        self.engine, self.past, self.until, self.enough = engine, past, until, enough
        self.now = self.lines = self.size = 0

    async def run(self) -> None:
        """Feed to the end, or until the time has passed.

        Raises
        ------
        FeedError
            Records of the past are gone.
        """
        feeding = asyncio.ensure_future(self._feed())
        try:
            while not feeding.done() and not self._passed():
                await asyncio.wait([feeding], timeout=_PAUSE_S)
        finally:
            whole = feeding.done()
            feeding.cancel()
            await asyncio.wait([feeding])
        if whole:
            feeding.result()
            end_replay(self.engine.store)

    async def _feed(self) -> None:
        folder = str(self.engine.store.path.absolute())
        partitions = {name: plan.topic.partitions for name, plan in self.engine.plan.topics.items()}
        await follow(Order(folder, CONSUMER, [], partitions, 0, self.past), self._note)
        await keep_behind(self.engine, 0)

    def _note(self, fed: Fed) -> None:
        self.now, self.lines, self.size = fed

    def _passed(self) -> bool:
        """Whether no lane can say anything more of the time before."""
        until, ends = self.until, self.past.ends
        if until is None or not self.enough():
            return False
        return all(
            intake.watermark.value >= until or intake.next_offset >= ends[lane]
            for lane, intake in self.engine.lanes.items()
        )


def claim_past(store: LogStore, source: LogStore, past: Past) -> None:
    """Make an empty data folder ready for the past of another: beside records, what decides.

    That is ticks, and what people decided about alerts, as the alert log has it.

    Raises
    ------
    FeedError
        The folder holds something.
    """
    if store.end_offsets() or store.meta(SEED) is not None or store.meta(REPLAYED) is not None:
        raise FeedError(f"{store.path} holds data: choose a new folder with --data")
    store.create_topic(TICKS, 1)
    ticks = [
        Output(TICKS, record.key or b"", record.value, record.headers, record.timestamp)
        for record in source.every_record(TICKS)
    ]
    marks = list(written_marks(source.every_record(ALERT_LOG)))
    with store.transaction() as tx:
        tx.send(ticks)
        tx.set_meta(MARKS, msgspec.json.encode(marks))
        for name in CARRIED:
            value = source.meta(name)
            if value is not None:
                tx.set_meta(name, value)
    note_replay(store, Replayed([("", None, past.folder, 0)]))


async def follow(order: Order, note: Callable[[Fed], None]) -> None:
    """Let a process of its own feed, and note what it says.

    Raises
    ------
    FeedError
        What it could not feed.
    """
    feeder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "agents.recordings"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C is for the engine, which ends the feeder
    )
    assert feeder.stdin is not None
    assert feeder.stdout is not None
    assert feeder.stderr is not None
    try:
        feeder.stdin.write(msgspec.json.encode(order))
        feeder.stdin.close()
        async for told in feeder.stdout:
            note(msgspec.json.decode(told, type=Fed))
        fault = (await feeder.stderr.read()).decode(errors="replace").strip()
        if await feeder.wait() != 0:
            raise FeedError(fault or "the process that feeds the logs was ended")
    finally:
        if feeder.returncode is None:
            feeder.kill()
            await feeder.wait()
