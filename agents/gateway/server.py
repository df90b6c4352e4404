"""The gateway's server: uvicorn, with time limits for those who send slowly."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket
import ssl
import struct
import sys
import termios
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from agents.gateway.access import is_loopback
from agents.gateway.web import HEAD_BYTES

log = logging.getLogger("cityvitals.gateway")

HEADERS_S = 10.0
"""In which the head of a request must have come."""
BODY_S = 60.0
"""In which the whole request must have come."""
SHARE = 0.75
"""Of all connections that one address may have; loopback, where proxies are, may have all."""
TAKEN_S = 45.0
"""In which a client must take some of what waits for it."""
_LOOKS = 9
"""How often in that time it is looked whether it did."""
_ACKNOWLEDGED = struct.Struct("Q"), 120
"""Bytes that the other side has, and where Linux tells them in ``TCP_INFO``."""
_UNSENT_BYTES = 256 << 10
"""That the system keeps for a client: left alone it keeps megabytes for one that does not read."""


class Patient(H11Protocol):
    """Closes connections whose request does not come, or whose answer is not taken, in time."""

    _timer: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _taken: object = None
    """What `taken` said when the client last took something, and when that was seen."""
    _taken_at = 0.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self._is_one_too_many():
            log.warning("a client at %s has too many connections", self._address)
            self.transport.abort()
            return
        self._wait(HEADERS_S)

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def _is_one_too_many(self) -> bool:
        """Whether its address has more connections than leave room for others."""
        address, most = self._address, self.limit_concurrency
        if most is None or not address or is_loopback(address):
            return False
        there = [one for one in self.connections if getattr(one, "_address", None) == address]
        return len(there) > SHARE * most

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._stop_taking()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        self._stop_taking()
        super().resume_writing()

    def taken(self) -> object:
        """Something that changes whenever the client takes of what waits for it."""
        made = self._socket()
        unsent = self.transport.get_write_buffer_size()
        return unsent, _unacknowledged(made), _acknowledged(made)

    @property
    def waits(self) -> bool:
        """Whether something waits to be taken, here or in the system."""
        return bool(self.transport.get_write_buffer_size() or _unacknowledged(self._socket()))

    def _socket(self) -> socket.socket | None:
        made: socket.socket | None = self.transport.get_extra_info("socket")
        return made

    def _watch(self) -> None:
        self._stop_taking()
        self._taken, self._taken_at = self.taken(), self.loop.time()
        self._taking = self.loop.call_later(TAKEN_S / _LOOKS, self._look)

    def _look(self) -> None:
        """Cut a client that took nothing for so long; one that takes little is let be."""
        self._taking = None
        if not self.waits:
            return
        taken, now = self.taken(), self.loop.time()
        if taken != self._taken:
            self._taken, self._taken_at = taken, now
        elif now - self._taken_at > TAKEN_S * (1 - 0.5 / _LOOKS):
            self._abort()
            return
        self._taking = self.loop.call_later(TAKEN_S / _LOOKS, self._look)

    def _stop_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _abort(self) -> None:
        told = "a client at %s took nothing for %.0f s: it is cut"
        log.warning(told, self._address or "?", TAKEN_S)
        # Reset: otherwise the system goes on offering what it keeps for the client.
        made = self._socket()
        if made is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not None and self.cycle is not before:
            self._wait(BODY_S)
            # Before the application runs: streams ask what was taken of them.
            self.scope["state"]["taken"] = self.taken
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body:
            self._stop()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._is_taking()
        if not self.transport.is_closing():
            self._wait(HEADERS_S)

    def _wait(self, seconds: float) -> None:
        self._stop()
        self._timer = self.loop.call_later(seconds, self._cut)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            if self._is_taking():
                self._wait(HEADERS_S)
                return
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        if self._is_taking():
            wait = self.timeout_keep_alive
            again = self.loop.call_later(wait, self.timeout_keep_alive_handler)
            self.timeout_keep_alive_task = again
            return
        super().timeout_keep_alive_handler()

    def _is_taking(self) -> bool:
        """Whether an answer is being read: closing now would leave seconds for it under TLS."""
        if self.waits and self._taking is None:
            self._watch()
        return self._taking is not None and self.waits


def _unacknowledged(made: socket.socket | None) -> int:
    """Bytes that the system keeps for the other side; 0 where that can not be asked."""
    if made is None:
        return 0
    try:
        told = fcntl.ioctl(made.fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return int.from_bytes(told, sys.byteorder)


def _acknowledged(made: socket.socket | None) -> int:
    """Bytes that the other side ever took; 0 where that can not be asked."""
    if made is None or sys.platform != "linux":
        return 0
    form, offset = _ACKNOWLEDGED
    try:
        told = made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, offset + form.size)
    except OSError:
        return 0
    return int(form.unpack_from(told, offset)[0]) if len(told) >= offset + form.size else 0


class Server(uvicorn.Server):
    """A server whose signals are left to whoever runs it."""

    def __init__(
        self, app: Any, *, tls: tuple[str, str] | None, connections: int, access_log: bool = False
    ) -> None:
        settings: dict[str, Any] = {}
        if tls is not None:
            settings = {"ssl_certfile": tls[0], "ssl_keyfile": tls[1]}
        config = uvicorn.Config(
            app,
            http=Patient,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=access_log,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=3,
            limit_concurrency=connections,
            h11_max_incomplete_event_size=HEAD_BYTES,
            backlog=512,
            **settings,
        )
        config.load()
        if config.ssl is not None:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        super().__init__(config)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def run_on(self, listening: socket.socket) -> None:
        """Serve on a socket until `should_exit` is set."""
        await self.serve(sockets=[listening])


def listen(host: str, port: int, *, strict: bool = False) -> socket.socket:
    """A listening socket; on another port where this one is taken, unless ``strict``.

    Raises
    ------
    OSError
        The address can not be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for wanted in (port,) if strict else (port, 0):
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT_BYTES)
        try:
            made.bind((host, wanted))
        except OSError:
            made.close()
            if wanted == (port if strict else 0):
                raise
            continue
        made.listen(512)
        return made
    raise AssertionError("the last attempt raises")
