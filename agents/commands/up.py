"""``cityvitals up``: the simulated city, the engine and the live view in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agents.commands.exits import guarded
from agents.commands.gateway import ShowToken
from agents.commands.options import FOLDER, PORT, Config, Data, Json, Port, Retain
from agents.commands.quantities import retention, seconds, speed
from agents.commands.stopping import STOP

if TYPE_CHECKING:
    from agents.engine import Engine
    from agents.feeds import CityFeed


@guarded
def up(
    data: Data = FOLDER,
    config: Config = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", help="Seed of the city; that of the data folder, else 7.", show_default=False
        ),
    ] = None,
    pace: Annotated[
        str, typer.Option("--speed", help="Simulated seconds in a second.", metavar="X")
    ] = "60",
    duration: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="Wall time to run, such as 60s or 5m; until Ctrl-C if not given.",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    retain: Retain = None,
    as_json: Json = False,
    port: Port = PORT,
    page: Annotated[
        bool, typer.Option("--page/--no-page", help="Serve the page, by a process of its own.")
    ] = True,
    show_token: ShowToken = False,
) -> None:
    """Run a simulated city and watch its vital signs.

    The city starts two simulated hours back at full speed, then goes on at --speed. A second run
    on the same folder continues where the last one stood. Ctrl-C ends it with a summary.

    With --json each result and each transition of an alert is one line, and the last line is one
    object with the accounting.

    **Examples**

    - `cityvitals up`

    - `cityvitals up --data ./demo --for 60s --speed 120`

    - `cityvitals up --json | jq -c 'select(.alert_id) | [.rule, .key, .state]'`
    """
    kept = retention(retain or [])
    rate, until = speed(pace), None if duration is None else seconds(duration)
    STOP.install()

    from agents.caller_keys import key_of
    from agents.commands.displays import choose
    from agents.commands.running import Run, execute
    from agents.plan import compile_plan
    from schemas.loading import load

    def feed(engine: Engine) -> CityFeed:
        from agents.city import City
        from agents.feeds import CityFeed, claim_seed

        return CityFeed(engine, City(claim_seed(engine.store, seed)), rate, until)

    configuration = load(config)
    if not configuration.register.devices:
        from agents.city.register import register_of

        configuration = configuration.with_register(register_of())
    folder = data.absolute()
    run = Run(
        plan=compile_plan(configuration, key_of(configuration)),
        folder=folder,
        shown=str(folder),
        retention=kept,
        port=port,
        display=choose(STOP, as_json=as_json),
        stop=STOP,
        config=config,
        pace=rate,
        page=page,
        show_token=show_token,
    )
    execute(run, feed)
