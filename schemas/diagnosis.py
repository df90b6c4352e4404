"""From the decoder's error to a refusal that repeats nothing of the record (rule R9).

The decoder quotes unknown field names and words. What a refusal says is therefore taken from
the schema: a path stands in it only if the schema has that path.
"""

from __future__ import annotations

import re
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from schemas.refusal import Refused

_PATH = re.compile(r" - at `(\$[^`]*)`\Z")
_INDEX = re.compile(r"\[[^\]]*\]")
_BYTE = re.compile(r"\(byte (\d+)\)\Z")
_TYPES = re.compile(r"Expected `([a-z| ]+)`, got `([a-z]+)`")
_BOUND = re.compile(
    r"Expected `(int|float|str|array)` ((?:of length )?(?:<=|>=|<|>)) (-?[0-9.e+-]+)"
)
_MISSING = re.compile(r"Object missing required field `([a-z_]+)`")
_NOT_FINITE = re.compile(rb"-?(?:NaN|Inf(?:inity)?)\b")
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)(?:\\\\)*(\\u[dD][89abAB][0-9a-fA-F]{2})(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
_GRAMMAR = re.compile(
    r"JSON is malformed: (trailing comma in (?:array|object)|object keys must be strings"
    r"|expected (?:':'|',' or '[\]}]')|invalid number|invalid escape character in string"
    r"|invalid character in unicode escape)"
)

_WORDS = {
    "int": "an integer",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
    "datetime": "RFC 3339 text with an offset",
}
_TIME = (
    "is not a time: send epoch milliseconds, or RFC 3339 with an offset "
    "such as 2026-05-22T06:41:30+08:00, and no leap second"
)


def diagnose(error: Exception, raw: bytes, event: type[msgspec.Struct]) -> Refused:
    """Say in our own words why the decoder refused a record.

    Parameters
    ----------
    error
        What the decoder raised.
    raw
        The record.
    event
        The struct it should have become.
    """
    if isinstance(error, msgspec.ValidationError):
        return _explain_field(str(error), event)
    return _explain_bytes(str(error), raw)


def _explain_bytes(message: str, raw: bytes) -> Refused:
    # The decoder counts a bad byte from the start of its string, we from that of the record.
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return Refused("not_utf8", f"byte {error.start}", "is not UTF-8: send UTF-8 JSON")
    if not raw.strip():
        return Refused("malformed", "byte 0", "is the end of an empty record: send a JSON object")
    if raw.startswith(b"\xef\xbb\xbf"):
        return Refused("malformed", "byte 0", "is a byte-order mark: send the JSON without it")
    place = _BYTE.search(message)
    at = int(place[1]) if place else len(raw)
    surrogate = _LONE_SURROGATE.search(raw)
    if (surrogate and surrogate.start(1) <= at) or "surrogate" in message:
        at = surrogate.start(1) if surrogate else at
        hint = "is at half of a surrogate pair: send the whole character"
        return Refused("malformed", f"byte {at}", hint)
    if place is None:
        hint = "is the end of an unfinished record: send the whole JSON object"
        return Refused("malformed", f"byte {at}", hint)
    # The decoder stops at N of NaN and Infinity, or at the letter behind their sign.
    if _NOT_FINITE.match(raw, at) or _NOT_FINITE.match(raw, max(at - 1, 0)):
        hint = "is not a number of JSON: leave the field out where there is no value"
        return Refused("not_finite", f"byte {at}", hint)
    if "trailing characters" in message:
        # Here the decoder has counted the byte it names as read.
        return Refused("malformed", f"byte {at - 1}", "is behind the record: send one JSON object")
    if raw[at : at + 1] and raw[at] < 0x20:
        hint = "is a control character inside a text: take it out"
        return Refused("control_character", f"byte {at}", hint)
    grammar = _GRAMMAR.match(message)
    reason = f" ({grammar[1]})" if grammar else ""
    return Refused("malformed", f"byte {at}", f"is not JSON{reason}: send one JSON object")


def _explain_field(message: str, event: type[msgspec.Struct]) -> Refused:
    words = vocabulary(event)
    found = _PATH.search(message)
    where = found[1] if found and _INDEX.sub("", found[1]) in words else "$"
    missing = _MISSING.match(message)
    if missing:
        path = f"{where}.{missing[1]}"
        return Refused("missing_field", path, "is absent: the schema requires it")
    if message.startswith("Object contains unknown field"):
        # The field's own name can look like a path; only an object holds fields.
        where = where if _children(where, words) else "$"
        names = ", ".join(sorted(_children(where, words)))
        hint = f"holds a field that is not in the schema: it knows {names}"
        return Refused("unknown_field", where, hint)
    if message.startswith("Invalid enum value"):
        allowed = ", ".join(words[_INDEX.sub("", where)])
        return Refused("unknown_word", where, f"is not one of its words: send {allowed}")
    if message.startswith("Invalid RFC3339"):
        return Refused("bad_time", where, _TIME)
    if message.startswith("Number out of range"):
        hint = "is too large for a 64-bit float: send a finite number"
        return Refused("not_finite", where, hint)
    if message.startswith("Integer value out of range"):
        return Refused("out_of_bounds", where, "has too many digits: send an integer below 2**53")
    bound = _BOUND.match(message)
    if bound:
        hint = f"is out of bounds: send {_WORDS[bound[1]]} {bound[2]} {bound[3]}"
        return Refused("out_of_bounds", where, hint)
    types = _TYPES.match(message)
    if types:
        expected = " or ".join(_WORDS.get(word, word) for word in types[1].split(" | "))
        got = _WORDS.get(types[2], types[2])
        return Refused("wrong_type", where, f"is {got}: send {expected}")
    return Refused("wrong_type", where, "does not fit its field: compare it with the schema")


def _children(path: str, words: dict[str, tuple[str, ...]]) -> list[str]:
    start = len(path) + 1
    return [p[start:] for p in words if p.startswith(f"{path}.") and "." not in p[start:]]


@cache
def vocabulary(event: type[msgspec.Struct]) -> dict[str, tuple[str, ...]]:
    """List every path of a struct, with the words a field takes where it takes words.

    >>> from schemas.reading import Reading
    >>> vocabulary(Reading)["$.crs"]
    ('CGCS2000', 'WGS84', 'GCJ02')
    """
    paths: dict[str, tuple[str, ...]] = {"$": ()}
    for name, hint in get_type_hints(event).items():
        if name.startswith("__"):
            continue
        paths[f"$.{name}"] = tuple(w for part in _parts(hint) for w in _literals(part))
        for part in _parts(hint):
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                paths |= {f"$.{name}{p[1:]}": w for p, w in vocabulary(part).items() if p != "$"}
    return paths


def _parts(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _literals(part: Any) -> tuple[str, ...]:
    return get_args(part) if get_origin(part) is Literal else ()
