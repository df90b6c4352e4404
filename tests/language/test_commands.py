"""The shipped configurations from the command line: check, replay, and what is shown."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from schemas.device_vital import rows_of
from tests.commands.console import SCRIPT, TIMEOUT_S, here
from tests.language.logs import CHILDREN
from tests.language.logs import main as write_logs
from tests.language.running import EXAMPLES

NAMES = ("theodolite-uc2", "theodolite-uc4", "ospbench")


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def write(name: str, *options: str) -> Path:
        monkeypatch.setattr("sys.argv", ["logs", name, str(tmp_path / "logs"), *options])
        write_logs()
        return tmp_path / "logs"

    return write


def replay(name: str, folder: Path) -> list[dict[str, Any]]:
    config = EXAMPLES / f"{name}.yaml"
    done = subprocess.run(
        [SCRIPT, "replay", folder, "--config", config, "--json"],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    read = map(json.loads, done.stdout.splitlines())
    return [row for one in read for row in (rows_of(one) if "lane" in one else [one])]


def test_the_configurations_are_right() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {*NAMES, "odour"}
    for name in NAMES:
        checked = here("check", "--config", EXAMPLES / f"{name}.yaml", "--json")
        assert (checked.code, json.loads(checked.out)["ok"]) == (0, True)


def test_uc2_is_replayed(logs: Any) -> None:
    *results, summary = replay("theodolite-uc2", logs("theodolite-uc2", "--minutes", "2"))
    assert summary["total"]["read"] == summary["total"]["accepted"] == 1_200
    sums = [r["value"] for r in results if r["vital"] == "power.sum"]
    assert sums == [600] * 20


def test_uc4_is_replayed(logs: Any) -> None:
    written = logs("theodolite-uc4", "--minutes", "1", "--groups", "2")
    *results, summary = replay("theodolite-uc4", written)
    assert summary["total"]["remainder"] == 0
    roots = [r for r in results if (r["vital"], r["key"]) == ("power.group_sum", "group_lvl_0")]
    assert [r["value"] for r in roots] == [10 * CHILDREN**2] * 12


def test_uc4_needs_its_register(logs: Any) -> None:
    log = logs("theodolite-uc4", "--minutes", "1", "--groups", "2") / "input.ndjson"
    ended = here("replay", log, "--config", EXAMPLES / "theodolite-uc4.yaml")
    assert ended.code == 2
    assert "part_of:group stands in no register" in ended.err


def test_ospbench_is_replayed(logs: Any) -> None:
    *results, summary = replay("ospbench", logs("ospbench", "--minutes", "3"))
    assert summary["total"]["accepted"] == 3 * 38
    changes = [r for r in results if r["vital"] == "road.flow_short_change"]
    assert len(changes) == 3 * 12
    assert sum(r["value"] is not None for r in changes) == 2 * 12
