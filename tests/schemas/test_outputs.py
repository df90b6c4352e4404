"""Outputs: the order of their fields, explicit nulls, and no number that is not finite."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from schemas.alert import Alert, Contributor, Why
from schemas.deadletter import DeadLetter
from schemas.encoding import encode
from schemas.refusal import CODES
from schemas.vital import REASONS, VitalResult

RESULT: dict[str, Any] = {
    "vital": "drain.depth",
    "key_level": "grid",
    "key": "440111004003012",
    "place": "440111004003012",
    "t_start": 1779403200000,
    "t_end": 1779403320000,
    "value": 26.8,
    "unit": "cm",
    "n": 4,
    "coverage": 1.0,
    "level": 3,
    "reason": None,
    "rev": 0,
    "final": False,
    "detail": None,
    "model": None,
    "table": None,
    "config": "2026.11",
    "live": False,
}

WHY = Why(
    t_start=0,
    t_end=60_000,
    n=1,
    value=26.8,
    threshold=25.0,
    compare="ge",
    threshold_source="district rule",
    standing="proposal",
    coverage=1.0,
    config="2026.11",
    contributors=[Contributor(key="d1", value=26.8)],
)

ALERT: dict[str, Any] = {
    "alert_id": "5f2b",
    "rule": "drain.depth",
    "kind": "threshold",
    "key_level": "grid",
    "key": "440111004003012",
    "place": "440111004003012",
    "state": "raised",
    "transition": "escalated",
    "level": 3,
    "max_level": 3,
    "t_onset": 1779402780000,
    "t_raised": 1779402900000,
    "t_update": 1779403320000,
    "t_cleared": None,
    "late": False,
    "value": 26.8,
    "unit": "cm",
    "acked": False,
    "shelved_until": None,
    "suppressed_by": None,
    "by": None,
    "note": None,
    "certainty": None,
    "suppresses": [],
    "labels": {"rule": "drain.depth"},
    "annotations": {"title_zh": "积水", "title_en": "Water on the road"},
    "why": WHY,
}

LETTER: dict[str, Any] = {
    "topic": "city.sensor.v1",
    "partition": 0,
    "offset": 17,
    "timestamp": 1779403293000,
    "reason": "bad_time",
    "where": "$.t",
    "hint": "looks like seconds: send milliseconds",
    "size": 214,
    "attempt": 1,
}


@pytest.mark.parametrize(
    ("struct", "fields"), [(VitalResult, RESULT), (Alert, ALERT), (DeadLetter, LETTER)]
)
def test_bytes_follow_the_order_of_the_fields(
    struct: type[msgspec.Struct], fields: dict[str, Any]
) -> None:
    output = struct(**dict(reversed(fields.items())))
    raw = encode(output)
    assert list(json.loads(raw)) == list(fields) == list(struct.__struct_fields__)
    assert encode(msgspec.json.decode(raw, type=struct)) == raw


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_output_holds_a_number_that_is_not_finite(value: float) -> None:
    with pytest.raises(ValueError, match=r"\$.value"):
        encode(VitalResult(**{**RESULT, "value": value}))
    with pytest.raises(ValueError, match=r"\$.detail.iaqi\[1\]"):
        encode(VitalResult(**{**RESULT, "detail": {"iaqi": [1, value]}}))
    contributors = [Contributor(key="d1", value=value)]
    why = msgspec.structs.replace(WHY, contributors=contributors)
    with pytest.raises(ValueError, match=r"\$.why.contributors\[0\].value"):
        encode(Alert(**{**ALERT, "why": why}))


@pytest.mark.parametrize("reason", REASONS)
def test_a_null_value_has_a_reason_and_no_level(reason: str) -> None:
    empty = {**RESULT, "value": None, "level": None, "reason": reason}
    assert json.loads(encode(VitalResult(**empty)))["value"] is None
    for wrong in ({"level": 0}, {"reason": None}):
        with pytest.raises(ValueError, match="a null value"):
            VitalResult(**{**empty, **wrong})


def test_a_dead_letter_has_no_room_for_content() -> None:
    assert set(DeadLetter.__struct_fields__) == set(LETTER)
    assert LETTER["reason"] in CODES
