"""How long the engine works for a minute of a city whose items are all alive.

``python -m tests.bench.items`` feeds one engine in this process, minute by minute of event time,
with the whole simulated city and beside it plain readings of so many devices that report once a
minute (1.4 million: 23,333 readings a second), with the shipped catalogue.  Printed are, for each
minute: events, results, live items (a sign at a key that said something in it, and how many of them
had a value) and the CPU the engine took, in s and as a share of the minute.  The owner's items are
53 signs of 178 streets, 68 of 11 districts and 60 of the city: 10,242.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from agents.city import City
from agents.city.load import load_readings
from agents.city.register import register_of
from agents.outputs import VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.loading import load
from streams.partitioning import partition_of
from streams.records import Chunk, Lane

ITEMS = 53 * 178 + 68 * 11 + 60
_PARTITIONS = 4
_CHUNK = 20_000


class _Said(msgspec.Struct):
    """What of a result is counted."""

    vital: str
    key_level: str
    key: str
    value: float | None


_decode = msgspec.json.Decoder(_Said).decode


def minutes(
    scale: float, devices: int, count: int
) -> Iterator[dict[Lane, list[tuple[int, bytes, bytes]]]]:
    """The records of each minute, by lane, in the order of their arrival."""
    city, plain = City(7, scale), load_readings(1, devices * count, devices)
    for minute in range(count):
        lanes: dict[Lane, list[tuple[int, bytes, bytes]]] = defaultdict(list)
        for topic, arrival, key, value in (*city.minute(minute), *next(plain)):
            lanes[Lane(topic, partition_of(key, _PARTITIONS))].append((arrival, key, value))
        for records in lanes.values():
            records.sort(key=lambda record: record[0])
        yield lanes


def measure(scale: float, devices: int, count: int) -> Iterator[dict[str, Any]]:
    """What each minute took, and what was said in it."""
    configuration = load(environ={}).with_register(register_of(scale))
    pipeline = Pipeline(compile_plan(configuration, b"x" * 32))
    offsets: Counter[Lane] = Counter()
    for lanes in minutes(scale, devices, count):
        alive: dict[tuple[str, str, str], bool] = {}
        results, cpu_s, now = 0, 0.0, max(r[-1][0] for r in lanes.values())
        pieces = []
        for lane, records in sorted(lanes.items()):
            for first in range(0, len(records), _CHUNK):
                part = records[first : first + _CHUNK]
                at = offsets[lane]
                columns = map(list, zip(*part, strict=True))
                pieces.append(Chunk(*lane, range(at, at + len(part)), *columns))
                offsets[lane] += len(part)
        pieces.sort(key=lambda chunk: chunk.timestamps[0])
        for step in (
            *((pipeline.step, (chunk,)) for chunk in pieces),
            *((pipeline.tick, (lane, now - 5_000)) for lane in pipeline.lanes if lane not in lanes),
        ):
            began = time.process_time()
            outputs = step[0](*step[1])
            cpu_s += time.process_time() - began
            for output in outputs:
                if output.topic == VITALS_LOG:
                    results += 1
                    said = _decode(output.value)
                    alive[said.vital, said.key_level, said.key] = said.value is not None
        yield {
            "events": sum(map(len, lanes.values())),
            "results": results,
            "items": len(alive),
            "with_value": sum(alive.values()),
            "cpu_s": round(cpu_s, 2),
            "share_of_minute": round(cpu_s / 60, 4),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_400_000)
    parser.add_argument("--scale", type=float, default=1.0, help="size of the city beside them")
    parser.add_argument("--minutes", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for row in measure(options.scale, options.devices, options.minutes):
        rows.append(row)
        if not options.json:
            told = "  ".join(f"{name} {value:,}" for name, value in row.items())
            print(f"minute {len(rows)}: {told}", flush=True)
    last = rows[-1]
    if options.json:
        print(json.dumps({"minutes": rows, "owner_items": ITEMS}))
    else:
        print(
            f"{last['items']:,} live items a minute (the owner's {ITEMS:,}), "
            f"{last['cpu_s']} s of CPU for a minute: {last['share_of_minute']:.0%} of a core"
        )


if __name__ == "__main__":
    main()
