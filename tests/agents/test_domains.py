"""The index over domains: a weighted mean that a red sign of a critical domain caps."""

from __future__ import annotations

from typing import Any

import pytest

from agents.derived import formula_of
from agents.entries import Entry
from tests.agents.test_derived import MINUTE, MINUTELY, Said, derived

DISTRICT, STREET = "440106", "440106001"


def overall(at_least: int = 2, **fields: Any) -> Any:
    domains = [{"domain": name, "weight": 1} for name in ("air", "drain", "fire", "traffic")]
    formula = {"name": "overall_index", "of": "a.domains", "domains": domains, "cap": 59}
    formula |= {"critical": ["drain", "fire"], "at_least": at_least, **fields}
    return derived(formula, ["street", "district"])


def index(domain: str, value: float | None, place: str = DISTRICT, **detail: Any) -> Entry:
    level = "district" if place == DISTRICT else "street"
    reason: Any = detail.pop("reason", None if value is not None else "uncovered")
    name = (f"domain*{level}", f"{domain}*{place}")
    found = {"levels": {}, **detail} if value is not None or detail else None
    return Entry(*name, place, value, 1, 1.0, reason, 0 if value else None, detail=found)


def said_of(*entries: Entry, **fields: Any) -> list[Entry]:
    found = Said({("a.domains", 3): list(entries)})
    return formula_of(overall(**fields), MINUTELY, "UTC").entries(3 * MINUTE, found)


def value_of(*entries: Entry, **fields: Any) -> float | None:
    (one,) = said_of(*entries, **fields)
    return one.value


def test_it_is_the_weighted_mean_of_the_domains() -> None:
    entries = [index("air", 90.0), index("traffic", 60.0)]
    assert value_of(*entries) == 75.0
    weights = [{"domain": "air", "weight": 2}, {"domain": "traffic", "weight": 1}]
    assert value_of(*entries, domains=weights, critical=[]) == 80.0


def test_a_red_sign_of_a_critical_domain_caps_it_until_it_is_over() -> None:
    """Of four signs of drainage one is red: the domain is at 75, all at 93.75, the city at 59."""
    good = [index(name, 100.0) for name in ("air", "fire", "traffic")]
    levels = {"drain.depth": 4, "drain.points": 0, "drain.cover_open": 0, "drain.river_over": 0}
    (one,) = said_of(*good, index("drain", 75.0, levels=levels))
    assert one.value == 59.0
    assert one.detail is not None
    assert one.detail["capped_by"] == ["drain.depth"]
    assert one.detail["levels"] == {"drain.depth": 4}
    assert one.detail["domains"] == {"air": 100.0, "drain": 75.0, "fire": 100.0, "traffic": 100.0}
    # Orange is not red: 100 less an eighth of 50, by four domains.
    (one,) = said_of(*good, index("drain", 87.5, levels={**levels, "drain.depth": 3}))
    assert (one.value, one.detail and one.detail["capped_by"]) == (96.875, [])


def test_other_domains_do_not_cap_and_what_is_worse_stays() -> None:
    red = index("air", 0.0, levels={"air.pm25_1h": 4})
    assert value_of(red, index("traffic", 100.0), index("fire", 100.0)) == pytest.approx(200 / 3)
    levels = {"fire.alarms": 4}
    assert value_of(index("fire", 0.0, levels=levels), index("traffic", 50.0)) == 25.0


def test_a_red_sign_counts_however_little_of_it_is_covered() -> None:
    scant = index("fire", None, levels={}, uncovered={"fire.alarms": 4, "fire.cable_temp": 0})
    (one,) = said_of(index("air", 100.0), index("traffic", 100.0), scant)
    assert (one.value, one.coverage) == (59.0, 0.5)
    assert one.detail
    assert one.detail["capped_by"] == ["fire.alarms"]


def test_missing_domains_are_told_by_the_coverage_and_too_few_are_none() -> None:
    both = [index("air", 80.0), index("traffic", 60.0)]
    (one,) = said_of(*both, index("drain", None))
    assert (one.value, one.n, one.coverage, one.reason) == (70.0, 2, 0.5, None)
    (one,) = said_of(*both, index("drain", None), at_least=3)
    assert (one.value, one.coverage, one.reason) == (None, 0.5, "uncovered")
    (one,) = said_of(index("air", None, reason="warming"))
    assert (one.value, one.coverage, one.reason) == (None, 0.0, "warming")


def test_each_place_is_by_itself() -> None:
    street = [index("air", 50.0, STREET), index("fire", 40.0, STREET)]
    found = said_of(*street, index("air", 90.0), index("fire", 100.0), index("hotline", 0.0))
    assert [(e.level, e.key, e.place, e.value) for e in found] == [
        ("district", DISTRICT, DISTRICT, 95.0),
        ("street", STREET, STREET, 45.0),
    ]


def test_a_domain_counts_signs_that_are_covered() -> None:
    """Half of what a sign needs is enough; with less it is named and does not count."""
    signs = [{"sign": f"fire.{name}", "weight": 1} for name in ("a", "b", "c")]
    formula = {"name": "domain_index", "domains": [{"domain": "fire", "of": signs}]}
    sign = derived({**formula, "least_coverage": 0.5}, ["domain*district"])

    def rated(level: int, coverage: float) -> Entry:
        return Entry("district", DISTRICT, DISTRICT, 1.0, 1, coverage, None, level)

    def found(*entries: Entry) -> Entry:
        said = {(f"fire.{name}", 3): [e] for name, e in zip("abc", entries, strict=False)}
        (one,) = formula_of(sign, MINUTELY, "UTC").entries(3 * MINUTE, Said(said))
        return one

    one = found(rated(2, 0.5), rated(0, 1.0), rated(4, 0.4))
    assert (one.value, one.coverage) == (75.0, pytest.approx(2 / 3))
    levels, scant = {"fire.a": 2, "fire.b": 0}, {"fire.c": 4}
    assert one.detail == {"levels": levels, "uncovered": scant}
    # Nothing is left of 100 less 25 and 100, however good the third is.
    one = found(rated(2, 1.0), rated(0, 1.0), rated(4, 1.0))
    assert (one.value, one.coverage) == (0.0, 1.0)
    one = found(rated(4, 0.1))
    assert (one.value, one.reason, one.coverage) == (None, "uncovered", 0.0)
    assert one.detail == {"levels": {}, "uncovered": {"fire.a": 4}}
