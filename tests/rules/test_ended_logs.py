"""What a log says once does not change when it ends and goes on.

A replay ends with a tick that closes every window with data. A hall of sensors that stopped at
noon must not be judged again, as empty, because somebody fed the afternoon after the end.
"""

from __future__ import annotations

from collections import defaultdict

import pytest

from agents.city import City
from agents.intake import StepError
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.signs import DerivedSign, Sign
from streams.partitioning import partition_of
from streams.records import Chunk, Lane, Output
from tests.kept import all_kept
from tests.rules.city_logs import SCALE, city_plan

PLAN = city_plan()


def feed(pipeline: Pipeline, minutes: range, topics: tuple[str, ...]) -> list[Output]:
    city, lanes = City(11, SCALE), defaultdict(list)
    for minute in minutes:
        for e in city.minute(minute):
            if e.topic in topics:
                lanes[Lane(e.topic, partition_of(e.key, 4))].append(e)
    outputs: list[Output] = []
    for lane, records in sorted(lanes.items()):
        first = pipeline.lanes[lane].next_offset
        offsets = range(first, first + len(records))
        columns = zip(*((e.arrival_ms, e.key, e.value) for e in records), strict=True)
        times, keys, values = map(list, columns)
        outputs += pipeline.step(Chunk(*lane, offsets, times, keys, values))
    return outputs


def test_nothing_is_said_twice_when_a_log_goes_on_after_its_end() -> None:
    pipeline = Pipeline(PLAN)
    outputs = feed(pipeline, range(60), ("city.sensor.v1",))
    outputs += feed(pipeline, range(30), ("city.traffic.v1", "city.hotline.v1"))
    outputs += pipeline.end()
    afternoon = range(240, 280)
    outputs += feed(pipeline, afternoon, ("city.sensor.v1", "city.traffic.v1", "city.hotline.v1"))
    outputs += pipeline.end()
    said: dict[tuple[str, bytes], set[bytes]] = defaultdict(set)
    times: dict[tuple[str, bytes], int] = defaultdict(int)
    for o in outputs:
        name = (o.topic, dict(o.headers)["ce_id"])
        said[name].add(o.value)
        times[name] += 1
    assert len(said) > 5_000
    assert {n for n, values in said.items() if len(values) > 1} == set()
    assert {n for n, count in times.items() if count > 1} == set()
    assert pipeline.total().remainder == 0


def test_a_log_is_ended_once() -> None:
    pipeline = Pipeline(PLAN)
    feed(pipeline, range(20), ("city.sensor.v1",))
    assert pipeline.end()
    assert pipeline.end() == []
    again = Pipeline(PLAN)
    again.load(all_kept({}, pipeline.freeze(whole=True)))
    assert again.end() == []


def test_a_failure_behind_the_partials_names_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash in the second hop once named no record: it was never set aside, and came for ever."""
    pipeline = Pipeline(PLAN)

    def fail(cuts: object) -> list[Output]:
        raise RuntimeError("planted")

    monkeypatch.setattr(pipeline.shards[0], "step", fail)
    with pytest.raises(StepError) as caught:
        feed(pipeline, range(2), ("city.sensor.v1",))
    assert caught.value.lane.topic == "city.sensor.v1"
    assert caught.value.offset >= 0


def reads(sign: Sign, topic: str) -> bool:
    """Whether a sign, or one that it is made of, reads such events; an index of all signs does."""
    return isinstance(sign, DerivedSign) or getattr(sign, "topic", None) == topic


def test_a_topic_without_signs_forgets_too() -> None:
    """Ten days of official warnings once stood in memory, all of them."""
    signs = [s for s in PLAN.configuration.signs if not reads(s, "external")]
    parts = {"signs": signs, "incidents": [], "overlays": []}
    pipeline = Pipeline(compile_plan(PLAN.configuration.model_copy(update=parts)))
    lane, start = Lane("city.external.v1", 0), 1_772_402_400_000
    values = [
        b'{"kind":"warning","warning_id":"w%d","id":"%d","issuer":"x","event":"rain","level":1,'
        b'"status":"cancelled","t":%d,"place":"4401"}' % (i, i, start + i * 60_000)
        for i in range(3000)
    ]
    times = [start + i * 60_000 for i in range(3000)]
    pipeline.step(Chunk(*lane, range(3000), times, [b""] * 3000, values))
    assert pipeline.total().filtered == 3000
    assert len(pipeline.lanes[lane]._seen) < 30
