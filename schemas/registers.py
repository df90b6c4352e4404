"""Registers and tables of relations on disk: read line by line, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from schemas.devices import lines
from schemas.documents import Problem
from schemas.metrics import METRICS, Metrics
from schemas.register import Register, RegisterError, parse_lines
from schemas.related import Relations
from schemas.related import lines as relation_lines
from schemas.related_files import parse_relation_lines

LONGEST_LINE = 64 * 1024
"""Bytes: the longest row that could be right has a hundredth of it."""

_BATCH = 4096


def read_register(
    path: Path,
    progress: Callable[[int], None] | None = None,
    *,
    metrics: Metrics = METRICS,
) -> Register:
    """Read a register's file.

    Parameters
    ----------
    path
        UTF-8, with or without a byte-order mark.
    progress
        Called now and then with the bytes read since it was called before.
    metrics
        What sensors may measure.

    Raises
    ------
    RegisterError
        With every problem at its line and column.
    """
    return parse_lines(read_lines(path, progress), str(path), metrics)


def read_lines(path: Path, progress: Callable[[int], None] | None = None) -> Iterator[bytes]:
    """The lines of a file with their ends, none of them longer than a row can be.

    Raises
    ------
    RegisterError
        It can not be read, or a line is longer.
    """
    try:
        yield from _lines_of(path, progress or (lambda size: None))
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise RegisterError([Problem(str(path), 0, 0, "", message)]) from error


def _lines_of(path: Path, progress: Callable[[int], None]) -> Iterator[bytes]:
    size = 0
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            size += len(line)
            if number % _BATCH == 0:
                progress(size)
                size = 0
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                message = f"a line longer than {LONGEST_LINE // 1024} KiB: is this a CSV file?"
                raise RegisterError([Problem(str(path), number, LONGEST_LINE + 1, "", message)])
            yield line
    progress(size)


def save_register(register: Register, path: Path) -> None:
    """Write a register in its canonical form; whoever reads the file sees the old one or the new.

    Raises
    ------
    OSError
        It can not be written; the old file is as it was.
    """
    save_lines(lines(register), path)


def save_lines(text: Iterable[str], path: Path) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    OSError
        It can not be written; the old file is as it was.
    """
    target = path.resolve()
    new = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with new.open("w", encoding="utf-8", newline="") as file:
            if target.exists():
                new.chmod(target.stat().st_mode & 0o777)
            file.writelines(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise


def read_relations(path: Path) -> Relations:
    """Read a table's file: UTF-8, with or without a byte-order mark.

    Raises
    ------
    RegisterError
        With every problem at its line and column.
    """
    return parse_relation_lines(read_lines(path), str(path))


def save_relations(table: Relations, path: Path) -> None:
    """Write a table in its canonical form; whoever reads the file sees the old one or the new.

    Raises
    ------
    OSError
        It can not be written; the old file is as it was.
    """
    save_lines(relation_lines(table), path)


def is_table(path: Path) -> bool:
    """Whether a file's first line names the columns of a table of relations."""
    try:
        with path.open("rb") as file:
            head = file.readline(1024).decode(errors="replace")
    except OSError:
        return False
    return "relation" in [name.strip(' "\ufeff\r\n') for name in head.split(",")]
