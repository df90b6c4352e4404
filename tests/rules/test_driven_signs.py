"""Every sign takes a value at each of its levels, raises its alert and clears it."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest

from agents.outputs import ALERT_LOG, DEVICE_VITALS, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.loading import load
from schemas.signs import Sign
from streams.records import Chunk, Lane, Output
from tests.rules import driven_days as days
from tests.rules import driven_fleet as fleet
from tests.rules import driven_indices as indices
from tests.rules import driven_orders as orders
from tests.rules.driven import DRIVERS, alone, drive, phases_of
from tests.rules.driven_events import LEVELS
from tests.rules.wide import SECRET

CATALOGUE = load(environ={})
MORE = {**days.DRIVEN, **fleet.DRIVEN, **orders.DRIVEN, **indices.DRIVEN}
RATED = [sign for sign in CATALOGUE.signs if sign.levels is not None]
# Those of the engine itself are of processing time: see `test_driven_live`.
DRIVEN = [sign for sign in RATED if sign.kind != "live"]


def outputs_of(sign: Sign) -> list[Output]:
    driven = MORE.get(sign.id)
    pipeline = Pipeline(compile_plan(alone(CATALOGUE, sign, driven), SECRET))
    topics: dict[str, str] = {t.kind: t.name for t in CATALOGUE.topics}
    lanes: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for t, kind, said in drive(sign, driven):
        lanes[topics[kind]].append((t, json.dumps(said).encode()))
    outputs: list[Output] = []
    for name, records in lanes.items():
        times, raw = [t for t, _ in records], [r for _, r in records]
        keys: list[bytes | None] = [None] * len(raw)
        outputs += pipeline.step(Chunk(name, 0, range(len(raw)), times, keys, raw))
        counts = pipeline.lanes[Lane(name, 0)].accounting
        assert (counts.late, counts.duplicate) == (0, 0)
        assert bool(counts.rejected) == (driven is not None and driven.refused)
    return outputs + pipeline.end()


Said = list[tuple[int, float, int]]
"""Ends of windows in ms, values and levels."""


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
            column = json.loads(output.value)
            if column["vital"] == sign.id and column["level"] is not None:
                pairs = zip(column["value"], column["level"], strict=True)
                said["device"] += [(column["t_end"], v, n) for v, n in pairs if n is not None]
    return said


def off_by(sign: Sign) -> tuple[float, float]:
    """How far a value may be from what it shall be, as a share of it and in its unit.

    Where things are counted one more may lie in a window, and of a hundred one is a per cent; a
    quantile is known to a hundredth.
    """
    function = getattr(getattr(sign, "aggregate", None), "function", "")
    share = 0.01 if function == "quantile" else 0.001
    return share, 1.0 if sign.unit == "%" or function in ("count", "hits") else 1e-6


def check_values(sign: Sign, said: Said) -> None:
    """When a phase is over the sign says what it shall; a count of nothing may be absent.

    More than all can not be well.
    """
    assert sign.levels is not None
    rel, near = off_by(sign)
    rate = sign.unit == "%" and sign.levels.compare == "lt"
    for begin, end, value in phases_of(sign, MORE.get(sign.id)):
        wanted = min(value, 100.0) if rate else value
        values = [v for t, v, _ in said if begin < t <= end][-3:]
        met = any(v == pytest.approx(wanted, rel=rel, abs=near) for v in values)
        assert met or (not values and value == 0), (value, values)


@pytest.mark.parametrize("sign", DRIVEN, ids=lambda sign: sign.id)
def test_a_sign_is_seen_at_each_level_and_its_alert_rises_and_clears(sign: Sign) -> None:
    assert sign.levels is not None
    outputs = outputs_of(sign)
    wanted = {0, *(LEVELS.index(name) + 1 for name, _ in sign.levels.thresholds.given())}
    said = said_of(sign, outputs)
    seen = {key: {level for _, _, level in results} for key, results in said.items()}
    assert any(levels >= wanted for levels in seen.values()), seen
    best = max(said, key=lambda key: len(seen[key]))
    check_values(sign, said[best])
    if sign.alert is None:
        return
    told: dict[str, list[str]] = defaultdict(list)
    for output in outputs:
        if output.topic == ALERT_LOG:
            alert = json.loads(output.value)
            if alert["rule"] == sign.id:
                told[alert["key"]].append(alert["transition"])
    assert any("raised" in said and said[-1] == "cleared" for said in told.values()), dict(told)


def test_what_is_driven_in_its_own_way_is_in_the_catalogue() -> None:
    assert MORE.keys() | DRIVERS.keys() <= {sign.id for sign in DRIVEN}
    assert not MORE.keys() & DRIVERS.keys()
