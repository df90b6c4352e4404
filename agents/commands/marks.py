"""``cityvitals ack`` and ``cityvitals shelve``: what a person decides about an alert."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from agents.commands.exits import BAD, Fault, complain, guarded
from agents.commands.kafka_options import Data, KafkaConfig
from agents.commands.options import Json
from agents.commands.quantities import seconds
from agents.commands.wording import MARKED

if TYPE_CHECKING:
    from schemas.command import CommandKind
    from schemas.refusal import Refused

Which = Annotated[
    str,
    typer.Argument(help="Id of an alert, or its first digits.", metavar="ALERT"),
]
Name = Annotated[str, typer.Option("--name", help="Who decides.", metavar="NAME")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in one line.", metavar="TEXT")]
Undo = Annotated[bool, typer.Option("--undo", help="Take it back.")]


@guarded
def ack(
    alert: Which,
    name: Name,
    reason: Reason,
    undo: Undo = False,
    data: Data = None,
    config: KafkaConfig = None,
    as_json: Json = False,
) -> None:
    """Acknowledge an alert: somebody knows of it.

    It goes on as it would have, and is acknowledged until it clears or gets worse than it was
    then. `cityvitals explain` tells by whom and why.

    **Examples**

    - `cityvitals ack 3f2a9c0d --name "duty desk" --reason "pumps are on their way"`

    - `cityvitals ack 3f2a9c0d --undo --name "duty desk" --reason "they are not"`
    """
    kind: CommandKind = "unack" if undo else "ack"
    _give(kind, alert, name, reason, None, data, config, as_json=as_json)


@guarded
def shelve(
    alert: Which,
    name: Name,
    reason: Reason,
    length: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="How long, in the city's time: 1m to 24h.",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    undo: Undo = False,
    data: Data = None,
    config: KafkaConfig = None,
    as_json: Json = False,
) -> None:
    """Shelve an alert for a while: it goes on as it would have, and is listed last.

    **Examples**

    - `cityvitals shelve 3f2a9c0d --for 30m --name "duty desk" --reason "works on the gauge"`

    - `cityvitals shelve 3f2a9c0d --undo --name "duty desk" --reason "works are over"`
    """
    if undo == (length is not None):
        raise Fault(BAD, "say how long with --for, such as --for 30m, or --undo: one of the two")
    minutes = None if length is None else seconds(length) / 60
    kind: CommandKind = "unshelve" if undo else "shelve"
    _give(kind, alert, name, reason, minutes, data, config, as_json=as_json)


def _give(
    kind: CommandKind,
    word: str,
    name: str,
    reason: str,
    minutes: float | None,
    data: Path | None,
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    from agents.commanding import bytes_of, command_of
    from agents.commands.desks import reached
    from agents.commands.naming import alert_named
    from schemas.refusal import Refused

    with reached(data, config) as desk:
        latest = alert_named(desk.alerts, word)
        alert: dict[str, Any] = orjson.loads(latest.value)
        said = name, reason, minutes, desk.now(), uuid.uuid4().hex
        try:
            command = command_of(kind, alert, *said)
        except Refused as refused:
            raise Fault(BAD, _in_words(refused)) from None
        told = desk.put(latest.key, bytes_of(command))
    if as_json:
        print(orjson.dumps({**orjson.loads(bytes_of(command)), **told}).decode())
        return
    print(f"{MARKED[kind]}  {alert['alert_id']}")
    complain("it counts from the next window on: `cityvitals explain` with the id tells of it")


def _in_words(refused: Refused) -> str:
    options = {"$.name": "--name", "$.reason": "--reason", "$.until": "--for"}
    return f"{options.get(refused.where, 'the alert')} {refused.hint}"
