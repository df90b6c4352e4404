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
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import msgspec
from confluent_kafka import Producer

from agents.city import load_readings
from streams.log_store import LogStore
from streams.partitioning import partition_of
from tests.bench.latencies import Latencies
from tests.bench.schedule import Schedule, gauges_of

SLOT_MS = 20
FLOODED = b"60.0"
VALUES = 64
"""Values that a device takes in turn."""
_ORDERS = 8


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
    """Prepared bytes of devices, in the order of their numbers.

    Attributes
    ----------
    numbers, keys
        Of the devices.
    """

    def __init__(self, numbers: list[int], texts: list[Texts]) -> None:
        self.numbers = numbers
        self.keys = [text.key for text in texts]
        self._heads = [text.head for text in texts]
        self._values = [text.values for text in texts]
        self._tails = [text.tail for text in texts]
        self._texts = texts

    def part(self, places: list[int]) -> Fleet:
        """The devices at some places, in their order."""
        return Fleet([self.numbers[p] for p in places], [self._texts[p] for p in places])

    def flood(self, site: int) -> None:
        """From now on the gauges of a site show a flood."""
        for device in gauges_of(site):
            place = bisect_left(self.numbers, device)
            if self.numbers[place : place + 1] == [device]:
                self._values[place] = [FLOODED + _unit_of(self._values[place][0])] * VALUES

    def readings(self, low: int, high: int, turn: int, t: int) -> list[bytes]:
        """The readings of the devices at the places ``low`` to ``high`` at a time."""
        columns = (self._heads[low:high], self._values[low:high], self._tails[low:high])
        at, written = (t + turn) % VALUES, b"%d" % t
        return [
            head + values[at] + written + tail for head, values, tail in zip(*columns, strict=True)
        ]


class Texts(NamedTuple):
    """What a device says.

    Attributes
    ----------
    values
        Texts from a value on until the time.
    """

    key: bytes
    head: bytes
    values: list[bytes]
    tail: bytes


def fleet_of(devices: int) -> Fleet:
    """The devices of load readings; those of one metric share their values, in other orders."""
    texts: list[Texts | None] = [None] * devices
    shared: dict[bytes, list[list[bytes]]] = {}
    for one in next(load_readings(1, devices, devices)):
        head, value, unit, tail = parts_of(one.value)
        number = int(one.key.rpartition(b"-")[2])
        orders = shared.setdefault(unit, [[] for _ in range(_ORDERS)])
        if len(orders[0]) < VALUES:
            for order in range(_ORDERS):
                orders[order].insert(order * len(orders[0]) // _ORDERS, value + unit)
        texts[number] = Texts(one.key, head, orders[number // 4 % _ORDERS], tail)
    for orders in shared.values():
        for row in orders:
            row.extend(row[i % len(row)] for i in range(VALUES - len(row)))
    return Fleet(list(range(devices)), [text for text in texts if text is not None])


def _unit_of(value: bytes) -> bytes:
    return value[value.index(b",") :]


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
    lanes
        Of each device.
    late
        How long after its end each slot was sent, ms.
    """

    def __init__(self, order: Order, way: Way) -> None:
        self.order, self.way = order, way
        fleet = fleet_of(order.devices)
        self.lanes = lanes_of(fleet, order.partitions)
        places: dict[int, list[int]] = {lane: [] for lane in sorted(set(self.lanes))}
        for place, lane in enumerate(self.lanes):
            places[lane].append(place)
        self.parts = {lane: fleet.part(mine) for lane, mine in places.items()}
        self.late: list[float] = []

    def run(self, start_ms: int) -> int:
        """Send everything; how many events that were."""
        schedule = Schedule(start_ms, self.order.rate, self.lanes)
        floods = sorted((start_ms + round(s * 1000), site) for site, s in self.order.floods)
        end_ms = start_ms + round(self.order.seconds * 1000)
        for first in range(start_ms, end_ms, SLOT_MS):
            until = min(end_ms, first + SLOT_MS)
            slot: Slot = [(lane, [], [], []) for lane in self.parts]
            for t in range(first, until):
                while floods and floods[0][0] <= t:
                    _, site = floods.pop(0)
                    for part in self.parts.values():
                        part.flood(site)
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
        while at < end:
            turn, first = divmod(at, devices)
            last = min(devices, first + end - at)
            for (_, times, keys, values), part in zip(slot, self.parts.values(), strict=True):
                low, high = bisect_left(part.numbers, first), bisect_left(part.numbers, last)
                if low < high:
                    times += [t] * (high - low)
                    keys += part.keys[low:high]
                    values += part.readings(low, high, turn, t)
            at += last - first


def lanes_of(fleet: Fleet, partitions: int) -> bytes:
    """The lane of each device."""
    return bytes(partition_of(key, partitions) for key in fleet.keys)


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
