"""The shipped catalogue: complete and sourced."""

from __future__ import annotations

import pytest

from schemas.configuration import Configuration
from schemas.loading import load
from schemas.signs import DerivedSign, EventSign, WindowSign


@pytest.fixture(scope="module")
def catalogue() -> Configuration:
    return load(environ={})


def test_it_has_signs_of_every_kind_over_three_topics(catalogue):
    assert len(catalogue.signs) >= 40
    assert {sign.kind for sign in catalogue.signs} == {
        "window",
        "sampled",
        "history",
        "derived",
        "live",
    }
    rollups = {sign.rollup for sign in catalogue.signs if isinstance(sign, WindowSign)}
    assert {"merge", "max", "mean"} <= rollups
    topics = {sign.topic for sign in catalogue.signs if isinstance(sign, EventSign)}
    assert topics == {"sensor", "traffic", "hotline", "external", "arrivals", "orders"}
    formulas = {sign.formula.name for sign in catalogue.signs if isinstance(sign, DerivedSign)}
    assert formulas == {
        "past_mean",
        "past_max",
        "children_at_level",
        "level_index",
        "children",
        "domain_index",
        "overall_index",
        "aqi",
        "water_class",
        "news2",
        "combine",
        "lag",
        "ratio_to_baseline",
    }


def test_every_sign_says_where_it_comes_from(catalogue):
    for sign in catalogue.signs:
        assert sign.source
        assert sign.id.split(".")[0] == sign.domain
        if sign.levels is not None:
            assert sign.levels.source
            assert sign.levels.standing


@pytest.mark.parametrize(
    ("name", "compare", "thresholds", "deadband", "on_delay_s", "off_delay_s"),
    [
        ("traffic.tpi", "ge", (4, 6, 8, 9), 0.3, 300, 600),
        ("traffic.incidents", "ge", (3, 5, 8, 12), 0, 0, 60),
        ("traffic.parking_occupancy", "ge", (85, 92, 97, 100), 2, 300, 600),
        ("meteo.rain_1h", "ge", (20, 30, 50, 80), 2, 0, 60),
        ("meteo.temp_max", "ge", (None, 35, 37, 40), 0.3, 0, 60),
        ("drain.depth", "ge", (10, 15, 25, 40), 2, 60, 600),
        ("drain.points", "ge", (1, 3, 5, 10), 0, 120, 240),
        ("air.pm25_1h", "gt", (60, 115, 150, 250), 5, 600, 1200),
        # From 2031-01-01.
        ("air.pm25_24h", "gt", (50, 115, 150, 250), 0, 0, 60),
        ("hotline.urgent", "ge", (1, 2, 3, 5), 0, 0, 60),
        ("city.health_index", "lt", (85, 75, 60, 40), 0, 0, 60),
    ],
)
def test_levels_are_those_of_the_source(
    catalogue, name, compare, thresholds, deadband, on_delay_s, off_delay_s
):
    sign = catalogue.sign[name]
    given = sign.levels.thresholds
    assert (given.blue, given.yellow, given.orange, given.red) == thresholds
    assert sign.levels.compare == compare
    rule = (sign.alert.deadband, sign.alert.on_delay_s, sign.alert.off_delay_s)
    assert rule == (deadband, on_delay_s, off_delay_s)


def test_lateness_is_that_of_the_source(catalogue):
    lateness = {topic.kind: topic.allowed_lateness_s for topic in catalogue.topics}
    assert lateness == {"sensor": 300, "traffic": 120, "hotline": 86400, "external": 600}


def test_every_domain_has_an_index_of_districts_and_of_the_city(catalogue):
    """An index has a value where any of its signs has a key and levels."""
    (index,) = (s for s in catalogue.signs if s.id == "city.domain_index")
    assert {"domain*street", "domain*district", "domain*city"} == set(index.keys)
    for domain in index.formula.domains:
        signs = [catalogue.sign[each.sign] for each in domain.of]
        assert all(sign.levels is not None for sign in signs)
        keys = {key for sign in signs for key in sign.keys}
        assert {"district", "city"} <= keys, domain.domain


def test_what_is_weighed_elsewhere_overloads_no_bridge(catalogue):
    for name in ("lifeline.bridge_overload", "lifeline.heavy_vehicles"):
        assert catalogue.sign[name].match == {"metric": "axle_weight", "site_type": "bridge"}
