"""Write the JSON Schema of every boundary type: ``python -m schemas.generate [--check]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec
import orjson

from schemas.accounting import LaneAccounting
from schemas.alert import Alert
from schemas.command import Command
from schemas.deadletter import DeadLetter
from schemas.device_vital import DeviceResults
from schemas.hotline import NEEDS, HotlineEvent
from schemas.late import LateEvent
from schemas.observation import Observation
from schemas.reading import Reading
from schemas.tick import Tick
from schemas.vital import VitalResult
from schemas.warning import OfficialWarning

FOLDER = Path(__file__).parent / "json"

TYPES: dict[str, type[msgspec.Struct]] = {
    "reading": Reading,
    "observation": Observation,
    "hotline-event": HotlineEvent,
    "official-warning": OfficialWarning,
    "vital-result": VitalResult,
    "device-results": DeviceResults,
    "alert": Alert,
    "command": Command,
    "dead-letter": DeadLetter,
    "late-event": LateEvent,
    "tick": Tick,
    "lane-accounting": LaneAccounting,
}

_CONDITIONS = {
    "hotline-event": NEEDS,
    "official-warning": (("status", "active", ("t_expires",)),),
    "command": (("kind", "shelve", ("until",)),),
}


def documents() -> dict[str, bytes]:
    """Return the document of each file name."""
    return {
        f"{name}.schema.json": orjson.dumps(
            _document(name, struct), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        )
        for name, struct in TYPES.items()
    }


def write(folder: Path) -> None:
    """Write all documents into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents().items():
        (folder / name).write_bytes(document)


def stale(folder: Path) -> list[str]:
    """List the files that differ from their type, are missing, or have no type, sorted."""
    expected = documents()
    present = {path.name: path.read_bytes() for path in folder.glob("*.schema.json")}
    names = expected.keys() | present.keys()
    return sorted(name for name in names if expected.get(name) != present.get(name))


def _document(name: str, struct: type[msgspec.Struct]) -> dict[str, Any]:
    schema = msgspec.json.schema(struct)
    definitions = {key: _first_line(body) for key, body in schema["$defs"].items()}
    body = definitions.pop(struct.__name__)
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:city:{name}:1",
        **body,
        "title": name.replace("-", " "),
    }
    conditions = [
        {
            "if": {"properties": {field: {"const": word}}, "required": [field]},
            "then": _present(needed),
        }
        for field, word, needed in _CONDITIONS.get(name, ())
    ]
    if conditions:
        document["allOf"] = conditions
    if definitions:
        document["$defs"] = definitions
    return document


def _present(names: tuple[str | tuple[str, ...], ...]) -> dict[str, Any]:
    """The condition that fields are there and not null; of those in brackets, one."""
    all_of = [name for name in names if isinstance(name, str)]
    one_of = [[_present((name,)) for name in each] for each in names if not isinstance(each, str)]
    return {
        "required": all_of,
        "properties": {key: {"not": {"type": "null"}} for key in all_of},
        **({"allOf": [{"anyOf": options} for options in one_of]} if one_of else {}),
    }


def _first_line(body: dict[str, Any]) -> dict[str, Any]:
    # msgspec puts the whole docstring there, with its parameters and examples.
    return {**body, "description": body["description"].partition("\n")[0]}


def main(arguments: list[str] | None = None) -> int:
    """Write the documents, or with ``--check`` name the stale ones and return 1."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, name stale files")
    if not parser.parse_args(arguments).check:
        write(FOLDER)
        return 0
    names = stale(FOLDER)
    for name in names:
        print(f"schemas/json/{name} is stale: run python -m schemas.generate", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
