"""Results as they stand in ``city.vitals-log.v1``."""

from __future__ import annotations

from typing import Any

import orjson

START = 1_772_323_200_000
"""A midnight of UTC."""


def result(t: int, value: float | None = 1.5, **changed: Any) -> dict[str, Any]:
    """A result of a window of a minute that ends at `t`."""
    told: dict[str, Any] = {
        "vital": "drain.depth",
        "key_level": "district",
        "key": "440111",
        "place": "440111",
        "t_start": t - 60_000,
        "t_end": t,
        "value": value,
        "unit": "cm",
        "n": 60,
        "coverage": 1.0,
        "level": None if value is None else 1,
        "reason": "uncovered" if value is None else None,
        "rev": 0,
        "final": False,
        "detail": None,
        "model": None,
        "config": "2026.11+bcbd43797732",
        "live": False,
    }
    return told | {"final": bool(changed.get("rev", 0))} | changed


def encoded(told: dict[str, Any]) -> bytes:
    return orjson.dumps(told)
