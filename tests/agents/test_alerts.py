"""Alerts of anomalies beside those of thresholds: which of them is told, and what it says."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.alerts import ANOMALY, Alerts
from agents.entries import Entry, judged
from agents.levels import scale_of
from agents.outputs import ALERT_LOG
from schemas.alert import Alert
from schemas.configuration import Configuration
from tests.kept import kept
from tests.rules.configurations import configuration, levels, sensor, topic, window
from tests.rules.wide import gaussian

MINUTE = 60_000
FLAGGED, FAR, CALM = 0.5, 0.6, 0.39


def made(**model: float) -> Configuration:
    rain = sensor(
        "a.rain",
        "mm",
        "rain",
        "street",
        aggregate={"function": "max"},
        window=window(60, 60),
        keys=["street"],
        rollup="none",
        levels=levels("ge", blue=50, red=90),
        alert={},
        model=gaussian(z_alarm=3, **model),
    )
    return configuration([rain], [topic("sensor", 1, 300)])


def entry(of: Configuration, value: float | None, score: float | None) -> Entry:
    model = {"basis": "gaussian", "score": score, "expected": 10.0, "band": [4.0, 16.0]}
    key = ("street", "440106001", "440106001")
    plain = Entry(*key, value, 1, 1.0, None if value is not None else "uncovered")
    return judged(plain._replace(model=model), scale_of(of.sign["a.rain"].levels))


def told(rows: list[tuple[float | None, float | None]], alerts: Alerts, of: Configuration) -> Any:
    """Kind, transition and level of what is said, by minute."""
    found = []
    for minute, (value, score) in enumerate(rows):
        end = minute * MINUTE
        outputs = alerts.judge("a.rain", entry(of, value, score), end - MINUTE, end)
        logged = [msgspec.json.decode(o.value, type=Alert) for o in outputs if o.topic == ALERT_LOG]
        found += [(minute, a.kind, a.transition, a.level) for a in logged]
    return found


def lived(rows: list[tuple[float | None, float | None]], **model: float) -> Any:
    of = made(**model)
    return told(rows, Alerts(of, "v"), of)


def test_an_anomaly_is_blue_and_yellow_where_it_is_far_out() -> None:
    found = lived([(20, FLAGGED), (30, FAR), (20, FLAGGED), (10, CALM)])
    assert found == [
        (0, "anomaly", "raised", 1),
        (1, "anomaly", "escalated", 2),
        (3, "anomaly", "cleared", 2),
    ]


def test_what_meets_a_threshold_has_its_own_alert() -> None:
    assert lived([(60, FAR), (10, 0.0)]) == [
        (0, "threshold", "raised", 1),
        (1, "threshold", "cleared", 1),
    ]


def test_an_anomaly_that_stands_goes_on_beside_a_threshold() -> None:
    found = lived([(40, FAR), (60, FAR), (10, 0.0)])
    assert found == [
        (0, "anomaly", "raised", 2),
        (1, "threshold", "raised", 1),
        (2, "threshold", "cleared", 1),
        (2, "anomaly", "cleared", 2),
    ]


def test_a_model_that_warms_up_and_a_null_say_nothing() -> None:
    assert lived([(20, None), (None, None), (20, None)]) == []
    # A lost sensor withdraws no alert.
    assert lived([(20, FAR), (None, None), (20, None)]) == [(0, "anomaly", "raised", 2)]


def test_delays_are_those_of_the_model() -> None:
    rows = [(20.0, FLAGGED)] * 3 + [(10.0, 0.0)] * 3
    found = lived(rows, on_delay_s=120, off_delay_s=120)
    assert [(minute, transition) for minute, _, transition, _ in found] == [
        (2, "raised"),
        (3, "clearing"),
        (5, "cleared"),
    ]


def test_why_an_anomaly_was_raised() -> None:
    of = made()
    for value, threshold, compare in ((20.0, 16.0, "gt"), (2.0, 4.0, "lt")):
        outputs = Alerts(of, "v").judge("a.rain", entry(of, value, FAR), 0, MINUTE)
        alert = msgspec.json.decode(outputs[0].value, type=Alert)
        assert (alert.rule, alert.kind, alert.value) == ("a.rain", "anomaly", value)
        why = alert.why
        assert (why.threshold, why.compare) == (threshold, compare)
        assert (why.expected, why.band, why.score) == (10.0, (4.0, 16.0), FAR)
        assert why.model == "gaussian/gaussian"
        assert "3 deviations" in why.threshold_source
        assert why.standing == "proposal"


def test_both_episodes_are_kept() -> None:
    of = made(off_delay_s=300)
    alerts = Alerts(of, "v")
    told([(40, FAR), (60, FAR)], alerts, of)
    assert alerts.raised() == 2
    again = Alerts(of, "v")
    again.load(kept({}, alerts.freeze(whole=True)))
    assert again.raised() == 2
    assert any(name.endswith(ANOMALY) for name, _ in again._episodes)
    rest: list[tuple[float | None, float | None]] = [(60, FAR), (10, 0.0), (10, 0.0)]
    assert told(rest, again, of) == told(rest, alerts, of)
