"""The data folder: opened for reading, and what a run says about itself in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agents.commands.exits import BAD, ENVIRONMENT, Fault
from schemas.spelling import guess
from streams.log_store import LogStore
from streams.log_types import Record

if TYPE_CHECKING:
    from schemas.configuration import Configuration

_ABOUT = "about"


class About(msgspec.Struct):
    """What other processes need to know of the configuration of the last run."""

    zone: str = "Asia/Shanghai"
    kinds: dict[str, str] = {}
    """Input topics and the kind of their events."""
    signs: dict[str, str] = {}
    """Signs and their names for people."""


def describe(configuration: Configuration) -> About:
    """What a configuration means to those who read its results."""
    return About(
        configuration.city.time_zone,
        {topic.name: topic.kind for topic in configuration.topics},
        {sign.id: f"{sign.name.zh} {sign.name.en}" for sign in configuration.signs},
    )


def write_about(store: LogStore, about: About) -> None:
    """Leave a description in the folder."""
    with store.transaction() as tx:
        tx.set_meta(_ABOUT, msgspec.json.encode(about))


def read_about(store: LogStore) -> About:
    """The description that the last run left; empty where none ran."""
    return msgspec.json.decode(store.meta(_ABOUT) or b"{}", type=About)


@contextmanager
def opened(folder: Path) -> Iterator[LogStore]:
    """The log of a folder in which an engine has run, or runs.

    Raises
    ------
    Fault
        There is no log, or it can not be read.
    """
    if not (folder / "city.db").is_file():
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
