"""The audit log: any change of it is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.gateway.audit import FILE, HEAD, AuditLog, verify
from tests.commands.console import here


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    log = AuditLog(tmp_path)
    for n in range(5):
        log.write(1_772_402_400_000 + n, "desk", "operator", "ack", f"alert-{n}", {"reason": "r"})
    return tmp_path


def test_a_log_that_nobody_touched_is_whole(folder: Path) -> None:
    assert verify(folder) == (5, None)
    assert [entry["n"] for entry in AuditLog(folder).newest(2)] == [5, 4]
    assert (folder / FILE).stat().st_mode & 0o077 == 0


def test_it_goes_on_after_a_restart(folder: Path) -> None:
    AuditLog(folder).write(1, "desk", "operator", "unack", "alert-1", {})
    assert verify(folder) == (6, None)


def _lines(folder: Path) -> list[bytes]:
    return (folder / FILE).read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("at", range(5))
def test_a_changed_line_is_found(folder: Path, at: int) -> None:
    lines = _lines(folder)
    lines[at] = lines[at].replace(b'"operator"', b'"admin"')
    (folder / FILE).write_bytes(b"".join(lines))
    count, broken = verify(folder)
    assert broken is not None
    assert (count, broken.line) == (at, at + 1)


@pytest.mark.parametrize("at", range(5))
def test_a_line_that_was_taken_out_is_missed(folder: Path, at: int) -> None:
    lines = _lines(folder)
    del lines[at]
    (folder / FILE).write_bytes(b"".join(lines))
    assert verify(folder)[1] is not None


def test_a_line_put_in_and_a_cut_one_are_found(folder: Path) -> None:
    lines = _lines(folder)
    (folder / FILE).write_bytes(b"".join([*lines[:2], lines[1], *lines[2:]]))
    assert verify(folder)[1] is not None
    (folder / FILE).write_bytes(b"".join(lines)[:-20])
    assert verify(folder)[1] is not None


def test_a_missing_head_is_found(folder: Path) -> None:
    (folder / HEAD).unlink()
    assert verify(folder)[1] is not None


def test_a_kill_between_line_and_head_is_no_fault(folder: Path) -> None:
    head = (folder / HEAD).read_bytes()
    AuditLog(folder).write(1, "desk", "operator", "ack", "alert-9", {})
    (folder / HEAD).write_bytes(head)
    assert verify(folder) == (6, None)


def test_a_line_that_a_kill_tore_was_never_given(folder: Path) -> None:
    with (folder / FILE).open("ab") as out:
        out.write(b'{"n":6,"t":1')
    AuditLog(folder).write(1, "desk", "operator", "ack", "alert-9", {})
    assert verify(folder) == (6, None)


def test_the_command_tells_where_it_breaks(folder: Path) -> None:
    assert here("audit", "verify", folder).code == 0
    (folder / FILE).write_bytes(b"".join(_lines(folder)[1:]))
    ended = here("audit", "verify", folder)
    assert ended.code == 1
    assert "line 1" in ended.err
