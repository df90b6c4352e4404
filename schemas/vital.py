"""Results: the value of a vital sign for one key and one window."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from schemas.event import Place

Reason: TypeAlias = Literal["warming", "uncovered", "no_limit", "incomplete", "undefined"]

REASONS: tuple[str, ...] = get_args(Reason)
"""Why a value or its level is null.

``warming``: the window reaches before the first event of its key. ``uncovered``: too little data
in it. ``no_limit``: the key has no limit to compare with. ``incomplete``: an input or a child is
missing. ``undefined``: the formula has no value here, such as a share of nothing.
"""

Level: TypeAlias = Annotated[int, Meta(ge=0, le=4)]
"""0 normal, 1 blue, 2 yellow, 3 orange, 4 red."""

KeyLevel: TypeAlias = Annotated[str, Meta(min_length=1, max_length=24)]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=96)]


class Expectation(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """What a sign's model says of a value, before it learns it.

    Parameters
    ----------
    basis
        What the answer rests on, such as ``hour_of_week``; ``warming`` where there is no answer
        yet, ``missing`` where there was no value, ``failed`` where the model had to begin anew.
    score
        0 to 1; from 0.5 on the value is an anomaly, and is not learned.
    expected, band
        In the sign's unit.
    """

    basis: Annotated[str, Meta(min_length=1, max_length=32)]
    score: Annotated[float, Meta(ge=0, le=1)] | None
    expected: float | None
    band: tuple[float, float] | None


class VitalResult(msgspec.Struct, kw_only=True, gc=False, frozen=True):
    """A sign's value for one key and window.

    Parameters
    ----------
    vital
        Name of the sign.
    key_level, key
        What the value belongs to.
    place
        Place of the key, where it has one.
    t_start, t_end
        Window ``[t_start, t_end)``, int64 ms UTC.
    value, unit
        Null where there is not enough data.
    n
        Events behind the value.
    coverage
        Share of the expected devices or time that was seen.
    level
        Memoryless level of the value; null where the value is.
    reason
        One of `REASONS` where the value is null.
    rev
        0 for the first statement about the window, 1 for the corrected one.
    final
        Whether no correction can follow.
    detail
        What a named index adds, such as the primary pollutant; keys in the writer's order.
    model
        What the sign's model says of the value, where it has one for this key.
    table
        Labels of the dated tables that the value is made of and judged by, if any: those of the
        local day on which the window ends.
    config
        Version of the configuration that judged the value.
    live
        Whether it is a sign of the engine in processing time, and so no function of the log.

    Raises
    ------
    ValueError
        For a null value that has a level or lacks a reason (rule R8).
    """

    vital: Annotated[str, Meta(min_length=1, max_length=64)]
    key_level: KeyLevel
    key: Key
    place: Place | None
    t_start: int
    t_end: int
    value: float | None
    unit: Annotated[str, Meta(min_length=1, max_length=16)]
    n: Annotated[int, Meta(ge=0)]
    coverage: Annotated[float, Meta(ge=0, le=1)]
    level: Level | None
    reason: Reason | None
    rev: Annotated[int, Meta(ge=0, le=1)]
    final: bool
    detail: dict[str, Any] | None
    model: Expectation | None = None
    table: Annotated[str, Meta(min_length=1, max_length=400)] | None = None
    config: Annotated[str, Meta(min_length=1, max_length=64)]
    live: bool = False

    def __post_init__(self) -> None:
        if self.value is None and (self.level is not None or self.reason is None):
            raise ValueError("a null value has no level, and a reason")
