"""What holds the memory of a running engine: parts of it are dropped one by one, and what is in use
is asked of both allocators, Python's and the C library's, after each.

Resident memory would not tell: an arena of Python's allocator goes back only when all of it is
free.  The order matters where parts hold parts of others: what is dropped first is what holds last.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from agents.assess import Assess
from agents.intake import Intake
from agents.own_signs import OwnSigns
from agents.pipeline import Pipeline


class Holder(NamedTuple):
    """A part of the engine, and how it is dropped.

    Attributes
    ----------
    open_panes
        Whether it is what open panes hold: told apart from the state of devices.
    """

    name: str
    open_panes: bool
    drop: Callable[[], None]


class Held(NamedTuple):
    """A part of the engine and its bytes."""

    name: str
    open_panes: bool
    size: int


_IN_CHUNKS, _IN_MAPPINGS = 7, 4
"""Where ``struct mallinfo2`` of glibc (2.33 and later) has its ``uordblks`` and ``hblkhd``."""


class _Mallinfo(ctypes.Structure):
    _fields_ = (("counts", ctypes.c_size_t * 10),)


CAN_COUNT = hasattr(ctypes.CDLL(None), "mallinfo2")
"""Whether the C library says what is in use."""


def used_bytes() -> int:
    """Bytes in use by this process in blocks of both allocators; glibc alone can say."""
    gc.collect()
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Mallinfo
    counts = mallinfo().counts
    return int(counts[_IN_CHUNKS] + counts[_IN_MAPPINGS]) + _in_blocks_of_python()


def _in_blocks_of_python() -> int:
    """As Python tells it, which it does on the file of standard error alone."""
    sys.stderr.flush()
    kept = os.dup(2)
    with TemporaryFile() as told:
        os.dup2(told.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        told.seek(0)
        found = re.search(rb"bytes in allocated blocks\s*=\s*([\d,]+)", told.read())
    assert found is not None
    return int(found[1].replace(b",", b""))


def resident_bytes() -> int:
    """Resident memory of this process."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """Most resident memory this process ever had."""
    return _status("VmHWM")


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text("utf-8")
    return int(text.partition(f"{name}:")[2].split()[0]) << 10


def census(holders: Iterable[Holder], used: Callable[[], int] = used_bytes) -> list[Held]:
    """Drop all parts in turn; the bytes of each, the greatest first.

    Examples
    --------
    >>> sizes = iter([100, 70, 60])
    >>> parts = [Holder("gate", False, lambda: None), Holder("panes", True, lambda: None)]
    >>> [(held.name, held.size) for held in census(parts, lambda: next(sizes))]
    [('gate', 30), ('panes', 10)]
    """
    found, before = list[Held](), used()
    for name, open_panes, drop in holders:
        drop()
        after = used()
        found.append(Held(name, open_panes, before - after))
        before = after
    return sorted(found, key=lambda held: -held.size)


def holders_of(pipeline: Pipeline) -> Iterator[Holder]:
    """The parts of an engine, in the order in which they can be dropped."""
    lanes, shards = list(pipeline.lanes.values()), pipeline.shards
    own = [lane.own for lane in lanes if lane.own is not None]
    assessing = [*shards, *(each.assess for each in own)]
    yield Holder("gate: templates of senders", False, lambda: _each(lanes, _drop_gate))
    yield Holder("de-duplication", False, lambda: _each(lanes, _emptied_slots("_seen")))
    yield Holder("arrivals: senders", False, lambda: _each(lanes, _drop_senders))
    yield Holder("sampled tables", False, lambda: _each(lanes, _drop_stores(sampled=True)))
    yield Holder("open panes of the lanes", True, lambda: _each(lanes, _drop_stores(sampled=False)))
    yield Holder("slots and keys of the lanes", False, lambda: _each(lanes, _emptied("_folds")))
    yield Holder("open windows of the assessment", True, lambda: _each(shards, _drop_windows))
    yield Holder("keys of the assessment", False, lambda: _each(shards, _emptied("_folded")))
    if own:
        yield Holder("open windows of own signs", True, lambda: _each(own, _drop_own_windows))
        yield Holder("keys of own signs", False, lambda: _each(own, _drop_own_keys))
    yield Holder("models", False, lambda: _each(assessing, _emptied("judges")))
    yield Holder("all else of the engine", False, lambda: _each([pipeline], _clear))


def _each(owners: Iterable[Any], drop: Callable[[Any], None]) -> None:
    for owner in owners:
        drop(owner)


def _clear(owner: Any) -> None:
    owner.__dict__.clear()


def _emptied(name: str) -> Callable[[Any], None]:
    """Forget what stands under a name, and what its members hold."""

    def drop(owner: Any) -> None:
        held = owner.__dict__.pop(name)
        for member in held.values() if isinstance(held, dict) else held:
            member.__dict__.clear()

    return drop


def _emptied_slots(name: str) -> Callable[[Any], None]:
    return lambda owner: owner.__dict__.pop(name)


def _drop_gate(lane: Intake) -> None:
    lane._gate = None
    lane._teacher.__dict__.clear()


def _drop_senders(lane: Intake) -> None:
    if lane._arrivals is not None:
        lane._arrivals.reset()


def _drop_stores(*, sampled: bool) -> Callable[[Intake], None]:
    def drop(lane: Intake) -> None:
        for fold in lane._folds:
            if fold.by_device == sampled and "store" in fold.__dict__:
                del fold.store

    return drop


def _drop_windows(shard: Assess) -> None:
    for state in shard._folded.values():
        state.gathered._panes.clear()
        state.gathered._late.clear()
        state._said.clear()


def _drop_own_windows(own: OwnSigns) -> None:
    _drop_windows(own.assess)


def _drop_own_keys(own: OwnSigns) -> None:
    own._placed.clear()
    _emptied("_folded")(own.assess)
