"""``cityvitals doctor``: is all there that City Vitals needs, and what to do where it is not."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import typer

from agents.commands import checks
from agents.commands.checks import Check
from agents.commands.exits import ENVIRONMENT, FINDING, Fault, guarded
from agents.commands.options import FOLDER, Config, Json
from agents.commands.topics import MARKS, STYLES

if TYPE_CHECKING:
    from agents.plan import Plan
    from schemas.kafka import Kafka

_BRIEF_S = 2.0


@guarded
def doctor(config: Config = None, as_json: Json = False) -> None:
    """Look at all that City Vitals needs: this machine, the configuration, Kafka.

    ✓ is well, ! is worth knowing, ✗ is to be mended. Exit code 1 with something to mend, 3 where
    nothing can work. Kafka is needed by `cityvitals worker` alone.

    **Examples**

    - `cityvitals doctor`

    - `cityvitals doctor --config kafka.yaml`
    """
    found = []
    for check in _all(config):
        found.append(check)
        if not as_json:
            _show(check)
    wrong = [check for check in found if check.state == "wrong"]
    if as_json:
        listed = [check._asdict() for check in found]
        print(orjson.dumps({"ok": not wrong, "checks": listed}).decode())
    if wrong:
        raise typer.Exit(ENVIRONMENT if any(check.vital for check in wrong) else FINDING)


def _all(config: Path | None) -> Iterator[Check]:
    yield from checks.python()
    yield from checks.packages()
    yield from checks.kernels()
    yield from checks.libraries()
    yield from checks.disk(FOLDER)
    yield from checks.open_files()
    yield from _configured(config)
    yield from checks.tools()


def _configured(config: Path | None) -> Iterator[Check]:
    """The configuration, and what is to be found where it says."""
    try:
        from agents.plan import compile_plan
        from schemas.documents import ConfigurationError
        from schemas.loading import load
    except ImportError as error:
        yield Check("wrong", "libraries", str(error), "install City Vitals again", vital=True)
        return
    try:
        configuration = load(config)
    except ConfigurationError as error:
        for problem in error.problems:
            where = f"{problem.file}:{problem.line}:{problem.column}"
            yield Check("wrong", "configuration", f"{where}: {problem.message}", "edit it there")
        return
    label = f"{configuration.label}, {configuration.covers}"
    yield Check("ok", "configuration", f"{config or 'the shipped one'}, {label}")
    yield from checks.zone(configuration.city.time_zone)
    yield from checks.secrets(configuration, config)
    yield checks.holidays(configuration, date.today())
    meant = config is not None or any(name.startswith("CITYVITALS__KAFKA") for name in os.environ)
    for check in _kafka(compile_plan(configuration), config, brief=not meant):
        # Nobody has asked for the Kafka that is only the default.
        doubtful = check.state == "wrong" and not meant
        yield check._replace(state="warning") if doubtful else check


def _kafka(plan: Plan, config: Path | None, *, brief: bool) -> Iterator[Check]:
    from agents.commands.kafka_options import settings_of
    from agents.topic_checks import verify
    from agents.topology import topics_of
    from streams.kafka.topics import PATIENCE_S, ClusterError, TopicAdmin

    kafka = plan.configuration.kafka
    try:
        admin = TopicAdmin(settings_of(kafka), _BRIEF_S if brief else PATIENCE_S)
        brokers = admin.brokers()
        described = admin.describe(spec.name for spec in topics_of(plan))
    except (Fault, ClusterError) as error:
        yield Check("wrong", "Kafka", str(error), "only `cityvitals worker` needs one")
        return
    count = "1 broker" if brokers == 1 else f"{brokers} brokers"
    yield Check("ok", "Kafka", f"{count} at {kafka.servers}, {kafka.security.protocol}")
    yield _handshake(kafka)
    findings = verify(plan, described, None if config is None else str(config))
    for (severity, mend), alike in groupby(findings, key=lambda f: (f.severity, f.mend)):
        first, *others = alike
        more = f", and {len(others)} more like it" if others else ""
        yield Check(severity, "topics", f"{first.topic} {first.what}{more}", mend)
    if not findings:
        yield Check("ok", "topics", f"{len(described)} are as they should be")


def _handshake(kafka: Kafka) -> Check:
    """Whether the other library, through which workers read, comes to terms with the brokers."""
    from aiokafka.client import AIOKafkaClient  # type: ignore[import-untyped]
    from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
    from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

    from streams.kafka.connection import credentials

    # What came of it is told here.
    logging.getLogger("aiokafka").propagate = False
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())

    async def meet() -> None:
        login = credentials_to_aiokafka_auth(credentials(kafka.security))
        client = AIOKafkaClient(bootstrap_servers=kafka.servers, **login)
        try:
            await client.bootstrap()
        finally:
            await client.close()

    try:
        asyncio.run(meet())
    except (KafkaError, OSError, AssertionError) as error:
        mend = "use brokers whose version and login the pinned aiokafka takes"
        return Check("wrong", "handshake", f"aiokafka: {error}", mend)
    return Check("ok", "handshake", "versions agreed, login taken")


def _show(check: Check) -> None:
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble((MARKS[check.state], STYLES[check.state]), f" {check.piece}: {check.what}")
    # Lines that are too long are left to the terminal: commands in them can then be copied.
    Console(soft_wrap=True, highlight=False).print(line)
    if check.mend and check.state != "ok":
        print(f"    {check.mend}")
