"""Live signs: windows of processing time, told once each, and marked."""

from __future__ import annotations

import json
from typing import Any

from agents.entries import Entry
from agents.live import Live
from agents.outputs import ALERT_LOG, VITALS, VITALS_LOG, vital_results
from agents.plan import compile_plan
from agents.said import Said
from schemas.loading import load
from schemas.vital import VitalResult
from streams.records import Output

MINUTE = 60_000
NOON = 1_772_424_000_000
PLAN = compile_plan(load(environ={}))


def result(end: int, rev: int = 0) -> list[Output]:
    told = Said.of([Entry("city", "4401", "4401", 1.0, 1, 1.0, None)])
    return vital_results("a.sign", "1", told, end - MINUTE, end, rev=rev, config="c", newest=True)


def said(live: Live, outputs: list[Output], now: int) -> list[dict[str, Any]]:
    told = live.take(outputs, now)
    assert [output.topic for output in told] == [VITALS_LOG, VITALS] * (len(told) // 2)
    return [json.loads(output.value) for output in told[::2]]


def test_the_lag_is_that_of_all_but_one_in_a_hundred_results() -> None:
    live = Live(PLAN)
    ends = [NOON - 2_000] * 99 + [NOON - 50_000]
    outputs = [output for end in ends for output in result(end)]
    assert said(live, outputs, NOON) == []
    (lag,) = said(live, [], NOON + MINUTE)
    assert (lag["vital"], lag["value"], lag["n"]) == ("engine.lag", 2.0, 100)
    assert (lag["t_start"], lag["t_end"], lag["live"]) == (NOON, NOON + MINUTE, True)
    assert lag["level"] == 0
    VitalResult(**lag)


def test_corrections_are_old_by_nature() -> None:
    live = Live(PLAN)
    said(live, result(NOON - 1_000) + result(NOON - 86_400_000, rev=1), NOON)
    (lag,) = said(live, [], NOON + MINUTE)
    assert (lag["value"], lag["n"]) == (1.0, 1)


def test_a_city_that_runs_faster_is_not_late_for_it() -> None:
    live = Live(PLAN, pace=60.0)
    said(live, result(NOON - 90_000), NOON)
    (lag,) = said(live, [], NOON + MINUTE)
    assert lag["value"] == 1.5


def test_a_window_without_results_has_no_lag() -> None:
    live = Live(PLAN)
    said(live, [], NOON)
    (lag,) = said(live, [], NOON + MINUTE)
    assert (lag["value"], lag["level"], lag["reason"]) == (None, None, "uncovered")


def test_a_clock_that_jumps_says_one_window_and_not_a_thousand() -> None:
    live = Live(PLAN)
    said(live, result(NOON), NOON)
    told = said(live, [], NOON + 30 * 86_400_000)
    assert [line["vital"] for line in told] == [
        "engine.lag",
        "engine.alert_rate",
        "engine.flood_time",
    ]
    assert said(live, [], NOON + 30 * 86_400_000 + 1) == []


def test_flood_time_is_the_share_of_ten_minutes_with_more_than_ten_alerts() -> None:
    """Two floods in six hops are 33 %; of what was not measured nothing is said."""
    live, hop = Live(PLAN), 10 * MINUTE
    alert = Output(ALERT_LOG, b"k", b'{"transition":"raised"}', (), 0, None)
    told = []
    for n, raised in enumerate((11, 0, 10, 25, 1, 0)):
        told += said(live, [alert] * raised, NOON + n * hop)
    told += said(live, [], NOON + 6 * hop)
    flood = [r for r in told if r["vital"] == "engine.flood_time"]
    assert [round(r["value"], 1) for r in flood] == [100.0, 50.0, 33.3, 50.0, 40.0, 33.3]
    assert flood[-1]["coverage"] == 6 / 144
    assert flood[-1]["level"] == 4
    said(live, [], NOON + 160 * hop)
    after = said(live, [], NOON + 161 * hop)[-1]
    assert after["vital"] == "engine.flood_time"
    assert after["coverage"] == 1 / 144, "the floods are older than a day"
    assert after["value"] == 0
