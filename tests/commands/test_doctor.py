"""``doctor``: what is missing is named, with what to do about it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from agents.commands.checks import PACKAGES, disk, open_files, stale, zone
from tests.commands.console import Cli, Ended
from tests.kafka.broker import Broker

NOWHERE = "kafka://127.0.0.1:1"
ROOT = Path(__file__).parents[2]


def checks(ended: Ended, piece: str) -> list[dict[str, Any]]:
    return [check for check in ended.lines[0]["checks"] if check["piece"] == piece]


def only(ended: Ended, piece: str) -> dict[str, Any]:
    (check,) = checks(ended, piece)
    return check


def test_a_machine_that_is_well(cli: Cli) -> None:
    ended = cli("doctor", "--json")
    assert ended.code == 0, ended.out
    for piece in ("Python", "packages", "kernels", "Faust", "aiokafka", "configuration"):
        assert only(ended, piece)["state"] == "ok"
    for tool in ("Java", "Maven", "Docker"):
        assert only(ended, tool)["state"] != "wrong"
        assert "not needed to run" in only(ended, tool)["what"]
    # Nobody named a Kafka: whether there is one at the default address is no fault.
    assert "wrong" not in {check["state"] for check in checks(ended, "Kafka")}


def test_lines_for_people(cli: Cli) -> None:
    ended = cli("doctor", env={"NO_CYTHON": "1"})
    assert ended.code == 1
    lines = ended.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("✗ Faust: NO_CYTHON"))
    assert lines[at + 1].strip() == "unset NO_CYTHON"
    assert any(line.startswith("✓ Python: 3.") for line in lines)


def test_faults_of_a_configuration(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("kafka:\n  brokr: kafka://a:9092\n  replication: many\n", "utf-8")
    ended = cli("doctor", "--config", file, "--json")
    assert ended.code == 1
    found = checks(ended, "configuration")
    assert {check["what"].partition(": ")[0] for check in found} == {f"{file}:2:3", f"{file}:3:16"}


def test_secrets_that_others_may_read(impatient: Cli, tmp_path: Path) -> None:
    password, config = tmp_path / "password", tmp_path / "kafka.yaml"
    password.write_text("guess me\n", "utf-8")
    password.chmod(0o640)
    security = f"{{protocol: SASL_PLAINTEXT, username: ops, password_file: {password}}}"
    config.write_text(f"kafka:\n  broker: {NOWHERE}\n  security: {security}\n", "utf-8")
    config.chmod(0o644)
    open_ = impatient("doctor", "--config", config, "--json")
    assert open_.code == 1
    assert only(open_, "secrets")["mend"] == f"run `chmod 600 {password}`"
    away = only(open_, "Kafka")
    assert away["state"] == "wrong"
    assert "no Kafka answers at 127.0.0.1:1" in away["what"]
    assert "guess me" not in open_.out + open_.err

    password.unlink()
    gone = impatient("doctor", "--config", config, "--json")
    assert {check["state"] for check in checks(gone, "secrets")} == {"wrong"}
    assert "kafka.security.password_file" in only(gone, "Kafka")["what"]

    written = "{protocol: SASL_SSL, username: ops, password: guess, ca_file: none}"
    config.write_text(f"kafka:\n  broker: {NOWHERE}\n  security: {written}\n", "utf-8")
    assert only(impatient("doctor", "--config", config, "--json"), "secrets")["state"] == "wrong"


@pytest.mark.kafka
def test_a_cluster_with_and_without_its_topics(
    broker: Broker, prefix: str, tmp_path: Path, cli: Cli
) -> None:
    config = tmp_path / "kafka.yaml"
    config.write_text(f"kafka: {{broker: '{broker.url}', prefix: '{prefix}'}}\n", "utf-8")
    before = cli("doctor", "--config", config, "--json")
    assert before.code == 1
    assert only(before, "handshake")["state"] == "ok"
    missing = only(before, "topics")
    assert "city.sensor.v1 is missing, and 15 more like it" in missing["what"]
    assert f"cityvitals topics create --config {config}" in missing["mend"]
    assert cli("topics", "create", "--config", config).code == 0
    after = cli("doctor", "--config", config, "--json")
    assert after.code == 0, after.out
    assert only(after, "Kafka")["what"] == f"1 broker at {broker.address}, PLAINTEXT"


@pytest.mark.kafka
def test_a_secured_cluster(secured: Broker, cli: Cli) -> None:
    environment = {
        "CITYVITALS__KAFKA__BROKER": secured.url,
        "CITYVITALS__KAFKA__SECURITY__PROTOCOL": "SASL_SSL",
        "CITYVITALS__KAFKA__SECURITY__USERNAME": secured.username,
        "CITYVITALS__KAFKA__SECURITY__CA_FILE": str(secured.ca_file),
    }
    password = "CITYVITALS__KAFKA__SECURITY__PASSWORD"
    good = cli("doctor", "--json", env={**environment, password: secured.password})
    assert only(good, "handshake")["state"] == "ok"
    assert secured.password not in good.out + good.err
    bad = cli("doctor", "--json", env={**environment, password: "guessed"})
    assert "refuses the login of 'vitals'" in only(bad, "Kafka")["what"]
    assert "guessed" not in bad.out + bad.err


def test_names_that_belong_to_something_else(cli: Cli, tmp_path: Path) -> None:
    other = tmp_path / "others-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (other / "top_level.txt").write_text("streams\n")
    ended = cli("doctor", "--json", env={"PYTHONPATH": str(tmp_path)})
    assert ended.code == 3
    assert only(ended, "packages")["what"] == "streams also belongs to others"


def test_a_kernel_that_is_not_compiled(cli: Cli, tmp_path: Path) -> None:
    kernels = tmp_path / "ext"
    kernels.mkdir()
    shutil.copy(ROOT / "ext" / "__init__.py", kernels)
    (kernels / "panes.py").write_text("raise ImportError('built for another Python')")
    ended = cli("doctor", "--json", env={"PYTHONPATH": str(tmp_path)})
    assert ended.code == 3
    assert "pip install" in only(ended, "kernels")["mend"]
    assert str(kernels) in only(ended, "packages")["what"]


def test_a_kernel_that_is_older_than_its_source(tmp_path: Path) -> None:
    source = tmp_path / "panes.pyx"
    source.write_text("")
    assert list(stale(tmp_path)) == ["panes.pyx"]
    os.utime(source, (0, 0))
    assert list(stale(tmp_path)) == []


def test_what_is_told_of_a_machine(tmp_path: Path) -> None:
    (room,) = disk(tmp_path / "not" / "there")
    assert str(tmp_path / "not" / "there") in room.what
    (limit,) = open_files()
    assert limit.state in ("ok", "warning")
    (unknown,) = zone("Asia/Nowhere")
    assert (unknown.state, "tzdata" in unknown.mend) == ("wrong", True)
    assert set(PACKAGES) == {"streams", "agents", "ext", "schemas"}
