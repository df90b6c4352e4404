"""The air quality index, from concentrations to a number, by HJ 633 and HJ 663.

Everything between a concentration and its index is exact rational arithmetic: an index is rounded
up, so that an artefact of binary fractions such as 100.0000000001 would become 101.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil, fsum, isfinite
from typing import Literal, NamedTuple, TypeAlias

from schemas.standards.air import (
    IAQI,
    O3_1H_LIMIT,
    O3_8H_LIMIT,
    POLLUTANT_OF,
    AirTable,
    Average,
    Pollutant,
)

Hours: TypeAlias = Mapping[Pollutant, Sequence[float | None]]
"""Hourly means of each pollutant in the order of time, all ending with the same hour.

None where an hour has no valid mean: less than 45 minutes of samples (GB 3095-2026 Table 4, which
names the gases; the same for particles is a proposal).
"""
Averages: TypeAlias = dict[Average, float | None]

NOISE_DIGITS = 9
"""Decimals beyond which a concentration is noise of binary arithmetic."""

DAY_HOURS = (23, 24, 25)
"""Hours of a local day; the odd ones where a clock is put forward or back."""
DAY_LEAST = 20
"""Hourly means that a day needs: GB 3095-2026 Table 4."""
RUNNING_HOURS, RUNNING_LEAST = 8, 6
"""Hours of a running mean of ozone, and how many it needs: GB 3095-2026 3.8 and Table 4."""
RUNNINGS_LEAST = 14
"""Running means that a day needs: HJ 663-2013 (verified-secondary)."""


def rounded(pollutant: Pollutant, concentration: float) -> Fraction:
    """A concentration as the standard writes it: a whole µg/m³, a tenth of a mg/m³ of CO.

    HJ 633-2026 4.2.2 asks for GB/T 8170, where a half goes to the even neighbour. HJ 633-2012
    names no rounding; the same is used there (proposal, after the practice of HJ 663-2013).

    The number meant is the shortest decimal that reads back as the float, so 0.85 is a half
    although its binary value lies below one. A mean that is a half by hand can miss it by the
    last bits, so what is nearer to a half than 5·10⁻¹⁰ counts as that half.

    Parameters
    ----------
    concentration
        µg/m³, CO in mg/m³; at least 0.

    Raises
    ------
    ValueError
        For a negative number, infinity or NaN.

    Examples
    --------
    >>> [int(rounded("pm25", c)) for c in (62.5, 63.5, 62.51)]
    [62, 64, 63]
    >>> [float(rounded("co", c)) for c in (0.85, 0.95, 1.0500000000000003)]
    [0.8, 1.0, 1.0]
    """
    if not (isfinite(concentration) and concentration >= 0):
        raise ValueError(
            f"concentration of {pollutant}: {concentration} is no concentration; "
            "give a finite number of at least 0, or None where there is none"
        )
    exact = round(Fraction(repr(float(concentration))), NOISE_DIGITS)
    return round(exact, 1 if pollutant == "co" else 0)


def iaqi(table: AirTable, average: Average, concentration: float) -> int | None:
    """The individual index of one average, by formula (1), rounded up (4.2.6; 2012: 6.2).

    Above a full column it stays at 500, the end of the range in HJ 633-2026 4.1.1 (for 2012, which
    names no end, a proposal). Above a short column it stays at the column's last index (2026,
    notes b and c), or there is none and another average speaks (2012, notes 2 and 3).

    Examples
    --------
    >>> from schemas.standards.air import AQI_2012, AQI_2026
    >>> iaqi(AQI_2012, "pm25", 60), iaqi(AQI_2026, "pm25", 60)
    (82, 100)
    >>> iaqi(AQI_2012, "so2_1h", 801), iaqi(AQI_2026, "so2_1h", 801)
    (None, 200)
    """
    column = table.columns[average]
    c = rounded(POLLUTANT_OF[average], concentration)
    if c > column[-1]:
        return None if average in table.instead else IAQI[len(column) - 1]
    i = max(1, bisect_left(column, c))
    share = (c - column[i - 1]) / (column[i] - column[i - 1])
    return ceil(IAQI[i - 1] + (IAQI[i] - IAQI[i - 1]) * share)


class AirIndex(NamedTuple):
    """An air quality index with what it is made of."""

    value: int | None
    """0 to 500, or None where the standard writes NA."""
    primary: tuple[Pollutant, ...]
    """Pollutants with the largest index, in the order of the table; none up to 50."""
    iaqi: dict[Average, int | None]
    """Individual indices by average, in the order of the table."""
    missing: tuple[Average, ...]
    """What was needed and has no index, in the order of the table."""
    reason: Literal["uncovered", "undefined"] | None
    """Why there is no value: a concentration is missing, or one has no index (2012)."""


def aqi(
    table: AirTable,
    concentrations: Mapping[Average, float | None],
    needed: Sequence[Average],
) -> AirIndex:
    """The index of a report, by formula (2), with its primary pollutants (4.3.1; 2012: 4.4.2).

    Where a needed average is missing the rest makes the index if it exceeds 100; else there is
    none (HJ 633-2026 5.3.1). HJ 633-2012 has no such rule; it is used there too (proposal), for a
    value without enough data must not look good.

    Parameters
    ----------
    concentrations
        µg/m³, CO in mg/m³; None or absent where missing. Averages that are not needed count only
        where the table lets them speak for a needed one.
    needed
        ``table.hourly`` or ``table.daily``, less the pollutants a place need not measure (5.3.2).

    Raises
    ------
    ValueError
        For a concentration that is negative, infinite or NaN.

    Examples
    --------
    >>> from schemas.standards.air import AQI_2026
    >>> index = aqi(AQI_2026, {"pm25": 60.4, "pm10": 120, "o3_1h": 150}, ("o3_1h", "pm10", "pm25"))
    >>> index.value, index.primary, index.iaqi
    (100, ('pm10', 'pm25'), {'o3_1h': 47, 'pm10': 100, 'pm25': 100})
    >>> aqi(AQI_2026, {"pm25": 60, "pm10": None}, ("pm10", "pm25")).reason
    'uncovered'
    """
    indices: dict[Average, int | None] = {}
    missing: set[Average] = set()
    uncovered = False
    for average in needed:
        concentration = concentrations.get(average)
        index = None if concentration is None else iaqi(table, average, concentration)
        indices[average] = index
        if index is None and concentration is not None:
            other = table.instead[average]
            spare = concentrations.get(other)
            index = None if spare is None else iaqi(table, other, spare)
            indices[other] = index
        if index is None:
            missing.add(average)
            uncovered = uncovered or concentration is None
    found = {a: indices[a] for a in table.columns if a in indices}
    absent = tuple(a for a in table.columns if a in missing)
    largest = max((x for x in found.values() if x is not None), default=None)
    if largest is None or (absent and largest <= 100):
        return AirIndex(None, (), found, absent, "uncovered" if uncovered else "undefined")
    leading = (POLLUTANT_OF[a] for a, x in found.items() if x == largest)
    primary = tuple(dict.fromkeys(leading)) if largest > 50 else ()
    return AirIndex(largest, primary, found, absent, None)


def hour_values(table: AirTable, hours: Hours) -> Averages:
    """What the real-time report says at the end of the last hour given.

    Parameters
    ----------
    hours
        Hourly means with the newest last. With HJ 633-2026 the last one is enough; HJ 633-2012
        needs 24 of them for particles, and 8 of ozone. Older ones are not read.

    Examples
    --------
    >>> from schemas.standards.air import AQI_2012, AQI_2026
    >>> said = {"pm25": [30.0] * 23 + [54.0], "o3": [100.0] * 5 + [None, 148.0, 160.0]}
    >>> now = hour_values(AQI_2026, said)
    >>> now["pm25"], now["o3_1h"], now["so2_1h"]
    (54.0, 160.0, None)
    >>> now = hour_values(AQI_2012, said)
    >>> now["pm25"], now["o3_1h"], now["o3_8h"]
    (31.0, 160.0, 115.42857142857143)
    """
    so2, o3 = _of(hours, "so2"), _of(hours, "o3")
    pm10, pm25 = _of(hours, "pm10"), _of(hours, "pm25")
    of_hour = table.hourly_particles == "1h"
    return {
        "so2_1h": _last(so2),
        "so2_24h": _mean(so2[-24:], DAY_LEAST),
        "no2_1h": _last(_of(hours, "no2")),
        "co_1h": _last(_of(hours, "co")),
        "o3_1h": _last(o3),
        "o3_8h": _mean(o3[-RUNNING_HOURS:], RUNNING_LEAST),
        "pm10": _last(pm10) if of_hour else _mean(pm10[-24:], DAY_LEAST),
        "pm25": _last(pm25) if of_hour else _mean(pm25[-24:], DAY_LEAST),
    }


def day_values(hours: Hours) -> Averages:
    """What the daily report says of a day: means over 24 hours, and the maxima of ozone.

    A mean needs 20 hours (GB 3095-2026 Table 4). Ozone needs 14 running means of 8 hours that lie
    within the day, each of at least 6 hours, unless the largest exceeds the limit all the same
    (HJ 663-2013, verified-secondary). The largest hour of ozone, of 2012 only, needs 20 hours or
    exceeds its limit (proposal, by the same thought).

    Parameters
    ----------
    hours
        Hourly means of a natural day, the first one ending at 01:00 and the last at 24:00 local
        time, or of the last 24 hours: 23 to 25 a pollutant, as long as the day is. A pollutant
        that is absent has no values.

    Returns
    -------
    dict
        Means and maxima by average, not rounded; None where there are too few hours. A mean
        does not depend on the order of its hours.

    Raises
    ------
    ValueError
        If a pollutant has another number of hours.

    Examples
    --------
    >>> day = day_values({"pm25": [40.0] * 20 + [None] * 4, "o3": [100.0] * 12 + [180.0] * 12})
    >>> day["pm25"], day["o3_8h"], day["o3_1h"], day["co_24h"]
    (40.0, 180.0, 180.0, None)
    """
    for pollutant, values in hours.items():
        if len(values) not in DAY_HOURS:
            raise ValueError(
                f"hours of {pollutant}: {len(values)} of them; a day has 23 to 25, "
                "with None for an hour that has no mean"
            )
    o3 = _of(hours, "o3")
    known = [x for x in o3 if x is not None]
    return {
        "so2_24h": _mean(_of(hours, "so2"), DAY_LEAST),
        "no2_24h": _mean(_of(hours, "no2"), DAY_LEAST),
        "co_24h": _mean(_of(hours, "co"), DAY_LEAST),
        "o3_8h": _largest(list(_running(o3)), RUNNINGS_LEAST, O3_8H_LIMIT),
        "o3_1h": _largest(known, DAY_LEAST, O3_1H_LIMIT),
        "pm10": _mean(_of(hours, "pm10"), DAY_LEAST),
        "pm25": _mean(_of(hours, "pm25"), DAY_LEAST),
    }


def _of(hours: Hours, pollutant: Pollutant) -> Sequence[float | None]:
    return hours.get(pollutant, ())


def _last(values: Sequence[float | None]) -> float | None:
    return values[-1] if values else None


def _mean(values: Sequence[float | None], least: int) -> float | None:
    """The mean of the hours that are there, if they are enough."""
    known = [x for x in values if x is not None]
    return fsum(known) / len(known) if len(known) >= least else None


def _running(values: Sequence[float | None]) -> Iterator[float]:
    """Valid running means of 8 hours, those ending at 08:00 to 24:00 of a day.

    The mean at 08:00 is of the hours that end at 01:00 to 08:00 (HJ 663-2013 Table A.1, as quoted
    in GB/T 34302-2017 2.2).
    """
    for end in range(RUNNING_HOURS, len(values) + 1):
        mean = _mean(values[end - RUNNING_HOURS : end], RUNNING_LEAST)
        if mean is not None:
            yield mean


def _largest(values: Sequence[float], least: int, limit: int) -> float | None:
    """The largest value, if they are enough or it exceeds the limit."""
    largest = max(values, default=None)
    if largest is None:
        return None
    return largest if len(values) >= least or rounded("o3", largest) > limit else None
