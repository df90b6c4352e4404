"""Shards say together what one task says, each result once, byte for byte (rule R2).

That holds for keys that stay where they are as far as shards go: one that moves from one listed
place to another, such as a bus, is known to both of them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.outputs import ALERT_LOG, VITALS, VITALS_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from schemas.devices import Register
from schemas.documents import ConfigurationError
from schemas.loading import load
from streams.records import Output
from tests.rules.city_logs import assert_same, city_configuration, city_plan, interleaved, said
from tests.rules.configurations import (
    CALENDAR,
    FULL,
    SMALL_TOPICS,
    configuration,
    levels,
    past_mean,
    sensor,
    sign,
    window,
)
from tests.rules.lanes import LaneName, Record
from tests.rules.logs import PLACES, Writer, chunks_of
from tests.rules.test_two_hops import (
    assessed,
    in_one_process,
    killed_and_restored,
    mixed,
    of_shard,
    once,
    others_of,
    partials_of,
    sent_by_lanes,
    ticks_of,
)
from tests.rules.wide import EVENT_SIGNS, SECRET, START, STATE_SIGNS, gaussian, wide
from tests.rules.wide_logs import WideWriter

Split = list[list[str]]

SPLITS: dict[str, Split] = {
    "a district": [["440106"]],
    "a street": [["440106001"]],
    "a community": [["440106001001"]],
    "two lists": [["440106001"], ["440106002", "440111"]],
    "places of every level": [["440106001001001", "440111"], ["440106001002"], ["440106002"]],
}


DEPTH = sensor(
    "far.depth",
    "cm",
    "water_depth",
    "site",
    aggregate={"function": "max"},
    window=window(60, 60),
    keys=["site"],
    rollup="none",
    levels=levels("ge", yellow=20),
    model=gaussian(),
)
UNUSUAL = sign(
    "far.ratio",
    "ratio",
    kind="derived",
    formula={"name": "ratio_to_baseline", "of": "far.depth", "floor": 1, "at_least": 1},
    window=window(60, 60),
    keys=["site"],
    levels=levels("ge", yellow=1.1),
)
UNUSUAL_POINTS = sign(
    "far.unusual",
    "count",
    kind="derived",
    formula={"name": "children_at_level", "of": "far.ratio", "child": "site", "level": "yellow"},
    window=window(60, 60),
    keys=["city"],
)
POINTS = sign(
    "far.points",
    "count",
    kind="derived",
    formula={"name": "children_at_level", "of": "far.depth", "child": "site", "level": "yellow"},
    window=window(60, 60),
    keys=["street", "city"],
)
PAST = past_mean(
    "far.past",
    "count",
    "far.points",
    formula={"windows": 2, "step_s": 60, "at_least": 1},
    window=window(60, 60),
    keys=["city"],
)
FAR = configuration([DEPTH, POINTS, PAST, UNUSUAL, UNUSUAL_POINTS], SMALL_TOPICS, forget_s=1800)
"""A sign without a key above its sites, and others that read it, or its model, for the city."""


def sharded(configuration: Configuration, split: Split) -> Configuration:
    shards = [{"places": places} for places in split]
    other = Configuration.model_validate(configuration.model_dump() | {"shards": shards})
    other = other.with_register(configuration.register)
    return other.with_relations(configuration.relations)


def homes_of(split: Split) -> list[list[str]]:
    """Places among which a thing may move that does not leave what its shard lists."""
    listed = [prefix for places in split for prefix in places]
    homes: dict[str, list[str]] = defaultdict(list)
    for place in PLACES:
        homes[next(filter(place.startswith, listed), "")].append(place)
    return [*homes.values(), *([place] for place in PLACES)]


class Settled(Writer):
    """Writes of things that do not leave the place that their shard lists."""

    def __init__(self, rng: Random, unit: int, split: Split) -> None:
        super().__init__(rng, START, unit, 25 * unit)
        self.homes = homes_of(split)

    def event(self, kind: str, number: int, t: int) -> dict[str, Any]:
        number += 4 * self.rng.randrange(6)
        event = super().event(kind, number, t)
        if kind != "hotline":
            home = self.homes[number // 2 % len(self.homes)]
            event["place"] = home[t // 1_200_000 % len(home)]
        return event


def told(outputs: Iterable[Output]) -> list[Output]:
    """The outputs but those of the topic that keeps the newest result of a key."""
    return [output for output in outputs if output.topic != VITALS]


def assert_union(configuration: Configuration, split: Split, rng: Random, unit: int) -> None:
    """Two hops to many shards say what one process without shards says."""
    log = Settled(rng, unit, split).write(configuration, rng.randrange(20, 150))
    assert_log_union(configuration, split, log, rng)


def assert_log_union(
    configuration: Configuration,
    split: Split,
    log: Mapping[LaneName, Sequence[Record]],
    rng: Random,
    *,
    in_order: bool = True,
) -> None:
    one = compile_plan(configuration, SECRET)
    many = compile_plan(sharded(configuration, split), SECRET)
    assert one.config == many.config
    expected = in_one_process(one, chunks_of(log, 1 + rng.randrange(9)), rng)
    whole = {chunk.lane: chunk for chunk in chunks_of(log)}
    sent = killed_and_restored(many, whole, ticks_of(expected), rng, 1 + rng.randrange(12))
    outputs = assessed(many, mixed(partials_of(sent), rng), rng, restarts=0.1)
    found = told(once(others_of(sent)) + outputs)
    if in_order:
        assert_same(found, said(told(expected)))
    else:
        assert said(found)[0] == said(told(expected))[0]


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(list(SPLITS)), st.randoms(use_true_random=False))
def test_any_small_log(split: str, rng: Random) -> None:
    """Every kind of roll-up; derived, sampled and zero-filled signs; corrections, alerts."""
    assert_union(FULL, SPLITS[split], rng, 12_000)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("split", SPLITS)
def test_small_logs(split: str, seed: int) -> None:
    assert_union(FULL, SPLITS[split], Random(seed), 12_000)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("split", SPLITS)
def test_what_the_city_reads_of_other_shards(split: str, seed: int) -> None:
    assert_union(FAR, SPLITS[split], Random(seed), 12_000)


def test_what_the_city_reads_of_the_models_of_other_shards() -> None:
    """Two sites of two shards, a quarter of an hour, and one value in it that is unusual."""
    split = SPLITS["a district"]
    log: dict[LaneName, list[Record]] = {
        (t.name, p): [] for t in FAR.topics for p in range(t.partitions)
    }
    lane = next(name for name in log if "sensor" in name[0])
    for minute in range(15):
        for site, place in (("s1", "440106001"), ("s2", "440111002")):
            event = {"device": site, "site": site, "place": place, "metric": "water_depth"}
            event |= {
                "unit": "cm",
                "t": START + minute * 60_000,
                "value": 30 if minute == 9 else 10,
            }
            log[lane].append((START + minute * 60_000, event))
    pipeline = Pipeline(compile_plan(FAR))
    outputs = [output for chunk in chunks_of(log) for output in pipeline.step(chunk)]
    said = [json.loads(output.value) for output in outputs + pipeline.end()]
    assert 2 in [one["value"] for one in said if one.get("vital") == "far.unusual"]
    assert_log_union(FAR, split, log, Random(1))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("split", SPLITS)
def test_small_logs_of_days(split: str, seed: int) -> None:
    assert_union(CALENDAR, SPLITS[split], Random(seed), 900_000)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("split", SPLITS)
def test_arrivals_orders_registers_and_models(split: str, seed: int) -> None:
    """The register has devices elsewhere than they are, in the places of other shards too."""
    rng, homes = Random(seed), homes_of(SPLITS[split])
    of_number = {n: homes[n // 2 % len(homes)] for n in range(24)}
    # An arrival is where the register has its device, as long as that counts: it would move.
    signs = [sign for sign in [*EVENT_SIGNS, *STATE_SIGNS] if sign["id"] != "wide.heard"]
    configuration = wide(signs, 300, 1800)
    unit = rng.choice((2000, 4000, 12_000))
    writer = WideWriter(rng, START, unit, 300_000, of_number, numbers=(4, 24)[seed % 2])
    log = writer.write(configuration, rng.randrange(20, 150))
    # A key that falls silent is said where the register has it, by that shard from then on.
    assert_log_union(configuration, SPLITS[split], log, rng, in_order=False)


def test_arrivals_of_devices_that_are_where_the_register_has_them() -> None:
    split, rng = SPLITS["a street"], Random(4)
    of_number = dict(enumerate(homes_of(split)))
    configuration = wide(EVENT_SIGNS, 300, 1800, home=lambda n: of_number[n % len(of_number)][0])
    # A site lies in one shard, with all of its devices.
    rows = configuration.register.devices
    apart = [row._replace(site=f"{row.site}-{row.place}") if row.limit else row for row in rows]
    configuration = configuration.with_register(Register(apart))
    log = WideWriter(rng, START, 4000, 300_000, of_number).write(configuration, 150)
    assert_log_union(configuration, split, log, rng)


@pytest.mark.parametrize("split", SPLITS)
def test_a_log_that_ends_and_goes_on(split: str) -> None:
    rng = Random(split)
    log = Settled(rng, 12_000, SPLITS[split]).write(FULL, 300)
    chunks = sorted(chunks_of(log, 10), key=lambda chunk: chunk.timestamps[0])
    said_of = []
    for each in (FULL, sharded(FULL, SPLITS[split])):
        pipeline, outputs = Pipeline(compile_plan(each)), list[Output]()
        for number, chunk in enumerate(chunks):
            outputs += pipeline.step(chunk)
            if number == len(chunks) // 2:
                outputs += pipeline.end()
        said_of.append(told(outputs + pipeline.end()))
    assert_same(said_of[1], said(said_of[0]))


CITY_SPLIT = [["440103", "440106", "440105001"], ["440111"]]
"""Three districts and a street."""


def test_the_simulated_city() -> None:
    """Each result and each transition of an alert is said by one shard; no device moves there."""
    rng, plan = Random(1), compile_plan(sharded(city_configuration(), CITY_SPLIT), SECRET)
    expected = in_one_process(city_plan(), interleaved(300), rng)
    sent = sent_by_lanes(plan, interleaved(300, rng), ticks_of(expected))
    records = mixed(partials_of(sent), rng)
    outputs = assessed(plan, records, rng)
    assert_same(told(others_of(sent) + outputs), said(told(expected)))
    assert {ALERT_LOG, VITALS_LOG} < {output.topic for output in outputs}
    shares = [len(of_shard(records, shard)) for shard in range(plan.shards.count)]
    assert len(shares) == 3
    assert len(set(shares)) == 1


FAULTS = [
    (["[440106]"], "0.places.0", "440106", "expected text, not a number: put it in quotes"),
    (["['44010']"], "0.places.0", "'44010'", "is not a place code"),
    (["['４４０１０６']"], "0.places.0", "'４４", "is not a place code"),
    (["['4401']"], "0.places.0", "'4401'", "the city belongs to the shard that lists nothing"),
    (["['440106', '440100']"], "0.places.1", "'440100'", "the city belongs to the shard"),
    (["['440106']", "['440106']"], "1.places.0", "'440106'", "overlaps '440106': every place has"),
    (["['440106']", "['440111', '440106001']"], "1.places.1", "'440106001'", "overlaps '440106'"),
    (["['440106001']", "['440106']"], "1.places.0", "'440106'", "overlaps '440106001'"),
    (["['440106', '440106001']"], "0.places.1", "'440106001'", "overlaps '440106'"),
    (["[]"], "0.places", "[]", "must not be empty"),
    (["['440106']", "{}"], "1.places", "{}", "expected a list, not settings"),
]
"""Lists of places, the setting and the text that are at fault, and words of the message."""


@pytest.mark.parametrize(("lists", "path", "text", "words"), FAULTS)
def test_a_fault_is_told_at_its_place(
    tmp_path: Path, lists: list[str], path: str, text: str, words: str
) -> None:
    file = tmp_path / "city.yaml"
    lines = ["shards:", *(f"  - places: {listed}" for listed in lists)]
    file.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(file, {})
    (problem,) = caught.value.problems
    assert (problem.file, problem.path) == (str(file), f"shards.{path}")
    assert problem.line == 2 + int(path[0])
    assert lines[problem.line - 1][problem.column - 1 :].startswith(text)
    assert words in problem.message


def test_every_fault_of_the_lists_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "city.yaml"
    file.write_text("shards:\n- places: ['4401', '1']\n- places: ['440106', '440106']\n")
    with pytest.raises(ConfigurationError) as caught:
        load(file, {})
    paths = [problem.path for problem in caught.value.problems]
    assert paths == ["shards.0.places.0", "shards.0.places.1", "shards.1.places.1"]


def test_shards_are_not_in_the_label() -> None:
    assert {sharded(FULL, split).label for split in SPLITS.values()} == {FULL.label}
