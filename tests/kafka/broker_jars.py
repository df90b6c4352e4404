"""The jars of Apache Kafka: fetched once from Maven Central, kept in a cache."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
_OLDEST_JAVA = 17  # brokers of 4.x run on nothing older
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"


class MissingError(RuntimeError):
    """Something this machine must bring is not there; the text says what, and what to do."""


def version() -> str:
    """The version of Kafka that the POM names."""
    found = re.search(r"<kafka\.version>(.+)</kafka\.version>", POM.read_text("utf-8"))
    assert found is not None
    return found[1]


def java() -> str:
    """The command of a Java that is new enough.

    Raises
    ------
    MissingError
        If there is none.
    """
    wanted = f"Java {_OLDEST_JAVA} or newer"
    install = f"install {wanted} and put it on PATH, or name its folder in JAVA_HOME"
    home = os.environ.get("JAVA_HOME")
    command = shutil.which("java", path=f"{home}/bin" if home else None)
    if command is None:
        place = f"JAVA_HOME ({home})" if home else "PATH"
        raise MissingError(f"{wanted} is missing: no `java` in {place}; {install}")
    told = subprocess.run([command, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', told.stderr)
    if found is None or int(found[1]) < _OLDEST_JAVA:
        first = told.stderr.partition("\n")[0] or "nothing"
        raise MissingError(f"{wanted} is missing: {command} says {first}; {install}")
    return command


def cache() -> Path:
    """The folder that keeps the jars of this version, there or not."""
    own, shared = os.environ.get("CITYVITALS_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        folder = Path(own)
    else:
        folder = (Path(shared) if shared else Path.home() / ".cache") / "cityvitals"
    return folder.absolute() / f"kafka-{version()}"


def jars() -> Path:
    """The folder of the jars, fetched if they are not in the cache.

    Raises
    ------
    MissingError
        If they can not be fetched.
    """
    folder = cache()
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another process may have fetched them while this one waited.
        if not folder.exists():
            part = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            _fetch(part)
            part.rename(folder)
    return folder


def _fetch(folder: Path) -> None:
    java()
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingError(
            "Maven is missing: no `mvn` in PATH; install Apache Maven 3.8 or newer, or set "
            f"CITYVITALS_CACHE to a folder that has kafka-{version()}"
        )
    _say(f"Apache Kafka {version()}: fetching from Maven Central into {folder.parent}")
    command = [maven, "--batch-mode", "--strict-checksums", f"--file={POM}"]
    goal = [_COPY, f"-DoutputDirectory={folder}"]
    told: list[str] = []
    with subprocess.Popen(
        [*command, *goal], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if fetched := re.match(r"\[INFO\] Downloaded from .*/(\S+\.jar) (\(.*\))", line):
                _say(f"  {fetched[1]} {fetched[2]}")
            told.append(line.rstrip())
    if process.returncode:
        errors = [line for line in told if line.startswith("[ERROR]")] or told
        first = next(iter(errors), "nothing")
        raise MissingError(
            f"Apache Kafka {version()} could not be fetched: `mvn` ended with "
            f"{process.returncode}; see that Maven Central (or the mirror in Maven's settings) "
            f"can be reached, then try again. Maven said:\n  {first}"
        )
    _say(f"Apache Kafka {version()}: {len(list(folder.iterdir()))} jars")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
