"""How long the engine works for a minute of a city whose items are all alive.

``python -m tests.bench.items`` feeds one engine in this process, minute by minute of event time,
with the shipped catalogue: the whole simulated city; every sign's events at each of 178 streets
(`tests.bench.everywhere`), which are fed for as long before as their windows reach back; and plain
readings of so many devices that report once a minute (1.4 million: 23,333 readings a second).

Printed are, for each minute: events, results, items (a sign at a key of which something was said in
it, and how many had a value), those of streets, districts and the city that are live (their newest
result has a value and is not older than the sign's hop), and the time the engine took, by the
clock and of the CPU, in s.  The owner's items are 53 signs of 178 streets, 68 of 11 districts and
60 of the city: 10,242.  It ends with 1 where a minute had fewer items, fewer live ones of places,
fewer events, or was not done by its end; what the first is behind, in which all devices are new, is
to be caught up by the end of the second.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import msgspec

from agents.city import START_MS, City
from agents.city.load import load_readings
from agents.city.register import register_of
from agents.outputs import VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from schemas.devices import Register
from schemas.loading import load
from streams.partitioning import partition_of
from streams.records import Chunk, Lane
from tests.bench import everywhere

ITEMS = 53 * 178 + 68 * 11 + 60
RATE = 23_333
"""Events a second: 1.4 million devices that report once a minute."""
_PARTITIONS = 4
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000
_IDLE_MS = 5_000
_HOUR_MS = 3_600_000
_CHUNK = 20_000


class _Said(msgspec.Struct):
    """What of a result is counted."""

    vital: str
    key_level: str
    key: str
    t_end: int
    value: float | None


_PLACES = ("street", "district", "city")

_decode = msgspec.json.Decoder(_Said).decode
_Records = dict[Lane, list[tuple[int, bytes, bytes]]]
_Item = tuple[str, str, str]


class _Engine:
    """A pipeline, and what it says of each item."""

    def __init__(self, configuration: Configuration) -> None:
        self._pipeline = Pipeline(compile_plan(configuration, b"x" * 32))
        self._offsets: Counter[Lane] = Counter()
        self._hops_ms = {
            sign.id: round(1000 * sign.window.hop_s) if sign.window.hop_s else _DAY_MS
            for sign in configuration.signs
        }
        self.of_places: dict[_Item, tuple[int, bool]] = {}
        """End of the newest window of each, int64 ms UTC, and whether it has a value."""

    def feed(self, lanes: _Records, now: int) -> dict[str, Any]:
        """Take records, and the time at which lanes without any are; what was said, and how long
        it took."""
        said: dict[_Item, bool] = {}
        results, cpu_s, wall_s = 0, 0.0, 0.0
        pieces = sorted(self._pieces(lanes), key=lambda chunk: chunk.timestamps[0])
        idle = [lane for lane in self._pipeline.lanes if lane not in lanes]
        for step in (
            *(partial(self._pipeline.step, chunk) for chunk in pieces),
            *(partial(self._pipeline.tick, lane, now - _IDLE_MS) for lane in idle),
        ):
            began, at_clock = time.process_time(), time.perf_counter()
            outputs = step()
            cpu_s += time.process_time() - began
            wall_s += time.perf_counter() - at_clock
            for output in outputs:
                if output.topic == VITALS_LOG:
                    results += 1
                    self._hear(_decode(output.value), said)
        return {
            "events": sum(map(len, lanes.values())),
            "results": results,
            "items": len(said),
            "with_value": sum(said.values()),
            "live_of_places": self._live(now),
            "wall_s": round(wall_s, 2),
            "cpu_s": round(cpu_s, 2),
        }

    def _pieces(self, lanes: _Records) -> Iterator[Chunk]:
        for lane, records in sorted(lanes.items()):
            for first in range(0, len(records), _CHUNK):
                part = records[first : first + _CHUNK]
                at = self._offsets[lane]
                times, keys, values = map(list, zip(*part, strict=True))
                yield Chunk(*lane, range(at, at + len(part)), times, keys, values)
                self._offsets[lane] += len(part)

    def _hear(self, result: _Said, said: dict[_Item, bool]) -> None:
        item, known = (result.vital, result.key_level, result.key), result.value is not None
        said[item] = known
        if result.key_level.rpartition("*")[2] in _PLACES:
            newest, _ = self.of_places.get(item, (0, False))
            if result.t_end >= newest:
                self.of_places[item] = (result.t_end, known)

    def _live(self, now: int) -> int:
        """How many items of places have a value that is not older than a hop and a minute."""
        return sum(
            known and end + self._hops_ms[sign] + _MINUTE_MS > now
            for (sign, _, _), (end, known) in self.of_places.items()
        )


def _by_lane(records: Iterable[tuple[str, int, bytes, bytes]]) -> _Records:
    """Topic, arrival, key and value of each, by lane and in the order of arrival."""
    lanes: _Records = defaultdict(list)
    for topic, arrival, key, value in records:
        lanes[Lane(topic, partition_of(key, _PARTITIONS))].append((arrival, key, value))
    for found in lanes.values():
        found.sort(key=lambda record: record[0])
    return lanes


def _end_of_step(record: everywhere.Record) -> int:
    """When the step ends in which a record is fed: a minute, or ten where the city is far away."""
    step = _MINUTE_MS if record.arrival >= START_MS - _HOUR_MS else 10 * _MINUTE_MS
    return (record.arrival // step + 1) * step


def measure(
    scale: float,
    devices: int,
    count: int,
    told: Sequence[everywhere.Told] = (),
    fed: Callable[[int], None] = lambda end: None,
) -> Iterator[dict[str, Any]]:
    """What each minute took, and what was said in it.

    Parameters
    ----------
    told
        What is sent from everywhere, beside the city and the plain readings.
    fed
        Is told how far the time before the first minute was fed, int64 ms UTC.
    """
    rows = [*register_of(scale).devices, *everywhere.devices(told)]
    engine = _Engine(load(environ={}).with_register(Register(rows)))
    around: dict[int, list[everywhere.Record]] = {}
    for end, records in groupby(everywhere.records(told), _end_of_step):
        if end <= START_MS:
            engine.feed(_by_lane(records), end)
            fed(end)
        else:
            around[(end - START_MS) // _MINUTE_MS - 1] = list(records)
    city, plain = City(7, scale), load_readings(1, devices * count, devices)
    for minute in range(count):
        lanes = _by_lane((*city.minute(minute), *next(plain), *around.pop(minute, ())))
        yield engine.feed(lanes, max(records[-1][0] for records in lanes.values()))


def behind_s(rows: list[dict[str, Any]]) -> Iterator[float]:
    """How much later than its end each minute was done, s, if each is given at its end.

    >>> list(behind_s([{"wall_s": 69.0}, {"wall_s": 18.0}, {"wall_s": 61.0}]))
    [9.0, 0.0, 1.0]
    """
    behind = 0.0
    for row in rows:
        behind = max(0.0, behind + row["wall_s"] - 60)
        yield behind


def misses(rows: list[dict[str, Any]]) -> list[str]:
    """The limits of the issue that a minute does not hold."""
    found = {
        f"fewer than {ITEMS:,} live items": [row["items"] < ITEMS for row in rows],
        f"fewer than {RATE:,} events a second": [row["events"] < 60 * RATE for row in rows],
        # In the first minute every device is new: by the end of the second that is caught up.
        "the engine did not keep up": [
            behind > 0 and minute > 0 for minute, behind in enumerate(behind_s(rows))
        ],
        f"fewer than {ITEMS:,} live items of streets, districts and the city": [
            row["live_of_places"] < ITEMS for row in rows
        ],
    }
    told = {
        text: ", ".join(str(n) for n, missed in enumerate(each, 1) if missed)
        for text, each in found.items()
    }
    return [f"{text} in minute {minutes}" for text, minutes in told.items() if minutes]


def _fed(end: int) -> None:
    """A line for each hour of the day before."""
    if end % _HOUR_MS == 0:
        print(f"{(START_MS - end) // _HOUR_MS} h before", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_400_000)
    parser.add_argument("--scale", type=float, default=1.0, help="size of the city beside them")
    parser.add_argument("--minutes", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    told = everywhere.all_told(options.minutes)
    for row in measure(options.scale, options.devices, options.minutes, told, _fed):
        rows.append(row)
        if not options.json:
            line = "  ".join(f"{name} {value:,}" for name, value in row.items())
            print(f"minute {len(rows)}: {line}", flush=True)
    last, missed = rows[-1], misses(rows)
    if options.json:
        print(json.dumps({"minutes": rows, "owner_items": ITEMS, "misses": missed}))
        sys.exit(bool(missed))
    print(
        f"{last['items']:,} items in the last minute, {last['live_of_places']:,} live ones of "
        f"streets, districts and the city (the owner's {ITEMS:,}); "
        f"{last['cpu_s']} s of CPU for a minute: {last['cpu_s'] / 60:.0%} of a core"
    )
    print("; ".join(missed) or "all limits are kept")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
