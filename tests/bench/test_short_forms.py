"""The measurements of kernels, of growth, of memory and of a fortnight in their shortest form: they
run, and what they count is there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.loading import load
from streams.records import Chunk
from tests.bench import everywhere, history, items
from tests.bench.fortnight.__main__ import SHORT, is_right
from tests.bench.fortnight.__main__ import measure as measure_fortnight
from tests.bench.fortnight.planted import SIGNS
from tests.bench.holders import CAN_COUNT, census, holders_of, used_bytes
from tests.bench.kernels import measure
from tests.bench.linear import TOPIC, configured, ratio, ratio_a_sign, take
from tests.bench.load import Fleet, fleet_of
from tests.bench.own import CONFIGURATION

START_MS = 1_772_294_400_000
counted = pytest.mark.skipif(not CAN_COUNT, reason="only glibc says what is in use")


def test_each_kernel_is_measured() -> None:
    costs = list(measure([50, 100], [1, 3], events=200, repeats=2))
    assert {(cost.keys, cost.signs) for cost in costs} == {(50, 1), (100, 1), (100, 3)}
    assert len({cost.kernel for cost in costs}) == 10
    assert all(0 <= cost.least <= cost.ns <= cost.greatest for cost in costs)


@pytest.mark.parametrize("count", [1, 10, 30, 100])
def test_generated_signs_all_take_the_metric(count: int, tmp_path: Path) -> None:
    plan = compile_plan(load(configured(tmp_path / "signs.json", count), environ={}))
    assert len(plan.folded) == count
    assert all(folded.sign.match == {"metric": "rain"} for folded in plan.folded)


def test_a_log_is_cut_to_its_first_events(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    (log / f"{TOPIC}.ndjson").write_bytes(b"".join(b"%d\n" % n for n in range(10)))
    part = take(log, tmp_path / "part", 3, lambda line: int(line) % 2 == 1)
    assert (part / f"{TOPIC}.ndjson").read_bytes() == b"1\n3\n5\n"


def test_ratios_are_of_the_last_row_to_the_first() -> None:
    rows = [{"signs": 1, "cpu_ns": 1000.0}, {"signs": 10, "cpu_ns": 2500.0}]
    assert (ratio(rows), ratio_a_sign(rows)) == (2.5, 0.25)


def fill(pipeline: Pipeline, fleet: Fleet) -> None:
    """Three minutes of all devices."""
    devices = len(fleet.keys)
    for turn in range(3):
        t, first = START_MS + turn * 60_000, turn * devices
        values, offsets = fleet.readings(0, devices, turn, t), range(first, first + devices)
        pipeline.step(Chunk(TOPIC, 0, offsets, [t] * devices, [None] * devices, values))


@counted
def test_a_census_leaves_nothing_of_an_engine() -> None:
    """A list held beside the engine is in no part."""
    devices = 2_000
    fleet = fleet_of(devices)
    plan = compile_plan(load(environ={}))
    before = used_bytes()
    pipeline = Pipeline(plan)
    fill(pipeline, fleet)
    full = used_bytes()
    held = {part.name: part for part in census(holders_of(pipeline))}
    assert held["gate: templates of senders"].size > 100 * devices
    assert held["de-duplication"].size >= 3 * 16 * devices
    assert [part.name for part in held.values() if part.open_panes]
    assert sum(part.size for part in held.values()) > 0.8 * (full - before)


@counted
def test_a_census_tells_what_signs_hold_that_a_lane_finishes() -> None:
    devices = 2_000
    pipeline = Pipeline(compile_plan(load(CONFIGURATION, environ={})))
    fill(pipeline, fleet_of(devices))
    assert pipeline.results > 0
    held = {part.name: part for part in census(holders_of(pipeline))}
    windows, keys = held["open windows of own signs"], held["keys of own signs"]
    assert (windows.open_panes, keys.open_panes) == (True, False)
    # A quarter of the devices measure what the signs take, at least 40 bytes a window of them.
    assert windows.size > 40 * devices // 4
    assert keys.size > 40 * devices // 4


def test_a_history_is_measured_beside_other_stores(tmp_path: Path) -> None:
    report = history.measure(tmp_path, 30, 2, 2, compare=True, say=lambda _: None)
    assert report["windows"] == 2 * 1440 * 30
    assert 0 < report["size_bytes"] < 20 * report["windows"]
    for kept in (report, report["plain_rows"], report["parquet"]):
        assert kept["size_bytes"] > 0
        assert all(
            kept[f"{what}_{heat}_ms"] > 0
            for what in ("day", "month_hourly")
            for heat in ("cold", "warm")
        )
    assert report["10242_work_s_a_minute"] > report["10242_minute_s"] > 0


def test_each_limit_of_a_history_that_is_missed_is_named() -> None:
    names = ("day_cold_ms", "day_warm_ms", "month_hourly_cold_ms", "month_hourly_warm_ms")
    kept = dict(zip((*names, "10242_work_s_a_minute"), (50, 50, 200, 200, 60), strict=True))
    assert history.misses(kept) == []
    assert [len(history.misses({**kept, name: kept[name] + 0.1})) for name in kept] == [1] * 5


def test_what_is_planted_in_a_city_is_what_it_says() -> None:
    report = measure_fortnight(1, 0, frozenset(SHORT), fast=False)
    assert is_right(report), [row["differs"] for row in report["rows"]]
    assert {row["rule"] for row in report["rows"]} == set(SHORT)
    assert all(row["seen"] == row["levels"] and row["places"] for row in report["rows"])
    planted = report["planted_faults"]
    assert report["accounting"]["rejected"] == planted["broken"]
    assert report["accounting"]["remainder"] == 0


def test_a_minute_with_few_items_is_missed() -> None:
    rain = [everywhere.told(SIGNS[name], 2) for name in ("meteo.rain_1h", "drain.depth")]
    few = [each._replace(codes=each.codes[:5]) for each in rain]
    rows = list(items.measure(0.02, 600, 2, few))
    assert all(row["events"] > 600 and row["items"] for row in rows)
    alone = list(items.measure(0.02, 600, 2))
    # Rain of an hour is known at once, with that of the hour before.
    assert rows[0]["live_of_places"] >= alone[0]["live_of_places"] + 5
    assert items.misses(rows) == [
        "fewer than 10,242 live items in minute 1, 2",
        "fewer than 23,333 events a second in minute 1, 2",
        "fewer than 10,242 live items of streets, districts and the city in minute 1, 2",
    ]
    full = {"items": items.ITEMS, "live_of_places": items.ITEMS, "events": 60 * items.RATE}
    fast, slow = {**full, "wall_s": 59.0}, {**full, "wall_s": 61.0}
    assert items.misses([fast, slow]) == ["the engine did not keep up in minute 2"]
