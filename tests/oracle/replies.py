"""Public messages of citizens, in Chinese, with the replies of offices, as logs of work orders.

The names of places in them were replaced by letters and numbers, such as A7县: each letter is a
city here, and each number a district of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from streams.event_logs import Writer
from tests.oracle.nyc import HOTLINE
from tests.oracle.public_rows import instant, rows_of

CITY, ZONE = "4301", "Asia/Shanghai"
REPLIES = "hotline_replies.ndjson.gz"

_TEXT = 2000  # characters that a text may have
_TYPES = {
    "consult": ("咨询", "请问", "？"),
    "complaint": ("投诉", "举报"),
    "suggestion": ("建议",),
}


def write_replies(data: Path, folder: Path, first: str, last: str) -> None:
    """Write the messages and replies of some local days, both dates included.

    A message has its text and no category, and the code of its city alone; one that is too long
    is sent all the same.
    """
    created: dict[str, tuple[int, str]] = {}
    with Writer(folder, HOTLINE) as log:
        for row in rows_of(data / REPLIES):
            number, t = row["x"]["id"], instant(row)
            message = row["kind"] == "complaint"
            t_created, city = created.setdefault(number, (t, _city(row["key"])))
            if first <= row["ts"][:10] <= last:
                order = {"kind": "order", "order_id": number, "t": t, "t_created": t_created}
                for step in _message(row) if message else _reply(row):
                    log.write(msgspec.json.encode({**order, "place": city, **step}))


def places(data: Path) -> dict[str, str]:
    """Codes of the districts by the names that stand in the messages."""
    named = {name for row in rows_of(data / REPLIES) for name in row["place"]["codes"]}
    found = (re.fullmatch(r"([A-Z])([1-9][0-9]?)[区县市]", name) for name in sorted(named))
    return {m[0]: f"{_city(m[1])}{int(m[2]):02d}" for m in found if m}


def _city(name: str) -> str:
    """4301 for A and whatever has no letter, 4302 for B, and so on."""
    letter = name[0] if re.fullmatch("[A-Z][0-9]*[区县市]?", name) else "A"
    return f"43{ord(letter) - ord('A') + 1:02d}"


def _message(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    title = row["x"]["title"]
    kinds = (kind for kind, words in _TYPES.items() if any(word in title for word in words))
    text, caller = row["x"]["text"], row["x"]["user"]
    fields = {"seq": 0, "status": "created", "type": next(kinds, "help")}
    yield {**fields, "text": text, "caller": caller}


def _reply(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"seq": 1, "status": "replied", "text": row["x"]["reply"][:_TEXT]}
    yield {"seq": 2, "status": "closed", "category": ["答复"]}
