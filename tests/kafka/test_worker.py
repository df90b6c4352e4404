"""Workers as people run them: with a login, on topics that forget, on a broker that hangs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from agents.outputs import ALERT_LOG, DEAD_LETTER, LOST
from streams.kafka.connection import client_settings
from streams.records import Lane
from tests.faults.kafka_faults import Site, check
from tests.faults.kafka_log import Feed, configuration
from tests.kafka import checker
from tests.kafka.broker import Broker

pytestmark = pytest.mark.kafka
RATE = 400.0


@contextmanager
def site_on(broker: Broker, folder: Path, prefix: str, **kafka: Any) -> Iterator[Site]:
    settings = {
        "broker": broker.url,
        "prefix": prefix,
        "checkpoint_s": 0.3,
        "session_timeout_s": 6.0,
        "retention_s": 31_622_400.0,
        **kafka,
    }
    more = settings.pop("more", {})
    site = Site(broker, folder, configuration(settings, **more))
    try:
        site.create_topics()
        yield site
    finally:
        site.close()


def fed(site: Site, seed: int, seconds: float) -> Feed:
    """Some seconds of events."""
    feed = Feed(site.settings, site.plan, seed, RATE)
    feed.start()
    await_true(lambda: feed.sent > seconds * RATE)
    feed.stop()
    return feed


def await_true(done: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def errors(site: Site, name: str) -> str:
    return (site.folder / f"{name}.err").read_text("utf-8")


def alerts_of(site: Site, rule: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def take(message: Any) -> None:
        alert = orjson.loads(message.value())
        if alert["rule"] == rule:
            found.append(alert)

    checker.read_all(site.settings, site.configuration.kafka.prefix + ALERT_LOG, take)
    return found


def test_workers_log_in_over_tls(secured: Broker, tmp_path: Path, prefix: str) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{secured.password}\n", "utf-8")
    secret.chmod(0o600)
    security = {
        "protocol": "SASL_SSL",
        "mechanism": "SCRAM-SHA-256",
        "username": secured.username,
        "password_file": str(secret),
        "ca_file": str(secured.ca_file),
    }
    folder = tmp_path / "site"
    folder.mkdir()
    with site_on(secured, folder, prefix, security=security, silence_s=0.0) as site:
        assert client_settings(site.configuration.kafka)["sasl.mechanism"] == "SCRAM-SHA-256"
        fed(site, 1, 2.0)
        site.start("worker")
        site.await_settled()
        assert site.stop("worker") == 0
        report = check(site)
        assert report.sound, report
        assert str(secured.password) not in errors(site, "worker")


def test_records_deleted_before_they_were_read_are_counted_and_raise_an_alert(
    broker: Broker, tmp_path: Path, prefix: str
) -> None:
    with site_on(broker, tmp_path, prefix, silence_s=0.0) as site:
        fed(site, 2, 2.0)
        site.start("worker")
        site.await_settled()
        assert site.stop("worker") == 0
        before = site.ends()
        fed(site, 3, 2.0)
        lane = Lane("run.sensor", 1)
        until = (before[lane] + site.ends()[lane]) // 2
        deleted = TopicPartition(prefix + lane.topic, lane.partition, until)
        admin = AdminClient(site.settings)
        for future in admin.delete_records([deleted]).values():
            future.result()
        site.start("worker")
        site.await_settled()
        assert site.stop("worker") == 0
        (alert,) = alerts_of(site, LOST)
        assert alert["value"] == until - before[lane]
        assert alert["labels"]["lane"] == str(lane)
        assert f"{until - before[lane]} records were deleted" in errors(site, "worker")
        summary = json.loads((site.folder / "worker.out").read_bytes().splitlines()[-1])
        assert summary["lost"] == {str(lane): until - before[lane]}
        assert summary["total"]["remainder"] == 0
        accounts = site.accounts()
        assert accounts[lane].read == site.ends()[lane] - (until - before[lane])


def test_a_worker_whose_broker_hangs_ends_with_3(
    own_broker: Broker, tmp_path: Path, prefix: str
) -> None:
    with site_on(own_broker, tmp_path, prefix, stall_s=10.0) as site:
        feed = Feed(site.settings, site.plan, 6, RATE)
        feed.start()
        site.start("worker")
        site.await_owner("worker")
        site.await_reached(site.ends(), 60)
        worker = site.workers["worker"]
        own_broker.pause()
        try:
            assert worker.wait(60) == 3
        finally:
            own_broker.resume()
            feed.stop()
        assert "stalled" in errors(site, "worker")


def test_two_shards_on_two_workers_say_what_the_core_says(
    broker: Broker, tmp_path: Path, prefix: str
) -> None:
    shards = {"shards": [{"places": ["440111001"]}]}
    with site_on(broker, tmp_path, prefix, silence_s=2.0, more=shards) as site:
        feed = Feed(site.settings, site.plan, 7, RATE)
        feed.start()
        site.start("first")
        site.start("second")
        await_true(lambda: feed.sent > 12 * RATE, 90)
        feed.stop()
        for name in ("first", "second"):
            assert site.stop(name) == 0
        site.start("last", silence_s=0.0)
        site.await_owner("last")
        site.await_settled()
        site.stop("last")
        report = check(site)
        assert report.sound, report
        assert report.expected > 500


def test_a_worker_refuses_topics_that_are_wrong(
    broker: Broker, tmp_path: Path, prefix: str
) -> None:
    with site_on(broker, tmp_path, prefix) as site:
        admin = AdminClient(site.settings)
        for future in admin.delete_topics([prefix + DEAD_LETTER], operation_timeout=30).values():
            future.result()
        await_true(lambda: prefix + DEAD_LETTER not in admin.list_topics(timeout=10).topics)
        site.start("worker")
        assert site.workers["worker"].wait(60) == 2
        told = errors(site, "worker")
        assert prefix + DEAD_LETTER in told
        assert "cityvitals topics create" in told
