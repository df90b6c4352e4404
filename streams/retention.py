"""How long the embedded log keeps its batches."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import merge
from typing import NamedTuple

from streams.log_store import LogStore
from streams.log_types import NEVER, Topic
from streams.records import Lane


class _Batch(NamedTuple):
    """A batch that may go: when it was appended, where it ends, and its bytes."""

    appended_ms: int
    lane: Lane
    end: int
    size: int


def trim(
    store: LogStore, now_ms: int, retain_ms: int, retain_bytes: int, keep: Mapping[Lane, int]
) -> int:
    """Delete what is older than the retention, then the oldest until it fits.

    Parameters
    ----------
    now_ms, retain_ms
        A batch appended before ``now_ms - retain_ms`` goes; a topic's own retention comes first.
    retain_bytes
        Bound on the batches of all topics but the compacted and those kept for good.
    keep
        Offset that the oldest snapshot needs, by lane; no batch that reaches it goes.

    Returns
    -------
    int
        Number of batches deleted.
    """
    ends: dict[Lane, int] = {}
    rest: list[list[_Batch]] = []
    held = 0
    for topic in store.topics():
        if topic.compacted or topic.retain_ms == NEVER:
            continue
        horizon = now_ms - (retain_ms if topic.retain_ms is None else topic.retain_ms)
        for lane in _lanes(topic):
            aged_until, size, free = _sort_out(store, lane, horizon, keep.get(lane))
            if aged_until is not None:
                ends[lane] = aged_until
            held += size
            rest.append(free)
    for batch in merge(*rest):
        if held <= retain_bytes:
            break
        ends[batch.lane] = batch.end
        held -= batch.size
    return sum(store.delete(lane, end) for lane, end in ends.items())


def _lanes(topic: Topic) -> list[Lane]:
    return [Lane(topic.name, partition) for partition in range(topic.partitions)]


def _sort_out(
    store: LogStore, lane: Lane, horizon: int, bound: int | None
) -> tuple[int | None, int, list[_Batch]]:
    """Where the aged batches of a lane end, the bytes of the others, and which of those may go."""
    aged_until, held, free, aged = None, 0, [], True
    for first, count, appended, size in store.batches(lane):
        loose = bound is None or first + count <= bound
        aged = aged and loose and appended < horizon
        if aged:
            aged_until = first + count
            continue
        held += size
        if loose:
            free.append(_Batch(appended, lane, first + count, size))
    return aged_until, held, free
