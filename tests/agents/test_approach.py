"""Time to the next level, and alerts that are raised one level early, by plain arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.approach import TimeToThresholdFormula, approach
from agents.dated import Dated
from agents.early import early_of
from agents.entries import Entry
from agents.episodes import Episode, Rule, advance
from agents.levels import COLOURS, Scale
from schemas.derivations import TimeToThreshold
from schemas.signs import AlertRule, Early, Levels

MINUTE = 60_000
HIGH = {"blue": 10.0, "yellow": 15.0, "orange": 25.0, "red": 40.0}


def levels(compare: str, **thresholds: float) -> Levels:
    content = {"compare": compare, "thresholds": thresholds, "source": "x", "standing": "proposal"}
    return Levels.model_validate(content)


def next_by_hand(compare: str, given: list[tuple[int, float]], value: float) -> Any:
    """The mildest level that the value does not meet, above all that it meets."""
    meets = {
        "ge": lambda x: value >= x,
        "gt": lambda x: value > x,
        "le": lambda x: value <= x,
        "lt": lambda x: value < x,
    }[compare]
    met = max((level for level, x in given if meets(x)), default=0)
    return next(((level, x) for level, x in given if level > met), None)


numbers = st.integers(-1000, 1000).map(lambda n: n / 8)


@given(
    st.sampled_from(["ge", "gt", "le", "lt"]),
    st.lists(numbers, min_size=1, max_size=4, unique=True),
    st.sets(st.sampled_from(COLOURS[1:]), min_size=4),
    numbers,
    numbers,
)
def test_the_time_is_the_gap_by_the_rate(
    compare: str, steps: list[float], colours: set[str], value: float, rate: float
) -> None:
    low = compare in ("le", "lt")
    names = [c for c in COLOURS[1:] if c in colours][: len(steps)]
    listed = sorted(steps, reverse=low)
    given_steps = [(COLOURS.index(c), x) for c, x in zip(names, listed, strict=True)]
    scale = Scale(levels(compare, **dict(zip(names, listed, strict=True))))
    found, wanted = approach(scale, value, rate), next_by_hand(compare, given_steps, value)
    toward = rate < 0 if low else rate > 0
    if wanted is None or not toward:
        assert found is None
        return
    assert found is not None
    minutes = abs(Fraction(wanted[1]) - Fraction(value)) / abs(Fraction(rate))
    assert (found.level, found.threshold) == wanted
    assert found.minutes == pytest.approx(float(minutes), rel=1e-12)


def test_what_takes_longer_than_numbers_go_is_never() -> None:
    assert approach(Scale(levels("ge", red=1e308)), -1e308, 1e-300) is None


def entry(value: float | None, key: str = "s1", **more: Any) -> Entry:
    reason = None if value is not None else "uncovered"
    return Entry("site", key, "440103001", value, 1, 1.0, reason)._replace(**more)


def minutes_of(now: list[Entry], rates: list[Entry]) -> list[Entry]:
    given = TimeToThreshold(name="time_to_threshold", of="t.depth", rate="t.rise")
    formula = TimeToThresholdFormula(given, ("site",), Dated([Scale(levels("ge", **HIGH))]))
    said = {"t.depth": now, "t.rise": rates}
    return formula.entries(0, lambda sign, end: {e.name: e for e in said[sign]})


def test_the_formula_tells_minutes_and_from_what() -> None:
    (found,) = minutes_of([entry(12.0)], [entry(0.5)])
    assert found.value == 6.0
    assert found.detail == {"inputs": {"value": 12.0, "rate": 0.5}, "threshold": 15.0}
    assert minutes_of([entry(12.0), entry(9.0, "s2")], [entry(0.5, "s2")])[1].value == 2.0


@pytest.mark.parametrize(
    ("now", "rates", "reason"),
    [
        ([entry(12.0)], [entry(0.0)], "undefined"),
        ([entry(12.0)], [entry(-1.0)], "undefined"),
        ([entry(41.0)], [entry(1.0)], "undefined"),
        ([entry(12.0)], [], "incomplete"),
        ([entry(12.0)], [entry(None)], "incomplete"),
        ([entry(12.0)], [entry(None, reason="warming")], "warming"),
        ([entry(None)], [entry(1.0)], "incomplete"),
    ],
)
def test_the_formula_is_null_where_nothing_comes(
    now: list[Entry], rates: list[Entry], reason: str
) -> None:
    (found,) = minutes_of(now, rates)
    assert (found.value, found.reason) == (None, reason)


# --- episodes ------------------------------------------------------------------------------------

EARLY = Early(within_min=15, rate="t.rise")


def steps_of(rule: Rule, values: list[tuple[float, float | None]]) -> list[Any]:
    """Transitions and levels of values a minute apart, each with its rate."""
    episode, told = Episode(), list[Any]()
    for minute, (value, rate) in enumerate(values, 1):
        early = early_of(rule, value, rate)
        level = 0 if early is None else early.level
        said = advance(episode, rule, minute * MINUTE, value, level)
        told.append((said, episode.level) if said else None)
    return told


def test_an_alert_is_a_level_graver_while_the_value_comes_to_it() -> None:
    alert = AlertRule(deadband=1, off_delay_s=120, early=EARLY)
    rule = Rule.of(levels("ge", **HIGH), alert)
    assert steps_of(
        rule,
        [
            (2.0, 0.5),  # 16 minutes to 10
            (2.5, 0.5),  # 15 are not less than 15
            (3.0, 0.5),  # 14
            (11.0, 0.2),  # 20 minutes to 15: blue by itself
            (12.5, 0.5),  # 5 minutes to 15
            (12.5, None),  # nothing tells the rate
            (12.5, 0.0),
            (12.5, 0.0),  # two minutes without
            (8.0, -1.0),
            (8.0, 0.0),
            (8.0, 0.0),
        ],
    ) == [
        None,
        None,
        ("raised", 1),
        None,
        ("escalated", 2),
        None,
        None,
        ("deescalated", 1),
        ("clearing", 1),
        None,
        ("cleared", 1),
    ]


@given(st.lists(st.tuples(numbers, st.none() | numbers), max_size=30), st.booleans())
def test_without_early_or_a_rate_it_is_as_ever(
    values: list[tuple[float, float | None]], early: bool
) -> None:
    plain = Rule.of(levels("ge", **HIGH), AlertRule(deadband=1))
    rule = Rule.of(levels("ge", **HIGH), AlertRule(deadband=1, early=EARLY if early else None))
    if early:
        values = [(value, None) for value, _ in values]
    assert steps_of(rule, values) == steps_of(plain, [(value, None) for value, _ in values])


@given(st.lists(st.tuples(numbers, numbers), max_size=30))
def test_at_most_one_level_early(values: list[tuple[float, float]]) -> None:
    rule = Rule.of(levels("ge", **HIGH), AlertRule(early=EARLY))
    for value, rate in values:
        own = rule.scale.level(value)
        found = early_of(rule, value, rate)
        if found is not None:
            assert found.level == own + 1
            assert value + 15 * rate > found.threshold > value
    steps = sorted(HIGH.values())
    assert all(low < high for low, high in pairwise(steps))
