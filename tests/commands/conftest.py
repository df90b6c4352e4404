"""Commands to run, and what they have run on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.kafka.topics import TopicAdmin
from tests.commands.console import SCRIPT, TIMEOUT_S, CityRun, Cli, Ended, here


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Runs ``cityvitals`` with arguments, and ``given`` on standard input."""

    def run(*arguments: object, given: bytes = b"", env: dict[str, str] | None = None) -> Ended:
        done = subprocess.run(
            [SCRIPT, *map(str, arguments)],
            input=given,
            capture_output=True,
            timeout=TIMEOUT_S,
            env={**os.environ, **(env or {})},
            check=False,
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Runs ``cityvitals`` in this process, and gives a Kafka that is away up after a moment."""
    monkeypatch.setattr("streams.kafka.topics.PATIENCE_S", 0.5)
    monkeypatch.setattr(TopicAdmin.__init__, "__defaults__", (0.5,))
    return here


@pytest.fixture(scope="session")
def city(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> CityRun:
    data = tmp_path_factory.mktemp("city") / "data"
    return CityRun(data, cli("up", "--no-page", "--data", data, "--for", "3s", "--json"))


@pytest.fixture(scope="session")
def logs(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Event logs of a small city."""
    folder = tmp_path_factory.mktemp("logs") / "small"
    assert cli("generate", folder, "--minutes", 30, "--scale", 0.1).code == 0
    return folder
