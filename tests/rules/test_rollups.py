"""Results of places against those of what lies in them, for every sign that is rolled up.

Where states merge, what is said of a place is what a sign says that folds its events there, and
what plain Python makes of them.  Where values are rolled up, it is the function of the children's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from math import fsum, isclose
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from agents.plan import Plan, compile_plan
from schemas.configuration import Configuration
from schemas.loading import load
from schemas.signs import HistorySign, SampledSign, WindowSign
from schemas.words import TOPIC_OF
from tests.rules import oracle
from tests.rules.lanes import PLACE_DIGITS, Row, dimension_of, takes
from tests.rules.lanes import measured as measure
from tests.rules.logs import chunks_of, replay, results_of
from tests.rules.rollup_logs import (
    Folded,
    Happening,
    Logged,
    happenings,
    lateness_s,
    register_of,
    written,
)

CATALOGUE = load(environ={})
LEVELS = tuple(PLACE_DIGITS)
"""From coarse to fine."""
SECRET = b"callers of the tests, kept apart"
EXACT = ("count", "sum", "min", "max", "peak", "last", "hits", "distinct", "quantile")
SAID = ("n", "coverage", "reason", "level", "place", "t_start", "detail", "final", "unit")

Name = tuple[str, str, int, int]
"""Key level, key, window end and revision."""
Results = dict[Name, dict[str, Any]]

FOLDED = [s for s in CATALOGUE.signs if isinstance(s, WindowSign | SampledSign | HistorySign)]
MERGED = [s for s in FOLDED if s.rollup == "merge" and s.base != "city"]
MOVING = [s for s in MERGED if s.kind == "sampled" and s.topic not in ("arrivals", "orders")]
OVER = [s for s in FOLDED if s.rollup in ("max", "min", "mean", "share")]


def few(sign: Folded) -> settings:
    """A few logs, fewer where they have many windows; as small as they are they are not shrunk."""
    many = (sign.window.size_s or 0) > 12 * (sign.window.hop_s or 1)
    return settings(
        deadline=None,
        database=None,
        max_examples=2 if many else 3,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def above(sign: Folded) -> list[str]:
    """The levels of places from the base up."""
    return list(LEVELS[: LEVELS.index(sign.base) + 1] if sign.base in LEVELS else LEVELS)


def keys_at(sign: Folded, level: str) -> list[str]:
    """The keys of the places of a level, in all and by what divides them."""
    dimension = dimension_of(sign)  # type: ignore[arg-type]
    return [level, *([f"{dimension}*{level}"] if dimension else [])]


def _tree(sign: Folded, **changed: Any) -> dict[str, Any]:
    """A sign as plain data, without alerts and models; a few samples are enough for a value."""
    tree = sign.model_dump(mode="json") | {"alert": None, "model": None, "hidden": []}
    if tree["coverage"] and tree["coverage"]["by"] == "samples":
        tree["coverage"]["at_least"] = min(2, tree["coverage"]["at_least"])
    return tree | changed


def _plan(sign: Folded, signs: list[dict[str, Any]]) -> Plan:
    content = CATALOGUE.model_dump(mode="json")
    content |= {"signs": signs, "incidents": [], "overlays": [], "shards": []}
    (topic,) = (t for t in content["topics"] if t["kind"] == TOPIC_OF[sign.topic])
    content["topics"] = [topic | {"partitions": 2, "allowed_lateness_s": lateness_s(sign)}]
    configuration = Configuration.model_validate(content).with_register(register_of(sign))
    return compile_plan(configuration, SECRET)


@cache
def merging(name: str) -> Plan:
    """A sign with the keys of all places above its base, and others folded at each level."""
    sign = CATALOGUE.sign[name]
    assert isinstance(sign, Folded)
    own = [] if sign.base in LEVELS else [sign.base]
    keys = [key for level in above(sign) for key in keys_at(sign, level)]
    direct = [
        _tree(sign, id=f"{name}_{level}", base=level, keys=keys_at(sign, level))
        for level in above(sign)
    ]
    return _plan(sign, [_tree(sign, keys=own + keys), *direct])


@cache
def over(name: str) -> Plan:
    """A sign with the keys of all places above its base."""
    sign = CATALOGUE.sign[name]
    assert isinstance(sign, Folded)
    return _plan(sign, [_tree(sign, keys=[sign.base, *above(sign)])])


def run(plan: Plan, drawn: Iterable[Happening]) -> tuple[dict[str, Results], list[Logged]]:
    """Results by sign, and the events of the log."""
    sign = plan.configuration.signs[0]
    assert isinstance(sign, Folded)
    log, told = written(sign, plan.configuration.topics[0].name, drawn)
    pipeline, outputs = replay(plan, chunks_of(log))
    counts = pipeline.total()
    assert (counts.rejected, counts.duplicate) == (0, 0), counts
    assert counts.late == sum(one.lost for one in told)
    found: dict[str, Results] = defaultdict(dict)
    for (vital, level, key, end, rev), result in results_of(outputs).items():
        found[vital][level, key, end, rev] = result
    return found, told


# --- merged states -------------------------------------------------------------------------------


def assert_same_results(sign: Folded, rolled: Results, direct: Results) -> None:
    """What is said of places is the same, whether states were merged or events folded there."""
    assert rolled.keys() == direct.keys()
    for name, result in rolled.items():
        other = direct[name]
        assert {what: result[what] for what in SAID} == {what: other[what] for what in SAID}, name
        value, wanted = result["value"], other["value"]
        if value is None or wanted is None or sign.aggregate.function in EXACT:
            assert value == wanted, (name, result, other)
        else:
            assert isclose(value, wanted, rel_tol=1e-9), (name, result, other)


def rows_of(sign: WindowSign, told: Iterable[Logged]) -> Iterator[tuple[Row, str | None]]:
    """What counts of a log, each with what divides the keys of its places."""
    kind, dimension = TOPIC_OF[sign.topic], dimension_of(sign)
    for t, lost, event in told:
        fact = dict(event)
        if kind == "hotline":
            fact |= {"flag": "none", "citizen": event["caller"], "category": event["category"][-1]}
            fact["on_time"] = float(t <= event["due"])
            fact["since_created_s"] = (t - event["t_created"]) / 1000
        if lost or not takes(sign, kind, fact):
            continue
        value, weight, member = measure(sign, fact) or (0, 0, "")
        row = Row(t, 0, False, "", "", event["place"], value, weight, member, 0)
        yield row, fact.get(dimension) if dimension else None


def corrected(results: Results) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The last that is said of each key and window."""
    return {name[:3]: results[name] for name in sorted(results, key=lambda name: name[3])}


def assert_aggregates(sign: WindowSign, results: Results, told: list[Logged]) -> None:
    """What is said of places is what the function makes of their events."""
    rows = list(rows_of(sign, told))
    said = corrected(results)
    for (level, key, end), result in said.items():
        by, _, at = level.rpartition("*")
        if at not in PLACE_DIGITS:
            continue
        divided, _, place = key.rpartition("*")
        start = result["t_start"]
        here = [
            row
            for row, group in rows
            if start <= row.e < end and row.place.startswith(place) and (not by or group == divided)
        ]
        assert result["n"] == len(here), (level, key, end)
        if result["reason"] == "warming":
            continue
        least = sign.coverage.at_least if sign.coverage else 1
        enough = sign.empty == "zero" or (
            (sign.coverage is not None and sign.coverage.by == "time") or len(here) >= least
        )
        if result["reason"] == "uncovered" or not enough:
            assert result["value"] is None
            assert sign.coverage is None or sign.coverage.by == "time" or not enough
            continue
        wanted = oracle.aggregate(sign, here, end - start) if here else 0.0
        assert (wanted is None) == (result["reason"] == "undefined"), (level, key, end)
        assert result["value"] == pytest.approx(wanted, rel=1e-9, abs=1e-12), (level, key, end)
    low, high = min(row.e for row, _ in rows), max(row.e for row, _ in rows)
    for start, end in oracle.windows(sign, "Asia/Shanghai", low, high):
        if any(start <= row.e < end for row, _ in rows):
            assert ("city", "4401", end) in said


@pytest.mark.parametrize("name", [sign.id for sign in MERGED])
def test_merged_states_are_what_is_aggregated_at_the_place(name: str) -> None:
    plan, seen = merging(name), Counter[str]()
    sign = plan.configuration.signs[0]
    assert isinstance(sign, Folded)

    @few(sign)
    @given(happenings(sign))
    def compare(drawn: list[Happening]) -> None:
        found, told = run(plan, drawn)
        for level in above(sign):
            keys = keys_at(sign, level)
            rolled = {n: result for n, result in found[name].items() if n[0] in keys}
            assert_same_results(sign, rolled, found[f"{name}_{level}"])
            seen[level] += sum(result["value"] is not None for result in rolled.values())
            seen["corrected"] += sum(result["rev"] for result in rolled.values())
        if isinstance(sign, WindowSign) and sign.topic != "arrivals":
            assert_aggregates(sign, found[name], told)

    compare()
    assert all(seen[level] for level in above(sign)), seen
    corrects = isinstance(sign, WindowSign) and sign.topic != "arrivals"
    assert bool(seen["corrected"]) == corrects, seen


@pytest.mark.parametrize("name", [sign.id for sign in MOVING])
def test_what_moved_is_sampled_once(name: str) -> None:
    """The last value of a device is one value, though it came from another place."""
    plan = merging(name)
    sign = plan.configuration.signs[0]
    assert isinstance(sign, SampledSign)
    log, _ = written(sign, plan.configuration.topics[0].name, [])
    lane = next(lane for lane in log if lane[1] == 0)
    now, event = log[lane][0]
    assert isinstance(event, dict)
    moved = event | {"t": now + 1, "id": "moved", "place": "440111001001002"}
    _, outputs = replay(plan, chunks_of({lane: [(now, event), (now + 1, moved)]}))
    said = results_of(outputs).items()
    counts = {n[:4]: r["n"] for n, r in said if n[1] == "city" and r["n"]}
    assert set(counts.values()) == {1}, counts


# --- functions over children ---------------------------------------------------------------------


def parents_of(sign: Folded, children: Mapping[str, dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """What the function makes of the results of base keys, for each place above them."""
    groups: dict[tuple[str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for key, child in children.items():
        for level, digits in PLACE_DIGITS.items():
            if len(child["place"]) >= digits:
                groups[level, child["place"][:digits]][key] = child
    found = {}
    for name, group in groups.items():
        values = {key: r["value"] for key, r in group.items() if r["value"] is not None}
        warming = all(r["reason"] == "warming" for r in group.values())
        said: dict[str, Any] = {"value": None, "reason": "warming" if warming else "uncovered"}
        said |= {"detail": None, "level": None}
        if values:
            value, told = function_over(sign.rollup, list(values.values())), dict[str, Any]()
            if sign.rollup in ("max", "min"):
                told["child"] = min(key for key, each in values.items() if each == value)
            said = {"value": value, "reason": None, "detail": told | {"children": len(group)}}
            said["level"] = oracle.level_of(value, sign.levels) if sign.levels else None
        said["n"] = sum(r["n"] for r in group.values())
        found[name] = said | {"coverage": len(values) / len(group), "place": name[1]}
    return found


def function_over(function: str, values: list[float]) -> float:
    if function in ("max", "min"):
        return max(values) if function == "max" else min(values)
    if function == "share":
        return sum(value != 0 for value in values) / len(values)
    return fsum(values) / len(values)


def expected_parents(sign: Folded, results: Results) -> Results:
    """What has to be said of places, first and as late events correct it."""
    ends: dict[int, tuple[dict[str, Any], dict[str, Any]]] = defaultdict(lambda: ({}, {}))
    for (level, key, end, rev), result in results.items():
        if level == sign.base:
            ends[end][rev][key] = result
    found: Results = {}
    for end, (first, final) in ends.items():
        before, after = parents_of(sign, first), parents_of(sign, {**first, **final})
        found |= {(*name, end, 0): said for name, said in before.items()}
        found |= {(*name, end, 1): now for name, now in after.items() if before.get(name) != now}
    return found


@pytest.mark.parametrize("name", [sign.id for sign in OVER])
def test_values_over_children_are_the_function_of_theirs(name: str) -> None:
    plan, seen = over(name), Counter[str]()
    sign = plan.configuration.signs[0]
    assert isinstance(sign, WindowSign)

    @few(sign)
    @given(happenings(sign))
    def compare(drawn: list[Happening]) -> None:
        results = run(plan, drawn)[0][name]
        expected = expected_parents(sign, results)
        told = {n: result for n, result in results.items() if n[0] != sign.base}
        assert told.keys() == expected.keys()
        for key, result in told.items():
            wanted = expected[key]
            assert {what: result[what] for what in wanted} == wanted, key
            assert (result["final"], result["unit"]) == (key[3] == 1, sign.unit)
            seen[key[0]] += result["value"] is not None
            seen["partly"] += 0 < result["coverage"] < 1
            seen["corrected"] += key[3]
            seen[str(result["reason"])] += 1

    compare()
    assert all(seen[level] for level in (*LEVELS, "corrected", "partly", "uncovered")), seen
