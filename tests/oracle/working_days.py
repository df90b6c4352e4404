"""Limits in working days, counted day by day."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo


class WorkingDays:
    """Monday to Friday less holidays, plus days worked for them; dates such as 2026-10-01."""

    def __init__(self, zone: str, holidays: Collection[str], worked: Collection[str]) -> None:
        self.zone = ZoneInfo(zone)
        self.holidays, self.worked = holidays, worked

    def due(self, created_ms: int, days: int) -> int:
        """24:00 of the last of so many working days after the day of creation, int64 ms UTC.

        >>> WorkingDays("Asia/Shanghai", ["2026-05-25"], ["2026-05-23"]).due(1779403260000, 2)
        1779811200000
        """
        day = datetime.fromtimestamp(created_ms / 1000, self.zone).date()
        while days:
            day += timedelta(days=1)
            date = day.isoformat()
            if date in self.worked or (day.isoweekday() <= 5 and date not in self.holidays):
                days -= 1
        after = day + timedelta(days=1)
        midnight = datetime(after.year, after.month, after.day, tzinfo=self.zone)
        return int(midnight.timestamp()) * 1000
