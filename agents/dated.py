"""What holds by local day: levels of dated tables, and the labels that outputs carry.  Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from agents.levels import Scale
from schemas.signs import DatedLevels, Levels, Sign
from schemas.standards.dated import TABLES, table_of

_T = TypeVar("_T")
_U = TypeVar("_U")


class Dated(Generic[_T]):
    """A value that changes with local days.

    Parameters
    ----------
    values
        One more than there are changes; None where there is none.
    changes
        From when on the second, third … of them holds, int64 ms UTC, rising.

    Examples
    --------
    A window belongs to the day of its last ms:

    >>> one = Dated(["old", "new"], [1000])
    >>> one.at(1000), one.at(1001)
    ('old', 'new')
    """

    __slots__ = ("_changes", "_values")

    def __init__(self, values: Sequence[_T | None], changes: Sequence[int] = ()) -> None:
        self._values, self._changes = values, changes

    def at(self, end: int) -> _T | None:
        """What holds for a window that ends at ``end``, int64 ms UTC."""
        return self._values[bisect_right(self._changes, end - 1)]

    def map(self, change: Callable[[_T], _U]) -> Dated[_U]:
        """Other values with the same changes."""
        values = [None if value is None else change(value) for value in self._values]
        return Dated(values, self._changes)


def by_day(versions: Iterable[tuple[str | None, str | None, _T]], zone: str) -> Dated[_T]:
    """Values with their first and last local days, both included, the oldest first."""
    values: list[_T | None] = [None]
    changes: list[int] = []
    for begin, end, value in versions:
        if begin is None:
            values = [value]
        elif changes and changes[-1] == _midnight(begin, zone):
            values[-1] = value
        else:
            values.append(value)
            changes.append(_midnight(begin, zone))
        if end is not None:
            values.append(None)
            changes.append(_midnight(end, zone, 1))
    return Dated(values, changes)


def _midnight(day: str, zone: str, after: int = 0) -> int:
    """When a local day begins, or one so many days after it, int64 ms UTC."""
    local = datetime.fromisoformat(day) + timedelta(days=after)
    return round(local.replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def levels_by_day(levels: Levels | None, zone: str) -> Dated[Levels]:
    """The levels of a sign."""
    if isinstance(levels, DatedLevels):
        return by_day([(begin, end, one) for begin, end, _, one in levels.versions], zone)
    return Dated([levels])


def scales_of(levels: Levels | None, zone: str) -> Dated[Scale]:
    """The same, ready to judge."""
    return levels_by_day(levels, zone).map(Scale)


class Labels:
    """Of which tables a sign's values are made and judged, by day.

    Parameters
    ----------
    sign, zone
        The sign, and the city's time zone.
    """

    def __init__(self, sign: Sign, zone: str) -> None:
        name = table_of(sign)
        of_values = (
            (_text(table.valid_from), _text(table.valid_to), table.label)
            for table in TABLES
            if table.id == name
        )
        levels = sign.levels
        versions = levels.versions if isinstance(levels, DatedLevels) else ()
        of_levels = ((begin, end, label) for begin, end, label, _ in versions)
        self._found = [by_day(one, zone) for one in (of_values, of_levels)]

    def at(self, end: int) -> str | None:
        """Their labels for a window that ends at ``end``; None where there is no table."""
        told = [label for one in self._found if (label := one.at(end)) is not None]
        return ", ".join(dict.fromkeys(told)) or None


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
