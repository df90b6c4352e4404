"""The hour-of-week baseline against values worked by hand, and against a slow oracle."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from agents.detectors.hour_of_week import HourOfWeek, HourOfWeekParameters
from agents.detectors.local_hours import LocalHours, name_of
from agents.detectors.protocol import WARMING, Verdict
from tests.detectors.series import DAY, HOUR, MONDAY, QUARTER, WEEK, Point, run, weekly

NINE = MONDAY + 9 * HOUR
ZONE = "Asia/Shanghai"
HOLIDAY = date(2026, 3, 18)  # a Wednesday
WORKING_SATURDAY = date(2026, 3, 21)


def is_working(day: date) -> bool:
    return day == WORKING_SATURDAY or (day.weekday() < 5 and day != HOLIDAY)


def learned(values: list[float], **parameters: float | str) -> HourOfWeek:
    """One value a week, of the window that ends at nine on Monday."""
    given = {"least": len(values), "relative_floor": 0.0, **parameters}
    detector = HourOfWeek(HourOfWeekParameters(**given), 0, LocalHours(ZONE))  # type: ignore[arg-type]
    for n, value in enumerate(values):
        detector.learn(value, NINE + n * WEEK)
    return detector


# 3, 5, 5, 6, 9, 11, 50, 70: median (6 + 9) / 2 = 7.5;
# deviations 4.5, 2.5, 2.5, 1.5, 1.5, 3.5, 42.5, 62.5: their median is (2.5 + 3.5) / 2 = 3.
VALUES = [50.0, 3.0, 5.0, 11.0, 6.0, 70.0, 9.0, 5.0]
SIGMA = 3 * 1.4826


@pytest.mark.parametrize(
    ("value", "parameters", "z", "scale"),
    [
        (7.5, {}, 0.0, SIGMA),
        (20.0, {}, 12.5 / SIGMA, SIGMA),
        (0.0, {}, 7.5 / SIGMA, SIGMA),
        (20.0, {"floor": 5.0}, 2.5, 5.0),
        (20.0, {"floor": 4.0}, 12.5 / SIGMA, SIGMA),
        (20.0, {"relative_floor": 0.8}, 12.5 / 6, 6.0),
        (20.0, {"counts": True}, 12.5 / SIGMA, SIGMA),
        (20.0, {"side": "low"}, 0.0, SIGMA),
        (20.0, {"side": "high"}, 12.5 / SIGMA, SIGMA),
        (0.0, {"side": "low"}, 7.5 / SIGMA, SIGMA),
        (0.0, {"side": "high"}, 0.0, SIGMA),
    ],
)
@pytest.mark.parametrize("alarm", [4.0, 2.5])
def test_worked_by_hand(
    value: float, parameters: dict[str, float | str], z: float, scale: float, alarm: float
) -> None:
    detector = learned(VALUES, z_alarm=alarm, **parameters)
    verdict = detector.score(value, NINE + 8 * WEEK)
    assert verdict.score == pytest.approx(z / (z + alarm), rel=1e-12)
    assert verdict.expected == 7.5
    low = 7.5 - alarm * scale
    wanted = (max(low, 0.0) if "counts" in parameters else low, 7.5 + alarm * scale)
    assert verdict.band == pytest.approx(wanted, rel=1e-12)
    assert verdict.basis == "hour_of_week"


def test_counts_scatter_as_their_root_at_least() -> None:
    detector = learned([100.0, 100.0, 100.0], counts=True)
    assert detector.score(140.0, NINE) == (0.5, 100.0, (60.0, 140.0), "hour_of_week")
    quiet = learned([0.0, 0.0, 1.0], counts=True)
    assert quiet.score(4.0, NINE) == (0.5, 0.0, (0.0, 4.0), "hour_of_week")


def test_only_the_newest_values_count() -> None:
    detector = learned([900.0, 900.0, 900.0, 1.0, 2.0, 3.0], ring=3, least=3)
    assert detector.score(2.0, NINE).expected == 2.0
    assert detector.dump()["work-0-08"] == [1.0, 2.0, 3.0]


def test_a_value_is_learned_every_so_often() -> None:
    parameters = HourOfWeekParameters(every_s=900)
    detector = HourOfWeek(parameters, 0, LocalHours(ZONE))
    ends = [NINE + n * 60_000 for n in range(-10, 40)]
    for end in [*ends, NINE - HOUR]:
        detector.learn(float(end - NINE), end)
    # From ten to nine on: the windows that end at 8:50, 9:05, 9:20 and 9:35.
    assert detector.dump() == {
        "clock": [NINE + 35 * 60_000],
        "work-0-08": [-600_000.0],
        "work-0-09": [300_000.0, 1_200_000.0, 2_100_000.0],
    }


def at(day: date, hour: int) -> int:
    """End of the hourly window of a local day and hour, int64 ms UTC."""
    local = datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(ZONE))
    return int((local + timedelta(hours=1)).timestamp() * 1000)


def test_days_of_rest_are_never_judged_by_working_days() -> None:
    hours = LocalHours(ZONE, is_working)
    detector = HourOfWeek(HourOfWeekParameters(least=3, floor=1.0), 0, hours)
    monday = date(2026, 3, 2)
    for n in range(16):
        day = monday + timedelta(days=n)
        if is_working(day):
            detector.learn(100.0 + n, at(day, 9))
    # Of five weekdays at nine each has two values or three, all twelve are one hour of the day.
    assert detector.score(1.0, at(monday, 9)).basis == "hour_of_week"
    thursday = detector.score(107.5, at(monday + timedelta(days=17), 9))
    assert (thursday.basis, thursday.expected) == ("hour_of_day", 107.5)
    assert detector.score(107.5, at(monday, 10)) == WARMING
    saturday = monday + timedelta(days=5)
    assert detector.score(107.5, at(saturday, 9)) == WARMING
    assert detector.score(107.5, at(HOLIDAY, 9)) == WARMING
    worked = detector.score(107.5, at(WORKING_SATURDAY, 9))
    assert (worked.basis, worked.expected) == ("hour_of_day", 107.5)
    for n, value in enumerate([20.0, 21.0, 30.0]):
        detector.learn(value, at(WORKING_SATURDAY + timedelta(days=1 + 7 * n), 9))
    holiday = detector.score(21.0, at(HOLIDAY, 9))
    assert (holiday.basis, holiday.expected) == ("hour_of_day", 21.0)


@pytest.mark.parametrize(
    ("zone", "utc", "wanted"),
    [
        # A window that ends at midnight is of the day before.
        ("UTC", "2026-03-02T00:00", "rest-6-23"),
        ("UTC", "2026-03-02T00:01", "work-0-00"),
        ("Asia/Kathmandu", "2026-03-02T03:15", "work-0-08"),  # +05:45
        ("Asia/Kathmandu", "2026-03-02T03:16", "work-0-09"),
        ("America/St_Johns", "2026-03-02T03:30", "rest-6-23"),  # -03:30
        # 2:00 is 3:00 in the last night of March, and 3:00 is 2:00 in that of October.
        ("Europe/Berlin", "2026-03-29T01:00", "rest-6-01"),
        ("Europe/Berlin", "2026-03-29T01:30", "rest-6-03"),
        ("Europe/Berlin", "2026-10-25T00:30", "rest-6-02"),
        ("Europe/Berlin", "2026-10-25T01:30", "rest-6-02"),
        ("Europe/Berlin", "2026-10-25T02:30", "rest-6-03"),
        ("Australia/Lord_Howe", "2026-04-04T15:15", "rest-6-01"),  # from +11:00 to +10:30
        ("America/Goose_Bay", "2010-11-07T03:01", "rest-6-00"),  # back at 0:01
        ("America/Goose_Bay", "2010-11-07T03:02", "rest-5-23"),
    ],
)
def test_local_hours(zone: str, utc: str, wanted: str) -> None:
    end = int(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp() * 1000)
    assert name_of(LocalHours(zone).slot(end)) == wanted


def test_hours_are_the_same_in_any_order_and_number() -> None:
    hours, rng = LocalHours("Europe/Berlin"), Random(1)
    ends = [MONDAY + rng.randrange(3 * 365 * 1_440) * 60_000 for _ in range(9_000)]
    assert [hours.slot(end) for end in ends] == [LocalHours(str(hours.zone)).slot(e) for e in ends]
    assert len(hours._slots) <= 4_096


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"least": 33}, r"least is 33 and ring is 32: .* from 1 to `ring`"),
        ({"least": 0}, "least is 0"),
        ({"z_alarm": 0.0}, "z_alarm is 0.0: it must be above 0"),
        ({"floor": 0.0}, "floor is 0.0: it must be above 0"),
        ({"relative_floor": -1.0}, "relative_floor is -1.0: use 0 or more"),
        ({"every_s": -1.0}, "every_s is -1.0: use 0 or more seconds"),
        ({"floor": float("nan")}, "floor is nan"),
    ],
)
def test_parameters_that_do_not_fit_are_told(given: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        HourOfWeekParameters(**given)  # type: ignore[arg-type]


class Oracle:
    """The rule in plain words: every value ever learned is kept, and looked through each time."""

    def __init__(self, parameters: HourOfWeekParameters) -> None:
        self.parameters = parameters
        self.past: list[tuple[float, datetime, bool]] = []
        self.last: int | None = None

    def local(self, time: int) -> tuple[datetime, bool]:
        moment = datetime.fromtimestamp((time - 1) / 1000, ZoneInfo(ZONE))
        return moment, is_working(moment.date())

    def score(self, value: float, time: int) -> Verdict:
        p = self.parameters
        now, works = self.local(time)
        by_day: dict[int, list[float]] = {}
        for past, moment, worked in self.past:
            if worked == works and moment.hour == now.hour:
                by_day.setdefault(moment.weekday(), []).append(past)
        newest = {day: values[-p.ring :] for day, values in by_day.items()}
        own = newest.get(now.weekday(), [])
        everyday = [x for values in newest.values() for x in values]
        if len(own) >= p.least:
            chosen, basis = own, "hour_of_week"
        elif len(everyday) >= p.least:
            chosen, basis = everyday, "hour_of_day"
        else:
            return Verdict(None, None, None, "warming")
        median = middle(chosen)
        spread = 1.4826 * middle([abs(x - median) for x in chosen])
        floors = [p.floor, p.relative_floor * abs(median)]
        if p.counts:
            floors.append(max(median, 1.0) ** 0.5)
        scale = max(spread, *floors)
        z = abs(value - median) / scale
        if (p.side == "high" and value < median) or (p.side == "low" and value > median):
            z = 0.0
        low, high = median - p.z_alarm * scale, median + p.z_alarm * scale
        return Verdict(
            z / (z + p.z_alarm), median, (max(low, 0.0) if p.counts else low, high), basis
        )

    def learn(self, value: float, time: int) -> None:
        if self.last is None or time >= self.last + self.parameters.every_s * 1000:
            self.last = time
            self.past.append((value, *self.local(time)))


def middle(values: list[float]) -> float:
    lower, upper = sorted(values)[(len(values) - 1) // 2], sorted(values)[len(values) // 2]
    return (lower + upper) / 2


@pytest.mark.parametrize(
    "parameters",
    [
        HourOfWeekParameters(),
        HourOfWeekParameters(ring=6, least=3, counts=True, side="high"),
        HourOfWeekParameters(ring=5, least=5, every_s=2_000, side="low", relative_floor=0.0),
    ],
    ids=["defaults", "counts", "few"],
)
def test_it_says_what_the_oracle_says(parameters: HourOfWeekParameters) -> None:
    rng = Random(20)
    points: list[Point] = []
    for value, time in weekly(rng, 4 * 672):
        points.append((value * rng.choice([3, 0.1]) if rng.random() < 0.01 else value, time))
    detector = HourOfWeek(parameters, 0, LocalHours(ZONE, is_working))
    oracle, bases = Oracle(parameters), set()
    for found, (value, time) in zip(run(detector, points), points, strict=True):
        wanted = oracle.score(value, time)
        oracle.learn(value, time)
        bases.add(found.basis)
        assert found.basis == wanted.basis
        assert found.expected == wanted.expected
        if wanted.score is None:
            assert found == WARMING
            continue
        assert found.score == pytest.approx(wanted.score, rel=1e-12, abs=1e-15)
        assert found.band == pytest.approx(wanted.band, rel=1e-12, abs=1e-12)
    assert bases == {"warming", "hour_of_day", "hour_of_week"}


def test_planted_outliers_stand_out_of_a_week() -> None:
    rng = Random(21)
    detector = HourOfWeek(HourOfWeekParameters(), 0, LocalHours(ZONE))
    points = weekly(rng, 8 * 672)
    run(detector, points[: 6 * 672])
    # Busy hours are 140 and nights 100: a night like a busy hour is an anomaly.
    night = MONDAY + 6 * WEEK + 3 * HOUR
    noon = night + 9 * HOUR
    scores = [detector.score(140.0, t).score or 0.0 for t in (night, noon)]
    assert scores[0] > 0.6
    assert scores[1] < 0.3
    flagged = [v.score is not None and v.score >= 0.5 for v in run(detector, points[6 * 672 :])]
    assert sum(flagged) / len(flagged) < 0.01


def test_a_quarter_is_learned_once_though_windows_overlap() -> None:
    detector = HourOfWeek(HourOfWeekParameters(), 0, LocalHours(ZONE))
    for n in range(DAY // 60_000):
        detector.learn(1.0, MONDAY + n * 60_000)
    kept = sum(len(data) for name, data in detector.dump().items() if name != "clock")
    assert kept == DAY // QUARTER
