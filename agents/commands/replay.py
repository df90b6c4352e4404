"""``cityvitals replay``: recorded event logs through the engine."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from agents.commands.exits import BAD, Fault, guarded
from agents.commands.options import PORT, Config, Json, Port, Retain, TopicName
from agents.commands.quantities import retention, speed_or_max
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
            help="Event logs (TOPIC.ndjson, .gz, .zst), or folders of them.", metavar="LOG…"
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
    topic: TopicName = None,
    pace: Annotated[
        str,
        typer.Option("--speed", help="Recorded seconds in a second, or max.", metavar="X|max"),
    ] = "max",
    retain: Retain = None,
    as_json: Json = False,
    port: Port = PORT,
) -> None:
    """Replay recorded event logs: the same logs give the same signs and alerts.

    The topic of a log is its file name, unless --topic names it. Several logs are merged by their
    log timestamps. Without --data nothing is kept.

    **Examples**

    - `cityvitals replay city.sensor.v1.ndjson.zst`

    - `cityvitals replay ./recorded --speed 60 --data ./replayed`

    - `cityvitals replay readings.ndjson --topic city.sensor.v1 --json | tail -1`
    """
    kept, rate = retention(retain or []), speed_or_max(pace)
    STOP.install()

    from agents.commands.displays import choose_for_replay
    from agents.commands.running import Run, execute
    from agents.feeds import ReplayFeed
    from agents.plan import compile_plan
    from agents.recordings import logs_of
    from schemas.loading import load

    found = logs_of(logs, topic)
    plan = compile_plan(load(config))
    _require_inputs(plan, found)

    with ExitStack() as held:
        if data is None:
            folder = Path(held.enter_context(TemporaryDirectory(prefix="cityvitals-")))
            shown = "a temporary folder, removed at the end; keep it with --data"
        else:
            folder = data.absolute()
            shown = str(folder)
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
        execute(Run(plan, folder, shown, kept, port, display, STOP), feed)


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
