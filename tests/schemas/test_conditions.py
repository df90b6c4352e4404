"""Conditions of shares and hits: what is wrong with one is told at its field."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.documents import ConfigurationError
from schemas.loading import load

TEXT = """version: x
city: {name: {zh: a, en: a}, place: "4401", time_zone: Asia/Shanghai}
topics: [{name: s, kind: sensor, allowed_lateness_s: 60}]
signs:
  - id: a.b
    kind: window
    domain: a
    name: {zh: a, en: a}
    unit: "%"
    source: tests
    topic: sensor
    match: {metric: rain}
    base: street
    aggregate: AGGREGATE
    window: {size_s: 60, hop_s: 60}
    keys: [street]
    rollup: merge
"""


def problems(tmp_path: Path, aggregate: str) -> list[tuple[str, str]]:
    (tmp_path / "c.yaml").write_text(TEXT.replace("AGGREGATE", aggregate), "utf-8")
    try:
        load(tmp_path / "c.yaml", {})
    except ConfigurationError as error:
        return [
            (problem.path.removeprefix("signs.0."), problem.message) for problem in error.problems
        ]
    return []


@pytest.mark.parametrize(
    "aggregate",
    [
        "{function: share, where: {value: {at_least: 2}}}",
        "{function: share, where: {value: {at_most: 4, at_least: 2}}, among: {q: [good, bad]}}",
        "{function: hits, where: {value: 3, q: good}}",
        "{function: distinct, of: device, where: {value: 3}}",
    ],
)
def test_legal_conditions(tmp_path: Path, aggregate: str) -> None:
    assert problems(tmp_path, aggregate) == []


@pytest.mark.parametrize(
    ("aggregate", "path", "words"),
    [
        ("{function: share}", "aggregate", "needs where"),
        ("{function: hits, where: {}}", "aggregate", "needs where"),
        ("{function: sum, where: {value: 3}}", "aggregate.where", "share, hits and distinct"),
        (
            "{function: hits, where: {value: 3}, among: {value: 4}}",
            "aggregate.among",
            "share alone",
        ),
        ("{function: share, of: value, where: {value: 3}}", "aggregate.of", "remove of"),
        ("{function: share, where: {valu: 3}}", "aggregate.where.valu", "did you mean 'value'"),
        ("{function: share, where: {value: x}}", "aggregate.where.value", "takes a number"),
        ("{function: share, where: {q: {at_least: 1}}}", "aggregate.where.q", "holds no numbers"),
        ("{function: share, where: {q: fine}}", "aggregate.where.q", "never 'fine'"),
        ("{function: share, where: {value: {}}}", "aggregate.where.value", "or a range such as"),
        (
            "{function: share, where: {value: {at: 1}}}",
            "aggregate.where.value",
            "or a range such as",
        ),
        (
            "{function: share, where: {value: {at_least: 3, at_most: 2}}}",
            "aggregate.where.value",
            "or a range such as",
        ),
        ("{function: share, where: {value: .nan}}", "aggregate.where.value", "or a range such as"),
    ],
)
def test_faults_of_conditions(tmp_path: Path, aggregate: str, path: str, words: str) -> None:
    found = problems(tmp_path, aggregate)
    assert any(where == path and words in message for where, message in found), found


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ("{size_s: 21600, hop_s: 21600, during: night}", "may never fit"),
        ("{calendar: night, during: night}", "for windows of a size"),
        ("{size_s: 600, hop_s: 60, during: morning}", "daytime, night"),
    ],
)
def test_faults_of_windows_of_a_night(tmp_path: Path, window: str, words: str) -> None:
    text = TEXT.replace("AGGREGATE", "{function: max}").replace("{size_s: 60, hop_s: 60}", window)
    (tmp_path / "c.yaml").write_text(text.replace('"%"', "mm"), "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "c.yaml", {})
    assert any(words in problem.message for problem in caught.value.problems), str(caught.value)
