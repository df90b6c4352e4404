"""What `check` says of an index over domains: at file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.documents import ConfigurationError
from schemas.loading import load

DOCUMENT = """\
version: "1"
city: {name: {zh: 广州市, en: Guangzhou}, place: "4401", time_zone: Asia/Shanghai}
topics: [{name: city.sensor.v1, kind: sensor, allowed_lateness_s: 0}]
signs:
  - id: drain.depth
    kind: window
    domain: drain
    name: {zh: 深, en: depth}
    unit: cm
    source: gauges
    topic: sensor
    match: {metric: water_depth}
    base: site
    aggregate: {function: max}
    window: &minute {size_s: 60, hop_s: 60}
    keys: [district, city]
    rollup: max
    levels: &levels {compare: ge, thresholds: {red: 40}, source: proposal, standing: proposal}
  - id: city.domains
    kind: derived
    domain: city
    name: {zh: 域, en: domains}
    unit: "0-100"
    source: all
    formula:
      name: domain_index
      domains:
        - {domain: drain, of: [{sign: drain.depth, weight: 1}]}
        - {domain: road, of: [{sign: drain.depth, weight: 1}]}
    window: *minute
    keys: [domain*city]
  - id: city.index
    kind: derived
    domain: city
    name: {zh: 总, en: index}
    unit: "0-100"
    source: city.domains
    formula:
      name: overall_index
      of: city.domains
      domains: [{domain: drain, weight: 1}, {domain: road, weight: 2}]
      critical: [drain]
      at_least: 1
    window: *minute
    keys: [city]
"""


def test_it_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "city.yaml"
    file.write_text(DOCUMENT)
    sign = load(file, {}).sign["city.index"]
    assert getattr(sign, "inputs", None) == ["city.domains"]


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        ("keys: [city]", "keys: [city, district]", "2.formula.of", "no key domain*district"),
        ("of: city.domains", "of: drain.depth", "2.formula.of", "is no index of domains"),
        ("of: city.domains", "of: city.domain", "2.formula.of", "did you mean 'city.domains'"),
        ("domain: road, weight", "domain: rods, weight", "2.formula.domains.1.domain", "'road'"),
        ("domain: road, weight", "domain: drain, weight", "2.formula.domains.1.domain", "twice"),
        ("[drain]", "[drian]", "2.formula.critical.0", "did you mean 'drain'"),
        ("at_least: 1", "at_least: 3", "2.formula.at_least", "number of inputs (2)"),
        ("at_least: 1", "at_least: 1\n      cap: 101", "2.formula.cap", "at most 100"),
        ("weight: 2", "weight: 0", "2.formula.domains.1.weight", "above 0"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(
    tmp_path: Path, old: str, new: str, path: str, words: str
) -> None:
    assert old in DOCUMENT
    file = tmp_path / "city.yaml"
    file.write_text(DOCUMENT.replace(old, new))
    with pytest.raises(ConfigurationError) as caught:
        load(file, {})
    told = {(problem.path, problem.message) for problem in caught.value.problems}
    assert any(at == f"signs.{path}" and words in message for at, message in told), told
