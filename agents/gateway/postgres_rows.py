"""Results and alert transitions as columns of PostgreSQL's tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import msgspec
import orjson

from agents.gateway.windows import DAY_MS, DAYS
from schemas.alert import Alert
from schemas.vital import VitalResult

Columns: TypeAlias = list[list[Any]]

RESULTS: dict[str, str] = {
    "sign": "text",
    "key_level": "text",
    "key": "text",
    "t_end": "timestamptz",
    "t_start": "timestamptz",
    "place": "text",
    "value": "float8",
    "unit": "text",
    "n": "int8",
    "coverage": "float8",
    "level": "int2",
    "reason": "text",
    "rev": "int2",
    "final": "bool",
    "expected": "float8",
    "low": "float8",
    "high": "float8",
    "score": "float8",
    "detail": "jsonb",
    "config": "text",
    "live": "bool",
}
"""Columns of ``vital_results`` and their types: the fields of a result and of its model."""

TRANSITIONS: dict[str, str] = {
    "id": "text",
    "alert_id": "text",
    "t_update": "timestamptz",
    "rule": "text",
    "kind": "text",
    "key_level": "text",
    "key": "text",
    "place": "text",
    "state": "text",
    "transition": "text",
    "level": "int2",
    "max_level": "int2",
    "t_onset": "timestamptz",
    "t_raised": "timestamptz",
    "t_cleared": "timestamptz",
    "late": "bool",
    "value": "float8",
    "unit": "text",
    "acked": "bool",
    "shelved_until": "timestamptz",
    "suppressed_by": "text",
    "alert": "jsonb",
}
"""Columns of ``alert_transitions`` and their types; ``alert`` is the whole record, and ``id`` is
made of its bytes, which are the same whenever it is sent again."""


class Rows(NamedTuple):
    """What a batch comes to: columns, and how many records were none of this build."""

    columns: Columns
    size: int
    refused: int


_decode_result = msgspec.json.Decoder(VitalResult).decode
_decode_alert = msgspec.json.Decoder(Alert).decode
_TIMES = range(DAYS * DAY_MS)
_MOST = (1 << 63) - 1


def result_rows(results: Iterable[bytes]) -> Rows:
    """The newest of each window: an upsert takes a row once.

    Parameters
    ----------
    results
        Values of records of ``city.vitals-log.v1``.
    """
    rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    revs: dict[tuple[Any, ...], int] = {}
    refused = 0
    for raw in results:
        try:
            told = _decode_result(_without_nul(raw))
        except msgspec.DecodeError:
            refused += 1
            continue
        if told.t_end not in _TIMES or told.t_start not in _TIMES:
            refused += 1
            continue
        name = (told.vital, told.key_level, told.key, told.t_end)
        if told.rev >= revs.get(name, 0):
            revs[name], rows[name] = told.rev, (*name, *_rest(told))
    return Rows(_columns(rows.values(), len(RESULTS)), len(rows), refused)


def _rest(told: VitalResult) -> tuple[Any, ...]:
    model = told.model
    low, high = (model and model.band) or (None, None)
    return (
        told.t_start,
        told.place,
        told.value,
        told.unit,
        min(told.n, _MOST),
        told.coverage,
        told.level,
        told.reason,
        told.rev,
        told.final,
        model.expected if model else None,
        low,
        high,
        model.score if model else None,
        None if told.detail is None else orjson.dumps(told.detail).decode(),
        told.config,
        told.live,
    )


def transition_rows(transitions: Iterable[bytes]) -> Rows:
    """One row for each transition, however often it was sent.

    Parameters
    ----------
    transitions
        Values of records of ``city.alert-log.v1``.
    """
    rows: dict[str, tuple[Any, ...]] = {}
    refused = 0
    for raw in transitions:
        text = _without_nul(raw)
        try:
            told = _decode_alert(text)
        except msgspec.DecodeError:
            refused += 1
            continue
        times = (told.t_update, told.t_onset, told.t_raised, told.t_cleared, told.shelved_until)
        if any(t is not None and t not in _TIMES for t in times):
            refused += 1
            continue
        name = hashlib.sha256(raw).hexdigest()[:32]
        fields = [getattr(told, field) for field in list(TRANSITIONS)[1:-1]]
        rows[name] = (name, *fields, text.decode())
    return Rows(_columns(rows.values(), len(TRANSITIONS)), len(rows), refused)


def _columns(rows: Iterable[tuple[Any, ...]], count: int) -> Columns:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(count)]


def _without_nul(raw: bytes) -> bytes:
    """PostgreSQL has no character 0 in texts."""
    return raw.replace(rb"\u0000", rb"\ufffd") if rb"\u0000" in raw else raw
