"""Recorded event logs, and the log of a data folder, as records to append; and the process that
feeds them at full speed.

A replay at full speed is read, keyed and appended by a process of its own, ``python -m
agents.recordings``: as on Kafka, producing is not the engine's work, and the second core does it.
"""

from __future__ import annotations

import heapq
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from agents.shapes import HeadOf, Shapes, head_of
from streams.event_logs import read_lines, topic_of
from streams.log_store import LogStore
from streams.log_transaction import Transaction
from streams.partitioning import partition_of
from streams.records import Chunk, Lane, split

AHEAD = 1_000_000
"""Records the process may be ahead of what the engine has saved: some seconds of its work."""
BATCH = 8_000

REPLAYED = "replayed"
SEED = "city.seed"
POSITION = "city.position"
PACE = "city.pace"
"""Names under which a data folder keeps what it was filled with; the position is the simulated
city's clock, int64 ms UTC, the pace how many of its seconds pass in one."""

_PAUSE_S = 0.02

Fed: TypeAlias = tuple[int, int, int]
"""Log timestamp of the record fed last (int64 ms UTC), lines and bytes fed so far."""


class Emitted(NamedTuple):
    """A record to append."""

    timestamp: int
    topic: str
    partition: int
    key: bytes | None
    value: bytes


def append(tx: Transaction, records: list[Emitted]) -> None:
    """Append records to their lanes, one batch a lane, in their order."""
    lanes: dict[tuple[str, int], list[Emitted]] = {}
    for record in records:
        lanes.setdefault((record.topic, record.partition), []).append(record)
    for (topic, partition), batch in lanes.items():
        tx.append(
            topic,
            partition,
            [r.timestamp for r in batch],
            [r.key for r in batch],
            [r.value for r in batch],
        )


class FeedError(ValueError):
    """What was to be fed is not as it must be."""


class Recording(NamedTuple):
    """An event log of a topic; of one partition where its name says so."""

    topic: str
    partition: int | None
    path: Path


def merged(
    logs: list[Recording], partitions: Mapping[str, int], shapes: Shapes
) -> Iterator[Emitted]:
    """The records of all logs in the order of their log timestamps.

    The timestamp of a line is its ``t_ingest``, else its event time, else that of the line before.

    Parameters
    ----------
    partitions
        Number of partitions by topic: a record goes to the one of its key.
    shapes
        Of the topics whose records are no events of ours.

    Raises
    ------
    FeedError
        From the iterator, naming file and line: a file is damaged.
    """
    streams = [_records(log, partitions[log.topic], head_of(log.topic, shapes)) for log in logs]
    if len(streams) == 1:
        return streams[0]
    return heapq.merge(*streams, key=lambda record: record.timestamp)


def _records(log: Recording, partitions: int, head: HeadOf) -> Iterator[Emitted]:
    topic, partition, timestamp = log.topic, log.partition, 0
    lines = read_lines(log.path)
    try:
        for line in lines:
            key, at = head(line)
            timestamp = timestamp if at is None else at
            place = partition_of(key, partitions) if partition is None else partition
            yield Emitted(timestamp, topic, place, key, line)
    except ValueError as error:
        raise FeedError(str(error)) from error


def logs_of(paths: list[Path], topic: str | None) -> list[Recording]:
    """Topic, partition and file of each event log; a folder stands for the logs in it.

    Raises
    ------
    FeedError
        A file is missing, or its name does not tell the topic.
    """
    found: list[Recording] = []
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if ".ndjson" in p.name)
            if not files:
                raise FeedError(f"{path}: no event log (*.ndjson, .gz, .zst) in this folder")
            found += logs_of(files, topic)
        elif not path.is_file():
            raise FeedError(f"{path}: no such file")
        else:
            found.append(Recording(*_topic_of(path, topic), path))
    return found


def _topic_of(path: Path, topic: str | None) -> tuple[str, int | None]:
    if topic is not None:
        return topic, None
    try:
        return topic_of(path)
    except ValueError as error:
        raise FeedError(f"{error}, or name the topic with --topic") from error


class Replayed(msgspec.Struct):
    """Which logs were replayed into a data folder, and how far."""

    logs: list[tuple[str, int | None, str, int]]
    lines: int = 0
    ended: bool = False


def claim_replay(store: LogStore, logs: list[Recording]) -> int:
    """Bind a data folder to these logs; how many of their lines it holds already.

    A replay that was stopped goes on; one that has ended closed all its windows, so that anything
    after it would be late.

    Raises
    ------
    FeedError
        The folder holds a simulated city, other logs, or a replay that has ended.
    """
    names = [(*log[:2], str(log.path.absolute()), log.path.stat().st_size) for log in logs]
    if store.meta(SEED) is not None:
        raise FeedError(f"{store.path} holds a simulated city: choose another folder with --data")
    known = store.meta(REPLAYED)
    if known is None:
        note_replay(store, Replayed(names))
        return 0
    replayed = msgspec.json.decode(known, type=Replayed)
    if replayed.ended or replayed.logs != names:
        what = "a replay that has ended" if replayed.ended else "a replay of other logs"
        raise FeedError(f"{store.path} holds {what}: choose another folder with --data")
    return replayed.lines


def note_replay(store: LogStore, replayed: Replayed) -> None:
    with store.transaction() as tx:
        tx.set_meta(REPLAYED, msgspec.json.encode(replayed))


def end_replay(store: LogStore) -> None:
    """Note that the replay in the folder has ended."""
    replayed = msgspec.json.decode(store.meta(REPLAYED) or b"", type=Replayed)
    replayed.ended = True
    note_replay(store, replayed)


def append_lines(store: LogStore, batch: list[Emitted]) -> None:
    """Append a batch of a replay, and note in the same transaction how far it has come."""
    replayed = msgspec.json.decode(store.meta(REPLAYED) or b"", type=Replayed)
    replayed.lines += len(batch)
    with store.transaction() as tx:
        append(tx, batch)
        tx.set_meta(REPLAYED, msgspec.json.encode(replayed))


class Past(msgspec.Struct):
    """The log of another data folder, as far as its engine has come."""

    folder: str
    lanes: list[tuple[str, int, int]]
    """Topic, partition and where to stop."""

    @property
    def ends(self) -> dict[Lane, int]:
        """Where each lane stops."""
        return {Lane(topic, partition): end for topic, partition, end in self.lanes}


def past_of(store: LogStore, consumer: str, lanes: Iterable[Lane]) -> Past:
    """What an engine has taken of its log: what stands behind that, nobody has judged.

    Ticks are to be read after this: one that is not durable yet then stands behind every end.
    """
    ends = ((lane, store.committed(consumer, lane) or 0) for lane in lanes)
    return Past(str(store.path.absolute()), [(*lane, end) for lane, end in ends])


def copied(store: LogStore, past: Past) -> Iterator[Fed]:
    """Append a past to a log that has none: lane by lane the same offsets, times and headers.

    Raises
    ------
    FeedError
        From the iterator: records are gone, dropped by the retention of the folder.
    """
    source = LogStore(Path(past.folder))
    try:
        lanes = (_chunks(source, lane, end) for lane, end in past.ends.items())
        lines = size = 0
        chunks = heapq.merge(*lanes, key=lambda chunk: chunk.timestamps[0])
        for batch in _batches(chunks):
            with store.transaction() as tx:
                for chunk in batch:
                    first = tx.append(
                        chunk.topic,
                        chunk.partition,
                        chunk.timestamps,
                        chunk.keys,
                        chunk.values,
                        chunk.headers,
                    )
                    if first != chunk.first_offset:
                        raise FeedError(
                            f"{past.folder}: records of {chunk.lane} before offset "
                            f"{chunk.first_offset} are gone: start the run with more --retain"
                        )
            lines += sum(map(len, batch))
            size += sum(len(value) + 1 for chunk in batch for value in chunk.values)
            yield batch[-1].timestamps[-1], lines, size
    finally:
        source.close()


def _chunks(store: LogStore, lane: Lane, end: int) -> Iterator[Chunk]:
    """What stands in a lane before an offset, as it was appended."""
    offset = 0
    while offset < end and (chunks := store.read(*lane, offset)):
        for chunk in chunks:
            offset = chunk.next_offset
            if offset <= end:
                yield chunk
                continue
            if chunk.first_offset < end:
                yield split(chunk, end - chunk.first_offset)[0]
            return


def _batches(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    """Chunks by the batch of at least `BATCH` records, the last one excepted."""
    batch: list[Chunk] = []
    count = 0
    for chunk in chunks:
        batch.append(chunk)
        count += len(chunk)
        if count >= BATCH:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch


class Order(msgspec.Struct):
    """What the feeding process is told on standard input; with a ``past`` the rest is not read."""

    folder: str
    consumer: str
    logs: list[tuple[str, int | None, str]]
    partitions: dict[str, int]
    skip: int
    past: Past | None = None
    shapes: Shapes = {}


def feed(order: Order) -> None:
    """Append to the folder's log what is ordered, and print ``[now, lines, bytes]`` of each batch.

    Each batch waits until the engine is near.
    """
    store = LogStore(Path(order.folder))
    lanes = [Lane(topic, p) for topic, count in order.partitions.items() for p in range(count)]
    for now, lines, size in _fed(store, order):
        print(f"[{now},{lines},{size}]", flush=True)
        while _unsaved(store, order.consumer, lanes) > AHEAD:
            time.sleep(_PAUSE_S)
    store.close()


def _fed(store: LogStore, order: Order) -> Iterator[Fed]:
    if order.past is not None:
        yield from copied(store, order.past)
        return
    logs = [Recording(t, p, Path(path)) for t, p, path in order.logs]
    records = merged(logs, order.partitions, order.shapes)
    lines = order.skip
    size = sum(len(record.value) + 1 for record in islice(records, order.skip))
    while batch := list(islice(records, BATCH)):
        append_lines(store, batch)
        lines += len(batch)
        size += sum(len(record.value) + 1 for record in batch)
        yield batch[-1].timestamp, lines, size


def _unsaved(store: LogStore, consumer: str, lanes: list[Lane]) -> int:
    ends = store.end_offsets()
    return sum(ends.get(lane, 0) - (store.committed(consumer, lane) or 0) for lane in lanes)


def main() -> None:
    try:
        feed(msgspec.json.decode(sys.stdin.buffer.read(), type=Order))
    except FeedError as error:
        sys.exit(str(error))
    except Exception as error:
        # What it says goes to a person: as of any crash, no words that may be a record's (rule R9).
        from agents.commands.exits import traced

        sys.exit(traced(error))


if __name__ == "__main__":
    main()
