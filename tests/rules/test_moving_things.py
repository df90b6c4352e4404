"""What moves is sampled where it last spoke from, however its log is read, and nowhere else."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from agents.outputs import TICKS
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from streams.records import Chunk, Output
from tests.kept import Parts, all_kept
from tests.rules.configurations import configuration, sensor, sign, topic, traffic, window
from tests.rules.lanes import PLACE_DIGITS, LaneName, Record
from tests.rules.logs import PLACES, chunks_of, results_of

START = 1_772_402_400_000
HOP_MS, STALE_MS, DISORDER_MS, LATENESS_MS = 30_000, 180_000, 5000, 120_000
MINUTES, FORGET_S = 50, 600
LEVELS = ("grid", "community", "street", "district", "city")

Said = dict[tuple[str, str, str, int], tuple[int, float]]
"""How many count, and what they are together, by sign, key level, key and window end."""

SAMPLED: dict[str, Any] = {
    "kind": "sampled",
    "window": window(HOP_MS / 1000, HOP_MS / 1000),
    "period_s": STALE_MS / 3000,
    "rollup": "merge",
}
SIGNS = [
    sensor(
        "buses.users",
        "1",
        "outage_users",
        "grid",
        aggregate={"function": "sum"},
        keys=[*LEVELS],
        **SAMPLED,
    ),
    sensor(
        "device.users",
        "1",
        "outage_users",
        "device",
        aggregate={"function": "sum"},
        keys=["device", "district", "city"],
        **SAMPLED,
    ),
    traffic(
        "fairs.persons",
        "1",
        "transit_hub",
        "site",
        aggregate={"function": "sum", "of": "persons"},
        keys=["site", "street", "city"],
        **SAMPLED,
    ),
    sign(
        "warned.level",
        "1",
        topic="external",
        match={"kind": "warning"},
        base="grid",
        aggregate={"function": "sum", "of": "level"},
        keys=["street", "city"],
        **{**SAMPLED, "period_s": None},
    ),
]


def configured() -> Configuration:
    kinds = (("sensor", 2), ("traffic", 2), ("external", 1))
    topics = [
        topic(kind, partitions, LATENESS_MS / 1000, disorder_s=DISORDER_MS / 1000)
        for kind, partitions in kinds
    ]
    return configuration(SIGNS, topics, forget_s=FORGET_S)


def event_of(kind: str, number: int, t: int, place: str, value: int) -> dict[str, Any]:
    said = {"t": t, "place": place, "source": "tests"}
    if kind == "sensor":
        said |= {"device": f"bus-{number}", "metric": "outage_users", "unit": "1"}
        return said | {"value": value, "period_s": 60}
    if kind == "traffic":
        return said | {"kind": "transit_hub", "source_id": f"fair-{number}", "persons": value}
    said |= {"kind": "warning", "warning_id": f"w-{number}", "id": f"w-{number}-{t}", "issuer": "x"}
    said |= {"event": "rain", "level": value % 5, "status": "active"}
    return said | {"t_expires": t + STALE_MS}


def written() -> dict[LaneName, list[Record]]:
    """A record of each thing every 20 s or so, of another place now and then, some of them late.

    One thing comes home again and again, one is never twice at one place, two fall silent.
    """
    rng, log = Random(4), defaultdict[LaneName, list[Record]](list)
    for kind, lanes in (("sensor", 2), ("traffic", 2), ("external", 1)):
        arrivals = []
        for number in range(8):
            places = PLACES[: 5 if number else 2]
            for at in range(0, MINUTES * 60_000, 20_000):
                if number >= 6 and 600_000 < at < 1_500_000:
                    continue
                t = START + at + rng.randrange(20_000)
                place = places[at // 20_000 % 5] if number == 1 else rng.choice(places)
                event = event_of(kind, number, t, place, rng.randrange(50))
                late = rng.choice((0, 0, 1000, 4000, 40_000, 100_000, 400_000))
                arrivals.append((t + late, number, event))
        for logged, number, event in sorted(arrivals, key=lambda a: a[:2]):
            log[kind, number % lanes].append((logged, event))
    return dict(log)


# --- the rule in plain Python --------------------------------------------------------------------


def names_of(kind: str, event: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    """The signs and keys for which an event counts."""
    place = event["place"]
    if kind == "sensor":
        yield from (("buses.users", level, place[: PLACE_DIGITS[level]]) for level in LEVELS)
        yield "device.users", "device", event["device"]
        yield "device.users", "district", place[:6]
        yield "device.users", "city", place[:4]
    elif kind == "traffic":
        yield "fairs.persons", "site", event["source_id"]
        yield "fairs.persons", "street", place[:9]
        yield "fairs.persons", "city", place[:4]
    else:
        yield "warned.level", "street", place[:9]
        yield "warned.level", "city", place[:4]


def sampled(log: dict[LaneName, list[Record]]) -> tuple[Said, dict[str, int]]:
    """What counts at each hop, and the last hop that all lanes of a kind have passed."""
    said, ends = defaultdict[tuple[str, str, str, int], list[int]](list), dict[str, list[int]]()
    for (kind, _), records in log.items():
        watermark = last_hop = 0
        come: list[dict[str, Any]] = []
        for _, event in records:
            assert isinstance(event, dict)
            if watermark == 0 or event["t"] >= watermark - LATENESS_MS:
                come.append(event)
            watermark = max(watermark, event["t"] - DISORDER_MS)
            hops = range((last_hop or watermark) // HOP_MS * HOP_MS + HOP_MS, watermark + 1, HOP_MS)
            for hop in hops:
                for newest in newest_of(kind, come, hop):
                    for name in names_of(kind, newest):
                        said[(*name, hop)].append(value_of(newest))
            last_hop = watermark
        ends.setdefault(kind, []).append(last_hop // HOP_MS * HOP_MS)
    found = {name: (len(values), float(sum(values))) for name, values in said.items()}
    return found, {kind: min(reached) for kind, reached in ends.items()}


def newest_of(kind: str, come: list[dict[str, Any]], hop: int) -> list[dict[str, Any]]:
    """The newest of each thing before a hop that is not too old."""
    thing = {"sensor": "device", "traffic": "source_id", "external": "warning_id"}[kind]
    newest: dict[str, dict[str, Any]] = {}
    for event in come:
        known = newest.get(event[thing])
        if event["t"] < hop and (known is None or event["t"] >= known["t"]):
            newest[event[thing]] = event
    return [event for event in newest.values() if hop - event["t"] <= STALE_MS]


def value_of(event: dict[str, Any]) -> int:
    return int(next(event[name] for name in ("value", "persons", "level") if name in event))


KIND = {
    "buses.users": "sensor",
    "device.users": "sensor",
    "fairs.persons": "traffic",
    "warned.level": "external",
}


# --- what the engine says ------------------------------------------------------------------------


def told(outputs: Iterable[Output]) -> list[tuple[bytes, bytes]]:
    return sorted({(dict(o.headers)["ce_id"], o.value) for o in outputs if o.topic != TICKS})


def replayed(chunks: Iterable[Chunk]) -> tuple[Pipeline, list[Output]]:
    pipeline = Pipeline(compile_plan(configured()))
    outputs = [output for chunk in chunks for output in pipeline.step(chunk)]
    return pipeline, outputs + pipeline.end()


@pytest.fixture(scope="module")
def expected() -> list[tuple[bytes, bytes]]:
    return told(replayed(chunks_of(written()))[1])


def test_what_moves_counts_once_and_where_it_spoke_last() -> None:
    log = written()
    wanted, ends = sampled(log)
    pipeline, outputs = replayed(chunks_of(log))
    counts = pipeline.total()
    assert counts.rejected == 0
    assert counts.accepted_late > 100
    assert counts.late > 100
    found: Said = {}
    for (vital, level, key, end, rev), result in results_of(outputs).items():
        assert rev == 0
        if result["n"] and end <= ends[KIND[vital]]:
            found[vital, level, key, end] = (result["n"], result["value"])
    wanted = {name: each for name, each in wanted.items() if name[3] <= ends[KIND[name[0]]]}
    assert found == wanted
    assert len(wanted) > 2000
    assert max(n for (_, level, *_), (n, _) in wanted.items() if level == "city") == 8


@pytest.mark.parametrize("size", [1, 7, 300])
def test_any_chunks_interleaved(expected: list[tuple[bytes, bytes]], size: int) -> None:
    rng, waiting = Random(size), defaultdict[LaneName, list[Chunk]](list)
    for chunk in chunks_of(written(), size):
        waiting[chunk.topic, chunk.partition].append(chunk)
    order = []
    while any(waiting.values()):
        lane = rng.choice([name for name, left in waiting.items() if left])
        order += [waiting[lane].pop(0) for _ in range(min(rng.choice((1, 9)), len(waiting[lane])))]
    assert told(replayed(order)[1]) == expected


def test_the_strict_way_says_the_same(expected: list[tuple[bytes, bytes]]) -> None:
    """What has an exponent goes past the compiled gate."""
    log: dict[LaneName, list[Record]] = {}
    for lane, records in written().items():
        texts = [(logged, json.dumps(event)) for logged, event in records]
        log[lane] = [
            (logged, re.sub(r'"value": (\d+)', r'"value": \1e0', text).encode())
            for logged, text in texts
        ]
    assert told(replayed(chunks_of(log))[1]) == expected


def test_a_kill_at_any_point(expected: list[tuple[bytes, bytes]]) -> None:
    """Also between the two records of a move, and after slots that were left are dropped."""
    rng, tasks, outputs = Random(8), dict[str, Parts](), list[Output]()
    pipeline = Pipeline(compile_plan(configured()))
    for chunk in chunks_of(written(), 40):
        outputs += pipeline.step(chunk)
        tasks = all_kept(tasks, pipeline.freeze(whole=rng.randrange(5) == 0))
        if rng.randrange(4) == 0:
            pipeline = Pipeline(compile_plan(configured()))
            pipeline.load(tasks)
            again = all_kept({}, pipeline.freeze(whole=True))
            assert {name: again[name] for name in tasks} == tasks
    assert told(outputs + pipeline.end()) == expected


def test_places_that_are_left_make_room() -> None:
    """A bus that is somewhere else every 20 s, for ten times as long as a key is remembered."""
    log: list[Record] = []
    for n in range(10 * FORGET_S // 20):
        t = START + 20_000 * n
        log.append((t, event_of("sensor", 1, t, f"440106001001{n:03}", n)))
    pipeline, _ = replayed(chunks_of({("sensor", 0): log}))
    intake = next(i for i in pipeline.lanes.values() if i.next_offset)
    slots = [len(fold.slots) for fold in intake._folds]
    assert intake.plan.topic.most_keys - intake.room.left == sum(slots)
    assert max(slots) <= 1.5 * FORGET_S / 20
