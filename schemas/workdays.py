"""Working days of a city, and limits that are counted in them.

Monday to Friday, less the public holidays, plus the days of a week-end that are worked to make up
for one (调休).  Both lists are published for each year, so they are configuration; a year without
them is counted by its week-ends alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

SATURDAY = 5
_DAY = timedelta(days=1)


class WorkDays:
    """Which days are worked in a time zone.

    Parameters
    ----------
    zone
        IANA name, such as ``Asia/Shanghai``.
    holidays
        Days off as ``2026-10-01``; those on a week-end may stand among them.
    workdays
        Days of a week-end that are worked, written likewise.

    Raises
    ------
    ValueError
        A day is written in another way, or stands in both lists.

    Examples
    --------
    The Friday before a week-end of which the Sunday is worked:

    >>> calendar = WorkDays("Asia/Shanghai", ["2026-10-01"], ["2026-09-20"])
    >>> days = [date(2026, 9, 18), date(2026, 9, 19), date(2026, 9, 20), date(2026, 10, 1)]
    >>> [calendar.is_working(day) for day in days]
    [True, False, True, False]
    """

    def __init__(self, zone: str, holidays: Iterable[str], workdays: Iterable[str]) -> None:
        self.zone = ZoneInfo(zone)
        self.holidays = frozenset(_day(text, "holidays") for text in holidays)
        self.workdays = frozenset(_day(text, "workdays") for text in workdays)
        both = sorted(self.holidays & self.workdays)
        if both:
            raise ValueError(
                f"{both[0]} stands in holidays and in workdays: take it out of one of them"
            )
        self._ends: dict[tuple[date, int], int] = {}

    def is_working(self, day: date) -> bool:
        """Whether the day is worked."""
        if day in self.workdays:
            return True
        return day.weekday() < SATURDAY and day not in self.holidays

    def due(self, created_ms: int, days: int) -> int:
        """When a limit of so many working days ends.

        The day of creation does not count, whether it is worked or not; the limit ends at 24:00
        local time of the last working day counted after it.  So it never ends on a day off.

        Parameters
        ----------
        created_ms
            int64 ms UTC.
        days
            Working days, at least 1.

        Returns
        -------
        int
            int64 ms UTC of the end of that day: what is done by then is in time.

        Notes
        -----
        Civil Code of the People's Republic of China, article 201: in a period of days the day on
        which it begins is not counted; article 203: the last day ends at 24:00, and one that is a
        statutory day off gives way to the day after it.

        Examples
        --------
        Friday 2026-05-22 06:41 and two working days: the end of Tuesday.

        >>> calendar = WorkDays("Asia/Shanghai", [], [])
        >>> end = calendar.due(1779403260000, 2)
        >>> datetime.fromtimestamp(end // 1000, calendar.zone).isoformat()
        '2026-05-27T00:00:00+08:00'
        """
        if days < 1:
            raise ValueError(f"a limit of {days} working days: give at least 1")
        created = datetime.fromtimestamp(created_ms // 1000, self.zone).date()
        end = self._ends.get((created, days))
        if end is None:
            end = self._ends[created, days] = self._end_of(self._counted(created, days))
        return end

    def _counted(self, created: date, days: int) -> date:
        day, left = created, days
        while left:
            day += _DAY
            left -= self.is_working(day)
        return day

    def _end_of(self, day: date) -> int:
        # A day that has no midnight begins where the clock was put on, as fold 0 gives it.
        following = day + _DAY
        midnight = datetime(following.year, following.month, following.day, tzinfo=self.zone)
        return int(midnight.timestamp()) * 1000


def _day(text: str, name: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise ValueError(f"{name}: {text!r} is no day: write year, month and day as 2026-10-01")
    return day
