"""What rate-limited runs measure, by hand-made schedules and outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.plan import compile_plan
from schemas.loading import load
from streams.partitioning import partition_of
from tests.bench.latencies import Latencies, lag_of, slope_of
from tests.bench.latency import finished
from tests.bench.load import FLOODED, Order, Sender, Slot, fleet_of
from tests.bench.schedule import Schedule, gauges_of
from tests.bench.signs_said import alert_latencies, name_of, sign_latencies, signs_of
from tests.bench.stages import Said, lag_in

START_MS = 1_772_294_400_000
DISORDER_MS = 5_000


def result(**changed: Any) -> bytes:
    sound = {"vital": "drain.depth", "t_end": START_MS + 30_000, "rev": 0, "live": False}
    return json.dumps({**sound, **changed}).encode()


def test_a_window_is_passed_by_the_first_event_of_the_last_lane() -> None:
    """Three devices, one in lane 1; an event every 100 ms::

    event   0   1   2   3   4   5   6
    lane    0   0   1   0   0   1   0
    ms      0  100 200 300 400 500 600
    """
    schedule = Schedule(START_MS, rate=10, lanes=b"\0\0\1")
    for t, closing in ((0, 200), (200, 300), (201, 500), (500, 600)):
        assert schedule.closing_ms(START_MS + t) == START_MS + closing, t


@pytest.mark.parametrize("rate", [7, 1000, 23_333, 250_000])
def test_every_event_has_one_millisecond(rate: int) -> None:
    schedule = Schedule(START_MS, rate, b"\0")
    counts = [schedule.index_at(START_MS + t) for t in range(2001)]
    assert (counts[0], counts[2000]) == (0, 2 * rate)
    for t in (0, 3, 999, 1500):
        for i in range(counts[t], counts[t + 1]):
            assert int(schedule.sent_ms(i)) == START_MS + t


def test_results_count_from_the_event_that_closed_their_window() -> None:
    schedule = Schedule(START_MS, rate=10, lanes=b"\0\0\1")
    there = START_MS + 36_000.0
    said = [
        Said(there, result()),
        Said(there, result(rev=1)),
        Said(there, result(live=True)),
        Said(there, result(vital="traffic.tpi")),
        Said(there, result(t_end=START_MS + 10_000)),
        Said(there, result(t_end=START_MS + 60_000)),
    ]
    measured = (START_MS + 20_000.0, START_MS + 60_000.0)
    signs = frozenset(["drain.depth"])
    found = list(sign_latencies(said, schedule, signs, DISORDER_MS, measured))
    # Of event 350, of lane 1, and of the end of the window and the disorder.
    assert found == [(36_000 - 35_100, 36_000 - 35_000)]


def test_alerts_count_from_the_first_event_that_is_over_the_threshold() -> None:
    schedule = Schedule(START_MS, rate=100, lanes=bytes(200))
    flooded = START_MS + 10_000
    alert = {"rule": "drain.depth", "key": name_of(1), "late": False}
    said = [
        Said(START_MS + 100_000.0, json.dumps({**alert, **change, "t_raised": t}).encode())
        for change, t in (
            ({"transition": "pending"}, 0),
            ({"transition": "raised", "key": name_of(0)}, 0),
            ({"transition": "raised"}, START_MS + 90_000),
            ({"transition": "raised"}, START_MS + 91_000),
        )
    ]
    found = list(alert_latencies(said, schedule, {1: flooded}, DISORDER_MS))
    # Event 1000 is of device 0; the first gauge of the second site with water is device 102.
    assert found == [(100_000 - 11_020, 100_000 - 95_000)]


def test_percentiles_are_of_what_was_recorded(tmp_path: Path) -> None:
    latencies = Latencies([1.0] * 989 + [50.0] * 10 + [2000.0])
    assert latencies.summary() == {
        "samples": 1000,
        "p50": 1.0,
        "p90": 1.0,
        "p99": 50.0,
        "p99.9": 50.0,
        "max": 2000.0,
    }
    latencies.write(tmp_path / "all.hgrm")
    assert "Percentile" in (tmp_path / "all.hgrm").read_text("utf-8")


def test_lag_that_swings_is_flat_and_lag_that_grows_is_not() -> None:
    swinging = [(t, 400.0 * (t % 2)) for t in range(60)]
    growing = [(t, lag + 30 * t) for t, lag in swinging]
    assert slope_of(growing) - slope_of(swinging) == pytest.approx(30)
    assert lag_of(swinging, 1000, 60)["flat"]
    assert lag_of(growing, 1000, 60)["grew"]
    falling = [(t, 4000 - lag) for t, lag in growing]
    assert not lag_of(falling, 1000, 60)["flat"]
    assert not lag_of(falling, 1000, 60)["grew"]


def test_nothing_is_said_of_the_latency_of_an_engine_that_does_not_keep_up() -> None:
    lag = {"slope_per_s": 1234.5, "flat": False, "grew": True}
    figures = {"kept_up": False, "lag": lag, "load_late_ms": {"p50": 1.0}}
    found = finished(figures, {})
    assert found["verdict"] == "did not keep up: lag grew by 1,234 events/s"
    assert "ms" not in found


def test_a_run_is_judged_by_what_lies_over_window_and_disorder() -> None:
    figures = {"kept_up": True, "lag": {"flat": True}, "load_late_ms": {"p50": 700.0}}
    for ms, where in ((1500.0, "below"), (2500.0, "ABOVE")):
        found = finished(figures, {"over_the_end": Latencies([ms])})
        assert f"{where} window + disorder + 2 s" in found["verdict"]
        assert "late itself, by 700 ms" in found["verdict"]


def test_signs_that_wait_for_other_topics_are_left_out() -> None:
    signs = signs_of(compile_plan(load(environ={})), "sensor")
    assert {"drain.depth", "drain.points", "iot.lateness_p95"} <= signs
    assert not {"traffic.tpi", "city.health_index"} & signs


def test_lag_is_that_of_the_readings() -> None:
    metrics = "\n".join(
        f'cityvitals_lag_events{{topic="{topic}",partition="0"}} {lag}'
        for topic, lag in (("city.sensor.v1", 3.0), ("city.traffic.v1", 5.0))
    )
    assert lag_in(metrics) == 3.0


class Kept:
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int, bytes, dict[str, Any]]] = []

    def send(self, slot: Slot) -> None:
        for lane, *columns in slot:
            for t, key, value in zip(*columns, strict=True):
                self.sent.append((lane, t, key, json.loads(value)))

    def end(self) -> None:
        pass


def test_the_load_follows_its_schedule() -> None:
    order = Order("city.sensor.v1", 4, 1000, 200, 0.5, floods=[(1, 0.25)])
    kept = Kept()
    sender = Sender(order, kept)
    # All of it is overdue: nothing waits.
    assert sender.run(START_MS) == 500
    schedule = Schedule(START_MS, 1000, sender.lanes)
    by_time = sorted(kept.sent, key=lambda one: one[1])
    keys = fleet_of(200).keys
    assert [key for _, _, key, _ in by_time] == [keys[i % 200] for i in range(500)]
    assert [t for _, t, _, _ in by_time] == [int(schedule.sent_ms(i)) for i in range(500)]
    assert all(partition_of(key, 4) == lane for lane, _, key, _ in kept.sent)
    assert all(event["t"] == t and event["device"] == key.decode() for _, t, key, event in by_time)
    flooded = {keys[d] for d in gauges_of(1)}
    for _, t, key, event in by_time:
        over = event["value"] == float(FLOODED)
        assert over == (key in flooded and t >= START_MS + 250)
        if key in flooded:
            assert event["site"] == name_of(1)
