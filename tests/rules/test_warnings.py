"""Official warnings hold until they expire or are cancelled; then there is none, and that is 0."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from agents.outputs import ALERT_LOG, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.loading import load
from schemas.vital import VitalResult
from streams.records import Chunk

START, MINUTE = 1_772_402_400_000, 60_000


def message(
    minute: int, name: str, level: int | None, until: int | None, place: str
) -> dict[str, Any]:
    """A message about a warning, or one that cancels it."""
    said = {"kind": "warning", "warning_id": name, "issuer": "gz-meteo", "event": "rain"}
    said |= {"t": START + minute * MINUTE + 1, "place": place, "level": level, "source": "gz-meteo"}
    said |= {"id": f"{name}-{minute}", "status": "cancelled" if until is None else "active"}
    if level is None:
        said = {**said, "level": None, "colour": "unknown"}
    return said if until is None else {**said, "t_expires": START + until * MINUTE}


def values(
    messages: list[dict[str, Any]],
) -> dict[tuple[str, int], tuple[float | None, int | None]]:
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


def test_a_warning_that_nobody_says_how_grave_it_is_is_no_calm() -> None:
    """It holds, and has no level: one that has is seen beside it."""
    found = values(
        [
            message(0, "a", None, 30, "440111"),
            message(10, "b", 2, 20, "440111"),
            message(40, "later", 1, 41, "440103"),
        ]
    )
    minutes = (1, 10, 11, 20, 21, 30, 31, 39)
    missing, yellow, none = (None, None), (2, 2), (0, 0)
    wanted = [missing, missing, yellow, yellow, missing, missing, none, none]
    assert [found["440111", minute] for minute in minutes] == wanted
    assert [found["4401", minute] for minute in minutes] == wanted


def test_a_sign_says_whose_table_its_level_is_by() -> None:
    """Of two in force the graver one; one that tells its level is taken by its word."""
    yellow = {**message(0, "a", None, 30, "440111"), "colour": "yellow"}
    orange = {**message(10, "b", None, 20, "440111"), "colour": "orange", "issuer": "中央气象台"}
    told = {**message(40, "c", 2, 50, "440111"), "issuer": "中央气象台"}
    last = message(60, "later", 1, 61, "440103")
    pipeline = Pipeline(compile_plan(load(environ={})))
    events = [yellow, orange, told, last]
    raw, times = [json.dumps(each).encode() for each in events], [each["t"] for each in events]
    outputs = pipeline.step(Chunk("city.external.v1", 0, range(4), times, [None] * 4, raw))
    outputs += pipeline.end()
    tables = dict[tuple[str, int], Any]()
    alerts = set()
    for output in outputs:
        said = json.loads(output.value) if output.topic in (VITALS_LOG, ALERT_LOG) else {}
        if said.get("vital") == "meteo.official_warning" and said["rev"] == 0:
            minute = (said["t_end"] - START) // MINUTE
            tables[said["key"], minute] = said["level"], said["table"]
        if said.get("rule") == "meteo.official_warning" and said["key"] == "440111":
            alerts.add((said["level"], said["why"]["table"]))
    guangdong, national = "Guangdong signals, set of 2015", "CMA Order 16 (2007)"
    wanted = {5: (2, guangdong), 15: (3, national), 25: (2, guangdong), 35: (0, None)}
    wanted[45] = (2, None)
    for key in ("440111", "4401"):
        assert {minute: tables[key, minute] for minute in wanted} == wanted
    assert {(2, guangdong), (3, national)} <= alerts
