"""Which keys and which levels of a sign raise alerts, by its alert rule."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from agents.alerts import Alerts
from agents.entries import Entry
from agents.outputs import ALERT_LOG
from schemas.configuration import Configuration
from schemas.judging import HourOfWeek
from schemas.loading import load
from schemas.signs import AlertRule
from streams.records import Output

SIGN, MINUTE = "drain.depth", 60_000


def alerts_of(rule: dict[str, Any], *, learns: bool = False) -> Alerts:
    """Alerts of the shipped depth of water, 10/15/25/40 cm, under another alert rule."""
    shipped = load(environ={})
    (sign,) = (sign for sign in shipped.signs if sign.id == SIGN)
    model = HourOfWeek(detector="hour_of_week") if learns else None
    changed = sign.model_copy(update={"alert": AlertRule(**rule), "model": model})
    configuration: Configuration = shipped.model_copy(update={"signs": [changed]})
    return Alerts(configuration, "test")


def entry(level: str, value: float, severity: int, score: float | None = None) -> Entry:
    key = "440103" if level == "district" else "site-1"
    model = {"basis": "hour_of_day", "score": score, "expected": 0.0, "band": [0.0, 1.0]}
    said = None if score is None else model
    return Entry(level, key, "440103", value, 4, 1.0, None, severity, model=said)


def told(outputs: list[Output]) -> list[tuple[str, str, int, str]]:
    alerts = [orjson.loads(output.value) for output in outputs if output.topic == ALERT_LOG]
    return [(a["kind"], a["transition"], a["level"], a["key_level"]) for a in alerts]


@pytest.mark.parametrize(
    ("keys", "raised"),
    [(None, ["site", "district"]), (["site"], ["site"]), (["district"], ["district"])],
)
def test_alerts_of_some_keys_alone(keys: list[str] | None, raised: list[str]) -> None:
    alerts, found = alerts_of({"keys": keys}), []
    for level in ("site", "district"):
        found += told(alerts.judge(SIGN, entry(level, 12.0, 1), 0, MINUTE))
    assert found == [("threshold", "raised", 1, level) for level in raised]


def test_a_late_window_obeys_keys_and_levels() -> None:
    alerts = alerts_of({"keys": ["site"], "least_level": "yellow"})

    def late(level: str, before: float, after: float, severity: int) -> list[Any]:
        first = entry(level, before, 1 if before >= 10 else 0)
        pair = (first, entry(level, after, severity))
        return told(alerts.judge_final(SIGN, *pair, 0, MINUTE))

    assert late("district", 0.0, 20.0, 2) == []
    assert late("site", 0.0, 12.0, 1) == []
    assert late("site", 12.0, 20.0, 2) == [
        ("threshold", "raised", 2, "site"),
        ("threshold", "cleared", 2, "site"),
    ]


def test_levels_below_the_least_raise_nothing_and_clear_what_was_raised() -> None:
    """Blue at 10 cm and yellow at 15 cm with a deadband of 2 cm, minute by minute."""
    alerts = alerts_of({"least_level": "yellow", "deadband": 2})
    found = []
    for minute, (value, severity) in enumerate([(12, 1), (16, 2), (26, 3), (13.5, 1), (12.9, 1)]):
        end = (minute + 1) * MINUTE
        outputs = alerts.judge(SIGN, entry("site", float(value), severity), end - MINUTE, end)
        found += [(minute, step, level) for _, step, level, _ in told(outputs)]
    assert found == [
        (1, "raised", 2),
        (2, "escalated", 3),
        (3, "deescalated", 2),
        (4, "cleared", 2),
    ]


@pytest.mark.parametrize(
    ("value", "severity", "kind"), [(12.0, 1, "anomaly"), (16.0, 2, "threshold")]
)
def test_an_anomaly_is_told_where_no_level_alerts(value: float, severity: int, kind: str) -> None:
    alerts = alerts_of({"least_level": "yellow"}, learns=True)
    found = told(alerts.judge(SIGN, entry("site", value, severity, 0.55), 0, MINUTE))
    assert [one[0] for one in found] == [kind]
