"""The Gaussian scorer against River's own, and where River's own goes wrong."""

from __future__ import annotations

from math import log10
from random import Random
from statistics import NormalDist, fmean, stdev

import pytest
from river.anomaly import GaussianScorer

from agents.detectors.gaussian import Gaussian, GaussianParameters
from agents.detectors.protocol import WARMING
from tests.detectors.series import HOURS, MONDAY, QUARTER, Point, level, run


def made(**parameters: float | str) -> Gaussian:
    return Gaussian(GaussianParameters(**parameters), 0, HOURS)  # type: ignore[arg-type]


def at(values: list[float]) -> list[Point]:
    return [(value, MONDAY + n * QUARTER) for n, value in enumerate(values)]


LATER = MONDAY + 10**9 * QUARTER


@pytest.mark.parametrize("window", [0, 100, 300])
def test_it_ranks_values_as_river_does(window: int) -> None:
    rng, river = Random(1), GaussianScorer(window or None, 100)
    detector = made(window=window, z_alarm=3.0)
    beyond = 1 - 2 * abs(NormalDist().cdf(3.0) - 0.5)
    for value, time in level(rng, 290):
        share, verdict = river.score_one(None, value), detector.score(value, time)
        if verdict != WARMING:
            wanted = log10(1 - share) / (log10(1 - share) + log10(beyond)) if share else 0.0
            assert verdict.score == pytest.approx(wanted, rel=1e-12)
        river.learn_one(None, value)
        detector.learn(value, time)


@pytest.mark.parametrize("window", [0, 50])
def test_expected_and_band_are_mean_and_deviations(window: int) -> None:
    rng = Random(2)
    values = [rng.gauss(20, 3) for _ in range(80)]
    detector = made(window=window, least=10, z_alarm=3.5)
    run(detector, at(values))
    kept = values[-window:]
    verdict = detector.score(20.0, LATER)
    mu, reach = fmean(kept), 3.5 * stdev(kept)
    assert verdict.expected == pytest.approx(mu, rel=1e-12)
    assert verdict.band == pytest.approx((mu - reach, mu + reach), rel=1e-9)
    edge = detector.score(mu + reach, LATER).score
    assert edge == pytest.approx(0.5, abs=1e-9)


def test_without_any_deviation_the_floor_decides() -> None:
    """River's own score is 1 there, for every value and for the usual one too."""
    river = GaussianScorer(None, 2)
    detector = made(least=2, floor=0.5)
    for value, time in at([7.0, 7.0, 7.0]):
        river.learn_one(None, value)
        detector.learn(value, time)
    assert river.score_one(None, 7.0) == 1.0
    assert detector.score(7.0, LATER) == (0.0, 7.0, (5.0, 9.0), "gaussian")
    assert detector.score(9.0, LATER).score == 0.5
    assert (detector.score(8.9, LATER).score or 0) < 0.5


def test_far_out_is_far_out_and_no_more() -> None:
    detector = made(window=0, least=2, floor=1.0)
    run(detector, at([7.0, 7.0]))
    scores = [detector.score(7.0 + z, LATER).score for z in (4, 6, 8, 9, 1e6, 1e99)]
    assert scores == [0.5, *sorted(scores[1:])]  # type: ignore[type-var]
    assert scores[-1] == scores[-3] == pytest.approx(0.79, abs=0.01)


def test_a_window_forgets() -> None:
    plain, rolling, rng = made(window=0), made(window=200), Random(3)
    values = [rng.gauss(mean, 1) for mean in [10] * 400 + [50] * 400]
    for detector in (plain, rolling):
        run(detector, at(values))
    assert rolling.score(50.0, LATER).expected == pytest.approx(50, abs=0.5)
    assert plain.score(50.0, LATER).expected == pytest.approx(30, abs=0.5)


def test_digits_that_a_large_value_took_away_come_back() -> None:
    """Reverted out of River's sum of squares, a large value leaves noise, even below zero."""
    rng = Random(4)
    values = [rng.gauss(5, 1) for _ in range(700)]
    values[100] = 3e12
    river, detector = GaussianScorer(200, 100), made(window=200)
    worst = 0.0
    for n, (value, time) in enumerate(at(values)):
        river.learn_one(None, value)
        detector.learn(value, time)
        if n >= 301:
            true = stdev(values[n - 199 : n + 1])
            band = detector.score(5.0, time).band
            assert band is not None
            assert (band[1] - band[0]) / 8 == pytest.approx(true, rel=1e-6)
            worst = max(worst, abs(river.gaussian.obj._var.get() - true**2))
    assert worst > 1, "River does it by itself now"


def test_a_window_does_not_drift() -> None:
    rng, detector = Random(5), made(window=128, every_s=0)
    values = [1e9 + rng.gauss(0, 1e-2) for _ in range(20_000)]
    run(detector, at(values))
    # A window's sum rounds by 3e-6 there; without a new one it would have drifted by 1e-5.
    assert detector._distribution.sigma == pytest.approx(stdev(values[-128:]), rel=5e-6)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"window": 99}, "window is 99 and least is 100: .* use 0 for all values"),
        ({"least": 1}, "least is 1: two values have a deviation"),
        ({"z_alarm": 8.0}, "z_alarm is 8.0: it must be above 0 and at most 7"),
        ({"z_alarm": 0.0}, "z_alarm is 0.0: it must be above 0"),
        ({"floor": 0.0}, "floor is 0.0: it must be above 0"),
        ({"every_s": -1.0}, "every_s is -1.0"),
    ],
)
def test_parameters_that_do_not_fit_are_told(given: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        GaussianParameters(**given)  # type: ignore[arg-type]
