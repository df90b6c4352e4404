"""Local hours of the week, on working days and on days of rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from zoneinfo import ZoneInfo

from streams.timeline import MINUTE_MS, SECOND_MS

HOURS = 24
WEEK = 7 * HOURS
SLOTS = 2 * WEEK
"""Hours of the week of working days, then those of days of rest."""

_KEPT = 4_096  # minutes: close to three days of windows that end every minute

IsWorking = Callable[[date], bool]
"""Whether a local date is a working day; a function of the date alone (rule R2)."""


def on_weekdays(day: date) -> bool:
    """Monday to Friday, whatever the holidays.

    >>> on_weekdays(date(2026, 3, 6)), on_weekdays(date(2026, 3, 7))
    (True, False)
    """
    return day.weekday() < 5


class LocalHours:
    """Which slot of the local week a window belongs to.

    A weekday that is a holiday has slots apart from those of the weekday, and so has a weekend day
    on which people work: they are compared with their like.

    Parameters
    ----------
    zone
        IANA name, such as ``Asia/Shanghai``; offsets of any number of minutes are right.
    is_working
        Tells working days from days of rest.

    Examples
    --------
    >>> hours = LocalHours("Asia/Shanghai")
    >>> monday_nine = 1_772_413_200_000  # 2026-03-02T09:00+08:00
    >>> hours.slot(monday_nine), hours.slot(monday_nine + 1), name_of(hours.slot(monday_nine))
    (8, 9, 'work-0-08')
    """

    def __init__(self, zone: str, is_working: IsWorking = on_weekdays) -> None:
        self.zone = ZoneInfo(zone)
        self.is_working = is_working
        self._slots: dict[int, int] = {}

    def slot(self, time: int) -> int:
        """The slot, from 0 to `SLOTS` - 1, of the window that ends at ``time`` (int64 ms UTC).

        It is that of the window's last instant: the hour that ends at midnight is of its own day.
        """
        # Whatever a zone does, it does at full minutes (Goose Bay once did at 00:01).
        minute = (time - 1) // MINUTE_MS
        slot = self._slots.get(minute)
        if slot is None:
            if len(self._slots) >= _KEPT:
                self._slots.clear()
            slot = self._slots[minute] = self._slot(minute * MINUTE_MS)
        return slot

    def _slot(self, time: int) -> int:
        local = datetime.fromtimestamp(time // SECOND_MS, self.zone)
        first = 0 if self.is_working(local.date()) else WEEK
        return first + local.weekday() * HOURS + local.hour


def alike(slot: int) -> range:
    """The slots of the same hour on all days of the same type.

    >>> list(alike(9))
    [9, 33, 57, 81, 105, 129, 153]
    """
    first = slot // WEEK * WEEK
    return range(first + slot % HOURS, first + WEEK, HOURS)


def name_of(slot: int) -> str:
    """``work`` or ``rest``, the weekday (0 is Monday) and the hour.

    >>> name_of(SLOTS - 1)
    'rest-6-23'
    """
    day, hour = divmod(slot % WEEK, HOURS)
    return f"{'work' if slot < WEEK else 'rest'}-{day}-{hour:02d}"
