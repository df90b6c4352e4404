"""Stream clients of a gateway: a process of its own, told what to do in the first line of input.

Each of them reads one district, one never reads at all.  Every tenth notes when it had which
result.  At an end of input it prints what they had.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import orjson

DISTRICTS = ("440103", "440104", "440105", "440106", "440111", "440112",
             "440113", "440114", "440115", "440117", "440118")  # fmt: skip
_LOOKED_AT = 10
_HEAD = 2_000
"""Bytes of an answer's head, at most."""


def name_of(result: dict[str, Any]) -> str:
    """Which result it is, of all."""
    return "|".join(str(result[name]) for name in ("vital", "key_level", "key", "t_end", "rev"))


class Stream(asyncio.BufferedProtocol):
    """One client: it takes what comes into a buffer that all share, and looks no closer.

    What it had is read when it is asked for: reading is work of a dashboard's own machine.
    """

    _shared = bytearray(1 << 18)

    def __init__(self, number: int, *, notes: bool, reads: bool = True) -> None:
        self.under = DISTRICTS[number % len(DISTRICTS)]
        self.notes, self.reads = notes, reads
        self.frames = self.bytes = self.gaps = 0
        self._rest = bytearray()
        self._noted: list[tuple[bytes, float]] = []
        self.last: str | None = None
        """What the stream said when it ended."""

    async def open(self, host: str, port: int, token: str) -> None:
        made = socket.create_connection((host, port))
        if not self.reads:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: self, sock=made)
        path = f"/stream?under={self.under}&what=signs,alerts"
        # Of HTTP/1.0, so that no sizes of chunks stand within a frame.
        head = f"GET {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        transport.write(head.encode())
        if not self.reads:
            transport.pause_reading()
            await self._left(made, time.monotonic())

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._shared

    def buffer_updated(self, nbytes: int) -> None:
        at, rest = time.time(), self._rest
        self.bytes += nbytes
        seen = max(0, len(rest) - 1)
        rest += memoryview(self._shared)[:nbytes]
        begin = 0
        while (end := rest.find(b"\n\n", seen)) >= 0:
            self._take(rest, begin, end, at)
            begin = seen = end + 2
        if begin:
            del rest[:begin]

    def connection_lost(self, exc: Exception | None) -> None:
        self.last = self.last or "closed"

    async def _left(self, made: socket.socket, began: float) -> None:
        """Notes after which time the connection was cut."""
        poll = select.poll()
        poll.register(made.fileno(), select.POLLERR | select.POLLHUP)
        while not poll.poll(0):
            await asyncio.sleep(0.25)
        self.last = f"cut after {time.monotonic() - began:.0f} s"

    def _take(self, rest: bytearray, begin: int, end: int, at: float) -> None:
        self.frames += 1
        # The head of the answer may stand before its name.
        name = rest.find(b"event: ", begin, min(end, begin + _HEAD)) + len(b"event: ")
        if rest.startswith(b"gap", name):
            self.gaps += 1
        elif rest.startswith(b"bye", name):
            self.last = rest[begin:end].decode()
        elif self.notes and rest.startswith(b"signs", name):
            self._noted.append((bytes(rest[rest.find(b"data: ", name) + 6 : end]), at))

    def had(self) -> list[tuple[str, float]]:
        """Each result that came, and when."""
        return [(name_of(result), at) for data, at in self._noted for result in orjson.loads(data)]


async def main() -> None:
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    where = urlsplit(order["url"])
    streams = [Stream(n, notes=n % _LOOKED_AT == 0) for n in range(order["clients"])]
    # It asks for the whole city, so that what it does not read fills every buffer soon.
    deaf = Stream(0, notes=False, reads=False)
    deaf.under = ""
    target = (str(where.hostname), int(where.port or 80), order["token"])
    tasks = []
    for stream in (*streams, deaf):
        tasks.append(asyncio.create_task(stream.open(*target)))
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    told = {
        "frames": sum(s.frames for s in streams),
        "bytes": sum(s.bytes for s in streams),
        "gaps": sum(s.gaps for s in streams),
        "ended": sum(s.last is not None for s in streams),
        "deaf": deaf.last,
        "had": [pair for s in streams for pair in s.had()],
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
