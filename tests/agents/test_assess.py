"""The assess task: windows wait for their lanes alone, and close in order."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from agents.assess import Assess
from agents.plan import compile_plan
from streams.aggregates import MOMENTS
from streams.cuts import BEGINNING, Cut, CutName, Key
from streams.frozen import SnapshotError
from streams.records import Lane, Output
from streams.timeline import BEFORE_ALL
from tests.cells import partial_of
from tests.kept import kept
from tests.rules.configurations import CALENDAR, configuration, sensor, topic, traffic, window

MINUTE = 60_000
FIELDS = {
    "aggregate": {"function": "count"},
    "window": window(60, 60),
    "keys": ["street"],
    "rollup": "merge",
    "empty": "zero",
}
PLAN = compile_plan(
    configuration(
        [
            sensor("a.rain", "count", "rain", "street", **FIELDS),
            traffic("a.flow", "count", "segment_flow", "street", **FIELDS),
        ],
        [topic("sensor", 2, 300), topic("traffic", 1, 120)],
    )
)
FIRST, SECOND, TRAFFIC = PLAN.lanes


class Sender:
    """A lane that sends cuts, each named after the minute of its watermark."""

    def __init__(self, lane: Lane) -> None:
        self.lane, self.name, self.rows = lane, BEGINNING, 0

    def cut(self, minute: int, panes: Sequence[int] = (), *, late: bool = False) -> Cut:
        sign = "a.flow" if self.lane == TRAFFIC else "a.rain"
        partials = []
        for pane in panes:
            rows = [(Key("street", "440106001", "440106001"), (pane * MINUTE, 0, 0, 0))]
            partials.append(partial_of(sign, pane * MINUTE, MOMENTS, rows, late=late))
        name: CutName = (self.name[0] + 1, 0)
        self.rows += len(partials)
        cut = Cut(self.lane, name, self.name, minute * MINUTE, self.rows, partials)
        self.name = name
        return cut


def ends(outputs: list[Output]) -> list[tuple[str, int, int, int]]:
    read = [json.loads(o.value) for o in outputs if o.topic == "city.vitals-log.v1"]
    return [(r["vital"], r["t_end"] // MINUTE, r["n"], r["rev"]) for r in read]


def test_a_window_waits_for_all_lanes_of_its_topic_and_for_no_other() -> None:
    assess, first, second = Assess(PLAN), Sender(FIRST), Sender(SECOND)
    assert ends(assess.step([first.cut(3, [0, 1])])) == []
    assert assess.watermark((FIRST, SECOND)) == BEFORE_ALL
    found = ends(assess.step([second.cut(2, [0])]))
    assert found == [("a.rain", 1, 2, 0), ("a.rain", 2, 1, 0)]
    assert assess.watermark((FIRST, SECOND)) == 2 * MINUTE
    other = Sender(TRAFFIC)
    assert ends(assess.step([other.cut(1, [0])])) == [("a.flow", 1, 1, 0)]


def test_cuts_at_once_or_one_by_one_say_the_same_of_a_key() -> None:
    senders = [Sender(FIRST), Sender(SECOND), Sender(TRAFFIC)]
    cuts = [s.cut(minute, [minute - 1]) for minute in range(1, 9) for s in senders]
    by_one = Assess(PLAN)
    single = [o for cut in cuts for o in by_one.step([cut])]
    lanes_first = sorted(cuts, key=lambda cut: cut.lane)
    at_once = Assess(PLAN).step(lanes_first)
    assert sorted(single) == sorted(at_once)
    assert by_one.results == len(ends(single)) == 16


def test_a_correction_is_told_once_after_the_lateness() -> None:
    assess, first, second = Assess(PLAN), Sender(FIRST), Sender(SECOND)
    assess.step([first.cut(2, [0, 1]), second.cut(2, [0, 1])])
    # The lane hands corrections over when their own lateness, five minutes, has passed.
    assert ends(assess.step([first.cut(6, [0], late=True)])) == []
    found = ends(assess.step([second.cut(6)]))
    assert [e for e in found if e[3]] == [("a.rain", 1, 3, 1)]
    later = ends(assess.step([first.cut(99), second.cut(99)]))
    assert [e for e in later if e[3]] == []


def test_a_snapshot_between_any_two_cuts() -> None:
    senders = [Sender(FIRST), Sender(SECOND), Sender(TRAFFIC)]
    cuts = [s.cut(m, [m - 1] if m % 4 else []) for m in range(1, 30) for s in senders]
    unbroken = Assess(PLAN)
    expected = [o for cut in cuts for o in unbroken.step([cut])]
    assess, found = Assess(PLAN), list[Output]()
    for cut in cuts:
        again = Assess(PLAN)
        again.load(kept({}, assess.freeze(whole=True)))
        assess = again
        found += assess.step([cut])
    assert found == expected
    assert assess.open_windows() < 20


def test_a_snapshot_of_another_configuration_is_refused() -> None:
    with pytest.raises(SnapshotError, match="was made under configuration"):
        Assess(compile_plan(CALENDAR)).load(kept({}, Assess(PLAN).freeze()))
