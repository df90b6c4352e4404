"""Records that were deleted after a crash: the lane has said other things in its former life."""

from __future__ import annotations

from typing import Any

import pytest

from agents.outputs import ALERT_LOG, PARTIALS
from agents.plan import compile_plan
from agents.tasks import AssessTask, IntakeTask
from streams.cuts import GapError
from streams.records import Chunk, Output
from tests.agents.test_cluster import LANE, chunk
from tests.faults.kafka_log import configuration
from tests.kept import encoded

PLAN = compile_plan(configuration({}))
NONE: frozenset[int] = frozenset()


class Partials:
    """The partials topic, and the assessment that reads it."""

    def __init__(self) -> None:
        self.assess = AssessTask(PLAN, 0)

    def take(self, outputs: list[Output]) -> list[Output]:
        pieces = [o.value for o in outputs if o.topic == PARTIALS]
        first = self.assess.next_offset
        offsets = range(first, first + len(pieces))
        keys: list[Any] = [None] * len(pieces)
        times = [0] * len(pieces)
        return self.assess.step(Chunk(PARTIALS, 0, offsets, times, keys, pieces), NONE)


@pytest.mark.parametrize(("former", "until"), [(20, 12), (12, 20), (12, 12), (40, 9)])
def test_the_assessment_goes_on_after_a_loss(former: int, until: int) -> None:
    lane, partials = IntakeTask(PLAN, LANE), Partials()
    partials.take(lane.step(chunk(0, 6), NONE))
    saved = encoded(lane.freeze(whole=True))
    partials.take(lane.step(chunk(6, former - 6), NONE))

    again = IntakeTask(PLAN, LANE)
    again.load(saved)
    (alert, *_) = [o for o in again.lose(until) if o.topic == ALERT_LOG]
    assert b'"engine.lost_records"' in alert.value
    assert again.lost == until - 6
    for first in range(until, 60, 3):
        partials.take(again.step(chunk(first, 3), NONE))
        restored = IntakeTask(PLAN, LANE)
        restored.load(encoded(again.freeze(whole=True)))
        again = restored
    assert partials.assess.assess.heard(LANE)[0] >= 59


def test_a_gap_that_nobody_told_of_stops_it() -> None:
    lane, partials = IntakeTask(PLAN, LANE), Partials()
    partials.take(lane.step(chunk(0, 6), NONE))
    lane.step(chunk(6, 3), NONE)  # what it said is gone
    with pytest.raises(GapError):
        partials.take(lane.step(chunk(9, 3), NONE))
