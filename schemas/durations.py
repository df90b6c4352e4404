"""Lengths of time in a configuration: seconds, in whole milliseconds."""

from __future__ import annotations


def whole_ms(seconds: float) -> int | None:
    """Seconds as milliseconds; None where they are not a whole number of them.

    >>> whole_ms(0.25), whole_ms(0.0001)
    (250, None)
    """
    ms = round(seconds * 1000)
    return ms if ms > 0 and abs(seconds * 1000 - ms) < 1e-6 else None
