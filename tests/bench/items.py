"""How long the engine works for a minute of a city whose items are all alive.

``python -m tests.bench.items`` feeds one engine in this process, minute by minute of event time,
with the whole simulated city and beside it plain readings of so many devices that report once a
minute (1.4 million: 23,333 readings a second), with the shipped catalogue.  Printed are, for each
minute: events, results, live items (a sign at a key that said something in it; how many of them are
of streets, districts and the city, and how many had a value) and the time the engine took, by the
clock and of the CPU, in s.  The owner's items are 53 signs of 178 streets, 68 of 11 districts and
60 of the city: 10,242, beside 23,333 events a second; here those of sites and stations count too.
It ends with 1 where a minute had fewer of either, or took longer than a minute, and where the last
one has fewer with a value; the first, in which all devices are new, has to keep up too.
"""

from __future__ import annotations

import argparse
import json
import sys
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
RATE = 23_333
"""Events a second: 1.4 million devices that report once a minute."""
_PARTITIONS = 4
_CHUNK = 20_000


class _Said(msgspec.Struct):
    """What of a result is counted."""

    vital: str
    key_level: str
    key: str
    value: float | None


_PLACES = ("street", "district", "city")

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
        results, cpu_s, wall_s, now = 0, 0.0, 0.0, max(r[-1][0] for r in lanes.values())
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
            began, at_clock = time.process_time(), time.perf_counter()
            outputs = step[0](*step[1])
            cpu_s += time.process_time() - began
            wall_s += time.perf_counter() - at_clock
            for output in outputs:
                if output.topic == VITALS_LOG:
                    results += 1
                    said = _decode(output.value)
                    alive[said.vital, said.key_level, said.key] = said.value is not None
        yield {
            "events": sum(map(len, lanes.values())),
            "results": results,
            "items": len(alive),
            "of_places": sum(level.rpartition("*")[2] in _PLACES for _, level, _ in alive),
            "with_value": sum(alive.values()),
            "wall_s": round(wall_s, 2),
            "cpu_s": round(cpu_s, 2),
        }


def misses(rows: list[dict[str, Any]]) -> list[str]:
    """The limits of the issue that a minute does not hold."""
    found = {
        f"fewer than {ITEMS:,} live items": [row["items"] < ITEMS for row in rows],
        f"fewer than {RATE:,} events a second": [row["events"] < 60 * RATE for row in rows],
        "the engine did not keep up": [row["wall_s"] > 60 for row in rows],
        # Windows of an hour have none before there was one.
        f"fewer than {ITEMS:,} items with a value": [
            n == len(rows) and row["with_value"] < ITEMS for n, row in enumerate(rows, 1)
        ],
    }
    told = {
        text: ", ".join(str(n) for n, missed in enumerate(each, 1) if missed)
        for text, each in found.items()
    }
    return [f"{text} in minute {minutes}" for text, minutes in told.items() if minutes]


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
    last, missed = rows[-1], misses(rows)
    if options.json:
        print(json.dumps({"minutes": rows, "owner_items": ITEMS, "misses": missed}))
        sys.exit(bool(missed))
    print(
        f"{last['items']:,} live items a minute (the owner's {ITEMS:,}), "
        f"{last['of_places']:,} of them of streets, districts and the city; "
        f"{last['cpu_s']} s of CPU for a minute: {last['cpu_s'] / 60:.0%} of a core"
    )
    print("; ".join(missed) or "all limits are kept")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
