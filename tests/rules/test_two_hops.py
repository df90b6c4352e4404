"""Both hops over records, as workers on Kafka do them, say what one process says (rule R2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.outputs import DEAD_LETTER, LATE, PARTIALS, TICKS
from agents.pipeline import Pipeline
from agents.plan import Plan, compile_plan
from agents.tasks import AssessTask, IntakeTask
from schemas.configuration import Configuration
from schemas.tick import Tick
from streams.cuts import GapError
from streams.partials import read_piece
from streams.records import Chunk, Lane, Output, split
from tests.rules.city_logs import Said, assert_same, city_lanes, city_plan, interleaved, said
from tests.rules.configurations import CALENDAR, FULL
from tests.rules.lanes import LaneName, Record
from tests.rules.logs import Writer, chunks_of
from tests.rules.wide import HOURS, SECRET, START, WIDE
from tests.rules.wide_logs import written

Sent = dict[Lane, list[Output]]
"""What each lane sends, in order."""
NONE: frozenset[int] = frozenset()


def in_one_process(plan: Plan, chunks: Iterable[Chunk], rng: Random) -> list[Output]:
    """What a pipeline says of a log, with ticks on its way and at its end."""
    pipeline, outputs, now = Pipeline(plan), list[Output](), 0
    for chunk in chunks:
        outputs += pipeline.step(chunk)
        now = max(now, chunk.timestamps[-1])
        if rng.randrange(8) == 0:
            lane = rng.choice(list(pipeline.lanes))
            outputs += pipeline.tick(lane, now + rng.choice((-60_000, 0, 1, 300_000)))
    return outputs + pipeline.end()


def ticks_of(outputs: Iterable[Output]) -> list[Tick]:
    return [msgspec.json.decode(o.value, type=Tick) for o in outputs if o.topic == TICKS]


def sent_by_lanes(plan: Plan, chunks: Iterable[Chunk], ticks: Iterable[Tick]) -> Sent:
    """The first hop of every lane, by tasks of their own."""
    tasks = {lane: IntakeTask(plan, lane) for lane in plan.lanes}
    written: dict[Lane, list[Tick]] = defaultdict(list)
    for tick in ticks:
        written[Lane(tick.topic, tick.partition)].append(tick)
    sent = {lane: task.schedule(written[lane]) for lane, task in tasks.items()}
    for chunk in chunks:
        sent[chunk.lane] += tasks[chunk.lane].step(chunk, NONE)
    assert all(task.intake.accounting.remainder == 0 for task in tasks.values())
    return sent


def partials_of(sent: Mapping[Lane, Iterable[Output]]) -> Sent:
    return {lane: [o for o in all_ if o.topic == PARTIALS] for lane, all_ in sent.items()}


def others_of(sent: Mapping[Lane, Iterable[Output]]) -> list[Output]:
    return [o for all_ in sent.values() for o in all_ if o.topic != PARTIALS]


def mixed(sent: Mapping[Lane, Sequence[Output]], rng: Random) -> list[Output]:
    """The records of all lanes in any order that keeps each lane's own, in runs now and then."""
    waiting = {lane: list(records)[::-1] for lane, records in sent.items() if records}
    order: list[Output] = []
    while waiting:
        lane = rng.choice(list(waiting))
        for _ in range(rng.choice((1, 1, 2, 40))):
            if lane in waiting:
                order.append(waiting[lane].pop())
                if not waiting[lane]:
                    del waiting[lane]
    return order


def of_shard(records: Iterable[Output], shard: int) -> list[Output]:
    return [record for record in records if record.partition == shard]


def as_chunks(records: Sequence[Output], shard: int, rng: Random, most: int) -> Iterator[Chunk]:
    """Records as a partition holds them: with offsets that are none's, where a transaction ends."""
    at, offset = 0, 0
    while at < len(records):
        part = records[at : at + rng.randrange(1, most + 1)]
        began, offsets = offset, list[int]()
        for _ in part:
            offset += rng.choice((0, 0, 0, 1, 3))
            offsets.append(offset)
            offset += 1
        offset += rng.choice((0, 0, 2))
        times, keys, values = [r.timestamp for r in part], [r.key for r in part], bytes_of(part)
        yield Chunk(PARTIALS, shard, offsets, times, keys, values, began=began, ended=offset)
        at += len(part)


def bytes_of(records: Iterable[Output]) -> list[bytes]:
    return [record.value for record in records]


def encoded(task: IntakeTask | AssessTask) -> dict[str, bytes]:
    """A whole snapshot."""
    return {name: encode() for name, encode in task.freeze(whole=True).items() if encode}


def assessed(
    plan: Plan, records: Sequence[Output], rng: Random, most: int = 50, restarts: float = 0
) -> list[Output]:
    """The second hop of every shard, over the records of its partition."""
    outputs: list[Output] = []
    for shard in range(plan.shards.count):
        task = AssessTask(plan, shard)
        for chunk in as_chunks(of_shard(records, shard), shard, rng, most):
            outputs += task.step(chunk, NONE)
            assert task.next_offset == chunk.next_offset
            if rng.random() < restarts:
                parts, task = encoded(task), AssessTask(plan, shard)
                task.load(parts)
    return outputs


def sent_again(records: Sequence[Output], rng: Random) -> list[Output]:
    """A lane's records as several owners send them.

    Each begins where a snapshot of an owner before it was, which is not ahead of what was sent;
    it goes on for a while beside the next, and the last one comes to the end.
    """
    order, positions, owners = list[Output](), [0], 5
    while positions[-1] < len(records):
        if owners and rng.randrange(1 + len(records) // 5) == 0:
            owners -= 1
            positions = [positions[-1], rng.randrange(max(positions) + 1)]
        owner = rng.choice((0, -1))
        if positions[owner] < len(records):
            order.append(records[positions[owner]])
            positions[owner] += 1
    return order


@pytest.fixture(scope="module")
def city() -> tuple[Said, list[Tick]]:
    """What one process says of a city's log, and the ticks that it wrote."""
    outputs = in_one_process(city_plan(), interleaved(100), Random(1))
    ticks = ticks_of(outputs)
    assert len(ticks) > 30
    return said(outputs), ticks


def city_sent(ticks: list[Tick], seed: int) -> tuple[Sent, list[Output]]:
    """What the lanes of the city send to the shard, and what they say themselves."""
    sent = sent_by_lanes(city_plan(), interleaved(300, Random(seed)), ticks)
    said_by_lanes = others_of(sent)
    assert {o.topic for o in said_by_lanes} == {LATE, DEAD_LETTER}
    return partials_of(sent), said_by_lanes


def test_any_order_of_lanes(city: tuple[Said, list[Tick]]) -> None:
    expected, ticks = city
    partials, others = city_sent(ticks, 2)
    rng = Random(2)
    assert_same(others + assessed(city_plan(), mixed(partials, rng), rng, most=1), expected)


def test_one_lane_after_another(city: tuple[Said, list[Tick]]) -> None:
    expected, ticks = city
    partials, others = city_sent(ticks, 3)
    records = [record for lane in partials.values() for record in lane]
    assert_same(others + assessed(city_plan(), records, Random(3), most=5000), expected)


def test_owners_that_repeat_each_other_in_small_pieces(
    city: tuple[Said, list[Tick]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lane restarts behind its snapshots, beside an owner that does not know of it yet.

    The shard stops and restarts too, between pieces of one cut.
    """
    expected, ticks = city
    monkeypatch.setattr("streams.partials.PIECE_BYTES", 700)
    rng = Random(6)
    partials, others = city_sent(ticks, 6)
    pieces = [read_piece(o.value) for lane in partials.values() for o in lane]
    assert max(piece.count for piece in pieces) > 5
    again = {lane: sent_again(records, rng) for lane, records in partials.items()}
    assert sum(map(len, again.values())) > 1.2 * len(pieces)
    outputs = assessed(city_plan(), mixed(again, rng), rng, restarts=0.05)
    assert_same(others + outputs, expected)


def killed_and_restored(
    plan: Plan, log: Mapping[Lane, Chunk], ticks: list[Tick], rng: Random, parts: int
) -> Sent:
    """What lanes send that are killed now and then, and begin again at their last snapshot."""
    return {
        lane: _killed_and_restored(
            IntakeTask(plan, lane),
            log.get(lane) or Chunk(*lane, [], [], [], [], began=0, ended=0),
            [tick for tick in ticks if Lane(tick.topic, tick.partition) == lane],
            rng,
            parts,
        )
        for lane in plan.lanes
    }


def _killed_and_restored(
    task: IntakeTask, whole: Chunk, ticks: list[Tick], rng: Random, parts: int
) -> list[Output]:
    most, kills = 1 + len(whole) // parts, 5
    sent, left = task.schedule(ticks), whole
    saved = encoded(task), left
    while len(left):
        head, left = split(left, 1 + rng.randrange(most))
        sent += task.step(head, NONE)
        draw = rng.randrange(6)
        if draw == 0:
            saved = encoded(task), left
        elif draw == 1 and kills:
            task, kills = IntakeTask(task.plan, task.lane), kills - 1
            snapshot, left = saved
            task.load(snapshot)
            sent += task.schedule(ticks)
    return sent


def once(outputs: Iterable[Output]) -> list[Output]:
    """The outputs without their repeats, which are alike to the byte (rule R6)."""
    first: dict[tuple[str, int | None, bytes], Output] = {}
    for output in outputs:
        name = (output.topic, output.partition, dict(output.headers)["ce_id"])
        assert first.setdefault(name, output) == output
    return list(first.values())


def test_a_lane_restored_from_a_snapshot_sends_the_same_again(
    city: tuple[Said, list[Tick]],
) -> None:
    expected, ticks = city
    plan, rng = city_plan(), Random(8)
    sent = killed_and_restored(plan, city_lanes(), ticks, rng, 8)
    unbroken, _ = city_sent(ticks, 0)
    partials = partials_of(sent)
    assert {lane: once(records) for lane, records in partials.items()} == unbroken
    assert sum(map(len, partials.values())) > 1.2 * sum(map(len, unbroken.values()))
    outputs = assessed(plan, mixed(partials, rng), rng)
    assert_same(once(others_of(sent)) + outputs, expected)


@pytest.mark.parametrize("bytes_of_a_piece", [1 << 18, 300])
def test_a_missing_record_stops_the_shard(
    city: tuple[Said, list[Tick]], bytes_of_a_piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ticks = city
    monkeypatch.setattr("streams.partials.PIECE_BYTES", bytes_of_a_piece)
    plan, rng = city_plan(), Random(9)
    partials, _ = city_sent(ticks, 0)
    for lane in rng.sample(list(plan.lanes), 8):
        records = list(partials[lane])
        last = read_piece(records[-1].value).cut
        missed = rng.choice([o for o in records if read_piece(o.value).cut != last])
        records.remove(missed)
        with pytest.raises(GapError, match=str(lane)):
            assessed(plan, records, rng)


def assert_log_stands(
    configuration: Configuration, log: Mapping[LaneName, Sequence[Record]], rng: Random
) -> None:
    """Chopped, ticked, killed, restored, sent again and mixed at random."""
    plan = compile_plan(configuration, SECRET)
    expected = in_one_process(plan, chunks_of(log, 1 + rng.randrange(4)), rng)
    whole = {chunk.lane: chunk for chunk in chunks_of(log)}
    sent = killed_and_restored(plan, whole, ticks_of(expected), rng, 1 + rng.randrange(12))
    records = mixed(partials_of(sent), rng)
    outputs = assessed(plan, records, rng, 1 + rng.randrange(20), restarts=0.2)
    assert_same(once(others_of(sent)) + outputs, said(expected))


def small_log(configuration: Configuration, rng: Random, unit: int) -> dict[LaneName, list[Record]]:
    writer = Writer(rng, START, unit, 25 * unit)
    return writer.write(configuration, rng.randrange(5, 90))


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.integers(30, 3000))
def test_any_small_log(rng: Random, bytes_of_a_piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.partials.PIECE_BYTES", bytes_of_a_piece)
        assert_log_stands(FULL, small_log(FULL, rng, 12_000), rng)


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.integers(30, 3000))
def test_any_small_log_of_states(rng: Random, bytes_of_a_piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.partials.PIECE_BYTES", bytes_of_a_piece)
        assert_log_stands(WIDE, written(WIDE, rng), rng)


@pytest.mark.parametrize("seed", range(8))
def test_small_logs_of_days(seed: int) -> None:
    rng = Random(seed)
    assert_log_stands(CALENDAR, small_log(CALENDAR, rng, 900_000), rng)


@pytest.mark.parametrize("seed", range(6))
def test_small_logs_of_states(seed: int) -> None:
    """Arrivals, orders, repeats, dimensions, limits, models: with a register that changes."""
    rng = Random(seed)
    assert_log_stands(WIDE, written(WIDE, rng, 150), rng)


@pytest.mark.parametrize("seed", range(3))
def test_small_logs_of_states_and_days(seed: int) -> None:
    rng = Random(seed)
    assert_log_stands(HOURS, written(HOURS, rng, 300), rng)
