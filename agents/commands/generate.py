"""``cityvitals generate``: event logs of the simulated city, its register and the truth."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
import typer

from agents.commands.exits import BAD, Fault, guarded
from agents.commands.options import Json

if TYPE_CHECKING:
    from agents.city import Emission, Registered

_MINUTES, _DEVICES, _PERIOD_S = 120, 5000, 60


@guarded
def generate(
    folder: Annotated[Path, typer.Argument(help="Where to; missing or empty.")],
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")] = 7,
    minutes: Annotated[
        int | None,
        typer.Option("--minutes", min=1, help="Simulated minutes.", show_default=str(_MINUTES)),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option("--scale", help="Size of the city, up to 50.", show_default="1"),
    ] = None,
    episodes: Annotated[
        int | None,
        typer.Option(
            "--episodes",
            min=0,
            help="Planted episodes, all kinds in turn; they end within the run.",
            show_default="all that are planned, 17 a day",
        ),
    ] = None,
    readings: Annotated[
        int | None,
        typer.Option(
            "--readings", min=1, help="Plain sensor readings instead of a city, for load tests."
        ),
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(
            "--devices", min=1, help="Devices of the plain readings.", show_default=str(_DEVICES)
        ),
    ] = None,
    period: Annotated[
        int | None,
        typer.Option(
            "--period",
            min=1,
            help="Seconds between two plain readings of a device, from 10 without --profile.",
            show_default=str(_PERIOD_S),
        ),
    ] = None,
    profile: Annotated[
        Literal["bench"] | None,
        typer.Option(
            "--profile",
            help="bench: plain readings of PM2.5 out of order within 5 s, 1 % late (a tenth of "
            "them by 10 minutes and more), 0.1 % malformed, 5 % with keys shuffled or characters "
            "escaped; it says how many.",
        ),
    ] = None,
    suffix: Annotated[
        str, typer.Option("--suffix", help=".ndjson, .ndjson.gz or .ndjson.zst.")
    ] = ".ndjson",
    as_json: Json = False,
) -> None:
    """Write event logs of a simulated city, in order of arrival.

    One file a topic (TOPIC.ndjson), each event with its time of arrival as t_ingest;
    register.csv: its devices, some of which never speak; truth.json: what was planted (episodes,
    faults of devices, of events and of orders) and what the engine should find.

    **Examples**

    - `cityvitals generate ./city --minutes 180`

    - `cityvitals generate ./week --minutes 10080 --episodes 50`

    - `cityvitals generate ./big --scale 10 --suffix .ndjson.zst`

    - `cityvitals generate ./load --readings 2000000 && cityvitals replay ./load --json | tail -1`

    - `cityvitals generate ./rough --readings 1000000 --devices 100000 --period 5 --profile bench`
    """
    from agents.city import City, Disturbed, register_rows
    from streams.event_logs import SUFFIXES

    if suffix not in SUFFIXES:
        raise Fault(BAD, f"{suffix!r} is no suffix of event logs: use one of {', '.join(SUFFIXES)}")
    _require_fit(readings, [minutes, scale, episodes], [devices, period, profile])
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Fault(BAD, f"{folder} is not an empty folder: name another one, nothing was written")
    beside: dict[str, Any] = {}
    if readings is not None:
        batches = _plain_readings(
            seed, readings, devices or _DEVICES, period or _PERIOD_S, disturbed=profile is not None
        )
        lines = _write(folder, suffix, _followed(batches, readings, by_lines=True), [])
        if isinstance(batches, Disturbed):
            beside = {"planted": dict(batches.planted)}
    else:
        length = minutes or _MINUTES
        size = 1.0 if scale is None else scale
        try:
            run = None if episodes is None else length
            city = City(seed, size, episodes=episodes, minutes=run)
        except ValueError as error:
            raise Fault(BAD, f"--{error}") from error
        truth = city.truth(length)
        made = (city.minute(k) for k in range(length))
        lines = _write(folder, suffix, _followed(made, length), list(truth["events"]))
        registered = _write_register(folder / "register.csv", register_rows(size))
        beside = {"registered": registered, "episodes": len(truth["episodes"])}
        (folder / "truth.json").write_bytes(
            orjson.dumps(truth, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
    if as_json:
        told = {"folder": str(folder), "seed": seed, "lines": lines, **beside}
        print(orjson.dumps(told).decode())
        return
    print("\n".join(f"{folder / name}: {count:,} lines" for name, count in lines.items()))
    if "planted" in beside:
        print("planted: " + ", ".join(f"{n:,} {name}" for name, n in beside["planted"].items()))
    elif beside:
        print(f"{folder / 'register.csv'}: {beside['registered']:,} devices")
        print(f"{folder / 'truth.json'}: {beside['episodes']} episodes")


def _require_fit(
    readings: int | None, of_a_city: list[float | None], of_readings: list[int | str | None]
) -> None:
    if readings is not None and any(option is not None for option in of_a_city):
        what = "leave out --minutes, --scale and --episodes"
        raise Fault(BAD, f"--readings writes plain readings: {what}")
    names = ("--devices", "--period", "--profile")
    for name, option in zip(names, of_readings, strict=True):
        if readings is None and option is not None:
            raise Fault(BAD, f"{name} goes with --readings")


def _plain_readings(
    seed: int, count: int, devices: int, period_s: int, *, disturbed: bool
) -> Iterable[list[Emission]]:
    from agents.city import Disturbed, load_readings

    if disturbed:
        return Disturbed(seed, count, devices, period_s)
    try:
        return load_readings(seed, count, devices, period_s)
    except ValueError as error:
        raise Fault(BAD, f"--period: {error}") from error


def _write_register(path: Path, rows: list[Registered]) -> int:
    """Write the register, one line a device; the number of devices."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(rows[0]._fields)
        lines.writerows(rows)
    return len(rows)


def _write(
    folder: Path, suffix: str, batches: Iterable[list[Emission]], topics: list[str]
) -> dict[str, int]:
    """Write each emission to the log of its topic; the lines of each file."""
    from streams.event_logs import Writer

    counts: Counter[str] = Counter()
    with ExitStack() as held:
        writers: dict[str, Writer] = {}

        def writer(topic: str) -> Writer:
            if topic not in writers:
                writers[topic] = held.enter_context(Writer(folder, topic, suffix))
                counts[writers[topic].path.name] = 0
            return writers[topic]

        for topic in topics:
            writer(topic)
        for batch in batches:
            for emission in batch:
                log = writer(emission.topic)
                log.write(_stamped(emission))
                counts[log.path.name] += 1
    return dict(counts)


def _stamped(emission: Emission) -> bytes:
    """The event with its arrival as ``t_ingest``; damaged JSON stays as it is."""
    from streams.event_logs import head

    value = emission.value
    if head(value).key is None:
        return value
    return b'%s,"t_ingest":%d}' % (value[:-1], emission.arrival_ms)


def _followed(
    batches: Iterable[list[Emission]], total: int, *, by_lines: bool = False
) -> Iterator[list[Emission]]:
    """The batches, with a bar of progress on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("生成 generate", total=total)
        for batch in batches:
            yield batch
            bar.advance(task, len(batch) if by_lines else 1)
