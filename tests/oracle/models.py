"""What models say of a sign's first statements: slow, sequential, in plain Python.

Each key is judged on its own, in the order of its windows: a value is judged first, and learned
afterwards where it is no anomaly and long enough after the last one that was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import groupby
from math import erf, log10, sqrt
from statistics import fmean, median
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

import duckdb

from schemas.configuration import Configuration
from schemas.judging import Gaussian, HourOfWeek
from schemas.signs import Sign
from tests.oracle.rows import insert_rows

MODEL = {"basis": "VARCHAR", "score": "DOUBLE", "expected": "DOUBLE"}
MODEL |= {"low": "DOUBLE", "high": "DOUBLE", "slack": "DOUBLE"}
"""Columns of an answer; ``slack`` is how far two right scores can be apart."""

_ANOMALY = 0.5
_LARGEST = 1e100
_DAY_MS, _FORGET_DAYS = 86_400_000, 28
_CLOSE = 1e-9
_MAD_TO_SIGMA = 1.4826
_RAREST = 2.0**-53
"""Numbers just below 1 are so far apart: no probability is told from 1 by less."""


class Answer(NamedTuple):
    """What a model says; all but the basis is None where it has no answer."""

    basis: str
    score: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    slack: float | None = None


class _Model(Protocol):
    def judge(self, value: float, end: int) -> Answer: ...
    def learn(self, value: float, end: int) -> None: ...


def make_models(database: duckdb.DuckDBPyConnection) -> None:
    """Make the table ``models``: answers by sign, key and window."""
    name = "vital VARCHAR, key_level VARCHAR, key VARCHAR, t_end BIGINT"
    answer = ", ".join(f"{column} {kind}" for column, kind in MODEL.items())
    database.execute(f"CREATE TABLE models ({name}, {answer})")


def judge_sign(
    database: duckdb.DuckDBPyConnection, configuration: Configuration, sign: Sign
) -> None:
    """Add to ``models`` what the sign's model says of what stands in ``expected``."""
    rule = sign.model
    if rule is None:
        return
    slots = _Slots(configuration)
    keys = ", ".join(f"'{key}'" for key in rule.keys or sign.keys)
    said = database.execute(
        f"""SELECT key_level, key, t_end, value FROM expected
            WHERE vital = ? AND rev = 0 AND key_level IN ({keys})
            ORDER BY key_level, key, t_end""",
        [sign.id],
    ).fetchall()
    rows = []
    for (level, key), series in groupby(said, key=lambda row: (row[0], row[1])):
        values = [(row[2], row[3]) for row in series]
        for part in _lives(values):
            model: _Model = (
                _Hours(rule, slots.slot) if isinstance(rule, HourOfWeek) else _Normal(rule)
            )
            answers = _judged(model, rule.every_s, part)
            rows += [(sign.id, level, key, end, *answer) for end, answer in answers]
    insert_rows(database, "models", ("vital", "key_level", "key", "t_end", *MODEL), rows)


def _is_value(value: float | None) -> bool:
    return value is not None and abs(value) <= _LARGEST


def _lives(values: list[tuple[int, float | None]]) -> list[list[tuple[int, float | None]]]:
    """Cut where the next value comes over 28 days (UTC) later: a model of its own judges each part.

    What is missing belongs to the part before; no model says anything of it.
    """
    parts: list[list[tuple[int, float | None]]] = [[]]
    last: int | None = None
    for end, value in values:
        if _is_value(value):
            day = end // _DAY_MS
            if last is not None and day - last > _FORGET_DAYS:
                parts.append([])
            last = day
        parts[-1].append((end, value))
    return parts


def _judged(
    model: _Model, every_s: float, series: Iterable[tuple[int, float | None]]
) -> Iterable[tuple[int, Answer]]:
    learned_at: int | None = None
    for end, value in series:
        if value is None or not _is_value(value):
            yield end, Answer("missing")
            continue
        answer = model.judge(value, end)
        ordinary = answer.score is None or answer.score < _ANOMALY
        if ordinary and (learned_at is None or end - learned_at >= round(every_s * 1000)):
            model.learn(value, end)
            learned_at = end
        yield end, answer


class _Slots:
    """The hour of the local week in which windows end, apart for days of work and of rest."""

    def __init__(self, configuration: Configuration) -> None:
        self.zone = ZoneInfo(configuration.city.time_zone)
        self.holidays = set(configuration.calendar.holidays)
        self.workdays = set(configuration.calendar.workdays)
        self._known: dict[int, tuple[bool, int, int]] = {}

    def slot(self, end: int) -> tuple[bool, int, int]:
        """Whether the day is worked, its number in the week, and the hour; of the last ms."""
        slot = self._known.get(end)
        if slot is None:
            local = datetime.fromtimestamp((end - 1) // 1000, UTC).astimezone(self.zone)
            day, weekday = local.date().isoformat(), local.weekday()
            works = day in self.workdays or (weekday < 5 and day not in self.holidays)
            slot = self._known[end] = (works, weekday, local.hour)
        return slot


class _Hours:
    """Median and median deviation of the newest values of an hour of the week.

    An hour of the week that has too few is judged by the same hour of all days of its type.
    """

    def __init__(self, rule: HourOfWeek, slot_of: Callable[[int], tuple[bool, int, int]]) -> None:
        self.rule, self.slot_of = rule, slot_of
        self.kept: dict[tuple[bool, int, int], list[float]] = {}
        self.fitted: dict[tuple[bool, int, int], tuple[str, float, float] | None] = {}

    def judge(self, value: float, end: int) -> Answer:
        slot = self.slot_of(end)
        if slot not in self.fitted:
            self.fitted[slot] = self._fit(slot)
        fitted = self.fitted[slot]
        if fitted is None:
            return Answer("warming")
        basis, middle, scale = fitted
        rule = self.rule
        above, below = value - middle, middle - value
        deviation = max(above if rule.side != "low" else 0.0, below if rule.side != "high" else 0.0)
        z = max(deviation, 0.0) / scale
        low, high = middle - rule.z_alarm * scale, middle + rule.z_alarm * scale
        if rule.counts:
            low = min(max(low, 0.0), middle)
        score = z / (z + rule.z_alarm)
        # The median is taken off the value: what is lost there counts in deviations.
        slack = _CLOSE + 1e-12 * (abs(value) + abs(middle)) / scale
        return Answer(basis, score, middle, low, high, slack)

    def _fit(self, slot: tuple[bool, int, int]) -> tuple[str, float, float] | None:
        works, _, hour = slot
        basis, values = "hour_of_week", self.kept.get(slot, [])
        if len(values) < self.rule.least:
            days = (self.kept.get((works, day, hour), []) for day in range(7))
            basis, values = "hour_of_day", [value for kept in days for value in kept]
        if len(values) < self.rule.least:
            return None
        middle = median(values)
        mad = median(abs(value - middle) for value in values)
        least = max(self.rule.floor, self.rule.relative_floor * abs(middle))
        if self.rule.counts:
            least = max(least, sqrt(max(middle, 1.0)))
        return basis, middle, max(_MAD_TO_SIGMA * mad, least)

    def learn(self, value: float, end: int) -> None:
        slot = works, _, hour = self.slot_of(end)
        self.kept[slot] = [*self.kept.get(slot, []), value][-self.rule.keep :]
        for day in range(7):
            self.fitted.pop((works, day, hour), None)


class _Normal:
    """Mean and standard deviation of the newest values; how rare a value is in the normal law.

    The score is r / (r + a): r counts the decimal places of the chance to be as far out, and a
    those of the alarm's number of deviations.
    """

    def __init__(self, rule: Gaussian) -> None:
        self.rule = rule
        self.values: list[float] = []
        self.fitted: tuple[float, float] | None = None

    def judge(self, value: float, end: int) -> Answer:
        rule = self.rule
        if len(self.values) < rule.least:
            return Answer("warming")
        if self.fitted is None:
            mean = fmean(self.values)
            squares = sum((x - mean) ** 2 for x in self.values)
            self.fitted = mean, max(sqrt(squares / (len(self.values) - 1)), rule.floor)
        mean, sigma = self.fitted
        z = abs(value - mean) / sigma
        if rule.side == ("low" if value > mean else "high"):
            z = 0.0
        rarity, alarm = _rarity(z), _rarity(rule.z_alarm)
        reach = rule.z_alarm * sigma
        # Far out a chance is known to a few digits alone.
        slack = _CLOSE + 4 * _RAREST / max(1 - _within(z), _RAREST)
        slack += 1e-12 * (abs(value) + abs(mean)) / sigma
        score = rarity / (rarity + alarm)
        return Answer("gaussian", score, mean, mean - reach, mean + reach, slack)

    def learn(self, value: float, end: int) -> None:
        self.values = [*self.values, value][-self.rule.window :]
        self.fitted = None


def _within(z: float) -> float:
    """The share of a normal distribution within so many deviations."""
    return 2 * abs((1 + erf(z / sqrt(2))) / 2 - 0.5)


def _rarity(z: float) -> float:
    return -log10(max(1 - _within(z), _RAREST))
