"""The simulated city's log, cut into lanes, chopped and interleaved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from random import Random

from agents.city import City
from agents.city.register import register_of
from agents.outputs import COMPACTED, TICKS
from agents.plan import Plan, compile_plan
from schemas.configuration import Configuration
from schemas.loading import load
from streams.partitioning import partition_of
from streams.records import Chunk, Lane, Output, split
from tests.rules.wide import SECRET

MINUTES = 72
SCALE = 0.06
SEED = 10
"""A city in which as much happens within so short a time as elsewhere in twice as many events."""


def quick(configuration: Configuration) -> Configuration:
    """The same with models that judge after a few values, and find much out of the ordinary."""
    tree = configuration.model_dump()
    for sign in tree["signs"]:
        model = sign["model"]
        if model is not None:
            kept = "keep" if model["detector"] == "hour_of_week" else "window"
            model |= {"least": 4, kept: 8, "every_s": 60.0, "z_alarm": 2.5}
    return Configuration.model_validate(tree).with_register(configuration.register)


@cache
def city_configuration() -> Configuration:
    """The shipped catalogue, with quick models and the register of the small city."""
    return quick(load(None, environ={})).with_register(register_of(SCALE))


@cache
def city_plan() -> Plan:
    return compile_plan(city_configuration(), SECRET)


@cache
def city_lanes() -> dict[Lane, Chunk]:
    """Each lane of a small city as one chunk: disorder, repeats, late and broken events in it."""
    city, lanes = City(SEED, SCALE), defaultdict[Lane, list[tuple[int, bytes, bytes]]](list)
    for minute in range(MINUTES):
        for topic, arrival, key, value in city.minute(minute):
            lanes[Lane(topic, partition_of(key, 4))].append((arrival, key, value))
    return {
        lane: Chunk(*lane, range(len(records)), *map(list, zip(*records, strict=True)))
        for lane, records in sorted(lanes.items())
    }


def chopped(chunk: Chunk, size: int) -> Iterator[Chunk]:
    while len(chunk) > size:
        head, chunk = split(chunk, size)
        yield head
    yield chunk


def interleaved(size: int, rng: Random | None = None) -> list[Chunk]:
    """Chunks of all lanes: by time of arrival, or mixed at random; in order within a lane."""
    waiting = {lane: list(chopped(chunk, size))[::-1] for lane, chunk in city_lanes().items()}
    if rng is None:
        chunks = [chunk for each in waiting.values() for chunk in each]
        return sorted(chunks, key=lambda c: (c.timestamps[0], c.lane, c.offsets[0]))
    order = []
    while waiting:
        lane = rng.choice(list(waiting))
        # A run of chunks of one lane now and then, so that lanes drift far apart.
        for _ in range(rng.choice((1, 1, 1, 20))):
            if lane in waiting:
                order.append(waiting[lane].pop())
                if not waiting[lane]:
                    del waiting[lane]
    return order


Said = tuple[
    Counter[tuple[str, bytes, bytes, bytes]],
    dict[tuple[str, bytes], list[bytes]],
    dict[tuple[str, bytes], bytes],
]


def said(outputs: Iterable[Output]) -> Said:
    """What outputs say, whatever the interleaving: records, order by key, newest by key."""
    records: Counter[tuple[str, bytes, bytes, bytes]] = Counter()
    by_key: dict[tuple[str, bytes], list[bytes]] = defaultdict(list)
    newest: dict[tuple[str, bytes], bytes] = {}
    for topic, key, value, headers, *_ in outputs:
        if topic in COMPACTED:
            newest[topic, key] = value
        elif topic != TICKS:
            records[topic, key, dict(headers)["ce_id"], value] += 1
            by_key[topic, key].append(value)
    return records, dict(by_key), newest


def assert_same(found: Iterable[Output], expected: Said) -> None:
    records, by_key, newest = said(found)
    fewer, more = expected[0] - records, records - expected[0]
    assert not fewer, f"{fewer.total()} outputs are missing, such as {next(iter(fewer))}"
    assert not more, f"{more.total()} outputs are in excess, such as {next(iter(more))}"
    assert by_key == expected[1]
    assert newest == expected[2]
