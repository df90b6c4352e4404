"""Roll-up ``over``: base windows close first, then a function over the children's values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import fsum
from typing import NamedTuple

import numpy as np

from agents.entries import KeyName, places_above
from agents.said import NONE, UNCOVERED, WARMING, Said
from schemas.places import LEVELS
from streams.heads import Floats, Ints

SITE = "site"


class _Groups(NamedTuple):
    """Rows of children by the place above them: the names of the places in their order, and the
    rows, those of one place together, with where each place's begin."""

    names: list[KeyName]
    rows: Ints
    first: Ints


class RollUp:
    """What a sign says of the places above its base keys.

    Parameters
    ----------
    function
        ``max``, ``min`` or ``mean`` of the values, or ``share``: the part of the children whose
        value is not zero.
    levels
        The key levels of the sign; those that are places coarser than the base are made, and sites
        of devices.
    """

    def __init__(self, function: str, levels: tuple[str, ...]) -> None:
        self.function, self.levels = function, levels
        self._last: tuple[list[KeyName], list[str], Sequence[str], _Groups] | None = None

    def of(
        self, children: Said, only: Collection[KeyName] | None = None, sites: Sequence[str] = ()
    ) -> Said:
        """Rows of the places above the children, in the order of levels and keys.

        Parameters
        ----------
        children
            Judged rows of the base keys that are alive.
        only
            The places wanted; None means all.
        sites
            The site of each child, empty where it has none; none at all where the sign has no
            sites above it.
        """
        if only is not None:
            groups = _grouped(children, self.levels, only, sites)
            return _rolled_up(children, self.function, groups)
        # From window to window children are mostly the same, where they were.
        last = self._last
        if last is None or last[:3] != (children.names, children.places, sites):
            groups = _grouped(children, self.levels, None, sites)
            last = self._last = children.names, children.places, sites, groups
        return _rolled_up(children, self.function, last[3])


def _rolled_up(children: Said, function: str, groups: _Groups) -> Said:
    if not groups.names:
        return Said.of([])
    values, first = children.values[groups.rows], groups.first
    count = np.diff(np.append(first, len(values)))
    present = ~np.isnan(values)
    valid = np.add.reduceat(present, first, dtype=np.int64)
    warming = np.logical_and.reduceat(children.reasons[groups.rows] == WARMING, first)
    reasons = np.where(valid > 0, NONE, np.where(warming, WARMING, UNCOVERED)).astype(np.int8)
    over, keys = _over(function, children, groups, valid)
    details = {
        i: {"child": keys[i], "children": int(count[i])} if keys else {"children": int(count[i])}
        for i in np.flatnonzero(valid).tolist()
    }
    return Said(
        list(groups.names),
        _places(children, groups),
        over,
        np.add.reduceat(children.n[groups.rows], first),
        valid / count,
        reasons,
        np.full(len(over), NONE, np.int8),
        details,
    )


def _places(children: Said, groups: _Groups) -> list[str]:
    """Where each group is; a site is where the first of its devices by name is."""
    ends = [*groups.first.tolist()[1:], len(groups.rows)]
    found = []
    for (level, key), first, end in zip(groups.names, groups.first.tolist(), ends, strict=True):
        if level in LEVELS:
            found.append(key)
        else:
            rows = groups.rows[first:end].tolist()
            found.append(children.places[min(rows, key=children.names.__getitem__)])
    return found


def _grouped(
    children: Said,
    levels: tuple[str, ...],
    only: Collection[KeyName] | None,
    sites: Sequence[str],
) -> _Groups:
    found: dict[KeyName, list[int]] = {}
    for row, ((level, _), place) in enumerate(zip(children.names, children.places, strict=True)):
        for name in places_above(level, place, levels):
            found.setdefault(name, []).append(row)
    for row, site in enumerate(sites):
        if site:
            found.setdefault((SITE, site), []).append(row)
    names = sorted(found if only is None else [name for name in found if name in only])
    rows = [found[name] for name in names]
    first = np.cumsum([0, *map(len, rows)])[:-1]
    return _Groups(names, np.array([row for group in rows for row in group], np.int64), first)


def _over(function: str, children: Said, groups: _Groups, valid: Ints) -> tuple[Floats, list[str]]:
    """The value of each group, NaN where it has none; and its worst child, where one decides."""
    values = children.values[groups.rows]
    pieces = np.split(values, groups.first[1:])
    if function == "mean":
        sums = [fsum(piece[~np.isnan(piece)].tolist()) for piece in pieces]
        return np.divide(sums, valid, where=valid > 0, out=np.full(len(valid), np.nan)), []
    if function == "share":
        met = np.add.reduceat(~np.isnan(values) & (values != 0), groups.first, dtype=np.int64)
        return np.divide(met, valid, where=valid > 0, out=np.full(len(valid), np.nan)), []
    pick = np.fmax if function == "max" else np.fmin
    worst: Floats = pick.reduceat(values, groups.first)
    keys = []
    for value, piece, first in zip(worst, pieces, groups.first.tolist(), strict=True):
        rows = groups.rows[first + np.flatnonzero(piece == value)].tolist()
        keys.append(min((children.names[row][1] for row in rows), default=""))
    return worst, keys
