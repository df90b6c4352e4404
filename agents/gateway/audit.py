"""The audit log: who changed what, each line bound to the one before it.

A line that was changed, taken out or put in between breaks the chain; one taken from the end is
missed by the head, which stands in a file of its own.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import orjson

log = logging.getLogger("cityvitals.gateway")

FILE, HEAD = "audit.ndjson", "audit.head"
_BEGINNING = "0" * 64


class Broken(NamedTuple):
    """Where a chain does not hold, and why."""

    line: int
    why: str


def _hash(entry: dict[str, Any]) -> str:
    body = {name: value for name, value in entry.items() if name != "hash"}
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


class AuditLog:
    """The log in a folder that only its owner reads.

    One that is broken is told, and goes on from its last entry.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> folder = TemporaryDirectory()
    >>> log = AuditLog(Path(folder.name))
    >>> log.write(1772402400000, "desk", "operator", "ack", "dfadb92f", {"reason": "on my way"})
    >>> verify(Path(folder.name))
    (1, None)
    >>> folder.cleanup()
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._lock = folder, Lock()
        self._n, self._last = 0, _BEGINNING
        self._drop_torn()
        for entry in entries(folder):
            self._n, self._last = entry["n"], entry["hash"]
        self._broken = verify(folder)[1]
        if self._broken is not None:
            told = "the audit log is broken, and goes on behind its last entry: %s: line %d %s"
            log.warning(told, folder / FILE, self._broken.line, self._broken.why)
        self._keep_head()

    def _drop_torn(self) -> None:
        """Take back the beginning of a line that a kill tore, if the head has never heard of it.

        If it has, the line is ended: the next one stands for itself.
        """
        path = self._folder / FILE
        if not path.is_file():
            return
        whole, end, torn = path.read_bytes().rpartition(b"\n")
        known, _ = _head(self._folder) or (0, "")
        # The head may be one behind, where a kill came between the two.
        if torn and whole.count(b"\n") + bool(end) in (known, known + 1):
            os.truncate(path, len(whole) + len(end))
        elif torn:
            self._append(b"\n")

    def write(
        self, t: int, who: str, role: str, action: str, target: str, detail: dict[str, Any]
    ) -> None:
        """Append one change; ``t`` in int64 ms UTC of the wall clock.  Durable when it returns."""
        with self._lock:
            entry: dict[str, Any] = {
                "n": self._n + 1,
                "t": t,
                "who": who,
                "role": role,
                "action": action,
                "target": target,
                "detail": detail,
                "prev": self._last,
            }
            entry["hash"] = _hash(entry)
            self._append(orjson.dumps(entry) + b"\n")
            self._n, self._last = self._n + 1, entry["hash"]
            self._keep_head()

    def _append(self, line: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        file = os.open(self._folder / FILE, flags, 0o600)
        size = os.fstat(file).st_size
        try:
            if os.write(file, line) < len(line):
                raise OSError("the disk is full")
            os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            raise
        finally:
            os.close(file)

    def _keep_head(self) -> None:
        """Note how far the log goes; that of a broken one stays, or nothing might be missed."""
        if self._broken is not None or not self._n:
            return
        new = self._folder / f"{HEAD}.new"
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(file, f"{self._n} {self._last}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)
        new.replace(self._folder / HEAD)

    def newest(self, most: int) -> list[dict[str, Any]]:
        """The last entries, the newest first."""
        return list(deque(entries(self._folder), maxlen=most))[::-1]


def entries(folder: Path) -> Iterator[dict[str, Any]]:
    """All entries that can be read, in order."""
    path = folder / FILE
    if path.is_file():
        with path.open("rb") as lines:
            yield from filter(None, map(_entry, lines))


def _entry(line: bytes) -> dict[str, Any] | None:
    """The entry of a line; None where it holds none."""
    try:
        found = orjson.loads(line)
        # A bool is an int too.
        whole = type(found["n"]) is int and {type(found["prev"]), type(found["hash"])} == {str}
    except (ValueError, LookupError, TypeError):
        return None
    return found if whole else None


def _is_unchanged(entry: dict[str, Any]) -> bool:
    try:
        return bool(entry["hash"] == _hash(entry))
    except orjson.JSONEncodeError:
        return False  # nested deeper than anything that was ever written


def _head(folder: Path) -> tuple[int, str] | None:
    """How many entries the head knows, and the hash of the last; None where it tells nothing."""
    try:
        known, _, digest = (folder / HEAD).read_text().strip().partition(" ")
        return int(known), digest
    except (FileNotFoundError, ValueError):
        return None


def verify(folder: Path) -> tuple[int, Broken | None]:
    """How many entries hold together, and where the chain breaks."""
    before, last, n, path = "", _BEGINNING, 0, folder / FILE
    if path.is_file():
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                entry = _entry(line)
                if entry is None:
                    return n, Broken(number, "is no entry: it was cut or overwritten")
                if entry["prev"] != last or entry["n"] != number:
                    why = "does not follow the line before it: one was taken out or put in"
                    return n, Broken(number, why)
                if not _is_unchanged(entry):
                    return n, Broken(number, "was changed: its hash is of other content")
                before, last, n = last, entry["hash"], number
    head = _head(folder)
    if head is not None:
        # The head is written after the line: it may be one behind, never ahead.
        if head not in ((n, last), (n - 1, before)):
            return n, Broken(n + 1, f"does not follow what {HEAD} knows: {head[0]} entries")
    elif n > 1 or (folder / HEAD).exists():
        why = f"{HEAD} tells nothing: whether lines were cut off behind it can not be told"
        return n, Broken(n, why)
    return n, None
