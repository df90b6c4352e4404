"""What a worker on Kafka owns: lanes, and shards of the assessment.  Pure: no clock, no I/O.

A task is stepped with chunks of one partition, says what to send, and can be frozen and restored:
its whole state is a function of the records below its next offset, and of the ticks it obeyed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias

import msgspec

from agents.assess import Assess
from agents.control import (
    CONTROL_LANE,
    Received,
    of_lane,
    owner_of,
    received,
    taken_over,
    unknown,
)
from agents.intake import StepError, attempt_of
from agents.lanes import LaneTask
from agents.marks import Taken, mark_of
from agents.outputs import (
    CONTROL,
    PARTIALS,
    command_record,
    dead_letter,
    loss_alert,
    partial_records,
)
from agents.plan import Plan
from schemas.command import Command
from schemas.refusal import Refused
from schemas.tick import Tick
from streams.aggregates import Family
from streams.cuts import BEGINNING, Cut, CutName, GapError
from streams.frozen import Frozen
from streams.partials import Assembler, PassedOn, Piece, read_piece, read_record
from streams.records import Chunk, Lane, Output

_TASK = "task"


class Task(Protocol):
    """One input partition and all that came of it so far."""

    lane: Lane
    lost: int
    """Records that were deleted before they were read."""

    @property
    def name(self) -> str: ...

    @property
    def next_offset(self) -> int: ...

    @property
    def progress(self) -> tuple[int, int]:
        """How far it has come; the greater of two is the later state."""
        ...

    def step(self, chunk: Chunk, quarantine: frozenset[int]) -> list[Output]:
        """Take in a chunk; raises StepError where the core fails at a record."""
        ...

    def begin_at(self, offset: int) -> None:
        """Begin a task without a past at the first record there is."""
        ...

    def lose(self, until: int) -> list[Output]:
        """Go on at ``until``: what lay before is gone, is counted and raises an alert."""
        ...

    def freeze(self, *, whole: bool = False) -> Frozen: ...

    def load(self, parts: Mapping[str, bytes]) -> None: ...


def families_of(plan: Plan) -> dict[str, Family]:
    """How the states of each sign are written."""
    return {sign.sign.id: sign.family for topic in plan.topics.values() for sign in topic.signs}


class IntakeTask:
    """A lane whose cuts go to the partials topic."""

    def __init__(self, plan: Plan, lane: Lane) -> None:
        self.plan, self.lane, self.lost = plan, lane, 0
        self.task = LaneTask(plan, lane)
        self.intake = self.task.intake
        self._families = families_of(plan)

    @property
    def name(self) -> str:
        return str(self.lane)

    @property
    def next_offset(self) -> int:
        return self.intake.next_offset

    @property
    def progress(self) -> tuple[int, int]:
        return self.task.progress

    def step(self, chunk: Chunk, quarantine: frozenset[int]) -> list[Output]:
        outputs: list[Output] = []
        for step in self.task.step(chunk, quarantine):
            outputs += step.outputs
            for cut in step.cuts:
                outputs += partial_records(cut, self._families)
        return outputs

    def schedule(self, ticks: Iterable[Tick]) -> list[Output]:
        """Note written ticks, and obey those that stand where the lane is now."""
        self.task.schedule(ticks)
        outputs: list[Output] = []
        for step in self.task.settle():
            for cut in step.cuts:
                outputs += partial_records(cut, self._families)
        return outputs

    def begin_at(self, offset: int) -> None:
        self.intake.next_offset = max(offset, self.intake.next_offset)

    def lose(self, until: int) -> list[Output]:
        first = self.next_offset
        self.lost += until - first
        self.begin_at(until)
        self.intake.resumes = True
        place = self.plan.configuration.city.place
        t = max(0, self.intake.watermark.value)
        return loss_alert(self.lane, first, until, t, place, self.plan.config)

    def freeze(self, *, whole: bool = False) -> Frozen:
        own = msgspec.msgpack.encode([self.lost])
        return {**self.task.freeze(whole), _TASK: lambda: own}

    def load(self, parts: Mapping[str, bytes]) -> None:
        (self.lost,) = msgspec.msgpack.decode(parts[_TASK])
        self.task.load({name: part for name, part in parts.items() if name != _TASK})


class ControlTask:
    """The commands, which go to the shards that judge their alerts.

    There each of them has a place among the cuts, and that is where it takes effect: for a command
    that is passed on twice, after a crash, the first of the two.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.lane, self.lost = plan, CONTROL_LANE, 0
        self.next_offset = 0

    @property
    def name(self) -> str:
        return str(self.lane)

    @property
    def progress(self) -> tuple[int, int]:
        return self.next_offset, 0

    def step(self, chunk: Chunk, quarantine: frozenset[int]) -> list[Output]:
        outputs: list[Output] = []
        for one in received(chunk, self.next_offset, quarantine):
            if isinstance(one.said, Refused):
                outputs.append(one.letter(one.said))
            else:
                shard = owner_of(self.plan, one.said)
                outputs.append(command_record(self.lane, one.passed_on, shard))
        self.next_offset = max(self.next_offset, chunk.next_offset)
        return outputs

    def begin_at(self, offset: int) -> None:
        self.next_offset = max(offset, self.next_offset)

    def lose(self, until: int) -> list[Output]:
        first = self.next_offset
        self.lost += until - first
        self.begin_at(until)
        place = self.plan.configuration.city.place
        return loss_alert(self.lane, first, until, 0, place, self.plan.config)

    def freeze(self, *, whole: bool = False) -> Frozen:
        own = msgspec.msgpack.encode([self.lost, self.next_offset])
        return {_TASK: lambda: own}

    def load(self, parts: Mapping[str, bytes]) -> None:
        self.lost, self.next_offset = msgspec.msgpack.decode(parts[_TASK])


class AssessTask:
    """A shard that reads the cuts of all lanes from its partition of the partials topic."""

    def __init__(self, plan: Plan, shard: int) -> None:
        self.plan, self.shard, self.lost = plan, shard, 0
        self.lane = Lane(PARTIALS, shard)
        self.next_offset = 0
        self.unusable = 0
        """Rows of records that were left out, because they stopped the task twice."""
        self.assess = Assess(plan, shard)
        self._lanes = frozenset(plan.lanes)
        self._announced: dict[Lane, int] = {}
        self._resumed: dict[Lane, CutName] = {}
        self._assembler = Assembler(families_of(plan))
        self._commands = Taken()

    @property
    def name(self) -> str:
        return f"assess/{self.shard}"

    @property
    def progress(self) -> tuple[int, int]:
        return self.next_offset, 0

    def step(self, chunk: Chunk, quarantine: frozenset[int]) -> list[Output]:
        outputs: list[Output] = []
        offset = self.next_offset
        try:
            for offset, logged, raw in zip(
                chunk.offsets, chunk.timestamps, chunk.values, strict=True
            ):
                if offset >= self.next_offset:
                    if offset in quarantine:
                        refused = Refused("crashed", "byte 0", "stopped a worker twice")
                        letter = (self.lane, offset, logged, len(raw), refused, attempt_of(chunk))
                        outputs.append(dead_letter(*letter))
                        outputs += self._pass_over(raw)
                    else:
                        outputs += self._take(read_record(raw))
                    self.next_offset = offset + 1
        except GapError:
            raise  # no record's fault: to leave one out would hide that others are missing
        except Exception as error:
            raise StepError(self.lane, offset) from error
        self.next_offset = max(self.next_offset, chunk.next_offset)
        return outputs

    def _take(self, record: Piece | PassedOn) -> list[Output]:
        if isinstance(record, PassedOn):
            return self._obey(taken_over(record))
        cut = self._assembled(record)
        if cut is None:
            return []
        self._announced[cut.lane] = cut.announced
        return self.assess.step([cut])

    def _obey(self, one: Received) -> list[Output]:
        command = one.said
        if isinstance(command, Refused) or self._commands.knows(one.offset, command.command_id):
            return []  # the first is refused where it is read
        self._commands.note(one.offset)
        try:
            outputs = self.assess.mark(command.rule, command.alert_id, mark_of(command))
            if not outputs:
                raise of_lane() if self._is_of_lane(command) else unknown()
        except Refused as refused:
            return [one.letter(refused)]
        self._commands.note(one.offset, command.command_id)
        return outputs

    def _is_of_lane(self, command: Command) -> bool:
        """Whether a partition of an input may judge the alert that a command names."""
        finished = self.plan.finished.values()
        return any(folded.sign.id == command.rule for own in finished for folded in own)

    def _pass_over(self, raw: bytes) -> list[Output]:
        """Take a record for its time alone, if it has one; its rows may be what nobody can read."""
        try:
            piece = read_piece(raw)
        except msgspec.MsgspecError:
            return []  # a cut that it was a part of will be missed
        cut = self._assembled(piece, rows=False)
        if cut is None:
            return []
        self.unusable += max(0, cut.announced - self._announced.get(cut.lane, 0))
        self._announced[cut.lane] = cut.announced
        return self.assess.pass_over(cut)

    def _assembled(self, piece: Piece, *, rows: bool = True) -> Cut | None:
        if piece.lane not in self._lanes:
            raise ValueError(f"{piece.lane} is no lane of the configuration")
        if piece.resumes and piece.cut > self._resumed.get(piece.lane, BEGINNING):
            # Once: a lane may send it again, and may begin again behind what it had said.
            self._resumed[piece.lane] = piece.cut
            self.assess.forgiven.add(piece.lane)
        return self._assembler.add(piece, self.assess.heard(piece.lane), rows=rows)

    def begin_at(self, offset: int) -> None:
        self.next_offset = max(offset, self.next_offset)

    def lose(self, until: int) -> list[Output]:
        first = self.next_offset
        self.lost += until - first
        self.begin_at(until)
        self.assess.forgive()
        place = self.plan.configuration.city.place
        t = max(0, self.assess.watermark(self.plan.lanes))
        return loss_alert(self.lane, first, until, t, place, self.plan.config)

    def freeze(self, *, whole: bool = False) -> Frozen:
        forgiven = [list(lane) for lane in sorted(self.assess.forgiven)]
        announced = [[*lane, count] for lane, count in self._announced.items()]
        resumed = [[*lane, *name] for lane, name in self._resumed.items()]
        told = [forgiven, announced, resumed, self._assembler.dump(), self._commands.dump()]
        state = [self.lost, self.next_offset, self.unusable, *told]
        own = msgspec.msgpack.encode(state)
        return {**self.assess.freeze(whole), _TASK: lambda: own}

    def load(self, parts: Mapping[str, bytes]) -> None:
        state = msgspec.msgpack.decode(parts[_TASK])
        self.lost, self.next_offset, self.unusable, forgiven, announced, resumed, *rest = state
        pieces, commands = rest
        self._commands.load(commands)
        self._resumed = {Lane(*lane): (offset, tick) for *lane, offset, tick in resumed}
        self._announced = {Lane(*lane): count for *lane, count in announced}
        self.assess.forgiven = {Lane(*lane) for lane in forgiven}
        self._assembler.load(pieces)
        self.assess.load({name: part for name, part in parts.items() if name != _TASK})


AnyTask: TypeAlias = IntakeTask | AssessTask | ControlTask


def task_of(plan: Plan, lane: Lane) -> AnyTask:
    """The task of an input partition, of one of the partials topic, or of the commands; without a
    past.
    """
    if lane.topic == CONTROL:
        return ControlTask(plan)
    if lane.topic == PARTIALS:
        return AssessTask(plan, lane.partition)
    return IntakeTask(plan, lane)
