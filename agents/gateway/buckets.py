"""Resolution of the history: windows as they are, or as buckets of equal length."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agents.gateway.windows import NONE, Windows
from schemas.vital import REASONS

POINTS = 1500
"""As many points as a line on a screen can show."""

_MINUTE = 60_000
_LADDER = tuple(_MINUTE * m for m in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 10080))
_UNITS = {"s": 1_000, "m": _MINUTE, "min": _MINUTE, "h": 60 * _MINUTE, "d": 1440 * _MINUTE}

Resolution: TypeAlias = int | Literal["auto"] | None
"""Length of a bucket in ms; None is the windows as they are; ``auto`` shows at most `POINTS`."""


@dataclass(frozen=True)
class Columns:
    """A part of the history of a series, a list for each field of its points.

    Parameters
    ----------
    resolution_ms
        Length of the buckets; None for windows as they are.
    t
        End of the window or bucket, int64 ms UTC.
    value, min, max
        Null where there is none; a bucket has the mean of its windows' values, the least and the
        greatest. Windows have no ``min`` and ``max``.
    level
        0 to 4; of a bucket the worst.
    coverage, n
        Of a bucket the mean of its windows' coverage, and the sum of their events.
    missing
        How many windows have no value.
    reason
        Of a window as it was told; of a bucket that of its last window, if no value is in it.
    rev
        The greatest.
    expected, low, high
        What the sign's model expected, and its band; of a bucket the means.
    """

    unit: str | None
    resolution_ms: int | None
    t: list[int]
    value: list[float | None]
    min: list[float | None] | None
    max: list[float | None] | None
    level: list[int | None]
    coverage: list[float]
    n: list[int]
    missing: list[int]
    reason: list[str | None]
    rev: list[int]
    expected: list[float | None]
    low: list[float | None]
    high: list[float | None]

    def as_dict(self) -> dict[str, Any]:
        """For JSON; windows as they are have no ``min`` and ``max``."""
        told = asdict(self)
        if self.resolution_ms is None:
            del told["min"], told["max"]
        return told


def resolution_of(text: str) -> Resolution:
    """What a query asks for: ``auto``, ``raw``, or a length.

    Raises
    ------
    ValueError
        It is none of these, or longer than a year.

    >>> resolution_of("60s"), resolution_of("1h"), resolution_of("raw"), resolution_of("auto")
    (60000, 3600000, None, 'auto')
    """
    if text == "auto":
        return "auto"
    if text == "raw":
        return None
    found = re.fullmatch(r"(\d{1,8})(s|m|min|h|d)", text, re.ASCII)
    length = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < length <= 366 * _UNITS["d"]:
        raise ValueError("expected auto, raw, or a length such as 60s, 5m, 1h, 1d, at most 366d")
    return length


def auto_resolution(start_ms: int, end_ms: int, windows: int) -> int | None:
    """The finest resolution that shows at most `POINTS`, given how many windows there are.

    >>> day = 86_400_000
    >>> auto_resolution(0, day, 1440), auto_resolution(0, 30 * day, 43_200)
    (None, 1800000)
    """
    if windows <= POINTS:
        return None
    # A bucket that the range begins in, and one that it ends in, are whole.
    wanted = (end_ms - start_ms) / (POINTS - 1)
    longest = _LADDER[-1]
    weeks = int(-(-wanted // longest)) * longest
    return next((length for length in _LADDER if length >= wanted), weeks)


def whole_buckets(start_ms: int, end_ms: int, length: int, origin: int = 0) -> tuple[int, int]:
    """The range made wider, so that the buckets at its ends are whole.

    >>> whole_buckets(61, 119, 60), whole_buckets(60, 120, 60)
    ((60, 120), (60, 120))
    """
    start = (start_ms - origin) // length * length + origin
    return start, -(-(end_ms - origin) // length) * length + origin


def windows_as_columns(rows: Windows, unit: str | None) -> Columns:
    """Windows as they are, in the order of time."""
    missing = np.isnan(rows["value"])
    return Columns(
        unit,
        None,
        rows["t"].tolist(),
        _nullable(rows["value"]),
        None,
        None,
        _levels(rows["level"]),
        rows["coverage"].tolist(),
        rows["n"].tolist(),
        missing.astype(int).tolist(),
        _reasons(rows["reason"]),
        rows["rev"].tolist(),
        *(_nullable(rows[name]) for name in ("expected", "low", "high")),
    )


def buckets_as_columns(rows: Windows, unit: str | None, length: int, origin: int = 0) -> Columns:
    """Windows, in the order of time, by buckets: a window belongs to the one that its end is in.

    Parameters
    ----------
    length, origin
        Buckets are ``(origin + i * length, origin + (i + 1) * length]``, ms; so a window that ends
        with a bucket is the bucket's last.
    """
    ends = -(-(rows["t"] - origin) // length) * length + origin
    firsts = np.flatnonzero(np.diff(ends, prepend=ends[0] - 1)) if len(ends) else np.array([], int)
    lasts = np.append(firsts[1:], len(ends)) - 1 if len(firsts) else firsts
    values = rows["value"]
    missing = np.isnan(values)
    gone = _sums(missing.astype(np.int64), firsts)
    empty = gone == lasts - firsts + 1
    return Columns(
        unit,
        length,
        ends[firsts].tolist(),
        _nullable(_means(values, firsts)),
        _nullable(_least(values, firsts)),
        _nullable(-_least(-values, firsts)),
        _levels(np.maximum.reduceat(rows["level"], firsts) if len(firsts) else rows["level"]),
        _means(rows["coverage"], firsts).tolist(),
        _sums(rows["n"], firsts).tolist(),
        gone.tolist(),
        _reasons(np.where(empty, rows["reason"][lasts], NONE)),
        (np.maximum.reduceat(rows["rev"], firsts) if len(firsts) else rows["rev"]).tolist(),
        *(_nullable(_means(rows[name], firsts)) for name in ("expected", "low", "high")),
    )


def _sums(column: NDArray[Any], firsts: NDArray[Any]) -> NDArray[Any]:
    return np.add.reduceat(column, firsts) if len(firsts) else column[:0]


def _means(column: NDArray[np.float64], firsts: NDArray[Any]) -> NDArray[np.float64]:
    """Of what is not NaN; NaN where nothing is."""
    there = ~np.isnan(column)
    counts = _sums(there.astype(np.int64), firsts)
    counts_or_one = np.maximum(counts, 1)
    values = np.where(there, column, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        means = _sums(values, firsts) / counts_or_one
        if not np.isfinite(means).all():  # the greatest numbers have no sum
            parts = values / np.repeat(counts_or_one, np.diff(np.append(firsts, len(column))))
            means = np.where(np.isfinite(means), means, _sums(parts, firsts))
    return np.where(counts > 0, means, np.nan)


def _least(column: NDArray[np.float64], firsts: NDArray[Any]) -> NDArray[np.float64]:
    return np.fmin.reduceat(column, firsts) if len(firsts) else column[:0]


def _nullable(column: NDArray[np.float64]) -> list[float | None]:
    return [None if value != value else value for value in column.tolist()]


def _levels(codes: NDArray[Any]) -> list[int | None]:
    return [None if code == NONE else code for code in codes.tolist()]


def _reasons(codes: NDArray[Any]) -> list[str | None]:
    return [None if code == NONE else REASONS[code] for code in codes.tolist()]
