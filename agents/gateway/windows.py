"""What the history keeps of a result, as rows of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from schemas.vital import REASONS, Level

WINDOW = np.dtype(
    [
        ("series", "<i8"),
        ("t", "<i8"),
        ("value", "<f8"),
        ("coverage", "<f8"),
        ("n", "<i8"),
        ("level", "i1"),
        ("reason", "i1"),
        ("rev", "i1"),
        ("expected", "<f8"),
        ("low", "<f8"),
        ("high", "<f8"),
    ]
)
"""A window of one series: ``t`` is its end, int64 ms UTC; NaN and `NONE` stand for null."""

NONE = -1
DAY_MS = 86_400_000
DAYS = 1 << 20
"""After 1970, of which windows are kept."""

Windows: TypeAlias = NDArray[Any]
"""Rows of `WINDOW`."""


class Name(NamedTuple):
    """What a series is of."""

    sign: str
    key_level: str
    key: str


class About(NamedTuple):
    """What else is told of a series, as its newest result had it."""

    unit: str
    place: str | None


class _Expectation(msgspec.Struct, gc=False):
    expected: float | None = None
    band: tuple[float, float] | None = None


class _Result(msgspec.Struct, gc=False):
    vital: str
    key_level: str
    key: str
    place: str | None
    t_end: Annotated[int, Meta(ge=0, lt=DAYS * DAY_MS)]
    value: float | None
    unit: str
    n: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    coverage: float
    level: Level | None
    reason: str | None
    rev: Annotated[int, Meta(ge=0, le=1)]
    model: _Expectation | None = None


class Batch(NamedTuple):
    """Results as they came: ``rows`` number their series by the places in ``names``."""

    names: list[Name]
    about: list[About]
    rows: Windows
    refused: int


_REASONS: dict[str | None, int] = {None: NONE, **{word: i for i, word in enumerate(REASONS)}}
_decode = msgspec.json.Decoder(_Result).decode
_NAN = float("nan")


def batch_of(results: Iterable[bytes | Mapping[str, Any]]) -> Batch:
    """Results as rows; what is no result of this build is counted and left out.

    Parameters
    ----------
    results
        Values of records of ``city.vitals-log.v1``, decoded or not.
    """
    numbers: dict[tuple[str, str, str], int] = {}
    about: list[About] = []
    rows: list[tuple[Any, ...]] = []
    refused = 0
    for result in results:
        try:
            told = _decode(result) if isinstance(result, bytes) else _converted(result)
            reason = _REASONS[told.reason]
        except (msgspec.DecodeError, KeyError):
            refused += 1
            continue
        number = numbers.setdefault((told.vital, told.key_level, told.key), len(about))
        if number == len(about):
            about.append(About(told.unit, told.place))
        elif about[number] != (told.unit, told.place):
            about[number] = About(told.unit, told.place)
        rows.append((number, *_numbers(told, reason)))
    return Batch([Name(*name) for name in numbers], about, np.array(rows, WINDOW), refused)


def _converted(result: Mapping[str, Any]) -> _Result:
    return msgspec.convert(dict(result), _Result)


def _numbers(told: _Result, reason: int) -> tuple[Any, ...]:
    expected, (low, high) = _NAN, (_NAN, _NAN)
    if told.model is not None:
        expected = _NAN if told.model.expected is None else told.model.expected
        low, high = told.model.band or (_NAN, _NAN)
    return (
        told.t_end,
        _NAN if told.value is None else told.value,
        told.coverage,
        told.n,
        NONE if told.level is None else told.level,
        reason,
        told.rev,
        expected,
        low,
        high,
    )


def newest(rows: Windows) -> Windows:
    """One row a window, in the order of time: the greatest ``rev``, of the same the last one.

    >>> rows = np.zeros(3, WINDOW)
    >>> rows["t"], rows["rev"], rows["n"] = (60, 0, 60), (1, 0, 0), (7, 8, 9)
    >>> newest(rows)[["t", "n"]].tolist()
    [(0, 8), (60, 7)]
    """
    if len(rows) > 1 and (np.diff(rows["t"]) <= 0).any():
        rows = rows[np.lexsort((rows["rev"], rows["t"]))]
        rows = rows[np.append(np.diff(rows["t"]) > 0, True)]
    return rows
