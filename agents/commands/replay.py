"""``cityvitals replay``: recorded event logs, or the log of a data folder, through the engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from agents.commands.exits import BAD, Fault, guarded
from agents.commands.options import PORT, Config, Json, Port, RegisterFile, Retain, TopicName
from agents.commands.quantities import Retention, instant, retention, speed_or_max
from agents.commands.stopping import STOP
from schemas.spelling import guess

if TYPE_CHECKING:
    from agents.engine import Engine
    from agents.feeds import ReplayFeed
    from agents.plan import Plan
    from agents.recordings import Recording


@guarded
def replay(
    logs: Annotated[
        list[Path],
        typer.Argument(
            help="Event logs (TOPIC.ndjson, .gz, .zst) or folders of them; or one data folder.",
            metavar="LOG…",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Data folder to keep; a temporary one if not given.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    config: Config = None,
    register: RegisterFile = None,
    topic: TopicName = None,
    pace: Annotated[
        str,
        typer.Option("--speed", help="Recorded seconds in a second, or max.", metavar="X|max"),
    ] = "max",
    alert: Annotated[
        str | None,
        typer.Option(
            "--alert",
            help="Of a data folder: the transitions of this alert alone; its id, or the beginning.",
            metavar="ID",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            help="Of a data folder: stop once this event time has passed (RFC 3339).",
            metavar="TIME",
        ),
    ] = None,
    retain: Retain = None,
    as_json: Json = False,
    port: Port = PORT,
) -> None:
    """Replay recorded event logs: the same logs give the same signs and alerts.

    The topic of a log is its file name, unless --topic names it. Several logs are merged by their
    log timestamps. Without --data nothing is kept. A `register.csv` in the folder of the logs says
    which devices are expected, where neither --register nor the configuration does; a
    `relations.csv` there says how keys are related, where the configuration does not.

    A data folder of `up` or `replay` is replayed from its own log, as far as its engine has come;
    it is not changed, and may be in use. With --alert the bytes are compared with those that stand
    in it: exit code 1 says that they differ.

    **Examples**

    - `cityvitals replay city.sensor.v1.ndjson.zst`

    - `cityvitals replay ./recorded --speed 60 --data ./replayed`

    - `cityvitals replay readings.ndjson --topic city.sensor.v1 --json | tail -1`

    - `cityvitals replay ./cityvitals-data --alert 3f2a9c0d --json`
    """
    kept, rate = retention(retain or []), speed_or_max(pace)
    folder = _data_folder(logs)
    if folder is None and (alert or until):
        raise Fault(BAD, "--alert and --until go with a data folder, not with event logs")
    if folder is not None and (topic or register or rate is not None):
        raise Fault(BAD, f"{folder} is a data folder: leave out --topic, --register and --speed")
    if folder is not None:
        last = None if until is None else instant(until)
        with _kept_in(data) as place:
            _replay_folder(folder, place, config, kept, port, (alert, last), as_json=as_json)
        return
    STOP.install()

    from agents.caller_keys import key_of
    from agents.commands.displays import choose_for_replay
    from agents.commands.expectations import with_named
    from agents.commands.running import Run, execute
    from agents.feeds import ReplayFeed
    from agents.plan import compile_plan
    from agents.recordings import logs_of
    from schemas.loading import load

    found = logs_of(logs, topic)
    beside = [path for path in logs if path.is_dir()]
    configuration = with_named(load(config), register, beside)
    plan = compile_plan(configuration, key_of(configuration))
    _require_inputs(plan, found)

    with _kept_in(data) as (folder, shown):
        feeds: list[ReplayFeed] = []

        def feed(engine: Engine) -> ReplayFeed:
            feeds.append(ReplayFeed(engine, found, rate))
            return feeds[-1]

        display = choose_for_replay(
            STOP,
            lambda: (feeds[-1].size, feeds[-1].lines) if feeds else (0, 0),
            total=_size(found),
            as_json=as_json,
        )
        execute(Run(plan, folder, shown, kept, port, display, STOP, config), feed)


@contextmanager
def _kept_in(data: Path | None) -> Iterator[tuple[Path, str]]:
    """The data folder of a replay, and how it is called in messages."""
    if data is not None:
        yield data.absolute(), str(data.absolute())
        return
    with TemporaryDirectory(prefix="cityvitals-") as folder:
        yield Path(folder), "a temporary folder, removed at the end; keep it with --data"


def _data_folder(logs: list[Path]) -> Path | None:
    """The data folder that is to be replayed; none where event logs are."""
    from agents.commands.folder import is_data_folder

    folders = [path for path in logs if is_data_folder(path)]
    if folders and len(logs) > 1:
        raise Fault(BAD, f"{folders[0]} is a data folder: replay it alone")
    return folders[0] if folders else None


def _replay_folder(
    folder: Path,
    place: tuple[Path, str],
    config: Path | None,
    kept: Retention,
    port: int,
    wanted: tuple[str | None, int | None],
    *,
    as_json: bool,
) -> None:
    STOP.install()
    from agents.caller_keys import key_of
    from agents.commands.expectations import kept as with_kept
    from agents.commands.folder import opened
    from agents.commands.past import Request, replay_folder
    from agents.plan import compile_plan
    from schemas.loading import load

    with opened(folder) as store:
        configuration = with_kept(store, load(config))
    plan = compile_plan(configuration, key_of(configuration))
    replay_folder(Request(folder, *place, plan, config, kept, port, as_json, *wanted), STOP)


def _require_inputs(plan: Plan, logs: list[Recording]) -> None:
    for name, partition, path in logs:
        known = plan.topics.get(name)
        if known is None:
            raise Fault(
                BAD,
                f"{path}: {name} is no input topic{guess(name, plan.topics) or ';'} name "
                f"one of {', '.join(plan.topics)} with --topic",
            )
        if partition is not None and partition >= known.topic.partitions:
            raise Fault(
                BAD, f"{path}: {name} has {known.topic.partitions} partitions, none is {partition}"
            )


def _size(logs: list[Recording]) -> int | None:
    """Bytes to replay; None where a log is packed and nobody knows."""
    if any(path.suffix != ".ndjson" for _, _, path in logs):
        return None
    return sum(path.stat().st_size for _, _, path in logs)
