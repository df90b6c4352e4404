"""A JVM that belongs to a folder: one at a time, and none that is forgotten."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

OUTPUT = "broker.out"

_PID = "broker.pid"
_POLL_S = 0.02
_KILLED_S = 10.0

# The JVM takes the place of this shell and so has its process id; what stays behind waits at a
# pipe of the process that started it. A line there dismisses it; an end without one, however
# that process came to it, kills the JVM.
_GUARD = 'exec 3<&0; (read -r _ <&3 || kill -KILL $$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null'


class AlreadyRunningError(RuntimeError):
    """A broker runs on the folder, or is being started."""


class FolderProcess:
    """The process of a folder, whoever started it.

    It holds a lock on the file of its standard output, by inheritance: exactly as long as it
    lives, and no process id that was given away again is taken for it.

    Parameters
    ----------
    outlives
        Whether what is started here goes on when this process ends; else it is killed then.
    """

    def __init__(self, folder: Path, *, outlives: bool) -> None:
        self.folder = folder
        self._outlives = outlives
        self._started: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        try:
            with (self.folder / OUTPUT).open("rb") as output:
                fcntl.flock(output, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @contextmanager
    def claim(self) -> Iterator[BinaryIO]:
        """The file of its output, locked.

        Raises
        ------
        AlreadyRunningError
            If a living process has it.
        """
        with (self.folder / OUTPUT).open("ab") as output:
            try:
                fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise AlreadyRunningError(f"a broker already runs on {self.folder}") from error
            output.truncate(0)
            (self.folder / _PID).unlink(missing_ok=True)
            yield output

    def start(self, command: Sequence[str], output: BinaryIO) -> None:
        """Start it in a session of its own, with what `claim` gave."""
        guarded = () if self._outlives else ("sh", "-c", _GUARD, "sh")
        self._started = subprocess.Popen(
            [*guarded, *command],
            cwd=self.folder,
            stdin=subprocess.DEVNULL if self._outlives else subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        (self.folder / _PID).write_text(f"{self._started.pid}\n", "utf-8")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal.

        Raises
        ------
        RuntimeError
            If it is being started by another process, and is not there yet.
        """
        try:
            pid = int((self.folder / _PID).read_text("utf-8"))
        except FileNotFoundError as error:
            raise RuntimeError(f"the broker on {self.folder} is still being started") from error
        # It may end by itself at any time.
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def stop(self, timeout_s: float) -> bool:
        """Ask it to end, and kill it when the time is up; whether it ended by itself."""
        if self.running:
            self.send(signal.SIGTERM)
            self.send(signal.SIGCONT)
        stopped = self._ends_within(timeout_s)
        self.kill()
        return stopped

    def kill(self) -> None:
        if self.running:
            self.send(signal.SIGKILL)
        if not self._ends_within(_KILLED_S):
            raise RuntimeError(f"the broker on {self.folder} can not be killed")
        self._dismiss_guard()

    def _ends_within(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.running:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _dismiss_guard(self) -> None:
        if self._started is None:
            return
        if self._started.stdin is not None:
            # Before its process id can be given to another process.
            with suppress(BrokenPipeError), self._started.stdin as guard:
                guard.write(b"\n")
        self._started.wait()
        self._started = None
