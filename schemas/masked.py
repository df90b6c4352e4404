"""What a record looks like, and nothing of what it says: for showing refused ones."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from schemas.events import KINDS
from schemas.record_shapes import RecordShape

MOST = 600
"""Characters that are shown."""

_PARTS = re.compile(
    r'"(?P<name>[^"\\]*)"(?=\s*:)|(?<!\w)(?P<word>true|false|null|NaN|-?Infinity)(?!\w)|[^\W_]'
)


def field_names(kind: str, shape: RecordShape | None = None) -> frozenset[str]:
    """The names of fields that records of a topic of this kind have, which tell of nobody."""
    if shape is None:
        return frozenset(field.encode_name for field in msgspec.structs.fields(KINDS[kind]))
    theirs = (*shape.fields.values(), shape.time.of)
    return frozenset(part for name in theirs for part in name.split("."))


def masked(raw: bytes, names: Iterable[str]) -> str:
    """A record with digits as 9 and letters as x, but for these names of fields and JSON's words.

    >>> masked(b'{"id":"a-7","v":NaN,"who":"Li"', {"id", "v"})
    '{"id":"x-9","v":NaN,"xxx":"xx"'
    """
    known = frozenset(names)

    def hide(part: re.Match[str]) -> str:
        text = part[0]
        if part["word"] is not None or part["name"] in known:
            return text
        return "".join("9" if c.isdigit() else "x" if c.isalnum() else c for c in text)

    # What is cut off is not read: a record may be large.
    text = raw[: 4 * MOST].decode(errors="replace")
    shown = "".join(c if c.isprintable() else "\N{MIDDLE DOT}" for c in _PARTS.sub(hide, text))
    return shown if len(shown) <= MOST and len(raw) <= 4 * MOST else f"{shown[:MOST]}…"
