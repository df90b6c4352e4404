"""The frozen log of a comparison: made once, of which every engine reads a prefix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Producer

from streams.partitioning import partition_of
from tests.bench.backlog import TOPIC, run_command

AHEAD_MS = 120_000
"""How far the records that end the log are ahead of it: all windows are over then."""
END = "end-"
"""What the devices of those records begin with; there is one in each partition."""
_DEVICE = re.compile(rb'"device":"([^"]*)"')
_QUEUED = 1_000_000


class Record(NamedTuple):
    """A record of the topic; ``logged`` in int64 ms."""

    key: bytes
    value: bytes
    partition: int
    logged: int


class _Head(msgspec.Struct):
    device: str
    t: int
    t_ingest: int


@dataclass(frozen=True)
class FrozenLog:
    """The whole log as a file, and what was planted in it."""

    folder: Path
    events: int
    planted: dict[str, int]
    partitions: int

    @property
    def path(self) -> Path:
        return self.folder / f"{TOPIC}.ndjson"

    def prefix(self, events: int) -> Prefix:
        """The first events of the log, as a file of their own."""
        if events >= self.events:
            return Prefix(self.path, self.events, self.partitions)
        path = self.folder / f"first-{events}.ndjson"
        if not path.exists():
            with self.path.open("rb") as whole, path.open("wb") as part:
                for _, line in zip(range(events), whole, strict=False):
                    part.write(line)
        return Prefix(path, events, self.partitions)


@dataclass(frozen=True)
class Prefix:
    """The first events of the log."""

    path: Path
    events: int
    partitions: int

    def records(self) -> Iterator[Record]:
        """Every record, and one in each partition that ends the log."""
        decode = msgspec.json.Decoder(_Head).decode
        lanes: dict[str, tuple[bytes, int]] = {}
        logged = 0
        with self.path.open("rb") as lines:
            for line in lines:
                value = line[:-1]
                try:
                    head = decode(value)
                    device, logged = head.device, head.t_ingest
                except msgspec.MsgspecError:
                    found = _DEVICE.search(value)
                    device = found[1].decode() if found else ""
                lane = lanes.get(device)
                if lane is None:
                    key = device.encode()
                    lane = lanes[device] = (key, partition_of(key, self.partitions))
                yield Record(lane[0], value, lane[1], logged)
        yield from _ends(logged + AHEAD_MS, self.partitions)

    @cached_property
    def last(self) -> int:
        """Windows that end later hold nothing of the log, int64 ms."""
        return self._arrival + AHEAD_MS

    @cached_property
    def _arrival(self) -> int:
        with self.path.open("rb") as lines:
            lines.seek(-min(self.path.stat().st_size, 4096), 2)
            last = re.findall(rb'"t_ingest": ?(\d+)', lines.read())[-1]
        return int(last)

    def fill(self, settings: dict[str, Any], topic: str) -> None:
        """Write all records to a topic."""
        options = {"compression.type": "lz4", "linger.ms": 50, "batch.size": 1 << 20}
        producer = Producer({**settings, **options, "queue.buffering.max.messages": _QUEUED})
        for key, value, partition, logged in self.records():
            while True:
                try:
                    producer.produce(topic, value, key, partition, timestamp=logged)
                    break
                except BufferError:
                    producer.poll(0.5)
        if producer.flush(600):
            raise SystemExit("the broker did not take the log")


def _ends(t: int, partitions: int) -> Iterator[Record]:
    missing, number = set(range(partitions)), 0
    while missing:
        key = b"%s%d" % (END.encode(), number)
        number += 1
        lane = partition_of(key, partitions)
        if lane in missing:
            missing.remove(lane)
            value = (
                b'{"device":"%s","metric":"pm25","value":0.0,"unit":"ug/m3","t":%d,'
                b'"place":"440199999999999","source":"gz-load","t_ingest":%d}' % (key, t, t)
            )
            yield Record(key, value, lane, t)


def make(folder: Path, events: int, devices: int, period_s: int, partitions: int = 4) -> FrozenLog:
    """Make the log; the same bytes for the same numbers."""
    size = ["--readings", str(events), "--devices", str(devices), "--period", str(period_s)]
    told = run_command(["generate", str(folder), *size, "--profile", "bench", "--seed", "1"])
    return FrozenLog(folder, events, told["planted"], partitions)
