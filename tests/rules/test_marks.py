"""R2: what people decide about alerts is obeyed where the alert log has it, to the byte."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from random import Random
from typing import Any

import pytest

from agents.commanding import bytes_of, command_of
from agents.control import CONTROL_LANE
from agents.outputs import DEAD_LETTER
from agents.pipeline import Pipeline
from agents.plan import Plan, compile_plan
from agents.tasks import AssessTask, ControlTask
from streams.records import Chunk, Output
from tests.kept import Parts, all_kept
from tests.rules.city_logs import assert_same, said
from tests.rules.configurations import FULL
from tests.rules.logs import chunks_of
from tests.rules.marking import (
    MARKS,
    Person,
    alerts_in,
    assert_marked_by_rule,
    commands,
    lived,
    of_events,
    taken,
    without_marks,
    written,
)
from tests.rules.test_incidents_same_bytes import RICH, log_of
from tests.rules.test_same_bytes import mixed, small_log
from tests.rules.test_shards import SPLITS, sharded
from tests.rules.test_two_hops import (
    NONE,
    as_chunks,
    encoded,
    others_of,
    partials_of,
    sent_by_lanes,
)
from tests.rules.test_two_hops import mixed as mixed_records
from tests.rules.wide import SECRET

SEEDS = range(4)


@cache
def plan() -> Plan:
    return compile_plan(RICH, SECRET)


@cache
def run(seed: int) -> tuple[list[Chunk], list[Output]]:
    rng = Random(seed)
    return lived(plan(), mixed(chunks_of(log_of(seed), 3), rng), rng)


def test_the_runs_have_marks_of_every_kind() -> None:
    counts = Counter[str]()
    for seed in SEEDS:
        for alert in alerts_in(run(seed)[1]):
            counts[alert["transition"]] += 1
            if alert["transition"] in MARKS:
                counts[alert["kind"]] += 1
                counts["suppressed child"] += alert["suppressed_by"] is not None
                counts["at its limit"] += alert["by"] is None
    asked = (*MARKS, "incident", "threshold", "suppressed child", "at its limit")
    assert all(counts[name] > 3 for name in asked), counts


@pytest.mark.parametrize("seed", SEEDS)
def test_marks_follow_their_rule_and_change_nothing_else(seed: int) -> None:
    alerts = alerts_in(run(seed)[1])
    assert_marked_by_rule(alerts)
    pipeline = Pipeline(plan())
    outputs = [o for chunk in chunks_of(log_of(seed)) for o in pipeline.step(chunk)]
    bare = alerts_in(outputs + pipeline.end())
    assert by_alert(without_marks(alerts)) == by_alert(bare)


def by_alert(alerts: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for alert in alerts:
        found.setdefault(alert["alert_id"], []).append(alert)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_replays_of_any_shape_obey_what_is_written(seed: int) -> None:
    """Other chunks, another order of lanes, restored now and then, told of the marks each time."""
    expected = of_events(run(seed)[1])
    marks = written(expected)
    assert len(marks) > 3
    for size, restores in ((1, 0.0), (7, 0.2), (10**6, 0.0)):
        rng = Random(100 * seed + size)
        pipeline, outputs = Pipeline(plan()), list[Output]()
        pipeline.schedule_marks(marks)
        for chunk in mixed(chunks_of(log_of(seed), size), rng):
            outputs += pipeline.step(chunk)
            if rng.random() < restores:
                tasks = all_kept({}, pipeline.freeze(whole=True))
                pipeline = Pipeline(plan())
                pipeline.load(tasks)
                pipeline.schedule_marks(marks)
        assert_same(outputs + pipeline.end(), said(expected))


@pytest.mark.parametrize("split", ["a district", "two lists"])
def test_replays_in_shards_obey_what_is_written(split: str) -> None:
    """Each shard has alerts of its own, and they stand in one log."""
    many = compile_plan(sharded(FULL, SPLITS[split]), SECRET)
    log = small_log(FULL, Random(3), 12_000)
    _, outputs = lived(many, mixed(chunks_of(log, 3), Random(3)), Random(3))
    marks = written(outputs)
    assert len(marks) > 3
    assert_marked_by_rule(alerts_in(outputs))
    # A shard may write long before another what it judges of the same time.
    order = sorted(marks, key=lambda one: (one.alert_id, one.number))
    pipeline = Pipeline(many)
    pipeline.schedule_marks(order)
    again = [output for chunk in chunks_of(log) for output in pipeline.step(chunk)]
    assert_same(again + pipeline.end(), said(of_events(outputs)))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_kill_at_any_point_of_a_run_with_commands(seed: int) -> None:
    """All since the last snapshot is lost, and comes again in the order in which it had come."""
    order, expected = run(seed)
    rng = Random(seed)
    kills = set(rng.sample(range(len(order)), min(12, len(order))))
    tasks: dict[str, Parts] = {}
    pipeline, durable, since = Pipeline(plan()), list[Output](), list[Output]()
    at = behind = 0
    while at < len(order):
        if at in kills:
            kills.remove(at)
            pipeline, since, at = Pipeline(plan()), [], behind
            pipeline.load(tasks)
        since += taken(pipeline, order[at])
        at += 1
        if rng.randrange(6) == 0:
            tasks = all_kept(tasks, pipeline.freeze())
            durable, since, behind = durable + since, [], at
    assert_same(durable + since + pipeline.end(), said(expected))


def test_commands_delivered_twice_are_obeyed_once() -> None:
    order, expected = run(0)
    pipeline = Pipeline(plan())
    outputs = [o for chunk in order for _ in range(2) for o in taken(pipeline, chunk)]
    assert_same(outputs + pipeline.end(), said(expected))


def standing() -> tuple[Pipeline, Person]:
    """A pipeline with alerts that stand, and who knows of them."""
    pipeline, person = Pipeline(plan()), Person(Random(0))
    for chunk in chunks_of(log_of(1), 5):
        person.look(pipeline.step(chunk))
        if len(person.standing) > 3:
            break
    return pipeline, person


def ack(alert: dict[str, Any], command_id: str, **more: Any) -> bytes:
    return bytes_of(
        command_of("ack", {**alert, **more}, "duty", "known", None, alert["t_update"], command_id)
    )


def letters(outputs: list[Output]) -> list[tuple[int, str, str]]:
    found = [json.loads(o.value) for o in outputs if o.topic == DEAD_LETTER]
    assert all((x["topic"], x["partition"]) == CONTROL_LANE for x in found)
    return [(x["offset"], x["reason"], x["where"]) for x in found]


def test_what_can_not_be_obeyed_is_told_and_repeats_nothing() -> None:
    pipeline, person = standing()
    alert = next(iter(person.standing.values()))
    shelve = command_of("shelve", alert, "duty", "works", 1, alert["t_update"], "old")
    raws = [
        b'{"kind":"ack"}',
        b"duty desk says so",
        ack(alert, "gone", alert_id="0" * 24),
        ack(alert, "other", rule="t.nothing"),
        bytes_of(shelve).replace(str(shelve.until).encode(), b"1772000000000"),
        ack(alert, "line").replace(b"known", b"kno\\nwn"),
    ]
    outputs = pipeline.command(commands(raws))
    assert alerts_in(outputs) == []
    assert letters(outputs) == [
        (0, "missing_field", "$.command_id"),
        (1, "malformed", "byte 0"),
        (2, "no_such_alert", "$.alert_id"),
        (3, "no_such_alert", "$.alert_id"),
        (4, "out_of_bounds", "$.until"),
        (5, "control_character", "$.reason"),
    ]
    assert not any(b"duty" in o.value or b"kno" in o.value for o in outputs)
    assert pipeline.positions()[CONTROL_LANE] == 6


def test_an_id_that_comes_again_is_obeyed_once_but_not_where_it_was_refused() -> None:
    pipeline, person = standing()
    first, second, *_ = person.standing.values()
    raws = [ack(first, "a"), ack(second, "a"), ack(second, "b", alert_id="f" * 24)]
    outputs = pipeline.command(commands([*raws, ack(second, "b")]))
    acked = [(x["alert_id"], x["transition"], x["acked"]) for x in alerts_in(outputs)]
    assert acked == [(x["alert_id"], "acked", True) for x in (first, second)]
    assert [where[0] for where in letters(outputs)] == [2]
    tasks = all_kept({}, pipeline.freeze())
    again = Pipeline(plan())
    again.load({**all_kept({}, pipeline.freeze(whole=True)), **tasks})
    assert again.command(commands([ack(first, "a")], 4)) == []


def test_commands_on_kafka_are_obeyed_where_they_stand_among_the_cuts() -> None:
    """Whatever the chunks and restarts, and where each is passed on twice: once, to the byte.

    One process that obeys what was written says the same.
    """
    log, rng = log_of(2), Random(2)
    sent = sent_by_lanes(plan(), chunks_of(log, 9), [])
    control, task, person = ControlTask(plan()), AssessTask(plan(), 0), Person(rng)
    order, expected, offset = list[Output](), list[Output](), 0
    for record in mixed_records(partials_of(sent), rng):
        now = [record]
        if (raw := person.decide()) is not None:
            now += control.step(commands([raw], person.given - 1), NONE)
        for one in now:
            at = range(offset, offset + 1)
            chunk = Chunk(*task.lane, at, [one.timestamp], [one.key], [one.value])
            told = task.step(chunk, NONE)
            person.look(told)
            order.append(one)
            expected += told
            offset += 1
    alerts = alerts_in(expected)
    assert sum(alert["transition"] in MARKS for alert in alerts) > 10
    assert_marked_by_rule(alerts)
    passed = [o for o in order if dict(o.headers)["ce_type"] == b"city.command.v1"]
    assert passed
    again = list(order)
    for at, one in enumerate(passed):
        if at % 3 == 0:
            # A former owner's comes late, after those that the next one had passed on again.
            again.insert(rng.randrange(again.index(one) + 1, len(again) + 1), one)
    for records, restarts in ((order, 0.0), (again, 0.3)):
        other, outputs = AssessTask(plan(), 0), list[Output]()
        for chunk in as_chunks(records, 0, rng, 6):
            outputs += other.step(chunk, NONE)
            if rng.random() < restarts:
                parts, other = encoded(other), AssessTask(plan(), 0)
                other.load(parts)
        assert_same(outputs, said(expected))
    pipeline = Pipeline(plan())
    pipeline.schedule_marks(written(expected))
    one_process = [o for chunk in chunks_of(log, 9) for o in pipeline.step(chunk)]
    assert_same(of_events(one_process), said(of_events(others_of(sent) + expected)))


def test_a_control_task_goes_on_where_it_was() -> None:
    _, person = standing()
    alert = next(iter(person.standing.values()))
    task = ControlTask(plan())
    first = task.step(commands([ack(alert, "a"), b"{}"]), NONE)
    assert [o.topic for o in first] == ["city.partials.v1", DEAD_LETTER]
    again = ControlTask(plan())
    again.load({name: encode() for name, encode in task.freeze(whole=True).items() if encode})
    assert again.next_offset == 2
    assert again.step(commands([ack(alert, "a"), b"{}"]), NONE) == []
    (letter,) = again.step(commands([ack(alert, "c")], 2), frozenset({2}))
    assert json.loads(letter.value)["reason"] == "crashed"
