"""The gate: a record's bytes become a checked event, or a refusal that says why.

What is refused beyond the bounds of the fields: records over 64 KiB, bytes that are not UTF-8,
NaN and infinities, lone surrogates, control characters, unknown fields and everything that is
not one JSON object. Where a key stands twice in an object, the last one counts, as in most JSON
readers; -0.0 is read as 0.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, overload

import msgspec

from schemas import hotline, observation, reading, warning
from schemas.diagnosis import diagnose
from schemas.hotline import HotlineEvent
from schemas.observation import Observation
from schemas.reading import Reading
from schemas.refusal import Refused
from schemas.warning import OfficialWarning

LIMIT = 65_536
"""Longest record in bytes."""

AnyEvent: TypeAlias = Reading | Observation | HotlineEvent | OfficialWarning

KINDS: dict[str, type[AnyEvent]] = {
    "sensor": Reading,
    "traffic": Observation,
    "hotline": HotlineEvent,
    "external": OfficialWarning,
}
"""The struct of each kind of input topic."""

Check: TypeAlias = Callable[[Any], None]

CHECKS: dict[str, Check] = {
    "sensor": reading.check,
    "traffic": observation.check,
    "hotline": hotline.check,
    "external": warning.check,
}
"""What each kind of event is checked by beyond the types of its fields, and settled."""

_PARSERS = {kind: msgspec.json.Decoder(event).decode for kind, event in KINDS.items()}

_BACKSLASH = 0x5C
_DEL = 0x7F
_CONTROL_HINT = "holds a control character: take it out"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@overload
def decode(kind: Literal["sensor"], raw: bytes, check: Check | None = None) -> Reading: ...
@overload
def decode(kind: Literal["traffic"], raw: bytes, check: Check | None = None) -> Observation: ...
@overload
def decode(kind: Literal["hotline"], raw: bytes, check: Check | None = None) -> HotlineEvent: ...
@overload
def decode(
    kind: Literal["external"], raw: bytes, check: Check | None = None
) -> OfficialWarning: ...
@overload
def decode(kind: str, raw: bytes, check: Check | None = None) -> AnyEvent: ...
def decode(kind: str, raw: bytes, check: Check | None = None) -> AnyEvent:
    """Decode and check one record.

    Parameters
    ----------
    kind
        A key of `KINDS`.
    raw
        The record as it stands in the log.
    check
        What checks the event, where that is not what `CHECKS` has of the kind.

    Returns
    -------
    Reading, Observation, HotlineEvent or OfficialWarning
        Every time in it is int64 ms UTC, its place is normalised.

    Raises
    ------
    Refused
        With the reason, the field's path or the byte, and a hint. It repeats nothing of the
        record: no value and no name that is not in the schema.
    KeyError
        For a kind that is not in `KINDS`.

    Examples
    --------
    >>> event = decode("sensor", b'{"device": "d1", "metric": "rain", "value": 0.2, "unit": "mm",'
    ...     b' "t": "2026-05-22T06:41:30+08:00", "place": "440100"}')
    >>> event.t, event.place
    (1779403290000, '4401')
    >>> decode("sensor", b'{"t": NaN}')
    Traceback (most recent call last):
    Refused: `byte 6` is not a number of JSON: leave the field out where there is no value
    """
    parse = _PARSERS[kind]
    if len(raw) > LIMIT:
        raise Refused("too_large", f"byte {LIMIT}", "is beyond the 64 KiB of a record: shorten it")
    try:
        event = parse(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        refused = diagnose(error, raw, KINDS[kind])
    else:
        # As in `check_event`, without a call: this is the hot path.
        if _BACKSLASH in raw or _DEL in raw or not raw.isascii():
            refuse_controls(event)
        (check or CHECKS[kind])(event)
        return event
    # Outside the except block, so that the decoder's words do not hang on as __context__.
    raise refused


def check_event(event: AnyEvent, raw: bytes, check: Check) -> None:
    """Check what was read of a record beyond the types of its fields, and settle it, in place.

    Raises
    ------
    Refused
        As `decode` does.
    """
    # A control character needs an escape, except DEL and those above 7-bit ASCII. Asking for
    # the byte as an int is eight times as fast as asking for b"\\".
    if _BACKSLASH in raw or _DEL in raw or not raw.isascii():
        refuse_controls(event)
    check(event)


def refuse_controls(event: msgspec.Struct) -> None:
    """Refuse control characters in the texts of a struct; the field `text` may have lines."""
    for name in event.__struct_fields__:
        value = getattr(event, name)
        control = _CONTROL_IN_TEXT if name == "text" else _CONTROL
        if isinstance(value, str):
            if control.search(value):
                raise Refused("control_character", f"$.{name}", _CONTROL_HINT)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if control.search(item):
                    raise Refused("control_character", f"$.{name}[{index}]", _CONTROL_HINT)
