"""The traffic pipeline of OSPBench by catalogue alone, against its rules in plain Python.

The rules are those of its source code: flow and speed of a lane and time are joined; the lanes of
a measuring point are combined, flow added, speed averaged over the lanes, -1 where periods or
accuracies differ, and sent on only where as many lanes came as num_lanes says; each is compared
with that of one and of two publishing intervals before.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from agents.outputs import DEAD_LETTER
from tests.language.logs import LANES, Measured, line, point, traffic
from tests.language.running import Line, Said, changed, example, lanes_of, said
from tests.rules.logs import chunks_of, replay, results_of
from tests.rules.test_same_bytes import assert_log_stands

MINUTE = 60_000
Sent = tuple[str, str, Measured]


def lines(sent: Iterable[Sent]) -> list[Line]:
    return [(topic, line(key, record).encode()) for topic, key, record in sent]


def with_faults(sent: Iterable[Sent], rng: Random) -> list[Sent]:
    """Records lost, and such that contradict others."""
    kept = []
    for topic, key, record in sent:
        draw = rng.randrange(40)
        if draw == 0:
            continue
        if draw == 1:
            record = record | {"accuracy": 95}
        elif draw in (2, 4, 5) and topic == "ndwflow":
            record = record | {"period": 120}
        elif draw == 3:
            record = record | {"num_lanes": record["num_lanes"] + 1}
        kept.append((topic, key, record))
    return kept


class Section(NamedTuple):
    """What stage 3 sends on of a measuring point and time."""

    flow: float
    period: float
    flow_accuracy: float
    speed: float
    speed_accuracy: float


def end_of(stamp: str) -> int:
    """The end of the minute of a time at the Netherlands' offset that week."""
    moment = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1000 - 3_600_000 + MINUTE


def agreed(values: Iterable[float]) -> float:
    different = set(values)
    return different.pop() if len(different) == 1 else -1


def stage_3(sent: Iterable[Sent]) -> dict[tuple[str, int], Section]:
    """Join, and combine the lanes of each measuring point."""
    told: dict[tuple[str, str, int], dict[str, Measured]] = defaultdict(dict)
    for topic, key, record in sent:
        name, _, lane = key.rpartition("/")
        told[name.rpartition("/")[2], lane, end_of(record["timestamp"])][topic] = record
    points: dict[tuple[str, int], list[tuple[Measured, Measured]]] = defaultdict(list)
    for (name, _, end), both in told.items():
        if len(both) == 2:
            points[name, end].append((both["ndwflow"], both["ndwspeed"]))
    found = {}
    for at, lanes in points.items():
        counts = {f["num_lanes"] if f["num_lanes"] == s["num_lanes"] else -1 for f, s in lanes}
        if counts == {len(lanes)}:
            found[at] = Section(
                flow=sum(f["flow"] for f, _ in lanes),
                period=agreed(f["period"] for f, _ in lanes),
                flow_accuracy=agreed(f["accuracy"] for f, _ in lanes),
                speed=sum(s["speed"] for _, s in lanes) / len(lanes),
                speed_accuracy=agreed(s["accuracy"] for _, s in lanes),
            )
    return found


def spoken(found: Said, sign: str) -> dict[tuple[str, int], float]:
    return {
        (key, end): r["value"]
        for (name, key, end), r in found.items()
        if name == sign and r["value"] is not None
    }


@pytest.mark.parametrize("seed", range(3))
def test_all_stages(seed: int) -> None:
    sent = with_faults(traffic(12, seed), Random(seed))
    found = said(example("ospbench"), lines(sent))
    golden = stage_3(sent)
    assert 12 * len(LANES) * 0.6 < len(golden) < 12 * len(LANES)
    for name in Section._fields:
        told = spoken(found, f"road.{name}")
        assert told == pytest.approx({at: getattr(s, name) for at, s in golden.items()}, rel=1e-9)
    assert {s.period for s in golden.values()} >= {60, -1}
    for what in ("flow", "speed"):
        for back, length in ((1, "short"), (2, "long")):
            changes = {}
            for (name, end), section in golden.items():
                old = golden.get((name, end - back * MINUTE))
                if old is not None:
                    before = getattr(old, what)
                    changes[name, end] = (getattr(section, what) - before) / before
            assert spoken(found, f"road.{what}_{length}_change") == pytest.approx(
                changes, rel=1e-9, abs=1e-12
            )


def test_the_join_needs_both() -> None:
    sent = [s for s in traffic(2, 1) if s[:2] != ("ndwspeed", f"{point(6)}/lane2")]
    found = said(example("ospbench"), lines(sent))
    name, end = point(6).rpartition("/")[2], end_of("2017-03-15 14:42:00.0")
    lane = found["road.joined_flow", f"{name}/lane2", end]
    assert (lane["value"], lane["reason"], lane["coverage"]) == (None, "incomplete", 0.5)
    assert lane["detail"]["inputs"]["road.lane_speed"] is None
    section = found["road.flow", name, end]
    assert (section["value"], section["reason"]) == (None, "incomplete")
    assert section["coverage"] == 0.5
    other = found["road.flow", point(11).rpartition("/")[2], end]
    assert other["detail"] == {"children": 3}
    assert other["coverage"] == 1


def test_what_is_not_there_yet_is_null() -> None:
    found = said(example("ospbench"), lines(traffic(3, 1)))
    name = point(0).rpartition("/")[2]
    first = end_of("2017-03-15 14:41:00.0")
    reasons = [found["road.flow_long_change", name, first + k * MINUTE]["reason"] for k in range(3)]
    assert reasons == ["warming", "warming", None]


def test_lines_that_can_not_be_read_are_told_of() -> None:
    good = lines(traffic(2, 1))
    bad = [
        ("ndwflow", b'{"flow":900}'),
        ("ndwflow", b"x/y/lane1= "),
        ("ndwspeed", b'x/y/lane1= {"speed":400,"timestamp":"2017-03-15 14:41:00.0"}'),
        ("ndwspeed", b'x/y/lane1= {"speed":90,"timestamp":"15 March"}'),
    ]
    configuration = example("ospbench")
    pipeline, outputs = replay(configuration, chunks_of(lanes_of(configuration, [*good, *bad])))
    letters = [json.loads(o.value) for o in outputs if o.topic == DEAD_LETTER]
    told: set[Any] = {(letter["reason"], letter["where"]) for letter in letters}
    assert told == {
        ("malformed", "byte 0"),
        ("malformed", "byte 10"),
        ("out_of_bounds", "$.speed"),
        ("bad_time", "$.timestamp"),
    }
    assert pipeline.total().rejected == 4
    assert pipeline.total().accepted == len(good)


@pytest.mark.parametrize("seed", range(4))
def test_the_pipeline_is_a_function_of_the_log(seed: int, tmp_path: Path) -> None:
    """Chopped, mixed and restored at random, with late records that correct what was said."""
    rng = Random(seed)
    changes = {"allowed_lateness_s: 5": "allowed_lateness_s: 200", "partitions: 1": "partitions: 3"}
    configuration = changed(tmp_path / "ospbench.yaml", "ospbench", changes)
    sent = [s for s in with_faults(traffic(6, seed), rng) if s[1].startswith(points_of(rng))]
    log = lanes_of(configuration, lines(sent), rng)
    corrected = {k[0] for k in results_of(replay(configuration, chunks_of(log))[1]) if k[4] == 1}
    assert {"road.flow", "road.flow_short_ago", "road.flow_short_change"} <= corrected
    assert_log_stands(configuration, log, rng, end_of("2017-03-15 14:41:00.0"))


def points_of(rng: Random) -> tuple[str, ...]:
    return tuple(point(n) for n in rng.sample(range(len(LANES)), 3))
