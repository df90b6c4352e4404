"""Loading a configuration from YAML: accepted whole, or refused with every fault in its place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from schemas.citizens import Calendar, Hotline, Orders
from schemas.configuration import City, Configuration, Shard, Topic
from schemas.consistency import find_problems
from schemas.devices import Register
from schemas.documents import (
    ConfigurationError,
    Document,
    Place,
    Problem,
    Steps,
    dotted,
    read_document,
)
from schemas.explaining import document_path, explain
from schemas.hierarchies import Hierarchy, column_of
from schemas.incidents import Incident
from schemas.level_tables import LevelTable
from schemas.metric_entries import MetricEntry
from schemas.metrics import Metrics
from schemas.overlays import Overlay
from schemas.overrides import apply_overrides
from schemas.register import RegisterError
from schemas.registers import read_register, read_relations
from schemas.related import Relations
from schemas.signals import SignalTable
from schemas.signs import Sign

_Read = TypeVar("_Read")

CATALOGUE = Path(__file__).parent / "catalogue"
"""The shipped configuration."""

_ADVICE = f": begin with a copy of the folder {CATALOGUE}, and change or add signs there"
"""For who wrote signs and not what belongs to them."""

_JOINED = (
    "topics",
    "metrics",
    "signs",
    "incidents",
    "overlays",
    "hierarchies",
    "tables",
    "signals",
    "departures",
)
"""The lists that the files of a folder add to."""

_SIGN: TypeAdapter[Any] = TypeAdapter(Sign)
_TOPIC: TypeAdapter[Any] = TypeAdapter(Topic)
_SHARD: TypeAdapter[Any] = TypeAdapter(Shard)
_HIERARCHY: TypeAdapter[Any] = TypeAdapter(Hierarchy)
_INCIDENT: TypeAdapter[Any] = TypeAdapter(Incident)
_METRIC: TypeAdapter[Any] = TypeAdapter(MetricEntry)
_OVERLAY: TypeAdapter[Any] = TypeAdapter(Overlay)
_TABLE: TypeAdapter[Any] = TypeAdapter(LevelTable)
_SIGNAL: TypeAdapter[Any] = TypeAdapter(SignalTable)
_WHOLE: dict[str, TypeAdapter[Any]] = {
    "city": TypeAdapter(City),
    "hotline": TypeAdapter(Hotline),
    "orders": TypeAdapter(Orders),
    "calendar": TypeAdapter(Calendar),
}
"""The parts that are no lists."""

_DEPLOYMENT = {"kafka", "shards", "gateway"}
"""What a configuration may hold alone: the shipped catalogue then stands for the rest."""


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Configuration:
    """Load a configuration.

    Parameters
    ----------
    path
        A YAML file, or a folder whose ``*.yaml`` files are merged in the order of their names:
        mappings are merged, ``topics`` and ``signs`` added, and nothing is defined twice. None
        loads the shipped catalogue; so does what holds ``kafka`` and ``shards`` alone, beside it.
    environ
        Environment whose ``CITYVITALS__A__B=value`` override single settings, such as
        ``CITYVITALS__FORGET_S``; that of the process by default.

    Raises
    ------
    ConfigurationError
        With every problem at its file, line and column.

    Examples
    --------
    >>> load(environ={}).city.time_zone
    'Asia/Shanghai'
    """
    path = CATALOGUE if path is None else Path(path)
    problems: list[Problem] = []
    document = Document()
    parts = [read_document(file, problems) for file in _files(path, problems)]
    if parts and all(part and part.tree and part.tree.keys() <= _DEPLOYMENT for part in parts):
        parts += [read_document(file, problems) for file in _files(CATALOGUE, problems)]
    for part in parts:
        if part is not None:
            _merge(document, part, problems)
    if not parts or None in parts:
        # What stands in an unreadable file would be missed everywhere else.
        raise ConfigurationError(problems)
    apply_overrides(document, os.environ if environ is None else environ, problems)
    configuration = _validate(document, problems)
    if problems or configuration is None:
        raise ConfigurationError(problems)
    key_file = configuration.hotline.caller_key_file
    if key_file is not None:
        beside = Path(document.place(("hotline", "caller_key_file")).file).parent
        told = {"caller_key_file": str(beside / key_file)}
        hotline = configuration.hotline.model_copy(update=told)
        configuration = configuration.model_copy(update={"hotline": hotline})
    if configuration.relations_file is not None:
        relations = _relations(configuration.relations_file, document)
        configuration = configuration.with_relations(relations)
    if configuration.register_file is None:
        return configuration
    register = _register(configuration.register_file, document, configuration.known_metrics)
    configuration = configuration.with_register(register)
    if configuration.untold:
        raise ConfigurationError(_untold(configuration, document))
    return configuration


def _untold(configuration: Configuration, document: Document) -> Iterator[Problem]:
    for i in configuration.untold:
        path = ("hierarchies", i, "by")
        column = column_of(configuration.hierarchies[i])
        message = f"{configuration.register_file} has no column {column}: add it there"
        yield Problem(*document.place(path), dotted(path), message)


def _register(name: str, document: Document, metrics: Metrics) -> Register:
    """The register that a configuration names, relative to the file that names it."""
    return _read_beside(
        "register_file", name, document, lambda path: read_register(path, metrics=metrics)
    )


def _relations(name: str, document: Document) -> Relations:
    """The table of relations that a configuration names, relative to the file that names it."""
    return _read_beside("relations_file", name, document, read_relations)


def _read_beside(
    setting: str, name: str, document: Document, read: Callable[[Path], _Read]
) -> _Read:
    place = document.place((setting,))
    path = Path(place.file).parent / name
    try:
        return read(path)
    except RegisterError as error:
        (first, *_) = error.problems
        if first.line:
            raise
        message = f"{path} {first.message}: name another file, or none"
        raise ConfigurationError([Problem(*place, setting, message)]) from error


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration document, for editors.

    >>> json_schema()["properties"]["forget_s"]["default"]
    86400.0
    """
    schema = Configuration.model_json_schema()
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:city:configuration:1",
        "title": "configuration",
    }
    _shorten(schema)
    return head | {key: value for key, value in schema.items() if key != "title"}


def _files(path: Path, problems: list[Problem]) -> list[Path]:
    if path.is_dir():
        files = sorted(f for f in path.glob("*.yaml") if not f.name.startswith("."))
        if not files:
            message = "the folder has no *.yaml file: name a folder or a file with a configuration"
            problems.append(Problem(str(path), 0, 0, "", message))
        return files
    if not path.exists():
        message = "no such file or folder: check the path, or name none for the shipped catalogue"
        problems.append(Problem(str(path), 0, 0, "", message))
        return []
    return [path]


def _merge(whole: Document, part: Document, problems: list[Problem]) -> None:
    """Add a file's document to the whole, and report what is defined twice."""
    listed = {name: whole.tree.get(name) for name in _JOINED}
    offsets = {name: len(items) for name, items in listed.items() if isinstance(items, list)}
    refused = _merge_mapping(whole, part, (), whole.tree, part.tree, problems)

    def moved(path: Steps) -> Steps:
        if len(path) > 1 and isinstance(path[1], int):
            return (path[0], path[1] + offsets.get(str(path[0]), 0), *path[2:])
        return path

    for mine, theirs in ((whole.values, part.values), (whole.keys, part.keys)):
        for path, place in theirs.items():
            if not any(path[: len(twice)] == twice for twice in refused):
                mine.setdefault(moved(path), place)


def _merge_mapping(
    whole: Document,
    part: Document,
    path: Steps,
    into: dict[str, Any],
    new: dict[str, Any],
    problems: list[Problem],
) -> list[Steps]:
    """Merge one level; gives the paths that the whole had already and so did not take."""
    refused: list[Steps] = []
    for name, value in new.items():
        here = (*path, name)
        if name not in into:
            into[name] = value
        elif isinstance(into[name], dict) and isinstance(value, dict):
            refused += _merge_mapping(whole, part, here, into[name], value, problems)
        elif (
            not path
            and name in _JOINED
            and isinstance(into[name], list)
            and isinstance(value, list)
        ):
            into[name] = into[name] + value
        else:
            first = whole.keys[here]
            message = f"'{name}' is defined twice: the first is at {first.file}:{first.line}"
            problems.append(Problem(*part.keys[here], dotted(here), message))
            refused.append(here)
    return refused


def _validate(document: Document, problems: list[Problem]) -> Configuration | None:
    configuration = None
    errors: list[ErrorDetails] = []
    try:
        configuration = Configuration.model_validate(document.tree, context="located")
    except ValidationError as error:
        errors = error.errors(include_url=False)
    reported = {problem.path for problem in problems}
    found: list[tuple[Steps, str, Place | None]] = []
    advice = _ADVICE if "signs" in document.tree else ""
    for fault in errors:
        path, on_key = document_path(fault)
        message = explain(fault, path)
        if fault["type"] == "missing" and len(path) == 1:
            # Once: who forgot one part of the catalogue has mostly forgotten all.
            message, advice = message + advice, ""
        found.append((path, message, document.keys.get(path) if on_key else None))
    found += [(path, message, None) for path, message in _inconsistencies(document.tree, errors)]
    for path, message, place in found:
        if dotted(path) not in reported:
            at = place or document.place(path)
            problems.append(Problem(*at, dotted(path), message))
    return configuration


def _inconsistencies(
    tree: dict[str, Any], errors: list[ErrorDetails]
) -> Iterator[tuple[Steps, str]]:
    """What is wrong between the parts that are right in themselves.

    A person who mends one fault should not be told of the next only then.
    """
    faulty = {fault["loc"][:2] for fault in errors}

    def readable(part: str, adapter: TypeAdapter[Any]) -> dict[int, Any]:
        items = tree.get(part)
        return {
            i: adapter.validate_python(item)
            for i, item in enumerate(items if isinstance(items, list) else ())
            if (part, i) not in faulty
        }

    signs, topics = readable("signs", _SIGN), readable("topics", _TOPIC)
    shards, hierarchies = readable("shards", _SHARD), readable("hierarchies", _HIERARCHY)
    incidents = readable("incidents", _INCIDENT)
    wrong = {at[0] for at in faulty}
    whole = {
        part: adapter.validate_python(tree[part])
        for part, adapter in _WHOLE.items()
        if part in tree and part not in wrong
    }
    listed = tree.get("topics")
    yield from find_problems(
        whole.get("city"),
        topics,
        signs,
        shards,
        hotline=whole.get("hotline"),
        orders=whole.get("orders"),
        calendar=whole.get("calendar"),
        hierarchies=None if "hierarchies" in wrong else list(hierarchies.values()),
        incidents=incidents,
        metrics=readable("metrics", _METRIC),
        overlays=readable("overlays", _OVERLAY),
        tables=readable("tables", _TABLE),
        signals=readable("signals", _SIGNAL),
        unread=_ids(tree),
        topics_complete=isinstance(listed, list) and len(topics) == len(listed),
    )


def _ids(tree: dict[str, Any]) -> set[str]:
    parts = (tree.get(part) for part in ("signs", "tables"))
    listed = (item for part in parts for item in (part if isinstance(part, list) else ()))
    found = (item.get("id") for item in listed if isinstance(item, dict))
    return {name for name in found if isinstance(name, str)}


def _shorten(schema: Any) -> None:
    """Keep the first line of every description: the rest is for readers of the code."""
    if isinstance(schema, dict):
        if isinstance(schema.get("description"), str):
            schema["description"] = schema["description"].strip().splitlines()[0]
        for value in schema.values():
            _shorten(value)
    elif isinstance(schema, list):
        for value in schema:
            _shorten(value)
