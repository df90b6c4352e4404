"""The broker that other tests lean on: it comes up, keeps what it has, and leaves nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.kafka.broker import Broker
from tests.kafka.broker_process import AlreadyRunningError
from tests.kafka.broker_setup import MECHANISMS, Mechanism

ROOT = Path(__file__).parent.parent.parent
RECORDS = [(b"k%d" % (n % 7), b"%d" % n) for n in range(100)]
COMPACTED_SOON = {
    "cleanup.policy": "compact",
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "1000",
    "delete.retention.ms": "1000",
}
PAST_MS = 1_400_000_000_000
PATIENCE_S = 30.0

Settings = dict[str, Any]


def create(client: Settings, topic: str, **config: str) -> None:
    admin = AdminClient(client)
    admin.create_topics([NewTopic(topic, 1, config=config)])[topic].result(PATIENCE_S)


def produce(
    client: Settings, topic: str, records: Iterable[tuple[bytes, bytes]], timestamp: int = 0
) -> None:
    producer = Producer(client)
    for key, value in records:
        producer.produce(topic, value, key, timestamp=timestamp)
    assert producer.flush(PATIENCE_S) == 0


def read(client: Settings, topic: str) -> list[Message]:
    """All that a topic of one partition has."""
    told_at_once = {"enable.partition.eof": "true", "fetch.wait.max.ms": "10"}
    consumer = Consumer({**client, "group.id": f"{topic}.reader", **told_at_once})
    consumer.assign([TopicPartition(topic, 0, 0)])
    return list(until_the_end(consumer))


def until_the_end(consumer: Consumer) -> Iterator[Message]:
    try:
        while (message := consumer.poll(PATIENCE_S)) is not None:
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                return
            else:
                raise KafkaException(error)
        pytest.fail("nothing came, not even the end")
    finally:
        consumer.close()


def pairs(messages: Iterable[Message]) -> list[tuple[str | bytes | None, str | bytes | None]]:
    return [(message.key(), message.value()) for message in messages]


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s"
        time.sleep(0.05)


def refusal(client: Settings) -> str:
    """Name of the first error that a client meets; a connection that a busy broker lets fall, and
    the client makes again, is none."""
    met: list[str] = []
    settings: Settings = {
        **client, "error_cb": lambda error: met.append(error.name()), "log_level": 0
    }  # fmt: skip
    admin = AdminClient(settings)

    def refused() -> bool:
        admin.poll(0.05)
        return not {"_TRANSPORT", "_ALL_BROKERS_DOWN"}.issuperset(met)

    eventually(refused)
    return next(name for name in met if name not in ("_TRANSPORT", "_ALL_BROKERS_DOWN"))


def command(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.kafka", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.kafka
def test_a_group_reads_what_was_written(broker: Broker, prefix: str) -> None:
    topic = prefix + "events"
    create(broker.client(), topic)
    produce(broker.client(), topic, RECORDS)
    group = {"group.id": prefix + "readers", "session.timeout.ms": "6000"}
    start = {"auto.offset.reset": "earliest", "enable.partition.eof": "true"}
    consumer = Consumer({**broker.client(), **group, **start})
    consumer.subscribe([topic])
    assert pairs(until_the_end(consumer)) == RECORDS


@pytest.mark.kafka
def test_topics_are_not_made_by_using_them(broker: Broker, prefix: str) -> None:
    topic = prefix + "unheard-of"
    admin = AdminClient(broker.client())
    for _ in range(2):
        error = admin.list_topics(topic, timeout=PATIENCE_S).topics[topic].error
        assert error is not None
        assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


@pytest.mark.kafka
def test_data_and_ports_outlast_a_crash(own_broker: Broker, prefix: str) -> None:
    topic, address = prefix + "events", own_broker.address
    create(own_broker.client(), topic)
    produce(own_broker.client(), topic, RECORDS[:50])
    own_broker.kill()
    assert not own_broker.running
    own_broker.start()
    assert own_broker.address == address
    produce(own_broker.client(), topic, RECORDS[50:])
    own_broker.restart()
    assert pairs(read(own_broker.client(), topic)) == RECORDS


@pytest.mark.kafka
def test_a_paused_broker_answers_when_it_is_resumed(secured: Broker) -> None:
    admin = AdminClient(secured.client())
    secured.pause()
    try:
        with pytest.raises(KafkaException):
            admin.list_topics(timeout=0.5)
        assert secured.running
    finally:
        secured.resume()
    assert admin.list_topics(timeout=PATIENCE_S).brokers


@pytest.mark.kafka
def test_a_folder_has_one_broker(broker: Broker) -> None:
    with pytest.raises(AlreadyRunningError, match="already runs"):
        Broker(broker.folder).start()
    with pytest.raises(ValueError, match="was made with security PLAINTEXT, not SSL"):
        Broker(broker.folder, security="SSL")
    assert broker.running


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_each_login_is_taken(secured: Broker, prefix: str, mechanism: Mechanism) -> None:
    client = secured.client(mechanism)
    assert client["security.protocol"] == "SASL_SSL"
    create(client, prefix + "events")
    produce(client, prefix + "events", RECORDS)
    assert pairs(read(client, prefix + "events")) == RECORDS


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_is_refused(secured: Broker, mechanism: Mechanism) -> None:
    assert refusal(secured.client(mechanism) | {"sasl.password": "guessed"}) == "_AUTHENTICATION"


@pytest.mark.kafka
def test_an_unknown_authority_is_refused(secured: Broker) -> None:
    unknown = secured.client()
    del unknown["ssl.ca.location"]
    assert refusal(unknown) == "_SSL"


@pytest.mark.kafka
def test_a_compacted_topic_is_compacted_soon(broker: Broker, prefix: str) -> None:
    topic, client = prefix + "latest", broker.client()
    soon = {"segment.ms": "1000", "max.compaction.lag.ms": "1000", "delete.retention.ms": "1000"}
    create(
        client, topic, **{"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"} | soon
    )
    produce(client, topic, RECORDS)
    newest = dict(RECORDS)

    def compacted() -> bool:
        # The segment that is written to is not compacted: a later record closes it.
        produce(client, topic, [(b"tick", b"")])
        found = pairs(message for message in read(client, topic) if message.key() != b"tick")
        assert dict(found) == newest
        return len(found) == len(newest)

    eventually(compacted)


@pytest.mark.kafka
def test_only_topics_that_say_so_forget(broker: Broker, prefix: str) -> None:
    client = broker.client()
    create(client, prefix + "kept")
    create(client, prefix + "forgotten", **{"retention.ms": "1000"})
    for topic in ("kept", "forgotten"):
        produce(client, prefix + topic, RECORDS, timestamp=PAST_MS)
    eventually(lambda: not read(client, prefix + "forgotten"))
    assert pairs(read(client, prefix + "kept")) == RECORDS


@pytest.mark.kafka
@pytest.mark.usefixtures("broker")
def test_no_broker_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "orphan"
    program = (
        "import pathlib, sys; from tests.kafka.broker import Broker;"
        "Broker(pathlib.Path(sys.argv[1])).start(); print('started', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, folder],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        started = parent.stdout.readline()
        running = Broker(folder).running
        parent.kill()
    assert started == b"started\n"
    assert running
    eventually(lambda: not Broker(folder).running)


@pytest.mark.kafka
@pytest.mark.usefixtures("broker")
def test_one_started_by_command_goes_on_until_it_is_stopped(tmp_path: Path) -> None:
    folder = ("--folder", tmp_path / "kafka")
    first = command("start", *folder, "--security", "SASL_PLAINTEXT")
    try:
        assert first.returncode == 0, first.stderr
        broker = Broker(tmp_path / "kafka")
        assert broker.password in first.stderr
        assert AdminClient(broker.client("PLAIN")).list_topics(timeout=PATIENCE_S).brokers
        again = command("start", *folder)
        assert "already runs" in again.stderr
        status = command("status", *folder)
        assert first.stdout == again.stdout == status.stdout == f"{broker.url}\n"
    finally:
        stopped = command("stop", *folder)
    assert stopped.returncode == 0, stopped.stderr
    assert command("status", *folder).returncode == 1
    assert command("stop", *folder).stderr.startswith("no broker")


@pytest.mark.kafka
@pytest.mark.usefixtures("broker")
def test_processes_that_fetch_at_once_fetch_once(tmp_path: Path) -> None:
    environment = {**os.environ, "CITYVITALS_CACHE": str(tmp_path)}
    fetch = [sys.executable, "-m", "tests.kafka", "fetch"]
    both = [
        subprocess.Popen(
            fetch, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    ended = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    (folder,) = {Path(out.decode().strip()) for out, _ in ended}
    assert sorted(b"fetching" in said for _, said in ended) == [False, True]
    assert any(jar.name.startswith("kafka-clients") for jar in folder.iterdir())


@pytest.mark.kafka
@pytest.mark.usefixtures("broker")
def test_a_fetch_that_fails_leaves_nothing_to_be_used(tmp_path: Path) -> None:
    nowhere = "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=1"
    options = f"-Dmaven.repo.local={tmp_path / 'repository'} {nowhere}"
    failed = command("fetch", CITYVITALS_CACHE=str(tmp_path / "cache"), MAVEN_OPTS=options)
    assert failed.returncode == 3
    assert "could not be fetched" in failed.stderr
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    ("java", "told"), [(None, "no `java`"), ('openjdk version "11.0.2"', "11.0.2")]
)
def test_a_machine_without_a_new_java_is_told_so(
    tmp_path: Path, java: str | None, told: str
) -> None:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    if java is not None:
        (bin_ / "java").write_text(f"#!{shutil.which('sh')}\necho '{java}' >&2\n", "utf-8")
        (bin_ / "java").chmod(0o755)
    ended = command("fetch", CITYVITALS_CACHE=str(tmp_path), JAVA_HOME=str(tmp_path))
    assert ended.returncode == 3
    assert "Java 17 or newer is missing" in ended.stderr
    assert told in ended.stderr
