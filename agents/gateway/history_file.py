"""The file of the history: its tables, its connections, and who owns it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from agents.gateway.blocks import pack
from agents.gateway.windows import DAYS, About, Name, Windows
from streams.log_types import InUse

FORMAT = 1
_BUSY_S = 30.0
_PAGE = 4096
_SCHEMA = """
CREATE TABLE series(id INTEGER PRIMARY KEY AUTOINCREMENT, sign TEXT, key_level TEXT, key TEXT,
  place TEXT, unit TEXT, UNIQUE(sign, key_level, key));
CREATE TABLE frames(id INTEGER PRIMARY KEY AUTOINCREMENT, count INT, first INT, last INT,
  data BLOB);
CREATE TABLE blocks(id INTEGER PRIMARY KEY, data BLOB);
CREATE TABLE position(lane TEXT PRIMARY KEY, next INT);
CREATE TABLE meta(name TEXT PRIMARY KEY, value INT);
"""


def own(path: Path) -> int:
    """A lock on the file, held until what is returned is closed.

    Raises
    ------
    InUse
        Another process has it.
    """
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise InUse(f"{path} is in use: another gateway writes this history") from None
    return lock


def connect(path: Path) -> sqlite3.Connection:
    """A connection for any thread; transactions are begun by hand."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    # These count for a new file alone.
    db.execute(f"PRAGMA page_size={_PAGE}")
    db.execute("PRAGMA auto_vacuum=INCREMENTAL")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    return db


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new file.

    Raises
    ------
    ValueError
        The file is of a newer build.
    """
    with transaction(db):
        (found,) = db.execute("PRAGMA user_version").fetchone()
        if found > FORMAT:
            raise ValueError(f"{path}: format {found}: written by a newer build")
        if found == 0:
            for statement in _SCHEMA.split(";")[:-1]:
                db.execute(statement)
            db.execute(f"PRAGMA user_version={FORMAT}")


@contextmanager
def transaction(
    db: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE"
) -> Iterator[sqlite3.Connection]:
    """All that is written in it, or nothing."""
    db.execute(begin)
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def snapshot(db: sqlite3.Connection) -> AbstractContextManager[sqlite3.Connection]:
    """All that is read in it is of one moment."""
    return transaction(db, "BEGIN")


def block_number(series: int, day: int) -> int:
    """The number of a series' day, which follows that of the day before."""
    return series * DAYS + min(max(day, 0), DAYS - 1)


def add_frame(db: sqlite3.Connection, rows: Windows) -> int:
    """Write rows, in the order of their series, as a frame; its number."""
    about = len(rows), int(rows["t"].min()), int(rows["t"].max())
    statement = "INSERT INTO frames(count, first, last, data) VALUES(?, ?, ?, ?)"
    number = db.execute(statement, (*about, pack(rows))).lastrowid
    assert number is not None
    return number


def note_series(db: sqlite3.Connection, name: Name, about: About) -> int:
    """The number of a series, new or with something else told of it."""
    (number,) = db.execute(
        "INSERT INTO series(sign, key_level, key, place, unit) VALUES(?, ?, ?, ?, ?) ON CONFLICT DO"
        " UPDATE SET place = excluded.place, unit = excluded.unit RETURNING id",
        (*name, about.place, about.unit),
    ).fetchone()
    return int(number)


def note_position(db: sqlite3.Connection, position: Mapping[str, int]) -> None:
    db.executemany(
        "INSERT INTO position VALUES(?, ?) ON CONFLICT DO UPDATE SET next = excluded.next",
        position.items(),
    )


def forget_series(db: sqlite3.Connection, held: set[int]) -> set[int]:
    """Drop the series that have no block and are not among those held; their numbers."""
    found = db.execute(
        "SELECT id FROM series s WHERE NOT EXISTS"
        " (SELECT 1 FROM blocks b WHERE b.id >= s.id * ? AND b.id < (s.id + 1) * ?)",
        (DAYS, DAYS),
    )
    gone = {number for (number,) in found} - held
    db.executemany("DELETE FROM series WHERE id = ?", ((number,) for number in gone))
    return gone


def meta(db: sqlite3.Connection, name: str) -> int | None:
    """A number that is kept by its name."""
    found = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if found is None else int(found[0])


def set_meta(db: sqlite3.Connection, name: str, value: int) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES(?, ?)", (name, value))
