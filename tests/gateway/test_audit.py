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


_NESTED = b'{"n":1,"prev":"%s","hash":"","detail":%s%s}' % (b"0" * 64, b"[" * 600, b"]" * 600)


@pytest.mark.parametrize("at", [0, 3, 5])
@pytest.mark.parametrize(
    "line",
    [b"[]", b"123", b"null", b'"n"', b'{"a":1}', b'{"n":true,"prev":"","hash":""}', b"\xff",
     b'{"n":6,"prev":1,"hash":2}', b"", _NESTED],
    ids=range(10),
)  # fmt: skip
def test_a_line_that_is_no_entry_is_found_and_the_gateway_goes_on(
    folder: Path, line: bytes, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    lines = _lines(folder)
    (folder / FILE).write_bytes(b"".join([*lines[:at], line + b"\n", *lines[at:]]))
    count, broken = verify(folder)
    assert broken is not None
    assert (count, broken.line) == (at, at + 1)
    ended = here("audit", "verify", folder)
    assert ended.code == 1
    assert f"line {at + 1} " in ended.err

    log = AuditLog(folder)
    assert f"broken, and goes on behind its last entry: {folder / FILE}: line {at + 1}" in (
        caplog.text
    )
    log.write(1, "desk", "operator", "ack", "alert-9", {})
    assert log.newest(1)[0]["target"] == "alert-9"
    assert log.newest(1)[0]["n"] == (2 if line == _NESTED and at == 5 else 6)
    # What was broken stays so.
    assert verify(folder) == (count, broken)


def test_a_line_that_was_cut_stands_alone(folder: Path) -> None:
    (folder / FILE).write_bytes(b"".join(_lines(folder))[:-20])
    log = AuditLog(folder)
    log.write(1, "desk", "operator", "ack", "alert-9", {})
    assert [entry["target"] for entry in log.newest(2)] == ["alert-9", "alert-3"]
    _, broken = verify(folder)
    assert broken is not None
    assert broken.line == 5


@pytest.mark.parametrize("head", [b"", b"five", b"\xff", None])
def test_a_head_that_tells_nothing_is_found(folder: Path, head: bytes | None) -> None:
    if head is None:
        (folder / HEAD).unlink()
    else:
        (folder / HEAD).write_bytes(head)
    _stays_broken(folder)


@pytest.mark.parametrize("kept", range(5))
def test_lines_cut_from_the_end_are_missed_whatever_comes_then(folder: Path, kept: int) -> None:
    (folder / FILE).write_bytes(b"".join(_lines(folder)[:kept]))
    _stays_broken(folder)


def _stays_broken(folder: Path) -> None:
    for n in range(4):
        assert verify(folder)[1] is not None
        log = AuditLog(folder)
        for _ in range(n):
            log.write(1, "desk", "operator", "ack", "alert-9", {})
            assert verify(folder)[1] is not None


def test_a_kill_before_the_first_head_is_no_fault(tmp_path: Path) -> None:
    AuditLog(tmp_path).write(1, "desk", "operator", "ack", "alert-9", {})
    (tmp_path / HEAD).unlink()
    AuditLog(tmp_path).write(1, "desk", "operator", "ack", "alert-9", {})
    assert verify(tmp_path) == (2, None)


def test_where_nothing_was_changed_there_is_nothing_to_find(tmp_path: Path) -> None:
    assert "no gateway ran here" in here("audit", "verify", tmp_path).err
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "history.db").touch()
    told = here("audit", "verify", tmp_path)
    assert (told.code, told.out) == (0, "no entry yet: nothing was changed over the gateway\n")
    # A head without its log is one that was taken away.
    (tmp_path / "gateway" / HEAD).write_text("1 abc\n", "utf-8")
    assert here("audit", "verify", tmp_path).code == 1
