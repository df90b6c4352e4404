"""Life cycles of alerts, drawn as rows of values and the transitions they lead to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.alerts import Alerts, _Told
from agents.entries import Entry, judged
from agents.episodes import Episode, Rule, advance, episode_id
from agents.levels import scale_of
from agents.outputs import ALERT_LOG, ALERTS
from schemas.alert import Alert
from schemas.signs import AlertRule, Levels
from tests.kept import kept
from tests.rules.configurations import configuration, levels, sensor, topic, window

MINUTE = 60_000
BELOW = Levels.model_validate(levels("le", blue=30, yellow=20, red=5))
ABOVE = Levels.model_validate(levels("ge", blue=10, yellow=15, orange=25, red=40))


def rule(scale: Levels = ABOVE, **given: float) -> Rule:
    return Rule.of(scale, AlertRule.model_validate(given))


def lived(rule: Rule, values: list[float | None]) -> list[str | None]:
    """Transitions of one key whose windows end a minute apart."""
    episode = Episode()
    return [advance(episode, rule, k * MINUTE, value) for k, value in enumerate(values)]


SHORT = {
    "R": "raised",
    "E": "escalated",
    "D": "deescalated",
    "c": "clearing",
    "r": "reraised",
    "C": "cleared",
    ".": None,
}


# Each character stands under the value of its window; windows end a minute apart.
@pytest.mark.parametrize(
    ("given", "values", "transitions"),
    [
        pytest.param({}, [9, 10, 11, 9, 9], ".R.C.", id="without delays"),
        pytest.param({}, [15, 25, 40, 39, 0], "REEDC", id="one level after another"),
        pytest.param({}, [0, 40, 10, 40], ".RDE", id="straight up and down"),
        pytest.param({"on_delay_s": 120}, [10, 10, 10, 10], "..R.", id="on-delay"),
        pytest.param({"on_delay_s": 120}, [10, 10, 9, 10, 10, 10], ".....R", id="too short"),
        pytest.param({"on_delay_s": 60}, [10, 40, 40], ".R.", id="raised at the level of then"),
        pytest.param({"off_delay_s": 120}, [10, 9, 9, 9, 9], "Rc.C.", id="off-delay"),
        pytest.param({"off_delay_s": 120}, [10, 9, 10, 9, 9, 9], "Rcrc.C", id="reraised"),
        pytest.param({"off_delay_s": 120}, [10, 9, 15, 9], "RcEc", id="escalated while clearing"),
        pytest.param({"off_delay_s": 120}, [25, 15, 15, 15, 15], "R..D.", id="de-escalation waits"),
        pytest.param({"off_delay_s": 120}, [25, 15, 25, 15, 15], "R....", id="it starts anew"),
        pytest.param(
            {"off_delay_s": 120}, [40, 15, 25, 10], "R..D", id="down to the highest since"
        ),
        pytest.param({"off_delay_s": 180}, [25, 9, 15, 15, 15], "Rcr.D", id="out, then down"),
        pytest.param({"deadband": 2}, [10, 8, 8, 7.9, 9], "R..C.", id="deadband holds"),
        pytest.param({"deadband": 2}, [15, 13, 12, 8, 7], "R.D.C", id="deadband at each level"),
        pytest.param({"deadband": 2}, [9, 8.5, 10], "..R", id="no deadband on the way up"),
        pytest.param({}, [10, None, None, 10, 9], "R...C", id="null holds"),
        pytest.param({"on_delay_s": 60}, [10, None, 10], "..R", id="null keeps pending"),
        pytest.param({"off_delay_s": 60}, [10, 9, None, 9], "Rc.C", id="null keeps clearing"),
        pytest.param({}, [10, 9, 10, 9], "RCRC", id="a second episode"),
    ],
)
def test_a_life(given: dict[str, float], values: list[float | None], transitions: str) -> None:
    assert lived(rule(**given), values) == [SHORT[letter] for letter in transitions]


def test_a_falling_scale() -> None:
    found = lived(rule(BELOW, deadband=1), [31, 30, 31, 20, 5, 21, 31.5])
    assert found == [None, "raised", None, "escalated", "escalated", "deescalated", "cleared"]


values = st.none() | st.sampled_from([0, 8, 9, 10, 13, 14, 15, 25, 38, 40])


@given(st.lists(values, max_size=40), st.integers(0, 3), st.integers(0, 3), st.sampled_from([0, 2]))
def test_any_life(row: list[float | None], on: int, off: int, deadband: float) -> None:
    alert = rule(on_delay_s=on * 60, off_delay_s=off * 60, deadband=deadband)
    episode, raised, level = Episode(), False, 0
    for k, value in enumerate(row):
        told = advance(episode, alert, k * MINUTE, value)
        if told == "raised":
            assert not raised
            assert episode.raised_at - episode.first_end >= on * MINUTE
        elif told is not None:
            assert raised
        if told == "escalated":
            assert episode.level > level
        elif told == "deescalated":
            assert 0 < episode.level < level
        raised = raised != (told in ("raised", "cleared"))
        level = episode.level
        if value is None:
            assert told is None
        elif raised:
            assert episode.level >= alert.scale.level(value)
            assert episode.max_level >= episode.level > 0
        assert Episode(*episode.dump()) == episode


def test_an_id_is_of_rule_key_and_first_window() -> None:
    names = [
        ("a", "site", "x", 1),
        ("a", "site", "x", 2),
        ("a", "sitex", "", 1),
        ("b", "s", "x", 1),
    ]
    ids = [episode_id(*name) for name in names]
    assert len(set(ids)) == len(ids)
    assert ids == [episode_id(*name) for name in names]


CONFIGURATION = configuration(
    [
        sensor(
            "small.depth",
            "cm",
            "water_depth",
            "site",
            aggregate={"function": "max"},
            window=window(60, 60),
            keys=["site"],
            rollup="none",
            levels=levels("ge", blue=10, red=40),
            alert={"on_delay_s": 60, "off_delay_s": 60},
        )
    ],
    [topic("sensor", 1, 300)],
)
SIGN = CONFIGURATION.signs[0]


def entry(value: float | None) -> Entry:
    reason = "uncovered" if value is None else None
    blank = Entry("site", "s1", "440106001", value, 3, 0.5, reason)
    return judged(blank, scale_of(SIGN.levels))


class Log:
    """Alerts of one key, and what they sent."""

    def __init__(self) -> None:
        self.alerts, self.sent = Alerts(CONFIGURATION, "v"), list[Alert]()

    def take(self, outputs: list[Any]) -> list[tuple[str, bool]]:
        assert [o.topic for o in outputs] == [ALERT_LOG, ALERTS] * (len(outputs) // 2)
        told = [msgspec.json.decode(o.value, type=Alert) for o in outputs[::2]]
        self.sent += told
        return [(alert.transition, alert.late) for alert in told]

    def judge(self, minute: int, value: float | None) -> list[tuple[str, bool]]:
        return self.take(
            self.alerts.judge(SIGN.id, entry(value), (minute - 2) * MINUTE, minute * MINUTE)
        )

    def correct(self, minute: int, before: float | None, value: float | None) -> Any:
        pair = (entry(before), entry(value))
        return self.take(
            self.alerts.judge_final(SIGN.id, *pair, (minute - 2) * MINUTE, minute * MINUTE)
        )


def test_what_an_alert_says() -> None:
    log = Log()
    for minute, value in enumerate([5, 12, 45, None, 41, 2, 2]):
        log.judge(minute, value)
    raised, clearing, cleared = log.sent
    assert {a.alert_id for a in log.sent} == {episode_id(SIGN.id, "site", "s1", MINUTE)}
    assert (raised.state, raised.transition, raised.level) == ("raised", "raised", 4)
    assert (raised.t_onset, raised.t_raised, raised.t_update) == (MINUTE, 2 * MINUTE, 2 * MINUTE)
    assert (raised.value, raised.unit, raised.t_cleared, raised.late) == (45, "cm", None, False)
    assert (raised.why.threshold, raised.why.compare, raised.why.coverage) == (40, "ge", 0.5)
    assert raised.labels["severity"] == "red"
    assert (clearing.state, clearing.t_update) == ("clearing", 5 * MINUTE)
    assert (cleared.state, cleared.t_cleared, cleared.max_level) == ("cleared", 6 * MINUTE, 4)
    assert log.alerts.raised() == 0


def test_a_correction_raises_a_late_alert_that_is_over_at_once() -> None:
    log = Log()
    log.judge(1, 5)
    assert log.correct(1, 5, 45) == [("raised", True), ("cleared", True)]
    assert {a.alert_id for a in log.sent} != {episode_id(SIGN.id, "site", "s1", MINUTE)}
    assert log.alerts.raised() == 0


def test_a_correction_of_an_unknown_key_raises_a_late_alert() -> None:
    log = Log()
    outputs = log.alerts.judge_final(SIGN.id, None, entry(12), 0, MINUTE)
    assert log.take(outputs) == [("raised", True), ("cleared", True)]


def test_windows_near_an_alert_raise_no_late_one() -> None:
    """The off-delay is a minute: no alert ends and begins within one."""
    log = Log()
    for minute, value in enumerate([5, 5, 5, 12, 12, 2, 2, 2, 2]):
        log.judge(minute, value)
    assert [alert.transition for alert in log.sent] == ["raised", "clearing", "cleared"]
    assert [log.correct(minute, 5, 12) for minute in (2, 5, 7)] == [[], [], []]
    assert log.correct(7, 5, 45) == [("raised", True), ("cleared", True)], "it is worse"
    assert log.correct(8, 5, 45) == [], "one late alert is enough"
    assert log.correct(10, 5, 45) == [("raised", True), ("cleared", True)]


def test_a_correction_before_an_alert_that_stands_is_of_it() -> None:
    log = Log()
    for minute, value in enumerate([5, 5, 5, 12, 12]):
        log.judge(minute, value)
    assert log.alerts.raised() == 1
    assert log.correct(2, 5, 12) == []
    assert log.correct(1, 5, 12) == [("raised", True), ("cleared", True)]


def test_a_correction_never_withdraws() -> None:
    log = Log()
    assert [log.judge(k, 45) for k in range(2)] == [[], [("raised", False)]]
    assert log.correct(1, 45, 5) == []
    assert log.correct(1, 45, None) == []
    assert log.alerts.raised() == 1
    assert log.judge(2, 45) == []


@pytest.mark.parametrize(("before", "after"), [(12, 12.5), (45, 12), (None, 5), (12, 5)])
def test_a_correction_to_no_higher_level_says_nothing(before: float | None, after: float) -> None:
    assert Log().correct(1, before, after) == []


def test_a_correction_within_a_raised_episode_says_nothing_unless_it_is_worse() -> None:
    log = Log()
    for minute in range(3):
        log.judge(minute, 12)
    assert log.correct(2, 5, 12) == []
    assert log.correct(2, 12, 45) == [("raised", True), ("cleared", True)]
    assert log.correct(3, 12, 45) == []


def test_a_run_of_late_windows_raises_one_alert() -> None:
    """A window of a day that is corrected is one of hundreds: each would be an alert."""
    log = Log()
    for minute in range(200):
        log.judge(minute, 5)
    found = [log.correct(minute, 5, 12) for minute in range(100, 160)]
    assert found == [[("raised", True), ("cleared", True)], *[[]] * 59]


def test_each_alert_that_is_over_counts_as_long_as_corrections_come() -> None:
    """The allowed lateness is five minutes, the off-delay one."""
    log = Log()
    for minute, value in enumerate([5, 12, 12, 2, 2, 2, 2, 12, 12, 2, 2]):
        log.judge(minute, value)
    assert [alert.transition for alert in log.sent] == ["raised", "clearing", "cleared"] * 2
    assert [log.correct(minute, None, 12) for minute in (2, 3, 8)] == [[], [], []]
    assert log.correct(6, None, 12) == []


def test_alerts_of_one_sign_do_not_end_what_another_remembers() -> None:
    """The order in which signs of different topics are judged depends on how lanes interleave."""
    log = Log()
    for minute, value in enumerate([5, 12, 12, 2, 2]):
        log.judge(minute, value)
    key = entry(12).name
    log.alerts._note("other.sign", key, log.alerts._rules[SIGN.id][1].at(0), _Told(0, 10**12, 4))
    assert log.correct(2, None, 12) == []


def test_alerts_survive_a_snapshot() -> None:
    log = Log()
    log.judge(0, 45)
    again = Log()
    again.alerts.load(kept({}, log.alerts.freeze()))
    assert again.judge(1, 45) == log.judge(1, 45) == [("raised", False)]
    assert kept({}, again.alerts.freeze()) == kept({}, log.alerts.freeze())
