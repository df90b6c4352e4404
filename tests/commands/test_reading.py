"""Commands that look: ``vitals``, ``alerts``, ``check``, ``schemas``, the help."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.commands.cli import app
from schemas.loading import CATALOGUE
from tests.commands.console import CityRun, Cli, here


def test_latest_signs(city: CityRun) -> None:
    every = here("vitals", "--data", city.data, "--json", "--all").lines
    coarse = here("vitals", "--data", city.data, "--json").lines
    assert {line["key_level"] for line in coarse} == {"city", "district"}
    assert len(every) > len(coarse)
    assert len({(line["vital"], line["key"]) for line in every}) == len(every)
    table = here("vitals", "traffic.tpi", "--data", city.data).out
    assert "440103 荔湾区" in table
    assert "drain.depth" not in table
    named = here("vitals", "--key", "荔湾区", "--data", city.data, "--json").lines
    assert {line["key"] for line in named} == {"440103"}
    streets = here("vitals", "--level", "street", "--data", city.data, "--json").lines
    assert {line["key_level"] for line in streets} == {"street"}


def test_words_that_are_not_known(city: CityRun) -> None:
    sign = here("vitals", "trafic.tpi", "--data", city.data)
    assert (sign.code, sign.out) == (2, "")
    assert "did you mean 'traffic.tpi'" in sign.err
    level = here("vitals", "--level", "village", "--data", city.data)
    assert level.code == 2
    assert "district" in level.err
    other = here("vitals", "drain.depth", "--level", "station", "--data", city.data)
    assert (other.code, other.out) == (2, "")
    assert "drain.depth has no keys of level station; there are city, district, site" in other.err
    finer = here("vitals", "traffic.speed_ratio", "--data", city.data)
    assert "there are keys of level segment, street" in finer.err


def test_alerts_that_stand(logs: Path, tmp_path: Path, city: CityRun) -> None:
    every = here("alerts", "--data", city.data, "--all", "--json").lines
    standing = here("alerts", "--data", city.data, "--json").lines
    assert [line for line in every if line["state"] != "cleared"] == standing
    assert here("alerts", "--data", city.data).code == 0


@pytest.mark.parametrize(
    "command", [("vitals",), ("alerts",), ("deadletter", "list"), ("send", "-")]
)
def test_a_folder_without_data(command: tuple[str, ...], cli: Cli, tmp_path: Path) -> None:
    ended = cli(*command, "--data", tmp_path / "none")
    assert ended.code == 3
    assert "cityvitals up" in ended.err
    assert not (tmp_path / "none").exists()


def test_the_shipped_configuration_is_right() -> None:
    assert here("check").out.startswith("ok")
    found = here("check", "--json").lines[0]
    assert found["ok"]
    assert "traffic.tpi" in found["signs"]["window"]
    assert len(found["fingerprint"]) == 12


def test_what_the_label_of_a_configuration_covers(
    cli: Cli, impatient: Cli, logs: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    shutil.copytree(CATALOGUE, config)
    assert "without a register" in here("check", "--config", config).out
    register = logs / "register.csv"
    (config / "register.yaml").write_text(f"register_file: {register}\n")
    devices = len(register.read_text("utf-8").splitlines()) - 1
    found = here("check", "--config", config)
    assert f"with its register of {devices} devices" in found.out
    told = impatient("doctor", "--config", config).out
    assert f"with its register of {devices} devices" in told
    replayed = cli("replay", logs / "city.sensor.v1.ndjson", "--config", config, "--json").lines[0]
    assert replayed["config"] in found.out
    assert replayed["config"] in told


def test_every_fault_of_a_configuration_has_its_place(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text('version: "1"\ntopics:\n  - {name: a b, kind: sensr}\n')
    for command in (("check",), ("up", "--for", "1s", "--data", tmp_path / "d")):
        ended = cli(*command, "--config", file)
        assert (ended.code, ended.out) == (2, "")
        assert f"{file}:3:" in ended.err
        assert len(ended.err.splitlines()) >= 3
    assert not (tmp_path / "d").exists()
    as_json = here("check", "--config", file, "--json")
    assert as_json.code == 2
    assert {"file", "line", "column", "path", "message"} == set(as_json.lines[0]["problems"][0])


def test_schemas_written_and_checked(tmp_path: Path) -> None:
    assert here("schemas", tmp_path).code == 0
    assert here("schemas", tmp_path, "--check").code == 0
    (tmp_path / "alert.schema.json").write_text("{}")
    stale = here("schemas", tmp_path, "--check")
    assert stale.code == 1
    assert "alert.schema.json is stale" in stale.err
    assert json.loads(here("schemas", tmp_path, "--check", "--json").out)["stale"] == [
        "alert.schema.json"
    ]


def test_help_and_version(cli: Cli) -> None:
    assert cli("--version").out.startswith("cityvitals ")
    assert "deadletter" in cli("--help").out
    for command in ("up", "replay", "send", "vitals", "alerts", "check", "generate", "schemas"):
        ended = CliRunner().invoke(app, [command, "--help"])
        assert ended.exit_code == 0
        assert f"cityvitals {command}" in ended.output.split("Examples")[1]
