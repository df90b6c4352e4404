"""Formulas over several measures, indices of domains, and the strongest of the past."""

from __future__ import annotations

from typing import Any

import pytest

from agents.derived import formula_of
from agents.entries import Entry
from schemas.signs import DerivedSign
from tests.agents.test_derived import MINUTE, MINUTELY, Said, derived, entry

WATER = {"do": "w.do", "nh3n": "w.nh3n", "ph": "w.ph"}


def found(sign: DerivedSign, said: dict[tuple[str, int], list[Entry]], end: int = 3) -> list[Entry]:
    return formula_of(sign, MINUTELY, "UTC").entries(end * MINUTE, Said(said))


def water(at_least: int = 2, **fields: Any) -> DerivedSign:
    formula = {"name": "water_class", "of": WATER, "at_least": at_least, **fields}
    return derived(formula, ["site"])


def test_the_worst_factor_is_the_class() -> None:
    said = {
        ("w.do", 3): [entry("s1", 5.5), entry("s2", 8.0)],
        ("w.nh3n", 3): [entry("s1", 1.7), entry("s2", 0.1)],
        ("w.ph", 3): [entry("s1", 7.0), entry("s2", 9.5)],
    }
    one, two = found(water(), said)
    assert (one.key, one.value, one.n, one.coverage) == ("s1", 5.0, 6, 1.0)
    assert one.detail == {"of": {"do": 3, "nh3n": 5, "ph": 1}, "missing": []}
    assert (two.key, two.value) == ("s2", 6.0)


def test_too_few_factors_are_no_class() -> None:
    said = {("w.do", 3): [entry("s1", 5.5)], ("w.nh3n", 3): [entry("s1", None)]}
    (one,) = found(water(), said)
    assert (one.value, one.reason) == (None, "incomplete")
    (one,) = found(water(1), said)
    assert (one.value, one.reason) == (3.0, None)
    assert one.coverage == pytest.approx(1 / 3)
    assert one.detail == {"of": {"do": 3}, "missing": ["nh3n", "ph"]}
    warming = {("w.do", 3): [entry("s1", None, reason="warming")]}
    assert found(water(1), warming)[0].reason == "warming"


def test_news2_is_a_sum() -> None:
    measures = ("resp", "spo2", "sbp", "hr", "body_temperature")
    formula = {"name": "news2", "of": {m: f"c.{m}" for m in measures}, "at_least": 2}
    said = {("c.hr", 3): [entry("p", 115.0)], ("c.spo2", 3): [entry("p", 92.0)]}
    (one,) = found(derived(formula, ["site"]), said)
    assert (one.value, one.detail) == (
        4.0,
        {"of": {"spo2": 2, "hr": 2}, "missing": ["resp", "sbp", "body_temperature"]},
    )


def test_the_largest_of_the_past() -> None:
    formula = {"name": "past_max", "of": "a.sign", "windows": 3, "step_s": 60, "at_least": 2}
    said = {("a.sign", n): [entry("s", v)] for n, v in ((1, 4.0), (2, 9.0), (3, 5.0))}
    (one,) = found(derived(formula, ["site"]), said)
    assert (one.value, one.n, one.coverage) == (9.0, 6, 1.0)


def place(value: float | None, level: int | None, code: str = "440106") -> Entry:
    reason: Any = None if value is not None else "uncovered"
    return Entry("district", code, code, value, 1, 1.0, reason, level)


def test_each_domain_has_its_own_index() -> None:
    """100 less the penalties: levels 0 and 2 of two signs take 0 and 25."""
    domains = [
        {"domain": "air", "of": [{"sign": "air.a", "weight": 1}, {"sign": "air.b", "weight": 1}]},
        {"domain": "fire", "of": [{"sign": "fire.a", "weight": 1}]},
    ]
    sign = derived({"name": "domain_index", "domains": domains}, ["domain*district"])
    said = {
        ("air.a", 3): [place(1.0, 0)],
        ("air.b", 3): [place(2.0, 2), place(2.0, 4, "440111")],
        ("fire.a", 3): [place(None, None)],
    }
    rows = [(e.level, e.key, e.place, e.value, e.coverage) for e in found(sign, said)]
    assert rows == [
        ("domain*district", "air*440106", "440106", 75.0, 1.0),
        ("domain*district", "air*440111", "440111", 0.0, 0.5),
        ("domain*district", "fire*440106", "440106", None, 0.0),
    ]


def test_a_join_of_enough() -> None:
    formula = {"name": "combine", "of": ["a.a", "a.b", "a.c"], "how": "max", "at_least": 1}
    said = {("a.b", 3): [entry("x", 0.7)], ("a.c", 3): [entry("x", None)]}
    (one,) = found(derived(formula, ["site"]), said)
    assert (one.value, one.reason) == (0.7, None)
    assert one.coverage == pytest.approx(1 / 3)
