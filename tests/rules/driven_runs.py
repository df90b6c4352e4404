"""Runs events through the engine, and checks that a sign goes through its levels and its alert."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

import pytest

from agents.outputs import ALERT_LOG, DEVICE_VITALS, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from schemas.device_vital import rows_of
from schemas.signs import Sign
from streams.records import Chunk, Output
from tests.rules.driven import alone, drive
from tests.rules.driven_all import CATALOGUE, off_by
from tests.rules.driven_events import LEVELS, Driven, Phases
from tests.rules.wide import SECRET

Sent = tuple[str, int, dict[str, Any]]
"""Topic, log timestamp in ms, record."""
Said = list[tuple[int, float, int]]
"""Ends of windows in ms, values and levels."""


def outputs_of(
    configuration: Configuration, sent: Iterable[Sent], *, refused: bool = False
) -> list[Output]:
    """What is said of records, each topic's in their order; none is late or comes twice."""
    pipeline = Pipeline(compile_plan(configuration, SECRET))
    lanes: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for topic, t, record in sent:
        lanes[topic].append((t, json.dumps(record).encode()))
    outputs: list[Output] = []
    for name, records in lanes.items():
        times, raw = [t for t, _ in records], [r for _, r in records]
        keys: list[bytes | None] = [None] * len(raw)
        outputs += pipeline.step(Chunk(name, 0, range(len(raw)), times, keys, raw))
    counts = pipeline.total()
    assert (counts.late, counts.duplicate, bool(counts.rejected)) == (0, 0, refused), counts
    return outputs + pipeline.end()


def outputs_when(sign: Sign, driven: Driven | None) -> list[Output]:
    """What is said while a sign alone is driven, in the way of its kind if none is given."""
    topics: dict[str, str] = {t.kind: t.name for t in CATALOGUE.topics}
    sent = [(topics[kind], t, said) for t, kind, said in drive(sign, driven)]
    refused = driven is not None and driven.refused
    return outputs_of(alone(CATALOGUE, sign, driven), sent, refused=refused)


def said_of(sign: Sign, outputs: list[Output]) -> dict[str, Said]:
    """What was said of the sign by key level, as each window was said first."""
    said: dict[str, Said] = defaultdict(list)
    for output in outputs:
        if output.topic == VITALS_LOG:
            result = json.loads(output.value)
            if result["vital"] == sign.id and result["level"] is not None and not result["rev"]:
                said[result["key_level"]].append(
                    (result["t_end"], result["value"], result["level"])
                )
        elif output.topic == DEVICE_VITALS:
            told = [row for row in rows_of(json.loads(output.value)) if row["vital"] == sign.id]
            said["device"] += [
                (row["t_end"], row["value"], row["level"])
                for row in told
                if row["level"] is not None
            ]
    return said


def values_of(sign: Sign, outputs: list[Output]) -> dict[str, list[float]]:
    """The values of a sign without levels, by key level."""
    said: dict[str, list[float]] = defaultdict(list)
    for output in outputs:
        if output.topic == VITALS_LOG:
            result = json.loads(output.value)
            if result["vital"] == sign.id and result["value"] is not None:
                assert result["level"] is None
                said[result["key_level"]].append(result["value"])
    return said


def check_levels(sign: Sign, phases: Phases, outputs: list[Output]) -> None:
    """It is seen at each of its levels and says in each phase what it shall."""
    assert sign.levels is not None
    wanted = {0, *(LEVELS.index(name) + 1 for name, _ in sign.levels.thresholds.given())}
    said = said_of(sign, outputs)
    seen = {key: {level for _, _, level in results} for key, results in said.items()}
    assert any(levels >= wanted for levels in seen.values()), seen
    best = max(said, key=lambda key: len(seen[key]))
    _check_values(sign, phases, said[best])


def _check_values(sign: Sign, phases: Phases, said: Said) -> None:
    """When a phase is over the sign says what it shall; a count of nothing may be absent.

    More than all can not be well.
    """
    assert sign.levels is not None
    rel, near = off_by(sign)
    rate = sign.unit == "%" and sign.levels.compare == "lt"
    for begin, end, value in phases:
        wanted = min(value, 100.0) if rate else value
        values = [v for t, v, _ in said if begin < t <= end][-3:]
        met = any(v == pytest.approx(wanted, rel=rel, abs=near) for v in values)
        assert met or (not values and value == 0), (value, values)


def check_alert(
    sign: Sign, outputs: list[Output], kinds: Collection[str] = ("threshold", "anomaly")
) -> None:
    """At some key its alert rises, and is over at the end."""
    told: dict[str, list[str]] = defaultdict(list)
    for output in outputs:
        if output.topic == ALERT_LOG:
            alert = json.loads(output.value)
            if alert["rule"] == sign.id and alert["kind"] in kinds:
                told[alert["key"]].append(alert["transition"])
    assert any("raised" in said and said[-1] == "cleared" for said in told.values()), dict(told)
