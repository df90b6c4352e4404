"""Signs that are formulas over what other signs said, in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import ge, gt, le, lt
from typing import Any, NamedTuple, Protocol, TypeAlias
from zoneinfo import ZoneInfo

import duckdb
import msgspec

from schemas.configuration import Configuration
from schemas.signs import DerivedSign, Levels
from tests.oracle.closing import calendar_windows, closing_of, lengths
from tests.oracle.results import SEVERITY, add_results, versions_of
from tests.oracle.rows import insert_rows
from tests.oracle.signs import lateness_of

_COMPARE = {"ge": ge, "gt": gt, "le": le, "lt": lt}

Name: TypeAlias = tuple[str, str]
"""Key level and key."""


class Statement(NamedTuple):
    """What a sign says of a key and a window; ``expected`` is what its model did, up to
    ``high``."""

    place: str | None
    value: float | None
    n: int
    coverage: float
    reason: str | None
    level: int | None = None
    expected: float | None = None
    high: float | None = None
    detail: dict[str, Any] | None = None


At: TypeAlias = Callable[[str, int], dict[Name, Statement]]
"""What a sign said of the windows that end at a time, by key; not to be changed."""


class Formula(Protocol):
    """How a derived sign is made."""

    def reads(self, end: int) -> Iterable[int]:
        """Ends of the inputs' windows that a window of the sign reads."""
        ...

    def says(self, end: int, at: At) -> dict[Name, Statement]: ...


def compute_formula(
    database: duckdb.DuckDBPyConnection,
    configuration: Configuration,
    sign: DerivedSign,
    formula: Formula,
) -> None:
    """Add the results of a derived sign to ``expected``.

    It is said at every end of its windows at which an input said anything, and corrected where an
    input was that it reads.
    """
    inputs = {name: _Input(database, name) for name in sign.inputs}
    closing = closing_of(database, configuration, sign)
    mark = closing.mark
    if mark is None:
        return
    said = {end for one in inputs.values() for end in one.first}
    corrected = {end for one in inputs.values() for end in one.corrected}
    starts = _starts(sign, ZoneInfo(configuration.city.time_zone), said | corrected, mark)
    first = {end for end in said if end in starts}
    if sign.window.calendar is not None:
        first |= _cut_short(inputs.values(), starts, closing.reached)
    lateness = lateness_of(configuration, sign)
    final = {
        end
        for end in starts
        if corrected and end + lateness <= mark and not corrected.isdisjoint(formula.reads(end))
    }
    rows = []
    for rev, ends in ((0, first | final), (1, final)):
        view = _View(inputs, rev)
        for end in sorted(ends):
            window, closes = (starts[end], end, rev), rev == 1 or end in first
            for name, told in formula.says(end, view).items():
                level, detail = level_of(sign.levels, told.value, end), _json(told.detail)
                measured = (told.value, told.n, told.coverage, level, told.reason, detail)
                rows.append((sign.id, *name, told.place, *window, *measured, closes))
    database.execute("CREATE OR REPLACE TEMP TABLE formulas AS FROM expected WHERE false")
    database.execute("ALTER TABLE formulas ADD COLUMN closes BOOLEAN")
    columns = ["vital", "key_level", "key", "place", "t_start", "t_end", "rev"]
    columns += ["value", "n", "coverage", "level", "reason", "detail", "closes"]
    insert_rows(database, "formulas", columns, rows)
    add_results(database, "formulas", "true")


class _Input:
    """What one sign said, first and corrected, by the end of the window."""

    def __init__(self, database: duckdb.DuckDBPyConnection, name: str) -> None:
        self.first: dict[int, dict[Name, Statement]] = {}
        self.corrected: dict[int, dict[Name, Statement]] = {}
        rows = database.execute(
            """SELECT rev, t_end, key_level, key, place, value, n, e.coverage, reason, level,
                   m.expected, m.high, e.detail
               FROM expected e LEFT JOIN models m USING (vital, key_level, key, t_end)
               WHERE vital = ?""",
            [name],
        )
        while batch := rows.fetchmany(100_000):
            for rev, end, level, key, *told, detail in batch:
                view = self.corrected if rev else self.first
                found = None if detail is None else msgspec.json.decode(detail)
                view.setdefault(end, {})[level, key] = Statement(*told, found)


class _View:
    """What the inputs said first, or with their corrections."""

    def __init__(self, inputs: dict[str, _Input], rev: int) -> None:
        self.inputs, self.rev = inputs, rev

    def __call__(self, sign: str, end: int) -> dict[Name, Statement]:
        one = self.inputs[sign]
        said, corrected = one.first.get(end, {}), one.corrected.get(end)
        return {**said, **corrected} if self.rev and corrected else said


def _cut_short(inputs: Iterable[_Input], starts: dict[int, int], reached: int | None) -> set[int]:
    """Ends behind the last record, where that is known, of windows in which an input had data."""
    heard = [
        end for one in inputs for end, said in one.first.items() if any(s.n for s in said.values())
    ]
    return {
        over
        for over, start in starts.items()
        if reached is not None and over > reached and any(start < end <= over for end in heard)
    }


def _starts(sign: DerivedSign, zone: ZoneInfo, said: set[int], mark: int) -> dict[int, int]:
    """The windows in question by their ends."""
    if not said:
        return {}
    if sign.window.calendar is not None:
        windows = calendar_windows(sign.window.calendar, zone, min(said), max(said))
        return {end: start for start, end in windows if end <= mark}
    size, hop = lengths(sign.window)
    first = (min(said) - size) // hop * hop + size
    return {end: end - size for end in range(first, max(said) + size + hop, hop) if end <= mark}


def level_of(levels: Levels | None, value: float | None, end: int) -> int | None:
    """The worst level whose threshold a value meets, 0 where it meets none.

    By the table that holds on the local day of the last ms of the window, which ends at ``end``.
    """
    if levels is None or value is None:
        return None
    holds = (one for first, after, one in versions_of(levels) if first <= end - 1 < after)
    levels = next(holds, None)
    if levels is None:
        return None
    compare = _COMPARE[levels.compare]
    met = (SEVERITY[name] for name, x in levels.thresholds.given() if compare(value, x))
    return max(met, default=0)


def _json(detail: dict[str, Any] | None) -> str | None:
    return None if detail is None else msgspec.json.encode(detail).decode()
