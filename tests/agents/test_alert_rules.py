"""Which keys and which levels of a sign raise alerts, by its alert rule."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.alerts import Alerts
from agents.entries import Entry
from agents.levels import Scale
from agents.outputs import ALERT_LOG
from agents.said import Said
from schemas.configuration import Configuration
from schemas.judging import HourOfWeek
from schemas.loading import load
from schemas.signs import AlertRule
from streams.records import Output
from tests.kept import kept

SIGN, MINUTE = "drain.depth", 60_000


@cache
def shipped() -> Configuration:
    return load(environ={})


def alerts_of(rule: dict[str, Any], *, learns: bool = False) -> Alerts:
    """Alerts of the shipped depth of water, 10/15/25/40 cm, under another alert rule."""
    (sign,) = (sign for sign in shipped().signs if sign.id == SIGN)
    model = HourOfWeek(detector="hour_of_week") if learns else None
    changed = sign.model_copy(update={"alert": AlertRule(**rule), "model": model})
    configuration: Configuration = shipped().model_copy(update={"signs": [changed]})
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


KEYS = [("site", "s1"), ("site", "s2"), ("district", "440103")]
DEPTHS = st.none() | st.sampled_from([0.0, 9.0, 10.0, 13.5, 16.0, 26.0, 45.0])
SCORES = st.none() | st.sampled_from([0.0, 0.3, 0.45, 0.5, 0.55, 0.7, 1.0])


@pytest.mark.parametrize("learns", [False, True], ids=["thresholds", "model"])
@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.tuples(DEPTHS, SCORES), min_size=3, max_size=3), max_size=8),
    st.fixed_dictionaries(
        {
            "keys": st.sampled_from([None, ["site"]]),
            "least_level": st.sampled_from(["blue", "yellow"]),
            "deadband": st.sampled_from([0, 2]),
            "on_delay_s": st.sampled_from([0, 60]),
            "off_delay_s": st.sampled_from([0, 120]),
        }
    ),
)
def test_rows_that_are_not_concerned_say_nothing(
    learns: bool, windows: list[Any], rule: dict[str, Any]
) -> None:
    """To judge some rows of a window leads to the same as to judge all of them."""
    some, whole = alerts_of(rule, learns=learns), alerts_of(rule, learns=learns)
    levels = some._rules[SIGN][0].levels
    assert levels is not None
    scale = Scale(levels)
    for minute, row in enumerate(windows):
        start, end = minute * MINUTE, (minute + 1) * MINUTE
        entries = []
        for (level, key), (value, score) in zip(KEYS, row, strict=True):
            severity = None if value is None else scale.level(value)
            made = entry(level, 0.0 if value is None else value, severity or 0, score)
            reason: Any = "uncovered" if value is None else None
            made = made._replace(key=key, value=value, severity=severity, reason=reason)
            entries.append(made if learns else made._replace(model=None))
        said = Said.of(entries)
        rows = some.concerned(SIGN, said, end)
        assert rows == sorted(set(rows))
        found = [o for row in rows for o in some.judge(SIGN, said.entry(row), start, end)]
        assert found == [o for one in entries for o in whole.judge(SIGN, one, start, end)]
        assert kept({}, some.freeze(whole=True)) == kept({}, whole.freeze(whole=True))
        if minute == 4:
            parts, some = kept({}, some.freeze(whole=True)), alerts_of(rule, learns=learns)
            some.load(parts)
    assert some.raised() == whole.raised()
