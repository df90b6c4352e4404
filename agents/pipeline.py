"""Both hops in one process: lanes, the assess task and what is kept of them.  Pure.

The embedded engine runs this as it is; so do tests and replays, without a transport.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from agents.assess import Assess
from agents.intake import Intake, IntakeStep, StepError
from agents.outputs import tick_record
from agents.plan import Plan
from schemas.tick import Tick
from streams.accounting import Accounting
from streams.records import Chunk, Lane, Output, split
from streams.timeline import BEFORE_ALL

FORMAT = 1
"""Layout of a snapshot; another one is refused."""

_ASSESS = "assess"


class SnapshotError(Exception):
    """A snapshot does not fit this build or configuration."""


class Pipeline:
    """All lanes of a configuration and the task they feed.

    Examples
    --------
    >>> from schemas.loading import load
    >>> from agents.plan import compile_plan
    >>> pipeline = Pipeline(compile_plan(load(None)))
    >>> pipeline.total().remainder
    0
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.lanes = {lane: Intake(plan, lane) for lane in plan.lanes}
        self.assess = Assess(plan)
        self._changed: set[Lane] = set()
        self._scheduled: dict[Lane, deque[Tick]] = {}

    def schedule(self, ticks: Iterable[Tick]) -> None:
        """Obey written ticks where they stand, those already obeyed left out."""
        for tick in sorted(ticks, key=lambda tick: tick.number):
            lane = Lane(tick.topic, tick.partition)
            if lane in self.lanes and tick.number > self.lanes[lane].ticks:
                self._scheduled.setdefault(lane, deque()).append(tick)

    def step(self, chunk: Chunk, quarantine: frozenset[int] = frozenset()) -> list[Output]:
        """Take in a chunk of one lane; the outputs, in order."""
        lane, outputs = chunk.lane, []
        scheduled = self._scheduled.get(lane)
        while scheduled and scheduled[0].next_offset < chunk.next_offset:
            tick = scheduled.popleft()
            before = bisect_left(chunk.offsets, tick.next_offset)
            if before:
                head, chunk = split(chunk, before)
                outputs += self._finish(lane, self.lanes[lane].step(head, quarantine))
            outputs += self._finish(lane, self.lanes[lane].tick(tick.t, ends=tick.ends))
        return outputs + self._finish(lane, self.lanes[lane].step(chunk, quarantine))

    def settle(self) -> list[Output]:
        """Obey the scheduled ticks that stand at the end of their lanes."""
        outputs: list[Output] = []
        for lane, scheduled in self._scheduled.items():
            while scheduled and scheduled[0].next_offset <= self.lanes[lane].next_offset:
                tick = scheduled.popleft()
                outputs += self._finish(lane, self.lanes[lane].tick(tick.t, ends=tick.ends))
        return outputs

    def tick(self, lane: Lane, t: int, *, ends: bool = False) -> list[Output]:
        """State that no event of the lane before ``t`` (ms) is waited for; the tick comes first."""
        intake = self.lanes[lane]
        written = tick_record(lane, intake.next_offset, intake.ticks + 1, t, ends=ends)
        return [written, *self._finish(lane, intake.tick(t, ends=ends))]

    def _finish(self, lane: Lane, step: IntakeStep) -> list[Output]:
        self._changed.add(lane)
        if not step.cuts:
            return step.outputs
        try:
            return step.outputs + self.assess.step(step.cuts)
        except Exception as error:
            raise StepError(lane, max(0, step.cuts[0].name[0])) from error

    def end(self) -> list[Output]:
        """End a log: a tick for each lane that closes every window with data, and takes every
        correction.  A log that has ended is not ended again.
        """
        if all(intake.ended for intake in self.lanes.values()):
            return []
        farthest = max(i.watermark.value + i.watermark.disorder_ms for i in self.lanes.values())
        if farthest < BEFORE_ALL // 2:
            return []
        outputs = []
        for lane, intake in self.lanes.items():
            ends = [s.windows.last_end_with(farthest) + s.lateness_ms for s in intake.plan.signs]
            t = max(ends, default=farthest) + intake.plan.disorder_ms
            outputs += self.tick(lane, t, ends=True)
        return outputs

    def total(self) -> Accounting:
        """Accounting over all lanes."""
        total = Accounting()
        for intake in self.lanes.values():
            total.add(intake.accounting)
        return total

    def positions(self) -> dict[Lane, int]:
        """The next offset of every lane."""
        return {lane: intake.next_offset for lane, intake in self.lanes.items()}

    def open_panes(self) -> int:
        """Panes that hold rows, in all lanes and in the assess task."""
        return sum(i.open_panes() for i in self.lanes.values()) + self.assess.open_windows()

    def dump(self, *, whole: bool = False) -> dict[str, bytes]:
        """Parts of the snapshot that changed since the last dump (or all), by name."""
        lanes: Iterable[Lane] = self.lanes if whole else self._changed
        parts = {str(lane): self._part(self.lanes[lane].dump()) for lane in lanes}
        if parts:
            parts[_ASSESS] = self._part(self.assess.dump())
        self._changed.clear()
        return parts

    def _part(self, state: dict[str, Any]) -> bytes:
        head = {"format": FORMAT, "config": self.plan.config}
        return msgspec.msgpack.encode({**head, "state": state})

    def load(self, parts: dict[str, bytes]) -> None:
        """Take over a snapshot; lanes without a part begin at their first offset.

        Raises
        ------
        SnapshotError
            The snapshot was written under another configuration or by another build.
        """
        for name, part in parts.items():
            data = msgspec.msgpack.decode(part)
            if data.get("format") != FORMAT:
                raise SnapshotError(
                    f"the snapshot of {name} has layout {data.get('format')}, this build writes "
                    f"{FORMAT}: run the build that wrote it, or start with another data folder"
                )
            if data["config"] != self.plan.config:
                raise SnapshotError(
                    f"the data folder was made under configuration {data['config']}, this one is "
                    f"{self.plan.config}: use the same configuration, or another data folder"
                )
            if name == _ASSESS:
                self.assess.load(data["state"])
            else:
                topic, _, partition = name.rpartition("/")
                self.lanes[Lane(topic, int(partition))].load(data["state"])
