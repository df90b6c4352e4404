"""A PostgreSQL of one's own: its programs are fetched once from Maven Central."""

from __future__ import annotations

import fcntl
import io
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tarfile
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from tests.kafka.broker_jars import MissingError, cache, java

POM = Path(__file__).with_name("pom.xml")
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"
_START_S = 60.0
# What stays beside it waits at a pipe: a line there dismisses it, the end of the starter ends both.
_GUARD = 'exec 3<&0; (read -r _ <&3 || kill -QUIT $$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null'


def programs() -> Path:
    """The archive of PostgreSQL's programs, fetched if it is not in the cache.

    Raises
    ------
    MissingError
        It can not be fetched, or this is no machine that they are for.
    """
    if os.uname().sysname != "Linux" or os.uname().machine != "x86_64":
        raise MissingError("the PostgreSQL of the tests is for Linux on x86_64")
    found = re.search(r"<postgres\.version>(.+)</postgres\.version>", POM.read_text("utf-8"))
    assert found is not None
    folder = cache().with_name(f"postgres-{found[1]}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            part = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            _fetch(part)
            part.rename(folder)
    (jar,) = folder.glob("*.jar")
    return jar


def _fetch(folder: Path) -> None:
    java()
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingError("Maven is missing: no `mvn` in PATH; install Apache Maven 3.8 or newer")
    command = [maven, "--batch-mode", "--strict-checksums", f"--file={POM}", _COPY]
    told = subprocess.run(
        [*command, f"-DoutputDirectory={folder}", "-DexcludeTransitive=true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        errors = [line for line in told.stdout.splitlines() if line.startswith("[ERROR]")]
        raise MissingError(f"PostgreSQL could not be fetched: {next(iter(errors), 'no reason')}")


class Server:
    """A server on a free loopback port, in a folder of its own that goes with it."""

    def __init__(self) -> None:
        archive = programs()
        self.folder = Path(mkdtemp(prefix="cityvitals-postgres-"))
        self.password = secrets.token_urlsafe(12)
        # It refuses to run as root; the folder of a test is not for others.
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.getuid())
        with zipfile.ZipFile(archive) as jar:
            (name,) = (name for name in jar.namelist() if name.endswith(".txz"))
            with tarfile.open(fileobj=io.BytesIO(jar.read(name)), mode="r:xz") as packed:
                packed.extractall(self.folder / "programs", filter="tar")
        secret = self.folder / "password"
        secret.write_text(self.password, "utf-8")
        for path in (self.folder, secret):
            os.chown(path, self._user.pw_uid, self._user.pw_gid)
        options = ["-U", "vitals", "-A", "scram-sha-256", f"--pwfile={secret}"]
        options += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        self._run(["initdb", "-D", str(self.folder / "data"), *options])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        return f"postgresql://vitals:{self.password}@127.0.0.1:{self.port}/postgres"

    def _as_user(self) -> dict[str, int | list[int]]:
        if os.geteuid():
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _command(self, words: list[str]) -> list[str]:
        return [str(self.folder / "programs" / "bin" / words[0]), *words[1:]]

    def _run(self, words: list[str]) -> None:
        told = subprocess.run(
            self._command(words),
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            **self._as_user(),  # type: ignore[arg-type]
        )
        assert told.returncode == 0, told.stderr

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        words = ["postgres", "-D", str(self.folder / "data"), "-p", str(self.port)]
        for setting in ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"):
            words += ["-c", setting]
        with (self.folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", _GUARD, "sh", *self._command(words)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as_user(),  # type: ignore[call-overload]
            )
        status = self.folder / "data" / "postmaster.pid"
        deadline = time.monotonic() + _START_S
        while True:
            if status.exists() and "ready" in status.read_text("utf-8"):
                return
            ended = self._process.poll() is not None or time.monotonic() > deadline
            assert not ended, (self.folder / "postgres.log").read_text("utf-8")
            time.sleep(0.05)

    def crash(self) -> None:
        """End it and its connections at once, without saving anything."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            assert self._process.stdin is not None
            with suppress(BrokenPipeError), self._process.stdin as dismissed:
                dismissed.write(b"\n")
            self._process = None

    def remove(self) -> None:
        self.crash()
        shutil.rmtree(self.folder)
