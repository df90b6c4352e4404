"""Limits of environmental noise by GB 3096-2008, and equivalent levels as exact sums of energy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log10, pow
from types import MappingProxyType
from typing import Literal, TypeAlias

from schemas.words import Standing

Zone: TypeAlias = Literal["0", "1", "2", "3", "4a", "4b"]
"""Functional area: 0 convalescence, 1 housing and schools, 2 mixed, 3 industry, 4a along roads,
4b along railways approved after 2011-01-01."""
Period: TypeAlias = Literal["day", "night"]


@dataclass(frozen=True, slots=True)
class NoiseLimits:
    """Limits of the equivalent level by zone.

    Parameters
    ----------
    source
        The standard, its year and section.
    standing
        How far the numbers have been verified.
    day, night
        Limits in dB(A); a level equal to its limit keeps it.
    """

    source: str
    standing: Standing
    day: Mapping[Zone, int]
    night: Mapping[Zone, int]


LIMITS = NoiseLimits(
    source="GB 3096-2008 Table 1 (5.1), from public copies that agree",
    standing="verified-secondary",
    day=MappingProxyType({"0": 50, "1": 55, "2": 60, "3": 65, "4a": 70, "4b": 70}),
    night=MappingProxyType({"0": 40, "1": 45, "2": 50, "3": 55, "4a": 55, "4b": 60}),
)

STEPS_PER_UNIT = 1_000
"""Steps in the energy of 0 dB.

20 dB are 10⁵ steps, so rounding moves a level by at most 2.2·10⁻⁵ dB there, and less above.
130 dB are 10¹⁶ steps: the kernel's 128-bit sum of squares, which no level is made of, is safe for
1.7 million such samples in one pane of one key (17 thousand of 140 dB), the sum for far more.
"""

LOWEST_DB, HIGHEST_DB = 20.0, 140.0
"""Levels that an energy is made of: the physical range of the metrics of noise."""


def limit(zone: Zone, period: Period) -> int:
    """The limit of a zone in dB(A).

    Examples
    --------
    >>> limit("2", "day"), limit("4b", "night")
    (60, 60)
    """
    return LIMITS.day[zone] if period == "day" else LIMITS.night[zone]


def energy(level_db: float) -> int:
    """The energy of a level in steps, as int64: energies add up, levels do not.

    Raises
    ------
    ValueError
        For a level outside 20 to 140 dB, infinity or NaN.

    Examples
    --------
    >>> energy(20), energy(50), energy(70)
    (100000, 100000000, 10000000000)
    """
    if not LOWEST_DB <= level_db <= HIGHEST_DB:
        raise ValueError(
            f"level of {level_db} dB: an equivalent level is made of 20 to 140 dB; "
            "check the unit of the device"
        )
    return round(pow(10, level_db / 10) * STEPS_PER_UNIT)


def equivalent_level(total: int, n: int) -> float:
    """The equivalent level in dB of ``n`` samples of equal duration.

    Parameters
    ----------
    total
        Sum of their energies in steps; exact, hence the same in any order and grouping.
    n
        How many there are, at least 1.

    Examples
    --------
    >>> round(equivalent_level(energy(50) + energy(70), 2), 2)
    67.03
    """
    return 10 * log10(total / (n * STEPS_PER_UNIT))
