"""``cityvitals send``: events into the log of an engine that may be running, or into Kafka."""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from agents.commands.exits import BAD, Fault, complain, guarded
from agents.commands.kafka_options import Data, KafkaConfig
from agents.commands.options import Json, TopicName

if TYPE_CHECKING:
    from agents.commands.sinks import Sink
    from agents.recordings import Emitted, Recording
    from agents.shapes import HeadOf

_BLOCK = 1 << 20
_BATCH = 2000
_LINE_LIMIT = 16 << 20
_WHAT_BECAME = (
    "faults of content are not looked at here: all that is refused stands in "
    "`cityvitals deadletter list{}`\n"
    "late ones stand in the topic city.late.v1; the metric cityvitals_events_total counts all by "
    "what became of them"
)


@guarded
def send(
    files: Annotated[
        list[str],
        typer.Argument(
            help="NDJSON files (.ndjson, .gz, .zst), folders of them, or - for standard input.",
            metavar="FILE…|-",
        ),
    ],
    data: Data = None,
    config: KafkaConfig = None,
    topic: TopicName = None,
    recorded: Annotated[
        bool,
        typer.Option(
            "--recorded",
            help="Stamp records as `replay` does, with `t_ingest` or event time; not with now.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Append events to the log of a running engine, or to the topics of a Kafka.

    One JSON object a line. The topic is the file's name (TOPIC.ndjson), or --topic. Lines go in
    as they are: what is wrong with one is told by `cityvitals deadletter list`. Each goes to the
    partition of its key (murmur2); several files are merged by their times. Of a simulated city,
    which has a clock of its own, it is told how many are too far from that.

    **Examples**

    - `cityvitals send city.sensor.v1.ndjson`

    - `tail -f readings.ndjson | cityvitals send - --topic city.sensor.v1`

    - `cityvitals send ./recorded --recorded --config kafka.yaml`
    """
    from agents.commands.sinks import receiving

    sent: Counter[str] = Counter()
    with receiving(data, config, recorded=recorded) as sink:
        for records in _batches(files, topic, sink, sent):
            sink.put(records)
            sent.update(record.topic for record in records)
        told = sink.end()
    if as_json:
        print(orjson.dumps({"topics": sent, **told}).decode())
    else:
        print("\n".join(f"{name}: {count:,} lines" for name, count in sent.items()))
        complain(_WHAT_BECAME.format(_options(data, config)))


def _options(data: Path | None, config: Path | None) -> str:
    """Where other commands find what was sent, as it was said here."""
    words = ["--data", str(data)] if data else ["--config", str(config)] if config else []
    return "".join(f" {shlex.quote(word)}" for word in words)


def _batches(
    files: list[str], topic: str | None, sink: Sink, sent: Counter[str]
) -> Iterator[list[Emitted]]:
    """The events of all files, or those that come in; each topic is in the count from the start."""
    from agents.recordings import logs_of, merged
    from agents.shapes import head_of

    if "-" in files:
        if topic is None:
            raise Fault(BAD, "standard input has no name: name its topic with --topic")
        if len(files) > 1:
            raise Fault(BAD, "standard input goes alone: send the files in a second command")
        sent[topic] = 0
        partitions = _partitions(sink, topic)
        yield from _keyed(_piped(), topic, partitions, head_of(topic, sink.about.shapes))
        return
    logs = logs_of([Path(file) for file in files], topic)
    counts = {log.topic: _partitions(sink, log.topic) for log in logs}
    _require_partitions(logs, counts)
    sent.update(dict.fromkeys(counts, 0))
    records = merged(logs, counts, sink.about.shapes)
    yield from _followed(iter(lambda: list(islice(records, _BATCH)), []), logs)


def _partitions(sink: Sink, topic: str) -> int:
    from agents.commands.folder import require_input

    require_input(sink.about, topic)
    return sink.partitions(topic)


def _require_partitions(logs: list[Recording], counts: Mapping[str, int]) -> None:
    for name, partition, path in logs:
        if partition is not None and partition >= counts[name]:
            raise Fault(BAD, f"{path}: {name} has {counts[name]} partitions, none is {partition}")


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


def _keyed(
    batches: Iterator[list[bytes]], topic: str, partitions: int, head: HeadOf
) -> Iterator[list[Emitted]]:
    from agents.recordings import Emitted
    from streams.partitioning import partition_of

    timestamp = 0
    for lines in batches:
        records = []
        for line in lines:
            key, at = head(line)
            timestamp = timestamp if at is None else at
            records.append(Emitted(timestamp, topic, partition_of(key, partitions), key, line))
        yield records


def _followed(batches: Iterator[list[Emitted]], logs: list[Recording]) -> Iterator[list[Emitted]]:
    """The batches, with a bar of progress on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    # Of a packed log nobody knows the length before its end.
    packed = any(log.path.suffix != ".ndjson" for log in logs)
    total = None if packed else sum(log.path.stat().st_size for log in logs)
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("发送 send", total=total)
        for records in batches:
            yield records
            bar.advance(task, sum(len(record.value) + 1 for record in records))
