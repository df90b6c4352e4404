"""``ack`` and ``shelve`` beside a running engine; killed, started again, and replayed."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.commands.folder import keyed
from agents.commands.standing import _rank
from agents.outputs import ALERT_LOG
from streams.log_store import LogStore
from tests.commands.console import Cli, here, started

BEGIN = 1_772_402_400_000 + 22 * 60_000
DESK = ("--name", "duty desk", "--reason", "泵车在路上 pumps are on their way")


def eventually(check: Callable[[], Any]) -> Any:
    until = time.monotonic() + 150
    while time.monotonic() < until:
        if found := check():
            return found
        time.sleep(0.2)
    raise AssertionError("it did not happen")


def listed(data: Path) -> list[dict[str, Any]]:
    return here("alerts", "--data", data, "--json").lines


def transitions(data: Path, alert_id: str) -> list[dict[str, Any]]:
    store = LogStore(data)
    try:
        return [json.loads(raw) for raw in keyed(store, ALERT_LOG, alert_id.encode())]
    finally:
        store.close()


@pytest.fixture(scope="module")
def storm(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Event logs of a small city from just before a warning on: its alerts stand for long."""
    whole = tmp_path_factory.mktemp("whole") / "logs"
    assert cli("generate", whole, "--minutes", 60, "--scale", 0.1).code == 0
    folder = tmp_path_factory.mktemp("storm")
    for log in whole.glob("city.*.ndjson"):
        kept = [
            line for line in log.read_bytes().splitlines(keepends=True) if time_of(line) > BEGIN
        ]
        (folder / log.name).write_bytes(b"".join(kept))
    (folder / "register.csv").write_bytes((whole / "register.csv").read_bytes())
    return folder


def time_of(line: bytes) -> int:
    try:
        return int(json.loads(line)["t"])
    except (ValueError, KeyError, TypeError):
        return 0


@pytest.fixture(scope="module")
def marked(
    storm: Path, cli: Cli, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, str]:
    """A folder whose engine was killed after commands and started again; an alert that was
    acknowledged, and one that was shelved.
    """
    data = tmp_path_factory.mktemp("marked") / "data"
    with started("replay", storm, "--data", data, "--speed", "40") as process:
        first, second, *_ = eventually(lambda: len(found := listed_if(data)) > 1 and found)
        acked, shelved = first["alert_id"], second["alert_id"]
        given = here("ack", acked[:12], *DESK, "--data", data, "--json")
        assert given.code == 0, given.err
        assert given.lines[0]["running"]
        given = here("shelve", shelved, "--for", "20m", *DESK, "--data", data)
        assert given.code == 0, given.err
        eventually(lambda: said(data, acked, "acked") and said(data, shelved, "shelved"))
        process.send_signal(signal.SIGKILL)
        process.wait()
    undone = here("ack", acked, "--undo", *DESK, "--data", data)
    if undone.code == 0:  # it may have cleared by itself
        assert "it obeys at its next start" in undone.err
    assert cli("replay", storm, "--data", data).code == 0
    assert undone.code or said(data, acked, "unacked") or refused(data)
    return data, acked, shelved


def listed_if(data: Path) -> list[dict[str, Any]]:
    if not (data / "city.db").exists():
        return []
    ended = here("alerts", "--data", data, "--json")
    return ended.lines if ended.code == 0 else []


def said(data: Path, alert_id: str, transition: str) -> bool:
    return any(t["transition"] == transition for t in transitions(data, alert_id))


def refused(data: Path) -> list[dict[str, Any]]:
    letters = here("deadletter", "list", "--data", data, "--json").lines
    return [letter for letter in letters if letter["topic"] == "city.control.v1"]


def test_who_and_why_are_told(marked: tuple[Path, str, str]) -> None:
    data, acked, shelved = marked
    (given,) = [t for t in transitions(data, acked) if t["transition"] == "acked"]
    assert (given["by"], given["note"], given["acked"]) == (DESK[1], DESK[3], True)
    (given,) = [t for t in transitions(data, shelved) if t["transition"] == "shelved"]
    assert given["shelved_until"] > given["t_update"]
    shown = here("explain", shelved, "--data", data)
    assert shown.code == 0, shown.err
    assert "搁置 shelved" in shown.out
    assert f"{DESK[1]} · {DESK[3]}" in shown.out


@pytest.mark.parametrize("which", [1, 2])
def test_a_replay_obeys_what_was_decided(
    marked: tuple[Path, str, str], which: int, cli: Cli
) -> None:
    data, alert_id = marked[0], marked[which]
    replayed = cli("replay", data, "--alert", alert_id, "--json")
    assert replayed.code == 0, replayed.err
    assert "byte for byte" in replayed.err
    assert [json.dumps(x) for x in replayed.lines] == [
        json.dumps(x) for x in transitions(data, alert_id)
    ]


def test_a_whole_replay_says_what_the_folder_says(
    marked: tuple[Path, str, str], cli: Cli, tmp_path: Path
) -> None:
    logs = []
    assert cli("replay", marked[0], "--data", tmp_path / "again", "--json").code == 0
    for folder in (marked[0], tmp_path / "again"):
        store = LogStore(folder)
        logs.append({dict(r.headers)["ce_id"]: r.value for r in store.every_record(ALERT_LOG)})
        store.close()
    assert logs[0] == logs[1]


def test_shelved_alerts_are_listed_last(marked: tuple[Path, str, str]) -> None:
    alerts = [
        {"state": "raised", "suppressed_by": None, "shelved_until": until, "level": level}
        | {"t_raised": 0}
        for until, level in ((9, 4), (None, 1))
    ]
    assert [alert["level"] for alert in sorted(alerts, key=_rank)] == [1, 4]
    assert here("alerts", "--all", "--data", marked[0]).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["ack", "ffffffff", *DESK], 1, "there is no alert ffffffff"),
        (["ack", "{acked}", "--name", "", "--reason", "x"], 2, "--name is out of bounds"),
        (["ack", "{acked}", "--name", "a\tb", "--reason", "x"], 2, "holds a control character"),
        (["shelve", "{shelved}", "--for", "25h", *DESK], 2, "say 1 minute to 24 hours"),
        (["shelve", "{shelved}", *DESK], 2, "say how long with --for"),
        (["shelve", "{shelved}", "--for", "5m", "--undo", *DESK], 2, "one of the two"),
    ],
)
def test_what_is_no_command_is_refused(
    marked: tuple[Path, str, str], arguments: list[str], code: int, told: str
) -> None:
    data, acked, shelved = marked
    standing = {alert["alert_id"] for alert in listed(data)}
    # Either may be over by now; any other does as well.
    names = {
        "{acked}": acked if acked in standing else min(standing),
        "{shelved}": shelved if shelved in standing else min(standing),
    }
    words = [names.get(word, word) for word in arguments]
    before = len(listed(data))
    ended = here(*words, "--data", data)
    assert ended.code == code, ended.err
    assert told in ended.err
    assert len(listed(data)) == before
