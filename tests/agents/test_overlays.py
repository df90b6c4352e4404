"""Overlays: other thresholds and delays of alerts while something is on, and back."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.configuration import Configuration
from schemas.documents import ConfigurationError
from schemas.loading import CATALOGUE, load
from tests.rules.incident_runs import (
    DISTRICT,
    GRID,
    MINUTE,
    Alert,
    Event,
    alerts_of,
    clock,
    of,
    only,
    reading,
    warning,
)
from tests.selection import without_lost_rates

DAY = 1_780_848_000_000
"""2026-06-08 00:00 in Guangzhou."""
FLOOD = {"drain.depth"}


def at(text: str) -> int:
    return clock(DAY, text)


def with_overlay(overlay: dict[str, Any], *incidents: str) -> Configuration:
    """The depth of the road, storm mode if it is asked for, and an overlay."""
    content = only({"ce.waterlogging", *incidents}).model_dump(mode="json")
    content["incidents"] = [one for one in content["incidents"] if one["id"] in incidents]
    kept = {"drain.depth", "meteo.rain_1h", "meteo.warning_rain", "meteo.warning_typhoon"}
    if incidents:
        kept |= {"meteo.city_warning_rain", "meteo.city_warning_typhoon"}
    content["signs"] = [one for one in content["signs"] if one["id"] in kept]
    without_lost_rates(content)
    filled = {"name": {"zh": "x", "en": "x"}, "source": "tests"}
    content["overlays"] = [{**filled, **overlay}]
    return Configuration.model_validate(content)


def depth(begin: str, end: str, cm: float, place: str = GRID) -> list[Event]:
    times = range(at(begin), at(end), MINUTE // 2)
    return [reading(t, "water_depth", cm, f"wg{place}", place=place) for t in times]


def told(alerts: list[Alert]) -> list[tuple[int, str, int, str | None]]:
    """Minutes after 06:00, what, the level, and the overlay."""
    found = of(alerts, "drain.depth")
    zero = at("06:00")
    return [
        ((a["t_update"] - zero) // MINUTE, a["transition"], a["level"], a["why"]["overlay"])
        for a in found
    ]


FAIR = {
    "id": "fair",
    "periods": [{"since": "2026-06-08T06:20:00+08:00", "until": "2026-06-08T07:00:00+08:00"}],
}
HIGH = [{"sign": "drain.depth", "thresholds": {"yellow": 20, "red": 60}, "off_delay_s": 120}]


def test_thresholds_change_at_an_event_time_and_change_back() -> None:
    """17 cm all the time: yellow by the catalogue, nothing by the fair, whose off-delay counts."""
    alerts = alerts_of(with_overlay({**FAIR, "changes": HIGH}), depth("06:00", "07:30", 17))
    assert told(alerts) == [
        (3, "raised", 2, None),
        (20, "clearing", 2, "fair"),
        (22, "cleared", 2, "fair"),
        (61, "raised", 2, None),
    ]


def test_a_silent_overlay_raises_none() -> None:
    changes = [{"sign": "drain.depth", "silent": True}]
    alerts = alerts_of(with_overlay({**FAIR, "changes": changes}), depth("06:25", "06:50", 45))
    assert told(alerts) == []


def test_it_is_on_at_its_places_alone() -> None:
    changes = [{"sign": "drain.depth", "thresholds": {"blue": 5}}]
    overlay = {**FAIR, "changes": changes, "places": [DISTRICT]}
    elsewhere = "440106001001001"
    events = depth("06:25", "06:50", 7) + depth("06:25", "06:50", 7, elsewhere)
    alerts = of(alerts_of(with_overlay(overlay), events), "drain.depth")
    assert {a["place"] for a in alerts} == {GRID}


def test_storm_mode_takes_the_delay_away_while_it_stands() -> None:
    changes = [{"sign": "drain.depth", "on_delay_s": 0}]
    overlay = {"id": "storm", "incident": "ce.storm_mode", "changes": changes}
    configuration = with_overlay(overlay, "ce.storm_mode")
    calm = alerts_of(configuration, depth("06:00", "06:15", 1) + depth("06:15", "06:40", 17))
    events = [warning(at("06:05:10"), "rain", 3, at("06:35")), *depth("06:00", "06:15", 1)]
    storm = alerts_of(configuration, events + depth("06:15", "06:40", 17))
    (calmly, *_), (at_once, *_) = told(calm), told(storm)
    # The median of two minutes is at 17 cm with three of its four readings.
    assert of(storm, "drain.depth")[0]["t_update"] == at("06:16:30")
    assert of(calm, "drain.depth")[0]["t_update"] == at("06:17:30")
    assert (calmly[1:], at_once[1:]) == (("raised", 2, None), ("raised", 2, "storm"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("incident: ce.storm_mode", "incident: ce.storm", "unknown incident 'ce.storm'"),
        ("sign: drain.depth,", "sign: drain.dept,", "unknown sign 'drain.dept'"),
        ("{sign: drain.depth,", "{sign: traffic.flow,", "raises no alert that could be changed"),
        ("orange: 9, red: 9.5", "orange: 9, red: 8", "must rise: compare is ge"),
        ('until: "2026-11-05T', 'until: "2026-09-05T', "is not after since"),
        ("    incident: ce.storm_mode\n", "", "takes incident or periods"),
        ('["440105"]', '["44"]', "overlays.1.places.0"),
    ],
)
def test_what_is_wrong_with_an_overlay_is_told(
    old: str, new: str, message: str, tmp_path: Any
) -> None:
    for file in CATALOGUE.glob("*.yaml"):
        text = file.read_text("utf-8")
        changed = text.replace(old, new) if file.name == "overlays.yaml" else text
        (tmp_path / file.name).write_text(changed, "utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, environ={})
    assert message in str(refused.value)
