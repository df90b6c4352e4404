"""National Early Warning Score 2 of the Royal College of Physicians (2017), chart 1.

For a person who is alert and breathes air, on SpO2 scale 1; weak evidence outside hospitals.
"""

from __future__ import annotations

from bisect import bisect_left

_BANDS: dict[str, tuple[tuple[float, ...], tuple[int, ...]]] = {
    # The largest value of each band, and the score of the band; the last one is open.
    "resp": ((8, 11, 20, 24), (3, 1, 0, 2, 3)),
    "spo2": ((91, 93, 95), (3, 2, 1, 0)),
    "sbp": ((90, 100, 110, 219), (3, 2, 1, 0, 3)),
    "hr": ((40, 50, 90, 110, 130), (3, 1, 0, 1, 2, 3)),
    "body_temperature": ((35.0, 36.0, 38.0, 39.0), (3, 1, 0, 1, 2)),
}
_DECIMALS = {"body_temperature": 1}


def score(measure: str, value: float) -> int:
    """0 to 3 points of one measure: breaths and beats a minute, %, mmHg, °C.

    The chart knows whole numbers, and tenths of a degree: a mean is rounded to them.

    >>> score("hr", 90), score("hr", 91), score("spo2", 91.4), score("body_temperature", 38.04)
    (0, 1, 3, 0)
    """
    limits, points = _BANDS[measure]
    return points[bisect_left(limits, round(value, _DECIMALS.get(measure, 0)))]
