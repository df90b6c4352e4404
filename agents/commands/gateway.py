"""``cityvitals gateway``: signs and alerts over HTTP, and the page."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.commands.exits import BAD, ENVIRONMENT, Fault, complain, guarded
from agents.commands.kafka_options import Data, KafkaConfig, folder_of, settings_of
from agents.commands.wording import port_note

if TYPE_CHECKING:
    from agents.gateway.feed import Feed
    from agents.gateway.running import OwnToken
    from schemas.configuration import Configuration
    from schemas.gateway import Gateway

STATE = Path("cityvitals-gateway")

ShowToken = Annotated[
    bool,
    typer.Option(
        "--show-token",
        help="Print the address with the token that lets its owner in, as the first start does.",
    ),
]


@guarded
def gateway(
    data: Data = None,
    config: KafkaConfig = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            help="Address; beyond loopback it needs a certificate and tokens in the configuration.",
            metavar="HOST",
            show_default="127.0.0.1",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=0,
            max=65535,
            help="Port; on loopback another if taken.",
            show_default="8808",
        ),
    ] = None,
    state: Annotated[
        Path,
        typer.Option(
            "--state",
            help="Folder of history, token and audit log, where there is no data folder.",
            metavar="DIR",
        ),
    ] = STATE,
    show_token: ShowToken = False,
    descriptor: Annotated[int | None, typer.Option("--fd", hidden=True)] = None,
    parent: Annotated[int | None, typer.Option("--parent", hidden=True)] = None,
) -> None:
    """Serve signs, alerts and their history over HTTP, and the page that shows them.

    It reads the data folder of an engine, or the topics of a Kafka, and is a process of its own:
    an engine goes on without it. `up` starts one by itself. The address that is printed at the
    first start, on a terminal and with --show-token lets its owner in; the paths are described in
    /openapi.json, the topics in /asyncapi.json.

    **Examples**

    - `cityvitals gateway`

    - `cityvitals gateway --config kafka.yaml --port 8808`

    - `curl -H "Authorization: Bearer $(cat cityvitals-data/gateway/token)" 127.0.0.1:8808/alerts`
    """
    from agents.gateway.running import SettingError, prepare, run

    folder = folder_of(data, config)
    with _feeding(folder, config) as (configuration, feed):
        settings = _settings(configuration.gateway, host, port)
        kept = (state if folder is None else folder / "gateway").absolute()
        try:
            token, keys = prepare(settings, kept)
        except SettingError as error:
            raise Fault(BAD, str(error)) from error
        listening = _listening(settings, descriptor)

        def tell() -> None:
            # Whoever passes a socket on knows where it is.
            if descriptor is None:
                complain(told_of_page(listening, settings, token, show=show_token))

        run(configuration, settings, feed, kept, listening, keys, parent=parent, begins=tell)


def _settings(found: Gateway, host: str | None, port: int | None) -> Gateway:
    given = {"host": host, "port": port}
    return found.model_copy(update={k: v for k, v in given.items() if v is not None})


def _listening(settings: Gateway, descriptor: int | None) -> socket.socket:
    from agents.gateway.access import is_loopback
    from agents.gateway.server import listen

    if descriptor is not None:
        return socket.socket(fileno=descriptor)
    try:
        return listen(settings.host, settings.port, strict=not is_loopback(settings.host))
    except OSError as error:
        raise Fault(ENVIRONMENT, f"{settings.host}:{settings.port}: {error}") from error


def address(listening: socket.socket, settings: Gateway, token: str | None) -> str:
    """Where the page is, for its owner with the token that lets him in."""
    host, port = listening.getsockname()[:2]
    # All addresses of a machine are none that can be called: it is one of them, here.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    scheme = "http" if settings.certificate_file is None else "https"
    return f"{scheme}://{shown}:{port}/" + ("" if token is None else f"#token={token}")


def told_of_page(
    listening: socket.socket, settings: Gateway, token: OwnToken | None, *, show: bool
) -> str:
    """What a start says of the page.

    The token stands in it where it was just made, or where somebody looks on or asks for it: else
    it would stand in the journal of every start.
    """
    where = address(listening, settings, None)
    note = port_note(settings.port, where)
    if token is None or token.is_new or show or sys.stderr.isatty():
        whole = address(listening, settings, None if token is None else token.text)
        return f"page     {whole}{note}"
    return f"page     {where}{note}\ntoken    in {token.path}; --show-token prints it"


@contextmanager
def _feeding(folder: Path | None, config: Path | None) -> Iterator[tuple[Configuration, Feed]]:
    from schemas.loading import load

    if folder is not None:
        from agents.commands.folder import opened, read_about
        from agents.gateway.feed import FolderFeed

        with opened(folder) as store:
            of = read_about(store).config
            yield load(None if of is None else Path(of)), FolderFeed(store, folder)
        return
    from agents.commands.kafka_options import cluster_faults
    from agents.gateway.kafka_feed import KafkaFeed

    configuration = load(config)
    kafka = configuration.kafka
    inputs = {topic.name: topic.all_partitions for topic in configuration.topics}
    with cluster_faults():
        recorded = not kafka.silence_s
        feed = KafkaFeed(settings_of(kafka), kafka.prefix, inputs, recorded=recorded)
        try:
            yield configuration, feed
        finally:
            feed.close()
