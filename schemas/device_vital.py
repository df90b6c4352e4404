"""Results of devices: one sign and window, many keys a record, as columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from schemas.event import Place
from schemas.vital import Expectation, Key, Level, Reason

COLUMNS = ("key", "place", "value", "n", "coverage", "level", "reason", "model")


def rows_of(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a record that was read, each with the fields of `schemas.vital.VitalResult`.

    >>> record = {"vital": "a.b", "key": ["d", "e"], "value": [1.5, None], "level": None}
    >>> list(rows_of({name: record.get(name) for name in ("vital", *COLUMNS)}))[1]["key"]
    'e'
    """
    columns = {name: record[name] for name in COLUMNS}
    common = {name: x for name, x in record.items() if name not in (*COLUMNS, "lane", "part")}
    for i in range(len(record["key"])):
        row = {name: None if column is None else column[i] for name, column in columns.items()}
        yield {**common, **row, "detail": None, "live": False}


class DeviceResults(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """A sign's values for devices of one input partition in one window.

    The columns have a row for each device; a column of nothing but nulls is null itself.  What the
    rows mean is told in `schemas.vital.VitalResult`, whose fields they have.

    Parameters
    ----------
    vital, unit
        Name of the sign, and the unit of its values.
    key_level
        What the keys are.
    t_start, t_end
        Window ``[t_start, t_end)``, int64 ms UTC.
    rev, final
        0 for the first statement about the window, 1 for the rows that late events changed.
    lane, part
        Topic and partition that the devices report to; number of the record, as many rows as
        one takes being in each.
    key, place, value, n, coverage, level, reason, model
        The columns.
    table
        Labels of the dated tables that made and judged the values, if any.
    config
        Version of the configuration that judged the values.

    Raises
    ------
    ValueError
        For columns that differ in length.
    """

    vital: Annotated[str, Meta(min_length=1, max_length=64)]
    unit: Annotated[str, Meta(min_length=1, max_length=16)]
    key_level: Literal["device"]
    t_start: int
    t_end: int
    rev: Annotated[int, Meta(ge=0, le=1)]
    final: bool
    lane: Annotated[str, Meta(min_length=1, max_length=300)]
    part: Annotated[int, Meta(ge=0)]
    key: list[Key]
    place: list[Place]
    value: list[float | None]
    n: list[int]
    coverage: list[float]
    level: list[Level | None] | None
    reason: list[Reason | None] | None
    model: list[Expectation | None] | None
    table: Annotated[str, Meta(min_length=1, max_length=400)] | None = None
    config: Annotated[str, Meta(min_length=1, max_length=64)]

    def __post_init__(self) -> None:
        columns = (self.place, self.value, self.n, self.coverage)
        given = (c for c in (self.level, self.reason, self.model) if c is not None)
        if any(len(column) != len(self.key) for column in (*columns, *given)):
            raise ValueError("the columns differ in length")
