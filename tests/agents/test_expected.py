"""The register against what is heard: who is missed, where, since when, and against which limit."""

from __future__ import annotations

from typing import Any

import pytest

from agents.expected import ExpectedKey, KnownDevices, Span
from agents.folded import FoldedState
from agents.plan import FoldedSign, compile_plan
from schemas.devices import Device, Register
from streams.aggregates import MOMENTS
from streams.cuts import Key, Partial
from streams.timeline import AFTER_ALL
from tests.cells import partial_of
from tests.kept import kept
from tests.rules.configurations import configuration, sensor, topic, window
from tests.rules.wide import arrivals

MINUTE, FORGET = 60_000, 10 * 60_000
STREET = "440106001"


def device(name: str, **fields: Any) -> Device:
    return Device(name, "sensor", "rain", "gz", STREET)._replace(**fields)


def plan(devices: list[Device], **changes: Any) -> FoldedSign:
    fields = {"aggregate": {"function": "sum"}, "window": window(120, 60), "rollup": "max"}
    fields |= {"keys": ["station", "district"], **changes}
    made = configuration(
        [sensor("a.rain", "mm", "rain", "station", **fields)],
        [topic("sensor", 1, 300)],
        forget_s=FORGET / 1000,
    )
    return compile_plan(made.with_register(Register(devices))).folded[0]


def heard(minute: int, key: str, value: float = 1) -> Partial:
    row = (minute * MINUTE, round(value * 10**6), 0, MINUTE)
    return partial_of("a.rain", minute * MINUTE, MOMENTS, [(Key("station", key, STREET), row)])


def told(state: FoldedState, until: int) -> dict[int, dict[str, Any]]:
    """Value, or else reason, by the minute of the window's end and the key."""
    found = {}
    while (end := state.next_end()) <= until * MINUTE:
        entries = state.close(end)
        found[end // MINUTE] = {e.key: e.value if e.reason is None else e.reason for e in entries}
    return found


def test_a_registered_key_is_missed_as_long_as_others_are_heard() -> None:
    """::

    minute   0  1  2  3  ...  11  12
    a        o                           heard once
    b                                    registered, never heard: warming, then uncovered
    """
    state = FoldedState(plan([device("b")], rollup="none", keys=["station"]))
    state.receive(heard(0, "a"))
    found = told(state, 30)
    assert found[1] == {"a": "warming", "b": "warming"}
    assert found[2] == {"a": 1.0, "b": "uncovered"}
    assert found[11] == {"a": "uncovered", "b": "uncovered"}
    # Nobody is heard any more: this is no message about b.
    assert set().union(*(keys for minute, keys in found.items() if minute > 11)) == set()


def test_nobody_is_missed_before_anybody_is_heard() -> None:
    assert FoldedState(plan([device("b")])).next_end() == AFTER_ALL


def test_since_and_until() -> None:
    """The row counts in windows that end after its beginning, and by its end."""
    rows = [device("a"), device("b", since=4 * MINUTE, until=7 * MINUTE)]
    state = FoldedState(plan(rows, rollup="none", keys=["station"]))
    for minute in range(10):
        state.receive(heard(minute, "a"))
    found = {minute: keys.get("b") for minute, keys in told(state, 10).items()}
    assert found == {
        **dict.fromkeys((1, 2, 3, 4, 8, 9, 10)),
        **dict.fromkeys((5,), "warming"),
        **dict.fromkeys((6, 7), "uncovered"),
    }


def test_missed_children_lower_the_coverage_of_their_parents() -> None:
    state = FoldedState(plan([device("a"), device("b"), device("c", place="440111001")]))
    for minute in range(3):
        state.receive(heard(minute, "a"))
    while (end := state.next_end()) < 3 * MINUTE:
        state.close(end)
    parents = {e.key: (e.coverage, e.reason) for e in state.close(end) if e.level == "district"}
    assert parents == {"440106": (0.5, None), "440111": (0.0, "uncovered")}


def test_the_stretch_of_the_sign_is_kept_with_its_state() -> None:
    of = plan([device("b")], rollup="none", keys=["station"])
    state = FoldedState(of)
    state.receive(heard(0, "a"))
    found = told(state, 5)
    again = FoldedState(of)
    again.load(state.dump(), kept({}, state.freeze(whole=True)))
    whole = FoldedState(of)
    whole.receive(heard(0, "a"))
    assert {**found, **told(again, 30)} == told(whole, 30)


def key(*spans: tuple[Any, ...]) -> ExpectedKey:
    return ExpectedKey([Span(*span) for span in spans])


def test_a_device_of_several_reports_counts_once() -> None:
    one = key((0, AFTER_ALL, "a", "p", None), (0, AFTER_ALL, "a", "p", None))
    two = key((0, AFTER_ALL, "a", "p", None), (5, AFTER_ALL, "b", "q", None))
    assert one.devices(10) == 1
    assert [two.devices(end) for end in (5, 6)] == [1, 2]
    assert (two.place(5), two.place(6)) == ("p", "q")
    moved = key((0, 5, "a", "p", None), (5, AFTER_ALL, "a", "q", None))
    assert [moved.devices(end) for end in (5, 6)] == [1, 1]
    assert [moved.place(end) for end in (5, 6)] == ["p", "q"]
    assert [moved.since(end) for end in (5, 6)] == [0, 5]
    assert moved.places == ("p", "q")


def test_the_smallest_limit_that_counts() -> None:
    found = key(
        (0, 5, "a", "p", 1.0), (0, AFTER_ALL, "b", "p", 2.0), (0, AFTER_ALL, "c", "p", None)
    )
    assert [found.limit(end) for end in (5, 6)] == [1.0, 2.0]
    assert key((0, AFTER_ALL, "a", "p", None)).limit(5) is None


def test_a_value_against_a_limit_or_none() -> None:
    changes = {"aggregate": {"function": "max"}, "rollup": "none", "keys": ["station"]}
    changes |= {"limit": {"name": "well_depth_m", "how": "ratio", "scale": 100}}
    rows = [device("a", well_depth_m=2.0), device("b")]
    state = FoldedState(plan(rows, **changes))
    for minute in range(3):
        for name in "abc":
            state.receive(heard(minute, name))
    assert told(state, 3)[3] == {"a": 50.0, "b": "no_limit", "c": "no_limit"}


def test_a_match_that_no_register_tells_makes_nobody_expected() -> None:
    fields = {"aggregate": {"function": "count"}, "window": window(60, 60), "rollup": "merge"}
    fields |= {"match": {"registered": True, "valid": 0.0}, "keys": ["city"]}
    made = configuration([arrivals("a.bad", "1", **fields)], [topic("sensor", 1, 300)])
    (sign,) = compile_plan(made.with_register(Register([device("a")]))).folded
    assert sign.expected == {}


def test_arrivals_expect_by_platform_and_place() -> None:
    fields = {"aggregate": {"function": "online"}, "kind": "sampled", "window": window(60, 60)}
    fields |= {"match": {"registered": True}, "keys": ["platform*city", "street"]}
    made = configuration([arrivals("a.online", "1", **fields)], [topic("sensor", 1, 300)])
    rows = [device("a"), device("b", platform=""), device("c", platform="x")]
    (sign,) = compile_plan(made.with_register(Register(rows))).folded
    devices = {name: found.devices(1) for name, found in sign.expected.items()}
    assert devices == {
        ("platform*city", "gz*4401"): 1,
        ("platform*city", "x*4401"): 1,
        ("street", STREET): 3,
    }


def test_what_speaks_when_something_happens_is_not_offline() -> None:
    fields = {"aggregate": {"function": "online"}, "kind": "sampled", "window": window(60, 60)}
    made = configuration(
        [arrivals("a.online", "1", keys=["street"], **fields)], [topic("sensor", 1, 300)]
    )
    rows = [device("b", kind="sos", period_s=0.0), device("g", period_s=60.0)]
    (sign,) = compile_plan(made.with_register(Register(rows))).folded
    assert sign.expected["street", STREET].devices(1) == 1


@pytest.mark.parametrize(
    ("metric", "t", "kind"),
    [("rain", 0, "rain"), ("wind_speed", 0, "wind_speed"), ("pm25", 0, "rain"), (None, 9, "rain")],
)
def test_a_known_device_of_that_metric_or_another(metric: str | None, t: int, kind: str) -> None:
    known = KnownDevices(Register([device("a"), device("a", kind="wind_speed", until=5)]))
    found = known.find("a", metric, t)
    assert found is not None
    assert found.kind == kind
    assert known.find("b", metric, t) is None
    assert not known.is_constant("a")
