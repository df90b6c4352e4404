"""R4: every event is in exactly one bin, checked in a stated order; no row is lost on the way."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from agents.assess import Assess
from agents.intake import Intake
from agents.outputs import DEAD_LETTER, LATE
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from streams.cuts import Cut, GapError
from streams.records import Chunk, Lane
from tests.kept import kept
from tests.rules.city_logs import city_lanes, city_plan, interleaved
from tests.rules.configurations import SMALL
from tests.rules.logs import chunks_of, replay, results_of
from tests.rules.wide import SECRET, WIDE
from tests.rules.wide_logs import written

T = 1_772_294_400_000
LANE = Lane("sensor", 0)
PLAN = compile_plan(SMALL)
"""Disorder 5 s, allowed lateness 300 s, skew 60 s."""


def reading(t: int, **fields: Any) -> dict[str, Any]:
    event = {"device": "d", "metric": "rain", "unit": "mm", "value": 1, "t": T + t}
    return {"place": "440106001", **event, **fields}


def chunk(events: list[dict[str, Any] | bytes], logged: int = T, first: int = 0) -> Chunk:
    values = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
    offsets = range(first, first + len(events))
    return Chunk(*LANE, offsets, [logged] * len(events), [None] * len(events), values)


def counts(events: list[dict[str, Any] | bytes]) -> dict[str, int]:
    """The bins that are not empty; the last event is told apart by what it adds."""
    intake = Intake(PLAN, LANE)
    intake.step(chunk(events, logged=T + 10**6))
    found = intake.accounting.as_dict()
    assert found.pop("remainder") == 0
    assert found.pop("read") == len(events)
    return {name: count for name, count in found.items() if count}


AHEAD = reading(305_000, device="ahead")
"""Takes the watermark to T + 300 s, and what is late to before T."""


@pytest.mark.parametrize(
    ("event", "bins"),
    [
        (b"{", {"rejected": 1}),
        (reading(0, unit="cm"), {"rejected": 1}),
        (reading(0, value=1e9), {"rejected": 1}),
        (reading(-1), {"late": 1}),
        (reading(-1, metric="humidity", unit="%"), {"late": 1}),
        (reading(0, metric="humidity", unit="%"), {"filtered": 1}),
        (reading(0, q="bad"), {"filtered": 1}),
        (reading(0, q="calib"), {"filtered": 1}),
        (reading(0, q="suspect"), {"accepted": 1, "accepted_late": 1}),
        (reading(299_999), {"accepted": 1, "accepted_late": 1}),
        (reading(300_000), {"accepted": 1}),
        # Its time is its end.
        (reading(-60_000, t_end=T), {"accepted": 1, "accepted_late": 1}),
        (reading(305_000, device="ahead"), {"duplicate": 1}),
        # The same reading, though its value was corrected.
        (reading(305_000, device="ahead", value=2), {"duplicate": 1}),
        (reading(305_000, device="ahead", seq=1), {"accepted": 1}),
        (reading(305_000, device="ahead", source="s", id="1"), {"accepted": 1}),
    ],
)
def test_each_bin(event: Any, bins: dict[str, int]) -> None:
    expected = {"accepted": 1}
    for name, count in bins.items():
        expected[name] = expected.get(name, 0) + count
    assert counts([AHEAD, event]) == expected


def test_a_refused_repeat_is_rejected_not_a_duplicate() -> None:
    assert counts([b"{", b"{"]) == {"rejected": 2}


def test_a_filtered_event_is_known_when_it_comes_again() -> None:
    event = reading(0, metric="humidity", unit="%")
    assert counts([event, event]) == {"filtered": 1, "duplicate": 1}


def test_a_repeat_is_a_duplicate_before_it_is_late() -> None:
    """The first was noted with a later end, which is still remembered."""
    first, again = reading(-60_000, t_end=T + 1), reading(-60_000)
    assert counts([first, AHEAD, again]) == {"accepted": 2, "duplicate": 1}
    assert counts([AHEAD, again]) == {"accepted": 1, "late": 1}


def test_a_repeat_beyond_the_lateness_is_late() -> None:
    assert counts([reading(-1), AHEAD, reading(-1)]) == {"accepted": 2, "late": 1}


def test_a_clock_ahead_moves_no_watermark() -> None:
    intake = Intake(PLAN, LANE)
    intake.step(chunk([reading(60_000)]))
    assert intake.watermark.value == T + 55_000
    intake.step(chunk([reading(60_001), reading(10**7)], first=1))
    assert intake.watermark.value == T + 55_000
    assert intake.accounting.accepted == 3


def test_a_clock_over_a_day_ahead_is_refused() -> None:
    intake = Intake(PLAN, LANE)
    step = intake.step(chunk([reading(60_000), reading(2 * 86_400_000)]))
    assert (intake.accounting.accepted, intake.accounting.rejected) == (1, 1)
    (letter,) = (json.loads(o.value) for o in step.outputs)
    assert (letter["reason"], letter["where"]) == ("bad_time", "$.t")


def test_what_is_not_taken_is_told() -> None:
    intake = Intake(PLAN, LANE)
    step = intake.step(chunk([AHEAD, reading(-1), b'{"t":1,'], logged=T + 10**6))
    told = [(o.topic, json.loads(o.value)) for o in step.outputs]
    assert [topic for topic, _ in told] == [LATE, DEAD_LETTER]
    late, letter = (payload for _, payload in told)
    assert (late["topic"], late["partition"], late["offset"]) == ("sensor", 0, 1)
    assert (late["t"], late["late_by_ms"]) == (T - 1, 300_001)
    assert (letter["offset"], letter["size"], letter["attempt"]) == (2, 7, 1)


def test_the_city_is_accounted_for() -> None:
    pipeline = Pipeline(city_plan())
    for part in interleaved(37, Random(3)):
        pipeline.step(part)
        assert pipeline.lanes[part.lane].accounting.remainder == 0
    for lane, records in city_lanes().items():
        found = pipeline.lanes[lane].accounting
        assert found.read == len(records)
        assert found.accepted_late <= found.accepted
    total = pipeline.total()
    # Of a simulated city some sign reads every event: nothing is filtered.
    assert min(total.rejected, total.duplicate, total.late) > 0
    assert total.remainder == 0


@pytest.mark.parametrize("seed", range(4))
def test_records_of_states_are_accounted_for(seed: int) -> None:
    """Orders that are only sampled count as accepted, arrivals in no bin beside the event's own."""
    rng = Random(seed)
    log, pipeline = written(WIDE, rng, 150), Pipeline(compile_plan(WIDE, SECRET))
    for part in chunks_of(log, 7):
        pipeline.step(part)
        assert pipeline.lanes[part.lane].accounting.remainder == 0
    for (name, partition), records in log.items():
        found = pipeline.lanes[Lane(name, partition)].accounting
        refused = sum(event is None or isinstance(event, bytes) for _, event in records)
        assert (found.read, found.rejected) == (len(records), refused)
        if name == "hotline":
            calls = sum(isinstance(e, dict) and e["kind"] == "call" for _, e in records)
            assert found.filtered <= calls
    assert pipeline.total().remainder == 0


def test_a_record_before_the_lane_has_a_time_counts_as_no_arrival() -> None:
    """A clock ahead of its first record once put an arrival 146 million years back.

    Every window since then was closed, and a register's keys have no end.
    """
    ahead = json.dumps({**reading(120_000), "metric": "pm25", "unit": "ug/m3"}).encode()
    later = [json.dumps({**reading(t, seq=t), "value": 2}).encode() for t in (0, 70_000, 400_000)]
    for first in (ahead, ahead[:-3]):
        values = [first, *later]
        times = [T, T, T + 70_000, T + 400_000]
        whole = Chunk("sensor", 0, range(4), times, [None] * 4, values)
        _, outputs = replay(compile_plan(WIDE, SECRET), [whole])
        ends = {r["t_end"] for r in results_of(outputs).values()}
        assert T <= min(ends) <= max(ends) < T + 1_200_000
        counted = [r for n, r in results_of(outputs).items() if n[:2] == ("wide.heard", "device")]
        assert sum(r["n"] for r in counted if r["t_end"] % 300_000 == 0 and r["key"] == "d") == 3


def cuts_of_a_lane() -> list[Cut]:
    intake = Intake(PLAN, LANE)
    events: list[dict[str, Any] | bytes] = [reading(t, seq=t) for t in range(0, 600_000, 20_000)]
    cuts = intake.step(chunk(events, logged=T + 10**6)).cuts
    assert len(cuts) > 10
    assert cuts[-1].announced > 20
    return cuts


def test_a_lost_cut_stops_the_shard() -> None:
    cuts, assess = cuts_of_a_lane(), Assess(PLAN)
    assess.step(cuts[:3])
    with pytest.raises(GapError, match="a partial is missing"):
        assess.step(cuts[4:])


def test_a_lost_first_cut_stops_the_shard() -> None:
    with pytest.raises(GapError, match="a partial is missing"):
        Assess(PLAN).step(cuts_of_a_lane()[1:])


def test_lost_or_repeated_rows_stop_the_shard() -> None:
    cuts = cuts_of_a_lane()
    at = next(i for i, cut in enumerate(cuts) if cut.partials)
    partials = cuts[at].partials
    for wrong in (partials[1:], partials + partials[:1]):
        with pytest.raises(GapError, match="rows were announced"):
            Assess(PLAN).step([*cuts[:at], cuts[at]._replace(partials=wrong)])


def test_a_repeated_cut_is_dropped() -> None:
    cuts = cuts_of_a_lane()
    once, twice = Assess(PLAN), Assess(PLAN)
    for at, cut in enumerate(cuts):
        once.step([cut])
        twice.step([cut])
        twice.step(cuts[max(0, at - 3) : at + 1])
    assert kept({}, once.freeze()) == kept({}, twice.freeze())
