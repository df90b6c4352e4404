"""Snapshots as a store keeps them: what is new in place of what was, what is gone dropped."""

from __future__ import annotations

from collections.abc import Mapping

from streams.frozen import Frozen

Parts = dict[str, bytes]


def encoded(frozen: Frozen) -> Parts:
    """What changed."""
    return {name: encode() for name, encode in frozen.items() if encode is not None}


def kept(before: Mapping[str, bytes], frozen: Frozen) -> Parts:
    """The parts of a task after a freeze."""
    changed = encoded(frozen)
    return {name: changed[name] if name in changed else before[name] for name in frozen}


def all_kept(before: Mapping[str, Parts], tasks: Mapping[str, Frozen]) -> dict[str, Parts]:
    """The parts of all tasks after some of them were frozen."""
    return {**before, **{task: kept(before.get(task, {}), f) for task, f in tasks.items()}}
