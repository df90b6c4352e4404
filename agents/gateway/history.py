"""The history of results: one SQLite file, bounded by age.

What is appended lies in *frames*, one compressed row an append, and is folded now and then into
*blocks*, one compressed row a series and day.  Both hold columns (`agents.gateway.blocks`), so a
minute is written as one small row, a day of a series is read as one or two, and a month takes a few
bytes a value.  What was measured against it stands in README.
"""

from __future__ import annotations

import os
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from agents.gateway.blocks import pack, unpack
from agents.gateway.buckets import (
    Columns,
    Resolution,
    auto_resolution,
    buckets_as_columns,
    whole_buckets,
    windows_as_columns,
)
from agents.gateway.history_file import (
    add_frame,
    block_number,
    connect,
    forget_series,
    meta,
    note_position,
    note_series,
    own,
    prepare,
    set_meta,
    snapshot,
    transaction,
)
from agents.gateway.windows import DAY_MS, WINDOW, About, Batch, Name, Windows, batch_of, newest

_SERIES_A_FOLD = 256  # an append waits for at most one such transaction
_ROWS_DUE, _FRAMES_DUE = 1 << 18, 512  # 25 minutes of 10,000 items; more make reading slow
_FRAMES_KEPT, _ROWS_KEPT = 32, 1 << 15  # in memory, unpacked; of a frame


class Series(NamedTuple):
    """A sign at a key, of which the history holds something."""

    sign: str
    key_level: str
    key: str
    place: str | None
    unit: str


class History:
    """Results of the last `keep_ms`, in one file.

    Parameters
    ----------
    path
        Of the file, made if it is missing, readable by its owner only.
    keep_ms
        How old a window's end may become, ms; see `trim`.

    Raises
    ------
    InUse
        Another process has it open.
    ValueError
        It was written by a newer build.

    Notes
    -----
    Safe for threads: one connection writes, another reads what is committed, also while `fold` and
    `trim` work. A process that is killed loses nothing that was appended; after a power cut the
    last appends may be gone together with their `position`, from which the log is then read again.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> folder = TemporaryDirectory()
    >>> history = History(Path(folder.name) / "history.db", 90 * DAY_MS)
    >>> result = {
    ...     "vital": "drain.depth", "key_level": "district", "key": "440111", "place": "440111",
    ...     "t_end": 120_000, "value": 11.75, "unit": "cm", "n": 60, "coverage": 1.0, "level": 1,
    ...     "reason": None, "rev": 0, "model": None}
    >>> history.append([result], {"city.vitals-log.v1/0": 1})
    1
    >>> read = history.read("drain.depth", "district", "440111", 0, 120_000, None)
    >>> read.t, read.value, read.unit
    ([120000], [11.75], 'cm')
    >>> history.position()
    {'city.vitals-log.v1/0': 1}
    >>> history.close()
    >>> folder.cleanup()
    """

    def __init__(self, path: Path, keep_ms: int) -> None:
        self.refused = 0
        """Records that were no results, since it was opened."""
        self._path, self._keep_ms = path, keep_ms
        self._owned = own(path)
        try:
            self._writer = connect(path)
            prepare(self._writer, path)
            self._reader = connect(path)
        except BaseException:
            os.close(self._owned)
            raise
        self._writing, self._reading, self._tidying = Lock(), Lock(), Lock()
        rows = self._writer.execute("SELECT sign, key_level, key, id, unit, place FROM series")
        self._series = {Name(*row[:3]): (row[3], About(*row[4:])) for row in rows}
        self._frames: OrderedDict[int, Windows] = OrderedDict()
        self._count()

    def close(self) -> None:
        with self._tidying, self._writing, self._reading:
            self._reader.close()
            self._writer.close()
            os.close(self._owned)

    def append(
        self, results: Iterable[bytes | Mapping[str, Any]], position: Mapping[str, int]
    ) -> int:
        """Keep results, and how far their log was read, both or neither.

        Parameters
        ----------
        results
            Values of records of ``city.vitals-log.v1``, decoded or not. Of a window the greatest
            ``rev`` counts, of the same the one that came last: repeats change nothing.
        position
            Next offset by name of a lane; lanes that are not named stay where they are.

        Returns
        -------
        int
            How many were kept; what is no result is counted in `refused`.
        """
        batch = batch_of(results)
        rows, fresh, frame = batch.rows, {}, None
        with self._writing:
            with transaction(self._writer) as db:
                fresh = self._numbered(db, batch)
                if len(rows):
                    known = [fresh.get(name) or self._series[name] for name in batch.names]
                    rows["series"] = np.array([number for number, _ in known])[rows["series"]]
                    rows = rows[np.argsort(rows["series"], kind="stable")]
                    frame = add_frame(db, rows)
                note_position(db, position)
            # Only what is committed is known.
            self._series.update(fresh)
            self._count()
            self.refused += batch.refused
        if frame is not None:
            with self._reading:
                self._keep_frame(frame, rows)
        return len(rows)

    def _numbered(self, db: sqlite3.Connection, batch: Batch) -> dict[Name, tuple[int, About]]:
        """The series of a batch that are new, or of which something else is told now."""
        changed = {}
        for name, about in zip(batch.names, batch.about, strict=True):
            known = self._series.get(name)
            if known is None or known[1] != about:
                changed[name] = note_series(db, name, about), about
        return changed

    def position(self) -> dict[str, int]:
        """Next offset by lane: how far what was appended goes."""
        with self._reading:
            return dict(self._reader.execute("SELECT lane, next FROM position ORDER BY lane"))

    def read(
        self,
        sign: str,
        key_level: str,
        key: str,
        start_ms: int,
        end_ms: int,
        resolution_ms: Resolution = "auto",
        *,
        origin_ms: int = 0,
    ) -> Columns:
        """What was said of a key, in the order of time; empty where nothing was.

        Parameters
        ----------
        start_ms, end_ms
            Windows that end in ``(start_ms, end_ms]``, int64 ms UTC. Buckets at the ends of the
            range are whole: they hold windows outside of it too.
        resolution_ms
            Length of buckets; None for windows as they are; ``auto`` shows at most 1,500 points.
        origin_ms
            A time at which a bucket ends, such as a local midnight.
        """
        length = None if resolution_ms == "auto" else resolution_ms
        while True:
            if length is not None:
                start_ms, end_ms = whole_buckets(start_ms, end_ms, length, origin_ms)
            rows, unit = self._rows(Name(sign, key_level, key), start_ms, end_ms)
            if resolution_ms == "auto" and length is None:
                length = auto_resolution(start_ms, end_ms, len(rows))
                if length is not None:
                    continue
            if length is None:
                return windows_as_columns(rows, unit)
            return buckets_as_columns(rows, unit, length, origin_ms)

    def _rows(self, name: Name, start: int, end: int) -> tuple[Windows, str | None]:
        parts = [np.empty(0, WINDOW)]
        with self._reading, snapshot(self._reader) as db:
            found = db.execute(
                "SELECT id, unit FROM series WHERE sign = ? AND key_level = ? AND key = ?", name
            ).fetchone()
            if found is None:
                return parts[0], None
            number, unit = found
            start = max(start, meta(db, "horizon") or 0)
            ends = [block_number(number, t // DAY_MS) for t in (start + 1, end)]
            blocks = db.execute(
                "SELECT data FROM blocks WHERE id BETWEEN ? AND ? ORDER BY id", ends
            )
            parts += [unpack(data) for (data,) in blocks]
            frames = db.execute(
                "SELECT id FROM frames WHERE last > ? AND first <= ? ORDER BY id", (start, end)
            )
            for (frame,) in frames.fetchall():
                rows = self._frame(db, frame)
                low, high = np.searchsorted(rows["series"], [number, number + 1])
                parts.append(rows[low:high])
        rows = np.concatenate(parts)
        return newest(rows[(rows["t"] > start) & (rows["t"] <= end)]), unit

    def _frame(self, db: sqlite3.Connection, number: int) -> Windows:
        if number in self._frames:
            self._frames.move_to_end(number)
            return self._frames[number]
        (data,) = db.execute("SELECT data FROM frames WHERE id = ?", (number,)).fetchone()
        rows = unpack(data)
        self._keep_frame(number, rows)
        return rows

    def _keep_frame(self, number: int, rows: Windows) -> None:
        if len(rows) <= _ROWS_KEPT:
            self._frames[number] = rows
            if len(self._frames) > _FRAMES_KEPT:
                self._frames.popitem(last=False)

    def series(self, sign: str = "", key_level: str | None = None, under: str = "") -> list[Series]:
        """The series that there are, by name.

        Parameters
        ----------
        sign, under
            What the sign, and the place of the key, begin with.
        """
        with self._reading:
            rows = self._reader.execute(
                "SELECT sign, key_level, key, place, unit FROM series ORDER BY sign, key_level, key"
            ).fetchall()
        found = (Series(*row) for row in rows)
        return [
            one
            for one in found
            if one.sign.startswith(sign)
            and key_level in (None, one.key_level)
            and (one.place or "").startswith(under)
        ]

    @property
    def due(self) -> bool:
        """Whether so much was appended that it is time to `fold`."""
        return bool(self._row_count >= _ROWS_DUE or self._frame_count >= _FRAMES_DUE)

    def fold(self) -> int:
        """Fold what was appended into blocks; what is read stays the same. How many rows it were.

        It may be ended at any point: what is folded twice is there once.
        """
        folded = 0
        with self._tidying:
            while part := self._fold_some():
                folded += part
        return folded

    def _fold_some(self) -> int:
        """Fold the oldest frames, as many as make `_ROWS_DUE`."""
        frames, count, parts = [], 0, [np.empty(0, WINDOW)]
        with self._reading:
            horizon = meta(self._reader, "horizon") or 0
            for number, rows, data in self._reader.execute(
                "SELECT id, count, data FROM frames ORDER BY id"
            ):
                frames.append(number)
                parts.append(unpack(data))
                count += rows
                if count >= _ROWS_DUE:
                    break
        rows = np.concatenate(parts)
        rows = rows[rows["t"] > horizon]
        rows = rows[np.argsort(rows["series"], kind="stable")]
        bounds = np.append(np.flatnonzero(np.diff(rows["series"], prepend=-1)), len(rows)).tolist()
        for at in range(0, len(bounds) - 1, _SERIES_A_FOLD):
            some = bounds[at : at + _SERIES_A_FOLD + 1]
            blocks = [
                block for first, end in pairwise(some) for block in self._merged(rows[first:end])
            ]
            with self._writing, transaction(self._writer) as db:
                db.executemany("INSERT OR REPLACE INTO blocks VALUES(?, ?)", blocks)
        self._drop_frames(frames)
        return count

    def _drop_frames(self, numbers: list[int]) -> None:
        with self._writing:
            with transaction(self._writer) as db:
                db.executemany("DELETE FROM frames WHERE id = ?", ((n,) for n in numbers))
            self._count()
        with self._reading:
            for number in numbers:
                self._frames.pop(number, None)

    def _merged(self, rows: Windows) -> Iterator[tuple[int, bytes]]:
        """The blocks of one series with more rows in them."""
        rows = newest(rows)
        days = rows["t"] // DAY_MS
        for day in np.unique(days).tolist():
            number = block_number(int(rows["series"][0]), day)
            with self._reading:
                found = self._reader.execute(
                    "SELECT data FROM blocks WHERE id = ?", (number,)
                ).fetchone()
            part = rows[days == day]
            if found is not None:
                part = newest(np.concatenate([unpack(found[0]), part]))
            yield number, pack(part)

    def trim(self, now_ms: int) -> None:
        """Forget windows that ended `keep_ms` before `now_ms` (int64 ms UTC) or earlier.

        They are not read any more at once, and take no room once their day (of UTC) has passed; a
        series of which nothing is left is forgotten too.
        """
        with self._tidying:
            with self._writing, transaction(self._writer) as db:
                horizon = max(now_ms - self._keep_ms, meta(db, "horizon") or 0)
                set_meta(db, "horizon", horizon)
                day = (horizon + 1) // DAY_MS
                if meta(db, "day") == day:
                    return
            numbers = [number for number, _ in self._series.values()]
            for at in range(0, len(numbers), _SERIES_A_FOLD):
                some = numbers[at : at + _SERIES_A_FOLD]
                gone = [(block_number(n, 0), block_number(n, day) - 1) for n in some]
                with self._writing, transaction(self._writer) as db:
                    db.executemany("DELETE FROM blocks WHERE id BETWEEN ? AND ?", gone)
            self._forget(horizon, day)

    def _forget(self, horizon: int, day: int) -> None:
        """Forget series of which nothing is left, and give back the room."""
        with self._writing:
            with transaction(self._writer) as db:
                db.execute("DELETE FROM frames WHERE last <= ?", (horizon,))
                held = [unpack(data)["series"] for (data,) in db.execute("SELECT data FROM frames")]
                gone = forget_series(db, set(np.unique(np.concatenate([*held, []])).tolist()))
                set_meta(db, "day", day)
            self._series = {n: one for n, one in self._series.items() if one[0] not in gone}
            self._count()
            self._writer.execute("PRAGMA incremental_vacuum").fetchall()

    def _count(self) -> None:
        told = self._writer.execute("SELECT count(*), coalesce(sum(count), 0) FROM frames")
        self._frame_count, self._row_count = told.fetchone()

    @property
    def size_bytes(self) -> int:
        """What it takes on disk."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())
