"""The audit log: who changed what, each line bound to the one before it.

A line that was changed, taken out or put in between breaks the chain; one taken from the end is
missed by the head, which stands in a file of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import orjson

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
        if self._n and verify(folder)[1] is None:
            self._keep_head()

    def _drop_torn(self) -> None:
        """Take back the beginning of a line that a kill tore, if the head has never heard of it."""
        path, head = self._folder / FILE, self._folder / HEAD
        if not path.is_file():
            return
        whole, end, torn = path.read_bytes().rpartition(b"\n")
        known = int(head.read_text().partition(" ")[0]) if head.is_file() else 0
        # The head may be one behind, where a kill came between the two.
        if torn and whole.count(b"\n") + bool(end) in (known, known + 1):
            os.truncate(path, len(whole) + len(end))

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
            for line in lines:
                try:
                    yield orjson.loads(line)
                except orjson.JSONDecodeError:
                    return


def verify(folder: Path) -> tuple[int, Broken | None]:
    """How many entries hold together, and where the chain breaks."""
    last, n, path = _BEGINNING, 0, folder / FILE
    if path.is_file():
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    entry = orjson.loads(line)
                except orjson.JSONDecodeError:
                    return n, Broken(number, "is no JSON: it was cut or overwritten")
                if entry.get("prev") != last or entry.get("n") != number:
                    why = "does not follow the line before it: one was taken out or put in"
                    return n, Broken(number, why)
                if entry.get("hash") != _hash(entry):
                    return n, Broken(number, "was changed: its hash is of other content")
                last, n = entry["hash"], number
    head = folder / HEAD
    if head.is_file():
        known, _, digest = head.read_text().strip().partition(" ")
        # The head is written after the line: it may be one behind, never ahead.
        if int(known) > n or (int(known) == n and digest != last):
            return n, Broken(n + 1, f"is missing: there were {known} entries")
    elif n:
        return n, Broken(n, f"{HEAD} is missing: whether lines were cut off can not be told")
    return n, None
