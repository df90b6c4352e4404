"""Live signs: windows of processing time, told once each, and marked."""

from __future__ import annotations

import json
from typing import Any

from agents.entries import Entry
from agents.live import Live
from agents.outputs import ALERT_LOG, ALERTS, VITALS, VITALS_LOG, vital_results
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
    told = [o for o in live.take(outputs, now) if o.topic not in (ALERT_LOG, ALERTS)]
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
    """Two floods in a day of 144 hops are 1.4 %; nothing is said before there was a day."""
    live, hop = Live(PLAN), 10 * MINUTE
    alert = Output(ALERT_LOG, b"k", b'{"transition":"raised"}', (), 0, None)
    told = []
    for n in range(144 + 25):
        alerts = {20: 11, 22: 10, 23: 25}.get(n, 0)
        told += said(live, [alert] * alerts, NOON + n * hop)
    flood = [r for r in told if r["vital"] == "engine.flood_time"]
    known = [(r["value"], r["level"], r["reason"]) for r in flood]
    assert known[:143] == [(None, None, "warming")] * 143
    assert [r["coverage"] for r in flood[:143]] == [(n + 1) / 144 for n in range(143)]
    assert known[143:164] == [(100 * 2 / 144, 2, None)] * 21
    assert known[164:167] == [(100 / 144, 1, None)] * 3
    assert known[167] == (0, 0, None)


def test_a_day_of_which_a_tenth_is_missing_is_no_day() -> None:
    """A clock that jumps, or an engine that stood still: it was not measured."""
    live, hop = Live(PLAN), 10 * MINUTE
    for n in range(145):
        said(live, [], NOON + n * hop)
    # Of hops 145 to 158 nothing is known, and then of 161 and 162.
    for n, value in ((159, 0.0), (163, None)):
        after = said(live, [], NOON + n * hop)
        after += said(live, [], NOON + (n + 1) * hop)
        flood = after[-1]
        assert (flood["vital"], flood["value"]) == ("engine.flood_time", value)
        assert flood["reason"] == (None if value is not None else "uncovered")


def story(live: Live, lags_s: list[float], begin: int) -> list[tuple[str, str, int]]:
    """What becomes of the alert of the lag, by minutes with such a lag."""
    found = []
    for n, lag_s in enumerate(lags_s):
        now = begin + n * MINUTE
        for output in live.take(result(now - round(1000 * lag_s)), now):
            if output.topic == ALERT_LOG:
                alert = json.loads(output.value)
                assert (alert["rule"], alert["kind"]) == ("engine.lag", "live")
                found.append((alert["alert_id"], alert["transition"], alert["level"]))
    return found


def test_a_lag_is_alarmed_from_yellow_on_and_over_when_it_was_well_for_a_minute() -> None:
    found = story(Live(PLAN), [1, 7, 20, 70, 400, 1, 1, 1], NOON)
    transitions = [(transition, level) for _, transition, level in found]
    # What is said in a minute is told when the next one begins.
    wanted = [("raised", 2), ("escalated", 3), ("escalated", 4), ("clearing", 4), ("cleared", 4)]
    assert transitions == wanted
    assert len({alert for alert, _, _ in found}) == 1


def test_an_alert_that_stands_outlives_the_engine() -> None:
    first = Live(PLAN)
    (alert, _, _), *_ = story(first, [20, 20, 20], NOON)
    after = Live(PLAN)
    after.load(None)
    after.load(first.dump())
    again = story(after, [1, 1, 1, 1], NOON + 60 * MINUTE)
    assert again == [(alert, "clearing", 2), (alert, "cleared", 2)]


def test_alerts_of_the_engine_are_not_among_those_it_counts() -> None:
    """Six in ten minutes are orange, and no seventh."""
    live, hop = Live(PLAN), 10 * MINUTE
    alert = Output(ALERT_LOG, b"k", b'{"transition":"raised"}', (), 0, None)
    told = []
    for n, alerts in enumerate((6, 0, 0, 0, 0)):
        told += live.take([alert] * alerts, NOON + n * hop)
    rates = [
        json.loads(o.value)["value"] for o in told if o.topic == VITALS_LOG and b"_rate" in o.value
    ]
    assert rates == [6, 0, 0, 0]
    steps = [json.loads(o.value) for o in told if o.topic == ALERT_LOG]
    assert [(step["transition"], step["level"]) for step in steps] == [
        ("raised", 3),
        ("clearing", 3),
        ("cleared", 3),
    ]
    assert steps[0]["why"]["table"] == "EEMUA 191"
