"""Results of devices: signs of one window, many keys a record, as columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from schemas.event import Place
from schemas.vital import Expectation, Key, Level, Reason

_COMMON = ("key", "place", "n", "coverage")
_OF_SIGN = ("value", "level", "reason", "model")


def rows_of(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a record that was read, each with the fields of `schemas.vital.VitalResult`.

    >>> record = {"t_end": 60_000, "key": ["d", "e"], "n": [1, 0], "vitals": [{"vital": "a.b"}]}
    >>> [(row["vital"], row["key"], row["n"]) for row in rows_of(record)]
    [('a.b', 'd', 1), ('a.b', 'e', 0)]
    """
    for i in range(len(record["key"])):
        yield from _rows_at(record, i)


def rows_of_key(record: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """Those of one device.

    >>> record = {"t_end": 60_000, "key": ["d", "e"], "vitals": [{"vital": "a.b", "unit": "mm"}]}
    >>> [(row["vital"], row["unit"], row["t_end"]) for row in rows_of_key(record, "e")]
    [('a.b', 'mm', 60000)]
    """
    if key in record["key"]:
        yield from _rows_at(record, record["key"].index(key))


def _rows_at(record: dict[str, Any], i: int) -> Iterator[dict[str, Any]]:
    left_out = (*_COMMON, "vitals", "lane", "part")
    common = {name: x for name, x in record.items() if name not in left_out}
    for sign in record["vitals"]:
        columns = {name: record.get(name) for name in _COMMON}
        columns |= {name: sign.get(name) for name in _OF_SIGN}
        row = {name: None if column is None else column[i] for name, column in columns.items()}
        told = {name: sign.get(name) for name in ("vital", "unit", "table")}
        yield {**told, **common, **row, "detail": None, "live": False}


class DeviceSign(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """What one sign says of the devices of a record, in their order.

    Parameters
    ----------
    vital, unit
        Name of the sign, and the unit of its values.
    value, level, reason, model
        The columns; one of nothing but nulls is null itself, but for the values.
    table
        Labels of the dated tables that made and judged the values, if any.
    """

    vital: Annotated[str, Meta(min_length=1, max_length=64)]
    unit: Annotated[str, Meta(min_length=1, max_length=16)]
    value: list[float | None]
    level: list[Level | None] | None
    reason: list[Reason | None] | None
    model: list[Expectation | None] | None
    table: Annotated[str, Meta(min_length=1, max_length=400)] | None = None


class DeviceResults(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """Values for devices of one input partition in one window, of signs that hold the same rows.

    The columns have a row for each device.  What the rows mean is told in
    `schemas.vital.VitalResult`, whose fields they have.

    Parameters
    ----------
    key_level
        What the keys are.
    t_start, t_end
        Window ``[t_start, t_end)``, int64 ms UTC.
    rev, final
        0 for the first statement about the window, 1 for the rows that late events changed.
    lane, part
        Topic and partition that the devices report to; number of the record, as many rows as
        one takes being in each.
    key, place, n, coverage
        The columns that all the signs have in common.
    vitals
        The signs, each with columns of its own.
    config
        Version of the configuration that judged the values.

    Raises
    ------
    ValueError
        For columns that differ in length.
    """

    key_level: Literal["device"]
    t_start: int
    t_end: int
    rev: Annotated[int, Meta(ge=0, le=1)]
    final: bool
    lane: Annotated[str, Meta(min_length=1, max_length=300)]
    part: Annotated[int, Meta(ge=0)]
    key: list[Key]
    place: list[Place]
    n: list[int]
    coverage: list[float]
    vitals: Annotated[list[DeviceSign], Meta(min_length=1)]
    config: Annotated[str, Meta(min_length=1, max_length=64)]

    def __post_init__(self) -> None:
        own = [(s.value, s.level, s.reason, s.model) for s in self.vitals]
        columns = [self.place, self.n, self.coverage, *(c for of in own for c in of)]
        if any(c is not None and len(c) != len(self.key) for c in columns):
            raise ValueError("the columns differ in length")
