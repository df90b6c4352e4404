"""Rows of the public data: one JSON object a line, packed."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file without their labels, which are what others are scored by."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with gzip.open(path) as file:
        for line in file:
            row = decode(line)
            row.pop("label", None)
            yield row


def instant(row: dict[str, Any]) -> int:
    """Time of a row, int64 ms UTC; one that its zone skips is taken as if the clock stood still."""
    local = datetime.fromisoformat(row["ts"]).replace(tzinfo=ZoneInfo(row["tz"]))
    return int(local.timestamp()) * 1000
