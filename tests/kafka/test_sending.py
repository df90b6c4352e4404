"""Events into a real cluster by ``send``, and results read out of it."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from agents.commands.cli import app
from agents.outputs import ALERT_LOG, ALERTS, DEAD_LETTER, VITALS, VITALS_LOG
from streams.event_logs import head, read_lines
from streams.kafka.reading import Reader, Row
from streams.kafka.sending import Sender
from streams.kafka.topics import AwayError, TopicAdmin
from streams.log_store import LogStore
from streams.partitioning import partition_of
from tests.commands.console import SCRIPT, TIMEOUT_S, Ended
from tests.kafka.broker import Broker

SENSOR = "city.sensor.v1"
TRAFFIC = "city.traffic.v1"
START_MS = 1_772_402_400_000


def run(*arguments: object) -> Ended:
    """The command in this process."""
    ended = CliRunner().invoke(app, [*map(str, arguments)])
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


def reading(number: int, **fields: object) -> bytes:
    event = {"device": f"aq-{number}", "metric": "rain", "value": 0.2, "unit": "mm"}
    return json.dumps(event | {"t": START_MS + number, "place": "440103"} | fields).encode()


def rows(broker: Broker, topic: str) -> list[Row]:
    with Reader(broker.client()) as reader:
        return list(reader.every(topic))


@pytest.fixture
def config(broker: Broker, prefix: str, tmp_path: Path) -> Path:
    """A configuration whose topics are there."""
    file = tmp_path / "kafka.yaml"
    file.write_text(f"kafka: {{broker: '{broker.url}', prefix: '{prefix}'}}\n", "utf-8")
    made = run("topics", "create", "--config", file)
    assert made.code == 0, made.err
    return file


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Event logs of a small city; the hour has alerts."""
    folder = tmp_path_factory.mktemp("logs") / "small"
    assert run("generate", folder, "--minutes", 30, "--scale", 0.1).code == 0
    return folder


@pytest.mark.kafka
def test_a_folder_of_logs_goes_where_kafkas_clients_put_it(
    config: Path, broker: Broker, prefix: str, logs: Path
) -> None:
    before = time.time_ns() // 1_000_000
    sent = run("send", logs, "--config", config, "--json")
    assert sent.code == 0, sent.err
    topics = sent.lines[0]["topics"]
    assert set(topics) == {path.name.removesuffix(".ndjson") for path in logs.glob("*.ndjson")}
    for topic, count in topics.items():
        found = rows(broker, prefix + topic)
        lines = list(read_lines(logs / f"{topic}.ndjson"))
        assert len(found) == len(lines) == count
        assert sorted(row.value or b"" for row in found) == sorted(lines)
        for row in found:
            assert row.key == head(row.value or b"").key
            assert row.partition == partition_of(row.key, 4)
            assert row.timestamp >= before
    assert run("topics", "verify", "--config", config).code == 0


@pytest.mark.kafka
def test_each_lane_has_its_events_in_the_order_of_the_file(
    config: Path, broker: Broker, prefix: str, tmp_path: Path
) -> None:
    lines = [reading(number % 50, seq=number) for number in range(20_000)]
    file = tmp_path / f"{SENSOR}.ndjson"
    file.write_bytes(b"\n".join(lines))
    assert run("send", file, "--config", config).out == f"{SENSOR}: 20,000 lines\n"
    found = rows(broker, prefix + SENSOR)
    for partition in range(4):
        expected = [x for x in lines if partition_of(head(x).key, 4) == partition]
        assert [row.value for row in found if row.partition == partition] == expected


@pytest.mark.kafka
def test_recorded_events_keep_their_times(
    config: Path, broker: Broker, prefix: str, tmp_path: Path
) -> None:
    hour_ago = time.time_ns() // 1_000_000 - 3_600_000
    lines = [reading(1, t=hour_ago), reading(2, t=0, t_ingest=hour_ago + 9), b"no JSON"]
    file = tmp_path / f"{SENSOR}.ndjson"
    file.write_bytes(b"\n".join(lines))
    assert run("send", file, "--recorded", "--config", config).code == 0
    times = {row.value: row.timestamp for row in rows(broker, prefix + SENSOR)}
    assert times == dict(zip(lines, (hour_ago, hour_ago + 9, hour_ago + 9), strict=True))


@pytest.mark.kafka
def test_recorded_events_that_kafka_would_not_keep(
    config: Path, broker: Broker, prefix: str, tmp_path: Path
) -> None:
    file = tmp_path / f"{SENSOR}.ndjson"
    file.write_bytes(reading(1, t=1_400_000_000_000))
    old = run("send", file, "--recorded", "--config", config)
    assert (old.code, old.out) == (2, "")
    assert "deletes what is older than 3 days" in old.err
    TopicAdmin(broker.client()).alter(
        {prefix + SENSOR: {"message.timestamp.type": "LogAppendTime"}}
    )
    stamped = run("send", file, "--recorded", "--config", config)
    assert stamped.code == 2
    assert "stamps records itself" in stamped.err
    assert rows(broker, prefix + SENSOR) == []


@pytest.mark.kafka
def test_lines_that_come_in_are_sent(config: Path, broker: Broker, prefix: str) -> None:
    """Through the real script: standard input is that of the process."""
    command = [SCRIPT, "send", "-", "--topic", SENSOR, "--config", config]
    lines = [reading(number) for number in range(3)]
    sent = subprocess.run(
        command, input=b"\n\n".join(lines), capture_output=True, timeout=TIMEOUT_S, check=False
    )
    assert (sent.returncode, sent.stdout) == (0, f"{SENSOR}: 3 lines\n".encode())
    assert sorted(row.value or b"" for row in rows(broker, prefix + SENSOR)) == lines


@pytest.mark.kafka
def test_what_did_not_arrive_is_counted(config: Path, tmp_path: Path) -> None:
    file = tmp_path / f"{SENSOR}.ndjson"
    file.write_bytes(reading(1) + b"\n" + reading(2, note="x" * 2_000_000) + b"\n" + reading(3))
    sent = run("send", file, "--config", config)
    assert (sent.code, sent.out) == (1, "")
    assert "1 of 3 events did not arrive" in sent.err
    assert "too large" in sent.err


@pytest.mark.kafka
def test_where_events_can_not_go(config: Path, broker: Broker, prefix: str, tmp_path: Path) -> None:
    file = tmp_path / f"{SENSOR}.7.ndjson"
    file.write_bytes(reading(1))
    none = run("send", file, "--config", config)
    assert none.code == 2
    assert "has 4 partitions, none is 7" in none.err
    other = run("send", file, "--topic", "city.sensr.v1", "--config", config)
    assert other.code == 2
    assert SENSOR in other.err
    bare = tmp_path / "bare.yaml"
    bare.write_text(f"kafka: {{broker: '{broker.url}', prefix: '{prefix}bare.'}}\n", "utf-8")
    missing = run("send", file, "--topic", SENSOR, "--config", bare)
    assert missing.code == 3
    assert "cityvitals topics create" in missing.err
    unread = run("vitals", "--config", bare)
    assert unread.code == 3
    assert f"{prefix}bare.{VITALS}" in unread.err


@pytest.mark.kafka
def test_a_broker_that_goes_away_ends_it(own_broker: Broker, prefix: str) -> None:
    admin = TopicAdmin(own_broker.client())
    assert admin.brokers() == 1
    sender = Sender(own_broker.client() | {"message.timeout.ms": "2000"})
    sender.send(prefix + "never-made", 0, b"key", b"value", 0)
    own_broker.kill()
    sender.finish()
    assert (sender.sent, sender.failed) == (1, 1)
    assert isinstance(sender.reason, AwayError)


def copied(broker: Broker, prefix: str, folder: Path) -> None:
    """What an embedded engine said, sent to the topics of a cluster as workers would."""
    log = LogStore(folder)
    producer = Producer(broker.client() | {"partitioner": "murmur2_random"})
    try:
        for topic in (VITALS_LOG, ALERT_LOG, DEAD_LETTER):
            for record in log.every_record(topic):
                producer.produce(prefix + topic, record.value, record.key)
        for topic in (VITALS, ALERTS):
            for latest in sorted(log.latest(topic), key=lambda latest: latest.offset):
                # A repeat after a crash is the same record again.
                for _ in range(2):
                    producer.produce(prefix + topic, latest.value, latest.key)
        for letter in log.every_record(DEAD_LETTER):
            producer.produce(prefix + DEAD_LETTER, letter.value, letter.key)
        producer.produce(prefix + VITALS, None, b"deleted|city|4401")
    finally:
        log.close()
    assert producer.flush(30) == 0


@pytest.mark.kafka
def test_results_read_as_from_a_folder(
    config: Path, broker: Broker, prefix: str, logs: Path, tmp_path: Path
) -> None:
    refused = tmp_path / f"{SENSOR}.ndjson"
    refused.write_bytes((logs / refused.name).read_bytes() + reading(7, value="wet") + b"\n")
    others = [path for path in logs.glob("*.ndjson") if path.name != refused.name]
    data = tmp_path / "data"
    replay = [SCRIPT, "replay", refused, *others, "--data", data]
    subprocess.run(replay, check=True, capture_output=True, timeout=TIMEOUT_S)
    copied(broker, prefix, data)
    for command in (
        ("vitals",),
        ("vitals", "--all", "--json"),
        ("vitals", "traffic.tpi", "--level", "street"),
        ("alerts", "--all"),
        ("alerts", "--all", "--json"),
        ("deadletter", "list"),
        ("deadletter", "list", "--json"),
    ):
        here, there = run(*command, "--data", data), run(*command, "--config", config)
        assert here.code == there.code == 0
        assert here.out == there.out
    assert run("vitals", "--config", config).out.count("\n") > 10
    assert run("vitals", "trafic.tpi", "--config", config).code == 2


@pytest.mark.kafka
def test_a_refused_record_and_its_letter(
    config: Path, broker: Broker, prefix: str, tmp_path: Path
) -> None:
    wet, call = reading(7, value="wet"), b'{"kind":"call","text":"call me"}'
    for name, line in ((SENSOR, wet), ("city.hotline.v1", call)):
        (tmp_path / f"{name}.0.ndjson").write_bytes(line)
        assert run("send", tmp_path / f"{name}.0.ndjson", "--config", config).code == 0
    producer = Producer(broker.client())
    for topic in (SENSOR, "city.hotline.v1"):
        letter = {"topic": topic, "partition": 0, "offset": 0, "timestamp": START_MS}
        letter |= {"reason": "bad_value", "where": "value", "hint": "-", "size": 9, "attempt": 1}
        value = json.dumps(letter).encode()
        producer.produce(prefix + DEAD_LETTER, value, f"{topic}/0/0".encode())
    assert producer.flush(30) == 0

    shown = run("deadletter", "show", f"{SENSOR}/0/0", "--config", config, "--json").lines[0]
    assert shown["record"] == wet.decode()
    personal = run("deadletter", "show", "city.hotline.v1/0/0", "--config", config)
    assert "not shown" in personal.out
    assert "call me" not in personal.out
    assert run("deadletter", "show", f"{SENSOR}/0/9", "--config", config).code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("vitals",),
        ("alerts",),
        ("deadletter", "list"),
        ("deadletter", "show", "a/0/0"),
        ("send", "-"),
    ],
)
def test_a_folder_and_a_kafka_are_too_much(command: tuple[str, ...], tmp_path: Path) -> None:
    both = run(*command, "--data", tmp_path, "--config", tmp_path / "kafka.yaml")
    assert (both.code, both.out) == (2, "")
    assert "leave one of them out" in both.err


def test_a_folder_has_a_time_of_its_own(tmp_path: Path) -> None:
    ended = run("send", "-", "--recorded", "--data", tmp_path)
    assert ended.code == 2
    assert "--recorded goes with --config" in ended.err
