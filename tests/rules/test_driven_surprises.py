"""Every sign without levels takes the values it is driven to, and tells what is unusual."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

from agents.outputs import ALERT_LOG, VITALS_LOG
from schemas.signs import Sign
from tests.commands.test_catalogue import SIGNS
from tests.rules.driven_all import CATALOGUE, SURPRISING, off_by
from tests.rules.driven_runs import outputs_when
from tests.rules.driven_surprises import SURPRISING as DRIVEN
from tests.rules.driven_surprises import surprises


def test_no_sign_is_left_out() -> None:
    asked = {f"{domain}.{name}" for domain, names in SIGNS.items() for name in names.split()}
    without = {sign.id for sign in CATALOGUE.signs if sign.levels is None}
    assert asked & without == DRIVEN.keys()
    assert all(sign.model is not None for sign in SURPRISING)


@pytest.mark.parametrize("sign", SURPRISING, ids=lambda sign: sign.id)
def test_a_surprise_is_raised_and_cleared_at_each_key_that_is_learned(sign: Sign) -> None:
    phases_of = DRIVEN[sign.id].phases
    assert phases_of is not None
    assert sign.model is not None
    said: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for output in outputs_when(sign, DRIVEN[sign.id]):
        result = json.loads(output.value) if output.topic in (VITALS_LOG, ALERT_LOG) else {}
        if output.topic == ALERT_LOG and result["rule"] == sign.id:
            assert result["kind"] == "anomaly"
            told[result["key_level"]].append(result)
        elif result.get("vital") == sign.id and result["value"] is not None:
            key = (result["key_level"], result["key"])
            said[key].append((result["t_end"], result["value"]))
    rel, near = off_by(sign)
    phases = phases_of(sign)
    assert {level for level, _ in said} == set(sign.keys)
    for key, found in said.items():
        for begin, end, value in phases:
            last = [v for t, v in found if begin < t <= end][-3:]
            assert any(v == pytest.approx(value, rel=rel, abs=near) for v in last), (key, value)
    assert told.keys() == set(sign.model.keys or sign.keys)
    for alerts in told.values():
        moves = [alert for alert in alerts if alert["transition"] != "clearing"]
        assert [one["transition"] for one in moves] == ["raised", "escalated", "cleared"], moves
        assert [one["level"] for one in moves[:2]] == [level for _, level in surprises(sign)[1:3]]
        raised, escalated, cleared = (one["t_update"] for one in moves)
        _, blue, yellow, again = phases
        assert blue[0] < raised <= blue[1]
        assert yellow[0] < escalated <= yellow[1]
        assert again[0] < cleared <= again[1]
