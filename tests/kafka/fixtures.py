"""Brokers for tests; a test that uses one is marked ``kafka``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import pytest

from tests.kafka.broker import Broker
from tests.kafka.broker_jars import MissingError
from tests.kafka.broker_setup import Security


@contextmanager
def serving(folder: Path, security: Security = "PLAINTEXT") -> Iterator[Broker]:
    """A broker for a while; the test is skipped where there can be none."""
    broker = Broker(folder, security=security)
    try:
        broker.start()
    except MissingError as error:
        pytest.skip(str(error))
    try:
        yield broker
    finally:
        broker.kill()
        # Pytest keeps the folders of some runs: the log is worth that, the data is not.
        shutil.rmtree(folder / "data")


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker for all tests: each keeps to topics and groups that begin with its `prefix`."""
    with serving(tmp_path_factory.mktemp("broker")) as shared:
        yield shared


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker with TLS and logins for all tests that want some."""
    with serving(tmp_path_factory.mktemp("secured"), "SASL_SSL") as shared:
        yield shared


@pytest.fixture(scope="session")
def spare_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with serving(tmp_path_factory.mktemp("spare")) as spare:
        yield spare


@pytest.fixture
def own_broker(spare_broker: Broker) -> Iterator[Broker]:
    """A broker of one test at a time, which may stop, kill or pause it: it runs for the next."""
    if not spare_broker.running:
        spare_broker.start()
    yield spare_broker
    if spare_broker.running:
        spare_broker.resume()


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """What the names of this test's topics and groups begin with, as ``t1f0c93aa.``."""
    return f"t{crc32(request.node.nodeid.encode()):08x}."
