"""Keys that fall silent are dropped in the lanes, and nobody can tell from what is said."""

from __future__ import annotations

import json
from bisect import bisect_right
from random import Random
from typing import Any

import pytest

from agents.intake import Intake
from agents.outputs import DEVICE_VITALS, TICKS, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from streams.records import Chunk, Output
from tests.kept import Parts, all_kept
from tests.rules.configurations import configuration, levels, sensor, sign, topic, traffic, window
from tests.rules.logs import PLACES

START = 1_772_402_400_000
FORGET_S = 600
WAVES = (20, 20, 90, 20, 40, 20)
"""How many speak in each."""
BEGINS_S = (0, 1500, 2400, 4500, 6000, 7500, 9000)
"""The third begins just when the first one is dropped."""

COMMON: dict[str, Any] = {"window": window(120, 60), "keys": ["street", "city"], "rollup": "merge"}
OWN = {**COMMON, "keys": ["device", "street", "city"]}
SIGNS = [
    # By device in the lane, by device in the shard, and by place, with and without arrivals.
    sensor("own.mean", "mm", "rain", "device", aggregate={"function": "mean"}, **OWN),
    sensor("at.max", "mm", "rain", "device", aggregate={"function": "max"}, **COMMON),
    sensor(
        "over.max",
        "mm",
        "rain",
        "device",
        aggregate={"function": "max"},
        **{**COMMON, "rollup": "max", "keys": ["device", "street", "city"]},
        levels=levels("gt", blue=30),
        alert={},
    ),
    sign(
        "came.count",
        "count",
        topic="arrivals",
        match={},
        base="device",
        aggregate={"function": "count"},
        **COMMON,
    ),
    traffic(
        "last.ratio",
        "%",
        "parking",
        "site",
        kind="sampled",
        period_s=60,
        aggregate={"function": "ratio", "of": "occupied", "over": "capacity", "scale": 100},
        **{**COMMON, "window": window(60, 60), "keys": ["site", "street"]},
        coverage={"by": "devices", "at_least": 0.5},
    ),
]


def configured() -> Configuration:
    topics = [topic("sensor", 2, 120, disorder_s=5), topic("traffic", 1, 60, disorder_s=5)]
    return configuration(SIGNS, topics, forget_s=FORGET_S)


def speakers(wave: int) -> list[str]:
    """Some always speak, most in one wave alone, and those of the first come back in the last."""
    of = 0 if wave == len(WAVES) - 1 else wave
    return [f"always-{n}" for n in range(5)] + [f"wave-{of}-{n}" for n in range(WAVES[wave])]


def log() -> list[Chunk]:
    """A record of each speaker a minute, a little out of order, some of them late."""
    rng = Random(9)
    lanes: dict[tuple[str, int], tuple[list[int], list[bytes]]] = {
        (name, p): ([], []) for name, p in (("sensor", 0), ("sensor", 1), ("traffic", 0))
    }
    for minute in range(0, BEGINS_S[-1], 60):
        for device in speakers(bisect_right(BEGINS_S, minute) - 1):
            number = sum(device.encode())
            logged = START + minute * 1000 + rng.randrange(20_000)
            t = logged - rng.choice((0, 0, 0, 2000, 4000, 90_000))
            place = PLACES[number % 5]
            reading = {"device": device, "metric": "rain", "value": number % 40, "unit": "mm"}
            parked = {"kind": "parking", "source_id": device, "occupied": minute % 90}
            said = {"t": t, "place": place, "source": "tests"}
            for lane, event in (
                (("sensor", number % 2), {**reading, **said, "period_s": 60}),
                (("traffic", 0), {**parked, **said, "capacity": 90}),
            ):
                lanes[lane][0].append(logged)
                lanes[lane][1].append(json.dumps(event).encode())
    chunks = []
    for (name, partition), (times, values) in lanes.items():
        order = sorted(range(len(times)), key=times.__getitem__)
        sorted_times, sorted_values = [times[i] for i in order], [values[i] for i in order]
        keys: list[bytes | None] = [None] * len(times)
        chunks.append(Chunk(name, partition, range(len(times)), sorted_times, keys, sorted_values))
    return chunks


def cut(size: int) -> list[Chunk]:
    """The log in pieces, the lanes in turn."""
    pieces = [
        (
            first,
            chunk.lane,
            Chunk(
                chunk.topic,
                chunk.partition,
                range(first, min(first + size, len(chunk.offsets))),
                chunk.timestamps[first : first + size],
                chunk.keys[first : first + size],
                chunk.values[first : first + size],
            ),
        )
        for chunk in log()
        for first in range(0, len(chunk.offsets), size)
    ]
    return [piece for _, _, piece in sorted(pieces, key=lambda piece: piece[:2])]


def told(outputs: list[Output]) -> list[tuple[bytes, bytes]]:
    """What was said, each thing once."""
    return sorted({(dict(o.headers)["ce_id"], o.value) for o in outputs if o.topic != TICKS})


def run(size: int) -> tuple[Pipeline, list[Output]]:
    pipeline = Pipeline(compile_plan(configured()))
    outputs = [output for chunk in cut(size) for output in pipeline.step(chunk)]
    return pipeline, outputs + pipeline.end()


@pytest.fixture(scope="module")
def expected() -> list[tuple[bytes, bytes]]:
    _, outputs = run(10**6)
    assert {o.topic for o in outputs} >= {VITALS_LOG, DEVICE_VITALS}
    return told(outputs)


def test_a_lane_knows_no_more_keys_than_spoke_of_late() -> None:
    pipeline, _ = run(10**6)
    for intake in pipeline.lanes.values():
        of_all = intake.plan.topic.most_keys - intake.room.left
        kept = sum(len(fold.slots) for fold in intake._folds)
        assert of_all == kept
        signs = len(intake._folds)
        # Two lanes share the sensors: those of the last two waves, and a third more that waits.
        assert 0 < kept <= signs * 4 / 3 * (5 + WAVES[-2] + WAVES[-1])
        for fold in intake._folds:
            assert len(fold.keys) <= len(fold.slots)
            assert all(name[:2] == fold.keys[n][:2] for n, name in enumerate(fold.slots)) or (
                fold.by_device
            )


def test_what_is_said_is_the_same_as_if_all_keys_were_kept(
    expected: list[tuple[bytes, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Intake, "_drop_keys", lambda self: None)
    pipeline, outputs = run(10**6)
    assert told(outputs) == expected
    spoke = len({name for wave in range(len(WAVES)) for name in speakers(wave)})
    (parked,) = (i for lane, i in pipeline.lanes.items() if lane.topic == "traffic")
    assert parked.plan.topic.most_keys - parked.room.left == spoke


@pytest.mark.parametrize("size", [1, 17, 400])
def test_any_chunks(expected: list[tuple[bytes, bytes]], size: int) -> None:
    assert told(run(size)[1]) == expected


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_kill_at_any_point(expected: list[tuple[bytes, bytes]], seed: int) -> None:
    rng = Random(seed)
    chunks, tasks, outputs = cut(40), dict[str, Parts](), list[Output]()
    pipeline, at, behind = Pipeline(compile_plan(configured())), 0, 0
    kills = set(rng.sample(range(len(chunks)), 15))
    while at < len(chunks):
        if at in kills:
            kills.remove(at)
            pipeline, at = Pipeline(compile_plan(configured())), behind
            pipeline.load(tasks)
        outputs += pipeline.step(chunks[at])
        at += 1
        if rng.randrange(8) == 0:
            tasks, behind = all_kept(tasks, pipeline.freeze()), at
    assert told(outputs + pipeline.end()) == expected


def test_a_restored_lane_freezes_to_the_same_bytes() -> None:
    pipeline = Pipeline(compile_plan(configured()))
    for chunk in cut(100)[:90]:
        pipeline.step(chunk)
    whole = all_kept({}, pipeline.freeze(whole=True))
    again = Pipeline(compile_plan(configured()))
    again.load(whole)
    assert all_kept({}, again.freeze(whole=True)) == whole
