"""The data folder: opened for reading, and what a run says about itself in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from agents.commands.exits import BAD, ENVIRONMENT, Fault
from agents.shapes import Shapes, shapes_of
from schemas.spelling import guess
from streams.log_store import LogStore
from streams.log_types import Record
from streams.records import Lane
from streams.timeline import to_ms

if TYPE_CHECKING:
    from schemas.configuration import Configuration

_ABOUT = "about"
_FILE = "city.db"


class About(msgspec.Struct):
    """What other processes need to know of the configuration of the last run."""

    zone: str = "Asia/Shanghai"
    kinds: dict[str, str] = {}
    """Input topics and the kind of their events."""
    partitions: dict[str, int] = {}
    """How many each of them has."""
    lateness_ms: dict[str, int] = {}
    """How long each of them takes late events."""
    signs: dict[str, str] = {}
    """Signs and their names for people."""
    shapes: Shapes = {}
    """How the records of those topics are shaped that are no events of ours."""
    config: str | None = None
    """Absolute path that the run had in --config; none where it had the shipped catalogue."""


def describe(configuration: Configuration, config: Path | None = None) -> About:
    """What a configuration, read from a path, means to those who read its results."""
    return About(
        zone=configuration.city.time_zone,
        kinds={topic.name: topic.kind for topic in configuration.topics},
        partitions={t.name: t.all_partitions for t in configuration.topics},
        lateness_ms={t.name: to_ms(t.allowed_lateness_s) for t in configuration.topics},
        shapes=shapes_of(configuration.topics),
        signs={sign.id: f"{sign.name.zh} {sign.name.en}" for sign in configuration.signs},
        config=None if config is None else str(config.absolute()),
    )


def write_about(store: LogStore, about: About) -> None:
    """Leave a description in the folder."""
    with store.transaction() as tx:
        tx.set_meta(_ABOUT, msgspec.json.encode(about))


def read_about(store: LogStore) -> About:
    """The description that the last run left; empty where none ran."""
    return msgspec.json.decode(store.meta(_ABOUT) or b"{}", type=About)


def is_data_folder(path: Path) -> bool:
    """Whether a path is a data folder, and not one of event logs."""
    return (path / _FILE).is_file()


@contextmanager
def opened(folder: Path) -> Iterator[LogStore]:
    """The log of a folder in which an engine has run, or runs.

    Raises
    ------
    Fault
        There is no log, or it can not be read.
    """
    if not is_data_folder(folder):
        raise Fault(
            ENVIRONMENT,
            f"{folder}: no data here: start `cityvitals up --data {folder}`, or name another "
            "folder with --data",
        )
    with open_log(folder) as store:
        yield store


@contextmanager
def open_log(folder: Path) -> Iterator[LogStore]:
    """The log of a folder, made where it is missing."""
    try:
        store = LogStore(folder)
    except ValueError as error:
        raise Fault(ENVIRONMENT, str(error)) from error
    try:
        yield store
    finally:
        store.close()


def is_running(folder: Path) -> bool:
    """Whether an engine runs on the folder."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def require_input(about: About, topic: str) -> None:
    """Refuse a topic that is not an input of the engine.

    Raises
    ------
    Fault
        With the topics there are.
    """
    if topic not in about.kinds:
        raise Fault(
            BAD,
            f"{topic} is no input topic{guess(topic, about.kinds) or ';'} "
            f"name one of {', '.join(about.kinds)} with --topic",
        )


def records(store: LogStore, topic: str) -> Iterator[Record]:
    """Every record kept of the first partition of a topic."""
    if topic in {known.name for known in store.topics()}:
        yield from store.every_record(topic)


def keyed(store: LogStore, topic: str, key: bytes) -> Iterator[bytes]:
    """Values of the records kept under one key in the first partition of a topic, in order."""
    if topic not in {known.name for known in store.topics()}:
        return
    offset = 0
    while chunks := store.read(topic, 0, offset):
        for chunk in chunks:
            yield from (v for k, v in zip(chunk.keys, chunk.values, strict=True) if k == key)
        offset = chunks[-1].next_offset


class Trimmed(NamedTuple):
    """A lane whose first records are gone: its first offset, and the log timestamp there."""

    lane: Lane
    first: int
    since: int | None


def trimmed(store: LogStore, topics: Iterable[str]) -> list[Trimmed]:
    """The lanes of these topics whose first records the retention has dropped."""
    known = {topic.name: topic.partitions for topic in store.topics()}
    lanes = [Lane(topic, p) for topic in topics for p in range(known.get(topic, 0))]
    return [
        Trimmed(lane, first, kept[0].timestamp if kept else None)
        for lane in lanes
        if (first := store.first_offset(*lane)) > 0
        for kept in [store.records(*lane, first, 1)]
    ]
