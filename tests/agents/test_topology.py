"""The topics of the workers: what they should be, and what is said of those that are not."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from agents import outputs
from agents.plan import Plan, compile_plan
from agents.topic_checks import Finding, verify
from agents.topology import SNAPSHOT_PARTITIONS, TopicSpec, growing, missing, topics_of
from schemas.configuration import Growth, Shard
from schemas.loading import load
from streams.kafka.topics import FoundTopic

SINCE = "2026-12-01T00:00:00+08:00"
OURS = {
    outputs.ACCOUNTING,
    outputs.VITALS,
    outputs.VITALS_LOG,
    outputs.DEVICE_VITALS,
    outputs.ALERTS,
    outputs.ALERT_LOG,
    outputs.LATE,
    outputs.DEAD_LETTER,
    outputs.TICKS,
    outputs.PARTIALS,
    outputs.SNAPSHOTS,
    outputs.CONTROL,
}


@cache
def planned(kafka: str = "prefix: test.", shards: int = 0, grown: int | None = None) -> Plan:
    """Of the shipped catalogue; its topics have 4 partitions, that of the sensors also `grown`."""
    settings = (setting.split(": ") for setting in kafka.split(", "))
    environ = {f"CITYVITALS__KAFKA__{name.upper()}": value for name, value in settings}
    configuration = load(environ=environ)
    sensors, *others = configuration.topics
    if grown is not None:
        growth = Growth(partitions=grown, since=SINCE)
        sensors = sensors.model_copy(update={"grown": [growth]})
    places = [Shard(places=[f"44010{number}"]) for number in range(3, 3 + shards)]
    return compile_plan(
        configuration.model_copy(update={"topics": [sensors, *others], "shards": places})
    )


def as_wanted(plan: Plan) -> dict[str, FoundTopic]:
    return {
        spec.name: FoundTopic(spec.partitions, spec.replication, dict(spec.settings))
        for spec in topics_of(plan)
    }


def spec_of(plan: Plan, logical: str) -> TopicSpec:
    return next(spec for spec in topics_of(plan) if spec.logical == logical)


def altered(
    plan: Plan, logical: str, setting: str = "", value: str = "", partitions: int | None = None
) -> dict[str, FoundTopic]:
    """All as wanted but one topic."""
    found = as_wanted(plan)
    name = spec_of(plan, logical).name
    there = found[name]
    settings = {**there.settings, setting: value} if setting else there.settings
    count = partitions or there.partitions
    return {**found, name: FoundTopic(count, there.replication, settings)}


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_every_topic_that_is_used_is_there_once() -> None:
    plan = planned()
    specs = topics_of(plan)
    assert sorted(spec.logical for spec in specs) == sorted([*plan.topics, *OURS])
    assert all(spec.name == f"test.{spec.logical}" for spec in specs)
    assert all(spec.purpose.zh and spec.purpose.en for spec in specs)


def test_partitions_are_those_of_the_configuration() -> None:
    plan = planned(shards=2, grown=6)
    wanted = {spec.logical: spec.partitions for spec in topics_of(plan)}
    assert wanted["city.sensor.v1"] == 6
    assert wanted["city.traffic.v1"] == 4
    assert wanted[outputs.PARTIALS] == 3
    assert wanted[outputs.SNAPSHOTS] == SNAPSHOT_PARTITIONS
    assert wanted[outputs.TICKS] == 1


def test_what_is_kept_and_how_long() -> None:
    plan = planned("replication: 3, retention_s: 7200")
    settings = {spec.logical: spec.settings for spec in topics_of(plan)}
    for name in (*plan.topics, outputs.PARTIALS, outputs.TICKS, outputs.CONTROL):
        assert settings[name]["retention.ms"] == "7200000"
    compacted = {name for name, s in settings.items() if s["cleanup.policy"] == "compact"}
    assert compacted == {outputs.SNAPSHOTS, *outputs.COMPACTED}
    stamped = {n for n, s in settings.items() if s["message.timestamp.type"] == "CreateTime"}
    assert stamped == set(plan.topics)
    assert {s["min.insync.replicas"] for s in settings.values()} == {"2"}


@pytest.mark.parametrize("replication", [1, 2, 3])
def test_what_is_created_is_found_to_be_right(replication: int) -> None:
    plan = planned(f"replication: {replication}", shards=1, grown=8)
    found = {
        spec.name: FoundTopic(spec.partitions, spec.replication, spec.settings)
        for spec in missing(plan, {})
    }
    assert verify(plan, found) == []
    assert missing(plan, found) == []
    assert growing(plan, found) == {}


def test_a_missing_topic_names_the_command() -> None:
    plan = planned()
    found = as_wanted(plan)
    del found["test.city.ticks.v1"]
    finding = only(verify(plan, found, "city.yaml"))
    assert (finding.severity, finding.topic) == ("wrong", "test.city.ticks.v1")
    assert "cityvitals topics create --config city.yaml" in finding.mend
    assert [spec.name for spec in missing(plan, found)] == ["test.city.ticks.v1"]


@pytest.mark.parametrize(
    ("logical", "setting", "value", "severity"),
    [
        ("city.sensor.v1", "cleanup.policy", "compact", "wrong"),
        ("city.sensor.v1", "cleanup.policy", "compact,delete", "wrong"),
        ("city.sensor.v1", "retention.ms", "3600000", "wrong"),
        ("city.sensor.v1", "retention.bytes", "1000000", "warning"),
        ("city.sensor.v1", "message.timestamp.type", "LogAppendTime", "warning"),
        ("city.sensor.v1", "min.insync.replicas", "2", "wrong"),
        (outputs.TICKS, "retention.ms", "3600000", "wrong"),
        (outputs.TICKS, "message.timestamp.type", "CreateTime", "wrong"),
        (outputs.PARTIALS, "retention.ms", "3600000", "wrong"),
        (outputs.PARTIALS, "message.timestamp.type", "CreateTime", "wrong"),
        (outputs.PARTIALS, "max.message.bytes", "100000", "wrong"),
        (outputs.SNAPSHOTS, "cleanup.policy", "delete", "wrong"),
        (outputs.SNAPSHOTS, "cleanup.policy", "compact,delete", "wrong"),
        (outputs.SNAPSHOTS, "max.message.bytes", "100000", "wrong"),
        (outputs.VITALS, "cleanup.policy", "delete", "wrong"),
        (outputs.VITALS_LOG, "cleanup.policy", "compact", "wrong"),
        (outputs.VITALS_LOG, "message.timestamp.type", "CreateTime", "warning"),
    ],
)
def test_a_setting_that_is_wrong_and_what_mends_it(
    logical: str, setting: str, value: str, severity: str
) -> None:
    plan = planned()
    finding = only(verify(plan, altered(plan, logical, setting, value)))
    assert (finding.severity, finding.topic) == (severity, f"test.{logical}")
    assert finding.what.startswith(f"{setting} is {value}")
    wanted = spec_of(plan, logical).settings.get(setting)
    assert f"--entity-name test.{logical} --add-config {setting}={wanted}" in finding.mend
    assert "--bootstrap-server 127.0.0.1:9092 " in finding.mend
    mended = altered(plan, logical, setting, finding.settings[setting])
    assert verify(plan, mended) == []


@pytest.mark.parametrize(
    ("logical", "setting", "value"),
    [
        ("city.sensor.v1", "retention.ms", "604800000"),
        (outputs.PARTIALS, "retention.ms", "-1"),
        (outputs.TICKS, "retention.ms", "604800000"),
        (outputs.VITALS_LOG, "retention.ms", "3600000"),
        (outputs.VITALS_LOG, "retention.bytes", "1000000"),
        (outputs.VITALS, "cleanup.policy", "compact,delete"),
        (outputs.SNAPSHOTS, "segment.bytes", "1000000"),
    ],
)
def test_settings_that_are_for_the_operator_to_choose(
    logical: str, setting: str, value: str
) -> None:
    plan = planned()
    found = altered(plan, logical, setting, value)
    findings = [f for f in verify(plan, found) if f.topic == spec_of(plan, logical).name]
    assert findings == []


@pytest.mark.parametrize("kept", ["604800000", "-1"])
def test_ticks_are_kept_as_long_as_the_events_they_stand_between(kept: str) -> None:
    plan = planned()
    found = altered(plan, "city.traffic.v1", "retention.ms", kept)
    finding = only(verify(plan, found))
    assert (finding.severity, finding.topic) == ("warning", "test.city.ticks.v1")
    assert finding.settings == {"retention.ms": kept}
    del found["test.city.ticks.v1"]
    (spec,) = missing(plan, found)
    assert spec.settings["retention.ms"] == kept


def test_partitions_that_the_configuration_says_were_added() -> None:
    plan = planned(grown=8)
    found = altered(plan, "city.sensor.v1", partitions=4)
    finding = only(verify(plan, found))
    assert finding.what == "has 4 partitions, not 8"
    assert "cityvitals topics create" in finding.mend
    assert growing(plan, found) == {"test.city.sensor.v1": 8}


def test_fewer_partitions_than_there_ever_were() -> None:
    plan = planned(grown=8)
    found = altered(plan, "city.sensor.v1", partitions=2)
    finding = only(verify(plan, found))
    assert finding.severity == "wrong"
    assert "--alter --topic test.city.sensor.v1 --partitions 4" in finding.mend
    assert "`partitions: 2`" in finding.mend
    assert growing(plan, found) == {}


def test_partitions_that_nobody_reads() -> None:
    plan = planned()
    found = altered(plan, "city.sensor.v1", partitions=6)
    finding = only(verify(plan, found))
    assert finding.severity == "wrong"
    assert "nobody reads the others" in finding.what
    assert "{partitions: 6, since: TIME}" in finding.mend
    assert growing(plan, found) == {}


def test_one_partition_of_the_partials_for_each_shard() -> None:
    plan = planned(shards=2)
    fewer = altered(plan, outputs.PARTIALS, partitions=1)
    assert growing(plan, fewer) == {"test.city.partials.v1": 3}
    assert "cityvitals topics create" in only(verify(plan, fewer)).mend
    more = altered(plan, outputs.PARTIALS, partitions=5)
    assert growing(plan, more) == {}
    assert "as many shards" in only(verify(plan, more)).mend


@pytest.mark.parametrize(("logical", "count"), [(outputs.SNAPSHOTS, 4), (outputs.TICKS, 2)])
def test_partitions_that_never_change(logical: str, count: int) -> None:
    plan = planned()
    found = altered(plan, logical, partitions=count)
    finding = only(verify(plan, found))
    assert finding.severity == "wrong"
    assert "test.city.snapshots.v1" in finding.mend
    assert growing(plan, found) == {}


def test_outputs_may_have_as_many_partitions_as_one_likes() -> None:
    plan = planned()
    assert verify(plan, altered(plan, outputs.VITALS_LOG, partitions=6)) == []


def test_fewer_copies_than_configured_is_a_warning() -> None:
    plan = planned("replication: 3")
    found = {
        name: there._replace(replication=2, settings={**there.settings, "min.insync.replicas": "1"})
        for name, there in as_wanted(plan).items()
    }
    findings = verify(plan, found)
    assert {finding.severity for finding in findings} == {"warning"}
    assert len(findings) == len(found)
    assert all("`replication: 2`" in finding.mend for finding in findings)


def test_a_single_copy_does_not_count_as_written() -> None:
    plan = planned("replication: 3")
    finding = only(verify(plan, altered(plan, outputs.TICKS, "min.insync.replicas", "1")))
    assert finding.severity == "warning"
    assert finding.settings == {"min.insync.replicas": "2"}


def test_commands_of_a_secured_cluster_log_in(tmp_path: Path) -> None:
    file = tmp_path / "kafka.yaml"
    file.write_text(
        "kafka:\n  security: {protocol: SASL_SSL, username: ops, password: not-told}\n", "utf-8"
    )
    plan = compile_plan(load(file, environ={}))
    found = as_wanted(plan)
    name = outputs.SNAPSHOTS
    found[name] = found[name]._replace(settings={"cleanup.policy": "delete"})
    for finding in verify(plan, found):
        assert "--command-config client.properties" in finding.mend
        assert "not-told" not in repr(finding)
