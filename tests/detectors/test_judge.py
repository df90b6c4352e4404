"""The judge: what is learned, what is counted, and what a model that fails does to the others."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.stats import RollingQuantile

from agents.detectors import DETECTORS, GaussianParameters, HourOfWeekParameters
from agents.detectors.local_hours import LocalHours
from agents.detectors.protocol import Kind, Parameters, Verdict
from agents.entries import KeyName
from agents.judge import Judge, Probe
from streams.frozen import SnapshotError
from tests.detectors.series import DAY, HOUR, HOURS, MONDAY, QUARTER, level
from tests.kept import Parts, encoded, kept

A, B, C = ("street", "440106001"), ("street", "440106002"), ("city", "4401")
FAST = GaussianParameters(least=4, window=20, floor=1.0, every_s=0)
FAST_WEEK = HourOfWeekParameters(least=2, ring=3, floor=1.0, every_s=0)


class Fragile:
    """Fails as it is told to: by the values it is asked about, or by what it answers."""

    def __init__(self, parameters: Parameters, seed: int, hours: LocalHours) -> None:
        self.seed, self.count = seed, 0
        self.quantile = RollingQuantile(0.5, 3)

    def score(self, value: float, time: int) -> Verdict:
        raised = RAISED.get(value)
        if raised is not None:
            raise raised
        if value == PANIC_IN_SCORE:
            self._panic()
        return ANSWERED.get(value, Verdict(0.1, 100.0, (0.0, 200.0), "fragile"))

    def learn(self, value: float, time: int) -> None:
        if value == PANIC_IN_LEARN:
            self._panic()
        self.quantile.update(value)
        self.count += 1

    def _panic(self) -> None:
        self.quantile.update(float("nan"))

    def sections(self) -> Iterable[str]:
        return ["count"]

    def dump(self, only: Iterable[str] | None = None) -> dict[str, list[Any]]:
        return {"count": [self.count]} if only is None or "count" in only else {}

    def load(self, sections: Mapping[str, list[Any]]) -> None:
        (self.count,) = sections["count"]

    def take_changed(self) -> set[str]:
        return {"count"}


PANIC_IN_SCORE, PANIC_IN_LEARN = 666.0, 667.0
RAISED: dict[float, BaseException] = {
    1.0: ValueError("no"),
    2.0: ZeroDivisionError("by nothing"),
    3.0: AssertionError(),
    11.0: KeyboardInterrupt(),
    12.0: SystemExit(3),
    13.0: GeneratorExit(),
    14.0: asyncio.CancelledError(),
    15.0: MemoryError(),
}
NAN, INF = float("nan"), float("inf")
ANSWERED = {
    21.0: Verdict(NAN, 1.0, (0.0, 2.0), "x"),
    22.0: Verdict(1.1, 1.0, (0.0, 2.0), "x"),
    23.0: Verdict(0.5, NAN, (0.0, 2.0), "x"),
    24.0: Verdict(0.5, 1.0, (0.0, INF), "x"),
}


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> Judge:
    monkeypatch.setitem(DETECTORS, "fragile", Kind(Fragile, Parameters, version=3))
    return Judge("sign", "fragile", hours=HOURS)


def count_of(judge: Judge, name: KeyName) -> int:
    found: int = judge._models[name].detector.dump()["count"][0]
    return found


@pytest.mark.parametrize("value", [PANIC_IN_SCORE, PANIC_IN_LEARN])
def test_a_panic_of_native_code_costs_one_model(fragile: Judge, value: float) -> None:
    """River's rolling quantile, in Rust, panics at a NaN: that is no `Exception`."""
    for n in range(5):
        for name in (A, B):
            fragile.judge(name, 100.0, MONDAY + n * QUARTER)
    found = fragile.judge(A, value, MONDAY + 5 * QUARTER)
    assert found.verdict == (None, None, None, "failed")
    assert not found.flagged
    assert fragile.counters.failures == 1
    assert fragile.judge(A, 100.0, MONDAY + 6 * QUARTER).verdict.score == 0.1
    assert (count_of(fragile, A), count_of(fragile, B)) == (1, 5)


@pytest.mark.parametrize("value", [1.0, 2.0, 3.0, 21.0, 22.0, 23.0, 24.0])
def test_an_exception_or_no_answer_costs_one_model(fragile: Judge, value: float) -> None:
    fragile.judge(A, 100.0, MONDAY)
    found = fragile.judge(A, value, MONDAY)
    assert found.verdict.basis == "failed"
    assert len(fragile) == 0
    assert asdict(fragile.counters) == {
        **dict.fromkeys(asdict(fragile.counters), 0),
        "scored": 1,
        "learned": 1,
        "failures": 1,
        "probes": 1,
    }


@pytest.mark.parametrize("value", [11.0, 12.0, 13.0, 14.0, 15.0])
def test_what_is_not_the_models_goes_on(fragile: Judge, value: float) -> None:
    with pytest.raises(type(RAISED[value])):
        fragile.judge(A, value, MONDAY)
    assert fragile.counters.failures == 0


def test_a_model_that_failed_begins_as_a_new_one() -> None:
    judge, fresh = (Judge("sign", "gaussian", FAST, hours=HOURS) for _ in range(2))
    points = level(Random(1), 60)
    for value, time in points[:30]:
        judge.judge(A, value, time)
    judge._models[A].detector.score = None  # type: ignore[assignment,method-assign]
    assert judge.judge(A, *points[30]).verdict.basis == "failed"
    for value, time in points[31:]:
        assert judge.judge(A, value, time) == fresh.judge(A, value, time)


def test_every_value_is_counted_once(fragile: Judge) -> None:
    rng, asked = Random(2), 0
    for n in range(400):
        value = rng.choice([*range(1, 4), 21.0, 22.0, None, NAN, INF, 50.0, 60.0, PANIC_IN_LEARN])
        fragile.judge(rng.choice([A, B, C]), value, MONDAY + n * QUARTER)
        asked += 1
    c = fragile.counters
    assert c.skipped + c.warming + c.scored + c.failures == asked
    assert 0 < c.learned == c.warming + c.scored - c.flagged


def test_values_are_scored_before_they_are_learned() -> None:
    judge = Judge("sign", "gaussian", FAST, hours=HOURS)
    bases = [judge.judge(A, 5.0, MONDAY + n * QUARTER).verdict.basis for n in range(6)]
    assert bases == ["warming"] * 4 + ["gaussian"] * 2


def test_a_model_without_values_for_four_weeks_is_dropped() -> None:
    """What a key says while it is unknown or missing keeps no model."""
    judge = Judge("sign", "gaussian", FAST, hours=HOURS)
    for n in range(6):
        judge.judge(A, 5.0, MONDAY + n * QUARTER)
        judge.judge(B, 5.0, MONDAY + n * QUARTER)
    for day in range(1, 29):
        judge.judge(A, None, MONDAY + day * DAY)
        judge.judge(B, 5.0, MONDAY + day * DAY)
    assert len(judge) == 2
    assert judge.judge(B, 5.0, MONDAY + 29 * DAY).verdict.basis == "gaussian"
    assert len(judge) == 1
    assert judge.judge(A, 5.0, MONDAY + 29 * DAY).verdict.basis == "warming"


def test_seeds_are_of_the_sign_and_the_key(fragile: Judge) -> None:
    other = Judge("another", "fragile", hours=HOURS)
    for judge in (fragile, other):
        for name in (A, B):
            judge.judge(name, 100.0, MONDAY)
    seeds = {j._models[n].detector.seed for j in (fragile, other) for n in (A, B)}  # type: ignore[attr-defined]
    assert len(seeds) == 4
    assert all(0 <= seed < 2**64 for seed in seeds)
    judge = Judge("sign", "fragile", hours=HOURS)
    judge.judge(A, 100.0, MONDAY)
    assert judge._models[A].detector.seed == fragile._models[A].detector.seed  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("probe", "side", "expected", "outlier"),
    [
        (Probe(), "both", 10.0, 30.0),
        (Probe(), "high", -10.0, 10.0),
        (Probe(times=2, add=1.5), "both", 4.0, 9.5),
        (Probe(times=2), "low", 4.0, 2.0),
        (Probe(times=2, add=1.0), "low", -4.0, -7.0),
        (Probe(), "both", 0.0, 0.0),
        (Probe(add=5.0), "both", 0.0, 5.0),
    ],
)
def test_the_outlier_that_is_planted(
    probe: Probe, side: Any, expected: float, outlier: float
) -> None:
    assert probe.outlier(expected, side) == outlier


def test_each_model_is_probed_once_an_hour() -> None:
    judge = Judge("sign", "gaussian", FAST, hours=HOURS)
    for n in range(1, 25):
        for name in (A, B):
            judge.judge(name, 5.0, MONDAY + n * QUARTER)
    # The first four values warm up; what is left is of seven hours, as the last one ends at 6:00.
    assert judge.counters.probes == 2 * 6
    assert judge.counters.probes_found == 2 * 6
    assert judge.blind() == []
    assert judge.judge(A, 5.0, MONDAY + 25 * QUARTER).verdict.expected == 5.0


def test_a_blinded_model_is_found() -> None:
    """A model that learned a spike in every window takes no spike for an anomaly any more."""
    judge = Judge("sign", "gaussian", FAST, hours=HOURS, probe=Probe(times=3))
    for n in range(40):
        judge.judge(A, 5.0 if n % 2 else 60.0, MONDAY + n * QUARTER)
        judge.judge(B, 60.0, MONDAY + n * QUARTER)
    assert judge.blind() == [A]
    assert judge.counters.probes == 2 * judge.counters.probes_found > 0


def test_nothing_is_planted_where_nothing_is_expected() -> None:
    judge = Judge("sign", "gaussian", FAST, hours=HOURS)
    for n in range(40):
        judge.judge(A, 0.0, MONDAY + n * QUARTER)
    assert (judge.counters.scored, judge.counters.probes, judge.blind()) == (36, 0, [])


TURN = st.tuples(
    st.sampled_from([A, B, C]),
    st.sampled_from([10.0, 10.5, 11.0, 12.0, 90.0, None, NAN, "fail"]),
    st.sampled_from([QUARTER, QUARTER, HOUR, DAY, 15 * DAY]),
)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["gaussian", "hour_of_week"]),
    st.lists(st.lists(TURN, max_size=12), max_size=12),
    st.randoms(use_true_random=False),
)
def test_it_goes_on_from_what_a_store_kept(name: str, rounds: list[Any], rng: Random) -> None:
    parameters = FAST if name == "gaussian" else FAST_WEEK
    judge, unbroken = (Judge("sign", name, parameters, hours=HOURS) for _ in range(2))
    parts, time = Parts(), MONDAY
    for turns in rounds:
        for key, value, step in turns:
            time += step
            for each in (judge, unbroken):
                if value == "fail" and key in each._models:
                    each._models[key].detector.score = None  # type: ignore[assignment,method-assign]
            given = 10.0 if value == "fail" else value
            found = [each.judge(key, given, time) for each in (judge, unbroken)]
            assert found[0] == found[1]
        taken = judge.freeze(whole=rng.random() < 0.2)
        at_once = encoded(taken)
        parts = kept(parts, taken)
        assert parts == encoded(unbroken.freeze(whole=True))
        assert set(encoded(judge.freeze())) == set(), "nothing has changed"
        if rng.random() < 0.3:
            judge = Judge("sign", name, parameters, hours=HOURS)
            # A store may give them in any order, such as that of their names.
            judge.load(dict(sorted(parts.items(), reverse=True)))
            assert set(encoded(judge.freeze())) == set()
            assert judge.counters == unbroken.counters
            assert encoded(judge.freeze(whole=True)) == parts
        else:
            judge.judge(A, 10.0, time)
            unbroken.judge(A, 10.0, time)
            assert encoded(taken) == at_once, "what was frozen is of its moment"


def test_only_what_changed_is_written() -> None:
    judge = Judge("sign", "hour_of_week", HourOfWeekParameters(), hours=HOURS)
    for n in range(1, 673):
        judge.judge(A, 5.0, MONDAY + n * QUARTER)
    assert len(judge.freeze()) == 1 + 1 + 1 + 168
    for n in range(673, 676):
        judge.judge(A, 5.0, MONDAY + n * QUARTER)
    names = {name for name, encode in judge.freeze().items() if encode is not None}
    assert names == {"summary", "keys", "section/clock", "section/work-0-00"}


def test_another_version_is_refused(fragile: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    fragile.judge(A, 100.0, MONDAY)
    parts = encoded(fragile.freeze())
    monkeypatch.setitem(DETECTORS, "fragile", Kind(Fragile, Parameters, version=4))
    told = (
        "sign sign: the snapshot has models of fragile version 3, this build has fragile version 4"
    )
    with pytest.raises(SnapshotError, match=told):
        Judge("sign", "fragile", hours=HOURS).load(parts)
    with pytest.raises(SnapshotError, match="this build has gaussian version 1: run the build"):
        Judge("sign", "gaussian", hours=HOURS).load(parts)


def test_a_state_without_a_judge_is_a_new_one() -> None:
    judge = Judge("sign", "gaussian", hours=HOURS)
    judge.load({})
    assert len(judge) == 0


def test_river_is_imported_when_a_model_is_made_and_not_before() -> None:
    code = (
        "import sys, agents.judge\n"
        "from agents.detectors.local_hours import LocalHours\n"
        "hours = LocalHours('UTC')\n"
        "agents.judge.Judge('s', 'hour_of_week', hours=hours).judge(('city', '4401'), 1.0, 0)\n"
        "judge = agents.judge.Judge('s', 'gaussian', hours=hours)\n"
        "assert 'river' not in sys.modules\n"
        "judge.judge(('city', '4401'), 1.0, 0)\n"
        "assert 'river' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
