"""What a worker owns, and what can be seen of it.  Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from agents.assess import Assess
from agents.intake import Intake
from agents.judge import Judge
from agents.tasks import AnyTask, AssessTask, IntakeTask
from streams.accounting import Accounting
from streams.frozen import Frozen
from streams.records import Lane
from streams.snapshots import Records, SnapshotWriter


def listed(lanes: Collection[Lane]) -> str:
    """Lanes in few words.

    >>> listed([Lane("b", 1), Lane("a", 0), Lane("b", 0)])
    'a/0, b/0,1'
    """
    topics: dict[str, list[str]] = {}
    for topic, partition in sorted(lanes):
        topics.setdefault(topic, []).append(str(partition))
    words = ", ".join(f"{topic}/{','.join(numbers)}" for topic, numbers in topics.items())
    return words or "nothing: there are more workers than partitions"


class Group(Protocol):
    """What the engine asks of the consumer group."""

    async def commit(self, offsets: Mapping[Lane, int]) -> bool:
        """Tell the group how far the lanes are; whether it took it from this member."""
        ...

    def end_offset(self, lane: Lane) -> int | None:
        """End of the lane's log, as far as it is known."""
        ...

    def first_offsets(self, lanes: Collection[Lane]) -> dict[Lane, int]:
        """The first offset there still is of each lane; blocks."""
        ...

    def end_offsets(self, lanes: Collection[Lane]) -> dict[Lane, int]:
        """The end of each lane's log, asked of the broker; blocks."""
        ...


@dataclass(frozen=True)
class FrozenTask:
    """A task's state at one moment, to be encoded beside the work."""

    task: AnyTask
    writer: SnapshotWriter
    parts: Frozen
    progress: tuple[int, int]
    offset: int

    def records(self, taken_ms: int) -> Records:
        """Encode what changed, as of a time in int64 ms UTC; slow, so for a thread."""
        parts = {name: encode and encode() for name, encode in self.parts.items()}
        return self.writer.write(parts, self.progress, taken_ms)


class Owned:
    """The tasks of a worker, by the partition that each of them reads.

    Parameters
    ----------
    group
        Knows the ends of the logs.
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self.tasks: dict[Lane, AnyTask] = {}

    @property
    def lanes(self) -> dict[Lane, Intake]:
        """The intake of every input lane that is owned."""
        return {t.lane: t.intake for t in self._tasks() if isinstance(t, IntakeTask)}

    def _tasks(self) -> list[AnyTask]:
        # A copy: metrics are read in a thread of their own.
        return list(self.tasks.values())

    def _assessing(self) -> list[Assess]:
        """The shards, and the parts of lanes that finish signs by themselves."""
        found = []
        for task in self._tasks():
            if isinstance(task, AssessTask):
                found.append(task.assess)
            elif isinstance(task, IntakeTask) and task.intake.own is not None:
                found.append(task.intake.own.assess)
        return found

    @property
    def open_panes(self) -> int:
        lanes = sum(intake.open_panes() for intake in self.lanes.values())
        return lanes + sum(assess.open_windows() for assess in self._assessing())

    @property
    def results(self) -> int:
        return sum(assess.results for assess in self._assessing())

    @property
    def alerts(self) -> int:
        return sum(assess.alerts_raised for assess in self._assessing())

    @property
    def alerts_standing(self) -> int:
        return sum(assess.alerts_standing for assess in self._assessing())

    @property
    def judges(self) -> list[Judge]:
        return [one.judge for assess in self._assessing() for one in assess.judges.values()]

    @property
    def lost(self) -> int:
        return sum(task.lost for task in self._tasks())

    def end_offset(self, lane: Lane) -> int | None:
        return self.group.end_offset(lane)

    def lag(self) -> int:
        """Records that are there and not applied yet, in all tasks, as far as it is known."""
        ends = [(self.group.end_offset(task.lane) or 0, task) for task in self._tasks()]
        return sum(max(0, end - task.next_offset) for end, task in ends)

    def total(self) -> Accounting:
        """Accounting over the lanes that are owned."""
        total = Accounting()
        for intake in self.lanes.values():
            total.add(intake.accounting)
        return total

    def summary(self) -> dict[str, Any]:
        """Accounting by lane and in all of what is owned, and results and alerts so far."""
        return {
            "accounting": {str(lane): i.accounting.as_dict() for lane, i in self.lanes.items()},
            "total": self.total().as_dict(),
            "lost": {task.name: task.lost for task in self._tasks() if task.lost},
            "vitals": self.results,
            "alerts": self.alerts,
            "lag": self.lag(),
        }
