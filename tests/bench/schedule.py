"""When each event of a rate-limited run is meant to be sent, and by which device.

The schedule is an open one: it does not wait for the engine, so an event that could not be sent in
time counts from when it should have been.  Devices speak in turn, and an event's own time is the
millisecond of its intended sending.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

SITE_ROUND, GAUGES = 100, range(2, 100, 4)
"""A hundred load devices stand at four sites, one of each metric; which of them are the gauges of
the site with the water."""


@dataclass(frozen=True)
class Schedule:
    """A run.

    Parameters
    ----------
    start_ms
        When the first event is sent, int64 ms UTC.
    rate
        Events a second.
    lanes
        Lane of each device.

    Examples
    --------
    Two devices in two lanes, an event every 100 ms; windows wait for both lanes:

    >>> schedule = Schedule(start_ms=1000, rate=10, lanes=b"\\0\\1")
    >>> [schedule.sent_ms(i) for i in range(3)]
    [1000.0, 1100.0, 1200.0]
    >>> schedule.index_at(1101), schedule.closing_ms(1100)
    (2, 1200.0)
    """

    start_ms: int
    rate: int
    lanes: Sequence[int]

    @property
    def devices(self) -> int:
        return len(self.lanes)

    @cached_property
    def _lanes(self) -> frozenset[int]:
        return frozenset(self.lanes)

    def sent_ms(self, i: int) -> float:
        """When an event is meant to be sent, ms UTC."""
        return self.start_ms + i * 1000 / self.rate

    def index_at(self, t: int) -> int:
        """The first event whose time is not before ``t``, int64 ms UTC."""
        return max(0, -((self.start_ms - t) * self.rate // 1000))

    def closing_ms(self, t: int) -> float:
        """When the event is meant to be sent with which every lane has come to time ``t``."""
        missing, i = set(self._lanes), self.index_at(t)
        while True:
            missing.discard(self.lanes[i % self.devices])
            if not missing:
                return self.sent_ms(i)
            i += 1

    def first_of_ms(self, devices: Collection[int], t: int) -> float:
        """When the first event of some devices is meant to be sent that is not before ``t``."""
        first = self.index_at(t)
        return self.sent_ms(first + min((d - first) % self.devices for d in devices))


def gauges_of(place: int) -> range:
    """The devices at the nth site with water gauges."""
    return range(place * SITE_ROUND + GAUGES.start, (place + 1) * SITE_ROUND, GAUGES.step)


def onsets(sites: int, first_s: float, last_s: float) -> list[float]:
    """When each of some sites is flooded, spread evenly over a time.

    Examples
    --------
    >>> onsets(3, 10, 20)
    [10.0, 15.0, 20.0]
    """
    step = (last_s - first_s) / max(1, sites - 1)
    return [first_s + n * step for n in range(sites)]
