"""Classes of surface water: GB 3838-2002, Table 1."""

from __future__ import annotations

from typing import NamedTuple

WORSE_THAN_V = 6


class Factor(NamedTuple):
    """The limits of classes I to V of one factor."""

    limits: tuple[float, float, float, float, float]
    falling: bool = False
    """Whether more is better."""


SOURCE = "GB 3838-2002, Table 1; two public copies agree; lake TP of class I 0.01 from memory"
TABLE: dict[str, Factor] = {
    "do": Factor((7.5, 6, 5, 3, 2), falling=True),
    "codmn": Factor((2, 4, 6, 10, 15)),
    "cod": Factor((15, 15, 20, 30, 40)),
    "bod5": Factor((3, 3, 4, 6, 10)),
    "nh3n": Factor((0.15, 0.5, 1.0, 1.5, 2.0)),
    "tp": Factor((0.02, 0.1, 0.2, 0.3, 0.4)),
    "tp_lake": Factor((0.01, 0.025, 0.05, 0.1, 0.2)),
}
"""mg/L."""
PH_RANGE = (6.0, 9.0)


def class_of(factor: str, value: float, *, lake: bool = False) -> int:
    """The best class, 1 to 5, whose limit a value keeps; 6 where it keeps none.

    Parameters
    ----------
    factor
        One of `TABLE`, or ``ph``, which all classes want from 6 to 9.
    value
        mg/L; no unit for ``ph``.

    >>> class_of("do", 7.5), class_of("do", 4.9), class_of("nh3n", 2.1), class_of("ph", 9.2)
    (1, 4, 6, 6)
    >>> class_of("tp", 0.05), class_of("tp", 0.05, lake=True)
    (2, 3)
    """
    if factor == "ph":
        return 1 if PH_RANGE[0] <= value <= PH_RANGE[1] else WORSE_THAN_V
    limits, falling = TABLE["tp_lake" if factor == "tp" and lake else factor]
    kept = (value >= limit if falling else value <= limit for limit in limits)
    return next((number for number, ok in enumerate(kept, 1) if ok), WORSE_THAN_V)
