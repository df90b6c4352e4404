"""Official warnings hold until they expire or are cancelled; then there is none, and that is 0."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from agents.outputs import VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.loading import load
from schemas.vital import VitalResult
from streams.records import Chunk

START, MINUTE = 1_772_402_400_000, 60_000


def message(minute: int, name: str, level: int, until: int | None, place: str) -> dict[str, Any]:
    """A message about a warning, or one that cancels it."""
    said = {"kind": "warning", "warning_id": name, "issuer": "gz-meteo", "event": "rain"}
    said |= {"t": START + minute * MINUTE + 1, "place": place, "level": level, "source": "gz-meteo"}
    said |= {"id": f"{name}-{minute}", "status": "cancelled" if until is None else "active"}
    return said if until is None else {**said, "t_expires": START + until * MINUTE}


def values(messages: list[dict[str, Any]]) -> dict[tuple[str, int], tuple[float | None, int]]:
    """Value and level by place and minute."""
    pipeline = Pipeline(compile_plan(load(environ={})))
    raw = [json.dumps(each).encode() for each in messages]
    times = [each["t"] for each in messages]
    keys: list[bytes | None] = [None] * len(raw)
    outputs = pipeline.step(Chunk("city.external.v1", 0, range(len(raw)), times, keys, raw))
    outputs += pipeline.end()
    found = {}
    for output in outputs:
        if output.topic == VITALS_LOG:
            result = msgspec.json.decode(output.value, type=VitalResult)
            if result.vital == "meteo.official_warning" and result.rev == 0:
                minute = (result.t_end - START) // MINUTE
                found[result.key, minute] = (result.value, result.level)
    return found


def test_the_highest_warning_in_force() -> None:
    last = message(40, "later", 1, 41, "440103")
    found = values(
        [
            message(0, "a", 2, 30, "440111"),
            message(5, "b", 3, 10, "440111"),
            message(6, "c", 1, 60, "440106"),
            message(20, "c", 1, None, "440106"),
            last,
        ]
    )
    district = [found["440111", minute] for minute in (1, 6, 10, 11, 30, 31, 39)]
    assert district == [(2, 2), (3, 3), (3, 3), (2, 2), (2, 2), (0, 0), (0, 0)]
    other = [found["440106", minute] for minute in (7, 20, 21, 39)]
    assert other == [(1, 1), (1, 1), (0, 0), (0, 0)]
    city = [found["4401", minute] for minute in (1, 6, 11, 25, 31, 39)]
    assert city == [(2, 2), (3, 3), (2, 2), (2, 2), (0, 0), (0, 0)]


def test_a_warning_of_three_days_holds_for_three_days() -> None:
    """Longer than a key is remembered that says nothing."""
    day = 1440
    found = values(
        [message(0, "heat", 3, 3 * day, "440111"), message(3 * day + 5, "x", 1, 4 * day, "440103")]
    )
    minutes = (1, day, day + 1, 2 * day, 3 * day, 3 * day + 1)
    assert [found["440111", minute] for minute in minutes] == [(3, 3)] * 5 + [(0, 0)]
