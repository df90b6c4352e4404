"""The gateway on a Kafka: what workers send twice is there once, what can not be read is told."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from agents.gateway.kafka_feed import KafkaFeed
from agents.outputs import ACCOUNTING, ALERT_LOG, ALERTS, VITALS, VITALS_LOG
from schemas.kafka import Kafka
from streams.kafka.connection import client_settings
from streams.kafka.topics import ClusterError
from tests.gateway.running import events, gateway, until
from tests.kafka.broker import Broker
from tests.kafka.test_broker import create


@pytest.mark.kafka
def test_the_gateway_follows_a_kafka(broker: Broker, tmp_path: Path) -> None:
    prefix = "gw."
    for topic in (VITALS, ALERTS, ALERT_LOG, ACCOUNTING, VITALS_LOG):
        create(broker.client(), prefix + topic)
    producer = Producer({"bootstrap.servers": broker.address})

    def alert(number: int) -> None:
        value = orjson.dumps(
            {"alert_id": f"a{number}", "rule": "air.pm25_1h", "key_level": "district",
             "key": "440111", "place": "440111", "state": "raised", "level": 2,
             "max_level": 2, "t_raised": number, "t_update": number,
             "suppressed_by": None, "shelved_until": None, "acked": False, "kind": "threshold"}
        )  # fmt: skip
        headers = [("ce_id", f"a{number}/1".encode())]
        # A worker that starts again sends what it may have sent.
        for _ in range(2):
            producer.produce(prefix + ALERT_LOG, value, f"a{number}".encode(), headers=headers)
        producer.flush()

    alert(0)
    config = tmp_path / "kafka.yaml"
    config.write_text(f"kafka: {{broker: 'kafka://{broker.address}', prefix: {prefix}}}\n")
    arguments = ("--config", config, "--state", tmp_path / "state", "--port", 0)
    with (
        gateway(*arguments) as running,
        running.client() as client,
        client.stream("GET", "/stream", params={"what": "alerts"}) as answer,
    ):
        found = events(answer.iter_lines())
        assert next(found)[0] == "hello"
        for number in (1, 2, 3):
            alert(number)
        told = [until(found, "alert") for _ in range(3)]
        assert [one["alert_id"] for _, _, one in told] == ["a1", "a2", "a3"]
        # What comes twice has a number of its own, and is no gap.
        last = {"last-event-id": str(told[0][1])}
        with client.stream("GET", "/stream", params={"what": "alerts"}, headers=last) as again:
            resumed = events(again.iter_lines())
            assert next(resumed)[2]["resumed"]
            named = [next(resumed) for _ in range(2)]
        assert [(name, one["alert_id"]) for name, _, one in named] == [
            ("alert", "a2"),
            ("alert", "a3"),
        ]
        standing = client.get("/alerts").json()["items"]
        assert [one["alert_id"] for one in standing] == ["a3", "a2", "a1", "a0"]


@pytest.mark.kafka
def test_alerts_that_stand_are_known_however_long_ago_they_were_told(
    broker: Broker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.gateway.kafka_feed.KEPT", 1)
    for topic in (VITALS, ALERTS, ALERT_LOG, ACCOUNTING):
        create(broker.client(), prefix + topic)
    producer = Producer({"bootstrap.servers": broker.address})
    # A worker that starts again sends what it may have sent: the newest counts.
    for name in ("a/1", "b/1", "b/2", "b/1", "c/1"):
        for topic in (ALERTS, ALERT_LOG):
            key, headers = name[:1].encode(), [("ce_id", name.encode())]
            producer.produce(prefix + topic, name.encode(), key, headers=headers)
    producer.flush()
    feed = KafkaFeed({"bootstrap.servers": broker.address}, prefix, {})
    try:
        for _ in range(2):  # once more, after something else went wrong
            begun = feed.begin()
            assert begun.alerts == [b"a/1", b"b/2", b"c/1"]
            assert begun.next_number == 5
            assert begun.transitions == [(4, b"c/1")]
    finally:
        feed.close()


@pytest.mark.kafka
def test_transitions_of_a_kafka_are_read_from_the_log_once(broker: Broker) -> None:
    """A worker that starts again sends the last of its transitions once more."""
    prefix = "once."
    create(broker.client(), prefix + ALERT_LOG)
    producer = Producer({"bootstrap.servers": broker.address})
    names = ["a/1", "b/1", "a/2", "b/1", "a/2", "a/3", "c/1", "c/1"]
    for name in names:
        headers = [("ce_id", name.encode())]
        producer.produce(prefix + ALERT_LOG, name.encode(), b"k", headers=headers)
    producer.flush()
    feed = KafkaFeed({"bootstrap.servers": broker.address}, prefix, {})
    try:
        once = [(0, b"a/1"), (1, b"b/1"), (2, b"a/2"), (5, b"a/3"), (6, b"c/1")]
        assert feed.transitions(0, 100) == once
        assert feed.transitions(3, 100) == once[3:]
        assert feed.transitions(1, 2) == once[1:3]
        assert feed.transitions(7, 100) == []
        assert feed.first_transition() == 0
        assert feed.record(ALERT_LOG, 0, 5) == b"a/3"
        assert feed.record(ALERT_LOG, 0, 8) is None
    finally:
        feed.close()


@pytest.mark.kafka
def test_history_and_database_read_the_log_of_results_each_by_itself(broker: Broker) -> None:
    prefix = "both."
    create(broker.client(), prefix + VITALS_LOG)
    producer = Producer({"bootstrap.servers": broker.address})
    rows = [(number, b"result %d" % number) for number in range(6)]
    for _, value in rows:
        producer.produce(prefix + VITALS_LOG, value, b"k")
    producer.flush()
    feed = KafkaFeed({"bootstrap.servers": broker.address}, prefix, {})

    def read(reader: str, position: int, count: int) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        deadline = time.monotonic() + 60
        while len(found) < count and time.monotonic() < deadline:
            found += feed.results_log(found[-1][0] + 1 if found else position, reader)
        return found

    try:
        assert read("history", 0, 6) == rows
        # The database was away, and goes on where it was.
        assert read("copier", 2, 4) == rows[2:]
        producer.produce(prefix + VITALS_LOG, b"result 6", b"k")
        producer.flush()
        assert read("history", 6, 1) == read("copier", 6, 1) == [(6, b"result 6")]
    finally:
        feed.close()


@pytest.mark.kafka
def test_topics_that_are_missing_are_told(broker: Broker, prefix: str) -> None:
    told = rf"{prefix}city\.\S+ is missing: `cityvitals topics create`"
    feed = KafkaFeed({"bootstrap.servers": broker.address}, prefix, {"city.sensor.v1": 4})
    try:
        for read in (feed.begin, feed.ends, lambda: feed.results_log(0, "history")):
            with pytest.raises(ConnectionError, match=told):
                read()
    finally:
        feed.close()


def test_a_kafka_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.gateway.kafka_feed._PATIENCE_S", 0.5)
    feed = KafkaFeed(client_settings(Kafka(broker="kafka://127.0.0.1:1")), "", {})
    try:
        with pytest.raises(ConnectionError, match=r"no Kafka answers at 127\.0\.0\.1:1.*broker"):
            feed.begin()
    finally:
        feed.close()


def test_a_topic_of_which_nothing_comes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others that come without end are no reason to wait for ever."""
    monkeypatch.setattr("agents.gateway.kafka_feed._PATIENCE_S", 0.2)
    feed = KafkaFeed({"bootstrap.servers": "127.0.0.1:1"}, "", {})
    live, ended = feed._live, [ACCOUNTING, ALERT_LOG]

    def take(wait_s: float) -> list[Any]:
        live.ended |= set(ended)
        time.sleep(0.01)
        return [
            SimpleNamespace(
                topic=lambda: ACCOUNTING, value=lambda: b"{}", offset=lambda: 1, headers=list
            )
        ]

    monkeypatch.setattr(feed, "_standing", list)
    monkeypatch.setattr(live, "bounds", lambda topic: (0, 2))
    monkeypatch.setattr(live, "start", lambda offsets: None)
    monkeypatch.setattr(live, "take", take)
    try:
        with pytest.raises(ConnectionError, match=f"nothing comes of {VITALS}$"):
            feed.begin()
        ended.append(VITALS)
        assert feed.begin().next_number == 2
    finally:
        feed.close()


def test_workers_that_say_nothing_have_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], time_ns=lambda: 0)
    monkeypatch.setattr("agents.gateway.kafka_feed.time", clock)
    settings: dict[str, Any] = {"bootstrap.servers": "127.0.0.1:1"}
    feed, recorded = KafkaFeed(settings, "", {}), KafkaFeed(settings, "", {}, recorded=True)
    came = SimpleNamespace(topic=lambda: ACCOUNTING, value=lambda: b"{}", offset=lambda: 1)
    messages: list[Any] = []
    monkeypatch.setattr(feed._live, "take", lambda: messages)
    try:
        told = []
        for at, some in ((80, []), (100, []), (101, [came]), (190, []), (192, []), (193, [came])):
            now[0], messages[:] = at, some
            feed.poll()
            told.append(feed.engine())
        assert told == ["unknown", "stopped", "running", "running", "stopped", "running"]
        assert recorded.engine() == "unknown"
    finally:
        feed.close()
        recorded.close()


def test_what_comes_beside_a_fault_is_not_lost() -> None:
    def said(value: bytes, name: bytes = b"", fault: int | None = None) -> Any:
        return SimpleNamespace(
            error=lambda: None if fault is None else KafkaError(fault),
            topic=lambda: ALERT_LOG,
            value=lambda: value,
            offset=lambda: int(value),
            headers=lambda: [("ce_id", name)],
        )

    chunks = [
        [
            said(b"0"),
            said(b"", fault=KafkaError._TRANSPORT),
            said(b"", fault=KafkaError.TOPIC_AUTHORIZATION_FAILED),
            said(b"1", b"\xff/x"),
        ],
        [said(b"2", b"a/1")],
        [said(b"", fault=KafkaError.UNKNOWN_TOPIC_OR_PART)],
    ]
    feed = KafkaFeed({"bootstrap.servers": "127.0.0.1:1"}, "", {})
    try:
        consumer, fake = (
            feed._live.consumer,
            SimpleNamespace(consume=lambda *_, **__: chunks.pop(0)),
        )
        feed._live.consumer = cast(Consumer, fake)
        assert feed.poll().transitions == [(0, b"0"), (1, b"1")]
        with pytest.raises(ClusterError, match="authori"):
            feed.poll()
        assert feed.poll().transitions == [(2, b"2")]
        with pytest.raises(ClusterError):
            feed.poll()
        feed._live.consumer = consumer
    finally:
        feed.close()
