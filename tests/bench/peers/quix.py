"""Quix Streams: tumbling windows of 10 s by device on RocksDB, closed by the partition's time.

One reduction holds all four functions (one state update an event); the decoder is msgspec's. What a
window came to is combined to windows of 60 s and rolled up in the process, which owns all
partitions: cheaper for Quix than its own `hopping_window` and a repartition by place.
"""

from __future__ import annotations

import json
import os
import sys

import msgspec
from plain import DISORDER_MS, LATENESS_MS, PANE_MS, Panes, packed
from quixstreams import Application, message_context
from quixstreams.models import IgnoreMessage, JSONDeserializer


class Reading(msgspec.Struct, gc=False):
    device: str
    value: float
    t: int
    place: str


class Decoder(JSONDeserializer):
    """Readings of records; malformed ones are dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._decode = msgspec.json.Decoder(Reading).decode
        self.malformed = 0

    def __call__(self, value, ctx):
        try:
            return self._decode(value)
        except msgspec.MsgspecError as error:
            self.malformed += 1
            raise IgnoreMessage() from error


def begin(reading: Reading) -> list:
    value = reading.value
    return [1, value, value, value, reading.place]


def merge(cell: list, reading: Reading) -> list:
    value = reading.value
    cell[0] += 1
    cell[1] += value
    if value < cell[2]:
        cell[2] = value
    if value > cell[3]:
        cell[3] = value
    return cell


def main() -> None:
    asked = json.loads(sys.argv[1])
    app = Application(
        broker_address=asked["servers"],
        consumer_group=asked["group"],
        auto_offset_reset="earliest",
        state_dir=os.path.join(asked["folder"], "state"),
        use_changelog_topics=False,
        commit_interval=5.0,
        loglevel="ERROR",
        producer_extra_config={"compression.type": "lz4", "linger.ms": 50},
        consumer_extra_config={"fetch.min.bytes": 65_536, "queued.min.messages": 200_000},
    )
    decoder, panes = Decoder(), Panes(asked["device_hops"])
    counts = {"late": 0}
    newest = dict.fromkeys(range(asked["partitions"]), 0)
    ended: set[int] = set()
    producer = app.get_producer()

    def late(*_) -> bool:
        counts["late"] += 1
        return False

    source = app.topic(
        asked["input"],
        value_deserializer=decoder,
        key_deserializer="str",
        timestamp_extractor=lambda reading, *_: reading.t,
    )
    frame = app.dataframe(source)

    def observe(reading: Reading) -> None:
        partition = message_context().partition
        newest[partition] = max(newest[partition], reading.t)
        if reading.device.startswith("end-"):
            ended.add(partition)

    windows = frame.update(observe).tumbling_window(
        duration_ms=PANE_MS, grace_ms=DISORDER_MS + LATENESS_MS, on_late=late
    )

    def take(result: dict, key: str, *_) -> None:
        n, total, low, high, place = result["value"]
        panes.add(key, place, result["start"], n, total, low, high)

    closed = windows.reduce(reducer=merge, initializer=begin).final(closing_strategy="partition")
    closed.update(take, metadata=True)

    def send() -> None:
        # One pane later than due: a partition closes its windows within one step.
        until = min(newest.values()) - DISORDER_MS - LATENESS_MS
        if len(ended) < asked["partitions"]:
            until -= PANE_MS
        for record in packed(panes.close(until)):
            producer.produce(asked["output"], record)

    seen = 0

    def after(_: Reading) -> None:
        nonlocal seen
        seen += 1
        if seen % 10_000 == 0:
            send()
        if len(ended) == asked["partitions"]:
            app.stop()

    frame.update(after)
    app.run()
    send()
    producer.flush()
    print(json.dumps({"read": seen + decoder.malformed, "malformed": decoder.malformed, **counts}))


if __name__ == "__main__":
    main()
