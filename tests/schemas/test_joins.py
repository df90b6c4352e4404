"""What `check` says of joins, lags, children and hierarchies: at file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.documents import ConfigurationError
from schemas.loading import load

DOCUMENT = """\
version: "1"
city: {name: {zh: 广州市, en: Guangzhou}, place: "4401", time_zone: Asia/Shanghai}
topics: [{name: city.traffic.v1, kind: traffic, allowed_lateness_s: 0}]
hierarchies:
  - {name: group, by: register}
  - {name: section, by: key, divider: /}
signs:
  - id: road.flow
    kind: window
    domain: road
    name: {zh: 流量, en: flow}
    unit: veh/h
    source: loops
    topic: traffic
    match: {kind: segment_flow}
    base: segment
    aggregate: {function: last, of: flow_vph}
    window: &minute {size_s: 60, hop_s: 60}
    keys: [segment]
    rollup: none
  - id: road.lanes
    kind: window
    domain: road
    name: {zh: 车道, en: lanes}
    unit: count
    source: loops
    topic: traffic
    match: {kind: segment_flow}
    base: segment
    aggregate: {function: last, of: lanes}
    window: *minute
    keys: [segment]
    rollup: none
  - id: road.join
    kind: derived
    domain: road
    name: {zh: 合, en: join}
    unit: veh/h
    source: road.flow, road.lanes
    formula: {name: combine, of: [road.flow, road.lanes], how: ratio}
    window: *minute
    keys: [segment]
  - id: road.ago
    kind: derived
    domain: road
    name: {zh: 前, en: before}
    unit: veh/h
    source: road.flow
    formula: {name: lag, of: road.flow, windows: 2}
    window: *minute
    keys: [segment]
  - id: road.section
    kind: derived
    domain: road
    name: {zh: 段, en: section}
    unit: veh/h
    source: road.flow, road.lanes
    formula: {name: children, of: road.flow, child: segment, how: sum, complete: road.lanes}
    window: *minute
    keys: [section]
  - id: road.group
    kind: derived
    domain: road
    name: {zh: 组, en: group}
    unit: veh/h
    source: road.flow
    formula: {name: children, of: road.flow, child: segment, how: mean, complete: register}
    window: *minute
    keys: [group]
  - id: road.inner
    kind: derived
    domain: road
    name: {zh: 组, en: group}
    unit: count
    source: road.flow
    formula: {name: children, of: road.flow, child: segment, how: count, carry: road.group}
    window: *minute
    keys: [group]
"""
COMBINE = "of: [road.flow, road.lanes], how: ratio"
SECTION = "child: segment, how: sum, complete: road.lanes"
GROUP = "how: mean, complete: register"


def test_the_document_is_right(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(DOCUMENT)
    assert len(load(tmp_path / "c.yaml", environ={}).signs) == 7


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        (
            "of: [road.flow, road.lanes]",
            "of: [road.flow, road.lane]",
            "2.formula.of.1",
            "road.lanes'",
        ),
        ("of: [road.flow, road.lanes]", "of: [road.flow]", "2.formula.of", "at least 2 items"),
        (COMBINE, "of: [road.flow, road.flow], how: sum", "2.formula.of.1", "listed twice"),
        (COMBINE, "of: [road.flow, road.lanes, road.ago], how: ratio", "2.formula.of", "takes two"),
        (COMBINE, f"{COMBINE}, otherwise: 0", "2.formula.otherwise", "is for how: same alone"),
        (COMBINE, "of: [road.flow, road.lanes], how: min, scal: 2", "2.formula.scal", "'scale'"),
        ("how: ratio", "how: median", "2.formula.how", "expected one of first, sum"),
        ("windows: 2", "windows: 0", "3.formula.windows", "at least 1"),
        ("windows: 2", "window: 2", "3.formula.window", "did you mean 'windows'?"),
        ("of: road.flow, windows", "of: road.ago, windows", "3.formula.of", "depends on itself"),
        ("[section]", "[sections]", "4.keys.0", "did you mean 'section'?"),
        ("[section]", "[section, city]", "4.keys.0", "goes alone"),
        ("[section]", "[site]", "4.keys.0", "'site' has no children"),
        (SECTION, "child: device, how: sum", "4.formula.child", "has no key device"),
        (SECTION, "child: segment, how: sum, complete: register", "4.formula.complete", "name a"),
        (SECTION, "child: segment, how: sum, complete: all", "4.formula.complete", "register, or"),
        (SECTION, f"{SECTION}, carry: road.section", "4.formula.carry", "a single level"),
        (SECTION, "child: segment, how: sum, complete: road.group", "4.formula.complete", "no key"),
        (GROUP, "how: mean, complete: road.lanes", "5.formula.complete", "use register"),
        ("carry: road.group", "carry: road.section", "6.formula.carry", "has no key group"),
        ("carry: road.group", "carry: road.grup", "6.formula.carry", "did you mean 'road.group'?"),
        ("keys: [segment]\n    rollup", "keys: [group]\n    rollup", "0.keys.0", "is a hierarchy"),
        ("{name: group,", "{name: city,", None, "'city' is a key level already"),
        ("{name: section,", "{name:  group,", None, "'group' is defined twice"),
        ("by: register}", "by: column}", None, "expected one of register, key"),
        ("by: register}", "by: register, divider: '-'}", None, "is for by: key alone"),
        ("{name: group,", "{name: Group,", None, "a name in small letters"),
    ],
)
def test_each_fault_is_told_in_its_place(
    tmp_path: Path, old: str, new: str, path: str | None, words: str
) -> None:
    assert old in DOCUMENT
    text = DOCUMENT.replace(old, new, 1)
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        load(file, environ={})
    line = text[: text.index(new)].count("\n") + 1
    found = [p for p in error.value.problems if words in p.message]
    assert found, str(error.value)
    assert found[0].line == line
    assert path is None or found[0].path == f"signs.{path}"
