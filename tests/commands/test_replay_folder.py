"""A data folder holds one replay: it goes on where it was stopped, and ends once."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.commands.console import Cli, started


@pytest.fixture(scope="module")
def lag_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Readings in order whose platform hands them over 200 s late, and one that jumps ahead."""
    start = 1_772_402_400_000
    lines = []
    for i in range(240):
        t = start + i * 10_000
        late = 200_000 if i % 7 else 0
        reading = {"device": f"d{i % 5}", "metric": "rain", "value": 0.5, "unit": "mm", "t": t}
        reading |= {"place": "440111004", "site": f"s{i % 5}", "t_ingest": t + late}
        lines.append((t + late, json.dumps(reading)))
    folder = tmp_path_factory.mktemp("lag")
    log = folder / "city.sensor.v1.ndjson"
    log.write_text("".join(f"{line}\n" for _, line in sorted(lines)))
    return log


def said(lines: list[dict[str, object]]) -> Counter[str]:
    return Counter(json.dumps(line, sort_keys=True) for line in lines[:-1])


def test_every_speed_gives_the_same(cli: Cli, lag_log: Path) -> None:
    at_once = cli("replay", lag_log, "--json")
    paced = cli("replay", lag_log, "--speed", 800, "--json")
    assert said(at_once.lines) == said(paced.lines)
    assert at_once.lines[-1]["total"] == paced.lines[-1]["total"]


def test_a_stopped_replay_goes_on(cli: Cli, lag_log: Path, tmp_path: Path) -> None:
    data, whole = tmp_path / "d", cli("replay", lag_log, "--json")
    with started("replay", lag_log, "--speed", 900, "--data", data, "--json") as process:
        assert process.stdout is not None
        for _ in range(len(whole.lines) // 2):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
    went_on = cli("replay", lag_log, "--data", data, "--json")
    assert went_on.code == 0, went_on.err
    assert went_on.lines[-1]["total"] == whole.lines[-1]["total"]
    assert went_on.lines[-1]["vitals"] == whole.lines[-1]["vitals"]


def test_an_ended_replay_takes_no_other(cli: Cli, lag_log: Path, tmp_path: Path) -> None:
    data = tmp_path / "d"
    assert cli("replay", lag_log, "--data", data, "--json").code == 0
    again = cli("replay", lag_log, "--data", data, "--json")
    assert again.code == 2
    assert "has ended: choose another folder with --data" in again.err
    city = cli("up", "--no-page", "--data", data, "--for", "1s", "--json")
    assert city.code == 2
    assert "holds a replay" in city.err
