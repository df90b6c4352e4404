"""One lane with the ticks that stand in it.  Pure: no clock, no I/O."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from agents.intake import Intake, IntakeStep
from agents.plan import Plan
from schemas.tick import Tick
from streams.frozen import Frozen, uncollected
from streams.records import Chunk, Lane, split


class LaneTask:
    """An intake that obeys written ticks where they stand.

    Attributes
    ----------
    missed
        Ticks that were written before records the lane had taken already: they can not be obeyed.
    """

    def __init__(self, plan: Plan, lane: Lane) -> None:
        self.intake = Intake(plan, lane)
        self.missed = 0
        self._looked_at = 0
        self._scheduled: deque[Tick] = deque()

    def schedule(self, ticks: Iterable[Tick]) -> None:
        """Note the ticks of this lane that were not obeyed yet, in the order of their numbers."""
        for tick in sorted(ticks, key=lambda tick: tick.number):
            if tick.number <= max(self.intake.ticks, self._looked_at):
                continue
            self._looked_at = tick.number
            if tick.next_offset < self.intake.next_offset:
                self.missed += 1
            else:
                self._scheduled.append(tick)

    def step(self, chunk: Chunk, quarantine: frozenset[int] = frozenset()) -> Iterator[IntakeStep]:
        """Take in a chunk, and the ticks before each of its records and after the last."""
        while self._scheduled and self._scheduled[0].next_offset < chunk.next_offset:
            tick = self._scheduled.popleft()
            before = bisect_left(chunk.offsets, tick.next_offset)
            if before:
                head, chunk = split(chunk, before)
                yield self.intake.step(head, quarantine)
            yield self._obey(tick)
        yield self.intake.step(chunk, quarantine)
        yield from self.settle()

    def settle(self) -> Iterator[IntakeStep]:
        """Obey the ticks that stand at the end of what was taken in."""
        while self._scheduled and self._scheduled[0].next_offset <= self.intake.next_offset:
            yield self._obey(self._scheduled.popleft())

    @property
    def progress(self) -> tuple[int, int]:
        """How far the lane has come: its next offset, and the number of the last tick obeyed."""
        return self.intake.next_offset, self.intake.ticks

    def freeze(self, whole: bool = False) -> Frozen:
        """The state in parts; ticks that were not obeyed yet stand in their own log."""
        return self.intake.freeze(whole)

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take over all parts of one freeze; SnapshotError where they do not fit."""
        with uncollected():
            self.intake.load(parts)

    def _obey(self, tick: Tick) -> IntakeStep:
        before, number = tick.next_offset, tick.number
        return self.intake.tick(tick.t, ends=tick.ends, before=before, number=number)
