"""Records as they come: each counts once, at the lane's time, whatever became of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.intake import Intake
from agents.plan import Plan, compile_plan
from schemas.devices import Device, Register
from streams.records import Chunk, Lane
from tests.rules.configurations import configuration, topic, window
from tests.rules.wide import arrivals

T, MINUTE = 1_772_294_400_000, 60_000
LANE = Lane("sensor", 0)
MOVED = T + 10 * MINUTE


def plan(**fields: Any) -> Plan:
    """One sign that counts records by device, with a register in which a device moves."""
    given = {"base": "device", "keys": ["device"], "rollup": "none", **fields}
    given = {"aggregate": {"function": "count"}, "window": window(60, 60), **given}
    made = configuration([arrivals("a.heard", "count", **given)], [topic("sensor", 1, 300)])
    old = Device("d1", "sensor", "rain", "gz", "440106001", period_s=30.0, until=MOVED)
    new = old._replace(place="440111001", since=MOVED, until=None)
    return compile_plan(made.with_register(Register([old, new])))


def reading(t: int, device: str = "d1", **fields: Any) -> bytes:
    event = {"device": device, "metric": "rain", "unit": "mm", "value": 1, "t": T + t}
    return json.dumps({**event, "place": "440105001", "source": "s", **fields}).encode()


def rows(values: list[bytes], of: Plan, logged: int = T + 10**6) -> list[tuple[Any, ...]]:
    """What counts by the end: pane in minutes, key, place, number of records."""
    chunk = Chunk(*LANE, range(len(values)), [logged] * len(values), [None] * len(values), values)
    intake = Intake(of, LANE)
    cuts = [*intake.step(chunk).cuts, *intake.tick(T + 60 * MINUTE).cuts]
    return [
        ((partial.start - T) // MINUTE, row.key, row.place, row.state[0])
        for cut in cuts
        for partial in cut.partials
        for row in partial.rows()
    ]


def test_what_comes_late_counts_when_it_comes() -> None:
    """::

    minute   0     1     2     3     4
    events   o           ^     o           the watermark, 5 s behind, is in minute 2
             x-----------+                 late: counts there
    x  beyond the allowed lateness         counts there too
    """
    late, too_late = reading(1000), reading(-10 * MINUTE)
    found = rows([reading(0, "d2"), reading(3 * MINUTE, "d2"), late, too_late], plan())
    assert [row[:2] + row[3:] for row in found] == [(0, "d2", 1), (2, "d1", 2), (3, "d2", 1)]


def test_a_clock_that_is_ahead_counts_where_the_lane_is() -> None:
    found = rows([reading(0, "d2"), reading(50 * MINUTE, "d3")], plan(), logged=T)
    assert [row[:2] for row in found] == [(-1, "d3"), (0, "d2")]


def test_nothing_counts_before_the_lane_has_a_time() -> None:
    ahead = reading(5 * MINUTE, "d3")
    assert rows([ahead, ahead[:-5]], plan(), logged=T) == []


def test_a_repeat_is_no_arrival() -> None:
    assert rows([reading(0), reading(0)], plan()) == [(0, "d1", "440106001", 1)]


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (reading(0, "x", unit="cm"), "x"),
        (reading(0, "x", value=1e9), "x"),
        (reading(0, "x")[:-20], None),  # its place is cut off
        (reading(0, "d1")[:-60], "d1"),  # the register knows where it is
        (reading(0, "x", place="nowhere"), None),
        (b'{"device": "x\\u0041", "place": "440106001"}', None),  # not to be read without JSON
        (b'{"device": 5, "place": "440106001"}', None),
        (b'{"device": "\xff\xfe", "place": "440106001"}', None),
        (b"{", None),
        (b"", None),
    ],
)
def test_a_refused_record_counts_where_its_device_and_place_are_legible(
    raw: bytes, key: str | None
) -> None:
    found = rows([reading(2 * MINUTE, "d2"), raw], plan())
    keys = [row[1] for row in found if row[1] != "d2"]
    assert keys == ([] if key is None else [key])


def test_the_register_says_where_a_device_is_and_when() -> None:
    values = [reading(0), reading(12 * MINUTE), reading(12 * MINUTE, "d2")]
    assert rows(values, plan()) == [
        (0, "d1", "440106001", 1),
        (12, "d1", "440111001", 1),
        (12, "d2", "440105001", 1),
    ]


@pytest.mark.parametrize(
    ("fields", "valid"),
    [({}, 1), ({"q": "suspect"}, 1), ({"q": "bad"}, 0), ({"q": "calib"}, None), ({"unit": "x"}, 0)],
)
def test_what_is_valid(fields: dict[str, Any], valid: int | None) -> None:
    """A device that is being maintained says nothing about the quality of data."""
    of = plan(aggregate={"function": "sum", "of": "valid"})
    first = reading(2 * MINUTE, "d2", q="maint")
    chunk = Chunk(*LANE, range(2), [T + 10**6] * 2, [None] * 2, [first, reading(0, **fields)])
    intake = Intake(of, LANE)
    cuts = [*intake.step(chunk).cuts, *intake.tick(T + 60 * MINUTE).cuts]
    states = [row.state for cut in cuts for p in cut.partials for row in p.rows()]
    assert [state[3] / 10**6 for state in states] == ([] if valid is None else [valid])


def test_the_platform_is_that_of_the_register_and_never_of_what_was_refused() -> None:
    of = plan(base="district", keys=["platform*city"], rollup="merge")
    values = [reading(0), reading(0, "d2"), reading(1000, "d2")[:-1], reading(1000)[:-1]]
    found = sorted((row[1], row[3]) for row in rows(values, of) if "*" in row[1])
    # The refused ones count where the lane is, which is in the minute before.
    assert found == [("gz*440106", 1), ("gz*440106", 1), ("s*440105", 1)]


def test_what_is_known_of_senders_does_not_outlive_a_restore() -> None:
    """Slots are numbered anew when a state is loaded; a route from before leads to others."""
    of, other = plan(), Intake(plan(), LANE)
    values = [reading(0, "d2"), reading(1000), reading(2000, "d3")]
    chunk = Chunk(*LANE, range(3), [T + 10**6] * 3, [None] * 3, values)
    intake = Intake(of, LANE)
    intake.step(chunk)
    # The other one has met the same devices in another order.
    other.step(Chunk(*LANE, range(3), [T + 10**6] * 3, [None] * 3, values[::-1]))
    other.load({name: encode() for name, encode in intake.freeze(whole=True).items() if encode})
    later = Chunk(*LANE, [3], [T + 10**6], [None], [reading(3000, "d3", seq=1)])
    other.step(later)
    found = [
        row for cut in other.tick(T + 60 * MINUTE).cuts for p in cut.partials for row in p.rows()
    ]
    assert {row.key: row.state[0] for row in found} == {"d1": 1, "d2": 1, "d3": 2}


def test_a_refused_record_of_another_shape_counts_too() -> None:
    shape = {
        "time": {"of": "at"},
        "fields": {"device": "name", "value": "mm"},
        "constants": {"metric": "rain", "unit": "mm", "place": "440105001"},
    }
    shaped = topic("sensor", 1, 300) | {"record": shape}
    given = {"aggregate": {"function": "count"}, "window": window(60, 60)}
    sign = arrivals("a.heard", "count", base="device", keys=["device"], rollup="none", **given)
    of = compile_plan(configuration([sign], [shaped]))
    good, wet, naked = (
        json.dumps({"name": "d1", "at": T, **more}).encode()
        for more in ({"mm": 1}, {"mm": 999}, {})
    )
    broken = b'{"name":"d1"'
    assert rows([good, wet, naked, broken], of) == [
        (-1, "d1", "440105001", 2),
        (0, "d1", "440105001", 1),
    ]
