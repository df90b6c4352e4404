"""Signs that take the same rows from the same events: a lane folds these once for all of them."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING

from schemas.signs import WindowSign

if TYPE_CHECKING:
    from agents.plan import FoldedSign

_PLAIN = {"sum", "mean", "min", "max", "peak", "last", "rate", "variance", "stddev"}
"""Functions of one field, as `streams.aggregates.MOMENTS` holds it."""


def leaders_of(signs: Iterable[FoldedSign], of_lanes: Collection[str]) -> Mapping[str, str]:
    """By sign of one stream, the sign whose rows it has.

    Parameters
    ----------
    of_lanes
        Signs that lanes finish by themselves: others have no rows in common with them.
    """
    found: dict[Hashable, list[FoldedSign]] = {}
    for folded in signs:
        found.setdefault(_rows_of(folded, folded.sign.id in of_lanes), []).append(folded)
    leaders: dict[str, str] = {}
    for together in found.values():
        # One that reads the field, where only some do: a count has no use for it.
        leader = next((f for f in together if f.sign.aggregate.function != "count"), together[0])
        leaders |= {folded.sign.id: leader.sign.id for folded in together}
    return leaders


def together_of(
    signs: Iterable[FoldedSign], leaders: Mapping[str, str], apart: Collection[str]
) -> dict[str, str]:
    """By sign, the first one whose windows hold the same rows of the same keys.

    Parameters
    ----------
    leaders
        By sign, the one whose rows it has.
    apart
        Signs whose windows may not all be told.
    """
    first: dict[Hashable, str] = {}
    found: dict[str, str] = {}
    for folded in signs:
        name = folded.sign.id
        held = name if name in apart else _held_by(folded, leaders[name])
        found[name] = first.setdefault(held, name)
    return found


def _held_by(folded: FoldedSign, leader: str) -> Hashable:
    """What signs have in common whose windows hold the same; of one of its own kind, its name."""
    sign = folded.sign
    if not isinstance(sign, WindowSign) or sign.hidden:
        return sign.id
    window = (repr(sign.window), sign.empty, repr(sign.limit))
    return (leader, *window, tuple(sign.keys), sign.rollup)


def _rows_of(folded: FoldedSign, of_lane: bool) -> Hashable:
    """What signs with the same rows have in common; of one that has its own, its name."""
    sign, aggregate = folded.sign, folded.sign.aggregate
    reads_value = sign.topic == "sensor" and aggregate.of in (None, "value")
    plain = aggregate.function in _PLAIN and aggregate.over is None
    # Every reading has a value: to count them is to count those.
    counts = aggregate.function == "count" and reads_value
    if (
        not isinstance(sign, WindowSign)
        or not (plain or counts)
        or folded.at_arrival
        or folded.signals is not None
    ):
        return sign.id
    return (
        sign.topic,
        tuple(sorted((field, repr(wanted)) for field, wanted in sign.match.items())),
        sign.base,
        folded.dimension,
        "value" if reads_value else aggregate.of,
        folded.windows.pane_ms,
        folded.lateness_ms,
        folded.forget_ms,
        of_lane,
    )
