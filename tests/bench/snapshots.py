"""What snapshots of lanes cost, by the number of devices: pause, bytes, encoding, restoring.

``python -m tests.bench.snapshots --devices 1400000 --lanes 4``: one frozen workload through the
real lanes and the shipped catalogue.  Every device has a site of its own and reports one of four
metrics once a minute, in an order shuffled by seed 1.  A lane is frozen every three seconds of that
minute, so a twentieth of its devices has reported again, and encoded in a thread while it steps.
Times are those of the processor, but for stalls: the longest step of a hundred records, of the
steps without a cut.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from threading import Thread
from typing import NamedTuple

import zstandard

from agents.lanes import LaneTask
from agents.plan import Plan, compile_plan
from schemas.loading import load
from schemas.metrics import METRICS
from streams.frozen import Frozen
from streams.records import Chunk, Lane

TOPIC = "city.sensor.v1"
BEGIN = 1_772_294_400_000
METRIC_CODES = ("pm25", "water_depth", "rain", "air_temperature")
TURN_MS, TURNS = 3_000, 20
"""A snapshot's distance, and how many of them a device's minute has."""
LATER = 12
RECORDS_A_STEP = 100


class Fleet:
    """The devices of one lane, and what they send."""

    def __init__(self, partition: int, devices: int, lanes: int) -> None:
        self.partition = partition
        self.rng = random.Random(1 + partition)
        self.devices = list(range(partition, devices, lanes))
        self.rng.shuffle(self.devices)
        self.sent = 0

    def turn(self, number: int) -> Iterator[Chunk]:
        """The chunks of three seconds: the devices whose turn it is, in small steps."""
        mine = self.devices[number % TURNS :: TURNS]
        for at in range(0, len(mine), RECORDS_A_STEP):
            devices = mine[at : at + RECORDS_A_STEP]
            first = BEGIN + number * TURN_MS + at * TURN_MS // len(mine)
            times = [first + index // 10 for index in range(len(devices))]
            values = [self.record(device, t) for device, t in zip(devices, times, strict=True)]
            offsets = range(self.sent, self.sent + len(devices))
            self.sent = offsets.stop
            yield Chunk(TOPIC, self.partition, offsets, times, [None] * len(devices), values)

    def record(self, device: int, t: int) -> bytes:
        metric = METRIC_CODES[device // 16 % len(METRIC_CODES)]
        place = (
            f"4401{device % 9 + 1:02}{device % 97 + 1:03}{device % 31 + 1:03}{device % 53 + 1:03}"
        )
        return (
            f'{{"source":"bench","device":"dev-{device:07}","site":"site-{device:07}",'
            f'"metric":"{metric}","unit":"{METRICS[metric].unit}","seq":{t // 60_000 % 1_000_000},'
            f'"value":{self.rng.randrange(400) / 10},"t":{t},"place":"{place}"}}'
        ).encode()


class Sizes(NamedTuple):
    """One freeze: bytes that were written, and s."""

    raw: int
    packed: int
    encode_s: float
    pack_s: float
    pause_s: float
    stall_s: float


class Writer(Thread):
    """Encodes and compresses the changed parts, as a worker's thread does."""

    def __init__(self, frozen: Frozen) -> None:
        super().__init__()
        self.frozen, self.parts = frozen, dict[str, bytes]()
        self.packed, self.encode_s, self.pack_s = 0, 0.0, 0.0

    def run(self) -> None:
        compressor = zstandard.ZstdCompressor(level=1)
        for name, encode in self.frozen.items():
            if encode is not None:
                began = time.thread_time()
                part = self.parts[name] = encode()
                encoded = time.thread_time()
                self.packed += len(compressor.compress(part))
                self.encode_s += encoded - began
                self.pack_s += time.thread_time() - encoded


def snapshot(task: LaneTask, kept: dict[str, bytes], chunks: Iterator[Chunk]) -> Sizes:
    """Freeze a lane, write that beside its next steps, and bring what is kept up to date."""
    began = time.thread_time()
    frozen = task.freeze()
    pause_s = time.thread_time() - began
    writer, stall_s = Writer(frozen), 0.0
    writer.start()
    waiting = list(chunks)
    while waiting or writer.is_alive():
        began = time.perf_counter()
        cuts = step(task, waiting.pop(0)) if waiting else 0
        if not cuts:
            stall_s = max(stall_s, time.perf_counter() - began)
    writer.join()
    for gone in kept.keys() - frozen.keys():
        del kept[gone]
    kept.update(writer.parts)
    raw = sum(map(len, writer.parts.values()))
    return Sizes(raw, writer.packed, writer.encode_s, writer.pack_s, pause_s, stall_s)


def step(task: LaneTask, chunk: Chunk) -> int:
    """Take in a chunk; how many cuts came of it."""
    return sum(len(step.cuts) for step in task.step(chunk))


def longest_step(task: LaneTask, chunks: Iterator[Chunk]) -> float:
    """The longest step without a cut, s, with nothing beside it."""
    longest = 0.0
    for chunk in list(chunks):
        began = time.perf_counter()
        if not step(task, chunk):
            longest = max(longest, time.perf_counter() - began)
    return longest


def measure(plan: Plan, task: LaneTask, fleet: Fleet) -> dict[str, float]:
    """The figures of one lane: MB and ms."""
    kept: dict[str, bytes] = {}
    alone_s = longest_step(task, fleet.turn(TURNS))
    first = snapshot(task, kept, fleet.turn(TURNS + 1))
    later = [snapshot(task, kept, fleet.turn(TURNS + 2 + number)) for number in range(LATER)]
    last = task.freeze()
    kept = {name: kept[name] if encode is None else encode() for name, encode in last.items()}
    began = time.thread_time()
    again = LaneTask(plan, task.intake.lane)
    again.load(kept)
    restore_s = time.thread_time() - began
    whole = again.freeze(whole=True)
    assert kept == {name: encode() for name, encode in whole.items() if encode is not None}
    return {
        "parts": len(kept),
        "raw_mb": first.raw / 1e6,
        "packed_mb": first.packed / 1e6,
        "encode_ms": first.encode_s * 1e3,
        "pack_ms": first.pack_s * 1e3,
        "pause_ms": first.pause_s * 1e3,
        "stall_ms": first.stall_s * 1e3,
        "later_raw_mb": sum(sizes.raw for sizes in later) / len(later) / 1e6,
        "later_packed_mb": sum(sizes.packed for sizes in later) / len(later) / 1e6,
        "later_encode_ms": sum(sizes.encode_s for sizes in later) / len(later) * 1e3,
        "later_pack_ms": sum(sizes.pack_s for sizes in later) / len(later) * 1e3,
        "later_pause_ms": max(sizes.pause_s for sizes in later) * 1e3,
        "later_stall_ms": max(sizes.stall_s for sizes in later) * 1e3,
        "alone_ms": alone_s * 1e3,
        "restore_ms": restore_s * 1e3,
    }


GREATEST = {"pause_ms", "stall_ms", "later_pause_ms", "later_stall_ms", "alone_ms"}
"""Of these the greatest lane counts; all others are summed up."""


def run(devices: int, lanes: int) -> dict[str, dict[str, float]]:
    """Figures by lane, and of all lanes."""
    plan = compile_plan(load(environ={}))
    fleets = [Fleet(partition, devices, lanes) for partition in range(lanes)]
    tasks = [LaneTask(plan, Lane(TOPIC, fleet.partition)) for fleet in fleets]
    for task, fleet in zip(tasks, fleets, strict=True):
        for number in range(TURNS):
            for chunk in fleet.turn(number):
                step(task, chunk)
    figures = {
        str(task.intake.lane): measure(plan, task, fleet)
        for task, fleet in zip(tasks, fleets, strict=True)
    }
    total = {}
    for name in next(iter(figures.values())):
        column = [lane[name] for lane in figures.values()]
        total[name] = max(column) if name in GREATEST else sum(column)
    return {**figures, "all": total}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_400_000)
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = run(options.devices, options.lanes)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'':18}" + "".join(f"{lane:>18}" for lane in figures))
    for name in figures["all"]:
        print(f"{name:18}" + "".join(f"{lane[name]:18.1f}" for lane in figures.values()))


if __name__ == "__main__":
    main()
