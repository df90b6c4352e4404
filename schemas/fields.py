"""What a sign may read of an event: its fields by kind of topic, taken from the event types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from msgspec import inspect

from schemas.events import KINDS
from schemas.facts import STREAMS

COUNTED = frozenset({"citizen"})
"""Fields that a sign may only count different values of: what they hold is nobody's business."""

COUNTERS = frozenset({"seq"})
"""Numbers that mean nothing by themselves, and are too large for steps of 10⁻⁶ in 64 bits."""

Shape = Literal["number", "text", "flag"]


@dataclass(frozen=True, slots=True)
class EventField:
    """A field that a sign can match or aggregate.

    Parameters
    ----------
    shape
        ``number``, ``text`` or ``flag`` (true or false).
    choices
        The only values it takes, where there are few.
    """

    shape: Shape
    choices: tuple[str, ...] = ()


@cache
def fields_of(kind: str) -> dict[str, EventField]:
    """The fields of an event that a sign may read, by name.

    Times, lists and nested values are left out, and so is what must not leave intake.

    Parameters
    ----------
    kind
        ``sensor``, ``traffic``, ``hotline``, ``external``, ``arrivals`` or ``orders``.

    Examples
    --------
    >>> fields_of("traffic")["status"]
    EventField(shape='text', choices=('cleared', 'open'))
    >>> "t" in fields_of("sensor"), "text" in fields_of("hotline")
    (False, False)
    """
    struct = inspect.type_info(STREAMS.get(kind) or KINDS[kind])
    assert isinstance(struct, inspect.StructType)
    found = ((f.name, _describe(f.type)) for f in struct.fields if f.name not in COUNTERS)
    return {name: field for name, field in found if field is not None}


def _describe(declared: inspect.Type) -> EventField | None:
    kinds = list(_alternatives(declared))
    if len(kinds) != 1:
        return None
    match kinds[0]:
        case inspect.IntType() | inspect.FloatType():
            return EventField("number")
        case inspect.BoolType():
            return EventField("flag")
        case inspect.StrType():
            return EventField("text")
        case inspect.LiteralType(values=values) if all(isinstance(v, str) for v in values):
            return EventField("text", tuple(str(v) for v in values))
    return None


def _alternatives(declared: inspect.Type) -> Iterator[inspect.Type]:
    match declared:
        case inspect.UnionType(types=types):
            for one in types:
                yield from _alternatives(one)
        case inspect.Metadata(type=inner):
            yield from _alternatives(inner)
        case inspect.NoneType():
            pass
        case _:
            yield declared
