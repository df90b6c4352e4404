"""Windows and panes: half-open slices of event time in int64 ms (rule R1)."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from math import gcd
from typing import Protocol
from zoneinfo import ZoneInfo

from streams.timeline import HOUR_MS, MINUTE_MS, floor_to

NIGHT_BEGINS, NIGHT_ENDS = 22, 6


class Windows(Protocol):
    """The windows of one sign, told by their ends."""

    pane_ms: int

    def first_end_after(self, t: int) -> int:
        """The smallest end above ``t``, int64 ms."""
        ...

    def start(self, end: int) -> int:
        """The start of the window that ends at ``end``, int64 ms."""
        ...

    def has_end(self, t: int) -> bool:
        """Whether a window ends at ``t``."""
        ...

    def last_end_with(self, t: int) -> int:
        """The end of the last window that holds ``t``, or of the next one where none does."""
        ...


class Hopping:
    """Windows of one size that start at every multiple of the hop; tumbling where both agree.

    Parameters
    ----------
    size_ms, hop_ms
        int64 ms, ``0 < hop_ms <= size_ms``.

    Examples
    --------
    Size 3, hop 2: every window starts at a multiple of 2::

        t  0 1 2 3 4 5 6 7
           [-----)
               [-----)
                   [-----)

    >>> windows = Hopping(3, 2)
    >>> windows.pane_ms, windows.first_end_after(3), windows.start(5), windows.has_end(4)
    (1, 5, 2, False)
    """

    def __init__(self, size_ms: int, hop_ms: int) -> None:
        if not 0 < hop_ms <= size_ms:
            raise ValueError(f"a hop of {hop_ms} ms does not fit a window of {size_ms} ms")
        self.size_ms, self.hop_ms = size_ms, hop_ms
        self.pane_ms = gcd(size_ms, hop_ms)

    def first_end_after(self, t: int) -> int:
        return floor_to(t - self.size_ms, self.hop_ms) + self.hop_ms + self.size_ms

    def start(self, end: int) -> int:
        return end - self.size_ms

    def has_end(self, t: int) -> bool:
        return (t - self.size_ms) % self.hop_ms == 0

    def last_end_with(self, t: int) -> int:
        return floor_to(t, self.hop_ms) + self.size_ms


class Within:
    """Of hopping windows those alone that lie in one local daytime, or night, of a calendar.

    Examples
    --------
    >>> hour = 3_600_000
    >>> nights = Within(Hopping(2 * hour, hour), Calendar("night", "UTC"))
    >>> [nights.first_end_after(t * hour) // hour for t in (-3, 1, 5, 6, 23)]
    [0, 2, 6, 24, 24]
    """

    def __init__(self, windows: Hopping, calendar: Calendar) -> None:
        self.windows, self.calendar, self.pane_ms = windows, calendar, windows.pane_ms

    def first_end_after(self, t: int) -> int:
        while True:
            end = self.windows.first_end_after(t)
            begins = self._begin(end)
            if begins <= self.start(end):
                return end
            t = begins + self.windows.size_ms - 1

    def _begin(self, end: int) -> int:
        """Where the stretch begins that is under way at an end, or the next one."""
        return self.calendar.start(self.calendar.first_end_after(end - 1))

    def start(self, end: int) -> int:
        return self.windows.start(end)

    def has_end(self, t: int) -> bool:
        return self.windows.has_end(t) and self._begin(t) <= self.start(t)

    def last_end_with(self, t: int) -> int:
        end = self.windows.last_end_with(t)
        while end > t and not self.has_end(end):
            end -= self.windows.hop_ms
        return end if end > t else self.first_end_after(t)


class Calendar:
    """Local days, daytimes (06:00 to 22:00), nights (22:00 to 06:00) or months in a time zone.

    Days of 23 and 25 h are right.

    Parameters
    ----------
    unit
        ``day``, ``daytime``, ``night`` or ``month``.
    zone
        IANA name, such as ``Asia/Shanghai``.

    Examples
    --------
    >>> day = Calendar("day", "Asia/Shanghai")
    >>> end = day.first_end_after(0)
    >>> end, end - day.start(end)
    (57600000, 86400000)
    """

    def __init__(self, unit: str, zone: str) -> None:
        self.unit, self.zone = unit, ZoneInfo(zone)
        self.pane_ms = _pane_of(zone)

    def first_end_after(self, t: int) -> int:
        local = self._local(t)
        day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if self.unit == "month":
            candidates = [_month(day, 0), _month(day, 1)]
        elif self.unit in ("daytime", "night"):
            over = day.replace(hour=NIGHT_BEGINS if self.unit == "daytime" else NIGHT_ENDS)
            candidates = [over, over + timedelta(days=1)]
        else:
            candidates = [day + timedelta(days=1), day + timedelta(days=2)]
        return next(ms for c in candidates if (ms := _ms(c)) > t)

    def start(self, end: int) -> int:
        # Where a day has no midnight it ends after it; the one before it has.
        local = self._local(end).replace(fold=0)
        if self.unit == "daytime":
            return _ms(local.replace(hour=NIGHT_ENDS))
        if self.unit != "night":
            local = local.replace(hour=0, minute=0)
        if self.unit == "month":
            return _ms(_month(local, -1))
        if self.unit == "night":
            return _ms((local - timedelta(days=1)).replace(hour=NIGHT_BEGINS))
        return _ms(local - timedelta(days=1))

    def has_end(self, t: int) -> bool:
        return self.first_end_after(t - 1) == t

    def last_end_with(self, t: int) -> int:
        return self.first_end_after(t)

    def _local(self, t: int) -> datetime:
        return datetime.fromtimestamp(t // 1000, self.zone)


def _ms(local: datetime) -> int:
    return int(local.timestamp()) * 1000


def _month(local: datetime, months: int) -> datetime:
    index = local.year * 12 + local.month - 1 + months
    return local.replace(year=index // 12, month=index % 12 + 1, day=1)


@lru_cache
def _pane_of(zone: str) -> int:
    """One hour, or a quarter where the zone has ever been off the hour since 1970."""
    info, hour = ZoneInfo(zone), timedelta(hours=1)
    for year in range(1970, 2101):
        for month in (1, 7):
            offset = datetime(year, month, 1, tzinfo=info).utcoffset()
            if offset is not None and offset % hour:
                return 15 * MINUTE_MS
    return HOUR_MS
