"""The load generator of rate-limited runs: a process of its own that sends by a schedule.

It is told what to send as JSON in the first line of standard input, prepares the bytes of all
devices, says ``ready``, and begins at the time (int64 ms UTC) in the second line.  At the end it
prints what it sent, and how late it was by its own schedule.  Events are sent in slots: none before
its time, so a slot's length is part of what is measured.
"""

from __future__ import annotations

import json
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec
from confluent_kafka import Producer

from agents.city import load_readings
from streams.event_logs import partition_of
from streams.log_store import LogStore
from tests.bench.latencies import Latencies
from tests.bench.schedule import Schedule, gauges_of

SLOT_MS = 20
FLOODED = b"60.0"
_VALUES = 64


Slot: TypeAlias = list[tuple[int, list[int], list[bytes], list[bytes]]]
"""Events by lane: their times, keys and values."""


class Order(msgspec.Struct):
    """What to send.

    Attributes
    ----------
    folder, broker
        Of the embedded log; settings of a Kafka client. One of them.
    floods
        ``[site, s after the start]``: from then on the gauges of the site show a flood.
    """

    topic: str
    partitions: int
    rate: int
    devices: int
    seconds: float
    floods: list[tuple[int, float]]
    folder: str | None = None
    broker: dict[str, Any] | None = None


class Fleet:
    """Prepared bytes of all devices: what stands before and behind the value and the time."""

    def __init__(self, devices: int) -> None:
        self.keys, self.heads, self.units, self.tails = ([b""] * devices for _ in range(4))
        self.values: list[list[bytes]] = [[]] * devices
        shared: dict[bytes, bytes] = {}
        rows: dict[bytes, list[bytes]] = {}
        for one in next(load_readings(1, devices, devices)):
            head, value, unit, tail = parts_of(one.value)
            number = int(one.key.rpartition(b"-")[2])
            self.keys[number], self.heads[number] = one.key, head
            self.units[number] = shared.setdefault(unit, unit)
            self.tails[number] = tail
            row = self.values[number] = rows.setdefault(unit, [])
            if len(row) < _VALUES:
                row.append(value)

    def flood(self, site: int) -> None:
        """From now on the gauges of a site show a flood."""
        for device in gauges_of(site):
            self.values[device] = [FLOODED]

    def readings(self, devices: list[int], turn: int, t: bytes) -> Iterator[bytes]:
        """The readings of devices at a time, in their nth turn."""
        heads, units, tails, values = self.heads, self.units, self.tails, self.values
        for d in devices:
            row = values[d]
            yield heads[d] + row[(d + turn) % len(row)] + units[d] + t + tails[d]


def parts_of(reading: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """What stands before the value, the value, what stands before the time, and behind it.

    Examples
    --------
    >>> parts_of(b'{"value":1.5,"unit":"cm","t":17,"place":"4401"}')
    (b'{"value":', b'1.5', b',"unit":"cm","t":', b',"place":"4401"}')
    """
    value_at = reading.index(b'"value":') + len(b'"value":')
    unit_at = reading.index(b",", value_at)
    t_at = reading.index(b'"t":', unit_at) + len(b'"t":')
    tail_at = reading.index(b",", t_at)
    return reading[:value_at], reading[value_at:unit_at], reading[unit_at:t_at], reading[tail_at:]


class Way(Protocol):
    """Where the events go."""

    def send(self, slot: Slot) -> None:
        """Send the events of a slot."""

    def end(self) -> None:
        """Wait until all is there."""


class Embedded:
    """The log of a data folder: one transaction a slot."""

    def __init__(self, folder: str, topic: str) -> None:
        self.store, self.topic = LogStore(Path(folder)), topic

    def send(self, slot: Slot) -> None:
        with self.store.transaction() as tx:
            for lane, times, keys, values in slot:
                tx.append(self.topic, lane, times, keys, values)

    def end(self) -> None:
        self.store.close()


class Kafka:
    """A topic of a broker; what is sent gets its log timestamp then."""

    def __init__(self, settings: dict[str, Any], topic: str) -> None:
        tuned = {"compression.type": "lz4", "linger.ms": 5, "batch.size": 1 << 20, "acks": "1"}
        room = {"queue.buffering.max.messages": 2_000_000}
        self.producer, self.topic = Producer({**settings, **tuned, **room}), topic

    def send(self, slot: Slot) -> None:
        for lane, _, keys, values in slot:
            rest: list[dict[str, Any]] = [
                {"key": key, "value": value} for key, value in zip(keys, values, strict=True)
            ]
            while rest:
                self.producer.produce_batch(self.topic, rest, partition=lane)
                rest = [one for one in rest if one.pop("_error", None) is not None]
                self.producer.poll(0.05 if rest else 0)

    def end(self) -> None:
        if self.producer.flush(60):
            raise SystemExit("the broker did not take all events within a minute")


class Sender:
    """Sends a run.

    Attributes
    ----------
    late
        How long after its end each slot was sent, ms.
    """

    def __init__(self, order: Order, way: Way) -> None:
        self.order, self.way = order, way
        self.fleet = Fleet(order.devices)
        lanes = bytes(partition_of(key, order.partitions) for key in self.fleet.keys)
        self.lanes = lanes
        self.members = [[d for d in range(len(lanes)) if lanes[d] == lane] for lane in set(lanes)]
        self.late: list[float] = []

    def run(self, start_ms: int) -> int:
        """Send everything; how many events that were."""
        schedule = Schedule(start_ms, self.order.rate, self.lanes)
        floods = sorted((start_ms + round(s * 1000), site) for site, s in self.order.floods)
        end_ms = start_ms + round(self.order.seconds * 1000)
        for first in range(start_ms, end_ms, SLOT_MS):
            until = min(end_ms, first + SLOT_MS)
            slot: Slot = [(self.lanes[m[0]], [], [], []) for m in self.members]
            for t in range(first, until):
                while floods and floods[0][0] <= t:
                    self.fleet.flood(floods.pop(0)[1])
                self._fill(slot, schedule, t)
            wait = until / 1000 - time.time()
            if wait > 0:
                time.sleep(wait)
            self.way.send([lane for lane in slot if lane[1]])
            self.late.append(time.time() * 1000 - until)
        self.way.end()
        return schedule.index_at(end_ms)

    def _fill(self, slot: Slot, schedule: Schedule, t: int) -> None:
        """Add the events of one millisecond."""
        at, end, devices = schedule.index_at(t), schedule.index_at(t + 1), self.order.devices
        written = str(t).encode()
        while at < end:
            turn, low = divmod(at, devices)
            high = min(devices, low + end - at)
            for (_, times, keys, values), members in zip(slot, self.members, strict=True):
                mine = members[bisect_left(members, low) : bisect_left(members, high)]
                times += [t] * len(mine)
                keys += [self.fleet.keys[d] for d in mine]
                values += self.fleet.readings(mine, turn, written)
            at += high - low


def main() -> None:
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    way: Way
    if order.folder is not None:
        way = Embedded(order.folder, order.topic)
    else:
        assert order.broker is not None
        way = Kafka(order.broker, order.topic)
    sender = Sender(order, way)
    print("ready", flush=True)
    sent = sender.run(int(sys.stdin.buffer.readline()))
    print(json.dumps({"sent": sent, "late_ms": Latencies(sender.late).summary()}), flush=True)


if __name__ == "__main__":
    main()
