"""Tasks of a worker: what is lost or left out is told, and the rest goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from random import Random
from typing import Any

import msgspec
import pytest

from agents.intake import StepError
from agents.outputs import ALERT_LOG, ALERTS, DEAD_LETTER, LOST, PARTIALS, VITALS_LOG
from agents.plan import compile_plan
from agents.tasks import AssessTask, IntakeTask, families_of, task_of
from schemas.alert import Alert
from schemas.tick import Tick
from streams.cuts import Cut, GapError
from streams.partials import Assembler, pack, read_piece
from streams.records import Chunk, Lane, Output
from tests.rules.configurations import configuration, sensor, topic, window

MINUTE_MS = 60_000
T = 1_772_294_400_000
FIRST, SECOND, SHARD = Lane("sensor", 0), Lane("sensor", 1), Lane(PARTIALS, 0)
NONE: frozenset[int] = frozenset()
PLAN = compile_plan(
    configuration(
        [
            sensor(
                "a.rain",
                "count",
                "rain",
                "street",
                aggregate={"function": "count"},
                window=window(60, 60),
                keys=["street", "city"],
                rollup="merge",
                empty="zero",
            )
        ],
        [topic("sensor", 2, 300, disorder_s=0)],
    )
)


def reading(minute: float, street: str = "440106001") -> bytes:
    event = {"device": "d", "metric": "rain", "unit": "mm", "value": 1, "place": street}
    return json.dumps({**event, "t": T + round(minute * MINUTE_MS)}).encode()


def chunk(lane: Lane, values: list[bytes], first: int = 0) -> Chunk:
    offsets = range(first, first + len(values))
    times, keys = [T + 60 * MINUTE_MS] * len(values), [None] * len(values)
    return Chunk(*lane, offsets, times, keys, values)


def partials(outputs: Iterable[Output]) -> list[bytes]:
    return [o.value for o in outputs if o.topic == PARTIALS]


def minutes_of(lane: Lane, count: int = 12) -> list[bytes]:
    """The records of a lane that has a reading in every minute; each but the first cuts one."""
    task = IntakeTask(PLAN, lane)
    values = [reading(minute + 0.5) for minute in range(count)]
    return partials(task.step(chunk(lane, values), NONE))


def both_lanes() -> list[bytes]:
    """Records of both lanes in turn."""
    pairs = zip(minutes_of(FIRST), minutes_of(SECOND), strict=True)
    return [record for pair in pairs for record in pair]


def counts(outputs: Iterable[Output], key: str = "440106001") -> dict[int, int]:
    """Number of events by the minute in which a window of a key ends; each is said once."""
    read = [json.loads(o.value) for o in outputs if o.topic == VITALS_LOG]
    ends = [(r["t_end"] - T) // MINUTE_MS for r in read if r["key"] == key]
    assert len(ends) == len(set(ends))
    return dict(zip(ends, (r["n"] for r in read if r["key"] == key), strict=True))


def again(task: AssessTask | IntakeTask) -> Any:
    """The task after a restart."""
    other = task_of(PLAN, task.lane)
    other.load({name: encode() for name, encode in task.freeze(whole=True).items() if encode})
    assert other.progress == task.progress
    return other


def test_tasks_are_named_and_made_by_their_partition() -> None:
    intake, shard = task_of(PLAN, FIRST), task_of(PLAN, SHARD)
    assert isinstance(intake, IntakeTask)
    assert isinstance(shard, AssessTask)
    assert (intake.name, shard.name) == ("sensor/0", "assess/0")
    assert (intake.progress, shard.progress) == ((0, 0), (0, 0))
    for task in (intake, shard):
        task.begin_at(7)
        task.begin_at(3)
        assert (task.next_offset, task.lost) == (7, 0)


def test_progress_rises_with_records_and_with_ticks() -> None:
    task = IntakeTask(PLAN, FIRST)
    task.step(chunk(FIRST, [reading(0)]), NONE)
    assert task.progress == (1, 0)
    tick = Tick(topic="sensor", partition=0, next_offset=1, number=4, t=T + 5 * MINUTE_MS)
    (record,) = task.schedule([tick])
    assert (record.topic, record.partition) == (PARTIALS, 0)
    assert read_piece(record.value).cut == (0, 4)
    assert task.schedule([tick]) == []
    assert task.progress == again(task).progress == (1, 4)


# -- what is lost


def the_alert(outputs: list[Output]) -> Alert:
    logged, current = outputs
    assert (logged.topic, current.topic) == (ALERT_LOG, ALERTS)
    assert (logged.key, logged.value) == (current.key, current.value)
    return msgspec.json.decode(logged.value, type=Alert)


def test_records_that_a_lane_lost_are_counted_and_told() -> None:
    task = IntakeTask(PLAN, FIRST)
    task.step(chunk(FIRST, [reading(0.5), reading(1.5)]), NONE)
    outputs = task.lose(10)
    alert = the_alert(outputs)
    assert (alert.rule, alert.state, alert.level, alert.value) == (LOST, "raised", 4, 8.0)
    assert (alert.key_level, alert.key, alert.labels["lane"]) == ("city", "4401", "sensor/0")
    assert alert.t_raised == T + 1.5 * MINUTE_MS
    assert "records 2-9 were deleted" in alert.annotations["title_en"]
    assert (task.lost, task.next_offset) == (8, 10)
    other = again(task)
    assert other.lost == 8
    (record,) = partials(other.step(chunk(FIRST, [reading(2.5)], first=10), NONE))
    assert read_piece(record).cut == (10, 0)
    assert other.intake.accounting.accepted == 3
    assert task_of(PLAN, FIRST).lose(10)[0].value != outputs[0].value


def test_losses_of_several_stretches_are_alerts_of_their_own() -> None:
    task = IntakeTask(PLAN, FIRST)
    alerts = [the_alert(task.lose(until)) for until in (5, 9)]
    assert len({alert.alert_id for alert in alerts}) == 2
    assert [alert.value for alert in alerts] == [5.0, 4.0]
    assert (task.lost, alerts[0].t_raised) == (9, 0)


def test_a_shard_that_lost_records_takes_the_next_cut_of_each_lane() -> None:
    records = both_lanes()
    task = AssessTask(PLAN, 0)
    before = task.step(chunk(SHARD, records[:7]), NONE)
    told = task.lose(13)
    alert = the_alert(told)
    assert (alert.value, alert.labels["lane"]) == (6.0, "city.partials.v1/0")
    assert "records 7-12 were deleted" in alert.annotations["title_en"]
    task = again(task)
    assert task.lost == 6
    after = task.step(chunk(SHARD, records[13:], first=13), NONE)
    found = counts(before + after)
    whole = counts(AssessTask(PLAN, 0).step(chunk(SHARD, records), NONE))
    assert found.keys() == whole.keys()
    # Of the first lane the cuts of minutes 4 to 6 are gone, of the second those of 3 to 5.
    assert {end: whole[end] - n for end, n in found.items() if n != whole[end]} == {
        3: 1,
        4: 2,
        5: 2,
        6: 1,
    }


def test_after_its_next_cut_a_lane_that_misses_one_stops_the_shard_again() -> None:
    records = both_lanes()
    task = AssessTask(PLAN, 0)
    task.step(chunk(SHARD, records[:4]), NONE)
    task.lose(8)
    # Record 8 is the first lane's; 9, of the second, is missing, and not told as lost.
    task.step(chunk(SHARD, [records[8]], first=8), NONE)
    task = again(task)
    with pytest.raises(GapError, match="sensor/0: the cut at offset 6 follows 5"):
        task.step(chunk(SHARD, [records[12]], first=12), NONE)
    other = AssessTask(PLAN, 0)
    other.step(chunk(SHARD, records[:4]), NONE)
    other.lose(8)
    other.step(chunk(SHARD, [records[8], records[11]], first=8), NONE)
    with pytest.raises(GapError, match="sensor/1: the cut at offset 7 follows 6"):
        other.step(chunk(SHARD, [records[15]], first=15), NONE)


def test_what_was_lost_in_the_middle_of_a_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pieces that are left of it wait for nothing: the next whole cut of the lane is taken."""
    monkeypatch.setattr("streams.partials.PIECE_BYTES", 20)
    records = both_lanes()
    pieces = [read_piece(record) for record in records]
    middle = next(n for n in range(40, 80) if 0 < pieces[n].number < pieces[n].count - 1)
    for until in (middle + 1, middle + 9):
        task = AssessTask(PLAN, 0)
        before = task.step(chunk(SHARD, records[:middle]), NONE)
        task.lose(until)
        after = again(task).step(chunk(SHARD, records[until:], first=until), NONE)
        assert max(counts(before + after)) == 11
        total = sum(counts(before + after).values())
        assert 22 - total in range(1, 4)


def in_two_lives() -> tuple[list[bytes], list[bytes]]:
    """What a lane sends before it loses its minutes 4 to 8, and after.

    It begins again at a snapshot behind what it had sent already, of which it knows nothing.
    """
    values = [reading(minute + 0.5) for minute in range(14)]
    task = IntakeTask(PLAN, FIRST)
    first = partials(task.step(chunk(FIRST, values[:4]), NONE))
    behind = again(task)
    first += partials(task.step(chunk(FIRST, values[4:7], first=4), NONE))
    behind.lose(9)
    return first, partials(again(behind).step(chunk(FIRST, values[9:], first=9), NONE))


def test_a_lane_that_began_again_behind_what_it_had_said() -> None:
    first, second = in_two_lives()
    assert [read_piece(record).resumes for record in first + second] == [False] * 7 + [True] + [
        False
    ] * (len(second) - 1)
    task = AssessTask(PLAN, 0)
    outputs = task.step(chunk(SHARD, minutes_of(SECOND, 14) + first + second), NONE)
    assert counts(outputs)[6] == 2
    assert counts(outputs)[8] == 1
    assert counts(outputs)[13] == 2


def test_a_resuming_cut_that_comes_again_forgives_nothing() -> None:
    first, second = in_two_lives()
    task = AssessTask(PLAN, 0)
    task.step(chunk(SHARD, [*first, second[0], second[1], second[0]]), NONE)
    values = [second[0], second[3]]
    with pytest.raises(GapError, match="sensor/0: the cut at offset 12 follows 11"):
        again(task).step(chunk(SHARD, values, first=task.next_offset), NONE)


# -- what is left out


def spoilt(record: bytes) -> bytes:
    """The record with rows that no task can merge: their key is not among those that are told."""
    piece = read_piece(record)
    (*whole, ((*told, cells),)) = msgspec.msgpack.decode(piece.body)
    cells = cells[:8] + (9).to_bytes(8, "little") + cells[16:]
    body = msgspec.msgpack.encode([*whole, [[*told, cells]]])
    return msgspec.msgpack.encode(msgspec.structs.replace(piece, body=body))


def unreadable(record: bytes) -> bytes:
    """The record with rows of a sign that nobody knows."""
    return record.replace(b"a.rain", b"a.snow")


@pytest.mark.parametrize("breaking", [spoilt, unreadable])
def test_a_partial_record_that_stops_a_shard_is_left_out_but_for_its_time(breaking: Any) -> None:
    records = both_lanes()
    broken = [*records[:8], breaking(records[8]), *records[9:]]
    with pytest.raises(StepError, match=r"city\.partials\.v1/0 offset 8") as caught:
        AssessTask(PLAN, 0).step(chunk(SHARD, broken), NONE)
    assert (caught.value.lane, caught.value.offset) == (SHARD, 8)
    task, outputs = AssessTask(PLAN, 0), list[Output]()
    for first, until in ((0, 8), (8, 9), (9, len(broken))):
        task = again(task)
        outputs += task.step(chunk(SHARD, broken[first:until], first=first), frozenset({8}))
    (letter,) = [json.loads(o.value) for o in outputs if o.topic == DEAD_LETTER]
    assert (letter["topic"], letter["partition"], letter["offset"]) == (*SHARD, 8)
    assert (letter["reason"], letter["size"], letter["attempt"]) == ("crashed", len(broken[8]), 1)
    assert (task.unusable, task.lost) == (1, 0)
    whole = counts(AssessTask(PLAN, 0).step(chunk(SHARD, records), NONE))
    # The fifth cut of the first lane closes the fourth minute.
    assert counts(outputs) == whole | {4: 1}


def test_the_last_piece_of_a_broken_cut_is_the_one_that_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = both_lanes()
    whole = counts(AssessTask(PLAN, 0).step(chunk(SHARD, records), NONE))
    monkeypatch.setattr("streams.partials.PIECE_BYTES", 60)
    families = families_of(PLAN)
    cuts = [Assembler(families).add(read_piece(record), (-1, 0)) for record in records]
    head, broken, tail = (
        [piece for cut in part if cut is not None for piece in pack(cut, families)]
        for part in (cuts[:8], cuts[8:9], cuts[9:])
    )
    values, at = [*head, *map(unreadable, broken), *tail], len(head) + len(broken) - 1
    assert len(broken) > 1
    with pytest.raises(StepError, match=f"offset {at}"):
        AssessTask(PLAN, 0).step(chunk(SHARD, values), NONE)
    task = AssessTask(PLAN, 0)
    assert counts(task.step(chunk(SHARD, values), frozenset({at}))) == whole | {4: 1}
    assert task.unusable == 1


def test_a_record_that_is_no_partial_is_left_out_with_nothing_else() -> None:
    records = both_lanes()
    mixed = [*records[:5], b"not one of ours", *records[5:]]
    with pytest.raises(StepError, match="offset 5"):
        AssessTask(PLAN, 0).step(chunk(SHARD, mixed), NONE)
    task = AssessTask(PLAN, 0)
    outputs = task.step(chunk(SHARD, mixed), frozenset({5}))
    letters = [o for o in outputs if o.topic == DEAD_LETTER]
    rest = [o for o in outputs if o.topic != DEAD_LETTER]
    assert (len(letters), task.unusable) == (1, 0)
    assert rest == AssessTask(PLAN, 0).step(chunk(SHARD, records), NONE)


def test_a_cut_that_cannot_be_read_at_all_is_missed() -> None:
    """To leave its record out does not hide that its rows are missing."""
    records = both_lanes()
    broken = [*records[:8], records[8][:-5], *records[9:]]
    with pytest.raises(GapError, match="sensor/0"):
        AssessTask(PLAN, 0).step(chunk(SHARD, broken), frozenset({8}))


def test_a_lane_of_another_configuration_stops_the_shard() -> None:
    families = families_of(PLAN)
    foreign = pack(Cut(Lane("sensor", 2), (0, 0), (-1, 0), 0, 0, []), families)
    for quarantine in (NONE, frozenset({0})):
        with pytest.raises(StepError) as caught:
            AssessTask(PLAN, 0).step(chunk(SHARD, foreign), quarantine)
        assert "sensor/2 is no lane of the configuration" in str(caught.value.__cause__)


def test_a_record_that_stops_a_lane_is_left_out() -> None:
    values = [reading(0.5), reading(1.5), reading(2.5)]
    task = IntakeTask(PLAN, FIRST)
    outputs = task.step(chunk(FIRST, values), frozenset({1}))
    (letter,) = [json.loads(o.value) for o in outputs if o.topic == DEAD_LETTER]
    assert (letter["topic"], letter["offset"], letter["reason"]) == ("sensor", 1, "crashed")
    counted = task.intake.accounting
    assert (counted.read, counted.rejected, counted.accepted) == (3, 1, 2)
    assert [read_piece(record).cut for record in partials(outputs)] == [(0, 0), (2, 0)]


# -- what comes again


def test_records_that_came_before_are_skipped() -> None:
    records = both_lanes()
    task, outputs = AssessTask(PLAN, 0), list[Output]()
    rng = Random(1)
    for first in range(0, len(records), 5):
        behind = rng.randrange(first + 1)
        outputs += task.step(chunk(SHARD, records[behind : first + 5], first=behind), NONE)
    assert outputs == AssessTask(PLAN, 0).step(chunk(SHARD, records), NONE)
    assert task.step(chunk(SHARD, records[:3]), frozenset({1})) == []
    assert task.next_offset == len(records)


def test_offsets_without_records_are_passed() -> None:
    task = AssessTask(PLAN, 0)
    task.step(Chunk(*SHARD, [], [], [], [], began=0, ended=4), NONE)
    (record, *_) = both_lanes()
    task.step(Chunk(*SHARD, [6], [T], [None], [record], began=4, ended=9), NONE)
    assert task.progress == again(task).progress == (9, 0)
    assert task.assess.heard(FIRST) == (0, 0)
