"""What a folded state says of a key and a window: its value, coverage and level, or why none."""

from __future__ import annotations

from agents.entries import NO_LIMIT, UNCOVERED, UNDEFINED, WARMING, Entry, KeyName, judged
from agents.levels import Scale
from agents.plan import FoldedSign
from schemas.signs import WindowSign
from streams.aggregates import Accumulator


class Evaluation:
    """The values of one sign.

    Parameters
    ----------
    plan
        The compiled sign.
    scale
        Its thresholds, if it has any.
    """

    def __init__(self, plan: FoldedSign, scale: Scale | None) -> None:
        self.plan, self.sign = plan, plan.sign
        self._scale = scale
        self._limit = plan.sign.limit if isinstance(plan.sign, WindowSign) else None
        self._zero = plan.sign.empty == "zero"
        self._sampled = plan.sign.kind == "sampled"
        # Of devices that are silent it is known how many are online: none.
        self._online = plan.sign.aggregate.function == "online"

    def entry(
        self,
        name: KeyName,
        place: str,
        state: Accumulator | None,
        start: int,
        end: int,
        first: int,
    ) -> Entry:
        """The judged entry of a key.

        Parameters
        ----------
        state
            Of the window; None where nothing was heard.
        start, end
            Of the window, int64 ms.
        first
            The pane from which windows are not warming up any more, int64 ms.
        """
        state = self._with_register(name, state, end)
        n = 0 if state is None else state[0]
        coverage, enough = self._coverage(state, end - start)
        limit = None if self._limit is None else self._limit_of(name, end)
        value, reason = None, None
        if start < first:
            reason = WARMING
        elif not enough:
            reason = UNCOVERED
        elif self._limit is not None and limit is None:
            reason = NO_LIMIT
        elif state is None or (n == 0 and self._zero):
            value = 0.0
        else:
            value = self.plan.value(state, end - start)
            reason = UNDEFINED if value is None else None
        if value is not None:
            value = float(value) if limit is None else self._against(float(value), limit)
        return judged(Entry(*name, place, value, n, coverage, reason), self._scale)

    def _with_register(
        self, name: KeyName, state: Accumulator | None, end: int
    ) -> Accumulator | None:
        """A sampled state that counts the devices of the register, seen or never seen."""
        expected = self.plan.expected.get(name) if self._sampled else None
        devices = 0 if expected is None else expected.devices(end)
        if not devices:
            return state
        state = self.plan.family.empty if state is None else state
        return (*state[:2], max(devices, state[0]), *state[3:])

    def _limit_of(self, name: KeyName, end: int) -> float | None:
        expected = self.plan.expected.get(name)
        return None if expected is None else expected.limit(end)

    def _against(self, value: float, limit: float) -> float:
        assert self._limit is not None
        ratio = self._limit.how == "ratio"
        return (value / limit if ratio else value - limit) * self._limit.scale

    def _coverage(self, state: Accumulator | None, window_ms: int) -> tuple[float, bool]:
        """The share that is covered, and whether it is enough for a value.

        Where no event means zero, the lanes that have passed the window are all there is to see.
        """
        rule = self.sign.coverage
        n, covered = (0, 0) if state is None else (state[0], state[2])
        if rule is None:
            if self._zero:
                return 1.0, True
            if self._sampled and covered:
                return n / covered, n > 0 or self._online
            return (1.0 if n else 0.0), n > 0
        if rule.by == "time":
            share = min(1.0, covered / window_ms)
            return share, n > 0 and share >= rule.at_least
        if rule.by == "samples":
            return min(1.0, n / rule.at_least), n >= rule.at_least
        share = n / covered if covered else 0.0
        return share, n > 0 and share >= rule.at_least
