"""Live signs: how the engine itself does, in processing time.  Pure: time comes in from outside.

They are no function of the log, are marked so, and no other sign reads them.
"""

from __future__ import annotations

from collections import deque

from agents.entries import UNCOVERED, Entry, judged
from agents.levels import scale_of
from agents.outputs import ALERT_LOG, VITALS_LOG, vital_results
from agents.plan import Plan
from agents.said import Said
from schemas.signs import LiveSign
from streams.records import Output
from streams.timeline import SECOND_MS, floor_to, to_ms

_FIRST = b"|0"
"""How the ids of results end that are said for the first time: corrections are old by nature."""
FLOOD = 10
"""Alerts in ten minutes that an operator can not follow any more: more than so many (ISA-18.2)."""
_RAISED = b'"transition":"raised"'


class Live:
    """The live signs of a configuration.

    Parameters
    ----------
    plan
        The compiled configuration.
    pace
        Seconds of the city that pass in one of the engine's: a lag is in the engine's.
    """

    def __init__(self, plan: Plan, pace: float = 1.0) -> None:
        self._config, self._city = plan.config, plan.configuration.city.place
        signs = plan.configuration.signs
        self._measures = [_Measured(s, pace) for s in signs if isinstance(s, LiveSign)]

    def take(self, outputs: list[Output], now: int) -> list[Output]:
        """Count what is sent at ``now`` (int64 ms UTC); the results of the windows that are over.

        The first window may have begun before there was anything to count.
        """
        if not self._measures:
            return []
        ends = [o.timestamp for o in outputs if o.topic == VITALS_LOG and _is_first(o)]
        raised = sum(o.topic == ALERT_LOG and _RAISED in o.value for o in outputs)
        said: list[Output] = []
        for measured in self._measures:
            for start, end, entry in measured.take(ends, raised, now, self._city):
                sign = measured.sign
                said += vital_results(
                    sign.id,
                    sign.unit,
                    Said.of([entry]),
                    start,
                    end,
                    rev=0,
                    config=self._config,
                    newest=True,
                    live=True,
                )
        return said


def _is_first(output: Output) -> bool:
    return dict(output.headers)["ce_id"].endswith(_FIRST)


class _Measured:
    """One live sign and the window that is open."""

    def __init__(self, sign: LiveSign, pace: float) -> None:
        self.sign, self.pace = sign, pace
        assert sign.window.size_s is not None
        assert sign.window.hop_s is not None
        self.size_ms, self.hop_ms = to_ms(sign.window.size_s), to_ms(sign.window.hop_s)
        self._slots: deque[tuple[int, int]] = deque()
        """Begin of a hop, and the alerts raised in it, of those of a window that are known."""
        self._scale = scale_of(sign.levels)
        self._start: int | None = None
        self._lags: list[int] = []
        self._raised = 0

    def take(
        self, ends: list[int], raised: int, now: int, city: str
    ) -> list[tuple[int, int, Entry]]:
        """Take what was sent; what the window says that is over by now, and empty ones after it."""
        start = floor_to(now, self.hop_ms)
        over: list[tuple[int, int, Entry]] = []
        if self._start is not None and self._start < start:
            # A clock that jumps by hours says so once, and not for each window between.
            end = self._start + self.hop_ms
            self._slots.append((self._start, self._raised))
            while self._slots[0][0] < end - self.size_ms:
                self._slots.popleft()
            over.append((end - self.size_ms, end, self._entry(city)))
            self._lags, self._raised = [], 0
        if self._start is None or self._start < start:
            self._start = start
        self._lags += [now - end for end in ends]
        self._raised += raised
        return over

    def _entry(self, city: str) -> Entry:
        if self.sign.measure == "alerts_raised":
            entry = Entry("city", city, city, float(self._raised), self._raised, 1.0, None)
        elif self.sign.measure == "flood_time":
            known = len(self._slots)
            raised = [alerts for _, alerts in self._slots]
            share = 100 * sum(alerts > FLOOD for alerts in raised) / known
            coverage = known * self.hop_ms / self.size_ms
            entry = Entry("city", city, city, share, sum(raised), coverage, None)
        elif not self._lags:
            entry = Entry("city", city, city, None, 0, 0.0, UNCOVERED)
        else:
            ordered = sorted(self._lags)
            rank = -(-99 * len(ordered) // 100)
            lag_s = max(0, ordered[rank - 1]) / (SECOND_MS * self.pace)
            entry = Entry("city", city, city, lag_s, len(ordered), 1.0, None)
        return judged(entry, self._scale)
