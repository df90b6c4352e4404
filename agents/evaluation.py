"""What cells say of keys and a window: values, coverage and levels, or why none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agents.gathered import Held
from agents.plan import FoldedSign
from agents.said import NO_LIMIT, NONE, UNCOVERED, UNDEFINED, WARMING, Said
from schemas.signs import WindowSign
from streams.heads import Flags, Floats, Ints, heads_of


class Evaluation:
    """The values of one sign.

    Parameters
    ----------
    plan
        The compiled sign.
    """

    def __init__(self, plan: FoldedSign) -> None:
        self.plan, self.sign = plan, plan.sign
        self._limit = plan.sign.limit if isinstance(plan.sign, WindowSign) else None
        self._zero = plan.sign.empty == "zero"
        self._sampled = plan.sign.kind == "sampled"
        # Of devices that are silent it is known how many are online: none.
        self._online = plan.sign.aggregate.function == "online"

    # What is beyond all numbers is told as null.
    @np.errstate(over="ignore", divide="ignore", invalid="ignore")
    def said(self, held: Held, start: int, end: int) -> Said:
        """The judged rows of what a window holds that goes from ``start`` to ``end``, int64 ms."""
        names, places, cells, index = held.names, held.places, held.cells, held.index
        devices, limits = held.devices, held.limits
        if self._limit is not None and self._limit.how != "excess":
            limits = np.where(limits > 0, limits, np.nan)  # nothing is divided by these
        heads = heads_of(cells)
        heard = index >= 0
        n, covered = (_picked(column, index, heard) for column in (heads.n, heads.covered))
        if self._sampled:
            covered = np.maximum(covered, devices)
        coverage, enough = self._coverage(n, covered, end - start)
        values = np.full(len(names), np.nan)
        reasons = np.full(len(names), NONE, np.int8)
        warming = held.first > start
        lacking = (np.isnan(limits) if self._limit is not None else False) & enough & ~warming
        reasons[~enough] = UNCOVERED
        reasons[lacking] = NO_LIMIT
        reasons[warming] = WARMING
        asked = reasons == NONE
        empty = asked & (n == 0) if self._zero else np.zeros(len(names), np.bool_)
        values[empty] = 0.0
        rows = np.flatnonzero(asked & ~empty)
        if self._online:
            told = covered[rows] > 0
            share = np.divide(n[rows], covered[rows], where=told, out=np.full(len(rows), np.nan))
            values[rows] = share * self.sign.aggregate.scale
        else:
            values[rows] = self.plan.values(cells, index[rows], end - start)
        marks = None
        if self.plan.signals is not None:
            values, marks = self.plan.signals.read(values)
        reasons[rows[np.isnan(values[rows])]] = UNDEFINED
        if self._limit is not None:
            against = _AGAINST[self._limit.how](values, limits)
            values = np.where(np.isnan(values), values, against * self._limit.scale)
        levels = np.full(len(names), NONE, np.int8)
        said = Said(names, places, values, n, coverage, reasons, levels)
        if marks is not None and self.plan.signals is not None:
            for row in np.flatnonzero(marks).tolist():
                said.details[row] = {"table": self.plan.signals.label(int(marks[row]))}
        said.judge(self.plan.scales.at(end))
        return said

    def _coverage(self, n: Ints, covered: Ints, window_ms: int) -> tuple[Floats, Flags]:
        """The shares that are covered, and whether each is enough for a value.

        Where no event means zero, the lanes that have passed the window are all there is to see.
        """
        rule = self.sign.coverage
        some = n > 0
        if rule is None:
            if self._zero:
                return np.ones(len(n)), np.ones(len(n), np.bool_)
            if not self._sampled:
                return some.astype(np.float64), some
            share = np.divide(n, covered, where=covered > 0, out=some.astype(np.float64))
            return share, some | (covered > 0 if self._online else False)
        if rule.by == "time":
            share = np.minimum(1.0, covered / window_ms)
            return share, some & (share >= rule.at_least)
        if rule.by == "samples":
            if self._online:
                # Of those that are silent it is known as well.
                n, some = covered, covered > 0
            share = np.minimum(1.0, n / rule.at_least) if rule.at_least else np.ones(len(n))
            return share, n >= rule.at_least
        share = np.divide(n, covered, where=covered > 0, out=np.zeros(len(n)))
        return share, some & (share >= rule.at_least)


_AGAINST: dict[str, Callable[[Floats, Floats], Floats]] = {
    "ratio": lambda values, limits: values / limits,
    "excess": lambda values, limits: values - limits,
    "deviation": lambda values, limits: np.abs(values - limits) / limits,
}


def _picked(column: Ints, index: Ints, heard: Flags) -> Ints:
    picked = np.zeros(len(index), np.int64)
    picked[heard] = column[index[heard]]
    return picked
