"""Moments in a configuration: RFC 3339 with an offset."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from schemas.times import epoch_ms


def _instant(text: str) -> str:
    try:
        zoned = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        zoned = False
    if not zoned:
        raise ValueError("expected a time with an offset, such as 2026-12-01T00:00:00+08:00")
    return text


Instant: TypeAlias = Annotated[str, AfterValidator(_instant)]
"""RFC 3339 with an offset."""


def instant_ms(text: Instant) -> int:
    """Int64 ms UTC.

    Raises
    ------
    ValueError
        It is not between 1973 and 2100.
    """
    return epoch_ms(datetime.fromisoformat(text))
