"""What routes answer with, put together from records as they stand.  Pure."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

RESULT_COLUMNS = (
    "vital", "key_level", "key", "place", "t_start", "t_end", "value", "unit", "n", "coverage",
    "level", "reason", "rev", "final",
)  # fmt: skip
ALERT_COLUMNS = (
    "alert_id", "rule", "kind", "key_level", "key", "place", "state", "level", "max_level",
    "t_onset", "t_raised", "t_update", "t_cleared", "late", "value", "unit", "acked",
    "shelved_until", "suppressed_by",
)  # fmt: skip
HISTORY_COLUMNS = (
    "t", "value", "min", "max", "level", "coverage", "n", "missing", "reason", "rev", "expected",
    "low", "high",
)  # fmt: skip


def listing(raws: Sequence[bytes], as_of: int | None, now: int) -> bytes:
    """Records as one object, without reading them.

    >>> listing([b'{"a":1}'], None, 5)
    b'{"as_of":null,"now":5,"items":[{"a":1}]}'
    """
    head = b"null" if as_of is None else b"%d" % as_of
    return b'{"as_of":%s,"now":%d,"items":[%s]}' % (head, now, b",".join(raws))


def as_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """Rows as CSV with a head; nulls are empty, and no cell is a formula of a spreadsheet.

    >>> as_csv([{"a": 1, "b": None}, {"a": "=1+1", "b": -2.5}], ("a", "b"))
    b"a,b\\r\\n1,\\r\\n'=1+1,-2.5\\r\\n"
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def columns_as_csv(columns: Mapping[str, Any]) -> bytes:
    """A history as CSV."""
    names = [name for name in HISTORY_COLUMNS if name in columns]
    rows = zip(*(columns[name] for name in names), strict=True)
    return as_csv((dict(zip(names, row, strict=True)) for row in rows), names)


def tag_of(*parts: object) -> str:
    """An entity tag that changes with any of its parts.

    It is a weak one: the same may come compressed or not, and with another time in its head.
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()
    return f'W/"{digest}"'


def is_known(tag: str, if_none_match: str | None) -> bool:
    """Whether the client has what a tag stands for; weak or not is the same here.

    >>> [is_known('W/"a"', text) for text in ('W/"b", "a"', "*", 'W/"b"', None)]
    [True, True, False, False]
    """
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag.removeprefix("W/") in if_none_match


def lines(answers: Iterable[Mapping[str, Any]]) -> bytes:
    """NDJSON."""
    return b"".join(orjson.dumps(answer) + b"\n" for answer in answers)
