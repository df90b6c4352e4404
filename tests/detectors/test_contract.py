"""What holds for every detector in the registry: a new entry runs through all of this."""

from __future__ import annotations

from math import isfinite
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.detectors import DETECTORS
from agents.detectors.protocol import ALARM, LARGEST, WARMING, Detector, Parameters, Verdict
from agents.judge import Judge
from tests.detectors.series import (
    CASES,
    DAY,
    HOUR,
    HOURS,
    MONDAY,
    QUARTER,
    WEEK,
    Point,
    level,
    make,
    packed,
    run,
    weekly,
)

KEY = ("street", "440106001")

every_case = pytest.mark.parametrize(
    ("name", "parameters"), CASES, ids=[f"{name}-{n}" for n, (name, _) in enumerate(CASES)]
)


def assert_sound(verdict: Verdict) -> None:
    score, expected, band, basis = verdict
    assert basis
    if score is None:
        assert verdict == WARMING
        return
    assert 0.0 <= score <= 1.0
    assert expected is not None
    assert band is not None
    assert band[0] <= expected <= band[1]
    assert all(isfinite(x) for x in (expected, *band))
    assert all(type(x) is float for x in (score, expected, *band))


def restored(name: str, parameters: Parameters, detector: Detector) -> Detector:
    again = make(name, parameters)
    again.load(packed(detector.dump()))
    return again


@every_case
def test_the_same_series_has_the_same_scores(name: str, parameters: Parameters) -> None:
    points = weekly(Random(1), 1_500)
    assert run(make(name, parameters), points) == run(make(name, parameters), points)


@every_case
def test_scores_do_not_depend_on_what_comes_later(name: str, parameters: Parameters) -> None:
    points = weekly(Random(2), 1_500)
    whole = run(make(name, parameters), points)
    for count in (1, 99, 100, 101, 700):
        assert run(make(name, parameters), points[:count]) == whole[:count]


@every_case
def test_it_says_that_it_is_warming_and_then_answers(name: str, parameters: Parameters) -> None:
    verdicts = run(make(name, parameters), weekly(Random(3), 5 * 672))
    for verdict in verdicts:
        assert_sound(verdict)
    assert verdicts[0] == WARMING
    assert verdicts[-1].score is not None


@every_case
def test_scoring_changes_nothing(name: str, parameters: Parameters) -> None:
    points = weekly(Random(4), 1_000)
    looked, plain = make(name, parameters), make(name, parameters)
    for value, time in points:
        for other in (value, -value, 1e6, 0.0):
            looked.score(other, time)
            looked.score(other, time + DAY)
        assert run(looked, [(value, time)]) == run(plain, [(value, time)])
    assert looked.dump() == plain.dump()
    assert looked.take_changed() == plain.take_changed()


@every_case
@pytest.mark.parametrize("packing", [True, False])
def test_it_goes_on_from_a_dump(name: str, parameters: Parameters, packing: bool) -> None:
    points = weekly(Random(5), 1_400)
    whole = run(make(name, parameters), points)
    for count in (0, 1, 19, 64, 99, 128, 130, 131, 300, 500, 501, 777):
        detector = make(name, parameters)
        run(detector, points[:count])
        state = packed(detector.dump()) if packing else detector.dump()
        again = make(name, parameters)
        again.load(state)
        run(detector, points[count : count + 9])
        assert again.take_changed() == set()
        assert set(again.sections()) == set(state)
        assert packed(again.dump()) == packed(state), "a dump is of its moment"
        assert run(again, points[count:]) == whole[count:]


@every_case
def test_changed_sections_are_those_that_differ(name: str, parameters: Parameters) -> None:
    detector, before = make(name, parameters), dict[str, list[Any]]()
    assert detector.take_changed() == set()
    for n, point in enumerate(weekly(Random(6), 900, step=QUARTER // 2)):
        if n == 400:
            detector = restored(name, parameters, detector)
        run(detector, [point])
        if n % 3 == 0:
            after = detector.dump()
            differ = {key for key in after if after[key] != before.get(key)}
            changed = detector.take_changed()
            assert changed == differ
            assert detector.dump(changed) == {key: after[key] for key in differ}
            assert before.keys() <= after.keys()
            before = after


@every_case
def test_its_memory_is_bounded(name: str, parameters: Parameters) -> None:
    detector, rng = make(name, parameters), Random(7)
    held = []
    for _ in range(50):
        start = MONDAY + len(held) * 1_000 * QUARTER
        for value, time in weekly(rng, 1_000, start=start):
            detector.learn(value, time)
        held.append(sum(map(len, detector.dump().values())))
    assert held[-1] == held[30]
    assert held[-1] < 6_000


@every_case
def test_an_outlier_is_flagged(name: str, parameters: Parameters) -> None:
    detector, points = make(name, parameters), level(Random(8), 5 * 672)
    run(detector, points)
    end = points[-1][1] + QUARTER
    high, low = detector.score(200.0, end).score, detector.score(0.0, end).score
    usual = detector.score(100.0, end).score
    assert high is not None
    assert low is not None
    assert usual is not None
    assert usual < 0.2
    assert (high >= ALARM) == (parameters.side != "low")
    assert (low >= ALARM) == (parameters.side != "high")


@every_case
def test_the_band_ends_where_the_alarm_begins(name: str, parameters: Parameters) -> None:
    detector, points = make(name, parameters), level(Random(9), 5 * 672)
    run(detector, points)
    end = points[-1][1] + QUARTER
    band = detector.score(100.0, end).band
    assert band is not None
    for at, outward, side in ((band[0], -1e-6, "high"), (band[1], 1e-6, "low")):
        inside, outside = (detector.score(at + s * outward, end).score for s in (-1, 1))
        assert inside is not None
        assert outside is not None
        assert inside < ALARM
        assert (outside >= ALARM) == (parameters.side != side)


@every_case
def test_scores_rise_with_the_deviation(name: str, parameters: Parameters) -> None:
    detector, points = make(name, parameters), level(Random(10), 5 * 672)
    run(detector, points)
    end = points[-1][1] + QUARTER
    expected = detector.score(100.0, end).expected
    assert expected is not None
    for sign in (1, -1):
        found = [detector.score(expected + sign * d * 7.3, end).score for d in range(40)]
        scores = [score for score in found if score is not None]
        assert len(scores) == 40
        assert scores == sorted(scores)


@every_case
def test_long_gaps_are_nothing(name: str, parameters: Parameters) -> None:
    rng, time = Random(11), MONDAY
    detector, points = make(name, parameters), list[Point]()
    for gap in [QUARTER] * 600 + [DAY * 400, HOUR, WEEK * 60, QUARTER, 31 * 366 * DAY] * 60:
        time += gap
        points.append((rng.gauss(50, 2), time))
    for verdict in run(detector, points):
        assert_sound(verdict)


@every_case
def test_a_series_that_stands_still_has_answers(name: str, parameters: Parameters) -> None:
    detector = make(name, parameters)
    verdicts = run(detector, [(5.0, MONDAY + n * QUARTER) for n in range(1, 5 * 672)])
    for verdict in verdicts:
        assert_sound(verdict)
        assert verdict.score in (None, 0.0)


@every_case
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_any_numbers_have_sound_answers(name: str, parameters: Parameters, data: Any) -> None:
    numbers = st.floats(-LARGEST, LARGEST) | st.sampled_from([0.0, -0.0, 5e-324, LARGEST])
    values = data.draw(st.lists(numbers, min_size=1, max_size=12))
    step = data.draw(st.sampled_from([QUARTER, HOUR, DAY, WEEK]))
    points = [(values[n % len(values)], MONDAY + n * step) for n in range(150)]
    for verdict in run(make(name, parameters), points):
        assert_sound(verdict)


@every_case
def test_what_is_no_number_never_reaches_it(name: str, parameters: Parameters) -> None:
    points = level(Random(12), 5 * 672)
    clean, mixed = (Judge("sign", name, parameters, hours=HOURS) for _ in range(2))
    bad = [None, float("nan"), float("inf"), float("-inf"), 2 * LARGEST]
    for n, (value, time) in enumerate(points):
        judgement = mixed.judge(KEY, bad[n % 5], time)
        assert judgement.verdict == (None, None, None, "missing")
        assert not judgement.flagged
        assert mixed.judge(KEY, value, time) == clean.judge(KEY, value, time)
    assert mixed.counters.skipped == len(points)
    assert clean.counters.skipped == 0


@every_case
def test_what_is_flagged_is_not_learned(name: str, parameters: Parameters) -> None:
    points = level(Random(13), 5 * 672)
    judge = Judge("sign", name, parameters, hours=HOURS)
    for value, time in points:
        judge.judge(KEY, value, time)
    outlier = -400.0 if parameters.side == "low" else 600.0
    before = {part: encode and encode() for part, encode in judge.freeze(whole=True).items()}
    for n in range(1, 200):
        assert judge.judge(KEY, outlier, points[-1][1] + n * QUARTER).flagged
    after = {part: encode and encode() for part, encode in judge.freeze(whole=True).items()}
    assert {part for part in after if after[part] != before[part]} == {"summary", "keys"}


def test_names_are_words_of_the_configuration() -> None:
    for name, kind in DETECTORS.items():
        assert name.isidentifier()
        assert kind.version >= 1
        assert kind.parameters().side == "both"
