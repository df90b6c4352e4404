"""What becomes of a mark while its alert goes on: worse, better, over, silent for a while."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.alerts import ANOMALY, Alerts
from agents.episodes import episode_id
from agents.marks import Mark
from agents.outputs import ALERT_LOG
from schemas.refusal import Refused
from streams.records import Output
from tests.agents.test_alerts import FAR, MINUTE, entry, made
from tests.kept import kept

OF = made()
ACK = Mark("acked", "duty", "known")


class City:
    """One street, judged minute by minute."""

    def __init__(self, rule: str = "a.rain") -> None:
        self.alerts, self.minute, self.rule = Alerts(OF, "v"), 0, rule
        self.onset = 0

    def judge(self, value: float | None, score: float | None = 0.0) -> list[Any]:
        self.minute += 1
        end = self.minute * MINUTE
        outputs = self.alerts.unshelve("a.rain", end)
        outputs += self.alerts.judge("a.rain", entry(OF, value, score), end - MINUTE, end)
        self.alerts.note_judged("a.rain", end)
        return self.told(outputs)

    def mark(self, mark: Mark) -> list[Any]:
        first = (self.onset or 1) * MINUTE
        alert = episode_id(self.rule, "street", "440106001", first)
        return self.told(self.alerts.mark("a.rain", alert, mark))

    @staticmethod
    def told(outputs: list[Output]) -> list[Any]:
        alerts = [json.loads(o.value) for o in outputs if o.topic == ALERT_LOG]
        return [
            (a["transition"], a["level"], a["acked"], a["shelved_until"], a["t_update"] // MINUTE)
            for a in alerts
        ]

    def restored(self) -> City:
        other = City(self.rule)
        other.minute, other.alerts.judged = self.minute, dict(self.alerts.judged)
        other.alerts.load(kept({}, self.alerts.freeze(whole=True)))
        return other


def test_an_acknowledgement_holds_until_it_gets_worse_than_it_was() -> None:
    city = City()
    assert city.judge(60) == [("raised", 1, False, None, 1)]
    assert city.mark(ACK) == [("acked", 1, True, None, 1)]
    assert city.judge(70) == []
    assert city.restored().judge(95) == [("escalated", 4, False, None, 3)]
    assert city.judge(95) == [("escalated", 4, False, None, 3)]
    assert city.mark(ACK) == [("acked", 4, True, None, 3)]
    assert city.judge(60) == [("deescalated", 1, True, None, 4)]
    # It was as bad when somebody acknowledged it.
    assert city.judge(95) == [("escalated", 4, True, None, 5)]
    assert city.mark(Mark("unacked", "duty", "no")) == [("unacked", 4, False, None, 5)]


def test_a_new_episode_is_unmarked() -> None:
    city = City()
    city.judge(60)
    city.mark(ACK)
    city.mark(Mark("shelved", "duty", "works", 100 * MINUTE))
    assert city.judge(10) == [("cleared", 1, True, 100 * MINUTE, 2)]
    assert city.mark(ACK) == []
    assert city.judge(60) == [("raised", 1, False, None, 3)]


def test_a_shelve_ends_with_the_first_window_that_reaches_its_limit() -> None:
    city = City()
    city.judge(60)
    assert city.mark(Mark("shelved", "duty", "works", 3 * MINUTE)) == [
        ("shelved", 1, False, 3 * MINUTE, 1)
    ]
    assert city.judge(95) == [("escalated", 4, False, 3 * MINUTE, 2)]
    # Also of a key that has fallen silent.
    assert city.restored().judge(None) == [("unshelved", 4, False, None, 3)]
    assert city.judge(10) == [("unshelved", 4, False, None, 3), ("cleared", 4, False, None, 3)]


def test_a_limit_that_is_over_already_is_refused() -> None:
    city = City()
    city.judge(60)
    before = kept({}, city.alerts.freeze(whole=True))
    with pytest.raises(Refused, match=r"`\$.until` is in time that is judged already"):
        city.mark(Mark("shelved", "duty", "works", MINUTE))
    assert kept({}, city.alerts.freeze(whole=True)) == before


def test_an_anomaly_is_marked_beside_the_alert_of_a_threshold() -> None:
    city = City(f"a.rain{ANOMALY}")
    city.judge(40, FAR)
    city.judge(60, FAR)
    assert city.mark(ACK) == [("acked", 2, True, None, 2)]
    city.rule, city.onset = "a.rain", 2
    assert city.mark(Mark("shelved", "duty", "works", 9 * MINUTE)) == [
        ("shelved", 1, False, 9 * MINUTE, 2)
    ]


def test_who_and_why_stand_in_the_transition_alone() -> None:
    city = City()
    end = MINUTE
    outputs = city.alerts.judge("a.rain", entry(OF, 60, 0.0), 0, end)
    city.alerts.note_judged("a.rain", end)
    alert = episode_id("a.rain", "street", "440106001", end)
    outputs += city.alerts.mark("a.rain", alert, ACK)
    outputs += city.alerts.judge("a.rain", entry(OF, 95, 0.0), end, 2 * end)
    raised, acked, escalated = (json.loads(o.value) for o in outputs if o.topic == ALERT_LOG)
    assert (acked["by"], acked["note"]) == ("duty", "known")
    assert not {"by", "note"} & {*raised, *escalated}
    changed = {name for name in raised if raised[name] != acked[name]}
    assert changed == {"transition", "acked"}, "the last window that was judged is the same"
    ids = [dict(o.headers)["ce_id"] for o in outputs if o.topic == ALERT_LOG]
    assert ids == [f"{alert}/{number}".encode() for number in (1, 2, 3)]
