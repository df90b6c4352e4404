"""What a log says once does not change when it ends and goes on.

A replay ends with a tick that closes every window with data. A hall of sensors that stopped at
noon must not be judged again, as empty, because somebody fed the afternoon after the end.
"""

from __future__ import annotations

import json
from collections import defaultdict

import pytest

from agents.city import City
from agents.intake import StepError
from agents.outputs import VITALS, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.loading import load
from schemas.signs import DerivedSign, Sign
from streams.partitioning import partition_of
from streams.records import Chunk, Lane, Output
from tests.kept import all_kept
from tests.rules.city_logs import SCALE, city_plan
from tests.rules.driven import alone
from tests.rules.driven_events import measured

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


CATALOGUE = load(environ={})
MIDNIGHT, HOUR = 1_772_380_800_000, 3_600_000
"""2 March 2026 in Guangzhou."""


def day_of_air(hours: range, until: int | None = None, first: int = 0) -> Chunk:
    """Clean air at one station in these hours of a day, and then damp until a time, int64 ms."""
    said = []
    for t in range(MIDNIGHT + hours.start * HOUR, MIDNIGHT + hours.stop * HOUR, 300_000):
        for metric, value in (("pm25", 30.0), ("pm10", 60.0), ("so2", 10.0), ("no2", 20.0)):
            said.append(measured(metric, t, value, device=metric, site="s1", period_s=300.0))
        said.append(measured("co", t, 0.5, device="co", site="s1", period_s=300.0))
        said.append(measured("o3", t, 40.0, device="o3", site="s1", period_s=300.0))
    if until is not None:
        for t in range(MIDNIGHT + hours.stop * HOUR, until, 60_000):
            said.append(measured("humidity", t, 50.0, device="damp", site="s2"))
    raw = [json.dumps(event).encode() for _, _, event in said]
    times = [t for t, _, _ in said]
    offsets = range(first, first + len(raw))
    return Chunk("city.sensor.v1", 0, offsets, times, [None] * len(raw), raw)


def days_said(outputs: list[Output]) -> list[tuple[str, int, int, float | None, str | None]]:
    """What is said of the days of the station: topic, end, revision, value and reason."""
    found = []
    for output in outputs:
        if output.topic in (VITALS, VITALS_LOG):
            r = json.loads(output.value)
            if r["vital"] == "air.aqi_day" and r["key_level"] == "station":
                found.append((output.topic, r["t_end"], r["rev"], r["value"], r["reason"]))
    return found


@pytest.mark.parametrize(
    ("hours", "until", "value", "reason"),
    [
        # 24 hours, then 23 with an empty last one, whether or not anything else is heard in it.
        (range(24), None, 58.0, None),
        (range(23), None, 58.0, None),
        (range(23), MIDNIGHT + 24 * HOUR - 1, 58.0, None),
        (range(20), None, 58.0, None),
        (range(19), None, None, "uncovered"),
        (range(19), MIDNIGHT + 24 * HOUR - 1, None, "uncovered"),
    ],
)
def test_a_day_ends_with_the_log(
    hours: range, until: int | None, value: float | None, reason: str | None
) -> None:
    """Of a log that ended before midnight nothing was said of the day, though 20 hours are enough.

    PM10 of 60 µg/m³ is 50 + 50 · 10 / 70, rounded up: 58; PM2.5 of 30 is 50.
    """
    pipeline = Pipeline(compile_plan(alone(CATALOGUE, CATALOGUE.sign["air.aqi_day"])))
    outputs = pipeline.step(day_of_air(range(-1, hours.stop), until)) + pipeline.end()
    before, end = (MIDNIGHT, 0, None, "warming"), (MIDNIGHT + 24 * HOUR, 0, value, reason)
    # What a log cuts short is not the newest that is known.
    assert days_said(outputs) == [(VITALS_LOG, *before), (VITALS, *before), (VITALS_LOG, *end)]
    again = Pipeline(pipeline.plan)
    again.load(all_kept({}, pipeline.freeze(whole=True)))
    first = pipeline.lanes[Lane("city.sensor.v1", 0)].next_offset
    found = days_said(again.step(day_of_air(range(24, 49), first=first)) + again.end())
    assert {said[1] for said in found} == {MIDNIGHT + 48 * HOUR, MIDNIGHT + 72 * HOUR}
