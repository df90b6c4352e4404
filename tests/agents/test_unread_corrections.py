"""Corrections that nobody would be told of, and that no other sign reads, are not made."""

from __future__ import annotations

import json

import pytest

from agents.folded import FoldedState
from agents.outputs import VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from agents.said import Correction
from schemas.loading import load
from streams.records import Chunk
from tests.rules.driven_events import MORNING, measured


def test_late_events_correct_only_what_is_told_or_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vehicles of a minute are hidden and read by an incident; those of an hour are told."""
    closed, close_final = set[str](), FoldedState.close_final

    def note(self: FoldedState, end: int) -> Correction:
        closed.add(self.sign.id)
        return close_final(self, end)

    monkeypatch.setattr(FoldedState, "close_final", note)
    minutes = [*range(42), 38, *range(42, 200)]
    said = [
        measured("axle_weight", MORNING + 60_000 * n + k, 55.0, device="w", site_type="bridge")[2]
        for k, n in enumerate(minutes)
    ]
    raw = [json.dumps(event).encode() for event in said]
    times = [event["t"] for event in said]
    pipeline = Pipeline(compile_plan(load(environ={})))
    outputs = pipeline.step(
        Chunk("city.sensor.v1", 0, range(len(raw)), times, [None] * len(raw), raw)
    )
    outputs += pipeline.end()
    assert pipeline.total().accepted_late == 1
    assert "lifeline.bridge_overload" in closed
    assert "lifeline.heavy_vehicles" not in closed
    results = [json.loads(o.value) for o in outputs if o.topic == VITALS_LOG]
    assert {r["vital"] for r in results if r["rev"]} >= {"lifeline.bridge_overload"}
