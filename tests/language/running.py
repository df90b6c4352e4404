"""Runs published lines through a configuration, and gives what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from agents.shapes import head_of, shapes_of
from schemas.configuration import Configuration
from schemas.loading import CATALOGUE, load
from schemas.register import parse_register
from streams.partitioning import partition_of
from tests.rules.lanes import LaneName, Record
from tests.rules.logs import chunks_of, replay, results_of

EXAMPLES = CATALOGUE.parent / "examples"

Line = tuple[str, bytes]
"""Topic, and what stands in its log."""
Log = dict[LaneName, list[Record]]
Said = dict[tuple[str, str, int], dict[str, Any]]
"""The newest result of each sign, key and window end."""


def example(name: str, register: str | None = None) -> Configuration:
    """A configuration that is shipped, with a register."""
    configuration = load(EXAMPLES / f"{name}.yaml", environ={})
    if register is None:
        return configuration
    return configuration.with_register(parse_register(register, "register.csv"))


def changed(path: Path, name: str, changes: Mapping[str, str]) -> Configuration:
    """A shipped configuration with some texts replaced."""
    text = (EXAMPLES / f"{name}.yaml").read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)
    return load(path, environ={})


def lanes_of(configuration: Configuration, lines: Iterable[Line], rng: Random | None = None) -> Log:
    """The lines in the partitions of their keys; with ``rng`` in disorder, and some late."""
    topics = {topic.name: topic for topic in configuration.topics}
    heads = {name: head_of(name, shapes_of([topic])) for name, topic in topics.items()}
    log: Log = {(name, p): [] for name, t in topics.items() for p in range(t.partitions)}
    last = 0
    for topic, raw in lines:
        key, at = heads[topic](raw)
        last = last if at is None else at
        delay = rng.choice((0, 0, 0, 40, 900, 4_000, 70_000, 130_000)) if rng else 0
        place = partition_of(key, topics[topic].partitions)
        log[topic, place].append((last + delay, raw))
    if rng is not None:
        for records in log.values():
            records.sort(key=lambda record: record[0])
    return log


def said(configuration: Configuration, lines: Iterable[Line]) -> Said:
    """What a configuration says of lines; every record is in one bin."""
    pipeline, outputs = replay(configuration, chunks_of(lanes_of(configuration, lines)))
    assert all(intake.accounting.remainder == 0 for intake in pipeline.lanes.values())
    results = results_of(outputs)
    newest: Said = {}
    for (sign, _, key, end, _), result in sorted(results.items()):
        newest[sign, key, end] = result
    return newest


def values(found: Said, sign: str) -> dict[tuple[str, int], float | None]:
    """Values of a sign by key and window end."""
    return {(key, end): r["value"] for (s, key, end), r in found.items() if s == sign}
