"""Five hours of a small city: what was planted is found, once, and little else is said."""

from __future__ import annotations

from typing import Any

import pytest

from agents.city import MINUTE_MS, START_MS, Episode
from agents.city.devices import build_fleet
from agents.plan import compile_plan
from schemas.loading import load
from tests.bench.episodes import measure
from tests.bench.evidence import EVIDENCE, Matcher, Where
from tests.bench.scoring import lives_of, score

ONSET = START_MS + 100 * MINUTE_MS
END = ONSET + 30 * MINUTE_MS


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """Two storms with their waterlogging, a burst, a jam, and a site that flaps."""
    return measure(12, 0.05, 300, 7)


def test_thresholds_find_what_they_measure(report: dict[str, Any]) -> None:
    found = {row["kind"]: (row["planted"], row["found"]) for row in report["kinds"]}
    assert report["remainder"] == 0
    assert found["storm"] == found["waterlogging"] == (2, 2)
    assert found["congestion"] == found["complaint_burst"] == (1, 1)


def test_a_flapping_site_is_one_episode_of_the_list(report: dict[str, Any]) -> None:
    """Its depth crosses the threshold again and again; places above it have the same depth."""
    (flap,) = report["flapping"]
    assert flap["sign"] == "drain.depth"
    assert flap["level_changes"] > 10
    assert flap["episodes"] == flap["with_places"] == 1
    assert flap["transitions"] <= 4


def test_the_list_is_quiet(report: dict[str, Any]) -> None:
    assert report["alerts"]["chattering"] == {}
    assert max((row["alerts"] for row in report["false"]["by_rule"]), default=0) <= 1
    assert report["false"]["alerts"] <= 2


def episode(kind: str, signal: str, place: str, *devices: str) -> Episode:
    return Episode(kind, place, signal, ONSET, END, 1.0, "1", devices)


STORM = episode("storm", "rain", "440111")
BURST = episode("complaint_burst", "停水", "440111011")
FLAPS = episode("flapping", "water_depth", "440103", "jsa-440103-00000", "jsb-440103-00000")
DEATH = episode("sensor_death", "rain", "440103", "yl-440103-00000")


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    plan = compile_plan(load(environ={}))
    return Matcher(plan, build_fleet(0.1), [STORM, BURST, FLAPS, DEATH])


@pytest.mark.parametrize(
    ("rule", "key_level", "key", "place", "found", "explained"),
    [
        ("meteo.rain_1h", "district", "440111", "440111", [STORM], []),
        ("meteo.rain_1h", "street", "440111011", "440111011", [STORM], []),
        ("meteo.rain_1h", "city", "4401", "4401", [], [STORM]),
        ("meteo.rain_1h", "district", "440103", "440103", [], []),
        ("traffic.tpi", "district", "440111", "440111", [], [STORM]),
        ("drain.depth", "district", "440111", "440111", [], []),
        ("hotline.topic_burst", "category*district", "停水*440111", "440111", [BURST], []),
        ("hotline.topic_burst", "category*city", "停水*4401", "4401", [], [BURST]),
        ("hotline.topic_burst", "category*district", "停电*440111", "440111", [], []),
        ("hotline.open_age_p90", "department*city", "440111-shuiwu*4401", "4401", [], []),
        ("drain.depth", "site", "underpass-440103-00000", "440103001", [FLAPS], []),
        ("drain.depth", "site", "underpass-440103-00011", "440103002", [], []),
        ("drain.rise_rate", "site", "underpass-440103-00000", "440103001", [], [FLAPS]),
        ("iot.online_rate", "platform*city", "gz-meteo*4401", "4401", [DEATH], []),
        ("iot.online_rate", "platform*city", "gz-drain*4401", "4401", [], []),
        ("iot.online_rate", "district", "440103", "440103", [DEATH], []),
        ("iot.online_rate", "city", "4401", "4401", [], [DEATH]),
    ],
)
def test_what_counts_as_what(
    matcher: Matcher,
    rule: str,
    key_level: str,
    key: str,
    place: str,
    found: list[Episode],
    explained: list[Episode],
) -> None:
    about = Where(rule, key_level, key, place, ONSET + MINUTE_MS)
    assert matcher.explain(about) == (found, explained)


@pytest.mark.parametrize(
    ("onset", "counts"),
    [
        (ONSET, False),
        (ONSET + 1, True),
        (END + 61 * MINUTE_MS, True),
        (END + 61 * MINUTE_MS + 1, False),
    ],
)
def test_an_alert_begins_within_the_episode_or_the_memory_of_its_sign(
    matcher: Matcher, onset: int, counts: bool
) -> None:
    """An hour of rain and a hop of a minute."""
    about = Where("meteo.rain_1h", "district", "440111", "440111", onset)
    assert matcher.explain(about)[0] == ([STORM] if counts else [])


def test_every_sign_of_the_table_is_in_the_catalogue() -> None:
    configuration = load(environ={})
    signs = {one.id for one in (*configuration.signs, *configuration.incidents)}
    named = {rule for evidence in EVIDENCE.values() for group in evidence for rule in group}
    assert named <= signs


def transition(number: int, state: str, minute: int, *, raised: int) -> tuple[int, dict[str, Any]]:
    """A transition of the alert that was raised in a minute of the city."""
    t = START_MS + minute * MINUTE_MS
    return t + MINUTE_MS, {
        "alert_id": str(number),
        "rule": "meteo.rain_1h",
        "kind": "threshold",
        "key_level": "district",
        "key": "440103",
        "place": "440103",
        "t_onset": START_MS + raised * MINUTE_MS,
        "t_raised": START_MS + raised * MINUTE_MS,
        "t_cleared": t if state == "cleared" else None,
        "value": 20.0,
        "level": 1,
        "max_level": 2 if state == "escalated" else 1,
    }


def test_rates_of_change_of_the_list(matcher: Matcher) -> None:
    """Raised, cleared, and raised again half an hour later; it stands to the end of the run."""
    log = [
        transition(1, "raised", 10, raised=10),
        transition(1, "escalated", 12, raised=10),
        transition(1, "cleared", 20, raised=10),
        transition(2, "raised", 50, raised=50),
    ]
    lives = lives_of(log)
    report = score([], lives, [], matcher, 2.0)
    assert [(life.transitions, life.max_level) for life in lives] == [(3, 2), (1, 1)]
    assert report["false"]["per_day"] == 1.0
    assert report["false"]["by_day"] == [2, 0]
    assert report["alerts"]["transitions_mean"] == 2.0
    assert report["alerts"]["reraised_within_hour"] == {"meteo.rain_1h": 1}
    assert report["alerts"]["standing_over_24h"] == {"meteo.rain_1h": 1}
    assert report["alerts"]["chattering"] == {}
