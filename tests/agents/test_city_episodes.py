"""Episodes of the simulated city: chosen in number, and seen in what the city says."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest

from agents.city import MINUTE_MS, START_MS, City, Disorder, Episode, Shares
from agents.city.devices import NOISE_ZONES
from agents.city.rhythm import DAY

CALM = Disorder(0.0, 0.0, 0.0, 0.0, 0.0)
PLAIN = Shares(overtaken=0.0, uncategorised=0.0)
WEEK = 7 * DAY


def first(city: City, kind: str, days: int = 5) -> Episode:
    return next(one for one in city.episodes(days * DAY) if one.kind == kind)


def events(city: City, minutes: range) -> list[tuple[int, dict[str, Any]]]:
    """Minute of each event, and the event."""
    found = []
    for k in minutes:
        for one in city.minute(k):
            event = json.loads(one.value)
            found.append(((event["t"] - START_MS) // MINUTE_MS, event))
    return found


def test_fifty_episodes_of_a_week_are_spread_over_the_kinds() -> None:
    city = City(7, 0.1, episodes=50, days=7)
    found = city.episodes(WEEK)
    assert len(found) == 50
    assert set(found) < set(City(7, 0.1).episodes(WEEK))
    counts = Counter(one.kind for one in found)
    assert len(counts) == 11
    assert max(counts.values()) - min(counts.values()) <= 1
    storms = [(one.place, one.start // DAY) for one in found if one.kind == "storm"]
    floods = [(one.place, one.start // DAY) for one in found if one.kind == "waterlogging"]
    assert sorted(storms) == sorted(floods)
    assert city.episodes(2 * WEEK) == found
    assert City(7, 0.1, episodes=50, days=7).episodes(WEEK) == found
    assert City(8, 0.1, episodes=50, days=7).episodes(WEEK) != found


def test_every_number_of_a_short_run() -> None:
    """Two storms with their waterlogging, a jam and a burst end within four hours."""
    for count in range(7):
        found = City(7, 0.1, episodes=count, minutes=240).episodes(DAY)
        assert len(found) == count
        assert all(one.end <= 240 for one in found)
    with pytest.raises(ValueError, match="episodes is 7: 6 are planned to end within 240 minutes"):
        City(7, 0.1, episodes=7, minutes=240)
    with pytest.raises(ValueError, match="a longer run: 4320 minutes have so many"):
        City(7, 0.1, episodes=50, minutes=240)
    assert len(City(7, 0.1, episodes=50, minutes=4320).episodes(WEEK)) == 50
    with pytest.raises(ValueError, match="ask for fewer"):
        City(7, 0.1, episodes=1, minutes=30)


def test_chosen_episodes_are_those_of_the_whole_city() -> None:
    """A minute in which everything that is planned was chosen has the same bytes."""
    city = City(7, 0.1, CALM, episodes=6, minutes=240)
    assert [city.minute(k) for k in (30, 45, 90)] == [
        City(7, 0.1, CALM).minute(k) for k in (30, 45, 90)
    ]
    assert city.truth(240)["episodes"] == City(7, 0.1).truth(180)["episodes"]
    quiet = City(7, 0.1, CALM, episodes=0, days=1)
    assert quiet.truth(240)["episodes"] == []
    assert quiet.minute(45) != city.minute(45)


def test_plume_raises_no2_and_co_a_little() -> None:
    city, quiet = City(5, 0.1, CALM), City(5, 0.1, CALM, episodes=0, days=1)
    plume = first(city, "pollution")
    middle = (plume.start + plume.end) // 2
    means = []
    for one in (city, quiet):
        values = defaultdict(list)
        for _, event in events(one, range(middle, middle + 5)):
            if event["place"][:6] == plume.place:
                values[event.get("metric")].append(event.get("value", 0))
        means.append({name: sum(each) / len(each) for name, each in values.items()})
    assert 0.2 * plume.peak < means[0]["no2"] - means[1]["no2"] < 0.3 * plume.peak
    assert 0.4 < means[0]["co"] - means[1]["co"] < 1.2
    assert means[0]["so2"] == means[1]["so2"]
    assert means[0]["o3"] == means[1]["o3"]


def test_waterlogging_fills_the_manholes_of_its_district_to_the_cover() -> None:
    city = City(7, 1.0, CALM, shares=PLAIN)
    flood = next(
        one for one in city.episodes(60) if (one.kind, one.place) == ("waterlogging", "440111")
    )
    table = city._fleet.table("manhole_level")
    share = city._measures.at(flood.start + 50)[table.rows] / table.size
    wet = [stand.place[:6] == flood.place for stand in table.stands]
    assert (share[wet] >= 0.9).all()
    assert share[wet].max() == 1.0
    dry = [stand.place[:6] not in ("440111", "440103") for stand in table.stands]
    assert (share[dry] < 0.4).all()


def test_congestion_fills_the_queues_of_its_district() -> None:
    city = City(7, 0.3, CALM, shares=PLAIN)
    jam = first(city, "congestion")
    full, free = [], []
    for _, event in events(city, range(jam.start + 15, jam.start + 20)):
        if event.get("kind") == "intersection":
            ratio = event["queue_m"] / event["link_len_m"]
            (full if event["place"][:6] == jam.place else free).append(ratio)
    assert min(full) >= 0.89
    assert max(free) < 0.5


@pytest.mark.parametrize(("seed", "metric"), [(1, "water_depth"), (0, "laeq")])
def test_flapping_stays_within_a_deadband_of_the_threshold(seed: int, metric: str) -> None:
    """Windows of two minutes cross the threshold again and again, none falls far below it."""
    city = City(seed, 0.1, CALM)
    flap = next(
        one for one in city.episodes(9 * DAY) if (one.kind, one.signal) == ("flapping", metric)
    )
    assert len(flap.devices) == (2 if metric == "water_depth" else 1)
    assert 60 <= flap.end - flap.start <= 120
    assert flap.peak in (
        {10.0} if metric == "water_depth" else {z[0] for z in NOISE_ZONES.values()}
    )
    table = city._fleet.table(metric)
    rows = [table.rows.start + table.ids.index(device) for device in flap.devices]
    path = [city._measures.at(k)[rows].tolist() for k in range(flap.start, flap.end)]
    assert all(abs(each[0] - each[-1]) < 0.2 for each in path)
    values = [each[0] for each in path]
    assert all(0.3 < abs(value - flap.peak) < 3.5 for value in values)
    assert min(values) > flap.peak - 2
    above = [value > flap.peak for value in values]
    crossings = sum(one != other for one, other in pairwise(above))
    assert crossings > len(values) / 4
    assert 0.3 < sum(above) / len(above) < 0.7
    energy = sum(10 ** (value / 10) for value in values) / len(values)
    assert metric == "water_depth" or energy > 10 ** (flap.peak / 10)


def test_surge_triples_the_orders_of_its_district_of_every_topic() -> None:
    city, quiet = City(2, 1.0, CALM, shares=PLAIN), City(2, 1.0, CALM, episodes=0, days=1)
    surge = first(city, "surge")
    counts = []
    for one in (city, quiet):
        topics: Counter[int] = Counter()
        for number in range(surge.start // 60, surge.end // 60 + 1):
            draft = one._hotline.hour(number).orders.draft
            inside = (draft.created >= surge.start_ms) & (draft.created < surge.end_ms)
            home = [place[:6] == surge.place for place in _codes(draft.street.tolist())]
            topics.update(draft.topic[inside & home].tolist())
        counts.append(topics)
    assert counts[0].total() / counts[1].total() == pytest.approx(3.0, rel=0.3)
    assert len(counts[0]) == 7
    assert max(counts[0].values()) < 0.3 * counts[0].total()
    assert 60 <= surge.end - surge.start <= 90
    bursts = [one.place[:6] for one in city.episodes(DAY) if one.kind == "complaint_burst"]
    assert surge.place not in bursts


def _codes(positions: list[int]) -> list[str]:
    from agents.city.districts import streets

    return [streets()[position].code for position in positions]


@pytest.mark.parametrize("peak", [2.0, 0.333])
def test_detour_changes_the_flow_and_not_the_speed(peak: float) -> None:
    city = City(0, 0.5, CALM)
    detour = next(one for one in city.episodes(9 * DAY) if (one.kind, one.peak) == ("detour", peak))
    quiet = City(0, 0.5, CALM, episodes=0, days=9)
    table = city._fleet.table("segment_flow")
    local = [table.ids.index(device) for device in detour.devices]
    rows = [table.rows.start + position for position in local]
    minutes = range(detour.start + 5, detour.end - 5)
    flow, usual = (
        sum(one._measures.vehicles(k, table)[local].sum() for k in minutes) for one in (city, quiet)
    )
    assert flow / usual == pytest.approx(peak, rel=0.25)
    speeds = [one._measures.at(detour.start + 30)[rows].tolist() for one in (city, quiet)]
    assert speeds[0] == speeds[1]
    hour = (detour.start + 360) // 60 % 24
    assert (0 <= hour < 4) if peak > 1 else (10 <= hour < 15)
