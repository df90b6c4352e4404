"""The air quality index of HJ 633 once more: from the standards' text, with exact fractions.

HJ 633-2012 holds for days before 2026-03-01, HJ 633-2026 from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from fractions import Fraction
from math import ceil, fsum
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from schemas.derivations import AirIndex
from schemas.signs import Window
from tests.oracle.closing import calendar_windows
from tests.oracle.derived_signs import At, Name, Statement

HOUR = 3_600_000

Hours: TypeAlias = Sequence[float | None]
Averages: TypeAlias = dict[str, float | None]

_STEPS = (0, 50, 100, 150, 200, 300, 400, 500)
"""Indices at the limits of a column, both standards."""

_COMMON = {
    "so2_24h": (0, 50, 150, 475, 800, 1600, 2100, 2620),
    "so2_1h": (0, 150, 500, 650, 800),
    "no2_24h": (0, 40, 80, 180, 280, 565, 750, 940),
    "no2_1h": (0, 100, 200, 700, 1200, 2340, 3090, 3840),
    "co_24h": (0, 2, 4, 14, 24, 36, 48, 60),
    "co_1h": (0, 5, 10, 35, 60, 90, 120, 150),
    "o3_1h": (0, 160, 200, 300, 400, 800, 1000, 1200),
    "o3_8h": (0, 100, 160, 215, 265, 800),
}


class _Standard(NamedTuple):
    """A table, what its two reports need, and the order in which it lists the averages."""

    label: str
    columns: dict[str, tuple[int, ...]]
    order: tuple[str, ...]
    hour: tuple[str, ...]
    day: tuple[str, ...]


_2012 = _Standard(
    "HJ 633-2012",
    {
        **_COMMON,
        "pm10": (0, 50, 150, 250, 350, 420, 500, 600),
        "pm25": (0, 35, 75, 115, 150, 250, 350, 500),
    },
    (
        *("so2_24h", "so2_1h", "no2_24h", "no2_1h", "pm10", "co_24h", "co_1h", "o3_1h", "o3_8h"),
        "pm25",
    ),
    ("so2_1h", "no2_1h", "pm10", "co_1h", "o3_1h", "o3_8h", "pm25"),
    ("so2_24h", "no2_24h", "pm10", "co_24h", "o3_1h", "o3_8h", "pm25"),
)
_2026 = _Standard(
    "HJ 633-2026",
    {
        **_COMMON,
        "pm10": (0, 50, 120, 250, 350, 420, 500, 600),
        "pm25": (0, 35, 60, 115, 150, 250, 350, 500),
    },
    (
        *("so2_24h", "so2_1h", "no2_24h", "no2_1h", "co_24h", "co_1h", "o3_8h", "o3_1h", "pm10"),
        "pm25",
    ),
    ("so2_1h", "no2_1h", "co_1h", "o3_1h", "pm10", "pm25"),
    ("so2_24h", "no2_24h", "co_24h", "o3_8h", "pm10", "pm25"),
)
_NEW_FROM = date(2026, 3, 1)
_SPEAKS_INSTEAD = {"so2_1h": "so2_24h", "o3_8h": "o3_1h"}
"""HJ 633-2012 notes 2 and 3: above 800 µg/m³ these averages have no index of their own."""


class AirIndexes:
    """The index at each key, from the hourly means of six pollutants."""

    def __init__(self, formula: AirIndex, window: Window, keys: Sequence[str], zone: str) -> None:
        self.hourly, self.window, self.keys = formula.period == "hour", window, keys
        self.of: dict[str, str] = formula.of.model_dump()
        self.zone = ZoneInfo(zone)

    def reads(self, end: int) -> Sequence[int]:
        start = end - 24 * HOUR
        if self.window.calendar is not None:
            windows = calendar_windows(self.window.calendar, self.zone, end, end)
            start = next(start for start, over in windows if over == end)
        return range(start + HOUR, end + 1, HOUR)

    def says(self, end: int, at: At) -> dict[Name, Statement]:
        views = {
            name: [at(sign, hour) for hour in self.reads(end)] for name, sign in self.of.items()
        }
        now: dict[Name, str | None] = {}
        for hour, _ in enumerate(self.reads(end)):
            last = hour == len(self.reads(end)) - 1
            for said in views.values():
                # Of a day those count that were heard at any hour.
                told = [(n, s) for n, s in said[hour].items() if last or (s.n and not self.hourly)]
                now.update((name, s.place) for name, s in told)
        day = datetime.fromtimestamp((end - 1) // 1000, UTC).astimezone(self.zone).date()
        standard = _2026 if day >= _NEW_FROM else _2012
        return {
            name: self._index(
                place, standard, {p: [v.get(name) for v in hours] for p, hours in views.items()}
            )
            for name, place in now.items()
            if name[0] in self.keys
        }

    def _index(
        self, place: str | None, standard: _Standard, said: dict[str, list[Statement | None]]
    ) -> Statement:
        means = {p: [None if s is None else s.value for s in hours] for p, hours in said.items()}
        values = _of_hour(standard, means) if self.hourly else _of_day(means)
        needed = standard.hour if self.hourly else standard.day
        value, reason, detail, missing = _report(standard, values, needed)
        counted = [s for hours in said.values() for s in (hours[-1:] if self.hourly else hours)]
        begun = [hours[-1 if self.hourly else 0] for hours in said.values()]
        if value is None and all(s is None or s.reason == "warming" for s in begun):
            reason = "warming"
        return Statement(
            place,
            value,
            sum(s.n for s in counted if s is not None),
            1 - missing / len(needed),
            reason,
            detail=detail,
        )


def _report(
    standard: _Standard, values: Averages, needed: tuple[str, ...]
) -> tuple[float | None, str | None, dict[str, object], int]:
    """The index, why there is none, the detail, and how many averages are missing."""
    found: dict[str, int | None] = {}
    missing, unmeasured = [], False
    for average in needed:
        value = values[average]
        index = found[average] = None if value is None else _iaqi(standard, average, value)
        if value is not None and index is None:
            other = _SPEAKS_INSTEAD[average]
            spare = values[other]
            index = found[other] = None if spare is None else _iaqi(standard, other, spare)
        if index is None:
            missing.append(average)
            unmeasured = unmeasured or value is None
    known = [index for index in found.values() if index is not None]
    largest = max(known, default=0)
    # Below 100 a pollutant that is missing could be the worst of all.
    told = bool(known) and (not missing or largest > 100)
    leading = [a for a in standard.order if told and largest > 50 and found.get(a) == largest]
    detail: dict[str, object] = {
        "primary": list(dict.fromkeys(average.partition("_")[0] for average in leading)),
        "iaqi": {a: found[a] for a in standard.order if a in found},
        "missing": [a for a in standard.order if a in missing],
        "table": standard.label,
    }
    reason = None if told else "uncovered" if unmeasured else "undefined"
    return (float(largest) if told else None), reason, detail, len(missing)


def _iaqi(standard: _Standard, average: str, value: float) -> int | None:
    """Between the limits about a concentration, rounded up; above the last it stays there."""
    column, c = standard.columns[average], _whole(average, value)
    if c > column[-1]:
        short = standard is _2012 and average in _SPEAKS_INSTEAD
        return None if short else _STEPS[len(column) - 1]
    for low, high, index, above in zip(column, column[1:], _STEPS, _STEPS[1:], strict=False):
        if c <= high:
            return ceil(index + (above - index) * (c - low) / (high - low))
    raise AssertionError(average)


def _whole(average: str, value: float) -> Fraction:
    """To a µg/m³, or a tenth of a mg/m³ of CO, halves to even (GB/T 8170).

    What is within 5e-10 of a half is one: means in binary miss it by their last bits.
    """
    unit = Fraction(1, 10) if average.startswith("co") else Fraction(1)
    exact = Fraction(repr(value))
    below = exact / unit // 1 * unit
    half = below + unit / 2
    if abs(exact - half) <= Fraction(5, 10**10):
        return below if (below / unit) % 2 == 0 else below + unit
    return below if exact < half else below + unit


def _mean(hours: Hours, least: int) -> float | None:
    known = [x for x in hours if x is not None]
    return fsum(known) / len(known) if len(known) >= least else None


def _of_hour(standard: _Standard, hours: Mapping[str, Hours]) -> Averages:
    """The real-time report; by HJ 633-2012 particles are the mean of 24 hours."""
    now = {p: said[-1] for p, said in hours.items()}
    whole_day = standard is _2012
    return {
        "so2_1h": now["so2"],
        "no2_1h": now["no2"],
        "co_1h": now["co"],
        "o3_1h": now["o3"],
        "o3_8h": _mean(hours["o3"][-8:], 6),
        "so2_24h": _mean(hours["so2"][-24:], 20),
        "pm10": _mean(hours["pm10"][-24:], 20) if whole_day else now["pm10"],
        "pm25": _mean(hours["pm25"][-24:], 20) if whole_day else now["pm25"],
    }


def _of_day(hours: Mapping[str, Hours]) -> Averages:
    """The daily report: means of 20 hours at least, and the largest of ozone.

    The largest needs 14 means of 8 hours, or 20 hours, if it does not exceed its limit anyway.
    """
    o3 = hours["o3"]
    eights = [_mean(o3[i : i + 8], 6) for i in range(len(o3) - 7)]
    return {
        "so2_24h": _mean(hours["so2"], 20),
        "no2_24h": _mean(hours["no2"], 20),
        "co_24h": _mean(hours["co"], 20),
        "pm10": _mean(hours["pm10"], 20),
        "pm25": _mean(hours["pm25"], 20),
        "o3_8h": _largest(eights, 14, 160),
        "o3_1h": _largest(o3, 20, 200),
    }


def _largest(values: Iterable[float | None], least: int, limit: int) -> float | None:
    known = [x for x in values if x is not None]
    if not known or (len(known) < least and _whole("o3", max(known)) <= limit):
        return None
    return max(known)
