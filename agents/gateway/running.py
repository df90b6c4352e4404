"""One run of the gateway, from its settings to the end of its process."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from agents.gateway.access import LEAST_TOKEN, Key, Keys, Limiter, is_loopback
from agents.gateway.application import build, registry_of
from agents.gateway.audit import AuditLog
from agents.gateway.city import LiveCity
from agents.gateway.copier import Copier
from agents.gateway.desk import Desk
from agents.gateway.events import Door
from agents.gateway.feed import Feed
from agents.gateway.history import History
from agents.gateway.server import Server
from agents.gateway.service import Keeper, Service
from agents.gateway.windows import DAY_MS
from schemas.configuration import Configuration
from schemas.gateway import Gateway
from schemas.masked import field_names
from schemas.postgres_sink import PostgresSink
from streams.timeline import to_ms

TOKEN, HISTORY = "token", "history.db"
_PARENT_S = 1.0


class SettingError(ValueError):
    """A setting of the gateway can not be used; the text says which, and what to do."""


class UnsafeError(SettingError):
    """An address that strangers reach, without what keeps them out."""


def require_safe(settings: Gateway) -> None:
    """Refuse to listen beyond loopback without a certificate and tokens.

    Raises
    ------
    UnsafeError
        With what is missing.
    """
    if is_loopback(settings.host):
        return
    missing = []
    if settings.certificate_file is None:
        missing.append("gateway.certificate_file and gateway.key_file")
    if not settings.tokens:
        missing.append("gateway.tokens")
    if missing:
        raise UnsafeError(
            f"{settings.host} is reached from other machines: configure "
            f"{' and '.join(missing)}, or leave the host at 127.0.0.1"
        )


class OwnToken(NamedTuple):
    """The token kept beside the data; `is_new` where it was made just now."""

    text: str
    path: Path
    is_new: bool


def own_token(folder: Path) -> OwnToken:
    """The token kept beside the data, made where there is none; its file is the owner's alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / TOKEN
    with suppress(FileNotFoundError):
        found = path.read_text().strip()
        if len(found) >= LEAST_TOKEN:
            return OwnToken(found, path, False)
    made = secrets.token_urlsafe(32)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w") as out:
        out.write(f"{made}\n")
    return OwnToken(made, path, True)


def tls_of(settings: Gateway) -> tuple[str, str] | None:
    """The files of certificate and private key, once both were read; None without TLS.

    Raises
    ------
    SettingError
        A file can not be used.
    """
    certificate, key = settings.certificate_file, settings.key_file
    if certificate is None or key is None:
        return None
    for name, file in (("certificate_file", certificate), ("key_file", key)):
        _read(f"gateway.{name}", file)
    try:
        # An encrypted key would else have OpenSSL ask for its password on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, lambda: "")
    except (ssl.SSLError, OSError):
        raise SettingError(
            f"gateway.certificate_file: {certificate} does not go with gateway.key_file {key}: "
            "name a certificate and its private key, both in PEM form and without a password"
        ) from None
    return certificate, key


def _read(setting: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        what = error.strerror or "can not be read"
        todo = f"name a file that user {os.getuid()} may read"
        raise SettingError(f"{setting}: {file}: {what}: {todo}") from None


def _first_line(setting: str, file: str) -> str:
    try:
        return _read(setting, file).decode().split("\n", 1)[0].strip()
    except UnicodeDecodeError:
        what = "is no text: write what is meant into its first line"
        raise SettingError(f"{setting}: {file} {what}") from None


def keys_of(settings: Gateway, token: str | None) -> Keys:
    """The tokens of the configuration, or the one that is kept beside the data.

    Raises
    ------
    SettingError
        A token is too short, or its file can not be read.
    """
    if token is not None:
        return Keys([Key.of("owner", "admin", token)])
    found = []
    for one in settings.tokens:
        text = _first_line(f"gateway.tokens: token_file of {one.name}", one.token_file)
        try:
            found.append(Key.of(one.name, one.role, text))
        except ValueError as error:
            hint = "`openssl rand -hex 24` makes a good one"
            raise SettingError(f"gateway.tokens: {one.token_file}: {error}: {hint}") from None
    return Keys(found)


def prepare(settings: Gateway, folder: Path) -> tuple[OwnToken | None, Keys]:
    """The owner's token, where the configuration has none, and all keys: it may listen then.

    Parameters
    ----------
    folder
        Where the owner's token is kept.

    Raises
    ------
    SettingError
        What a run would fail with later.
    """
    require_safe(settings)
    tls_of(settings)
    copier = copier_of(settings.postgres)
    if copier is not None:
        copier.close()
    token = None if settings.tokens else own_token(folder)
    return token, keys_of(settings, None if token is None else token.text)


def domains_of(configuration: Configuration) -> dict[str, str]:
    """The domain of each sign and incident."""
    return {one.id: one.domain for one in (*configuration.signs, *configuration.incidents)}


def copier_of(settings: PostgresSink | None) -> Copier | None:
    """What copies to the database of a configuration, if it names one.

    Raises
    ------
    SettingError
        The file with its connection string can not be read, or psycopg is missing.
    """
    if settings is None:
        return None
    try:
        from agents.gateway.postgres import Postgres  # of an extra
    except ImportError as error:
        raise SettingError(str(error)) from error
    dsn = _first_line("gateway.postgres.dsn_file", settings.dsn_file)
    keep_ms = None if settings.keep_days is None else settings.keep_days * DAY_MS
    return Copier(Postgres(dsn, settings.tables_in, keep_ms))


def run(
    configuration: Configuration,
    settings: Gateway,
    feed: Feed,
    folder: Path,
    listening: socket.socket,
    keys: Keys,
    *,
    parent: int | None = None,
    begins: Callable[[], object] = lambda: None,
) -> None:
    """Serve until a signal comes, or the parent is gone.

    Parameters
    ----------
    folder
        Where history and audit log are kept.
    parent
        The process without which this one has no purpose.
    begins
        Called once all is opened that it needs, and nothing of it is another's.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as held:
        history = History(folder / HISTORY, to_ms(settings.keep_s))
        held.callback(history.close)

        def tidy(now: int) -> None:
            while history.due:
                history.fold()
            if now:
                history.trim(now)

        def read(*where: Any) -> dict[str, Any]:
            return history.read(*where).as_dict()

        keeper = Keeper(history.append, history.position, tidy)
        copier = copier_of(settings.postgres)
        if copier is not None:
            held.callback(copier.close)
        service = Service(feed, LiveCity(domains_of(configuration)), keeper, copier)
        desk = Desk(
            service=service,
            configuration=configuration,
            keys=keys,
            audit=AuditLog(folder),
            audit_folder=folder,
            door=Door(configuration, feed.partitions),
            registry=registry_of(service),
            history=read,
            secure=settings.certificate_file is not None,
            most_streams=max(1, settings.connections - max(4, settings.connections // 10)),
            names={t.name: field_names(t.kind, t.record) for t in configuration.topics},
            tries=Limiter(0.2, 10.0),
            salt=secrets.token_hex(8),
        )
        hosts = [*settings.names]
        if not is_loopback(settings.host):
            hosts += [settings.host, socket.gethostname(), socket.getfqdn()]
        app = build(desk, settings, tuple(name.lower() for name in hosts))
        server = Server(app, tls=tls_of(settings), connections=settings.connections)
        begins()
        asyncio.run(_serve(server, listening, service.hub.close, parent))


async def _serve(
    server: Server, listening: socket.socket, let_go: Callable[[], None], parent: int | None
) -> None:
    def end() -> None:
        # Streams end by themselves, so that nobody has to be cut off.
        let_go()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    task = asyncio.create_task(server.run_on(listening))
    await asyncio.sleep(0)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    watching = asyncio.create_task(_watch_parent(parent, end))
    await task
    watching.cancel()


async def _watch_parent(parent: int | None, end: Callable[[], None]) -> None:
    while parent is not None:
        await asyncio.sleep(_PARENT_S)
        if os.getppid() != parent:
            end()
            return
