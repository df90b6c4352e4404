"""The commands and their order in the help."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from agents.commands import (
    adapt,
    audit,
    catalogue,
    check,
    deadletters,
    doctor,
    documents,
    explain,
    gateway,
    generate,
    marks,
    register,
    replay,
    send,
    standing,
    topics,
    up,
    worker,
)

app = typer.Typer(
    name="cityvitals",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="City Vitals: a city's raw events become vital signs and alerts, in real time.",
    epilog="Exit codes: 0 ok, 1 a finding, 2 bad configuration or usage, 3 environment.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cityvitals {version('cityvitals')}")
        raise typer.Exit


@app.callback()
def root(
    shown: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """City Vitals."""


app.command("up")(up.up)
app.command("worker")(worker.worker)
app.command("gateway")(gateway.gateway)
app.command("replay")(replay.replay)
app.command("send")(send.send)
app.add_typer(adapt.app, name="adapt")
app.command("vitals")(standing.vitals)
app.command("alerts")(standing.alerts)
app.command("explain")(explain.explain)
app.command("ack")(marks.ack)
app.command("shelve")(marks.shelve)
app.command("check")(check.check)
app.command("catalogue")(catalogue.catalogue)
app.command("generate")(generate.generate)
app.add_typer(deadletters.app, name="deadletter")
app.add_typer(topics.app, name="topics")
app.add_typer(register.app, name="register")
app.add_typer(audit.app, name="audit")
app.command("doctor")(doctor.doctor)
app.command("schemas")(documents.schemas)
