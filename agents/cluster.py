"""The engine of a worker on Kafka: the tasks it owns, with exact state.

Outputs are durable before the snapshot that has them behind it, and that before the offsets (rule
R5), so a restart at any point sends again what it may have sent, byte for byte, and nothing else.
Positions come from snapshots; the group's offsets are for those who watch the lag.  After an
unexpected error nothing is ever saved again.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Collection, Iterable

from agents.intake import StepError
from agents.live import Live
from agents.metrics import Metrics
from agents.outputs import PARTIALS, VITALS, claim_record, newest_of_compacted, tick_record
from agents.owned import FrozenTask, Group, Owned, listed
from agents.plan import Plan
from agents.tasks import AnyTask, AssessTask, IntakeTask, task_of
from agents.turns import Turns
from streams.kafka.outbox import Outbox
from streams.kafka.snapshots import SnapshotTopic
from streams.kafka.tick_log import TickLog
from streams.records import Chunk, Lane, Output
from streams.snapshots import Records, Restored, SnapshotWriter
from streams.spent import ASSESS, INTAKE, SAVE, Spent
from streams.timeline import BEFORE_ALL, HOUR_MS, MINUTE_MS

_CITY = Lane(PARTIALS, 0)
_OWN_ALERTS = "live"
"""Where the snapshot of the city has the engine's own alerts that stand."""
"""Whose owner says how the engine does."""
_REVOKE_S = 20.0
"""A rebalance waits so long for a snapshot; without it the next owner begins a little earlier."""
_STRIDE_MS = 2 * MINUTE_MS
"""A silent lane is ticked on by so much at once: each window that closes says something."""
_LONG_MS = HOUR_MS
"""A lane further behind the clock than this may hold recorded events: the operator is told."""
_PAUSES, _LONGEST_S = 10, 30.0
"""From one snapshot to the next with much unread: so many of its pauses, or seconds, at most."""

_SHOWN_S = 0.25
"""Between two results of a key in the compacted topic, at least: a backlog has many a second."""
_LARGE = 1_000
"""Records of a chunk that keeps the event loop from other work for a millisecond or more."""


class GapInLogError(Exception):
    """Records between the engine's position and those that came are missing."""


class _Breaking:
    """Whatever is raised inside leaves the engine broken: half a step must never be saved."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if kind is not None:
            self._cluster.broken = True
            self._cluster.failure = self._cluster.failure or error


class Cluster(Owned):
    """The tasks of one worker.

    Parameters
    ----------
    plan
        The compiled configuration.
    group, outbox, saving, snapshots, ticks
        The ways to Kafka; the caller owns them.  Snapshots are sent by an outbox of their own, so
        that outputs do not wait for them.
    metrics
        Where counts go.
    publish, published
        Called with the outputs of these topics, once they are durable.
    say
        Called with a sentence for the operator, when something out of the ordinary happens.
    spent
        Where the time counts that the stages take.
    """

    def __init__(
        self,
        plan: Plan,
        group: Group,
        outbox: Outbox,
        saving: Outbox,
        snapshots: SnapshotTopic,
        ticks: TickLog,
        metrics: Metrics,
        publish: Callable[[list[Output]], None] = lambda outputs: None,
        published: Collection[str] = (),
        say: Callable[[str], None] = lambda sentence: None,
        spent: Spent | None = None,
    ) -> None:
        super().__init__(group)
        self.plan, self.kafka = plan, plan.configuration.kafka
        self.outbox, self.ticks = outbox, ticks
        self.snapshots, self.saving = snapshots, saving
        self.metrics, self.publish, self.say = metrics, publish, say
        self.spent = spent or Spent()
        self.published = frozenset(published)
        self.broken = False
        self.failure: BaseException | None = None
        """What broke the engine first."""
        self.steps = 0
        """Grows with all that is done; a watchdog looks at it."""
        self.fenced = 0
        self._writers: dict[Lane, SnapshotWriter] = {}
        self._crashes: dict[Lane, dict[int, int]] = {}
        self._heard: dict[Lane, float] = {}
        self._silent_from: dict[Lane, int] = {}
        self._forgotten_ms = 2 * max((sign.forget_ms for sign in plan.folded), default=0)
        self._saved: dict[Lane, int] = {}
        self._confirmed = -float("inf")
        self._generation = -1
        self._suspended = True
        self._dirty: set[Lane] = set()
        self._sent: list[Output] = []
        self._newest: dict[bytes, Output] = {}
        self._shown = -float("inf")
        # Recorded events have no time of day to be late against.
        self._live = self._begin_live()
        self._last, self._paused = time.monotonic(), 0.0
        self._turns = Turns()
        self._saving, self._asking = asyncio.Lock(), asyncio.Lock()
        self._lost: int | None = None
        """The generation in which the group had gone on without this worker."""

    def _begin_live(self) -> Live | None:
        return Live(self.plan) if self.kafka.silence_s else None

    # -- what comes in

    def position(self, lane: Lane) -> int | None:
        """Where the worker reads on; None of a lane it does not own."""
        task = self.tasks.get(lane)
        return None if task is None else task.next_offset

    async def take(self, chunk: Chunk, generation: int) -> None:
        """Apply a chunk that was read in a generation of the group; of another one, drop it.

        Lanes may be given chunks at the same time, each of them one after another.
        """
        async with self._turns.step():
            self._require_soundness()
            task = self.tasks.get(chunk.lane)
            if self._suspended or generation != self._generation or task is None:
                self.fenced += 1
                return
            with _Breaking(self):
                if not await self._is_member(chunk.lane):
                    self.fenced += 1
                    return
                if chunk.first_offset > task.next_offset:
                    raise GapInLogError(
                        f"{chunk.lane}: expected offset {task.next_offset}, the log gave "
                        f"{chunk.first_offset}: were records deleted before they were read?"
                    )
                quarantine = frozenset(
                    offset for offset, n in self._crashes.get(chunk.lane, {}).items() if n >= 2
                )
                try:
                    outputs = await self._step(task, chunk, quarantine)
                except StepError as error:
                    await self._note_crash(task, error.offset)
                    raise
                if self.tasks.get(chunk.lane) is not task:
                    self.fenced += 1  # it took so long that the lane was given away
                    return
                self._heard[chunk.lane] = time.monotonic()
                self._silent_from.pop(chunk.lane, None)
                await self._send(chunk.lane, outputs)

    async def _step(self, task: AnyTask, chunk: Chunk, quarantine: frozenset[int]) -> list[Output]:
        if len(chunk) < _LARGE and not isinstance(task, AssessTask):
            return self._step_now(task, chunk, quarantine)
        # Beside the event loop, for most of it is done without the interpreter.
        return await asyncio.to_thread(self._step_now, task, chunk, quarantine)

    def _step_now(self, task: AnyTask, chunk: Chunk, quarantine: frozenset[int]) -> list[Output]:
        with self.spent.on(ASSESS if isinstance(task, AssessTask) else INTAKE):
            return task.step(chunk, quarantine)

    async def _is_member(self, lane: Lane) -> bool:
        """Whether the lane can not have another owner by now.

        A process that slept may have lost it without knowing: its successor may then have written
        ticks before the records that this one has just read.  The group gives a lane away only
        when it has heard nothing of its owner for the session's timeout.
        """
        async with self._asking:
            # Lanes that step beside each other must hear the same: one of them alone that goes on
            # would leave a gap behind.
            if self._lost == self._generation:
                return False
            began = time.monotonic()
            if began - self._confirmed > self.kafka.session_timeout_s / 2:
                if not await self.group.commit({lane: self._saved[lane]}):
                    self.say("the group has gone on without this worker; it joins again")
                    self._lost = self._generation
                    return False
                self._confirmed = began
            return True

    async def _send(self, lane: Lane, outputs: list[Output]) -> None:
        self._dirty.add(lane)
        if self._live is not None and _CITY in self.tasks:
            outputs = outputs + self._live.take(outputs, time.time_ns() // 1_000_000)
        self.steps += 1
        logged: list[Output] = []
        for output in outputs:
            topic = output.topic
            if topic in self.published:
                self._sent.append(output)
            if topic == VITALS:
                self._newest[output.key] = output
            else:
                logged.append(output)
        await self.outbox.send(newest_of_compacted(logged), self.kafka.prefix)
        if time.monotonic() - self._shown >= _SHOWN_S:
            await self.show()

    async def show(self) -> None:
        """Send the newest result of each key: those that one replaced meanwhile are in the log."""
        if not self._suspended:
            await self._show()

    async def _show(self) -> None:
        if self.broken or not self._newest:
            return
        newest, self._newest, self._shown = self._newest, {}, time.monotonic()
        with _Breaking(self):
            # After a sleep another worker may have said newer ones.
            shard = next((lane for lane in self.tasks if lane.topic == PARTIALS), None)
            if shard is not None and await self._is_member(shard):
                await self.outbox.send(newest.values(), self.kafka.prefix)

    async def _note_crash(self, task: AnyTask, offset: int) -> None:
        counts = self._crashes.setdefault(task.lane, {})
        counts[offset] = counts.get(offset, 0) + 1
        await self.snapshots.note_crash(self.saving, task.name, offset, counts[offset])

    # -- time

    async def tick_silent(self, now: int) -> None:
        """Write a tick for each lane that was silent for too long, by ``now`` (int64 ms).

        The broker is asked whether the lane has ended: what was fetched last may be old, after a
        sleep or an outage.
        """
        if not self.kafka.silence_s or self.broken or self._suspended:
            return
        heard = {task.lane: self._heard[task.lane] for task in self._silent()}
        if not heard:
            return
        ends = await asyncio.to_thread(self.group.end_offsets, list(heard))
        async with self._turns.alone():
            if self.broken or self._suspended:
                return
            with _Breaking(self):
                silent = [
                    task
                    for task in self._silent()
                    if heard.get(task.lane) == self._heard[task.lane]
                    and task.next_offset == ends[task.lane]
                ]
                ticks = {task.lane: self._tick(task, now) for task in silent}
                await self.ticks.write(ticks, self.outbox, self.kafka.prefix)
                await self._obey()

    def _silent(self) -> list[IntakeTask]:
        late = time.monotonic() - self.kafka.silence_s
        return [
            task
            for lane, task in self.tasks.items()
            if isinstance(task, IntakeTask)
            and self._heard[lane] <= late
            and self.group.end_offset(lane) in (None, task.next_offset)
        ]

    def _tick(self, task: IntakeTask, now: int) -> Output:
        t = self._next_time(task, now - task.intake.plan.disorder_ms)
        generation = self.ticks.book.generation(task.lane)
        number = 1 + max(task.intake.ticks, self.ticks.book.last(task.lane))
        where = (task.lane, task.next_offset, number, t)
        return tick_record(*where, generation=generation, owner=self.ticks.owner)

    def _next_time(self, task: IntakeTask, target: int) -> int:
        """How far to tick a lane: at most some minutes at once, as each window says something.

        Where nothing is known yet, or everything is forgotten, it is ticked to the target.
        """
        lane, mark = task.lane, task.intake.watermark.value
        began = self._silent_from.setdefault(lane, mark)
        if mark > BEFORE_ALL and mark - began < self._forgotten_ms:
            step = mark + task.intake.plan.disorder_ms + _STRIDE_MS
            if step < target:
                if mark == began and target - mark > _LONG_MS:
                    hours = (target - mark) / HOUR_MS
                    self.say(
                        f"{lane} is silent and {hours:,.0f} h behind the clock: it is ticked on. "
                        "For recorded events set kafka.silence_s to 0"
                    )
                return step
        self._silent_from.pop(lane)
        self._heard[lane] = time.monotonic()
        return target

    async def follow_ticks(self) -> None:
        """Obey ticks that somebody wrote."""
        async with self._turns.alone():
            if not self.broken and not self._suspended and self.ticks.poll():
                with _Breaking(self):
                    await self._obey()

    async def _obey(self) -> None:
        for lane, task in self.tasks.items():
            if isinstance(task, IntakeTask) and self.ticks.book.last(lane) > task.intake.ticks:
                before, missed = task.progress, task.task.missed
                outputs = task.schedule(self.ticks.book.after(lane, task.intake.ticks))
                if task.task.missed > missed:
                    self.say(
                        f"{lane}: {task.task.missed - missed} ticks stand before records that were "
                        "taken already, and are not obeyed: write ticks before what follows them"
                    )
                if task.progress != before:
                    await self._send(lane, outputs)

    # -- who owns what

    async def suspend(self) -> None:
        """Save, and take nothing more until :meth:`restore`: the group changes."""
        self._suspended = True
        self._require_soundness()
        saving = asyncio.ensure_future(self._checkpoint())
        done, _ = await asyncio.wait({saving}, timeout=_REVOKE_S)
        if not done:
            self.say("a snapshot took too long for the group: the next owner begins before it")
            for lane in list(self.tasks):
                self._drop(lane)
            self._newest.clear()  # the next owner says them again
        else:
            saving.result()

    async def restore(self, lanes: Collection[Lane], generation: int) -> None:
        """Own these lanes from a generation on: load what is not in memory already."""
        async with self._turns.alone():
            self._require_soundness()
            with _Breaking(self):
                began = time.monotonic()
                # After more than one generation others may have owned them meanwhile.
                kept = set(lanes) if generation == self._generation + 1 else set()
                for lane in self.tasks.keys() - kept:
                    self._drop(lane)
                missing = [lane for lane in lanes if lane not in self.tasks]
                if missing:
                    await self._load(missing)
                self._heard = dict.fromkeys(lanes, time.monotonic())
                self._silent_from.clear()
                self._generation, self._suspended = generation, False
                await self._obey()
                self.steps += 1
                self.metrics.note_restore(time.monotonic() - began)
                self.say(f"generation {generation}: owns {listed(lanes)}")

    async def _load(self, lanes: list[Lane]) -> None:
        tasks = [task_of(self.plan, lane) for lane in lanes]
        names = [task.name for task in tasks]
        restored, first = await asyncio.gather(
            asyncio.to_thread(self.snapshots.read, names),
            asyncio.to_thread(self.group.first_offsets, lanes),
        )
        if self.kafka.silence_s:
            claimed = [task.lane for task in tasks if isinstance(task, IntakeTask)]
            await self.ticks.claim(claimed, self.outbox, self.kafka.prefix, claim_record)
        else:
            self.ticks.poll()
        for task in tasks:
            await self._begin(task, restored.get(task.name), first[task.lane])

    async def _begin(self, task: AnyTask, restored: Restored | None, first: int) -> None:
        writer = SnapshotWriter(task.name, uuid.uuid4().hex)
        if restored is not None:
            for problem in restored.problems:
                self.say(problem)
            self._crashes[task.lane] = dict(restored.crashes)
            writer.forget(restored.others)
            if restored.parts:
                task.load({name: p for name, p in restored.parts.items() if name != _OWN_ALERTS})
        if task.lane == _CITY:
            # What was counted before another owner had the city is no part of what follows.
            self._live = self._begin_live()
            if self._live is not None and restored is not None:
                self._live.load(restored.parts.get(_OWN_ALERTS))
        self.tasks[task.lane], self._writers[task.lane] = task, writer
        self._saved[task.lane] = task.next_offset
        if task.next_offset >= first:
            return
        if restored is None or not restored.parts:
            task.begin_at(first)
            return
        self.say(
            f"{task.lane}: {first - task.next_offset} records were deleted before they were read, "
            f"{task.next_offset} to {first - 1}: keep the topic longer (kafka.retention_s)"
        )
        await self._send(task.lane, task.lose(first))

    def _require_soundness(self) -> None:
        if isinstance(self.failure, Exception):
            raise self.failure

    def _drop(self, lane: Lane) -> None:
        for table in (self.tasks, self._writers, self._heard, self._saved, self._crashes):
            table.pop(lane, None)
        self._dirty.discard(lane)

    # -- what is saved

    async def checkpoint_if_due(self) -> None:
        """Save where it is time; with much unread, pauses take a tenth of the time at most."""
        wait = self.kafka.checkpoint_s
        if self.lag() > 0:
            wait = max(wait, min(_PAUSES * self._paused, _LONGEST_S))
        if time.monotonic() - self._last >= wait and not self._suspended:
            # A run that ends waits for it: half of a snapshot would break the engine.
            await asyncio.shield(asyncio.ensure_future(self._checkpoint()))

    async def close(self) -> None:
        """Save, and take nothing more."""
        await self.suspend()

    async def _checkpoint(self) -> None:
        async with self._saving:
            if self.broken:
                return
            with _Breaking(self):
                self._last = began = time.monotonic()
                async with self._turns.alone():
                    # A step that this has waited for may have failed.
                    if self.broken or not self._dirty:
                        return
                    with self.spent.on(SAVE):
                        frozen = [self._freeze(lane) for lane in sorted(self._dirty)]
                    changed = self.lanes.keys() & self._dirty
                    accounts = [self.lanes[lane].accounts() for lane in sorted(changed)]
                    paused = time.monotonic() - began
                    self._paused = paused
                    self._dirty.clear()
                    outputs, self._sent = self._sent, []
                    await self._show()
                await self.outbox.send(accounts, self.kafka.prefix)
                await self.outbox.flush()
                self.publish(outputs)
                sizes = await self._save(frozen)
                offsets, asked = {f.task.lane: f.offset for f in frozen}, time.monotonic()
                if await self.group.commit(offsets):
                    self._confirmed = asked
                self._saved.update((lane, o) for lane, o in offsets.items() if lane in self.tasks)
                self.steps += 1
                self.metrics.note_snapshot(time.monotonic() - began, sizes, paused)

    def _freeze(self, lane: Lane) -> FrozenTask:
        task, writer = self.tasks[lane], self._writers[lane]
        parts = task.freeze(whole=writer.number == 0)
        if lane == _CITY and self._live is not None:
            own = self._live.dump()
            parts = {**parts, _OWN_ALERTS: lambda: own}
        return FrozenTask(task, writer, parts, task.progress, task.next_offset)

    async def _save(self, frozen: Iterable[FrozenTask]) -> dict[str, int]:
        batches = [await asyncio.to_thread(self._encoded, each) for each in frozen]
        await self.snapshots.write(self.saving, batches)
        return {batch.task: batch.size for batch in batches}

    def _encoded(self, frozen: FrozenTask) -> Records:
        with self.spent.on(SAVE):
            return frozen.records(round(time.time() * 1000))

    @property
    def occupied(self) -> bool:
        """Whether there is anything to do, joining and leaving included: then `steps` must grow."""
        waiting = self._suspended or self._saving.locked() or self._turns.taken
        return waiting or self.lag() > 0
