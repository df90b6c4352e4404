"""The waterlogging of the domain report, minute by minute: with everything, with a dead gauge, with
citizens alone, and with nothing but a gauge that shouts.

The times are worked out here from the rule: a depth counts when the median of two minutes has been
at 15 cm for two minutes, rain when the hour's sum is at 20 mm, citizens when two of them called
within half an hour; everything is judged at whole half minutes.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.rules.incident_runs import (
    DISTRICT,
    GRID,
    MINUTE,
    Alert,
    Event,
    alerts_of,
    call,
    clock,
    of,
    only,
    reading,
)

# 2026-06-08 00:00 in Guangzhou.
at = partial(clock, 1_780_848_000_000)
NAMES = ("ce.waterlogging", "ce.citizen_hotspot", "ce.sensor_fault")
RULE = "ce.waterlogging"


def rain(falling: dict[str, float], until: str = "09:30") -> list[Event]:
    """A gauge every minute from 05:20 on: so many mm in the minutes that begin at a time."""
    steps = [*sorted((at(time), mm) for time, mm in falling.items()), (at(until), 0.0)]
    events = [reading(t, "rain", 0.0, "rg") for t in range(at("05:20"), steps[0][0], MINUTE)]
    for (begin, mm), (end, _) in pairwise(steps):
        events += [reading(t, "rain", mm, "rg") for t in range(begin, end, MINUTE)]
    return events


def depth(levels: dict[str, float], until: str = "09:30") -> list[Event]:
    """A gauge every half minute from 06:00 on: so many cm from each of these times on."""
    steps = [(at("06:00"), 0.0), *sorted((at(x), cm) for x, cm in levels.items()), (at(until), 0.0)]
    return [
        reading(t, "water_depth", cm, "wg")
        for (begin, cm), (end, _) in pairwise(steps)
        for t in range(begin, end, MINUTE // 2)
    ]


# 2 mm a minute for the eleven minutes that begin at 06:22: the hour that ends at 06:32 has 20 mm.
SHOWER = {"06:22": 2.0, "06:33": 0.0}
FLOOD = {"06:37": 16.0, "06:48": 41.0, "06:55": 20.0, "07:00": 5.0}


def story(alerts: list[Alert]) -> list[tuple[str, str, int]]:
    """When, what, and the level, of the incident."""
    return [(_time(a["t_update"]), a["transition"], a["level"]) for a in of(alerts, RULE)]


def _time(t: int) -> str:
    return f"{datetime.fromtimestamp(t / 1000, ZoneInfo('Asia/Shanghai')):%H:%M:%S}"


def test_the_worked_example_minute_by_minute() -> None:
    events = rain(SHOWER) + depth(FLOOD)
    events += [call(at("06:41:20"), "内涝积水", "a"), call(at("06:42:30"), "内涝积水", "b")]
    alerts = alerts_of(only(NAMES), events)
    assert story(alerts) == [
        # 16 cm are the median of the two minutes that end at 06:38:30, with three of four readings.
        ("06:40:30", "raised", 2),
        # The second caller is known with the minute that ends at 06:43.
        ("06:43:00", "escalated", 3),
        # 41 cm from 06:48 on are the median of the two minutes that end at 06:49:30.
        ("06:49:30", "escalated", 4),
        # 12.5 cm between 20 and 5 are the median at 07:01: over, and cleared ten minutes later.
        ("07:01:00", "clearing", 4),
        ("07:11:00", "cleared", 4),
    ]
    raised, escalated = of(alerts, RULE)[:2]
    assert (raised["key_level"], raised["key"], raised["place"]) == ("grid", GRID, GRID)
    assert (raised["certainty"], escalated["certainty"]) == ("likely", "observed")
    assert [(e["condition"], e["holds"]) for e in raised["why"]["evidence"]] == [
        ("rain", True),
        ("depth", True),
        ("citizens", False),
    ]
    told = {e["condition"]: e for e in escalated["why"]["evidence"]}
    assert (told["rain"]["sign"], told["rain"]["key"]) == ("meteo.rain_1h", DISTRICT)
    assert (told["rain"]["value"], told["depth"]["value"]) == (22.0, 16.0)
    # From where single citizens call is not told.
    assert (told["citizens"].get("key"), told["citizens"]["value"]) == (None, 2.0)


def test_children_are_suppressed_while_it_stands_and_they_are_not_graver() -> None:
    alerts = alerts_of(only(NAMES), rain(SHOWER) + depth(FLOOD))
    incident = of(alerts, RULE)[0]
    told = [
        (_time(a["t_update"]), a["transition"], a["level"], a["suppressed_by"])
        for a in of(alerts, "drain.depth")
    ]
    assert told == [
        ("06:39:00", "raised", 3, None),
        # The incident is raised at level 2 at 06:40:30: the water alone is graver than that.
        ("06:49:00", "escalated", 4, None),
        # At 06:49:30 the incident is as grave as the water.
        ("06:49:30", "suppressed", 4, incident["alert_id"]),
        ("07:01:30", "clearing", 4, incident["alert_id"]),
        ("07:11:00", "unsuppressed", 4, None),
        ("07:11:30", "cleared", 4, None),
    ]
    assert incident["suppresses"] == ["drain.depth", "drain.rise_rate", "hotline.topic_burst"]


def test_with_a_dead_gauge_rain_and_two_citizens_are_enough() -> None:
    events = rain(SHOWER)
    events += [call(at("06:41:20"), "内涝积水", "a"), call(at("06:42:30"), "内涝积水", "b")]
    alerts = alerts_of(only(NAMES), events)
    # Both called in the half hour that ends at 07:11, and in none from 07:12 on.
    assert story(alerts) == [
        ("06:43:00", "raised", 2),
        ("07:12:00", "clearing", 2),
        ("07:22:00", "cleared", 2),
    ]
    missing = next(e for e in of(alerts, RULE)[0]["why"]["evidence"] if e["condition"] == "depth")
    assert missing == {"condition": "depth", "holds": False}
    assert of(alerts, RULE)[0]["why"]["coverage"] == 2 / 3


def test_one_citizen_who_calls_twice_is_one() -> None:
    events = rain(SHOWER)
    events += [call(at("06:41:20"), "内涝积水", "a"), call(at("06:42:30"), "内涝积水", "a")]
    assert story(alerts_of(only(NAMES), events)) == []


def test_citizens_alone_are_a_hot_spot_and_no_flood() -> None:
    dry = rain({"06:22": 0.0})
    calls = [call(at("06:41") + i * MINUTE, "内涝积水", "abcab"[i]) for i in range(5)]
    alerts = alerts_of(only(NAMES), dry + calls)
    assert story(alerts) == []
    (hotspot,) = of(alerts, "ce.citizen_hotspot")
    assert (hotspot["transition"], hotspot["level"]) == ("raised", 1)
    assert hotspot["key"] == f"内涝积水*{GRID[:12]}"


def test_a_gauge_that_shouts_alone_is_a_fault() -> None:
    dry = rain({"06:22": 0.0})
    alerts = alerts_of(only(NAMES), dry + depth({"08:30": 18.0}))
    assert story(alerts) == []
    (fault,) = of(alerts, "ce.sensor_fault")
    assert (fault["transition"], fault["level"], fault["key"]) == ("raised", 1, "wg")


def test_what_held_already_raises_it_no_more_but_new_water_does() -> None:
    events = rain({"06:22": 2.0, "07:50": 0.0}) + depth(FLOOD | {"07:30": 18.0})
    found = story(alerts_of(only(NAMES), events))
    assert found[1:] == [
        # The median between 16 and 41 is 28.5 cm at 06:49.
        ("06:49:00", "escalated", 3),
        ("06:49:30", "escalated", 4),
        ("07:01:00", "clearing", 4),
        ("07:11:00", "cleared", 4),
        # The rain goes on and raises nothing; the road under water again does.
        ("07:33:30", "raised", 2),
    ]


def test_without_news_of_the_gauge_it_is_not_over() -> None:
    """The gauge dies under water: the incident stands as long as what else is known holds."""
    events = rain({"06:22": 2.0, "08:00": 0.0}) + depth({"06:37": 16.0}, until="06:50")
    events += [call(at("06:41:20"), "内涝积水", "a"), call(at("06:42:30"), "内涝积水", "b")]
    found = story(alerts_of(only(NAMES), events))
    assert [(what, level) for _, what, level in found][:2] == [("raised", 2), ("escalated", 3)]
    assert all(t > "07:12:00" for t, what, _ in found if what in ("clearing", "cleared"))
