"""R1: windows are half-open, and tile; the local calendar has days of 23 and 25 hours."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.windows import Calendar, Hopping, Windows, Within

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def at(text: str, zone: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def ends(windows: Windows, low: int, high: int) -> list[int]:
    found, end = [], windows.first_end_after(low)
    while end <= high:
        found.append(end)
        end = windows.first_end_after(end)
    return found


def test_tumbling() -> None:
    """::

    t   -10      0      10      20
         [-------)[------)[------)
    """
    windows = Hopping(10, 10)
    assert windows.pane_ms == 10
    assert ends(windows, -1, 20) == [0, 10, 20]
    assert windows.first_end_after(10) == 20
    assert windows.start(20) == 10
    assert windows.last_end_with(9) == 10
    assert windows.last_end_with(10) == 20


def test_hopping() -> None:
    """::

    t    0   2   4   6   8   10  12
         [-----------)
             [-----------)
                 [-----------)
                     [-----------)
    """
    windows = Hopping(6, 2)
    assert windows.pane_ms == 2
    assert ends(windows, 5, 12) == [6, 8, 10, 12]
    assert windows.last_end_with(5) == 10
    assert windows.last_end_with(6) == 12


def test_a_hop_that_does_not_divide_the_size() -> None:
    """Starts are multiples of the hop, ends are not::

    t    0       4       8       12
         [---------)
                 [---------)
                         [---------)
    """
    windows = Hopping(5, 4)
    assert windows.pane_ms == 1
    assert ends(windows, 0, 13) == [1, 5, 9, 13]
    assert [windows.start(end) for end in (5, 9)] == [0, 4]
    assert [windows.has_end(t) for t in (4, 5, 8, 9)] == [False, True, False, True]


sizes = st.tuples(st.integers(1, 10**9), st.integers(1, 10**9)).map(lambda pair: sorted(pair))
times = st.integers(-2 * 10**12, 4 * 10**12)


@given(sizes, times)
def test_any_hopping_windows(size_hop: list[int], t: int) -> None:
    hop, size = size_hop
    windows = Hopping(size, hop)
    end = windows.first_end_after(t)
    assert t < end <= t + hop
    assert windows.has_end(end)
    assert windows.start(end) == end - size
    assert windows.start(end) % hop == 0
    last = windows.last_end_with(t)
    assert windows.start(last) <= t < last
    assert t < windows.start(last + hop)
    assert hop % windows.pane_ms == 0
    assert size % windows.pane_ms == 0


def test_days_and_nights_in_shanghai() -> None:
    """Eight hours ahead of UTC the whole year::

    local   22:00     00:00           06:00          22:00     00:00
              [------- night -----------)              [----
                        [---------------- day -------------------)
    """
    zone = "Asia/Shanghai"
    day, night = Calendar("day", zone), Calendar("night", zone)
    assert day.pane_ms == night.pane_ms == HOUR_MS
    midnight = at("2026-03-02T00:00", zone)
    assert midnight == round(datetime(2026, 3, 1, 16, tzinfo=UTC).timestamp() * 1000)
    assert ends(day, midnight - 1, midnight + DAY_MS) == [midnight, midnight + DAY_MS]
    assert day.start(midnight) == midnight - DAY_MS
    assert day.last_end_with(midnight - 1) == midnight
    assert day.last_end_with(midnight) == midnight + DAY_MS
    morning = at("2026-03-02T06:00", zone)
    assert night.start(morning) == at("2026-03-01T22:00", zone)
    assert night.first_end_after(morning - 1) == morning
    assert night.first_end_after(morning) == morning + DAY_MS
    # No night holds noon: the next one is told.
    assert night.last_end_with(at("2026-03-02T12:00", zone)) == morning + DAY_MS


def test_months_in_shanghai() -> None:
    month = Calendar("month", "Asia/Shanghai")
    found = ends(
        month, at("2027-12-15T00:00", "Asia/Shanghai"), at("2028-04-01T00:00", "Asia/Shanghai")
    )
    firsts = [f"2028-{m:02}-01T00:00" for m in (1, 2, 3, 4)]
    assert found == [at(text, "Asia/Shanghai") for text in firsts]
    assert [(end - month.start(end)) // DAY_MS for end in found] == [31, 31, 29, 31]


@pytest.mark.parametrize(
    ("unit", "end", "hours"),
    [
        # Clocks go from 02:00 to 03:00 on 8 March, and from 02:00 back to 01:00 on 1 November.
        ("day", "2026-03-08T00:00", 24),
        ("day", "2026-03-09T00:00", 23),
        ("day", "2026-11-01T00:00", 24),
        ("day", "2026-11-02T00:00", 25),
        ("night", "2026-03-08T06:00", 7),
        ("night", "2026-11-01T06:00", 9),
        ("night", "2026-11-02T06:00", 8),
        ("month", "2026-04-01T00:00", 31 * 24 - 1),
        ("month", "2026-12-01T00:00", 30 * 24 + 1),
    ],
)
def test_new_york(unit: str, end: str, hours: int) -> None:
    windows, t = Calendar(unit, "America/New_York"), at(end, "America/New_York")
    assert windows.has_end(t)
    assert t - windows.start(t) == hours * HOUR_MS
    assert windows.first_end_after(t - hours * HOUR_MS) <= t
    assert windows.first_end_after(t - 1) == t


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_zones_off_the_hour_have_panes_of_a_quarter(zone: str) -> None:
    windows = Calendar("day", zone)
    assert windows.pane_ms == HOUR_MS // 4
    midnight = at("2026-07-02T00:00", zone)
    assert midnight % HOUR_MS
    assert windows.has_end(midnight)
    assert windows.start(midnight) == at("2026-07-01T00:00", zone)


@given(
    st.sampled_from(["day", "night", "month"]),
    st.sampled_from(["Asia/Shanghai", "America/New_York", "Asia/Kolkata", "Europe/London", "UTC"]),
    st.integers(0, 4 * 10**12),
)
def test_any_calendar_windows_tile(unit: str, zone: str, t: int) -> None:
    windows = Calendar(unit, zone)
    end = windows.first_end_after(t)
    start, after = windows.start(end), windows.first_end_after(end)
    assert t < end < after
    assert windows.has_end(end)
    assert not windows.has_end(end - 1)
    assert start % windows.pane_ms == 0
    assert end % windows.pane_ms == 0
    assert (windows.start(after) == end) == (unit != "night")
    assert windows.last_end_with(t) == end
    if unit != "night":
        assert start <= t


def test_a_day_without_midnight_begins_where_the_one_before_ended() -> None:
    """Cairo, 26 April 2024: clocks go from 00:00 to 01:00, so that day begins at 01:00."""
    day = Calendar("day", "Africa/Cairo")
    noon = 1_714_039_200_000  # 25 April 2024, 12:00 local
    end = day.first_end_after(noon)
    assert (end - day.start(end), end) == (24 * 3_600_000, 1_714_082_400_000)
    after = day.first_end_after(end)
    assert (day.start(after), after - end) == (end, 23 * 3_600_000)


@given(
    st.integers(-3 * DAY_MS, 3 * DAY_MS),
    st.integers(1, 8),
    st.sampled_from(["night", "daytime"]),
    st.sampled_from(["Asia/Shanghai", "America/New_York"]),
)
def test_windows_of_a_night_lie_in_it(t: int, hours: int, unit: str, zone: str) -> None:
    hop = HOUR_MS // 4
    hopping, calendar = Hopping(hours * HOUR_MS, hop), Calendar(unit, zone)
    windows = Within(hopping, calendar)
    stretches = ends(calendar, t - DAY_MS, t + 3 * DAY_MS)

    def lies_in_one(end: int) -> bool:
        start = hopping.start(end)
        return any(calendar.start(over) <= start and end <= over for over in stretches)

    wanted = [end for end in ends(hopping, t, t + 2 * DAY_MS) if lies_in_one(end)]
    assert ends(windows, t, t + 2 * DAY_MS) == wanted
    assert [windows.has_end(end) for end in wanted] == [True] * len(wanted)
    last = windows.last_end_with(t)
    holding = [end for end in wanted if hopping.start(end) <= t < end]
    assert last == (holding[-1] if holding else wanted[0])
    assert windows.pane_ms == hopping.pane_ms
