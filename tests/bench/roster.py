"""The engines that can be compared, in the order of the table."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.bench import installs, own
from tests.bench.engines import PEERS, CannotRunError, Engine, Place, Run, run_peer
from tests.bench.job import OWN_QUERY

_OPENED = [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in ("lang", "util")]
_JVM = {"Flink": ["-Xmx4g", *_OPENED], "Streams": ["-Xmx4g"]}
_FINAL_ONLY = "waits 35 s and sends each window once"
_LATE_LEFT_IN = "takes events however late"
_NO_LOG = "keeps no change log"
_NO_OFFSETS = "commits no offsets"
_READ_ONCE = f"{_LATE_LEFT_IN}; reads what is there, then sends; {_NO_OFFSETS}"
_ONE_PROCESS = (
    "device windows by its own operator; hops and roll-up in its process, in plain Python"
)


def engines(folder: Path) -> dict[str, Engine]:
    """Every engine by its name; peers are installed in ``folder``."""
    label = f"City Vitals {version('cityvitals')}"
    quix = ("quixstreams==3.28.1", "msgspec==0.22.0")
    bytewax = ("bytewax==0.21.1", "confluent-kafka==2.16.1", "msgspec==0.22.0")
    streams = f"{_FINAL_ONLY}; {_NO_LOG}"
    listed = [
        Engine("cityvitals", label, own.run, _nothing, query=OWN_QUERY),
        _here("faust", "plain_faust", "faust-streaming", "panes in dictionaries of one agent"),
        _python(folder, "quix", "quix", quix, f"{_ONE_PROCESS}; {_NO_LOG}"),
        _python(folder, "bytewax", "bytewax_flow", bytewax, f"{_ONE_PROCESS}; {_NO_OFFSETS}"),
        _python(folder, "pathway", "pathway_flow", ("pathway==0.33.0",), _READ_ONCE),
        _java(folder, "flink", "Flink", "flink-clients", _FINAL_ONLY),
        _java(folder, "kafka-streams", "Streams", "kafka-streams", streams),
        _here("duckdb", "duckdb_batch", "duckdb", _LATE_LEFT_IN, batch=True),
        _python(folder, "polars", "polars_batch", ("polars==2.1.0",), _LATE_LEFT_IN, batch=True),
    ]
    return {engine.name: engine for engine in listed}


def _nothing() -> None:
    """What this environment has needs no installation."""


def _here(name: str, script: str, package: str, note: str, *, batch: bool = False) -> Engine:
    """A peer that this environment has."""

    def run(place: Place) -> Run:
        return run_peer([sys.executable, str(PEERS / f"{script}.py")], place, name=name)

    def ready() -> None:
        if found is None:
            raise CannotRunError(f"{package} is missing: pip install -e '.[test]'")

    found = _version_of(package)
    label = package if found is None else f"{package} {found}"
    return Engine(name, label, run, ready, batch, note)


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _python(
    folder: Path,
    name: str,
    script: str,
    requirements: tuple[str, ...],
    note: str,
    *,
    batch: bool = False,
) -> Engine:
    """A peer with an environment of its own."""

    def run(place: Place) -> Run:
        python = installs.python_of(folder, name, requirements)
        return run_peer([str(python), str(PEERS / f"{script}.py")], place, name=name)

    def ready() -> None:
        installs.python_of(folder, name, requirements)

    return Engine(name, requirements[0].replace("==", " "), run, ready, batch, note)


def _java(folder: Path, name: str, source: str, artifact: str, note: str) -> Engine:
    """A peer of one Java source."""
    command: Callable[[], list[str]] = lambda: installs.java_of(folder, source)  # noqa: E731

    def run(place: Place) -> Run:
        java, *classes = command()
        return run_peer([java, *_JVM[source], *classes, source], place, name=name)

    def ready() -> None:
        command()

    label = f"{name} {installs.version_of(source, artifact)}"
    return Engine(name, label, run, ready, False, note)
