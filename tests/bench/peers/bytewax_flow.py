"""Bytewax: tumbling windows of 10 s by device, folded; batches of 10,000 records from Kafka.

Its event clock runs by key and on system time as well, so what is late is decided by each device's
own time. What a window came to is combined to windows of 60 s and rolled up in the sink, when the
input has ended: no order of keys is known before.  It keeps offsets in its own recovery store, not
in Kafka; none is asked for here, which is in its favour.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta

import msgspec
from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main
from confluent_kafka import Producer
from plain import DISORDER_MS, LATENESS_MS, PANE_MS, Panes, packed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ASKED = json.loads(sys.argv[1])
COUNTS = {"read": 0, "malformed": 0}


class Reading(msgspec.Struct, gc=False):
    device: str
    value: float
    t: int
    place: str


class Rows(StatelessSinkPartition):
    """Combines the windows of devices, and sends all rows at the end."""

    def __init__(self) -> None:
        self._panes = Panes(ASKED["device_hops"])
        self._producer = Producer(
            {"bootstrap.servers": ASKED["servers"], "compression.type": "lz4", "linger.ms": 50}
        )

    def write_batch(self, items: list) -> None:
        for device, (window, (n, total, low, high, place)) in items:
            self._panes.add(device, place, window * PANE_MS, n, total, low, high)

    def close(self) -> None:
        for record in packed(self._panes.close(1 << 62)):
            while True:
                try:
                    self._producer.produce(ASKED["output"], record)
                    break
                except BufferError:
                    self._producer.poll(0.5)
        self._producer.flush()


class Sink(DynamicSink):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> Rows:
        return Rows()


decode = msgspec.json.Decoder(Reading).decode


def read(messages: list) -> list[tuple[str, Reading]]:
    found = []
    for message in messages:
        COUNTS["read"] += 1
        try:
            reading = decode(message.value)
        except msgspec.MsgspecError:
            COUNTS["malformed"] += 1
        else:
            found.append((reading.device, reading))
    return found


def begin() -> list:
    return [0, 0.0, float("inf"), float("-inf"), ""]


def take(cell: list, reading: Reading) -> list:
    value = reading.value
    cell[0] += 1
    cell[1] += value
    if value < cell[2]:
        cell[2] = value
    if value > cell[3]:
        cell[3] = value
    cell[4] = reading.place
    return cell


def merge(one: list, other: list) -> list:
    n, total = one[0] + other[0], one[1] + other[1]
    return [n, total, min(one[2], other[2]), max(one[3], other[3]), one[4]]


def flow() -> Dataflow:
    built = Dataflow("compare")
    source = KafkaSource(
        [ASKED["servers"]],
        [ASKED["input"]],
        tail=False,
        batch_size=10_000,
        add_config={"queued.min.messages": "200000"},
    )
    messages = op.input("messages", built, source)
    readings = op.flat_map_batch("read", messages, read)
    clock = windowing.EventClock(
        ts_getter=lambda reading: EPOCH + timedelta(milliseconds=reading.t),
        wait_for_system_duration=timedelta(milliseconds=DISORDER_MS + LATENESS_MS),
    )
    windower = windowing.TumblingWindower(length=timedelta(milliseconds=PANE_MS), align_to=EPOCH)
    windows = windowing.fold_window("panes", readings, clock, windower, begin, take, merge)
    op.output("rows", windows.down, Sink())
    return built


if __name__ == "__main__":
    cli_main(flow())
    print(json.dumps(COUNTS))
