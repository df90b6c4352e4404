"""The JSON Schemas: current, and in agreement with the gate."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from schemas import generate

EXAMPLES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "examples.json").read_text(encoding="utf-8")
)
NAMES = {
    "sensor": "reading",
    "traffic": "observation",
    "hotline": "hotline-event",
    "call": "hotline-event",
    "external": "official-warning",
}


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """A small validator, for the keywords that these documents use."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return any(fits(value, option, root) for option in schema["anyOf"])
    types = {
        "string": str,
        "integer": int,
        "number": int | float,
        "boolean": bool,
        "null": type(None),
        "array": list,
        "object": dict,
    }
    name = schema.get("type")
    if name and not (
        isinstance(value, types[name]) and isinstance(value, bool) == (name == "boolean")
    ):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, str):
        size = len(value)
        return schema.get("minLength", 0) <= size <= schema.get("maxLength", size) and bool(
            re.search(schema.get("pattern", ""), value)
        )
    if isinstance(value, int | float):
        return (
            value >= schema.get("minimum", value)
            and value <= schema.get("maximum", value)
            and not value <= schema.get("exclusiveMinimum", value - 1)
            and not value >= schema.get("exclusiveMaximum", value + 1)
        )
    if isinstance(value, list):
        size = len(value)
        return schema.get("minItems", 0) <= size <= schema.get("maxItems", size) and all(
            fits(item, schema["items"], root) for item in value
        )
    if isinstance(value, dict):
        known = schema["properties"]
        return (
            set(schema["required"]) <= set(value) <= set(known)
            and all(fits(item, known[key], root) for key, item in value.items())
            and all(holds(value, rule) for rule in schema.get("allOf", ()))
        )
    return value is None


def holds(event: dict[str, Any], rule: dict[str, Any]) -> bool:
    [(field, word)] = rule["if"]["properties"].items()
    if event.get(field) != word["const"]:
        return True
    return present(event, rule["then"])


def present(event: dict[str, Any], rule: dict[str, Any]) -> bool:
    return all(event.get(name) is not None for name in rule["required"]) and all(
        any(present(event, option) for option in choice["anyOf"])
        for choice in rule.get("allOf", ())
    )


def document(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(generate.documents()[f"{name}.schema.json"])
    return schema


def test_the_documents_are_current() -> None:
    assert generate.stale(generate.FOLDER) == []
    assert generate.main(["--check"]) == 0


def test_stale_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generate.write(tmp_path)
    assert generate.stale(tmp_path) == []
    (tmp_path / "alert.schema.json").write_text("{}")
    (tmp_path / "reading.schema.json").unlink()
    (tmp_path / "gone.schema.json").write_text("{}")
    expected = ["alert.schema.json", "gone.schema.json", "reading.schema.json"]
    assert generate.stale(tmp_path) == expected
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    assert generate.main(["--check"]) == 1
    messages = capsys.readouterr().err
    assert all(name in messages for name in expected)


@pytest.mark.parametrize("name", generate.TYPES)
def test_each_document_has_its_head(name: str) -> None:
    schema = document(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:city:{name}:1"
    assert schema["title"] == name.replace("-", " ")
    bodies = [schema, *schema.get("$defs", {}).values()]
    assert all("\n" not in body["description"] for body in bodies)


@pytest.mark.parametrize("kind", NAMES)
def test_examples_fit(kind: str) -> None:
    schema = document(NAMES[kind])
    assert fits(EXAMPLES[kind], schema, schema)
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("sensor", "place", "４４０１"),
        ("sensor", "place", "44011"),
        ("sensor", "t", 1779403290),
        ("sensor", "metric", "nothing"),
        ("sensor", "unit", "furlong"),
        ("sensor", "seq", 2**53),
        ("sensor", "src", "gz"),
        ("sensor", "period_s", 0),
        ("traffic", "speed_kmh", 251),
        ("hotline", "category", []),
        ("hotline", "duplicate_of", None),
        ("call", "wait_s", None),
        ("external", "t_expires", None),
    ],
)
def test_what_the_gate_refuses_does_not_fit(kind: str, field: str, value: Any) -> None:
    schema = document(NAMES[kind])
    assert not fits({**EXAMPLES[kind], field: value}, schema, schema)


def test_a_step_without_category_has_a_text() -> None:
    schema = document("hotline-event")
    step = EXAMPLES["hotline"]
    for event in (step | {"category": None}, step | {"text": None}):
        assert fits(event, schema, schema)
    assert not fits(step | {"category": None, "text": None}, schema, schema)
