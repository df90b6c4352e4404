"""How answers go over the wire: compressed where the client takes that, and in pieces.  ASGI."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Message]], Send], Awaitable[None]]

PIECE = 128 << 10
"""Bytes of a body that are handed on at once: the next are when these were taken."""
LEAST = 1_000
"""Bytes of a body that is compressed."""
_KINDS = (b"application/json", b"application/x-ndjson", b"text/csv", b"text/plain")
_LEVEL, _GZIP = 5, 31
_IN_A_THREAD = 64 << 10
"""From so many bytes on, compressing would hold up the event loop."""


def takes_gzip(header: str) -> bool:
    """Whether an ``Accept-Encoding`` allows for gzip.

    >>> [takes_gzip(text) for text in ("gzip, br", "GZIP;q=0.5", "gzip;q=0", "*", "br", "")]
    [True, True, False, True, False, False]
    >>> takes_gzip("gzip;q=0, *")
    False
    """
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        try:
            weights[name.strip()] = float(weight.replace(" ", "").removeprefix("q=") or 1)
        except ValueError:
            weights[name.strip()] = 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def packed(body: bytes) -> bytes:
    """A body as gzip, always the same for the same."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return packer.compress(body) + packer.flush()


class Packed:
    """Compresses whole answers of JSON and CSV; streams pass as they are.

    Parameters
    ----------
    app
        Whose answers these are.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding")
        accepted, begun = takes_gzip(told.decode("latin-1")), list[Message]()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                kind = dict(message["headers"]).get(b"content-type", b"")
                if not kind.startswith(_KINDS) and message["status"] != 304:
                    await send(message)
                    return
                # Also of what is too small, or was not asked for so: the next may be.
                message["headers"] = [*message["headers"], (b"vary", b"accept-encoding")]
                begun.append(message)
                return
            if begun:
                start, body = begun.pop(), message.get("body", b"")
                if accepted and len(body) >= LEAST and not message.get("more_body", False):
                    message = {**message, "body": await _in_time(body)}
                    start["headers"] = _of_packed(start["headers"], len(message["body"]))
                await send(start)
            await send(message)

        await self._app(scope, receive, sending)


async def _in_time(body: bytes) -> bytes:
    return packed(body) if len(body) < _IN_A_THREAD else await asyncio.to_thread(packed, body)


def _of_packed(headers: list[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    kept = [pair for pair in headers if pair[0] != b"content-length"]
    return [*kept, (b"content-encoding", b"gzip"), (b"content-length", str(length).encode())]


def in_pieces(send: Send) -> Send:
    """Hand on large bodies a piece at a time, so that not all of one waits for each client."""

    async def sending(message: Message) -> None:
        body = message.get("body", b"")
        if message["type"] == "http.response.body" and len(body) > PIECE:
            more = message.get("more_body", False)
            last = (len(body) - 1) // PIECE * PIECE
            for begin in range(0, last, PIECE):
                piece = body[begin : begin + PIECE]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            message = {"type": "http.response.body", "body": body[last:], "more_body": more}
        await send(message)

    return sending
