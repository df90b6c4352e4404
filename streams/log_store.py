"""The embedded log: topics, offsets and snapshots in one SQLite file.

Any number of processes append and read; one of them, the owner, runs the engine. An append is
one row, however many records it has. Outputs, snapshot and offsets commit together, so even
outputs are exactly once.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, RLock
from typing import Any
from zlib import crc32

import msgspec

from streams.chunk_codec import Headers, decode, decode_headers
from streams.log_transaction import Transaction
from streams.log_types import InUse, Latest, Record, Topic, UnknownTopic
from streams.records import Chunk, Lane

FORMAT = 1


_ROWS_A_READ = 1000
_ROWS_A_TRIM = 64  # a writer waits for at most one such transaction
_BUSY_S = 30.0
_SCHEMA = """
CREATE TABLE topics(name TEXT PRIMARY KEY, partitions INT, compacted INT, retain_ms INT);
CREATE TABLE chunks(topic TEXT, partition INT, first_offset INT, count INT, appended_ms INT,
  data BLOB, PRIMARY KEY(topic, partition, first_offset));
CREATE TABLE latest(topic TEXT, key BLOB, partition INT, offset INT, timestamp INT, headers BLOB,
  value BLOB, PRIMARY KEY(topic, key));
CREATE UNIQUE INDEX latest_by_offset ON latest(topic, partition, offset);
CREATE TABLE ends(topic TEXT, partition INT, next_offset INT, PRIMARY KEY(topic, partition));
CREATE TABLE offsets(consumer TEXT, topic TEXT, partition INT, next_offset INT,
  PRIMARY KEY(consumer, topic, partition));
CREATE TABLE snapshots(part TEXT PRIMARY KEY, data BLOB, crc INT);
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB);
"""

_headers = msgspec.msgpack.Decoder(Headers)


class LogStore:
    """A log in the folder `path`, made if it is missing.

    Parameters
    ----------
    path
        A folder made here is readable by its owner only; the file ``city.db`` in it always is.
    now_ms
        The clock that retention goes by, int64 ms UTC.

    Raises
    ------
    ValueError
        If the file was written by a newer build.

    Notes
    -----
    Safe for threads: one connection writes, another reads what is committed. A compacted topic
    keeps the newest record of each key, and is read with gaps in its offsets.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> folder = TemporaryDirectory()
    >>> store = LogStore(Path(folder.name))
    >>> store.create_topic("city.sensor.v1", partitions=4)
    >>> with store.transaction() as tx:
    ...     tx.append("city.sensor.v1", 0, [1000, 2000], [b"aq-7", b"aq-7"], [b"{}", b"{}"])
    0
    >>> [chunk.offsets for chunk in store.read("city.sensor.v1", 0, offset=1)]
    [range(1, 2)]
    >>> store.close(); folder.cleanup()
    """

    def __init__(
        self, path: Path, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self.path = path
        self.now_ms = now_ms
        self._topics: dict[str, Topic] = {}
        self._listeners: list[Callable[[], None]] = []
        self._owner: int | None = None
        self._write_lock, self._read_lock = RLock(), Lock()
        if not path.exists():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = path / "city.db"
        # Made by hand first: SQLite gives its other files the mode of this one.
        os.close(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600))
        self._file.chmod(0o600)
        self._writer = self._connect()
        try:
            self._prepare()
            self._reader = self._connect()
        except BaseException:
            self._writer.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )

    def _prepare(self) -> None:
        # Turning WAL on does not wait for other connections as statements do.
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            ((found,),) = self._writer.execute("PRAGMA user_version").fetchall()
            if found > FORMAT:
                raise ValueError(
                    f"{self._file} has format {found}, this build reads up to {FORMAT}: "
                    "use the newer build, or another folder"
                )
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = NORMAL")
            self._writer.execute("PRAGMA journal_size_limit = 67108864")
            if found < FORMAT:
                script = f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;"
                self._writer.executescript(script)
        finally:
            os.close(folder)

    def own(self) -> None:
        """Become the one process that runs the engine on this log.

        Raises
        ------
        InUse
            If another process is.
        """
        if self._owner is not None:
            return
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise InUse(
                f"{self.path} is in use by process {holder}: stop that process, or choose "
                "another data folder"
            ) from error
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        self._owner = lock

    def close(self) -> None:
        """Close the file and give up ownership; closing twice does nothing."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()
            if self._owner is not None:
                os.close(self._owner)
                self._owner = None

    def create_topic(
        self, name: str, partitions: int, compacted: bool = False, retain_ms: int | None = None
    ) -> None:
        """Create a topic, or take note of a new retention of one that exists.

        Parameters
        ----------
        retain_ms
            Retention of this topic alone; `NEVER` keeps its records for good.

        Raises
        ------
        ValueError
            If it exists otherwise: keys would change their partition.
        """
        if partitions < 1:
            raise ValueError(f"{name}: a topic needs at least one partition")
        with self._writing() as db:
            db.execute(
                "INSERT INTO topics VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (name, partitions, compacted, retain_ms),
            )
            sql = "SELECT partitions, compacted FROM topics WHERE name = ?"
            ((count, compact),) = db.execute(sql, (name,)).fetchall()
            if count != partitions:
                raise ValueError(
                    f"{name} has {count} partitions and can not be given {partitions}: set its "
                    f"partitions back to {count}, or start with an empty data folder"
                )
            if compact != compacted:
                raise ValueError(
                    f"{name} was created {'' if compact else 'not '}compacted, which can not "
                    "be changed: start with an empty data folder"
                )
            db.execute("UPDATE topics SET retain_ms = ? WHERE name = ?", (retain_ms, name))
        self._topics.pop(name, None)

    def topics(self) -> list[Topic]:
        """Every topic, by name."""
        rows = self._rows("SELECT * FROM topics ORDER BY name")
        return [Topic(name, count, bool(compact), keep) for name, count, compact, keep in rows]

    def topic(self, name: str) -> Topic:
        """One topic; raises `UnknownTopic` if it was never created."""
        if name not in self._topics:
            self._topics = {topic.name: topic for topic in self.topics()}
            if name not in self._topics:
                raise UnknownTopic(f"{self.path} has no topic {name}: create it first")
        return self._topics[name]

    def partitions(self, name: str) -> int:
        """Number of partitions of a topic; raises `UnknownTopic`."""
        return self.topic(name).partitions

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Everything of the block or nothing: an exception rolls it back."""
        with self._writing() as db:
            tx = Transaction(db, self.topic, self.now_ms)
            try:
                yield tx
            finally:
                tx.end()
        if tx.appended:
            for wake in tuple(self._listeners):
                wake()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock:
            db = self._writer
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                # Some errors, a full disk among them, have rolled back already.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` after each append of this process, in the thread that appended."""
        self._listeners.append(wake)

    def unlisten(self, wake: Callable[[], None]) -> None:
        """Stop calling `wake`."""
        with suppress(ValueError):
            self._listeners.remove(wake)

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with self._read_lock:
            return self._reader.execute(sql, values).fetchall()

    def read(
        self,
        topic: str,
        partition: int,
        offset: int,
        max_records: int = 4000,
        max_bytes: int = 4 << 20,
    ) -> list[Chunk]:
        """Read on from an offset, or from the first one kept if that is gone.

        Returns
        -------
        list of Chunk
            As they were appended, the first cut at `offset`; within both limits unless the
            first one alone exceeds them. Empty at the end of the log.
        """
        if self.topic(topic).compacted:
            found = self._latest_rows(topic, partition, offset, max_records, max_bytes)
            if not found:
                return []
            offsets, timestamps, keys, values, _ = zip(*found, strict=True)
            return [Chunk(topic, partition, offsets, array("q", timestamps), keys, values)]
        rows = self._read_rows(topic, partition, offset, max_records, max_bytes)
        return [decode(data, topic, partition, first, offset) for first, data in rows]

    def records(
        self, topic: str, partition: int, offset: int, max_records: int = 4000
    ) -> list[Record]:
        """As `read`, record by record, each with its own headers."""
        if self.topic(topic).compacted:
            rows = self._latest_rows(topic, partition, offset, max_records, 4 << 20)
            return [Record(*row[:4], _headers.decode(row[4])) for row in rows]
        records: list[Record] = []
        for first, data in self._read_rows(topic, partition, offset, max_records, 4 << 20):
            chunk = decode(data, topic, partition, first, offset)
            own = decode_headers(data)[-len(chunk) :]
            columns = (chunk.offsets, chunk.timestamps, chunk.keys, chunk.values, own)
            records.extend(map(Record._make, zip(*columns, strict=True)))
        return records

    def every_record(self, topic: str, partition: int = 0) -> Iterator[Record]:
        """All records kept of a lane, read page by page."""
        offset = 0
        while page := self.records(topic, partition, offset):
            yield from page
            offset = page[-1].offset + 1

    def _read_rows(
        self, topic: str, partition: int, offset: int, max_records: int, max_bytes: int
    ) -> list[tuple[int, bytes]]:
        sizes = self._rows(  # length() of a blob does not load it
            "SELECT first_offset, count, length(data) FROM chunks"
            " WHERE topic = ?1 AND partition = ?2 AND first_offset >= coalesce((SELECT"
            "  max(first_offset) FROM chunks WHERE topic = ?1 AND partition = ?2"
            "  AND first_offset <= ?3), 0) ORDER BY first_offset LIMIT ?4",
            *(topic, partition, offset, _ROWS_A_READ),
        )
        wanted: list[int] = []
        for first, count, size in sizes:
            left = first + count - max(first, offset)
            if left <= 0:
                continue
            max_records -= left
            max_bytes -= size
            if wanted and (max_records < 0 or max_bytes < 0):
                break
            wanted.append(first)
        if not wanted:
            return []
        return self._rows(
            "SELECT first_offset, data FROM chunks WHERE topic = ? AND partition = ?"
            " AND first_offset BETWEEN ? AND ? ORDER BY first_offset",
            *(topic, partition, wanted[0], wanted[-1]),
        )

    def _latest_rows(
        self, topic: str, partition: int, offset: int, max_records: int, max_bytes: int
    ) -> list[tuple[int, int, bytes | None, bytes, bytes]]:
        """Offset, timestamp, key, value and headers, still encoded."""
        rows = self._rows(
            "SELECT offset, timestamp, key, value, headers FROM latest"
            " WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset LIMIT ?",
            *(topic, partition, offset, max_records),
        )
        for count, (_, _, _, value, _) in enumerate(rows):
            max_bytes -= len(value)
            if count and max_bytes < 0:
                return rows[:count]
        return rows

    def first_offset(self, topic: str, partition: int) -> int:
        """Offset of the first record kept; the end where nothing is."""
        table, column = ("latest", "offset")
        if not self.topic(topic).compacted:
            table, column = ("chunks", "first_offset")
        sql = f"SELECT min({column}) FROM {table} WHERE topic = ? AND partition = ?"
        ((first,),) = self._rows(sql, topic, partition)
        return self.end_offset(topic, partition) if first is None else int(first)

    def end_offset(self, topic: str, partition: int) -> int:
        """Offset that the next record gets."""
        sql = "SELECT next_offset FROM ends WHERE topic = ? AND partition = ?"
        rows = self._rows(sql, topic, partition)
        return int(rows[0][0]) if rows else 0

    def end_offsets(self) -> dict[Lane, int]:
        """Offset that the next record gets, of every lane that ever had one."""
        rows = self._rows("SELECT topic, partition, next_offset FROM ends")
        return {Lane(topic, partition): end for topic, partition, end in rows}

    def committed(self, consumer: str, lane: Lane) -> int | None:
        """Where a consumer reads on; None if it never committed."""
        sql = "SELECT next_offset FROM offsets WHERE consumer = ? AND topic = ? AND partition = ?"
        rows = self._rows(sql, consumer, *lane)
        return int(rows[0][0]) if rows else None

    def snapshot(self, part: str) -> bytes | None:
        """A part of the engine's state; raises ValueError if it was damaged."""
        rows = self._rows("SELECT part, data, crc FROM snapshots WHERE part = ?", part)
        return self._checked(*rows[0]) if rows else None

    def snapshots(self) -> dict[str, bytes]:
        """All parts of the engine's state, as of one transaction."""
        rows = self._rows("SELECT part, data, crc FROM snapshots ORDER BY part")
        return {part: self._checked(part, data, crc) for part, data, crc in rows}

    def saved_tasks(self) -> dict[str, dict[str, bytes]]:
        """The parts of every task's state, as of one transaction.

        The name of a part is empty where a task was kept as a whole.
        """
        tasks: dict[str, dict[str, bytes]] = {}
        for name, data in self.snapshots().items():
            task, _, part = name.partition("|")
            tasks.setdefault(task, {})[part] = data
        return tasks

    def _checked(self, part: str, data: bytes, crc: int) -> bytes:
        if crc32(data) != crc:
            raise ValueError(
                f"{self._file}: snapshot {part} is damaged: restore the folder from a backup, "
                "or start with an empty one and replay the event logs"
            )
        return data

    def latest(self, topic: str, prefix: bytes | None = None) -> Iterator[Latest]:
        """Newest record of each key of a compacted topic, by key.

        Parameters
        ----------
        prefix
            Only keys that begin with it.
        """
        sql = "SELECT key, value, headers, offset FROM latest WHERE topic = ?"
        rows = self._rows(
            f"{sql} AND key >= ? AND substr(key, 1, ?) = ? ORDER BY key",
            *(topic, prefix or b"", len(prefix or b""), prefix or b""),
        )
        for key, value, headers, offset in rows:
            yield Latest(key, value, _headers.decode(headers), offset)

    def meta(self, name: str) -> bytes | None:
        """A named value kept beside the log."""
        rows = self._rows("SELECT value FROM meta WHERE name = ?", name)
        return rows[0][0] if rows else None

    def data_version(self) -> int:
        """A number that changes with every commit, whichever process made it."""
        return int(self._rows("PRAGMA data_version")[0][0])

    def size_bytes(self) -> int:
        """Bytes of the file and its write-ahead log on disk."""
        return sum(file.stat().st_size for file in self.path.glob("city.db*"))

    def batches(self, lane: Lane) -> list[tuple[int, int, int, int]]:
        """``(first offset, records, appended ms, bytes)`` of every batch of a lane, in order."""
        return self._rows(
            "SELECT first_offset, count, appended_ms, length(data) FROM chunks"
            " WHERE topic = ? AND partition = ? ORDER BY first_offset",
            *lane,
        )

    def delete(self, lane: Lane, end: int) -> int:
        """Delete the batches of a lane that begin before ``end``, in short transactions."""
        deleted = 0
        while True:
            with self._writing() as db:
                count = db.execute(
                    "DELETE FROM chunks WHERE rowid IN (SELECT rowid FROM chunks WHERE topic = ?"
                    " AND partition = ? AND first_offset < ? ORDER BY first_offset LIMIT ?)",
                    (*lane, end, _ROWS_A_TRIM),
                ).rowcount
            deleted += count
            if count < _ROWS_A_TRIM:
                return deleted
