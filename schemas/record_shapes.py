"""How the records of a topic are shaped, where they are not events of ours: names, constants, time.

A source that speaks otherwise is read by configuration alone. What a shape does not name is left
unread; what it makes of a record passes the same checks as any event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic import Field

from schemas.events import KINDS
from schemas.findings import Finding
from schemas.metrics import Metrics
from schemas.model import Model
from schemas.places import normalise
from schemas.spelling import guess

TIME_WORDS = ("epoch_ms", "epoch_s", "rfc3339")
"""Forms of a time that need no pattern."""

_SAMPLE = datetime(2017, 11, 25, 14, 41, 7)

Theirs = Annotated[str, Field(min_length=1, max_length=128)]
"""A name in their records; `a.b` is the field b of the object a."""


class KeyShape(Model):
    """A key that stands in the line, before its JSON."""

    ends: Annotated[str, Field(min_length=1, max_length=8)]
    """What stands between key and JSON: '=' for `a/b/lane1= {"flow":900}`."""
    divider: Annotated[str, Field(min_length=1, max_length=8)] = "/"
    """What stands between the parts of the key."""


class TimeShape(Model):
    """Where an event's time stands, and how it is written."""

    of: Theirs
    format: Annotated[str, Field(min_length=1, max_length=64)] = "epoch_ms"
    """`epoch_ms`, `epoch_s`, `rfc3339`, or a pattern of strptime such as %Y-%m-%d %H:%M:%S.%f."""
    offset: Annotated[str, Field(pattern=r"^[+-][0-9]{2}:[0-9]{2}$")] | None = None
    """Offset from UTC of times that state none, such as +01:00."""


class RecordShape(Model):
    """What becomes of a record: our fields by theirs, by parts of the key, and constants."""

    key: KeyShape | None = None
    time: TimeShape
    fields: dict[str, Theirs]
    """Our field: theirs."""
    from_key: Annotated[dict[str, Annotated[int, Field(ge=1, le=32)]], Field(default_factory=dict)]
    """Our field: how many of the key's last parts it takes, with the dividers between them."""
    constants: Annotated[dict[str, str | bool | float], Field(default_factory=dict)]
    """Our field: what every record has in it."""
    places: Annotated[dict[str, str], Field(default_factory=dict)]
    """Their codes of places, such as local numbers of grids: ours. A record with another is
    refused; without a table, places are ours."""


def check_shape(kind: str, shape: RecordShape, metrics: Metrics) -> Iterator[Finding]:
    """What is wrong with the shape of a topic of a kind, by paths inside the shape."""
    known = {field.name: field for field in msgspec.structs.fields(KINDS[kind])}
    parts: dict[str, Iterable[str]] = {
        "fields": shape.fields,
        "from_key": shape.from_key,
        "constants": shape.constants,
    }
    given: dict[str, str] = {}
    for part, names in parts.items():
        for name in names:
            if name == "t":
                yield (part, name), "the time is told by time: remove it"
            elif name not in known:
                yield (part, name), f"{kind} events have no field '{name}'{guess(name, known)}"
            elif name in given:
                yield (part, name), f"'{name}' stands under {given[name]} too: remove one"
            given.setdefault(name, part)
    if shape.from_key and shape.key is None:
        yield ("from_key",), "needs key: what ends the key of a line"
    missing = [n for n, f in known.items() if f.required and n not in given and n != "t"]
    if missing:
        yield (
            ("fields",),
            f"a {kind} event needs {', '.join(missing)}: name them here or as constants",
        )
    for name, value in shape.constants.items():
        if name in known:
            for message in _constant(name, value, known[name].type, metrics):
                yield ("constants", name), message
    metric, unit = (shape.constants.get(name) for name in ("metric", "unit"))
    if metric in metrics and isinstance(unit, str) and metrics[str(metric)].unit != unit:
        yield ("constants", "unit"), f"{metric} comes in {metrics[str(metric)].unit}: use that unit"
    yield from _time(shape.time)
    for theirs, ours in shape.places.items():
        try:
            normalise(ours)
        except ValueError as error:
            yield ("places", theirs), str(error)


def _constant(name: str, value: object, declared: Any, metrics: Metrics) -> Iterator[str]:
    try:
        msgspec.convert(plain(value), declared)
        if name == "place":
            normalise(str(value))
    except msgspec.ValidationError as error:
        yield f"no value of '{name}': {str(error)[0].lower()}{str(error)[1:]}"
    except ValueError as error:
        yield str(error)
    if name == "metric" and value not in metrics:
        yield f"unknown metric '{value}'{guess(str(value), metrics)}"


def plain(value: object) -> object:
    """A constant as JSON would hold it: 60.0 of a configuration is 60 in a field of integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _time(time: TimeShape) -> Iterator[Finding]:
    if time.format in TIME_WORDS:
        if time.offset is not None:
            yield ("time", "offset"), f"{time.format} states its own: remove offset"
        return
    if "%" not in time.format:
        words = ", ".join(TIME_WORDS)
        yield ("time", "format"), f"expected {words}, or a pattern{guess(time.format, TIME_WORDS)}"
        return
    try:
        read = datetime.strptime(_SAMPLE.astimezone().strftime(time.format), time.format)
        whole = read.replace(tzinfo=None, second=0) == _SAMPLE.replace(second=0)
    except ValueError:
        whole = False
    if not whole:
        message = "is no pattern of a whole time: use %Y, %m, %d, %H, %M, %S and %f"
        yield ("time", "format"), message
    elif (read.tzinfo is None) == (time.offset is None):
        stated = read.tzinfo is not None
        lacks = "states no offset: add offset, such as +01:00"
        message = "format has %z: remove offset" if stated else lacks
        yield ("time", "offset" if stated else "format"), message
