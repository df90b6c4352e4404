"""The engine's own signs take a value at each of their levels, whatever the real clock says."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

from agents.outputs import ALERT_LOG, VITALS_LOG
from schemas.loading import load
from tests.rules.driven_live import DAY, FLOODS, LAGS, RATES, SHARES, STEPS, plan_of, run

CATALOGUE = load(environ={})


def said(folder: Path, sign: str) -> list[tuple[float | None, int | None]]:
    """Values and levels, in the order of their windows."""
    outputs = run(plan_of(CATALOGUE, sign), sign, folder)
    results = [json.loads(output.value) for output in outputs if output.topic == VITALS_LOG]
    told = [result for result in results if result["vital"] == sign]
    assert all(result["live"] and result["key_level"] == "city" for result in told)
    return [(result["value"], result["level"]) for result in told]


def test_the_lag_is_seen_at_each_level(tmp_path: Path) -> None:
    found = [each for each, _ in groupby(said(tmp_path / "log", "engine.lag"))]
    assert found == list(zip(LAGS, (0, 1, 2, 3, 4, 0), strict=True))


def test_the_lag_raises_an_alert_that_clears(tmp_path: Path) -> None:
    outputs = run(plan_of(CATALOGUE, "engine.lag"), "engine.lag", tmp_path / "log")
    told = [json.loads(output.value) for output in outputs if output.topic == ALERT_LOG]
    mine = [alert for alert in told if alert["rule"] == "engine.lag"]
    assert {alert["kind"] for alert in mine} == {"live"}
    assert [(alert["transition"], alert["level"]) for alert in mine] == [
        ("raised", 2),
        ("escalated", 3),
        ("escalated", 4),
        ("clearing", 4),
        ("cleared", 4),
    ]


def test_the_rate_of_alerts_is_seen_at_each_level(tmp_path: Path) -> None:
    found = said(tmp_path / "log", "engine.alert_rate")
    assert found == [*zip(map(float, RATES), range(5), strict=True), (0.0, 0)]


def test_the_time_in_flood_is_seen_at_each_level(tmp_path: Path) -> None:
    found = said(tmp_path / "log", "engine.flood_time")
    assert found[: DAY - 1] == [(None, None)] * (DAY - 1), "there was no day"
    assert found[DAY - 1] == (0.0, 0)
    rising = found[DAY : DAY + FLOODS]
    assert [value for value, _ in rising] == [100 * n / DAY for n in range(1, FLOODS + 1)]
    for floods, level in SHARES.items():
        assert rising[floods - 1][1] == level
        assert floods == 1 or rising[floods - 2][1] == level - 1
    assert found[DAY + FLOODS :] == [(None, None)], "of that day nothing is known"


def test_every_live_sign_is_driven() -> None:
    assert {sign.id for sign in CATALOGUE.signs if sign.kind == "live"} == STEPS.keys()
