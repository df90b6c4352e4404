"""What one transaction of the embedded log can do: append, save the state, note offsets."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

import msgspec

from streams.chunk_codec import Headers, encode
from streams.log_types import Topic
from streams.partitioning import partition_of
from streams.records import Lane, Output


class Transaction:
    """What `LogStore.transaction` gives; dead once its block is left.

    Parameters
    ----------
    topic
        Finds a topic by name, raising `UnknownTopic`.
    now_ms
        The clock that retention goes by.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        topic: Callable[[str], Topic],
        now_ms: Callable[[], int],
    ) -> None:
        self._topic, self._now_ms = topic, now_ms
        self._db: sqlite3.Connection | None = db
        self.appended = False

    def append(
        self,
        topic: str,
        partition: int,
        timestamps: Sequence[int],
        keys: Sequence[bytes | None],
        values: Sequence[bytes],
        headers: Headers = (),
    ) -> int:
        """Append a batch to one partition.

        Parameters
        ----------
        timestamps
            int64 ms UTC, one a record.
        headers
            Carried by every record of the batch.

        Returns
        -------
        int
            Offset of the first record.

        Raises
        ------
        UnknownTopic, ValueError
            If the topic was not created, has no such partition, or is compacted and a key is
            missing.
        """
        return self._append(topic, partition, timestamps, keys, values, headers, per_record=False)

    def send(self, outputs: Sequence[Output]) -> None:
        """Append outputs in their order, each to the partition of its key."""
        lanes: dict[Lane, list[Output]] = {}
        for output in outputs:
            partitions = self._topic(output.topic).partitions
            lane = Lane(output.topic, partition_of(output.key, partitions))
            lanes.setdefault(lane, []).append(output)
        for lane, sent in lanes.items():
            headers = [output.headers for output in sent]
            alike = headers.count(headers[0]) == len(headers)
            self._append(
                *lane,
                [output.timestamp for output in sent],
                [output.key for output in sent],
                [output.value for output in sent],
                headers[0] if alike else headers,
                per_record=not alike,
            )

    def save_snapshot(self, part: str, data: bytes) -> None:
        """Keep a part of the engine's state, in place of the one before."""
        self._run("REPLACE INTO snapshots VALUES(?, ?, ?)", part, data, crc32(data))

    def drop_snapshot(self, part: str) -> None:
        """Forget a part of the engine's state."""
        self._run("DELETE FROM snapshots WHERE part = ?", part)

    def save_task(self, task: str, parts: Mapping[str, bytes | None]) -> int:
        """Keep the state of a task in parts: None for one that stands as it is.

        What is not named is dropped.

        Returns
        -------
        int
            Bytes that are kept of the task.

        Raises
        ------
        ValueError
            If a part that should stand as it is was never kept.
        """
        sql = "SELECT part, length(data) FROM snapshots WHERE part BETWEEN ? AND ?"
        kept = dict(self._run(sql, f"{task}|", f"{task}|\U0010ffff"))
        sizes = {}
        for name, data in parts.items():
            part = f"{task}|{name}"
            if data is not None:
                self.save_snapshot(part, data)
            elif part not in kept:
                raise ValueError(f"{part} was never saved, so it can not stand as it is")
            sizes[part] = kept[part] if data is None else len(data)
        for part in kept.keys() - sizes.keys():
            self.drop_snapshot(part)
        return sum(sizes.values())

    def commit(self, consumer: str, offsets: Mapping[Lane, int]) -> None:
        """Note where a consumer reads on, by lane."""
        for lane, offset in offsets.items():
            self._run("REPLACE INTO offsets VALUES(?, ?, ?, ?)", consumer, *lane, offset)

    def set_meta(self, name: str, value: bytes) -> None:
        """Keep a named value beside the log."""
        self._run("REPLACE INTO meta VALUES(?, ?)", name, value)

    def _append(
        self,
        topic: str,
        partition: int,
        timestamps: Sequence[int],
        keys: Sequence[bytes | None],
        values: Sequence[bytes],
        headers: Headers | Sequence[Headers],
        *,
        per_record: bool,
    ) -> int:
        known = self._topic(topic)
        if not 0 <= partition < known.partitions:
            raise ValueError(f"{topic} has {known.partitions} partitions, none is {partition}")
        count = len(values)
        # The end is taken from the database: other processes append too.
        ((end,),) = self._run(
            "INSERT INTO ends VALUES(?, ?, ?) ON CONFLICT DO UPDATE"
            " SET next_offset = next_offset + excluded.next_offset RETURNING next_offset",
            topic,
            partition,
            count,
        )
        first = int(end) - count
        if known.compacted:
            if None in keys:
                raise ValueError(f"{topic} is compacted: each of its records needs a key")
            each = headers if per_record else (headers,) * count
            for row in zip(range(first, end), timestamps, keys, values, each, strict=True):
                offset, timestamp, key, value, own = row
                packed = msgspec.msgpack.encode(own)
                self._run(
                    "REPLACE INTO latest VALUES(?, ?, ?, ?, ?, ?, ?)",
                    *(topic, key, partition, offset, timestamp, packed, value),
                )
        else:
            data = encode(timestamps, keys, values, headers, per_record=per_record)
            now = self._now_ms()
            self._run(
                "INSERT INTO chunks VALUES(?, ?, ?, ?, ?, ?)",
                *(topic, partition, first, count, now, data),
            )
        self.appended = True
        return first

    def _run(self, sql: str, *values: object) -> list[Any]:
        if self._db is None:
            raise RuntimeError("this transaction is over: open another one")
        return self._db.execute(sql, values).fetchall()

    def end(self) -> None:
        """Allow nothing more."""
        self._db = None
