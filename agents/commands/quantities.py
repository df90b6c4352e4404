"""Quantities as people type them: lengths of time, sizes, speeds."""

from __future__ import annotations

import re
from datetime import datetime
from math import isfinite
from typing import NamedTuple

import typer

from schemas.times import epoch_ms

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_BYTES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SHAPE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]+)", re.ASCII)

DEFAULT_RETENTION = ("2h", "2GB")


class Retention(NamedTuple):
    """How long and how much of the log is kept: int ms, bytes."""

    ms: int
    size: int


def seconds(text: str) -> float:
    """A length of time with its unit.

    Raises
    ------
    typer.BadParameter
        Where the unit or the number is missing or unknown.

    Examples
    --------
    >>> seconds("1.5m")
    90.0
    """
    number, unit = _parts(text)
    if unit not in _SECONDS or number <= 0:
        raise typer.BadParameter(f"{text!r} is not a length of time: write it as 500ms, 60s or 2h")
    return number * _SECONDS[unit]


def retention(texts: list[str]) -> Retention:
    """A length of time, a size, or both; what is not said keeps its default.

    Examples
    --------
    >>> retention(["500MB"])
    Retention(ms=7200000, size=500000000)
    """
    ms = size = 0
    for text in (*DEFAULT_RETENTION, *texts):
        number, unit = _parts(text)
        if number > 0 and unit in _SECONDS:
            ms = round(number * _SECONDS[unit] * 1000)
        elif number > 0 and unit.upper() in _BYTES:
            size = round(number * _BYTES[unit.upper()])
        else:
            raise typer.BadParameter(f"{text!r} is no retention: write a time or size: 2h, 500MB")
    return Retention(ms, size)


def speed(text: str) -> float:
    """Simulated seconds in a second, above 0.

    Examples
    --------
    >>> speed("60"), speed("2.5x")
    (60.0, 2.5)
    """
    try:
        number = float(text.lower().removesuffix("x"))
    except ValueError:
        number = 0.0
    if not isfinite(number) or number <= 0:
        raise typer.BadParameter(f"{text!r} is no speed: write a number above 0, such as 60")
    return number


def speed_or_max(text: str) -> float | None:
    """A speed, or None for ``max``: as fast as the engine takes it."""
    return None if text == "max" else speed(text)


def instant(text: str) -> int:
    """A time of the command line, int64 ms UTC.

    Raises
    ------
    typer.BadParameter
        Where it is no time, or has no offset.

    Examples
    --------
    >>> instant("2026-03-02T06:00:00+08:00")
    1772402400000
    """
    try:
        return epoch_ms(datetime.fromisoformat(text))
    except ValueError as error:
        example = "write it as 2026-03-02T06:00:00+08:00"
        raise typer.BadParameter(f"{text!r} is no time ({error}): {example}") from None


def _parts(text: str) -> tuple[float, str]:
    found = _SHAPE.fullmatch(text.strip())
    return (float(found[1]), found[2]) if found else (0.0, "")
