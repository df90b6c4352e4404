"""``/asyncapi.json`` is a document of AsyncAPI 3.0, by the schema of the standard itself.

The schema is `3.0.0-without-$id.json` of `@asyncapi/specs` 6.11.1, as it was released.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from agents.gateway.application import asyncapi_of
from schemas.loading import load

VENDORED = Path(__file__).parent / "vendor"


@pytest.fixture(scope="module")
def standard() -> Any:
    return jsonschema_rs.validator_for(json.loads((VENDORED / "asyncapi-3.0.0.json").read_text()))


def document() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(asyncapi_of(load(environ={}), "1.0.0")))
    return told


def test_the_document_is_as_the_standard_says(standard: Any) -> None:
    found = [
        f"{list(one.instance_path)}: {one.message}" for one in standard.iter_errors(document())
    ]
    assert found == []


FAULTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another version": lambda told: told.update(asyncapi="2.6.0"),
    "an action that there is not": lambda told: next(iter(told["operations"].values())).update(
        action="publish"
    ),
    "a channel with a word too many": lambda told: told["channels"]["stream"].update(topic="x"),
    "a message without reference": lambda told: told["channels"]["stream"].update(messages=["x"]),
}


@pytest.mark.parametrize("spoil", FAULTS.values(), ids=FAULTS)
def test_the_standard_sees_faults(standard: Any, spoil: Callable[[dict[str, Any]], object]) -> None:
    told = document()
    spoil(told)
    assert not standard.is_valid(told)


def test_the_schema_is_as_it_was_released() -> None:
    lines = (VENDORED / "CHECKSUMS.txt").read_text().splitlines()
    sums = dict(reversed(line.split()) for line in lines)
    assert set(sums) == {path.name for path in VENDORED.iterdir()} - {"CHECKSUMS.txt"}
    for name, digest in sums.items():
        assert hashlib.sha256((VENDORED / name).read_bytes()).hexdigest() == digest, name
