"""Indices over signs at one key and window: the air quality index, and a value by its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from agents.air_quality import AirIndex as Index
from agents.air_quality import aqi, day_values, hour_values
from agents.entries import UNDEFINED, WARMING, Entry, KeyName
from agents.formulas import Past
from schemas.derivations import AirIndex, RatioToBaseline
from schemas.standards.air import table_on
from schemas.vital import Reason
from streams.timeline import HOUR_MS
from streams.windows import Calendar, Windows

_DAY_HOURS = 24


class AirIndexFormula:
    """The index of HJ 633 from the hourly means of six pollutants at each key.

    The table is that of the local day on which the window ends (its last ms).
    """

    def __init__(
        self, formula: AirIndex, keys: tuple[str, ...], windows: Windows, zone: str
    ) -> None:
        self.formula, self.keys, self.windows = formula, keys, windows
        self.zone = ZoneInfo(zone)
        self.of: dict[str, str] = formula.of.model_dump()
        self.reach_ms = (_DAY_HOURS + 1) * HOUR_MS

    def ends_touched(self, end: int) -> list[int]:
        if isinstance(self.windows, Calendar):
            over = self.windows.first_end_after(end - 1)
            return [over] if (end - self.windows.start(over)) % HOUR_MS == 0 else []
        return [end + k * HOUR_MS for k in range(_DAY_HOURS)]

    def _hours(self, end: int) -> list[int]:
        """Ends of the hours that an index reads, the oldest first."""
        start = end - _DAY_HOURS * HOUR_MS
        if self.formula.period == "day":
            start = self.windows.start(end)
        return list(range(start + HOUR_MS, end + 1, HOUR_MS))

    def entries(self, end: int, past: Past) -> list[Entry]:
        ends = self._hours(end)
        views = {name: [past(sign, at) for at in ends] for name, sign in self.of.items()}
        now = self._keys_in(list(views.values()))
        day = datetime.fromtimestamp((end - 1) // 1000, self.zone).date()
        return [self._entry(entry, views, day) for _, entry in sorted(now.items())]

    def _keys_in(self, views: list[list[Mapping[KeyName, Entry]]]) -> dict[KeyName, Entry]:
        """The keys that are told of, each as it was said of last.

        They are those of the last hour, and those heard in any hour of the day: when a log ends the
        last hour may be missing.
        """
        found: dict[KeyName, Entry] = {}
        last = len(views[0]) - 1
        for hour in range(0 if self.formula.period == "day" else last, last + 1):
            for view in views:
                said = view[hour].items()
                found.update((n, e) for n, e in said if n[0] in self.keys and (e.n or hour == last))
        return found

    def _entry(
        self, now: Entry, views: Mapping[str, list[Mapping[KeyName, Entry]]], day: date
    ) -> Entry:
        said = {name: [view.get(now.name) for view in hours] for name, hours in views.items()}
        means: Any = {name: [e and e.value for e in hours] for name, hours in said.items()}
        table = table_on(day)
        hourly = self.formula.period == "hour"
        values = hour_values(table, means) if hourly else day_values(means)
        needed = table.hourly if hourly else table.daily
        index = aqi(table, values, needed)
        counted = [e for hours in said.values() for e in (hours[-1:] if hourly else hours)]
        n = sum(e.n for e in counted if e is not None)
        coverage = 1 - len(index.missing) / len(needed)
        reason: Reason | None = index.reason
        if index.value is None and all(
            _begins(hours[-1 if hourly else 0]) for hours in said.values()
        ):
            reason = WARMING
        value = None if index.value is None else float(index.value)
        detail = _detail(index, table.label)
        return Entry(now.level, now.key, now.place, value, n, coverage, reason, detail=detail)


def _begins(entry: Entry | None) -> bool:
    return entry is None or entry.reason == WARMING


def _detail(index: Index, label: str) -> dict[str, object]:
    return {
        "primary": list(index.primary),
        "iaqi": dict(index.iaqi),
        "missing": list(index.missing),
        "table": label,
    }


class RatioFormula:
    """A sign's value by what its model expected of that window."""

    reach_ms = 0

    def __init__(self, formula: RatioToBaseline, keys: tuple[str, ...]) -> None:
        self.formula, self.keys = formula, keys

    def ends_touched(self, end: int) -> list[int]:
        return [end]

    def entries(self, end: int, past: Past) -> list[Entry]:
        second = self.formula.and_of
        others = past(second, end) if second is not None else {}
        return [
            self._entry(entry, others.get(name))
            for name, entry in sorted(past(self.formula.of, end).items())
            if entry.level in self.keys
        ]

    def _entry(self, entry: Entry, other: Entry | None) -> Entry:
        expected: float | None = None if entry.model is None else entry.model["expected"]
        value, reason = None, entry.reason
        detail: dict[str, Any] | None = None
        if entry.value is not None and expected is None:
            reason = WARMING
        elif entry.value is not None and expected is not None and entry.model is not None:
            ratio = entry.value / max(expected, self.formula.floor)
            few = entry.value < max(self.formula.at_least, entry.model["band"][1])
            detail = {"observed": entry.value, "expected": expected}
            if self.formula.and_of is not None:
                count = None if other is None else other.value
                few = few or count is None or count < self.formula.and_at_least
                detail[self.formula.and_of] = count
            value, reason = (min(ratio, 1.0) if few else ratio), None
        elif reason is None:
            reason = UNDEFINED
        return entry._replace(value=value, reason=reason, severity=None, detail=detail, model=None)
