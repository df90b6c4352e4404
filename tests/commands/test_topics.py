"""``topics`` against a real cluster: shown, made, verified, never made smaller."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from agents.commands.exits import BAD, ENVIRONMENT, Fault
from agents.commands.kafka_options import plan_of
from agents.commands.topics import require_topics
from agents.outputs import SNAPSHOTS, TICKS, VITALS_LOG
from streams.kafka.topics import TopicAdmin
from streams.partitioning import partition_of
from tests.commands.console import Cli, here
from tests.kafka.broker import Broker

NOWHERE = "kafka://127.0.0.1:1"
SENSOR = "city.sensor.v1"
CATALOGUE = Path(__file__).parents[2] / "schemas" / "catalogue"


@pytest.fixture
def config(broker: Broker, prefix: str, tmp_path: Path) -> Path:
    file = tmp_path / "kafka.yaml"
    file.write_text(f"kafka: {{broker: '{broker.url}', prefix: '{prefix}'}}\n", "utf-8")
    return file


def grown(folder: Path, config: Path, entry: str) -> Path:
    """The same with an entry for the sensors' topic, which takes a catalogue of its own."""
    folder.mkdir()
    for file in CATALOGUE.glob("*.yaml"):
        text = file.read_text("utf-8").replace(
            "kind: sensor, allowed_lateness_s: 300", f"kind: sensor, allowed_lateness_s: 300{entry}"
        )
        (folder / file.name).write_text(text, "utf-8")
    (folder / "kafka.yaml").write_bytes(config.read_bytes())
    return folder


def sent(broker: Broker, topic: str, records: Iterable[tuple[bytes | None, bytes, int]]) -> None:
    producer = Producer(broker.client())
    for key, value, partition in records:
        producer.produce(topic, value, key, partition=partition)
    assert producer.flush(30) == 0


def reading(device: str) -> bytes:
    return f'{{"device":"{device}","caller":"13800000000"}}'.encode()


@pytest.mark.kafka
def test_made_once_and_found_to_be_right(config: Path, prefix: str, cli: Cli) -> None:
    before = cli("topics", "verify", "--config", config)
    assert before.code == 1
    assert f"✗ {prefix}{SENSOR} is missing" in before.out
    assert f"cityvitals topics create --config {config}" in before.out
    with pytest.raises(Fault, match="is missing") as refused:
        require_topics(plan_of(config), config)
    assert refused.value.code == BAD

    made = cli("topics", "create", "--config", config, "--json").lines[0]
    assert prefix + SENSOR in made["created"]
    assert made["findings"] == []
    require_topics(plan_of(config), config)
    again = cli("topics", "create", "--config", config)
    assert (again.code, again.out) == (0, "nothing to make: every topic is there\n")
    after = cli("topics", "verify", "--config", config)
    assert (after.code, after.out[:1]) == (0, "✓")


@pytest.mark.kafka
def test_shown_with_and_without_saying_so(config: Path, prefix: str) -> None:
    empty = here("topics", "--config", config)
    assert empty.code == 0
    assert "缺 missing" in empty.out
    assert "topics verify" in empty.err
    here("topics", "create", "--config", config)
    shown = here("topics", "show", "--config", config)
    assert shown.out == here("topics", "--config", config).out
    assert "✗" not in shown.out
    assert f"{prefix}{SNAPSHOTS}" in shown.out
    told = {
        topic["name"]: topic
        for topic in here("topics", "--config", config, "--json").lines[0]["topics"]
    }
    assert {topic["state"] for topic in told.values()} == {"ok"}
    sensor = told[prefix + SENSOR]
    assert sensor["found"]["partitions"] == sensor["wanted"]["partitions"] == 4
    assert set(sensor["purpose"]) == {"zh", "en"}


@pytest.mark.kafka
def test_only_fix_alters_what_is_there(config: Path, broker: Broker, prefix: str) -> None:
    here("topics", "create", "--config", config)
    admin, ticks, log = TopicAdmin(broker.client()), prefix + TICKS, prefix + VITALS_LOG
    wrong = {"retention.ms": "1000"}, {"message.timestamp.type": "CreateTime"}
    admin.alter({ticks: wrong[0], log: wrong[1]})
    # A broker under load takes a moment until it says what it was told.
    for _ in range(100):
        verified = here("topics", "verify", "--config", config, "--json").lines[0]
        if len(verified["findings"]) == 2:
            break
        time.sleep(0.1)
    assert [f["topic"] for f in verified["findings"]] == [ticks, log]
    left = here("topics", "create", "--config", config)
    assert left.code == 1
    assert f"✗ {ticks} retention.ms is 1000" in left.err
    assert f"! {log} message.timestamp.type" in left.err

    fixed = here("topics", "create", "--fix", "--config", config)
    assert fixed.code == 0
    assert f"{ticks} retention.ms is 259200000 now" in fixed.out
    assert here("topics", "verify", "--config", config).code == 0


@pytest.mark.kafka
def test_partitions_are_added_where_the_configuration_says_so(
    config: Path, broker: Broker, prefix: str, tmp_path: Path
) -> None:
    here("topics", "create", "--config", config)
    name = prefix + SENSOR
    since = 'since: "2026-12-01T00:00:00+08:00"'
    more = grown(tmp_path / "more", config, f", grown: [{{partitions: 6, {since}}}]")
    assert "has 4 partitions, not 6" in here("topics", "verify", "--config", more).out
    added = here("topics", "create", "--config", more)
    assert (added.code, added.out) == (0, f"{name} has 6 partitions now\n")
    assert here("topics", "verify", "--config", more).code == 0
    # Back with the old configuration nothing is taken away: it is told what to write.
    old = here("topics", "create", "--config", config)
    assert old.code == 1
    assert "{partitions: 6, since: TIME}" in old.err
    assert TopicAdmin(broker.client()).describe([name])[name].partitions == 6


@pytest.mark.kafka
def test_keys_that_could_be_in_two_lanes(config: Path, broker: Broker, prefix: str) -> None:
    here("topics", "create", "--config", config)
    devices = [f"aq-{number}" for number in range(20)]
    right = [(d.encode(), reading(d), partition_of(d.encode(), 4)) for d in devices]
    sent(broker, prefix + SENSOR, [*right, (b"other", b"no JSON", partition_of(b"other", 4))])
    good = here("topics", "verify", "--config", config, "--json")
    assert (good.code, good.lines[0]["sampled"][prefix + SENSOR]) == (0, 21)

    place = (partition_of(b"aq-1", 4) + 1) % 4
    sent(broker, prefix + SENSOR, [(b"aq-1", reading("aq-1"), place), (None, reading("aq-2"), 0)])
    found = here("topics", "verify", "--config", config)
    assert found.code == 1
    unlike, elsewhere = [line for line in found.out.splitlines() if line.startswith("!")]
    assert f"1 of 23 events ({prefix}{SENSOR}/0/" in unlike
    assert "another key than their device" in unlike
    assert f"1 of 23 events ({prefix}{SENSOR}/{place}/" in elsewhere
    assert "murmur2" in elsewhere
    assert "13800000000" not in found.out + found.err
    assert "aq-1" not in found.out + found.err
    assert here("topics", "verify", "--config", config, "--sample", "0").code == 0
    few = here("topics", "verify", "--config", config, "--sample", "8", "--json").lines[0]
    assert 0 < few["sampled"][prefix + SENSOR] <= 8


@pytest.mark.kafka
def test_older_events_lie_where_fewer_partitions_were(
    config: Path, broker: Broker, prefix: str, tmp_path: Path
) -> None:
    here("topics", "create", "--config", config)
    devices = [f"aq-{number}" for number in range(20)]
    records = [(d.encode(), reading(d), partition_of(d.encode(), 4)) for d in devices]
    sent(broker, prefix + SENSOR, records)
    since = 'since: "2026-12-01T00:00:00+08:00"'
    more = grown(tmp_path / "more", config, f", grown: [{{partitions: 7, {since}}}]")
    here("topics", "create", "--config", more)
    records = [(d.encode(), reading(d), partition_of(d.encode(), 7)) for d in devices]
    sent(broker, prefix + SENSOR, records)
    assert here("topics", "verify", "--config", more).code == 0


def test_a_broker_that_is_away(impatient: Cli) -> None:
    ended = impatient("topics", env={"CITYVITALS__KAFKA__BROKER": NOWHERE})
    assert (ended.code, ended.out) == (3, "")
    assert "no Kafka answers at 127.0.0.1:1" in ended.err


@pytest.mark.usefixtures("impatient")
def test_a_worker_does_not_start_without_its_broker(tmp_path: Path) -> None:
    config = tmp_path / "kafka.yaml"
    config.write_text(f"kafka: {{broker: '{NOWHERE}'}}\n", "utf-8")
    with pytest.raises(Fault, match="no Kafka answers") as away:
        require_topics(plan_of(config))
    assert away.value.code == ENVIRONMENT


def test_a_password_file_that_is_not_there(tmp_path: Path) -> None:
    config = tmp_path / "kafka.yaml"
    config.write_text(
        "kafka:\n  security: {protocol: SASL_PLAINTEXT, username: ops, password_file: none}\n",
        "utf-8",
    )
    ended = here("topics", "--config", config)
    assert ended.code == 2
    assert "kafka.security.password_file" in ended.err
