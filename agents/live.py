"""Live signs: how the engine itself does, in processing time.  Pure: time comes in from outside.

They are no function of the log, are marked so, and no other sign reads them.  Their alerts have a
kind of their own, and are not counted by what counts alerts.
"""

from __future__ import annotations

from collections import deque

import msgspec

from agents.alerts import Alerts
from agents.dated import Labels, scales_of
from agents.entries import UNCOVERED, WARMING, Entry, judged
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
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, bytes]).decode
_ENOUGH = 0.9
"""The share of a day that must have been measured; clocks jump, and engines stand still."""


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
        zone = plan.configuration.city.time_zone
        live = [sign for sign in signs if isinstance(sign, LiveSign)]
        self._measures = [_Measured(sign, pace, zone) for sign in live]
        mine = plan.configuration.model_copy(update={"signs": live, "overlays": []})
        self._alerts = Alerts(mine, plan.config)

    def take(self, outputs: list[Output], now: int) -> list[Output]:
        """Count what is sent at ``now`` (int64 ms UTC); results and alerts of the windows that are
        over.

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
                    table=measured.labels.at(end),
                    live=True,
                )
                said += self._alerts.judge(sign.id, entry, start, end)
        return said

    def dump(self) -> bytes:
        """The alerts that stand; of what was counted nothing is kept."""
        frozen = self._alerts.freeze(whole=True)
        return _encode({name: encode() for name, encode in frozen.items() if encode is not None})

    def load(self, data: bytes | None) -> None:
        """Take over the alerts of a dump, if there is one."""
        if data is not None:
            self._alerts.load(_decode(data))


def _is_first(output: Output) -> bool:
    return dict(output.headers)["ce_id"].endswith(_FIRST)


class _Measured:
    """One live sign and the window that is open."""

    def __init__(self, sign: LiveSign, pace: float, zone: str) -> None:
        self.sign, self.pace = sign, pace
        assert sign.window.size_s is not None
        assert sign.window.hop_s is not None
        self.size_ms, self.hop_ms = to_ms(sign.window.size_s), to_ms(sign.window.hop_s)
        self._slots: deque[tuple[int, int]] = deque()
        """Begin of a hop, and the alerts raised in it, of those of a window that are known."""
        self._scales, self.labels = scales_of(sign.levels, zone), Labels(sign, zone)
        self._begin: int | None = None
        """Of the first hop of all."""
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
            over.append((end - self.size_ms, end, self._entry(city, end)))
            self._lags, self._raised = [], 0
        if self._begin is None:
            self._begin = start
        if self._start is None or self._start < start:
            self._start = start
        self._lags += [now - end for end in ends]
        self._raised += raised
        return over

    def _entry(self, city: str, end: int) -> Entry:
        if self.sign.measure == "alerts_raised":
            entry = Entry("city", city, city, float(self._raised), self._raised, 1.0, None)
        elif self.sign.measure == "flood_time":
            entry = self._flood_time(city, end)
        elif not self._lags:
            entry = Entry("city", city, city, None, 0, 0.0, UNCOVERED)
        else:
            ordered = sorted(self._lags)
            rank = -(-99 * len(ordered) // 100)
            lag_s = max(0, ordered[rank - 1]) / (SECOND_MS * self.pace)
            entry = Entry("city", city, city, lag_s, len(ordered), 1.0, None)
        return judged(entry, self._scales.at(end))

    def _flood_time(self, city: str, end: int) -> Entry:
        """The share of a day's hops with a flood; none until there has been a day."""
        assert self._begin is not None
        raised = [alerts for _, alerts in self._slots]
        coverage = len(raised) * self.hop_ms / self.size_ms
        entry = Entry("city", city, city, None, sum(raised), coverage, UNCOVERED)
        if self._begin > end - self.size_ms:
            return entry._replace(reason=WARMING)
        if coverage < _ENOUGH:
            return entry
        share = 100 * sum(alerts > FLOOD for alerts in raised) / len(raised)
        return entry._replace(value=share, reason=None)
