"""Overlays switch hops: windows between those of the regular hop are said while one is on.

What is said is held against a run of the same signs with the shorter hop at all times, from which
the rule picks: the windows of the regular hop, and those between where the first overlay that is on
has such a hop.  What models, incidents and other signs make of the regular windows is held against
a run whose overlays are never on.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from math import gcd
from random import Random
from typing import Any, NamedTuple

import pytest

from agents.outputs import ALERT_LOG, VITALS, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from schemas.documents import ConfigurationError
from schemas.loading import CATALOGUE, load
from streams.records import Output
from tests.kept import Parts, all_kept
from tests.rules.city_logs import assert_same, said
from tests.rules.configurations import sign, window
from tests.rules.incident_cities import MINUTE, SIGNS, START, city
from tests.rules.logs import chunks_of
from tests.rules.test_incidents_same_bytes import (
    BLOCKED,
    DRY,
    FLOOD,
    HOT,
    SECRET,
    log_of,
    one_after_another,
)
from tests.rules.test_same_bytes import assert_log_stands as assert_one_process_stands
from tests.rules.test_same_bytes import mixed
from tests.rules.test_shards import SPLITS, assert_log_union
from tests.rules.test_two_hops import assert_log_stands as assert_two_hops_stand

Row = dict[str, Any]

WET = sign(
    "t.wet",
    "count",
    kind="derived",
    formula={"name": "children_at_level", "of": "t.depth", "child": "site", "level": "blue"},
    window=window(60, 60),
    keys=["street", "district"],
)
BEFORE = sign(
    "t.before",
    "cm",
    kind="derived",
    formula={"name": "lag", "of": "t.depth", "windows": 2},
    window=window(60, 60),
    keys=["site", "street"],
)


def instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def overlay(name: str, hops: dict[str, float], **when: Any) -> dict[str, Any]:
    changes = [{"sign": name, "hop_s": hop} for name, hop in hops.items()]
    named = {"id": name, "name": {"zh": name, "en": name}, "source": "tests"}
    return {**named, "changes": changes, **when}


FAIR = {"periods": [{"since": instant(START + 9 * MINUTE), "until": instant(START + 14 * MINUTE)}]}
PAST = {"periods": [{"since": "1980-01-01T00:00:00Z", "until": "1980-01-02T00:00:00Z"}]}
OVERLAYS = [
    overlay("fair", {"t.depth": 30, "t.noise": 10}, **FAIR, places=["440106001"]),
    overlay("flood", {"t.depth": 10, "t.rain": 20}, incident="ce.flood"),
    # It is on by what its own sign says: no rain.
    overlay("dry", {"t.rain": 30, "t.calls": 20, "t.noise": 15}, incident="ce.dry"),
]
HOPS = {"t.depth": 10, "t.rain": 10, "t.calls": 20, "t.noise": 5}
"""The shortest at which windows are cut: of 30 and 10, of 20 and 30, of 20, of 10, 15 and 30."""


def configured(overlays: list[dict[str, Any]], hops: dict[str, float]) -> Configuration:
    signs = [*SIGNS, WET, BEFORE]
    signs = [
        {**one, "window": {**one["window"], "hop_s": hops[one["id"]]}} if one["id"] in hops else one
        for one in signs
    ]
    content = city([FLOOD, BLOCKED, HOT, DRY]).model_dump(mode="json")
    return Configuration.model_validate({**content, "signs": signs, "overlays": overlays})


OVERLAID = configured(OVERLAYS, {})
NEVER = configured([overlay(f"o{n}", {s: h}, **PAST) for n, (s, h) in enumerate(HOPS.items())], {})


@cache
def results_of(overlaid: bool, seed: int) -> list[Row]:
    return rows_of(one_after_another(OVERLAID if overlaid else NEVER, log_of(seed)), VITALS_LOG)


def rows_of(outputs: Iterable[Output], topic: str) -> list[Row]:
    return [json.loads(output.value) for output in outputs if output.topic == topic]


def name_of(row: Row) -> tuple[Any, ...]:
    return row["vital"], row["key_level"], row["key"], row["t_end"], row["rev"]


def without(row: Row, *fields: str) -> Row:
    return {name: value for name, value in row.items() if name not in fields}


def is_regular(row: Row) -> bool:
    hop = next(s["window"]["hop_s"] for s in [*SIGNS, WET, BEFORE] if s["id"] == row["vital"])
    return row["t_start"] % round(hop * 1000) == 0


# --- the rule ------------------------------------------------------------------------------------


class Stood(NamedTuple):
    rule: str
    key: str
    key_level: str
    place: str
    raised: int
    cleared: float


def incidents_of(outputs: Iterable[Output]) -> list[Stood]:
    """When and where incidents stood, by the alerts that told of them."""
    newest: dict[str, Row] = {}
    for alert in rows_of(outputs, ALERT_LOG):
        if alert["kind"] == "incident":
            newest[alert["alert_id"]] = alert
    return [
        Stood(
            a["rule"],
            a["key"],
            a["key_level"],
            a["place"],
            a["t_raised"],
            float("inf") if a["t_cleared"] is None else a["t_cleared"],
        )
        for a in newest.values()
    ]


def is_on(one: dict[str, Any], row: Row, stood: list[Stood]) -> bool:
    end = row["t_end"]
    if "incident" in one:
        return any(
            i.rule == one["incident"]
            and i.raised < end <= i.cleared
            and (
                row["key"] == i.key
                if row["key_level"] == i.key_level
                else row["place"].startswith(i.place)
            )
            for i in stood
        )
    (period,) = one["periods"]
    since, until = (
        datetime.fromisoformat(period[x]).timestamp() * 1000 for x in ("since", "until")
    )
    return bool(since <= end < until and row["place"].startswith(tuple(one["places"])))


def is_said(row: Row, stood: list[Stood]) -> bool:
    """Whether the rule says a window: of the first overlay that is on."""
    if is_regular(row):
        return True
    for one in OVERLAYS:
        hops = {c["sign"]: c["hop_s"] for c in one["changes"]}
        if row["vital"] in hops and is_on(one, row, stood):
            return row["t_start"] % round(hops[row["vital"]] * 1000) == 0
    return False


@pytest.mark.parametrize("seed", range(6))
def test_what_is_said_is_what_the_rule_picks_of_the_shortest_hop(seed: int) -> None:
    """Values, coverage, levels and corrections, of merged and of maximal roll-ups."""
    outputs = one_after_another(OVERLAID, log_of(seed))
    stood = incidents_of(outputs)
    # Derived signs would have to read what is said once a hop: they stay out.
    content = configured([], HOPS).model_dump(mode="json")
    content["signs"] = [one for one in content["signs"] if one["kind"] != "derived"]
    always = Configuration.model_validate(content)
    fine = rows_of(one_after_another(always, log_of(seed)), VITALS_LOG)
    expected = {name_of(r): without(r, "config", "model") for r in fine if is_said(r, stood)}
    found = {
        name_of(r): without(r, "config", "model")
        for r in rows_of(outputs, VITALS_LOG)
        if r["vital"] in HOPS
    }
    assert found == expected


def test_the_logs_say_windows_between_and_correct_them() -> None:
    counts: dict[tuple[str, int], int] = defaultdict(int)
    for seed in range(6):
        for row in results_of(True, seed):
            if not is_regular(row):
                counts[row["vital"], row["rev"]] += 1
    assert counts.keys() == {(name, rev) for name in HOPS for rev in (0, 1)}, counts


@pytest.mark.parametrize("seed", range(6))
def test_regular_windows_models_incidents_and_derived_signs_are_as_ever(seed: int) -> None:
    found = [without(r, "config") for r in results_of(True, seed) if is_regular(r)]
    expected = [without(r, "config") for r in results_of(False, seed)]
    assert sorted(found, key=name_of) == sorted(expected, key=name_of)
    stood = [incidents_of(one_after_another(c, log_of(seed))) for c in (OVERLAID, NEVER)]
    assert sorted(stood[0]) == sorted(stood[1])
    assert not any(r["model"] for r in results_of(True, seed) if not is_regular(r))


@pytest.mark.parametrize("seed", range(6))
def test_the_newest_window_of_a_key_is_told_as_such(seed: int) -> None:
    """What the compacted topic ends with is of the last window that was said of each key."""
    outputs = one_after_another(OVERLAID, log_of(seed))
    last: dict[tuple[Any, ...], int] = {}
    for row in rows_of(outputs, VITALS):
        last[name_of(row)[:3]] = row["t_end"]
    told: dict[tuple[Any, ...], int] = defaultdict(int)
    newest = {name_of(row) for row in rows_of(outputs, VITALS)}
    for row in rows_of(outputs, VITALS_LOG):
        if name_of(row) in newest:
            told[name_of(row)[:3]] = max(told[name_of(row)[:3]], row["t_end"])
    assert last == told


# --- R2 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_one_process(seed: int) -> None:
    """Chopped, mixed, ticked and restored at random."""
    assert_one_process_stands(OVERLAID, log_of(seed), Random(seed))


@pytest.mark.parametrize("seed", range(3))
def test_two_hops(seed: int) -> None:
    assert_two_hops_stand(OVERLAID, log_of(seed), Random(seed))


@pytest.mark.parametrize("split", SPLITS)
def test_shards(split: str) -> None:
    """Signs whose hop an incident switches are told by the city's shard, wherever they are."""
    assert_log_union(OVERLAID, SPLITS[split], log_of(2), Random(2))


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_at_any_point(seed: int) -> None:
    rng, plan, log = Random(seed), compile_plan(OVERLAID, SECRET), log_of(seed)
    chunks = mixed(chunks_of(log, 7), rng)
    kills = set(rng.sample(range(len(chunks)), min(12, len(chunks))))
    tasks: dict[str, Parts] = {}
    pipeline, durable, since = Pipeline(plan), list[Output](), list[Output]()
    at = behind = 0
    while at < len(chunks):
        if at in kills:
            kills.remove(at)
            pipeline, since, at = Pipeline(plan), [], behind
            pipeline.load(tasks)
        since += pipeline.step(chunks[at])
        at += 1
        if rng.randrange(6) == 0:
            tasks = all_kept(tasks, pipeline.freeze())
            durable, since, behind = durable + since, [], at
    assert_same(durable + since + pipeline.end(), said(one_after_another(OVERLAID, log)))


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hop", "message"),
    [
        ("{sign: drain.depth, hop_s: 7}", "does not divide the sign's own hop (30)"),
        ("{sign: drain.depth, hop_s: 30}", "is not below the sign's own hop (30)"),
        ("{sign: drain.depth, hop_s: 0.0005}", "expected a whole number of milliseconds"),
        ("{sign: drain.depth, hop_s: 0.01}", "makes more than 2000 panes a window"),
        ("{sign: drain.points, hop_s: 30}", "'drain.points' is made where its inputs are said"),
        ("{sign: drain.cover_open, hop_s: 30}", "'drain.cover_open' is a state at its hop"),
        ("{sign: meteo.temp_max, hop_s: 30}", "has a window a day: it has no hop"),
        ("{sign: drain.depth, hop_s: -1}", "must be above 0"),
    ],
)
def test_what_is_wrong_with_a_hop_is_told_at_its_line(
    hop: str, message: str, tmp_path: Any
) -> None:
    for file in CATALOGUE.glob("*.yaml"):
        text = file.read_text("utf-8")
        old = "{sign: drain.depth, on_delay_s: 0}"
        assert old in text or file.name != "overlays.yaml"
        (tmp_path / file.name).write_text(text.replace(old, hop), "utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, environ={})
    found = [p for p in refused.value.problems if message in p.message]
    assert [p.path for p in found] == ["overlays.0.changes.0.hop_s"], refused.value


def test_hops_that_do_not_fit_together_are_refused() -> None:
    """16 and 14 divide 112: alone they make 448 and 512 panes, together, by 2, 3,584."""
    content = OVERLAID.model_dump(mode="json")
    depth = content["signs"][0]
    depth["window"] = {"size_s": 7168, "hop_s": 112}
    content["signs"] = [s for s in content["signs"] if s["id"] not in ("t.wet", "t.before")]
    two = [overlay("a", {"t.depth": 16}, **PAST), overlay("b", {"t.depth": 14}, **PAST)]
    with pytest.raises(ValueError, match="panes a window with the other overlays"):
        Configuration.model_validate({**content, "overlays": two})
    assert 7168 // gcd(7168, 16, 14) > 2000 > 7168 // 14
