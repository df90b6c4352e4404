"""Made-up requests by the OpenAPI document: no fault of ours, answers by schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from agents.gateway.access import ROUTES
from tests.gateway.running import Running, folder_of, gateway

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@schemathesis.serializer("application/x-ndjson")
def as_lines(_: schemathesis.SerializationContext, value: object) -> bytes:
    return str(value).encode(errors="replace")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = folder_of(tmp_path_factory.mktemp("contract") / "data")
    with gateway("--data", folder, "--port", 0) as found:
        yield found


@pytest.fixture(scope="module")
def api(running: Running) -> schemathesis.BaseSchema:
    headers = {"authorization": f"Bearer {running.token}"}
    return schemathesis.openapi.from_url(f"{running.url}/openapi.json", headers=headers)


WAYS = [
    (method, path.replace(":path", ""))
    for method, path in ROUTES
    # A stream has no end, and the documents do not describe themselves.
    if path not in ("/stream", "/openapi.json", "/asyncapi.json")
]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=str)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_answer_is_as_the_document_says(
    api: schemathesis.BaseSchema, running: Running, way: tuple[str, str], mode: GenerationMode
) -> None:
    method, path = way
    headers = {"authorization": f"Bearer {running.token}"}

    @given(case=api[path][method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: schemathesis.Case) -> None:
        response = case.call(headers=headers, base_url=running.url, timeout=30)
        case.validate_response(response, checks=CHECKS)

    check()
