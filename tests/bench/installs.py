"""Peers are installed on first use, at pinned versions, each in a folder of its own in a cache."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench.engines import PEERS, CannotRunError, java_command
from tests.kafka.broker_jars import cache

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def peers_folder() -> Path:
    """Where peers are installed if nothing else is said: beside the jars of Kafka."""
    return cache().parent / "peers"


def python_of(folder: Path, name: str, requirements: tuple[str, ...]) -> Path:
    """The Python of a peer's own environment, made if it is not there.

    Raises
    ------
    CannotRunError
        If it can not be made; the text has pip's last line.
    """
    home = folder / f"{name}-{_digest(*requirements, sys.version)}"
    python = home / "bin" / "python"
    if (home / "complete").exists():
        return python
    say(f"{name}: installing {', '.join(requirements)} into {home}")
    shutil.rmtree(home, ignore_errors=True)
    _run(name, [sys.executable, "-m", "venv", str(home)])
    _run(name, [str(python), "-m", "pip", "install", "--quiet", *requirements])
    (home / "complete").touch()
    return python


def java_of(folder: Path, name: str) -> list[str]:
    """The command that runs a peer of one Java source, fetched and compiled if that was not done.

    Raises
    ------
    CannotRunError
        If Java or Maven is missing, or either fails.
    """
    java, javac = java_command("java"), java_command("javac")
    source, pom = PEERS / f"{name}.java", PEERS / f"{name}.pom.xml"
    jars = folder / f"{name.lower()}-{_digest(pom.read_text('utf-8'))}"
    if not (jars / "complete").exists():
        maven = shutil.which("mvn")
        if maven is None:
            raise CannotRunError("Maven is missing: no `mvn` in PATH; install 3.8 or newer")
        say(f"{name}: fetching its jars from Maven Central into {jars}")
        shutil.rmtree(jars, ignore_errors=True)
        options = ["--batch-mode", "--quiet", "--strict-checksums", f"--file={pom}"]
        _run(name, [maven, *options, _COPY, f"-DoutputDirectory={jars}"])
        (jars / "complete").touch()
    classes = jars / f"classes-{_digest(source.read_text('utf-8'))}"
    if not classes.exists():
        part = classes.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        _run(name, [javac, "-nowarn", "-cp", f"{jars}/*", "-d", str(part), str(source)])
        part.rename(classes)
    return [java, "-cp", f"{classes}:{jars}/*"]


def version_of(name: str, artifact: str) -> str:
    """The version of an artifact that the POM of a Java peer pins."""
    text = (PEERS / f"{name}.pom.xml").read_text("utf-8")
    found = re.search(rf"<artifactId>{artifact}</artifactId>\s*<version>(.+)</version>", text)
    assert found is not None, artifact
    return found[1]


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]


def _run(name: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines() or ["nothing"]
        errors = [line for line in lines if "error" in line.lower()] or lines[-1:]
        tool = Path(command[0]).name
        raise CannotRunError(f"{name} could not be installed: {tool} said: {errors[0][:300]}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
