"""Both hops in one process: lanes, the assess task and what is kept of them.  Pure.

The embedded engine runs this as it is; so do tests and replays, without a transport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

from agents.assess import Assess
from agents.control import CONTROL_LANE, Received, owner_of, received, unknown
from agents.intake import Intake, IntakeStep, StepError
from agents.judge import Judge
from agents.lanes import LaneTask
from agents.marks import Taken, WrittenMark, mark_of
from agents.outputs import tick_record
from agents.plan import Plan
from schemas.command import Command
from schemas.refusal import Refused
from schemas.tick import Tick
from streams.accounting import Accounting
from streams.frozen import HEAD, Frozen, head, read_head
from streams.frozen import SnapshotError as SnapshotError
from streams.records import Chunk, Lane, Output
from streams.timeline import BEFORE_ALL

_ASSESS, _CONTROL = "assess/", "control"
Stage: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""What counts the work of a stage, by its name."""


class Pipeline:
    """All lanes of a configuration and the task they feed.

    Parameters
    ----------
    plan
        The compiled configuration.
    stage
        Entered for the work of ``intake``, and within it of ``assess``.

    Examples
    --------
    >>> from schemas.loading import load
    >>> from agents.plan import compile_plan
    >>> pipeline = Pipeline(compile_plan(load(None)))
    >>> pipeline.total().remainder
    0
    """

    def __init__(self, plan: Plan, stage: Stage = lambda name: nullcontext()) -> None:
        self.plan, self.stage = plan, stage
        self.tasks = {lane: LaneTask(plan, lane) for lane in plan.lanes}
        self.shards = [Assess(plan, shard) for shard in range(plan.shards.count)]
        self.taken = Taken()
        self._changed: set[Lane] = set()
        self._commanded = False

    @property
    def lanes(self) -> dict[Lane, Intake]:
        """The intake of every lane."""
        return {lane: task.intake for lane, task in self.tasks.items()}

    def schedule(self, ticks: Iterable[Tick]) -> None:
        """Obey written ticks where they stand, those already obeyed left out."""
        by_lane: dict[Lane, list[Tick]] = {}
        for tick in ticks:
            by_lane.setdefault(Lane(tick.topic, tick.partition), []).append(tick)
        for lane, listed in by_lane.items():
            if lane in self.tasks:
                self.tasks[lane].schedule(listed)

    def step(self, chunk: Chunk, quarantine: frozenset[int] = frozenset()) -> list[Output]:
        """Take in a chunk of one lane; the outputs, in order."""
        lane, outputs = chunk.lane, list[Output]()
        with self.stage("intake"):
            for step in self.tasks[lane].step(chunk, quarantine):
                outputs += self._finish(lane, step)
        return outputs

    def schedule_marks(self, marks: Iterable[WrittenMark]) -> None:
        """Obey the marks of an alert log where they stand, those already obeyed left out."""
        listed = list(marks)
        for assess in self._assessing:
            assess.schedule(listed)

    def command(self, chunk: Chunk, quarantine: frozenset[int] = frozenset()) -> list[Output]:
        """Obey commands, each after the last window that its alert's rule has judged.

        Raises
        ------
        StepError
            The core failed at a command.
        """
        outputs: list[Output] = []
        self._commanded = True
        for one in received(chunk, self.taken.next_offset, quarantine):
            try:
                outputs += self._obey(one)
            except Exception as error:
                raise StepError(CONTROL_LANE, one.offset) from error
        self.taken.next_offset = max(self.taken.next_offset, chunk.next_offset)
        return outputs

    def _obey(self, one: Received) -> list[Output]:
        command = one.said
        if isinstance(command, Command) and self.taken.knows(one.offset, command.command_id):
            return []
        self.taken.note(one.offset)
        try:
            if isinstance(command, Refused):
                raise command
            outputs = self._mark(command)
            if not outputs:
                raise unknown()
        except Refused as refused:
            return [one.letter(refused)]
        self.taken.note(one.offset, command.command_id)
        return outputs

    def _mark(self, command: Command) -> list[Output]:
        asked = command.rule, command.alert_id, mark_of(command)
        outputs = self.shards[owner_of(self.plan, command)].mark(*asked)
        for lane, task in self.tasks.items():
            own = task.intake.own
            if own is not None and not outputs and (outputs := own.assess.mark(*asked)):
                self._changed.add(lane)
        return outputs

    def settle(self) -> list[Output]:
        """Obey the scheduled ticks that stand at the end of their lanes."""
        outputs: list[Output] = []
        for lane, task in self.tasks.items():
            for step in task.settle():
                outputs += self._finish(lane, step)
        return outputs

    def tick(self, lane: Lane, t: int, *, ends: bool = False) -> list[Output]:
        """State that no event of the lane before ``t`` (ms) is waited for; the tick comes first."""
        intake = self.tasks[lane].intake
        written = tick_record(lane, intake.next_offset, intake.ticks + 1, t, ends=ends)
        return [written, *self._finish(lane, intake.tick(t, ends=ends))]

    def _finish(self, lane: Lane, step: IntakeStep) -> list[Output]:
        self._changed.add(lane)
        if not step.cuts:
            return step.outputs
        with self.stage("assess"):
            return step.outputs + self._assess(lane, step)

    def _assess(self, lane: Lane, step: IntakeStep) -> list[Output]:
        try:
            assessed = [self.shards[cut.shard].step([cut]) for cut in step.cuts]
        except Exception as error:
            raise StepError(lane, max(0, step.cuts[0].name[0])) from error
        return [output for outputs in assessed for output in outputs]

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
            # Alerts that incidents suppress wait for the lanes of several topics.
            ends += [shard.settled_by(lane, farthest) for shard in self.shards]
            t = max(ends, default=farthest) + intake.plan.disorder_ms
            outputs += self.tick(lane, t, ends=True)
        return outputs

    def total(self) -> Accounting:
        """Accounting over all lanes."""
        total = Accounting()
        for intake in self.lanes.values():
            total.add(intake.accounting)
        return total

    def accounts(self) -> list[Output]:
        """The accounting of every lane that went on since the last freeze."""
        return [self.tasks[lane].intake.accounts() for lane in sorted(self._changed)]

    def positions(self) -> dict[Lane, int]:
        """The next offset of every lane, and of the commands."""
        lanes = {lane: intake.next_offset for lane, intake in self.lanes.items()}
        return {**lanes, CONTROL_LANE: self.taken.next_offset}

    def open_panes(self) -> int:
        """Panes that hold rows, in all lanes and in the assess task."""
        lanes = sum(intake.open_panes() for intake in self.lanes.values())
        return lanes + sum(assess.open_windows() for assess in self._assessing)

    @property
    def _assessing(self) -> list[Assess]:
        """The shards, and the parts of lanes that finish signs by themselves."""
        own = (task.intake.own for task in self.tasks.values())
        return [*self.shards, *(each.assess for each in own if each is not None)]

    @property
    def results(self) -> int:
        """How many results were said."""
        return sum(assess.results for assess in self._assessing)

    @property
    def alerts(self) -> int:
        """How many transitions of alerts were said."""
        return sum(assess.alerts_raised for assess in self._assessing)

    @property
    def alerts_standing(self) -> int:
        """How many alerts are raised or clearing."""
        return sum(assess.alerts_standing for assess in self._assessing)

    @property
    def judges(self) -> list[Judge]:
        """The judges of all signs that have models, shard by shard."""
        return [found.judge for assess in self._assessing for found in assess.judges.values()]

    def freeze(self, whole: bool = False) -> dict[str, Frozen]:
        """The state of every task that changed since the last freeze (or of all), by name."""
        lanes: Iterable[Lane] = self.lanes if whole else self._changed
        frozen = {str(lane): self.tasks[lane].freeze(whole) for lane in lanes}
        if frozen or self._commanded:
            for shard, assess in enumerate(self.shards):
                frozen[f"{_ASSESS}{shard}"] = assess.freeze(whole)
        if whole or self._commanded:
            taken = head(self.plan.config, {"taken": self.taken.dump()})
            frozen[_CONTROL] = {HEAD: taken}
        self._changed.clear()
        self._commanded = False
        return frozen

    def load(self, tasks: Mapping[str, Mapping[str, bytes]]) -> None:
        """Take over a snapshot; lanes without a part begin at their first offset.

        Raises
        ------
        SnapshotError
            The snapshot was written under another configuration or by another build.
        """
        for name, parts in tasks.items():
            if name.startswith(_ASSESS):
                self.shards[int(name.removeprefix(_ASSESS))].load(parts)
            elif name == _CONTROL:
                self.taken.load(read_head(name, parts, self.plan.config)["taken"])
            else:
                topic, _, partition = name.rpartition("/")
                self.tasks[Lane(topic, int(partition))].load(parts)
