"""The embedded engine: a pipeline over the log it owns, with exact state.

Outputs, snapshot and offsets are one transaction of the log (rule R5), so a kill at any point
continues as if it had not been.  After an unexpected error nothing is ever saved again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import orjson
import zstandard

from agents.caller_keys import with_key
from agents.control import CONTROL_LANE
from agents.intake import Intake, StepError
from agents.judge import Judge
from agents.live import Live
from agents.marks import WrittenMark
from agents.metrics import Metrics
from agents.outputs import COMPACTED, CONTROL, LOGS, TICKS, newest_of_compacted
from agents.pipeline import Pipeline
from agents.plan import Plan
from schemas.tick import Tick
from streams.frozen import HEAD, Frozen
from streams.log_store import LogStore
from streams.log_types import NEVER
from streams.records import Chunk, Lane, Output, split
from streams.retention import trim
from streams.spent import SAVE, SEND, Spent
from streams.timeline import DAY_MS

CONSUMER = "cityvitals"
"""Name under which the engine's offsets stand in the log."""

MARKS = "marks"
"""Name under which the log of a replay keeps what people decided in the run that it replays."""

CHECKPOINT_S = 1.0

_CRASHES = "crashes"
_LIVE = "live"
"""Names under which the log keeps what stopped the engine, and its own alerts that stand."""
_FIRST_PIECE, _LARGEST_PIECE = 250, 1 << 20
"""Records that are applied at once: at first, and at the most."""
_PENDING = 100_000  # outputs that wait for a checkpoint: about 150 MB
_BUSY_DUMPS, _IDLE_DUMPS = 40, 4
"""How many times longer than dumping the state is what lies between two dumps."""
_LETTERS_MS = 14 * DAY_MS


class Engine:
    """Applies chunks to a pipeline and saves what came of them.

    Parameters
    ----------
    plan
        The compiled configuration.
    store
        The log; the caller owns it.
    metrics
        Where counts go.
    publish
        Called with the outputs of each checkpoint once they are durable.
    checkpoint_s
        Seconds between two checkpoints; longer where dumping the state takes over a fortieth, or
        over a quarter of it where events are not recorded ones.
    """

    def __init__(
        self,
        plan: Plan,
        store: LogStore,
        metrics: Metrics,
        publish: Callable[[list[Output]], None] = lambda outputs: None,
        checkpoint_s: float = CHECKPOINT_S,
    ) -> None:
        self.plan, self.store, self.metrics = with_key(plan, store), store, metrics
        self.spent = Spent()
        self.pipeline = Pipeline(self.plan, self.spent.on)
        self.publish = publish
        self._clock: Callable[[], int] | None = None
        self._live = Live(self.plan)
        self.checkpoint_s = checkpoint_s
        self.broken = False
        self.busy_s = 0.0
        self.began = self.pipeline.total()
        self._lock = asyncio.Lock()
        self._pending: list[Output] = []
        self._dirty = False
        self._last = time.monotonic()
        self._dump_s = 0.0
        self._first: float | None = None
        self._quarantine: dict[Lane, frozenset[int]] = {}
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._logged: dict[Lane, int] = {}
        self._piece = _FIRST_PIECE

    def watch(self, clock: Callable[[], int], pace: float) -> None:
        """Say live signs from now on; where events are recorded ones they mean nothing.

        Parameters
        ----------
        clock
            What time it is in the city, int64 ms UTC.
        pace
            Seconds of the city that pass in one of the engine's.
        """
        self._clock, self._live = clock, Live(self.plan, pace)
        self._live.load(self.store.meta(_LIVE))

    def open(self) -> None:
        """Create the topics, take over the snapshot and the ticks that stand after it.

        Raises
        ------
        SnapshotError, ValueError
            The log was made under another configuration or by another build.
        """
        for topic in self.plan.topics.values():
            self.store.create_topic(topic.topic.name, topic.topic.partitions)
        self.store.create_topic(CONTROL, 1)
        for name in LOGS:
            keep = None if name in ("city.vitals-log.v1", TICKS) else _LETTERS_MS
            self.store.create_topic(name, 1, retain_ms=keep)
        for name in COMPACTED:
            self.store.create_topic(name, 1, compacted=True, retain_ms=NEVER)
        unpack = zstandard.ZstdDecompressor()
        self.pipeline.load(
            {
                task: {name or HEAD: unpack.decompress(part) for name, part in parts.items()}
                for task, parts in self.store.saved_tasks().items()
            }
        )
        self.pipeline.schedule(self._ticks())
        marks = self.store.meta(MARKS) or b"[]"
        self.pipeline.schedule_marks(msgspec.json.decode(marks, type=list[WrittenMark]))
        self._pending += self.pipeline.settle()
        self.began = self.pipeline.total()
        self._quarantine = self._crashed_twice()
        self.metrics.watch(self)

    def _ticks(self) -> Iterable[Tick]:
        for record in self.store.every_record(TICKS):
            yield msgspec.json.decode(record.value, type=Tick)

    def position(self, lane: Lane) -> int:
        """The next offset the engine will apply."""
        if lane == CONTROL_LANE:
            return self.pipeline.taken.next_offset
        return self.pipeline.lanes[lane].next_offset

    def caught_up(self, lane: Lane) -> bool:
        """Whether every record of the lane in the log was applied."""
        return self.position(lane) >= self.store.end_offset(*lane)

    async def take(self, chunk: Chunk) -> None:
        """Apply a chunk of events, or of commands, and checkpoint when it is time."""
        async with self._lock:
            if self.broken:
                return
            began = time.perf_counter()
            self._first = self._first or time.monotonic()
            try:
                quarantine = self._quarantine.get(chunk.lane, frozenset())
                self._step(chunk, quarantine)
            except StepError as error:
                self.broken = True
                self._note_crash(error.lane, error.offset)
                raise
            except BaseException:
                self.broken = True
                raise
            self._dirty = True
            self._logged[chunk.lane] = max(chunk.timestamps)
            self.busy_s += time.perf_counter() - began
            self._checkpoint_if_due()

    def _step(self, chunk: Chunk, quarantine: frozenset[int]) -> None:
        """Apply a chunk in pieces of as many records as say a bearable number of results.

        Few records may lie far apart in time, and every window between them says something.
        """
        if chunk.lane == CONTROL_LANE:
            self._pending += self.pipeline.command(chunk, quarantine)
            return
        rest: Chunk | None = chunk
        while rest is not None:
            piece, rest = split(rest, self._piece) if len(rest) > self._piece else (rest, None)
            said = self.pipeline.step(piece, quarantine)
            self._pending += said
            self._dirty = True
            if len(said) > _PENDING // 4:
                self._piece = max(1, self._piece // 4)
            elif len(said) < _PENDING // 16:
                self._piece = min(2 * self._piece, _LARGEST_PIECE)
            if rest is not None and len(self._pending) > _PENDING:
                self._checkpoint()

    async def tick(self, lane: Lane, t: int) -> None:
        """State the time for a silent lane, ``t`` in int64 ms; written before it is obeyed."""
        async with self._lock:
            if not self.broken:
                self._pending += self.pipeline.tick(lane, t)
                self._logged[lane] = t
                self._dirty = True
                self._checkpoint_if_due()

    async def tick_silent(self, now: int, silence_ms: int) -> None:
        """Tick the lanes that have read all there is and were silent for so long, by ``now``."""
        for lane in self.plan.lanes:
            disorder = self.plan.topics[lane.topic].disorder_ms
            logged = self._logged.get(lane, now - silence_ms)
            if now - logged >= silence_ms and self.caught_up(lane):
                await self.tick(lane, now - disorder)
                self._logged[lane] = now

    async def finish(self) -> None:
        """End a replay: a tick for each lane that closes every window with data."""
        async with self._lock:
            if not self.broken:
                self._pending += self.pipeline.end()
                self._dirty = True
                self._checkpoint()

    async def checkpoint(self) -> None:
        """Save outputs, snapshot and offsets, all or nothing."""
        async with self._lock:
            if not self.broken:
                self._checkpoint()

    async def checkpoint_if_due(self) -> None:
        """Save where it is time: what came before a lull must not wait for what comes after."""
        async with self._lock:
            if not self.broken:
                self._checkpoint_if_due(idle=all(map(self.caught_up, self.plan.lanes)))

    def _checkpoint_if_due(self, *, idle: bool = False) -> None:
        # Writing outputs costs the same whenever it is done; dumping the state does not.  Where
        # somebody waits for what is said, or there is nothing else to do, it may cost more.
        waited = _IDLE_DUMPS if idle or self._clock is not None else _BUSY_DUMPS
        elapsed = time.monotonic() - self._last
        if elapsed >= max(self.checkpoint_s, waited * self._dump_s) or (
            len(self._pending) > _PENDING
        ):
            self._checkpoint()

    def _checkpoint(self) -> None:
        self._last = time.monotonic()
        if not self._dirty:
            return
        outputs, self._pending = self._pending, []
        watched = self._clock is not None
        if self._clock is not None:
            outputs += self._live.take(outputs, self._clock())
        try:
            accounts = self.pipeline.accounts()
            with self.spent.on(SAVE):
                tasks = {task: self._encoded(f) for task, f in self.pipeline.freeze().items()}
            self._dump_s = time.monotonic() - self._last
            with self.spent.on(SEND), self.store.transaction() as tx:
                tx.send(newest_of_compacted(outputs) + accounts)
                sizes = {task: tx.save_task(task, parts) for task, parts in tasks.items()}
                tx.commit(CONSUMER, self.pipeline.positions())
                if watched:
                    tx.set_meta(_LIVE, self._live.dump())
        except BaseException:
            self.broken = True
            raise
        self._dirty = False
        took = time.monotonic() - self._last
        self.metrics.note_snapshot(took, sizes)
        self.publish(outputs)

    def _encoded(self, frozen: Frozen) -> dict[str, bytes | None]:
        compress = self._compressor.compress
        return {name: encode and compress(encode()) for name, encode in frozen.items()}

    def _note_crash(self, lane: Lane, offset: int) -> None:
        crashes = self._crashes()
        counts = crashes.setdefault(str(lane), {})
        counts[str(offset)] = counts.get(str(offset), 0) + 1
        with self.store.transaction() as tx:
            tx.set_meta(_CRASHES, orjson.dumps(crashes))

    def _crashes(self) -> dict[str, dict[str, int]]:
        crashes: dict[str, dict[str, int]] = orjson.loads(self.store.meta(_CRASHES) or b"{}")
        return crashes

    def _crashed_twice(self) -> dict[Lane, frozenset[int]]:
        crashes = self._crashes()
        return {
            lane: frozenset(int(o) for o, n in crashes.get(str(lane), {}).items() if n >= 2)
            for lane in (*self.plan.lanes, CONTROL_LANE)
        }

    def trim(self, retain_ms: int, retain_bytes: int) -> None:
        """Drop what is older than the retention, never what the snapshot still needs."""
        trim(self.store, self.store.now_ms(), retain_ms, retain_bytes, self._needed())

    def _needed(self) -> dict[Lane, int]:
        lanes = (*self.plan.lanes, CONTROL_LANE)
        committed = {lane: self.store.committed(CONSUMER, lane) for lane in lanes}
        return {lane: offset or 0 for lane, offset in committed.items()}

    @property
    def lanes(self) -> dict[Lane, Intake]:
        """The intake of every lane."""
        return self.pipeline.lanes

    @property
    def results(self) -> int:
        """How many results were said."""
        return self.pipeline.results

    @property
    def alerts_standing(self) -> int:
        """How many alerts are raised or clearing."""
        return self.pipeline.alerts_standing

    @property
    def lost(self) -> int:
        """Records deleted before they were read: the engine owns its log, which forbids it."""
        return 0

    def end_offset(self, lane: Lane) -> int:
        """End of the lane's log."""
        return self.store.end_offset(*lane)

    @property
    def judges(self) -> Iterable[Judge]:
        """The judges of all signs that have models."""
        return self.pipeline.judges

    @property
    def open_panes(self) -> int:
        """Panes that hold rows, in all lanes and in the assess task."""
        return self.pipeline.open_panes()

    def summary(self) -> dict[str, Any]:
        """What a run did: accounting by lane and in all, results, alerts, and events a second
        from the first one taken until now.
        """
        elapsed_s = 0.0 if self._first is None else time.monotonic() - self._first
        total = self.pipeline.total()
        read = total.read - self.began.read
        return {
            "accounting": {
                str(lane): intake.accounting.as_dict()
                for lane, intake in self.pipeline.lanes.items()
            },
            "total": total.as_dict(),
            "vitals": self.pipeline.results,
            "alerts": self.pipeline.alerts,
            "events_per_s": round(read / elapsed_s) if elapsed_s > 0 else 0,
        }
