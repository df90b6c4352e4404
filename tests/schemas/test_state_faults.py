"""Faults of signs with a state, of models, indices, limits and what is said of citizens (R10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.caller_keys import key_of
from schemas.configuration import Configuration
from schemas.documents import ConfigurationError
from schemas.loading import load
from tests.schemas.test_configuration import line_of, refused  # noqa: F401

STATES = """\
version: "1"
city: {name: {zh: 广州市, en: Guangzhou}, place: "4401", time_zone: Asia/Shanghai}
topics:
  - {name: city.sensor.v1, kind: sensor, allowed_lateness_s: 300}
  - {name: city.hotline.v1, kind: hotline, allowed_lateness_s: 86400}
hotline:
  topics:
    - {name: 积水, code: "08", keywords: [积水, 水浸]}
    - {name: 噪声, code: "05", keywords: [噪声]}
  places: {白云区: "440111", 五山街道: "440106001"}
orders:
  due: [{type: help, working_days: 5}, {type: consult, working_days: 2}]
  forget_closed_days: 30
calendar:
  holidays: ["2026-10-01", "2026-10-02"]
  workdays: ["2026-10-10"]
signs:
  - id: iot.valid
    kind: window
    domain: iot
    name: {zh: 有效率, en: valid}
    unit: "%"
    source: all records
    topic: arrivals
    match: {registered: true}
    base: street
    aggregate: {function: mean, of: valid, scale: 100}
    window: {size_s: 900, hop_s: 300}
    keys: [platform*city, district]
    rollup: merge
    coverage: {by: samples, at_least: 5}
    model: {detector: gaussian, side: low, window: 200, least: 50, keys: [district]}
  - id: iot.online
    kind: sampled
    domain: iot
    name: {zh: 在线率, en: online}
    unit: "%"
    source: all records
    topic: arrivals
    match: {registered: true, platform: gz}
    base: street
    aggregate: {function: online, scale: 100.0}
    window: {size_s: 60, hop_s: 60}
    keys: [city]
  - id: order.age
    kind: sampled
    domain: order
    name: {zh: 时长, en: age}
    unit: h
    source: open orders
    topic: orders
    match: {past_due: true}
    base: district
    aggregate: {function: quantile, of: age_h, q: 0.9}
    window: {size_s: 450, hop_s: 450}
    keys: [department*city, city]
  - id: order.repeats
    kind: history
    domain: order
    name: {zh: 重复率, en: repeats}
    unit: "%"
    source: orders
    topic: hotline
    match: {kind: order, status: created}
    base: street
    repeats: {of: [[citizen, category], [place, category]], within_s: 2592000}
    window: {size_s: 86400, hop_s: 7200}
    keys: [street, city]
  - id: order.topic
    kind: window
    domain: order
    name: {zh: 分类, en: by category}
    unit: count
    source: orders
    topic: hotline
    match: {kind: order}
    base: street
    aggregate: {function: count}
    window: {size_s: 600, hop_s: 150}
    keys: [category*district, category*city]
    rollup: merge
    empty: zero
    model: {detector: hour_of_week, counts: true, least: 12, keep: 32, keys: [category*city]}
  - id: order.burst
    kind: derived
    domain: order
    name: {zh: 突增, en: burst}
    unit: ratio
    source: order.topic
    formula: {name: ratio_to_baseline, of: order.topic, and_of: order.topic, and_at_least: 3}
    window: {size_s: 600, hop_s: 150}
    keys: [category*city]
  - id: air.mean
    kind: window
    domain: air
    name: {zh: 均值, en: mean}
    unit: ug/m3
    source: stations
    topic: sensor
    match: {metric: pm25}
    base: station
    aggregate: {function: mean}
    window: {size_s: 3600, hop_s: 1800}
    keys: [station, city]
    rollup: mean
  - id: air.index
    kind: derived
    domain: air
    name: {zh: 指数, en: index}
    unit: index
    source: air.mean
    formula:
      name: aqi
      period: day
      of: {pm25: air.mean, pm10: air.mean, so2: air.mean, no2: air.mean, co: air.mean, o3: air.mean}
    window: {calendar: day}
    keys: [station]
  - id: noise.excess
    kind: window
    domain: noise
    name: {zh: 超限, en: excess}
    unit: dB
    source: stations
    topic: sensor
    match: {metric: laeq}
    base: site
    aggregate: {function: leq}
    limit: {name: noise_day_db, how: excess}
    window: {calendar: daytime}
    keys: [site, street]
    rollup: max
  - id: engine.lag
    kind: live
    domain: engine
    name: {zh: 时延, en: lag}
    unit: s
    source: the engine
    measure: lag_p99
    window: {size_s: 10, hop_s: 10}
    keys: [city]
"""

REPLACED = [
    # Records as they arrive.
    ("function: mean, of: valid", "function: mean, of: vald", "signs.0.aggregate.of", "'valid'"),
    ("{registered: true}", "{registred: true}", "signs.0.match.registred", "'registered'"),
    ("{registered: true}", "{registered: 'yes'}", "signs.0.match.registered", "true or false"),
    ("by: samples, at", "by: time, at", "signs.0.coverage.by", "arrivals events cover no time"),
    ("function: online", "function: count", "signs.1.aggregate.function", "sampled by online"),
    ("function: online", "function: online, of: valid", "signs.1.aggregate.of", "takes no field"),
    ("[city]\n  - id: order.age", "[city]\n    period_s: 60\n  - id: order.age",
     "signs.1.period_s", "no period of their own"),
    ("size_s: 60, hop_s: 60", "calendar: day", "signs.1.window.calendar", "takes size_s and hop_s"),
    ("function: online, scale: 100.0}", "function: online}\n    empty: zero", "signs.1.empty",
     "zero is for window signs"),
    # Open orders.
    ("of: age_h", "of: age", "signs.2.aggregate.of", "did you mean 'age_h'"),
    ("{past_due: true}", "{past_du: true}", "signs.2.match.past_du", "did you mean 'past_due'"),
    ("{past_due: true}", "{status: created}", "signs.2.match.status", "no field 'status'"),
    ("size_s: 450, hop_s: 450", "size_s: 450, hop_s: 150", "signs.2.window.hop_s", "equal to size"),
    ("base: district", "base: site", "signs.2.base", "no key of a orders event"),
    ("function: quantile, of: age_h, q: 0.9", "function: distinct, of: department",
     "signs.2.aggregate.function", "a sampled sign takes"),
    ("[department*city, city]", "[platform*city, city]", "signs.2.keys.0", "no field 'platform'"),
    # Histories.
    ("[citizen, category]", "[citizen, categry]", "signs.3.repeats.of.0.1", "mean 'category'"),
    ("[[citizen, category], [place, category]]", "[]", "signs.3.repeats.of", "must not be empty"),
    ("[citizen, category]", "[]", "signs.3.repeats.of.0", "must not be empty"),
    ("[citizen, category]", "[text, category]", "signs.3.repeats.of.0.0", "no field 'text'"),
    ("within_s: 2592000", "within_s: 0", "signs.3.repeats.within_s", "above 0"),
    ("within_s: 2592000", "within_s: 0.0001", "signs.3.repeats.within_s", "whole number of milli"),
    ("{kind: order, status: created}", "{citizen: x}", "signs.3.match.citizen", "only be counted"),
    ("size_s: 86400, hop_s: 7200", "calendar: day", "signs.3.window.calendar", "takes size_s and"),
    ("[street, city]\n  - id: order.topic", "[street, city]\n    empty: zero\n  - id: order.topic",
     "signs.3.empty", "zero is for window signs"),
    # Keys with a dimension.
    ("[platform*city, district]", "[platform*town, district]", "signs.0.keys.0", "expected one of"),
    ("[platform*city, district]", "[category*city, district]", "signs.0.keys.0", "no field 'cat"),
    ("[category*district, category*city]", "[category*district, department*city]", "signs.4.keys",
     "one dimension a sign: category or department"),
    ("[category*district, category*city]", "[category*grid, category*city]", "signs.4.keys.0",
     "is finer than the base"),
    # Models.
    ("detector: gaussian", "detector: gausian", "signs.0.model.detector", "mean 'gaussian'"),
    ("detector: gaussian, ", "", "signs.0.model.detector", "is missing"),
    ("window: 200, least: 50", "window: 20, least: 50", "signs.0.model.least", "kept (20)"),
    ("window: 200, least: 50", "window: 1, least: 50", "signs.0.model.window", "at least 2"),
    ("window: 200, least: 50", "window: 200, keep: 9", "signs.0.model.keep", "unknown field"),
    ("side: low", "side: below", "signs.0.model.side", "expected one of"),
    ("side: low", "side: low, z_alarm: 8", "signs.0.model.z_alarm", "at most 7"),
    ("side: low", "side: low, floor: 0", "signs.0.model.floor", "above 0"),
    ("side: low", "side: low, floor: .nan", "signs.0.model.floor", "finite"),
    ("side: low", "side: low, probe_times: 1", "signs.0.model.probe_times", "above 1"),
    ("side: low", "side: low, every_s: -1", "signs.0.model.every_s", "at least 0"),
    ("keys: [district]}", "keys: [city]}", "signs.0.model.keys.0", "has no key city"),
    ("least: 12, keep: 32", "least: 33, keep: 32", "signs.4.model.least", "kept (32)"),
    ("least: 12, keep: 32", "least: 2, keep: 32", "signs.4.model.least", "at least 3"),
    ("[category*city]}", "[category*street]}", "signs.4.model.keys.0", "has no key category*st"),
    # What a model expects.
    ("of: order.topic, and", "of: order.tpic, and", "signs.5.formula.of", "did you mean"),
    ("of: order.topic, and", "of: air.mean, and", "signs.5.formula.of", "has no model"),
    ("and_of: order.topic", "and_of: order.tpic", "signs.5.formula.and_of", "did you mean"),
    ("and_of: order.topic", "and_of: order.age", "signs.5.formula.and_of", "no key category*city"),
    ("and_at_least: 3", "floor: 0", "signs.5.formula.floor", "above 0"),
    ("hop_s: 150}\n    keys: [category*city]", "hop_s: 100}\n    keys: [category*city]",
     "signs.5.formula.of", "use a hop that is a multiple"),
    ("keys: [category*city]\n", "keys: [category*district]\n", "signs.5.keys.0", "does not learn"),
    # The index of the air.
    ("period: day", "period: week", "signs.7.formula.period", "expected one of"),
    ("period: day", "period: hour", "signs.7.window", "of the hour has size_s and hop_s 3600"),
    ("{calendar: day}", "{calendar: night}", "signs.7.window", "index of the day has calendar"),
    ("{calendar: day}", "{size_s: 86400, hop_s: 900}", "signs.7.window", "86400 and hop_s 3600"),
    ("o3: air.mean", "o3: air.men", "signs.7.formula.of.o3", "did you mean 'air.mean'"),
    (", o3: air.mean", "", "signs.7.formula.of.o3", "is missing"),
    ("size_s: 3600, hop_s: 1800", "size_s: 7200, hop_s: 1800", "signs.7.formula.of.pm25", "no win"),
    ("size_s: 3600, hop_s: 1800", "size_s: 3600, hop_s: 1600", "signs.7.formula.of.pm25", "no win"),
    ("keys: [station]", "keys: [district]", "signs.7.formula.of.pm25", "no key district"),
    # Limits and levels of energy.
    ("name: noise_day_db", "name: noise_db", "signs.8.limit.name", "expected one of"),
    ("how: excess", "how: above", "signs.8.limit.how", "expected one of"),
    ("rollup: max", "rollup: merge", "signs.8.limit", "belongs to single keys"),
    ("base: site", "base: street", "signs.8.limit", "has no limits of a street"),
    ("{metric: laeq}", "{metric: rain}", "signs.8.aggregate.function", "leq reads levels in dB"),
    ("unit: dB", "unit: \"1\"", "signs.8.unit", "comes in dB"),
    # Live signs.
    ("[city]\n", "[district]\n", "signs.9.keys", "its one key is city"),
    ("measure: lag_p99", "measure: lag", "signs.9.measure", "expected one of"),
    ("measure: lag_p99", "measure: lag_p99\n    empty: zero", "signs.9.empty", "remove empty"),
    ("measure: lag_p99", "measure: lag_p99\n    model: {detector: gaussian}", "signs.9.model",
     "no function of the log"),
    ("pm25: air.mean", "pm25: engine.lag", "signs.7.formula.of.pm25", "'engine.lag' is live"),
    # Citizens.
    ("{name: 噪声", "{name: 积水", "hotline.topics.1.name", "defined twice"),
    ('code: "05"', 'code: "08"', "hotline.topics.1.code", "defined twice"),
    ('code: "05"', "code: 05", "hotline.topics.1.code", "put it in quotes"),
    ('code: "05"', 'code: "零五"', "hotline.topics.1.code", "such as 0803"),
    ("{name: 噪声", "{name: 噪*声", "hotline.topics.1.name", "without '*' and '|'"),
    ("keywords: [噪声]", "keywords: []", "hotline.topics.1.keywords", "must not be empty"),
    ("keywords: [噪声]", "keywords: ['  ']", "hotline.topics.1.keywords.0", "no letter or digit"),
    ("keywords: [噪声]", "keyword: [噪声]", "hotline.topics.1.keyword", "mean 'keywords'"),
    ('白云区: "440111"', '白云区: "44011"', "hotline.places.白云区", "is not a place code"),
    ('白云区: "440111"', '"、、": "440111"', "hotline.places.、、", "no letter or digit"),
    ("  places: {", "  caller_key: x\n  places: {", "hotline.caller_key", "caller_key_file"),
    ("type: consult", "type: help", "orders.due.1.type", "has a limit already"),
    ("type: consult", "type: ask", "orders.due.1.type", "expected one of"),
    ("working_days: 2", "working_days: 0", "orders.due.1.working_days", "at least 1"),
    ("forget_closed_days: 30", "forget_closed_days: 0", "orders.forget_closed_days", "at least 1"),
    ('workdays: ["2026-10-10"]', 'workdays: ["2026-10-01"]', "calendar.workdays.0", "is a holiday"),
    ('workdays: ["2026-10-10"]', 'workdays: ["2026-02-30"]', "calendar.workdays.0", "a date, such"),
    ('workdays: ["2026-10-10"]', "workdays: [2026-10-10]", "calendar.workdays.0", "in quotes"),
]  # fmt: skip


ELSEWHERE = {
    "signs.5.keys.0": "    keys: [category*city]\n",
    "signs.5.formula.of": "formula: {name: ratio",
    "signs.7.window": "{calendar: day}",
    "signs.7.formula.of.pm25": "of: {pm25: air.mean",
    "signs.8.limit": "limit: {name",
    "signs.8.aggregate.function": "{function: leq}",
    "signs.9.keys": "[city]\n",
}
"""Where the blame falls on another line than that of the change."""


def replaced(old: str, new: str, path: str) -> str:
    """The document with one fault, in the sign that is meant where several have the text."""
    after = STATES.index("- id: engine.lag") if path.startswith("signs.9.") else 0
    if path == "signs.5.keys.0":
        after = STATES.index("- id: order.burst")
    if path.startswith("signs.8."):
        after = STATES.index("- id: noise.excess")
    return STATES[:after] + STATES[after:].replace(old, new, 1)


def test_the_document_is_legal(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(STATES, encoding="utf-8")
    assert len(load(tmp_path / "a.yaml", {}).signs) == 10


@pytest.mark.parametrize(("old", "new", "path", "words"), REPLACED)
def test_each_fault_is_told_at_its_line(refused, old, new, path, words) -> None:  # noqa: F811
    text = replaced(old, new, path)
    assert text != STATES
    told = refused(text)
    problems = [p for p in told if p.path == path and words in p.message]
    assert len(problems) == 1, told
    marks = {"signs.9.": "- id: engine.lag", "signs.8.": "- id: noise.excess"}
    after = next((mark for start, mark in marks.items() if path.startswith(start)), "")
    first = line_of(STATES, ELSEWHERE.get(path, old), after)
    assert first <= problems[0].line <= first + max(new.count("\n"), old.count("\n")), problems


def written(tmp_path: Path, more: str) -> Path:
    file = tmp_path / "city.yaml"
    file.write_text(STATES.replace("hotline:\n", f"{more}\nhotline:\n", 1), encoding="utf-8")
    return file


def test_a_register_that_is_not_there_is_told_where_it_is_named(tmp_path: Path) -> None:
    file = written(tmp_path, "register_file: devices/none.csv")
    with pytest.raises(ConfigurationError) as caught:
        load(file, {})
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == (str(file), 6, 16)
    assert problem.path == "register_file"
    assert problem.message.startswith(f"{tmp_path}/devices/none.csv cannot be read: No such file")


def test_a_fault_of_the_register_is_told_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(
        "device,topic,kind,place\nd1,sensor,rain,440103001\nd2,sensor,rian,44010\n", "utf-8"
    )
    with pytest.raises(ConfigurationError) as caught:
        load(written(tmp_path, "register_file: r.csv"), {})
    problems = caught.value.problems
    assert {problem.file for problem in problems} == {str(tmp_path / "r.csv")}
    assert {problem.line for problem in problems} == {3}
    assert len(problems) == 2


def test_a_register_is_in_the_label_and_its_place_is_not(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("device,topic,kind,place\nd1,sensor,rain,440103001\n", "utf-8")
    (tmp_path / "s.csv").write_bytes((tmp_path / "r.csv").read_bytes())
    bare = load(written(tmp_path, ""), {})
    one = load(written(tmp_path, "register_file: r.csv"), {})
    two = load(written(tmp_path, "register_file: s.csv"), {})
    assert len(one.register) == 1
    assert bare.label != one.label == two.label
    assert bare.fingerprint == load(written(tmp_path, ""), {}).fingerprint


def with_key(tmp_path: Path, name: str) -> Configuration:
    file = tmp_path / "city.yaml"
    text = STATES.replace("hotline:\n", f"hotline:\n  caller_key_file: {name}\n", 1)
    file.write_text(text, encoding="utf-8")
    return load(file, {})


def test_the_secret_of_callers_stands_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "callers.key").write_bytes(b"0123456789abcdef\n")
    beside = with_key(tmp_path, "callers.key")
    assert key_of(beside) == b"0123456789abcdef"
    assert key_of(with_key(tmp_path, str(tmp_path / "callers.key"))) == b"0123456789abcdef"
    assert beside.label == load(written(tmp_path, ""), {}).label


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "can not be read: No such file"), (b"short", "has 5 bytes: put at least 16 random")],
)
def test_a_secret_that_is_none_is_refused(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "callers.key").write_bytes(content)
    configuration = with_key(tmp_path, "callers.key")
    with pytest.raises(ConfigurationError) as caught:
        key_of(configuration)
    (problem,) = caught.value.problems
    assert problem.path == "hotline.caller_key_file"
    assert problem.file == str(tmp_path / "callers.key")
    assert words in problem.message
    assert content is None or content.decode() not in str(caught.value)
