"""Working days: limits counted by hand on a calendar."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from schemas.workdays import WorkDays

# Of the State Council's notices for 2026 what the cases below cross.
HOLIDAYS = (
    *("2026-01-01", "2026-01-02", "2026-01-03"),
    *(f"2026-02-{day}" for day in range(15, 24)),
    *(f"2026-10-{day:02}" for day in range(1, 8)),
)
MADE_UP = ("2026-01-04", "2026-02-14", "2026-02-28", "2026-09-20", "2026-10-10")
MAINLAND = WorkDays("Asia/Shanghai", HOLIDAYS, MADE_UP)


def ms(text: str, zone: str = "Asia/Shanghai", fold: int = 0) -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(local.timestamp() * 1000)


@pytest.mark.parametrize(
    ("created", "days", "end"),
    [
        # A week-end: from Thursday two days end with Monday, for Friday is the first.
        ("2026-05-21T10:00", 2, "2026-05-26T00:00"),
        # Created on a Saturday: Monday is the first day.
        ("2026-05-23T10:00", 1, "2026-05-26T00:00"),
        # From the first to the last ms of a day it is the same limit.
        ("2026-05-20T00:00", 1, "2026-05-22T00:00"),
        ("2026-05-20T23:59:59.999", 1, "2026-05-22T00:00"),
        # Spring Festival: Friday 13 February; Saturday 14 is worked, 15 to 23 are off,
        # so the days are 14, 24, 25, 26, 27 and Saturday 28.
        ("2026-02-13T09:00", 1, "2026-02-15T00:00"),
        ("2026-02-13T09:00", 2, "2026-02-25T00:00"),
        ("2026-02-13T09:00", 6, "2026-03-01T00:00"),
        # Within it: the first day after it.
        ("2026-02-17T09:00", 1, "2026-02-25T00:00"),
        # National Day: Wednesday 30 September; 8, 9 and Saturday 10 October, then Monday 12.
        ("2026-09-30T17:00", 1, "2026-10-09T00:00"),
        ("2026-09-30T17:00", 3, "2026-10-11T00:00"),
        ("2026-09-30T17:00", 5, "2026-10-14T00:00"),
        # The made-up Sunday before it.
        ("2026-09-18T17:00", 1, "2026-09-21T00:00"),
        # New Year's Eve: 1 to 3 January are off, Sunday the 4th is worked.
        ("2025-12-31T23:59", 1, "2026-01-05T00:00"),
        ("2025-12-31T23:59", 5, "2026-01-09T00:00"),
        # It is already the next day in Guangzhou where it is not in UTC.
        ("2026-05-21T00:30", 1, "2026-05-23T00:00"),
    ],
)
def test_limits_counted_by_hand(created: str, days: int, end: str) -> None:
    assert MAINLAND.due(ms(created), days) == ms(end)


@pytest.mark.parametrize(
    ("zone", "created", "hours"),
    [
        ("Europe/Berlin", "2026-03-27T12:00", 24 * 3 + 12 - 1),
        ("Europe/Berlin", "2026-10-23T12:00", 24 * 3 + 12 + 1),
    ],
)
def test_days_of_23_and_25_hours_are_days(zone: str, created: str, hours: int) -> None:
    """From Friday noon over the Sunday of the change to the end of Monday."""
    calendar = WorkDays(zone, [], [])
    assert calendar.due(ms(created, zone), 1) - ms(created, zone) == hours * 3_600_000


def test_a_day_without_midnight_begins_where_the_clock_goes_on() -> None:
    """Cairo, Friday 2026-04-24: 00:00 becomes 01:00, and Thursday ends then."""
    calendar = WorkDays("Africa/Cairo", [], [])
    end = calendar.due(ms("2026-04-22T12:00", "Africa/Cairo"), 1)
    assert end == ms("2026-04-24T01:00", "Africa/Cairo")
    assert end - ms("2026-04-23T00:00", "Africa/Cairo") == 24 * 3_600_000


def test_a_day_with_two_midnights_ends_at_the_first() -> None:
    """Havana, Sunday 2026-11-01: 01:00 becomes 00:00 again."""
    calendar = WorkDays("America/Havana", [], ["2026-10-31"])
    end = calendar.due(ms("2026-10-30T12:00", "America/Havana"), 1)
    assert end == ms("2026-11-01T00:00", "America/Havana", fold=0)
    assert ms("2026-11-01T00:00", "America/Havana", fold=1) - end == 3_600_000


def test_a_holiday_on_a_weekend_changes_nothing() -> None:
    plain = WorkDays("Asia/Shanghai", [], [])
    with_it = WorkDays("Asia/Shanghai", ["2026-05-23"], ["2026-05-22"])
    for day in range(18, 25):
        assert with_it.is_working(date(2026, 5, day)) == plain.is_working(date(2026, 5, day))


@pytest.mark.parametrize("text", ["2026-13-01", "20261001", "2026-W40-4", "", "1 October"])
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^workdays: .* is no day: write .* as 2026-10-01$"):
        WorkDays("Asia/Shanghai", [], [text])


def test_a_day_is_off_or_worked() -> None:
    with pytest.raises(ValueError, match="2026-10-10 stands in holidays and in workdays: take it"):
        WorkDays("Asia/Shanghai", ["2026-10-10"], ["2026-10-10"])


def test_a_limit_has_a_day() -> None:
    with pytest.raises(ValueError, match="a limit of 0 working days: give at least 1"):
        MAINLAND.due(0, 0)
