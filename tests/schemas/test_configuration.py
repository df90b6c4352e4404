"""A configuration is accepted whole or refused whole, with every fault in its place (R10)."""

from __future__ import annotations

import copy
import json
import random
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.configuration import Configuration
from schemas.documents import DEEPEST, LARGEST, ConfigurationError, read_document
from schemas.loading import CATALOGUE, json_schema, load
from schemas.tables import TPI

SMALL = """\
version: "1"
city: {name: {zh: 广州市, en: Guangzhou}, place: "4401", time_zone: Asia/Shanghai}
topics:
  - {name: city.sensor.v1, kind: sensor, allowed_lateness_s: 300}
  - {name: city.traffic.v1, kind: traffic, allowed_lateness_s: 120}
  - {name: city.hotline.v1, kind: hotline, allowed_lateness_s: 86400}
signs:
  - id: meteo.rain_1h
    kind: window
    domain: meteo
    name: {zh: 小时雨强, en: 1-hour rain}
    unit: mm
    source: rain gauges
    topic: sensor
    match: {metric: rain}
    base: station
    aggregate: {function: sum}
    window: {size_s: 3600, hop_s: 60}
    keys: [station, district, city]
    rollup: max
    coverage: {by: time, at_least: 0.75}
    levels:
      compare: ge
      thresholds: {blue: 20, yellow: 30}
      source: proposal
      standing: proposal
    alert: {deadband: 2}
  - id: meteo.rain_24h
    kind: derived
    domain: meteo
    name: {zh: 日均雨强, en: mean of a day}
    unit: mm
    source: meteo.rain_1h
    formula: {name: past_mean, of: meteo.rain_1h, windows: 24, step_s: 3600, at_least: 20}
    window: {size_s: 86400, hop_s: 3600}
    keys: [district]
  - id: traffic.parking
    kind: sampled
    domain: traffic
    name: {zh: 停车, en: parking}
    unit: "%"
    source: car parks
    topic: traffic
    match: {kind: parking}
    base: site
    aggregate: {function: ratio, of: occupied, over: capacity, scale: 100}
    period_s: 60
    window: {size_s: 60, hop_s: 60}
    keys: [site, city]
  - id: city.wet
    kind: derived
    domain: city
    name: {zh: 雨点, en: wet stations}
    unit: count
    source: meteo.rain_1h
    formula: {name: children_at_level, of: meteo.rain_1h, child: station, level: yellow}
    window: {size_s: 60, hop_s: 60}
    keys: [district, city]
    levels: {compare: ge, thresholds: {red: 3}, source: proposal, standing: proposal}
  - id: city.index
    kind: derived
    domain: city
    name: {zh: 指数, en: index}
    unit: 0-100
    source: all
    formula:
      name: level_index
      of: [{sign: meteo.rain_1h, weight: 1}, {sign: city.wet, weight: 2}]
      at_least: 1
    window: {size_s: 60, hop_s: 60}
    keys: [city]
"""


@pytest.fixture
def refused(tmp_path):
    """Refuses a text and gives the problems; every one of them is in the file and in a line."""
    file = tmp_path / "city.yaml"

    def refuse(text: str | bytes) -> list:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ConfigurationError) as caught:
            load(file, {})
        lines = file.read_bytes().count(b"\n") + 1
        for problem in caught.value.problems:
            assert problem.file == str(file)
            assert 1 <= problem.line <= lines, problem
            assert problem.column >= 1
            assert problem.message
        for line in str(caught.value).splitlines():
            assert re.match(re.escape(str(file)) + r":\d+:\d+: \S", line), line
        return caught.value.problems

    return refuse


def line_of(text: str, part: str, after: str = "") -> int:
    start = text.index(after) if after else 0
    return text[: text.index(part, start)].count("\n") + 1


def test_the_small_document_is_legal(tmp_path):
    (tmp_path / "a.yaml").write_text(SMALL, encoding="utf-8")
    assert len(load(tmp_path / "a.yaml", {}).signs) == 5


# What is replaced, by what, the setting that is blamed, and words of the message. The replacement
# is in one line, and this line is blamed unless another is given.
REPLACED = [
    ("unit: mm", "unit: 3", "signs.0.unit", "put it in quotes"),
    ("unit: mm", "unit: cm", "signs.0.unit", "the metric comes in mm"),
    ("unit: mm", "unit: ''", "signs.0.unit", "must not be empty"),
    ("unit: mm", "unit: {a: 1}", "signs.0.unit", "expected text, not settings"),
    ("unit: mm", "unit: 2026-11-21", "signs.0.unit", "not a date: put it in quotes"),
    ("unit: mm", "unit: !!python/name:os.system x", "signs.0.unit", "tag"),
    ("unit: mm", "unit: mm\n    unit: mm", "signs.0.unit", "defined twice"),
    ("source: rain gauges", "sourc: rain gauges", "signs.0.sourc", "did you mean 'source'"),
    ("window: {size_s: 3600", "windw: {size_s: 3600", "signs.0.windw", "did you mean 'window'"),
    ("size_s: 3600", "size: 3600", "signs.0.window.size", "did you mean 'size_s'"),
    ("function: sum", "functoin: sum", "signs.0.aggregate.functoin", "did you mean 'function'"),
    ("function: sum", "function: summ", "signs.0.aggregate.function", "did you mean 'sum'"),
    ("function: sum", "function: [sum]", "signs.0.aggregate.function", "not a list"),
    ("function: sum", "function: quantile", "signs.0.aggregate", "quantile needs q"),
    ("function: sum", "function: ratio", "signs.0.aggregate", "ratio needs over"),
    ("function: sum", "function: distinct", "signs.0.aggregate", "distinct needs of"),
    ("function: sum", "function: tpi", "signs.0.aggregate.function", "reads topic: traffic"),
    ("function: sum", "function: sum, q: 0.5", "signs.0.aggregate.q", "for quantile alone"),
    ("function: sum", "function: sum, q: 1.5", "signs.0.aggregate.q", "below 1"),
    ("function: sum", "function: sum, scale: 0", "signs.0.aggregate.scale", "above 0"),
    ("function: sum", "function: sum, of: valu", "signs.0.aggregate.of", "did you mean 'value'"),
    ("function: sum", "function: sum, of: device", "signs.0.aggregate.of", "no numbers"),
    ("function: sum", "function: count, of: value", "signs.0.aggregate.of", "takes no field"),
    ("function: sum", "function: sum, on: 1", "signs.0.aggregate.on", "unknown field 'on'"),
    ("match: {metric: rain}", "match: {metrc: rain}", "signs.0.match.metrc", "mean 'metric'"),
    ("{metric: rain}", "{metric: rian}", "signs.0.match.metric", "did you mean 'rain'"),
    ("{metric: rain}", "{metric: 5}", "signs.0.match.metric", "takes text"),
    ("{metric: rain}", "{metric: {a: 1}}", "signs.0.match.metric", "or a list of texts"),
    ("{metric: rain}", "{metric: []}", "signs.0.match.metric", "an empty list"),
    ("{metric: rain}", "{metric: [rain, pm25]}", "signs.0.match.metric", "do not mix"),
    ("{metric: rain}", "{metric: rain, q: fine}", "signs.0.match.q", "never 'fine'"),
    ("{metric: rain}", "{metric: rain, q: .nan}", "signs.0.match.q", "expected text"),
    ("{metric: rain}", "{q: good}", "signs.0.match", "give metric"),
    ("{metric: rain}", "rain", "signs.0.match", "expected settings"),
    ("topic: sensor", "topic: external", "signs.0.topic", "no topic of kind 'external'"),
    ("topic: sensor", "topic: senser", "signs.0.topic", "did you mean 'sensor'"),
    ("base: station", "base: device", "signs.0.keys.0", "needs base: station"),
    ("base: station", "base: district", "signs.0.keys.0", "needs base"),
    ("[station, district, city]", "[station, station]", "signs.0.keys.1", "listed twice"),
    ("[station, district, city]", "[]", "signs.0.keys", "must not be empty"),
    ("[station, district, city]", "station", "signs.0.keys", "expected a list, not text"),
    ("[station, district, city]", "[station, town]", "signs.0.keys.1", "expected one of"),
    ("rollup: max", "rollup: none", "signs.0.rollup", "needs a roll-up"),
    ("rollup: max", "rollup: sum", "signs.0.rollup", "expected one of"),
    ("size_s: 3600, hop_s: 60", "size_s: 3600", "signs.0.window", "needs size_s and hop_s"),
    ("size_s: 3600, hop_s: 60", "size_s: 60, hop_s: 3600", "signs.0.window.hop_s", "above size_s"),
    ("hop_s: 60}\n    keys: [s", "hop_s: -1}\n    keys: [s", "signs.0.window.hop_s", "above 0"),
    ("size_s: 3600, ", "size_s: .inf, ", "signs.0.window.size_s", "finite"),
    ("size_s: 3600, ", "size_s: .nan, ", "signs.0.window.size_s", "finite"),
    ("size_s: 3600, ", "size_s: 1e999, ", "signs.0.window.size_s", "finite"),
    ("size_s: 3600, ", "size_s: yes, ", "signs.0.window.size_s", "expected a number, not text"),
    ("size_s: 3600, ", "size_s: true, ", "signs.0.window.size_s", "not true or false"),
    ("size_s: 3600, ", "size_s: '3600', ", "signs.0.window.size_s", "expected a number, not text"),
    ("size_s: 3600, ", "size_s: 1e12, ", "signs.0.window.size_s", "at most"),
    ("size_s: 3600, ", "size_s: 0.0001, ", "signs.0.window.size_s", "whole number of milli"),
    ("size_s: 3600, ", "size_s: 3600.001, ", "signs.0.window.hop_s", "panes a window"),
    ("size_s: 3600, ", "calendar: day, size_s: 1, ", "signs.0.window", "or calendar alone"),
    ("size_s: 3600, hop_s: 60", "calendar: week", "signs.0.window.calendar", "daytime, night"),
    ("at_least: 0.75", "at_least: 75", "signs.0.coverage.at_least", "at most 1"),
    ("at_least: 0.75", "at_least: -1", "signs.0.coverage.at_least", "at least 0"),
    ("by: time", "by: clock", "signs.0.coverage.by", "expected one of"),
    ("rollup: max", "rollup: max\n    empty: zero", "signs.0.empty", "contradicts coverage"),
    ("{blue: 20, yellow: 30}", "{}", "signs.0.levels.thresholds", "at least one"),
    ("yellow: 30}", "yellow: 10}", "signs.0.levels.thresholds.yellow", "above blue (20)"),
    ("yellow: 30}", "yellow: 20}", "signs.0.levels.thresholds.yellow", "above blue"),
    ("yellow: 30}", "yelow: 30}", "signs.0.levels.thresholds.yelow", "did you mean 'yellow'"),
    ("yellow: 30}", "yellow: high}", "signs.0.levels.thresholds.yellow", "expected a number"),
    ("standing: proposal\n", "standing: sure\n", "signs.0.levels.standing", "expected one of"),
    ("source: proposal\n", "source: ''\n", "signs.0.levels.source", "must not be empty"),
    ("deadband: 2", "deadband: -2", "signs.0.alert.deadband", "at least 0"),
    ("deadband: 2", "deadband: 2, off_delay_s: -1", "signs.0.alert.off_delay_s", "at least 0"),
    ("match: {metric: rain}", "match: {value: .nan}", "signs.0.match.value", "a number"),
    ("deadband: 2", "keys: [street]", "signs.0.alert.keys.0", "has no key street"),
    ("deadband: 2", "least_level: pink", "signs.0.alert.least_level", "expected one of"),
    ("deadband: 2", "least_level: red", "signs.0.alert.least_level", "it would never alert"),
    ("id: meteo.rain_1h", "id: Rain", "signs.0.id", "domain.name"),
    ("id: meteo.rain_1h", "id: meteo.雨", "signs.0.id", "domain.name"),
    ("id: meteo.rain_24h", "id: meteo.rain_1h", "signs.1.id", "defined twice"),
    ("kind: derived", "kind: derivd", "signs.1.kind", "did you mean 'derived'"),
    ("kind: derived", "kind: []", "signs.1.kind", "expected one of"),
    ("name: past_mean", "name: past_maen", "signs.1.formula.name", "did you mean 'past_mean'"),
    ("past_mean, of: meteo.rain_1h", "past_mean, of: meteo.rain_2h", "signs.1.formula.of", "mean"),
    ("past_mean, of: meteo.rain_1h", "past_mean, of: 1", "signs.1.formula.of", "expected text"),
    ("past_mean, of: meteo.rain_1h", "past_mean, of: traffic.parking", "signs.1.formula.of", "key"),
    ("past_mean, of: meteo.rain_1h", "past_mean, of: meteo.rain_24h", "signs.1.formula.of", "self"),
    ("windows: 24", "windows: 2.5", "signs.1.formula.windows", "expected a whole number"),
    ("windows: 24", "windows: 1", "signs.1.formula.windows", "at least 2"),
    ("windows: 24", "window: 24", "signs.1.formula.window", "did you mean 'windows'"),
    ("at_least: 20", "at_least: 25", "signs.1.formula.at_least", "above windows"),
    ("step_s: 3600", "step_s: 90", "signs.1.formula.step_s", "not a multiple of the hop"),
    ("hop_s: 3600", "hop_s: 90", "signs.1.formula.of", "multiple of its hop"),
    ("keys: [district]", "keys: [district]\n   bad: 1", "", "not valid YAML"),
    ("keys: [district]", "keys: [street]", "signs.1.formula.of", "no key street"),
    ("keys: [district]", "keys: [district]\n    alert: {}", "signs.1.alert", "needs levels"),
    ("keys: [district]", "keys: [district]\n    empty: zero", "signs.1.empty", "window signs"),
    ("size_s: 60, hop_s: 60}\n    keys: [site", "size_s: 60, hop_s: 30}\n    keys: [site",
     "signs.2.window.hop_s", "equal to size_s"),
    ("period_s: 60", "period_s: 0", "signs.2.period_s", "above 0"),
    ("function: ratio", "function: stddev", "signs.2.aggregate.function", "a sampled sign takes"),
    ("over: capacity", "over: capacty", "signs.2.aggregate.over", "did you mean 'capacity'"),
    ("{kind: parking}", "{kind: parkin}", "signs.2.match.kind", "use one of"),
    ("{kind: parking}", "{kind: parking, exceed: yes}", "signs.2.match.exceed", "true or false"),
    ("{kind: parking}", "{kind: parking, t: 5}", "signs.2.match.t", "no field 't'"),
    ("child: station", "child: site", "signs.3.formula.child", "no key site"),
    ("child: station", "child: city", "signs.3.keys.0", "not above the child"),
    ("level: yellow", "level: red", "signs.3.formula.level", "no threshold at red"),
    ("level: yellow", "level: 2", "signs.3.formula.level", "expected one of"),
    ("sign: city.wet", "sign: city.index", "signs.4.formula.of.1.sign", "depends on itself"),
    ("sign: city.wet", "sign: city.wat", "signs.4.formula.of.1.sign", "did you mean 'city.wet'"),
    ("sign: city.wet", "sign: meteo.rain_1h", "signs.4.formula.of.1.sign", "listed twice"),
    ("sign: city.wet", "sign: meteo.rain_24h", "signs.4.formula.of.1.sign", "no key city"),
    ("weight: 2", "weight: 0", "signs.4.formula.of.1.weight", "above 0"),
    ("weight: 2", "wieght: 2", "signs.4.formula.of.1.wieght", "did you mean 'weight'"),
    ("      at_least: 1", "      at_least: 3", "signs.4.formula.at_least", "number of inputs"),
    ("at_least: 1\n", "at_least: 1\n      penalties: {red: 1}\n", "signs.4.formula.penalties.red",
     "below orange"),
    ("kind: sensor,", "kind: sensors,", "topics.0.kind", "did you mean 'sensor'"),
    ("city.traffic.v1", "city.sensor.v1", "topics.1.name", "defined twice"),
    ("kind: sensor,", "kind: sensor, partitions: 0,", "topics.0.partitions", "at least 1"),
    ("kind: sensor,", "kind: sensor, partitions: 2000,", "topics.0.partitions", "at most 1024"),
    ("kind: sensor,", "kind: sensor, partitions: 1.5,", "topics.0.partitions", "whole number"),
    ("kind: sensor,", "kind: sensor, partitions: true,", "topics.0.partitions", "whole number"),
    ("kind: sensor,", "kind: sensor, skew_s: -1,", "topics.0.skew_s", "at least 0"),
    ('place: "4401"', "place: 4401", "city.place", "put it in quotes"),
    ('place: "4401"', 'place: "440111"', "city.place", "four digits"),
    ('place: "4401"', 'place: "４４０１"', "city.place", "ASCII"),
    ("Asia/Shanghai", "Asia/Shangri-La", "city.time_zone", "IANA"),
    ("Asia/Shanghai", "../../etc/passwd", "city.time_zone", "IANA"),
    ("Asia/Shanghai", "Asia", "city.time_zone", "IANA"),
    ("en: Guangzhou", "fr: Canton", "city.name.fr", "unknown field"),
    ('version: "1"', "version: 1", "version", "put it in quotes"),
    ('version: "1"', 'version: "a b"', "version", "at most 32"),
    ('version: "1"', 'version: "1"\nforget_s: soon', "forget_s", "expected a number"),
    ('version: "1"', 'version: "1"\nfrget_s: 5', "frget_s", "did you mean 'forget_s'"),
    ('version: "1"', 'version: "1"\n2: 3', "", "expected a name"),
    ('version: "1"', 'version: "1"\n? [a]\n: 3', "", "expected a name"),
    ('version: "1"', 'version: "1\n\u0001"', "", "control character"),
    ('version: "1"', 'version: "1"\n\tforget_s: 1', "", "a tab"),
    ('version: "1"', 'version: "1"\nforget_s: *x', "", "not valid YAML"),
    ('version: "1"', 'version: "1"\nforget_s: &x [*x]', "forget_s.0", "contains itself"),
    ('version: "1"', 'version: "1"\n<<: {forget_s: 1}', "", "merge keys"),
    ('version: "1"', "version: @1", "", "not valid YAML"),
]  # fmt: skip


ELSEWHERE = {
    "signs.1.formula.of": "formula: {name: past_mean",
    "signs.0.keys.0": "keys: [station, district",
    "signs.3.keys.0": "keys: [district, city]\n    levels",
}
"""Where the blame falls on another line than that of the change."""


@pytest.mark.parametrize(("old", "new", "path", "words"), REPLACED)
def test_each_fault_is_told_at_its_line(refused, old, new, path, words):
    text = SMALL.replace(old, new, 1)
    assert text != SMALL
    told = refused(text)
    problems = [p for p in told if p.path == path and words in p.message]
    assert len(problems) == 1, told
    first = line_of(SMALL, ELSEWHERE.get(path, old))
    assert first <= problems[0].line <= first + max(new.count("\n"), old.count("\n"))


def test_a_missing_field_is_told_where_it_should_stand(refused):
    (problem,) = refused(SMALL.replace("    source: rain gauges\n", ""))
    assert problem.path == "signs.0.source"
    assert problem.message == "required field 'source' is missing"
    assert problem.line == line_of(SMALL, "- id: meteo.rain_1h")


def test_signs_alone_are_told_what_to_begin_with(tmp_path: Path) -> None:
    (tmp_path / "signs.yaml").write_text(SMALL[SMALL.index("signs:") :], "utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, {})
    told = {problem.path: problem.message for problem in refused.value.problems}
    assert told.keys() == {"city", "topics", "version"}
    advised = [message for message in told.values() if "copy of the folder" in message]
    assert len(advised) == 1
    assert str(CATALOGUE) in advised[0]


def test_the_column_is_that_of_the_value(refused):
    (problem,) = refused(SMALL.replace("yellow: 30", "yellow: 5"))
    line = SMALL.splitlines()[problem.line - 1]
    assert line[problem.column - 1 :].startswith("30")


def test_every_fault_of_a_document_is_told_at_once(refused):
    text = SMALL.replace("unit: mm", "unit: 3", 1).replace("deadband: 2", "deadband: -2")
    text = text.replace("level: yellow", "level: red").replace("weight: 2", "wieght: 2")
    text = text.replace("Asia/Shanghai", "Mars").replace("over: capacity", "over: size")
    paths = {problem.path for problem in refused(text)}
    assert paths == {
        "city.time_zone",
        "signs.0.unit",
        "signs.0.alert.deadband",
        "signs.2.aggregate.over",
        "signs.4.formula.of.1.weight",
        "signs.4.formula.of.1.wieght",
    }
    # A sign that cannot be read says nothing about the signs that name it.
    assert not any("unknown sign" in problem.message for problem in refused(text))


def test_a_cycle_is_told_once_with_its_way(refused):
    text = SMALL.replace("of: meteo.rain_1h, child: station", "of: city.index, child: station")
    (problem,) = (p for p in refused(text) if "itself" in p.message)
    assert problem.message == (
        "the sign depends on itself: city.wet reads city.index reads city.wet"
    )
    assert problem.line == line_of(text, "children_at_level")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty"),
        (b"# nothing\n", "empty"),
        (b"null\n", "empty"),
        (b"- 1\n", "at the top"),
        (b"text\n", "at the top"),
        (b"[" * 5000, "nested deeper"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, "nested deeper"),
        (b"a: " + b"[1, " * 60 + b"]" * 60, "nested deeper"),
        (b"- " * 1500 + b"1", "nested deeper"),
        (b"a: " + b"- " * 2, "not valid YAML"),
        (b"a: 1\n---\na: 2\n", "one document"),
        (b"a: 1\nb: \xff\n", "not UTF-8"),
        (SMALL.encode("utf-16"), "not UTF-8"),
        (b"a: \x00\n", "control character"),
        (b"a: 'open\n", "not valid YAML"),
        (b"%YAML 1.1\n---\non: 1\n", "unknown field 'on'"),
        (b"a: " + b"9" * 5000, "more than 64 characters"),
        (b"a: &a [1,1,1,1,1,1,1,1,1,1]\n" + b"".join(
            b"%c: &%c [%s]\n" % (c + 1, c + 1, b",".join([b"*%c" % c] * 10))
            for c in range(97, 104)
        ), "aliases written out"),
    ],
)  # fmt: skip
def test_a_document_that_is_none_is_refused(refused, raw, words):
    problems = refused(raw)
    assert any(words in problem.message for problem in problems), problems


def test_bytes_that_are_not_text_are_told_at_their_place(refused):
    (problem,) = refused(b"a: 1\nbc: \xff\n")
    assert (problem.line, problem.column) == (2, 5)


def test_depth_is_told_at_its_place(refused):
    (problem,) = refused(b"a:\n  " + b"[" * 5000 + b"]" * 5000)
    assert (problem.line, problem.column) == (2, 3 + DEEPEST)
    (problem,) = refused("\n".join(f"{' ' * i}a:" for i in range(1500)))
    assert problem.line in (DEEPEST + 1, DEEPEST + 2)


def test_what_is_no_file_is_refused_with_advice(tmp_path):
    with pytest.raises(ConfigurationError, match="no such file or folder: check the path"):
        load(tmp_path / "none.yaml", {})
    with pytest.raises(ConfigurationError, match=r"no \*.yaml file"):
        load(tmp_path, {})
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(ConfigurationError, match="larger than 4 MiB"):
        load(big, {})


def _in_two(folder: Path, second: str) -> None:
    cut = SMALL.index("  - id: meteo.rain_24h")
    (folder / "a.yaml").write_text(SMALL[:cut], encoding="utf-8")
    (folder / "b.yaml").write_text(second + "signs:\n" + SMALL[cut:], encoding="utf-8")


def test_a_folder_is_one_configuration(tmp_path):
    whole = tmp_path / "whole.yaml"
    whole.write_text(SMALL, encoding="utf-8")
    parts = tmp_path / "parts"
    parts.mkdir()
    _in_two(parts, "")
    assert load(parts, {}) == load(whole, {})
    assert load(parts, {}).label == load(whole, {}).label


def test_a_fault_is_told_in_its_own_file_of_a_folder(tmp_path):
    _in_two(tmp_path, 'version: "2"\ncity: {place: "4403"}\n')
    file = tmp_path / "b.yaml"
    text = file.read_text(encoding="utf-8").replace("over: capacity", "over: volume")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, {})
    first = tmp_path / "a.yaml"
    assert str(caught.value).splitlines() == [
        f"{file}:1:1: version: 'version' is defined twice: the first is at {first}:1",
        f"{file}:2:8: city.place: 'place' is defined twice: the first is at {first}:2",
        f"{file}:{line_of(text, 'over: volume')}:54: signs.2.aggregate.over: "
        "traffic events have no field 'volume' to aggregate",
    ]


def test_an_unreadable_file_of_a_folder_does_not_blame_the_others(tmp_path):
    _in_two(tmp_path, "x: [")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, {})
    assert {problem.file for problem in caught.value.problems} == {str(tmp_path / "b.yaml")}


def test_variables_override_single_settings():
    environ = {
        "CITYVITALS__FORGET_S": "60",
        "CITYVITALS__CITY__NAME__EN": "Canton",
        "CITYVITALS_TEST_DATA": "/",
    }
    configuration = load(environ=environ)
    assert configuration.forget_s == 60
    assert configuration.city.name.en == "Canton"
    assert configuration.fingerprint != load(environ={}).fingerprint


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("CITYVITALS__FORGET_S", "soon", "forget_s: expected a number, not text"),
        ("CITYVITALS__FORGET_S", "nan", "forget_s: expected a finite number"),
        ("CITYVITALS__FORGET_S", "٦٠", "forget_s: expected a number, not text"),
        ("CITYVITALS__CITY__TIME_ZONE", "Mars", "city.time_zone: unknown time zone 'Mars'"),
        ("CITYVITALS__FORGETS", "1", "no such setting: did you mean 'CITYVITALS__FORGET_S'?"),
        ("CITYVITALS__SIGNS", "1", "no such setting"),
    ],
)
def test_a_wrong_variable_is_named(variable, value, message):
    with pytest.raises(ConfigurationError) as caught:
        load(environ={variable: value})
    assert str(caught.value).startswith(f"{variable}: {message}")


def test_a_configuration_made_in_code_is_checked_too():
    tree = load(environ={}).model_dump()
    assert Configuration.model_validate(tree) == load(environ={})
    tree["signs"].append(copy.deepcopy(tree["signs"][0]))
    with pytest.raises(ValidationError, match="defined twice"):
        Configuration.model_validate(tree)


def test_the_fingerprint_is_of_the_content_alone(tmp_path):
    (tmp_path / "a.yaml").write_text(SMALL, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(
        "# the same\n" + SMALL.replace("hop_s: 60", "hop_s: 60.0"), encoding="utf-8"
    )
    one, two = load(tmp_path / "a.yaml", {}), load(tmp_path / "b.yaml", {})
    assert one.fingerprint == two.fingerprint
    assert re.fullmatch("1[+][0-9a-f]{12}", one.label)


def test_a_changed_copy_knows_nothing_of_what_it_was():
    """A copy with other signs once had the old ones by their ids, and the old fingerprint."""
    whole = load(None, environ={})
    before = (whole.fingerprint, whole.sign, whole.held, whole.awaited)
    assert whole.held
    assert whole.awaited
    first = whole.model_copy(update={"signs": whole.signs[:1], "incidents": [], "overlays": []})
    assert first.sign == {whole.signs[0].id: whole.signs[0]}
    assert (first.held, first.awaited) == (frozenset(), frozenset())
    assert first.fingerprint != whole.fingerprint
    assert (whole.fingerprint, whole.sign, whole.held, whole.awaited) == before
    assert whole.model_copy() == whole


def test_the_schema_for_editors_is_closed_and_terse():
    schema = json_schema()
    assert set(schema["required"]) == {"version", "city", "topics", "signs"}
    assert schema["additionalProperties"] is False
    descriptions = re.findall(r"'description': '([^']*)'", str(schema))
    assert descriptions
    assert not any("\\n" in text for text in descriptions)


def test_the_table_of_the_standard_is_linear_between_its_points():
    values = [TPI.at(x) for x in (-1, 0, 0.15, 0.3, 0.65, 1, 2)]
    assert values == pytest.approx([0, 0, 1, 2, 7, 10, 10])


# ---- mutations of the shipped catalogue -------------------------------------------------------


def _paths(node, path=()):
    yield path, node
    steps = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for step in steps:
        yield from _paths(node[step], (*path, step))


OPTIONAL = {
    "alert", "levels", "coverage", "empty", "forget_s", "deadband", "on_delay_s", "off_delay_s",
    "q", "scale", "blue", "yellow", "orange", "red", "rollup", "penalties", "of", "over", "hop_s",
    "size_s", "calendar", "metric", "kind", "system", "status", "urgency", "period_s",
    "registered", "past_due", "floor", "and_of", "and_at_least",
    "at_least", "keys", "least_level", "hidden",
    "sign", "incident", "at", "ge", "gt", "le", "lt", "level", "anomaly", "any", "none", "all",
    "for_s", "within_s", "every_s", "clear_s", "must", "until", "override", "conditions",
    "standing", "suppresses", "untold", "signals", "least_coverage", "critical", "cap",
    "valid_from", "valid_to", "flag", "category", "relation", "within_m", "related", "medium",
    "site_type",
}  # fmt: skip
"""Names of fields that may be missing or null somewhere, or that are checked together."""
PARTS = {"alert", "model", "hotline", "orders", "calendar", "limit", "overlays"}
"""Parts in which, and without which, a configuration is complete."""


def _may_be_missing(path: tuple) -> bool:
    return path[-1] in OPTIONAL or path[-2:-1] == ("of",) or not PARTS.isdisjoint(path)


def _told_of(path: tuple) -> tuple:
    """What is wrong in a list of a match is told of the list."""
    return path[: path.index("match") + 2] if "match" in path else path


def _mutate(rng: random.Random, tree: dict) -> tuple[tuple, str]:
    """Plant one fault; gives the path of the value or mapping to blame, and words to expect."""
    # What is wrong with a condition is told of its field: see test_conditions.
    conditions = {"where", "among"}
    places = [(p, node) for p, node in _paths(tree) if p and conditions.isdisjoint(p)]
    while True:
        path, node = rng.choice(places)
        name, parent = path[-1], tree
        for step in path[:-1]:
            parent = parent[step]
        scalar = not isinstance(node, dict | list)
        match rng.choice(("remove", "type", "unknown", "nan", "deep", "null", "twice", "bool")):
            case "remove" if isinstance(parent, dict) and not _may_be_missing(path):
                del parent[name]
                return path[:-1], f"'{name}' is missing"
            case "type" if not _may_be_missing(path):
                parent[name] = {"x": 1} if scalar or isinstance(node, list) else 7
                return path, ""
            case "unknown" if isinstance(node, dict) and name not in ("match", "places"):
                node["zzzz"] = 1
                return (*path, "zzzz"), "unknown field 'zzzz'"
            case "nan" if isinstance(node, int | float) and "match" not in path:
                parent[name] = float("nan")
                return path, "expected a"
            case "deep" if scalar:
                parent[name] = [[[[node]]]]
                return _told_of(path), "expected"
            case "null" if not _may_be_missing(path):
                parent[name] = None
                return _told_of(path), "expected"
            case "bool" if isinstance(node, int | float):
                parent[name] = True
                return path, "not true or false"
            case "twice" if path[0] == "signs" and len(path) == 2:
                tree["signs"].append(copy.deepcopy(node))
                return ("signs", len(tree["signs"]) - 1, "id"), "defined twice"


@pytest.fixture(scope="module")
def shipped() -> dict:
    whole: dict = {}
    for file in sorted(CATALOGUE.glob("*.yaml")):
        document = read_document(file, [])
        assert document is not None
        for name, value in document.tree.items():
            whole[name] = whole[name] + value if name in whole else value
    return whole


def _write(node, lines: list[str], at: dict, path=(), head="") -> None:
    """Write a tree as YAML, one value a line, and note in which line each path begins."""
    indent = "  " * len(path)
    if isinstance(node, dict | list) and node:
        lines.append(f"{indent[2:]}{head}" if path else "# all of it")
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for step, value in items:
            key = f"{json.dumps(step)}:" if isinstance(node, dict) else "-"
            at[*path, step] = len(lines) + 1
            _write(value, lines, at, (*path, step), key)
    else:
        scalar = ".nan" if node != node else json.dumps(node, ensure_ascii=False)
        lines.append(f"{indent[2:]}{head} {scalar}")


@pytest.mark.parametrize("seed", range(40))
def test_a_mutated_catalogue_is_refused_at_the_mutation(refused, shipped, seed):
    tree = copy.deepcopy(shipped)
    blamed, message = _mutate(random.Random(seed), tree)
    lines: list[str] = []
    at: dict = {}
    _write(tree, lines, at)
    problems = refused("\n".join(lines) + "\n")
    # A mapping or list begins at its first item, in the line below its key.
    accepted = {at[blamed], at[blamed] + 1} if blamed else {2}
    assert any(problem.line in accepted and message in problem.message for problem in problems), (
        blamed,
        message,
        problems,
    )


@pytest.mark.parametrize("seed", range(60))
def test_damaged_text_is_read_or_refused_and_nothing_else(tmp_path, seed):
    rng = random.Random(seed)
    raw = bytearray(SMALL.encode())
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(raw))
        piece = rng.choice([b"\x00", b"\xff", b"[", b"}", b": ", b"\t", b"\n", b"&a ", b"*a", b"!"])
        raw[at : at + rng.randrange(3)] = piece
    file = tmp_path / "city.yaml"
    file.write_bytes(bytes(raw))
    problems = []
    try:
        load(file, {})
    except ConfigurationError as error:
        problems = error.problems
    assert all(problem.line >= 1 for problem in problems)
