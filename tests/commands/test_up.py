"""``cityvitals up``: what it prints, how it ends, how it goes on."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path
from urllib.request import urlopen

from typer.testing import CliRunner

from agents.commands.cli import app
from tests.commands.console import SCRIPT, CityRun, Cli, started

BINS = ("rejected", "duplicate", "late", "filtered", "accepted")


def test_standard_output_is_json_lines_and_a_closing_object(city: CityRun) -> None:
    assert city.ended.code == 0, city.ended.err
    *outputs, summary = city.ended.lines
    assert all(("vital" in line) != ("alert_id" in line) for line in outputs)
    live = {line["vital"] for line in outputs if line.get("live")}
    assert live <= {"engine.lag", "engine.alert_rate", "engine.flood_time"}
    told = [line for line in outputs if "vital" in line and not line["live"]]
    assert len(told) == summary["vitals"] > 0
    assert sum(line.get("transition") == "raised" for line in outputs) == summary["alerts"]
    assert set(summary) == {
        "accounting",
        "total",
        "vitals",
        "alerts",
        "events_per_s",
        "peak_rss_bytes",
    }
    for counts in summary["accounting"].values():
        assert counts["remainder"] == 0
        assert counts["read"] == sum(counts[name] for name in BINS)
    assert summary["total"]["read"] > 0
    assert summary["peak_rss_bytes"] > 10_000_000


def test_the_first_lines_say_where_things_are(city: CityRun) -> None:
    assert str(city.data) in city.ended.err
    assert "http://127.0.0.1:" in city.ended.err


def test_the_metrics_say_whose_they_are(tmp_path: Path) -> None:
    with started("up", "--no-page", "--data", tmp_path / "d", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        config = json.loads(process.stdout.readline())["config"]
        _, address = (process.stderr.readline().decode().split()[1] for _ in range(2))
        with urlopen(address) as answer:
            told = answer.read().decode()
    assert f'cityvitals_run_info{{config="{config}",data="{tmp_path / "d"}"}} 1.0' in told


def test_a_second_run_goes_on_with_the_seed_of_the_folder(city: CityRun, cli: Cli) -> None:
    again = cli("up", "--no-page", "--data", city.data, "--for", "1s", "--json")
    assert again.code == 0, again.err
    before, after = city.ended.lines[-1]["total"], again.lines[-1]["total"]
    assert after["read"] > before["read"]
    assert after["remainder"] == 0
    refused = cli("up", "--no-page", "--data", city.data, "--seed", 8, "--for", "1s")
    assert refused.code == 2
    assert "seed 7, not 8" in refused.err
    assert refused.out == ""


def test_another_configuration_on_the_folder_is_refused(city: CityRun, cli: Cli) -> None:
    changed = cli(
        "up", "--no-page", "--data", city.data, "--for", "1s", env={"CITYVITALS__FORGET_S": "43200"}
    )
    assert changed.code == 2
    assert "configuration" in changed.err


def test_a_signal_ends_it_with_the_summary(tmp_path: Path) -> None:
    with started("up", "--no-page", "--data", tmp_path / "d", "--json") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"{")
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        rest = process.stdout.read()
        assert process.wait() == 0
    assert time.monotonic() - asked < 20
    assert rest.splitlines()[-1].startswith(b'{"accounting"')


def test_a_signal_during_start_up_too(tmp_path: Path) -> None:
    with started("up", "--no-page", "--data", tmp_path / "d", "--json") as process:
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        # It ends by itself, however busy the machine is.
        out, err = process.communicate(timeout=40)
        assert process.returncode == 0, err
    assert out.splitlines()[-1].startswith(b'{"accounting"')
    assert b"Traceback" not in err


def test_a_reader_that_goes_away_is_a_normal_end(tmp_path: Path) -> None:
    with started("up", "--no-page", "--data", tmp_path / "d", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=40) == 0
        assert b"Traceback" not in process.stderr.read()


def test_a_reader_that_stands_still_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    with started("up", "--no-page", "--data", tmp_path / "d", "--json") as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(1.5)  # the pipe is full by then
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=40) == 0


def test_a_killed_run_goes_on(tmp_path: Path, cli: Cli) -> None:
    data = tmp_path / "d"
    with started("up", "--no-page", "--data", data, "--json") as process:
        assert process.stdout is not None
        for _ in range(2000):
            process.stdout.readline()
        process.kill()
    again = cli("up", "--no-page", "--data", data, "--for", "1s", "--json")
    assert again.code == 0, again.err
    total = again.lines[-1]["total"]
    assert total["remainder"] == 0
    assert total["read"] > 0
    assert all(counts["remainder"] == 0 for counts in again.lines[-1]["accounting"].values())


def test_the_live_view_shows_the_city_in_a_terminal(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    env = {**os.environ, "COLUMNS": "100", "LINES": "40", "TERM": "xterm"}
    with subprocess.Popen(
        [SCRIPT, "up", "--no-page", "--data", tmp_path / "d", "--for", "2s"],
        stdout=follower,
        stderr=follower,
        env=env,
    ) as process:
        os.close(follower)
        shown = b""
        try:
            while block := os.read(leader, 65536):
                shown += block
        except OSError:  # how a terminal says that its last writer has gone
            pass
        assert process.wait() == 0
    os.close(leader)
    text = shown.decode()
    for word in ("广州市", "荔湾区", "440118", "交通", "remainder 0", "预热 warming"):
        assert word in text


def test_usage_errors(cli: Cli, tmp_path: Path) -> None:
    for arguments in (
        ("--for", "60"),
        ("--for", "1 fortnight"),
        ("--speed", "0"),
        ("--speed", "nan"),
        ("--retain", "2 apples"),
        ("--no-such-option",),
    ):
        ended = CliRunner().invoke(
            app, ["up", "--no-page", "--data", str(tmp_path / "d"), *arguments]
        )
        assert (ended.exit_code, ended.stdout) == (2, ""), arguments
    assert cli("up", "--no-page", "--data", tmp_path / "d", "--for", "60").code == 2
    assert not (tmp_path / "d").exists()


def test_a_folder_that_can_not_be_used(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    ended = cli("up", "--no-page", "--data", tmp_path / "file", "--for", "1s")
    assert ended.code == 3
    assert "Traceback" not in ended.err
