"""What a sign may read: nothing private, and no number too large for the engine's steps."""

from __future__ import annotations

import pytest
from msgspec import inspect

from agents.measures import STEPS
from schemas.events import KINDS
from schemas.facts import STREAMS
from schemas.fields import fields_of
from schemas.metrics import METRICS
from schemas.words import TOPIC_OF


def test_no_sign_may_read_what_citizens_say_or_who_they_are() -> None:
    fields = fields_of("hotline")
    assert not {"text", "caller", "reason", "caller_hash"} & fields.keys()


def test_a_counter_is_no_value() -> None:
    """``seq`` up to 2^53 in steps of 10⁻⁶ once overflowed the kernel and stopped the worker."""
    assert "seq" not in fields_of("sensor")


@pytest.mark.parametrize("kind", TOPIC_OF)
def test_every_number_a_sign_may_read_fits_64_bits_in_steps(kind: str) -> None:
    struct = inspect.type_info(STREAMS.get(kind) or KINDS[kind])
    assert isinstance(struct, inspect.StructType)
    declared = {field.name: field.type for field in struct.fields}
    for name, field in fields_of(kind).items():
        if field.shape == "number" and name != "value":
            assert bound(declared[name]) * STEPS < 2**63, name
    most = max(max(abs(m.minimum), abs(m.maximum)) for m in METRICS.values())
    assert most * STEPS < 2**63


def bound(declared: inspect.Type) -> float:
    """The largest magnitude of a field's numbers; infinite where one side is open."""
    if isinstance(declared, inspect.UnionType):
        return max(bound(one) for one in declared.types)
    if isinstance(declared, inspect.Metadata):
        return bound(declared.type)
    if not isinstance(declared, inspect.IntType | inspect.FloatType):
        return 0.0
    low = declared.ge if declared.ge is not None else declared.gt
    high = declared.le if declared.le is not None else declared.lt
    if low is None or high is None:
        return float("inf")
    return float(max(abs(low), abs(high)))
