"""What the commands have in common that can reach a Kafka: options, plan, settings, faults."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.commands.exits import BAD, ENVIRONMENT, Fault
from agents.commands.options import FOLDER

if TYPE_CHECKING:
    from agents.plan import Plan
    from schemas.kafka import Kafka

_BROKER = "CITYVITALS__KAFKA__BROKER"

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Data folder.", metavar="DIR", show_default=str(FOLDER)),
]
KafkaConfig = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Configuration whose Kafka is meant, instead of a data folder.",
        metavar="PATH",
        show_default=False,
    ),
]


def folder_of(data: Path | None, config: Path | None) -> Path | None:
    """The data folder that is meant; none where a configuration says which Kafka."""
    if data is not None and config is not None:
        raise Fault(BAD, "--data names a folder and --config a Kafka: leave one of them out")
    return (data or FOLDER) if config is None else None


def plan_of(config: Path | None) -> Plan:
    """A configuration, loaded and compiled."""
    from agents.plan import compile_plan
    from schemas.loading import load

    return compile_plan(load(config))


def settings_of(kafka: Kafka) -> dict[str, str | int]:
    """Of a client of confluent_kafka.

    Raises
    ------
    Fault
        A file that the configuration names can not be used.
    """
    from streams.kafka.connection import ConnectionSettingError, client_settings

    try:
        return client_settings(kafka)
    except ConnectionSettingError as error:
        raise Fault(BAD, str(error)) from error


@contextmanager
def cluster_faults() -> Iterator[None]:
    """What a cluster can not do, or refuses, ends the command with a message."""
    from streams.kafka.topics import AwayError, ClusterError, MissingTopicError

    try:
        yield
    except AwayError as error:
        hint = f"; {_BROKER} stands above the configuration" if _BROKER in os.environ else ""
        raise Fault(ENVIRONMENT, f"{error}{hint}") from error
    except MissingTopicError as error:
        hint = "`cityvitals topics create` makes what is missing"
        raise Fault(ENVIRONMENT, f"{error}: {hint}") from error
    except ClusterError as error:
        raise Fault(ENVIRONMENT, str(error)) from error
