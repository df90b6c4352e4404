"""Other processes beside a running engine: ``send``, ``deadletter``, a second engine."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.console import CityRun, Cli, here, started

START_MS = 1_772_402_400_000
TEXT = "水管爆裂 please call"


def reading(device: str, value: object, unit: str = "mm") -> bytes:
    return (
        f'{{"device":"{device}","metric":"rain","value":{value},"unit":"{unit}",'
        f'"t":{START_MS + 60_000},"place":"440103001001001"}}'
    ).encode()


@pytest.fixture(scope="module")
def running(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an engine at work, slowly, until the last test of this module."""
    data = tmp_path_factory.mktemp("running") / "data"
    with started("replay", logs, "--data", data, "--speed", "5") as process:
        assert process.stderr is not None
        while b"metrics" not in process.stderr.readline():
            pass
        yield data
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert process.returncode == 0, err
        assert b"remainder 0" in err


def eventually(check: Callable[[], Any]) -> Any:
    """What ``check`` gives as soon as it is true."""
    until = time.monotonic() + 40
    while time.monotonic() < until:
        if found := check():
            return found
        time.sleep(0.3)
    raise AssertionError("it did not happen")


def letters(data: Path) -> list[dict[str, Any]]:
    return here("deadletter", "list", "--data", data, "--json").lines


def test_a_second_engine_is_refused(running: Path, cli: Cli) -> None:
    ended = cli("up", "--no-page", "--data", running, "--for", "1s")
    assert ended.code == 3
    assert "in use by process" in ended.err


def test_sent_and_refused_and_redriven(running: Path, cli: Cli) -> None:
    lines = [reading("sent-1", 0.2), b"", reading("sent-2", 0.2, "furlong")]
    sent = cli(
        "send", "-", "--topic", "city.sensor.v1", "--data", running, "--json",
        given=b"\n".join(lines),
    )  # fmt: skip
    assert sent.code == 0, sent.err
    assert sent.lines == [{"topics": {"city.sensor.v1": 2}, "running": True}]

    def refused(attempt: int) -> Callable[[], list[str]]:
        return lambda: [
            f"{x['topic']}/{x['partition']}/{x['offset']}"
            for x in letters(running)
            if x["attempt"] == attempt and "sent-2" in record_of(running, x)
        ]

    (where,) = eventually(refused(1))
    assert cli("deadletter", "redrive", where, "--data", running).code == 0
    (second,) = eventually(refused(2))
    again = cli("deadletter", "redrive", where, "--data", running, "--json")
    assert again.code == 1
    assert "already" in again.lines[0]["refused"][where]
    assert cli("deadletter", "redrive", second, "--data", running).code == 0
    (third,) = eventually(refused(3))
    enough = cli("deadletter", "redrive", third, "--data", running)
    assert enough.code == 1
    assert "3 times" in enough.err


def record_of(data: Path, letter: dict[str, Any]) -> str:
    if letter["reason"] != "wrong_unit" or letter["topic"] != "city.sensor.v1":
        return ""
    where = f"{letter['topic']}/{letter['partition']}/{letter['offset']}"
    return str(here("deadletter", "show", where, "--data", data, "--json").lines[0]["record"])


def test_what_citizens_say_is_never_shown(running: Path, cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "city.hotline.v1.ndjson"
    file.write_text(f'{{"kind":"order","order_id":"A1","text":"{TEXT}","nonsense":1}}\n')
    assert "1 lines" in cli("send", file, "--data", running).out

    def refused() -> list[dict[str, Any]]:
        return [
            x
            for x in letters(running)
            if x["topic"] == "city.hotline.v1" and x["size"] == file.stat().st_size - 1
        ]

    (letter,) = eventually(refused)
    where = f"{letter['topic']}/{letter['partition']}/{letter['offset']}"
    shown = here("deadletter", "show", where, "--data", running)
    listed = here("deadletter", "list", "--data", running)
    assert shown.code == 0
    assert "not shown" in shown.out
    assert f"timestamp  {letter['timestamp']} (2026-" in shown.out
    assert TEXT not in shown.out + shown.err + listed.out
    as_json = here("deadletter", "show", where, "--data", running, "--json")
    assert as_json.lines[0]["record"] is None


def test_places_and_topics_that_are_not_there(running: Path, cli: Cli) -> None:
    show = here("deadletter", "show", "city.sensor.v1/0/999999999", "--data", running)
    assert show.code == 2
    reason = here("deadletter", "list", "--reason", "bad_tme", "--data", running)
    assert reason.code == 2
    assert "bad_time" in reason.err
    topic = cli("send", "-", "--topic", "city.sensr.v1", "--data", running, given=b"{}\n")
    assert topic.code == 2
    assert "city.sensor.v1" in topic.err
    assert cli("send", "-", "--data", running, given=b"{}\n").code == 2
    assert cli("deadletter", "redrive", "--data", running).code == 2


def test_sent_to_an_engine_that_sleeps(cli: Cli, city: CityRun) -> None:
    data, lines = city.data, b"{   }\n" * 5
    sent = cli("send", "-", "--topic", "city.sensor.v1", "--data", data, "--json", given=lines)
    assert sent.code == 0
    assert sent.lines == [{"topics": {"city.sensor.v1": 5}, "running": False}]
    assert "next start" in sent.err
    with started("up", "--no-page", "--data", data) as process:
        eventually(lambda: sum(letter["size"] == 5 for letter in letters(data)) == 5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert process.returncode == 0, err
