"""The register of the simulated city: it knows what speaks, but for what was planted."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from agents.city import City, Disorder, Registered, register_rows
from agents.city.devices import NOISE_ZONES
from agents.city.districts import DISTRICTS, streets
from schemas.metrics import METRICS

CALM = Disorder(0.0, 0.0, 0.0, 0.0, 0.0)
SCALE = 0.3


@pytest.fixture(scope="module")
def rows() -> dict[str, Registered]:
    return {row.device: row for row in register_rows(SCALE)}


def test_events_are_as_the_register_has_them(rows: dict[str, Registered]) -> None:
    city = City(7, SCALE, CALM)
    truth = city.truth(1)["register"]
    silent, unknown = set(truth["never_speaking"]), set(truth["unregistered"])
    assert silent
    assert unknown
    spoke = set()
    for one in (one for k in range(5) for one in city.minute(k)):
        event = json.loads(one.value)
        if event.get("kind") in ("order", "call", "warning", "incident"):
            continue
        device = event["device"] if "device" in event else event["source_id"]
        spoke.add(device)
        if device in unknown:
            assert device not in rows
            continue
        row = rows[device]
        assert row.topic == one.topic.split(".")[1]
        assert row.kind == (event["metric"] if "metric" in event else event["kind"])
        assert (row.platform, row.place) == (event["source"], event["place"])
        assert (row.site, row.site_type) == (event.get("site", ""), event.get("site_type", ""))
        assert row.period_s == event.get("period_s", 60)
        assert (row.since, row.until) == ("", "")
    died = {d for e in city.episodes(5) if e.kind == "sensor_death" for d in e.devices}
    assert spoke | died >= set(rows) - silent
    assert not spoke & silent
    assert silent < set(rows)


def test_what_only_some_devices_have(rows: dict[str, Registered]) -> None:
    for row in rows.values():
        assert (row.noise_zone in NOISE_ZONES) == (row.kind == "laeq")
        assert (row.well_depth_m != "") == (row.kind == "manhole_level")
        if row.well_depth_m != "":
            assert 2.0 <= float(row.well_depth_m) <= 5.0
        if row.topic == "sensor":
            assert row.period_s == METRICS[row.kind].period_s
    assert len({row.noise_zone for row in rows.values()}) >= 5


def test_shares_of_a_large_city() -> None:
    fleet = City(7)._fleet
    rows = register_rows(1.0)
    assert len({row.device for row in rows}) == len(rows)
    truth = City(1).truth(1)["register"]
    assert len(truth["never_speaking"]) / len(fleet) == pytest.approx(0.005, rel=0.1)
    assert len(truth["unregistered"]) / len(fleet) == pytest.approx(0.003, rel=0.1)
    assert len(rows) == len(fleet) - len(truth["unregistered"]) + len(truth["never_speaking"])
    silent = set(truth["never_speaking"])
    for part in (lambda row: row.kind, lambda row: row.place[:6], lambda row: row.platform):
        every = Counter(part(row) for row in rows)
        missing = Counter(part(row) for row in rows if row.device in silent)
        assert all(missing[name] / every[name] < 0.02 for name in missing)


def test_small_cities_miss_one_device_at_least() -> None:
    truth = City(1, 0.1).truth(1)["register"]
    assert len(truth["never_speaking"]) == len(truth["unregistered"]) == 1
    codes = {street.code for street in streets()}
    for row in register_rows(0.1):
        assert row.place[:9] in codes
        assert row.place[:6] in DISTRICTS
