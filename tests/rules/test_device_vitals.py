"""Signs that lanes finish by themselves: many devices a record, and the same as one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import msgspec
import pytest

from agents.outputs import DEVICE_VITALS, VITALS_LOG
from agents.plan import compile_plan
from schemas.configuration import Configuration
from schemas.device_vital import DeviceResults
from streams.records import Output
from tests.rules.configurations import configuration, levels, sensor, topic, window
from tests.rules.lanes import LaneName, Record
from tests.rules.logs import Writer, chunks_of, replay, results_of

Log = Mapping[LaneName, Sequence[Record]]
START = 1_772_402_400_000
FIELDS = {"window": window(120, 60), "levels": levels("gt", blue=5), "alert": {}}


def configured(**changes: object) -> Configuration:
    fields = {**FIELDS, "keys": ["device", "street", "city"], "rollup": "merge", **changes}
    sign = sensor("own.mean", "mm", "rain", "device", aggregate={"function": "mean"}, **fields)
    return configuration([sign], [topic("sensor", 2, 300)])


@pytest.fixture(scope="module")
def log() -> Log:
    writer = Writer(Random(5), START, 12_000, 300_000)
    return writer.write(configured(), 600)


def test_devices_stand_in_their_own_topic_and_places_in_the_common_one(log: Log) -> None:
    pipeline, outputs = replay(configured(), chunks_of(log))
    decode = msgspec.json.Decoder(DeviceResults, strict=True).decode
    records = [decode(o.value) for o in outputs if o.topic == DEVICE_VITALS]
    assert {record.lane for record in records} == {"sensor/0", "sensor/1"}
    assert {record.rev for record in records} == {0, 1}
    levels_told = {name[1] for name in results_of(outputs)}
    assert levels_told == {"device", "street", "city"}
    logged = [o for o in outputs if o.topic == VITALS_LOG]
    assert sum(len(record.key) for record in records) + len(logged) == pipeline.results


def test_places_say_the_same_with_and_without_the_devices(log: Log) -> None:
    """Merged in the lane or in the shard: rule R3."""
    both, alone = (
        results_of(replay(configured(keys=keys), chunks_of(log))[1])
        for keys in (["device", "street", "city"], ["street", "city"])
    )
    for found in (both, alone):
        for result in found.values():
            result.pop("config")
    assert {name: r for name, r in both.items() if name[1] != "device"} == alone


def test_a_device_says_the_same_finished_in_the_lane_or_in_the_shard(log: Log) -> None:
    """A roll-up over the devices' values takes them to the shard; they are then told one by one."""
    own, shared = (
        results_of(replay(configured(rollup=rollup), chunks_of(log))[1])
        for rollup in ("merge", "max")
    )
    found = [
        {
            name: (r["value"], r["n"], r["coverage"], r["level"], r["reason"], r["place"])
            for name, r in results.items()
            if name[1] == "device"
        }
        for results in (own, shared)
    ]
    # Where the log ends each lane says what it knows, the shard until the last of them.
    common = found[0].keys() & found[1].keys()
    assert len(common) > 0.9 * len(found[1])
    assert {name: found[0][name] for name in common} == {name: found[1][name] for name in common}


def told(outputs: list[Output]) -> list[tuple[bytes, bytes]]:
    return [(dict(o.headers)["ce_id"], o.value) for o in outputs if o.topic == DEVICE_VITALS]


@pytest.mark.parametrize("size", [1, 7, 900])
def test_the_records_do_not_depend_on_how_the_log_is_cut(log: Log, size: int) -> None:
    plan = compile_plan(configured())
    whole = sorted(told(replay(plan, chunks_of(log))[1]))
    assert whole
    assert sorted(told(replay(plan, chunks_of(log, size))[1])) == whole
