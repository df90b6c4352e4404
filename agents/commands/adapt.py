"""``cityvitals adapt``: what others send in forms of their own, as events for ``send``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from agents.commands.exits import BAD, FINDING, Fault, complain, drop_stdout, guarded
from agents.commands.options import Config, RegisterFile

if TYPE_CHECKING:
    from schemas.metrics import Metrics

app = typer.Typer(
    help="Make events of what others send: HJ 212, CAP 1.2, windows of the edge, video events.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Files = Annotated[
    list[Path], typer.Argument(help="Files, or - for standard input.", metavar="FILE…|-")
]


@app.command("hj212")
@guarded
def hj212(files: Files, register: RegisterFile = None, config: Config = None) -> None:
    """Readings of telegrams of HJ 212-2017, one a line, as events on standard output.

    Where a monitor stands is told by the register: a row with its MN as device, and the metric. A
    factor of a metric of your own is told by the hj212 of its entry, in --config.
    What is refused is told on standard error by file and line; the exit code is then 1.

    **Examples**

    - `cityvitals adapt hj212 telegrams.txt --register register.csv > city.sensor.v1.ndjson`

    - `nc -lk 9212 | cityvitals adapt hj212 - --register register.csv | cityvitals send - --topic
      city.sensor.v1`
    """
    from schemas.adapters.hj212 import parse, readings
    from schemas.registers import read_register

    if register is None:
        raise Fault(BAD, "telegrams do not say where a monitor stands: name a --register")
    metrics = _metrics(config)
    known = read_register(register, metrics=metrics)
    _print(files, _lines, lambda frame: readings(parse(frame), known.find, metrics))


@app.command("cap")
@guarded
def cap(files: Files) -> None:
    """Warnings in CAP 1.2, a message a file, as events on standard output: one for each area.

    **Examples**

    - `cityvitals adapt cap warning.xml | cityvitals send - --topic city.external.v1`
    """
    from schemas.adapters.cap import warnings

    _print(files, _wholes, warnings)


@app.command("edge")
@guarded
def edge(files: Files, config: Config = None) -> None:
    """Windows that were aggregated at the edge, one JSON object a line, as readings.

    An object has device, metric, t, n, min, max, mean and place; t_end, site, site_type, medium,
    source and sd if they are known. The mean becomes the value; signs of minima and maxima read the
    extremes that were stated. Metrics of your own are those of --config.

    **Examples**

    - `cityvitals adapt edge windows.ndjson > city.sensor.v1.ndjson`

    - `tail -F windows.ndjson | cityvitals adapt edge - | cityvitals send - --topic city.sensor.v1`
    """
    from schemas.adapters.edge import aggregate

    metrics = _metrics(config)
    _print(files, _lines, lambda line: aggregate(line, metrics))


@app.command("video")
@guarded
def video(files: Files) -> None:
    """Events of video analytics, one JSON object a line, as readings of ai_event.

    An object has camera, cls, t and place; conf, site and site_type if they are known. What a
    camera sees of the same class within ten minutes is one event: repeats are left out, and how
    many is told at the end.

    **Examples**

    - `cityvitals adapt video seen.ndjson > city.sensor.v1.ndjson`

    - `tail -F seen.ndjson | cityvitals adapt video - | cityvitals send - --topic city.sensor.v1`
    """
    from schemas.adapters.edge import Seen

    seen = Seen()
    try:
        _print(files, _lines, seen.reading)
    finally:
        if seen.repeats:
            complain(f"{seen.repeats:,} repeats within ten minutes were left out")


def _metrics(config: Path | None) -> Metrics:
    """The metrics of a configuration; without one, those of the product."""
    from schemas.loading import load
    from schemas.metrics import METRICS

    return METRICS if config is None else load(config).known_metrics


def _print(files: list[Path], pieces: Any, events: Any) -> None:
    """Print the events of all pieces; tell what is refused."""
    from schemas.refusal import Refused

    refused = 0
    for path in files:
        for where, piece in pieces(path):
            made: list[bytes] = []
            for event in _events(events, piece):
                if isinstance(event, Refused):
                    refused += 1
                    complain(f"{where}: {event.code}: {event}")
                else:
                    made.append(orjson.dumps(event))
            try:
                sys.stdout.buffer.write(b"".join(line + b"\n" for line in made))
                sys.stdout.buffer.flush()
            except BrokenPipeError:
                drop_stdout()
                raise typer.Exit from None
    if refused:
        complain(f"{refused:,} refused and not among the events")
        raise typer.Exit(FINDING)


def _events(events: Any, piece: bytes) -> Iterator[Any]:
    """What is made of a piece, with why the rest of it is not."""
    from schemas.refusal import Refused

    try:
        yield from events(piece)
    except Refused as error:
        yield error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Fault(BAD, f"{path}: {(error.strerror or 'can not be read').lower()}") from None


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """The lines that hold anything, with file and line."""
    if str(path) == "-":
        yield from _numbered("standard input", iter(sys.stdin.buffer))
    else:
        yield from _numbered(str(path), _read(path).splitlines())


def _numbered(name: str, lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield f"{name}:{number}", line.strip()


def _wholes(path: Path) -> Iterator[tuple[str, bytes]]:
    """The file as one piece."""
    if str(path) == "-":
        yield "standard input", sys.stdin.buffer.read()
    else:
        yield str(path), _read(path)
