"""``cityvitals replay`` and ``generate``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents.recordings import FeedError, logs_of
from tests.commands.console import Cli, started


def test_a_folder_of_logs_gives_the_same_lines_each_time(cli: Cli, logs: Path) -> None:
    first, second = (cli("replay", logs, "--json") for _ in range(2))
    assert first.code == 0, first.err
    assert sorted(first.out.splitlines()[:-1]) == sorted(second.out.splitlines()[:-1])
    summary = first.lines[-1]
    truth = json.loads((logs / "truth.json").read_text())
    assert summary["total"]["read"] == sum(truth["events"].values())
    assert summary["total"]["remainder"] == 0
    planted = truth["planted"].values()
    damaged = sum(sum(topic["malformed"].values()) for topic in planted)
    assert summary["total"]["rejected"] == damaged
    assert summary["vitals"] == sum("vital" in line for line in first.lines[:-1]) > 0


def test_what_is_kept_is_what_vitals_shows(cli: Cli, logs: Path, tmp_path: Path) -> None:
    sensor = logs / "city.sensor.v1.ndjson"
    ended = cli("replay", sensor, "--data", tmp_path / "d")
    assert ended.code == 0, ended.err
    assert "remainder 0" in ended.err
    shown = cli("vitals", "--data", tmp_path / "d", "--json").lines
    assert {line["key_level"] for line in shown} == {"city", "district"}


def test_a_paced_replay_ends_on_a_signal(logs: Path) -> None:
    with started("replay", logs, "--speed", "60", "--json") as process:
        assert process.stdout is not None
        time.sleep(2.5)
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        out = process.stdout.read()
        assert process.wait() == 0
    assert time.monotonic() - asked < 5
    assert json.loads(out.splitlines()[-1])["total"]["remainder"] == 0


# Nobody waits ten seconds for the first line.
TALKATIVE = """
import sys
from agents.commands import displays, main

displays._REPLAY_STATUS_S = 0.5
sys.argv[0] = "cityvitals"
main()
"""


def test_a_replay_without_a_terminal_says_how_far_it_is(logs: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TALKATIVE, "replay", logs, "--speed", "60"], stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        told = [process.stderr.readline().decode() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert [line.split()[0] for line in told[:2]] == ["data", "metrics"]
    assert told[2].startswith("2026-03-02 06:")
    assert "待处理 unread " in told[2]
    assert " = 计入 accepted " in told[2]


def test_logs_that_can_not_be_replayed(cli: Cli, logs: Path, tmp_path: Path) -> None:
    unknown = tmp_path / "city.sensr.v1.ndjson"
    unknown.write_bytes(b"{}\n")
    torn = tmp_path / "city.sensor.v1.ndjson.gz"
    torn.write_bytes(b"\x1f\x8bnothing")
    beyond = tmp_path / "city.sensor.v1.9.ndjson"
    beyond.write_bytes(b"{}\n")
    for path, word in (
        (unknown, "did you mean 'city.sensor.v1'"),
        (torn, f"{torn}:1"),
        (beyond, "4 partitions"),
    ):
        ended = cli("replay", path, "--json")
        assert (ended.code, ended.out) == (2, ""), ended.err
        assert word in ended.err
        assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("name", "word"),
    [("readings.txt", "--topic"), ("none", "no event log"), ("missing.ndjson", "no such file")],
)
def test_names_that_are_no_logs(name: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "readings.txt").write_bytes(b"{}\n")
    (tmp_path / "none").mkdir()
    with pytest.raises(FeedError, match=word):
        logs_of([tmp_path / name], None)


def test_generated_logs_are_a_function_of_the_seed(cli: Cli, logs: Path, tmp_path: Path) -> None:
    again = cli("generate", tmp_path / "again", "--minutes", 30, "--scale", 0.1, "--json")
    names = sorted(path.name for path in logs.iterdir())
    assert names == [
        "city.external.v1.ndjson",
        "city.hotline.v1.ndjson",
        "city.sensor.v1.ndjson",
        "city.traffic.v1.ndjson",
        "register.csv",
        "truth.json",
    ]
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (logs / name).read_bytes()
    told = again.lines[0]
    assert told["lines"]["city.sensor.v1.ndjson"] > 0
    register = (logs / "register.csv").read_text("utf-8").splitlines()
    assert told["registered"] == len(register) - 1 > 200
    assert told["episodes"] == len(json.loads((logs / "truth.json").read_bytes())["episodes"])
    other = cli("generate", tmp_path / "other", "--minutes", 30, "--scale", 0.1, "--seed", 8)
    assert other.code == 0
    sensor = "city.sensor.v1.ndjson"
    assert (tmp_path / "other" / sensor).read_bytes() != (logs / sensor).read_bytes()


def test_events_carry_their_arrival_and_damaged_ones_are_left_alone(logs: Path) -> None:
    arrivals, damaged = [], 0
    for line in (logs / "city.sensor.v1.ndjson").read_bytes().splitlines():
        try:
            arrivals.append(json.loads(line)["t_ingest"])
        except (ValueError, KeyError):
            damaged += 1
    assert arrivals == sorted(arrivals)
    assert damaged < len(arrivals) / 100


def test_so_many_episodes_as_asked_for(cli: Cli, tmp_path: Path) -> None:
    short = ("--minutes", 120, "--scale", 0.1)
    ended = cli("generate", tmp_path / "two", *short, "--episodes", 2)
    assert ended.code == 0, ended.err
    assert "truth.json: 2 episodes" in ended.out
    truth = json.loads((tmp_path / "two" / "truth.json").read_bytes())
    assert {one["kind"] for one in truth["episodes"]} == {"congestion", "complaint_burst"}
    many = cli("generate", tmp_path / "many", *short, "--episodes", 3)
    assert many.code == 2
    assert "--episodes is 3: 2 are planned to end within 120 minutes" in many.err
    assert not (tmp_path / "many").exists()


def test_a_folder_with_something_in_it_is_left_alone(cli: Cli, logs: Path) -> None:
    before = sorted(os.listdir(logs))
    ended = cli("generate", logs, "--minutes", 1)
    assert ended.code == 2
    assert "not an empty folder" in ended.err
    assert sorted(os.listdir(logs)) == before


def test_plain_readings(cli: Cli, tmp_path: Path) -> None:
    ended = cli(
        "generate", tmp_path / "l", "--readings", 5000, "--devices", 50, "--suffix", ".ndjson.zst"
    )
    assert ended.code == 0, ended.err
    assert [path.name for path in (tmp_path / "l").iterdir()] == ["city.sensor.v1.ndjson.zst"]
    summary = cli("replay", tmp_path / "l", "--json").lines[-1]
    assert (summary["total"]["read"], summary["total"]["rejected"]) == (5000, 0)
    both = cli("generate", tmp_path / "m", "--readings", 5, "--minutes", 3)
    assert both.code == 2


def test_disturbed_readings_are_accounted_for(cli: Cli, tmp_path: Path) -> None:
    plain = ("--readings", 20_000, "--devices", 500, "--period", 5, "--profile", "bench")
    made = cli("generate", tmp_path / "l", *plain, "--json")
    planted = made.lines[-1]["planted"]
    total = cli("replay", tmp_path / "l", "--json").lines[-1]["total"]
    assert total["rejected"] == planted["malformed"] > 0
    # The catalogue waits for 5 minutes; the first of a lane is never late.
    assert 0 <= planted["beyond"] - total["late"] <= 4
    assert "--period goes with --readings" in cli("generate", tmp_path / "m", "--period", 5).err
    short = cli("generate", tmp_path / "m", "--readings", 5, "--period", 5)
    assert (short.code, "10 s or more" in short.err) == (2, True)
