"""R2: incidents, and the children they suppress, are a function of the log alone.

Whatever the chunks, the interleaving of lanes, kills and restores, and shards: the same bytes, for
each alert in the same order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.outputs import ALERT_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration
from schemas.related import POSITION, Relation, Relations
from streams.records import Output
from tests.kept import Parts, all_kept
from tests.rules.city_logs import assert_same, said
from tests.rules.incident_cities import PLACES, SIGNS, CityWriter, city, condition, plain
from tests.rules.lanes import LaneName, Record
from tests.rules.logs import chunks_of
from tests.rules.test_incident_oracle import alerts_of
from tests.rules.test_same_bytes import assert_log_stands as assert_one_process_stands
from tests.rules.test_same_bytes import mixed
from tests.rules.test_shards import SPLITS, assert_log_union
from tests.rules.test_two_hops import assert_log_stands as assert_two_hops_stand
from tests.rules.wide import SECRET, START

Log = Mapping[LaneName, Sequence[Record]]


def hiding(name: str, *keys: str) -> list[dict[str, object]]:
    """The signs, one of which has keys whose results are not sent."""
    return [sign | {"hidden": list(keys)} if sign["id"] == name else sign for sign in SIGNS]


FLOOD = plain(
    "ce.flood",
    "grid",
    need={"yellow": 2, "orange": 3},
    until=["depth"],
    conditions=[
        condition("rain", "district", any=[{"sign": "t.rain", "ge": 2}], within_s=600),
        condition("depth", "site", any=[{"sign": "t.depth", "ge": 8, "deadband": 2}], for_s=60),
        condition("calls", "category*grid", any=[{"sign": "t.calls", "of": ["a"], "ge": 1}]),
    ],
    override=[{"level": "red", "at": "site", "any": [{"sign": "t.depth", "ge": 45}]}],
    suppresses=[{"sign": "t.depth"}, {"sign": "t.calls", "of": ["a"]}],
    cooldown_s=300,
    clear_s=120,
    every_s=30,
)
BLOCKED = plain(
    "ce.blocked",
    "street",
    need={"blue": 1, "yellow": 2},
    conditions=[
        condition("flood", "grid", any=[{"incident": "ce.flood", "level": "yellow"}]),
        condition("noise", "device", any=[{"sign": "t.noise", "anomaly": True}]),
    ],
    override=[
        {"level": "orange", "conditions": ["flood"], "standing": {"level": "blue", "for_s": 240}}
    ],
    suppresses=[{"sign": "t.rain"}, {"sign": "t.noise"}],
)
HOT = plain(
    "ce.hot",
    "category*grid",
    need={"blue": 2},
    must=["calls"],
    conditions=[
        condition("calls", "category*grid", any=[{"sign": "t.calls", "ge": 1}]),
        condition("dry", "district", none=[{"sign": "t.rain", "ge": 4}]),
    ],
    suppresses=[{"sign": "t.calls"}],
    every_s=120,
)
DRY = plain(
    "ce.dry",
    "street",
    need={"blue": 1},
    within_s=90,
    conditions=[condition("dry", "street", none=[{"sign": "t.rain", "ge": 1}])],
    every_s=30,
)
RICH = city([FLOOD, BLOCKED, HOT, DRY])
"""Incidents of a place, of places in a street, and of categories, that suppress something.

The last one is raised at places of which no fact speaks.
"""
HIDDEN = city([FLOOD, BLOCKED, HOT, DRY], hiding("t.calls", "category*grid", "category*street"))
"""The same where calls are only read, and so are known from the first one on."""

ZONES = plain(
    "ce.zones",
    "grid",
    need={"blue": 1, "yellow": 2},
    conditions=[
        condition("rain", "device", any=[{"sign": "t.noise", "ge": 54, "within_m": 1500}]),
        condition("depth", "site", any=[{"sign": "t.depth", "ge": 8, "relation": "zone"}]),
        condition("flood", "grid", any=[{"incident": "ce.flood", "level": "yellow"}]),
    ],
    override=[{"level": "red", "conditions": ["depth"], "related": "next"}],
    suppresses=[{"sign": "t.depth"}],
    every_s=30,
)
RELATED_KEYS = [
    *(Relation("zone", "zone:z1", f"site:s{n}", since=START + n * 300_000) for n in range(5)),
    *(Relation("zone", "zone:z1", f"grid:{place}") for place in PLACES[:2]),
    Relation("next", f"grid:{PLACES[0]}", f"grid:{PLACES[1]}", until=START + 900_000),
    *(Relation(POSITION, f"grid:{p}", "", 113 + n / 100, 23.0) for n, p in enumerate(PLACES)),
    *(Relation(POSITION, f"device:d{n}", "", 113 + n / 100, 23.01) for n in range(5)),
]
RELATED = city([FLOOD, ZONES]).with_relations(Relations(RELATED_KEYS))
"""Incidents that read keys elsewhere, by relations that come and go."""

CITIES = {"rich": RICH, "hidden": HIDDEN, "related": RELATED}


@cache
def log_of(seed: int) -> Log:
    return CityWriter(Random(seed)).log()


def one_after_another(configuration: Configuration, log: Log) -> list[Output]:
    pipeline = Pipeline(compile_plan(configuration, SECRET))
    outputs = [output for chunk in chunks_of(log) for output in pipeline.step(chunk)]
    return outputs + pipeline.end()


def test_the_logs_have_incidents_and_suppressed_children() -> None:
    counts = Counter[str]()
    for seed in range(6):
        for alert in alerts_of(one_after_another(RICH, log_of(seed))):
            counts[f"{alert['rule']} {alert['transition']}"] += 1
            counts[f"suppressed {alert['rule']}"] += alert["suppressed_by"] is not None
            counts["late suppressed"] += alert["late"] and alert["suppressed_by"] is not None
    told = (
        "ce.flood cleared",
        "ce.blocked escalated",
        "ce.hot raised",
        "ce.dry cleared",
        "late suppressed",
    )
    signs = ("t.depth", "t.rain", "t.noise", "t.calls")
    assert all(counts[name] for name in [*told, *(f"suppressed {s}" for s in signs)]), counts
    assert counts["late suppressed"]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", CITIES)
def test_one_process(name: str, seed: int) -> None:
    """Chopped, mixed, ticked and restored at random."""
    assert_one_process_stands(CITIES[name], log_of(seed), Random(seed))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CITIES)
def test_two_hops(name: str, seed: int) -> None:
    """Lanes and the shard in tasks of their own, killed and restored."""
    assert_two_hops_stand(CITIES[name], log_of(seed), Random(seed))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("seed", range(3))
def test_shards(split: str, seed: int) -> None:
    """The children of incidents are told by the city's shard, wherever they are."""
    assert_log_union(RICH, SPLITS[split], log_of(seed), Random(seed))


@pytest.mark.parametrize("split", SPLITS)
def test_shards_where_keys_are_related(split: str) -> None:
    """What is related lies on both sides of a border between shards."""
    assert_log_union(RELATED, SPLITS[split], log_of(2), Random(2))


def test_the_logs_have_incidents_by_relations() -> None:
    """In evidence, the relation and the key elsewhere that it led to."""
    told = set()
    for seed in range(6):
        for alert in alerts_of(one_after_another(RELATED, log_of(seed))):
            told |= {e.get("relation") for e in alert["why"].get("evidence", ())}
    assert {"zone", "within 1500 m"} <= told


def test_shards_where_calls_are_hidden() -> None:
    assert_log_union(HIDDEN, SPLITS["places of every level"], log_of(3), Random(3))


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_at_any_point(seed: int) -> None:
    """What was said since the last snapshot, of what changed, is lost and comes again."""
    rng, plan, log = Random(seed), compile_plan(RICH, SECRET), log_of(seed)
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
    assert_same(durable + since + pipeline.end(), said(one_after_another(RICH, log)))


@settings(deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_any_incidents_in_one_process(rng: Random) -> None:
    writer = CityWriter(rng)
    assert_one_process_stands(writer.city(), writer.log(), rng)


@settings(deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(list(SPLITS)), st.randoms(use_true_random=False))
def test_any_incidents_in_shards(split: str, rng: Random) -> None:
    writer = CityWriter(rng)
    assert_log_union(writer.city(), SPLITS[split], writer.log(), rng)


def test_a_log_that_ends_and_goes_on() -> None:
    """What is told between two ends of a log depends on neither chunks nor kills."""
    log, plan = log_of(4), compile_plan(RICH, SECRET)
    halves = [{lane: rows[: len(rows) // 2] for lane, rows in log.items()}, log]
    found = []
    for size in (3, 1000):
        pipeline, outputs, done = Pipeline(plan), list[Output](), dict.fromkeys(log, 0)
        for half in halves:
            for chunk in mixed(chunks_of(half, size), Random(size)):
                lane = chunk.lane.topic, chunk.lane.partition
                if chunk.offsets[-1] >= done[lane]:
                    outputs += pipeline.step(chunk)
                done[lane] = max(done[lane], chunk.offsets[-1] + 1)
            outputs += pipeline.end()
            tasks = all_kept({}, pipeline.freeze(whole=True))
            pipeline = Pipeline(plan)
            pipeline.load(tasks)
        assert any(output.topic == ALERT_LOG for output in outputs)
        found.append(outputs)
    assert_same(found[1], said(found[0]))
