"""Tables of the air quality index: HJ 633-2012, and HJ 633-2026 from 2026-03-01.

Concentrations are in µg/m³, carbon monoxide in mg/m³.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Literal, TypeAlias

from schemas.words import Standing

Pollutant: TypeAlias = Literal["so2", "no2", "co", "o3", "pm10", "pm25"]
Average: TypeAlias = Literal[
    "so2_24h",
    "so2_1h",
    "no2_24h",
    "no2_1h",
    "co_24h",
    "co_1h",
    "o3_8h",
    "o3_1h",
    "pm10",
    "pm25",
]
"""A column of the table. Particles have one, whatever the time they are averaged over."""

POLLUTANT_OF: Mapping[Average, Pollutant] = MappingProxyType(
    {
        "so2_24h": "so2",
        "so2_1h": "so2",
        "no2_24h": "no2",
        "no2_1h": "no2",
        "co_24h": "co",
        "co_1h": "co",
        "o3_8h": "o3",
        "o3_1h": "o3",
        "pm10": "pm10",
        "pm25": "pm25",
    }
)

IAQI = (0, 50, 100, 150, 200, 300, 400, 500)
"""The individual index at each row of a table, the same in both years."""

O3_8H_LIMIT = 160
O3_1H_LIMIT = 200
"""Class 2 limits of ozone in µg/m³: GB 3095-2026 Table 1, equal in both of its phases
(verified-primary), and in GB 3095-2012 (verified-secondary)."""


@dataclass(frozen=True, slots=True)
class AirTable:
    """Concentrations at the rows of `IAQI`, and what the reports of a standard take.

    Parameters
    ----------
    label
        Number and year of the standard.
    source
        Where in the standard the numbers stand.
    standing
        How far the numbers have been verified.
    valid_from, valid_to
        Local days the table is for, both included; None for no end.
    columns
        Concentrations by average, in the order of the standard. A column that is shorter than
        `IAQI` has no limits above its last.
    hourly, daily
        What the real-time report and the daily report need.
    hourly_particles
        The mean of particles in the real-time report: of the hour, or of the last 24 hours.
    instead
        Which average speaks for one that is above the last limit of its short column. Without
        an entry the index stays at that limit.
    """

    label: str
    source: str
    standing: Standing
    valid_from: date
    valid_to: date | None
    columns: Mapping[Average, tuple[int, ...]]
    hourly: tuple[Average, ...]
    daily: tuple[Average, ...]
    hourly_particles: Literal["1h", "24h"]
    instead: Mapping[Average, Average]

    def holds_on(self, day: date) -> bool:
        """Whether the table is for a local day."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


AQI_2012 = AirTable(
    label="HJ 633-2012",
    source=(
        "HJ 633-2012 Table 1 with notes 1-3; reports: 5.1.2, 5.1.3, Tables 3 and 4; "
        "abolished by HJ 633-2026, and used here for every earlier day"
    ),
    standing="verified-primary",
    valid_from=date.min,
    valid_to=date(2026, 2, 28),
    columns=MappingProxyType(
        {
            "so2_24h": (0, 50, 150, 475, 800, 1600, 2100, 2620),
            "so2_1h": (0, 150, 500, 650, 800),
            "no2_24h": (0, 40, 80, 180, 280, 565, 750, 940),
            "no2_1h": (0, 100, 200, 700, 1200, 2340, 3090, 3840),
            "pm10": (0, 50, 150, 250, 350, 420, 500, 600),
            "co_24h": (0, 2, 4, 14, 24, 36, 48, 60),
            "co_1h": (0, 5, 10, 35, 60, 90, 120, 150),
            "o3_1h": (0, 160, 200, 300, 400, 800, 1000, 1200),
            "o3_8h": (0, 100, 160, 215, 265, 800),
            "pm25": (0, 35, 75, 115, 150, 250, 350, 500),
        }
    ),
    # Table 4 gives the hour's particles a concentration but no index.
    hourly=("so2_1h", "no2_1h", "pm10", "co_1h", "o3_1h", "o3_8h", "pm25"),
    daily=("so2_24h", "no2_24h", "pm10", "co_24h", "o3_1h", "o3_8h", "pm25"),
    hourly_particles="24h",
    instead=MappingProxyType({"so2_1h": "so2_24h", "o3_8h": "o3_1h"}),
)
"""Until 2026-02-28. Day reports hold the largest hour of ozone beside its largest 8 hours."""

AQI_2026 = AirTable(
    label="HJ 633-2026",
    source="HJ 633-2026 Table 3 with notes a-c; reports: 4.2.2, 4.2.3, Tables 4 and 5",
    standing="verified-primary",
    valid_from=date(2026, 3, 1),
    valid_to=None,
    columns=MappingProxyType(
        {
            "so2_24h": (0, 50, 150, 475, 800, 1600, 2100, 2620),
            "so2_1h": (0, 150, 500, 650, 800),
            "no2_24h": (0, 40, 80, 180, 280, 565, 750, 940),
            "no2_1h": (0, 100, 200, 700, 1200, 2340, 3090, 3840),
            "co_24h": (0, 2, 4, 14, 24, 36, 48, 60),
            "co_1h": (0, 5, 10, 35, 60, 90, 120, 150),
            "o3_8h": (0, 100, 160, 215, 265, 800),
            "o3_1h": (0, 160, 200, 300, 400, 800, 1000, 1200),
            "pm10": (0, 50, 120, 250, 350, 420, 500, 600),
            "pm25": (0, 35, 60, 115, 150, 250, 350, 500),
        }
    ),
    hourly=("so2_1h", "no2_1h", "co_1h", "o3_1h", "pm10", "pm25"),
    daily=("so2_24h", "no2_24h", "co_24h", "o3_8h", "pm10", "pm25"),
    hourly_particles="1h",
    instead=MappingProxyType({}),
)
"""From 2026-03-01. Six averages in each report; particles of the hour use the column of the day."""

TABLES = (AQI_2012, AQI_2026)


def table_on(day: date) -> AirTable:
    """The table for a local day.

    Examples
    --------
    >>> table_on(date(2026, 2, 28)).label, table_on(date(2026, 3, 1)).label
    ('HJ 633-2012', 'HJ 633-2026')
    """
    return next(table for table in TABLES if table.holds_on(day))
