"""``cityvitals send``: events into the log of an engine that may be running."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from agents.commands.exits import BAD, Fault, complain, guarded
from agents.commands.options import FOLDER, Data, Json, TopicName

if TYPE_CHECKING:
    from streams.log_store import LogStore

_BLOCK = 1 << 20
_BATCH = 2000
_LINE_LIMIT = 16 << 20


@guarded
def send(
    file: Annotated[
        str,
        typer.Argument(
            help="NDJSON file (.ndjson, .gz, .zst), or - for standard input.", metavar="FILE|-"
        ),
    ],
    data: Data = FOLDER,
    topic: TopicName = None,
    as_json: Json = False,
) -> None:
    """Append events to the log of a running engine.

    One JSON object a line. The topic is the file's name (TOPIC.ndjson), or --topic. Lines go in
    as they are: what is wrong with one is told by `cityvitals deadletter list`.

    **Examples**

    - `cityvitals send city.sensor.v1.ndjson`

    - `tail -f readings.ndjson | cityvitals send - --topic city.sensor.v1`
    """
    from agents.commands.folder import is_running, opened, read_about, require_input

    with opened(data) as store:
        name, partition, batches = _source(file, topic)
        require_input(read_about(store), name)
        partitions = store.partitions(name)
        if partition is not None and partition >= partitions:
            raise Fault(BAD, f"{file}: {name} has {partitions} partitions, none is {partition}")
        sent = Counter({name: 0})
        for lines in batches:
            _append(store, name, partition, lines)
            sent[name] += len(lines)
        running = is_running(data)
    if as_json:
        print(orjson.dumps({"topics": sent, "running": running}).decode())
    else:
        print(f"{name}: {sent[name]:,} lines")
    if not running:
        complain(f"no engine runs on {data}: it reads them at its next start (`cityvitals up`)")


def _source(file: str, topic: str | None) -> tuple[str, int | None, Iterator[list[bytes]]]:
    from streams.event_logs import read_lines, topic_of

    if file == "-":
        if topic is None:
            raise Fault(BAD, "standard input has no name: name its topic with --topic")
        return topic, None, _piped()
    path = Path(file)
    if not path.is_file():
        raise Fault(BAD, f"{path}: no such file")
    try:
        name, partition = (topic, None) if topic else topic_of(path)
    except ValueError as error:
        raise Fault(BAD, f"{error}, or name the topic with --topic") from error
    return name, partition, _batched(read_lines(path))


def _batched(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    try:
        while batch := list(islice(lines, _BATCH)):
            yield batch
    except ValueError as error:
        raise Fault(BAD, str(error)) from error


def _piped() -> Iterator[list[bytes]]:
    """Lines as they come, so that a source that goes on is not held back."""
    rest = b""
    while block := os.read(0, _BLOCK):
        *whole, rest = (rest + block).split(b"\n")
        if len(rest) > _LINE_LIMIT:
            raise Fault(BAD, "standard input: line longer than 16 MiB; is this NDJSON?")
        yield from _filled(whole)
    yield from _filled([rest])


def _filled(lines: list[bytes]) -> Iterator[list[bytes]]:
    kept = [line for line in lines if line and not line.isspace()]
    if kept:
        yield kept


def _append(store: LogStore, topic: str, partition: int | None, lines: list[bytes]) -> None:
    from agents.feeds import POSITION
    from agents.recordings import Emitted, append
    from streams.event_logs import head, partition_of

    # A simulated city has its own time: records stamped with that of the wall would move its
    # watermark to today, and make late all that the city sends.
    now = int(store.meta(POSITION) or store.now_ms())
    partitions = store.partitions(topic)
    records = []
    for line in lines:
        key = head(line).key
        place = partition_of(key, partitions) if partition is None else partition
        records.append(Emitted(now, topic, place, key, line))
    with store.transaction() as tx:
        append(tx, records)
