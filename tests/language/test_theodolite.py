"""Theodolite UC2 and UC4 by catalogue alone, against the benchmark's rules in plain Python.

The rules are those of its source code: a tumbling minute by sensor with count, sum, mean, minimum,
maximum and population variance (UC2); of each parent and 5 s count, sum and mean over the newest
values of its children, the sum fed back as the parent's own value (UC4).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import fsum
from pathlib import Path
from random import Random
from typing import Any

import pytest

from schemas.register import parse_register
from tests.language.logs import CHILDREN, START, path_of, power, register
from tests.language.running import Line, changed, example, lanes_of, said, values
from tests.rules.logs import chunks_of, replay, results_of
from tests.rules.test_same_bytes import assert_log_stands

MINUTE, WINDOW = 60_000, 5_000


def lines(records: Iterable[dict[str, Any]]) -> Iterator[Line]:
    return (("input", json.dumps(record).encode()) for record in records)


def close(value: float | None, expected: float) -> bool:
    return value == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_uc2_golden() -> None:
    found = said(example("theodolite-uc2"), lines(power(7, 120)))
    golden = {"count": 60, "sum": 600, "mean": 10, "min": 10, "max": 10, "variance": 0}
    assert len(found) == 7 * 2 * len(golden)
    for (sign, _, end), result in found.items():
        assert result["value"] == golden[sign.removeprefix("power.")]
        assert (end - START) % MINUTE == 0


def test_uc2_of_random_values_and_gaps() -> None:
    rng = Random(3)
    records = [r for r in power(9, 200, seed=3) if rng.random() < 0.8]
    groups: dict[tuple[str, int], list[float]] = defaultdict(list)
    for r in records:
        groups[r["identifier"], r["timestamp"] // MINUTE * MINUTE + MINUTE].append(r["valueInW"])
    found = said(example("theodolite-uc2"), lines(records))
    for name, group in groups.items():
        mean = fsum(group) / len(group)
        told = {sign: found[f"power.{sign}", *name]["value"] for sign in ("count", "min", "max")}
        assert told == {"count": len(group), "min": min(group), "max": max(group)}
        assert close(found["power.sum", *name]["value"], fsum(group))
        assert close(found["power.mean", *name]["value"], mean)
        spread = fsum((x - mean) ** 2 for x in group) / len(group)
        assert close(found["power.variance", *name]["value"], spread)
    assert set(values(found, "power.count")) == set(groups)


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_uc4_golden(groups: int) -> None:
    sensors = CHILDREN**groups
    found = said(example("theodolite-uc4", register(groups)), lines(power(sensors, 10)))
    ends = (START + WINDOW, START + 2 * WINDOW)
    for end in ends:
        root = {sign: found[f"power.group_{sign}", "group_lvl_0", end] for sign in SIGNS}
        assert root["sum"]["value"] == 10 * sensors
        assert root["count"]["value"] == CHILDREN
        assert root["mean"]["value"] == 10 * sensors / CHILDREN
        assert root["sum"]["coverage"] == 1
    counts = values(found, "power.group_count")
    assert len(counts) == 2 * sum(CHILDREN**level for level in range(groups))
    assert set(counts.values()) == {CHILDREN}


SIGNS = ("sum", "count", "mean")
Golden = dict[tuple[str, int], tuple[float, int, float]]


def rolled_up(records: Iterable[dict[str, Any]], groups: int) -> Golden:
    """Sum, count and mean of each group and window, by the benchmark's rule."""
    newest: dict[int, dict[str, float]] = defaultdict(dict)
    for r in sorted(records, key=lambda r: r["timestamp"]):
        end = r["timestamp"] // WINDOW * WINDOW + WINDOW
        newest[end][r["identifier"]] = r["valueInW"]
    paths = {f"s_{n}": path_of(n, groups).split("/") for n in range(CHILDREN**groups)}
    golden: Golden = {}
    for end, told in newest.items():
        for depth in reversed(range(groups)):
            children: dict[str, dict[str, float]] = defaultdict(dict)
            for sensor, path in paths.items():
                child = sensor if depth == groups - 1 else path[depth + 1]
                if child in told:
                    children[path[depth]][child] = told[child]
            for group, own in children.items():
                total = fsum(own.values())
                golden[group, end] = (total, len(own), total / len(own))
                told[group] = total
    return golden


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_uc4_of_random_values_and_gaps(groups: int) -> None:
    rng = Random(groups)
    records = [r for r in power(CHILDREN**groups, 20, seed=groups) if rng.random() < 0.25]
    found = said(example("theodolite-uc4", register(groups)), lines(records))
    golden = rolled_up(records, groups)
    spoken = {name for name, v in values(found, "power.group_sum").items() if v is not None}
    assert spoken == set(golden)
    for name, expected in golden.items():
        told = (found[f"power.group_{sign}", *name]["value"] for sign in SIGNS)
        assert all(close(value, right) for value, right in zip(told, expected, strict=True))


def test_a_group_without_all_of_its_children_says_so() -> None:
    """As far as the register is told to be asked: the benchmark itself counts what came."""
    told = said(example("theodolite-uc4", register(2)), lines(records_without("s_5")))
    root = told["power.group_count", "g_1_1", START + 2 * WINDOW]
    assert (root["value"], root["coverage"]) == (3, 0.75)


def records_without(sensor: str) -> list[dict[str, Any]]:
    return [
        r
        for r in power(CHILDREN**2, 10)
        if r["identifier"] != sensor or r["timestamp"] < START + WINDOW
    ]


@pytest.mark.parametrize("seed", range(4))
def test_uc4_is_a_function_of_the_log(seed: int, tmp_path: Path) -> None:
    """Chopped, mixed and restored at random, with late records that correct what was said."""
    rng, changes = Random(seed), {"partitions: 1": "partitions: 3"}
    configuration = changed(tmp_path / "uc4.yaml", "theodolite-uc4", changes)
    configuration = configuration.with_register(parse_register(register(2), "register.csv"))
    records = [r for r in power(CHILDREN**2, 25, seed=seed) if rng.random() < 0.3]
    log = lanes_of(configuration, lines(records), rng)
    corrected = {k[0] for k in results_of(replay(configuration, chunks_of(log))[1]) if k[4] == 1}
    assert {"power.group_sum", "power.group_mean"} <= corrected
    assert_log_stands(configuration, log, rng, START)


def test_groups_reach_over_shards(tmp_path: Path) -> None:
    """Sensors of two districts in one group: the city's shard says what one alone would say."""
    records = [
        r | {"where": "440106001" if int(r["identifier"][2:]) % 2 else "440111004"}
        for r in power(CHILDREN**2, 12, seed=1)
    ]
    places = {
        "value: valueInW}": "value: valueInW, place: where}",
        'unit: W, place: "0000",': "unit: W,",
        'place: "0000"\n': 'place: "4401"\n',
    }
    shards = {"hierarchies:": 'shards: [{places: ["440106"]}, {places: ["440111"]}]\nhierarchies:'}
    known = parse_register(register(2).replace("0000", "4401"), "register.csv")
    found = []
    for changes in (places, places | shards):
        one = changed(tmp_path / "uc4.yaml", "theodolite-uc4", changes).with_register(known)
        found.append(said(one, lines(records)))
    assert found[0] == found[1]
    assert len(values(found[0], "power.group_sum")) == 3 * (1 + CHILDREN)
