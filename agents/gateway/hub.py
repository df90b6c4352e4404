"""Streams of server-sent events: each change is written once, whoever reads it.

A client takes frames that it shares with all who chose alike.  One that is slow loses frames, never
the state: it is told how much it missed, and gets the newest of everything.  Transitions of alerts
are read by number, so that none is missed or seen twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

from agents.gateway.city import Choice, LiveCity, Moved, Said

FRAME_S = 0.25
"""From one frame to the next, at least."""
PING_S = 15.0
STATUS_S = 1.0
SLOW_S = 30.0
"""A client that takes nothing of what waits for it for so long is cut."""
_FRAMES = 8
"""That may wait for a client."""
_WAITING_SHARE = 0.1
_SHARED_BYTES = 64 << 20
"""Of newest states that are kept for who asks next."""
_AT_ONCE = 500
"""Transitions of alerts that are sent before anything else has its turn."""

log = logging.getLogger("cityvitals.gateway")

ReadLog = Callable[[int, int], Awaitable[tuple[int, list[Moved]]]]
"""Number of the oldest transition in the log, and those from a number on, at most so many."""


@dataclass(eq=False)
class Client:
    """One stream.

    Parameters
    ----------
    what
        Of ``signs``, ``alerts``, ``status``.
    cursor
        Number of the next transition that it has not seen.
    alerts
        Which of them it wants, where that is not the choice of its signs.
    who
        For the log.
    """

    choice: Choice
    what: frozenset[str]
    cursor: int
    alerts: Choice | None = None
    who: str = ""
    frames: deque[tuple[bytes, int]] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    missed: int = 0
    """Results that it lost since it last heard of everything."""
    whole: bool = True
    """Whether it is to get the newest of everything."""
    waiting_since: float | None = None
    """Since when something waits to be taken, by the monotonic clock; None where nothing does."""
    taken: Callable[[], object] = lambda: None
    """Says something else whenever the client took of what waits for it, within a frame too."""
    last_taken: object = None
    cut: str | None = None


class Hub:
    """All streams of a gateway.

    Parameters
    ----------
    city
        What there is to tell.
    read_log
        Finds transitions that are no longer in memory.
    status
        The accounting as JSON.
    now
        The city's clock, int64 ms UTC.
    """

    def __init__(
        self,
        city: LiveCity,
        read_log: ReadLog,
        status: Callable[[], bytes],
        now: Callable[[], int],
    ) -> None:
        self.city, self.read_log, self.status, self.now = city, read_log, status, now
        self.clients: set[Client] = set()
        self.sent = self.lost = self.cuts = 0
        self._whole: dict[Choice, bytes] = {}
        self._whole_at = 0
        self._status = b""
        self._status_at = -float("inf")

    def tell(self, results: list[Said], moved: list[Moved]) -> None:
        """Give every client its part of what changed."""
        now = time.monotonic()
        self._forget()
        frames = self._frames(results)
        status = self._fresh_status(now)
        for client in tuple(self.clients):
            if self._took_nothing(client, now):
                self._cut(client)
            if "signs" in client.what and (frame := frames.get(client.choice)):
                self._give(client, *frame)
            if "status" in client.what and status and len(client.frames) < _FRAMES:
                client.frames.append((status, 0))
            waits = client.frames or client.whole or (moved and "alerts" in client.what)
            if waits or client.cut:
                client.waiting_since = client.waiting_since or now
                client.wake.set()

    @property
    def busy(self) -> bool:
        """Whether so many streams wait that other work had better wait for them."""
        waiting = sum(client.waiting_since is not None for client in self.clients)
        return waiting > len(self.clients) * _WAITING_SHARE

    def _took_nothing(self, client: Client, now: float) -> bool:
        """Whether something waits for it, and it took nothing for too long."""
        if client.waiting_since is None:
            return False
        taken = client.taken()
        if taken != client.last_taken:
            client.last_taken, client.waiting_since = taken, now
        return now - client.waiting_since > SLOW_S

    def _cut(self, client: Client) -> None:
        if client.cut is None:
            self.cuts += 1
            client.cut = f"took nothing for {SLOW_S:.0f} s"
            log.warning("the stream of %s is cut: it %s", client.who, client.cut)

    def _fresh_status(self, now: float) -> bytes:
        if now - self._status_at < STATUS_S:
            return b""
        self._status_at = now
        return event("status", self.status())

    def _frames(self, results: list[Said]) -> dict[Choice, tuple[bytes, int]]:
        """The frame of each choice of which something changed, and how much."""
        wanted = {c.choice: list[bytes]() for c in self.clients if "signs" in c.what}
        # Places first: most want one of them, and there a look into a table tells them apart.
        under: dict[str, list[tuple[Choice, list[bytes]]]] = {}
        for choice, found in wanted.items():
            under.setdefault(choice.under, []).append((choice, found))
        lengths = sorted({len(prefix) for prefix in under})
        for said in results:
            for length in lengths[: bisect_right(lengths, len(said.place))]:
                for choice, found in under.get(said.place[:length], ()):
                    if choice.takes(said, self.city.domain_of(said)):
                        found.append(said.raw)
        return {
            choice: (event("signs", array(found)), len(found))
            for choice, found in wanted.items()
            if found
        }

    def _give(self, client: Client, frame: bytes, count: int) -> None:
        if client.whole:
            # Who has not had the first of everything yet misses nothing.
            if client.missed:
                client.missed += count
                self.lost += 1
            return
        if len(client.frames) >= _FRAMES:
            client.missed += count + sum(n for _, n in client.frames)
            self.lost += 1 + len(client.frames)
            client.frames.clear()
            client.whole = True
            # What it is told then, it has to be woken for.
            client.frames.append((b"", 0))
            return
        client.frames.append((frame, count))

    async def stream(self, client: Client, resumed: bool) -> AsyncIterator[bytes]:
        """What one client is sent, until it goes or is cut."""
        self.clients.add(client)
        hello = {"now": self.now(), "as_of": self.city.as_of, "resumed": resumed}
        try:
            yield event("hello", orjson.dumps(hello), client.cursor - 1)
            if "status" in client.what:
                yield event("status", self.status())
            while client.cut is None:
                async for chunk in self._pending(client):
                    self.sent += 1
                    # Whoever takes it slowly waits here, with nothing else to be told; the one
                    # before it was taken.
                    client.waiting_since = time.monotonic()
                    yield chunk
                client.waiting_since = None
                client.wake.clear()
                if client.cut or client.frames or client.whole or self._behind(client):
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(client.wake.wait(), PING_S)
                if not client.wake.is_set():
                    client.waiting_since = time.monotonic()
                    yield b": still here\n\n"
            yield event("bye", orjson.dumps({"reason": client.cut}))
        finally:
            self.clients.discard(client)

    def everything(self, choice: Choice) -> bytes:
        """The newest of all that a choice takes; the same bytes for all, as long as it stands.

        After a restart all clients come at once, and each wants it.
        """
        self._forget()
        found = self._whole.get(choice)
        if found is None:
            found = event("signs", array([said.raw for said in self.city.chosen(choice)]))
            left = _SHARED_BYTES - len(found) - sum(map(len, self._whole.values()))
            while left < 0 and self._whole:
                left += len(self._whole.pop(next(iter(self._whole))))
            if left >= 0:
                self._whole[choice] = found
        return found

    def _forget(self) -> None:
        """Let go of states that no longer stand."""
        if self._whole_at != self.city.newest:
            self._whole_at = self.city.newest
            self._whole.clear()

    def _behind(self, client: Client) -> bool:
        return "alerts" in client.what and client.cursor < self.city.next_number

    async def _pending(self, client: Client) -> AsyncIterator[bytes]:
        if "alerts" in client.what and self._behind(client):
            async for chunk in self._alerts(client):
                yield chunk
        if client.whole:
            # Before anything is awaited: what changes from here on comes as frames.
            client.whole = False
            missed, client.missed = client.missed, 0
            client.frames.clear()
            if missed:
                yield event("gap", orjson.dumps({"signs": missed, "alerts": 0}))
            if "signs" in client.what:
                yield self.everything(client.choice)
        sent = b"".join(client.frames.popleft()[0] for _ in range(len(client.frames)))
        if sent:
            yield sent

    async def _alerts(self, client: Client) -> AsyncIterator[bytes]:
        """Transitions that the client has not seen, in order."""
        while client.cursor < self.city.next_number:
            oldest, found = await self._moved(client.cursor)
            if oldest > client.cursor:
                gap = {"signs": 0, "alerts": oldest - client.cursor}
                client.cursor = oldest
                yield event("gap", orjson.dumps(gap))
            if not found:
                # Numbers may have gaps: go on where memory begins.
                kept = self.city.moved
                first = kept[0].number if kept else self.city.next_number
                client.cursor = first if client.cursor < first else self.city.next_number
                continue
            choice = client.alerts or client.choice
            wanted = [m for m in found if choice.takes(m, self.city.domain_of(m))]
            client.cursor = found[-1].number + 1
            chunk = b"".join(event("alert", moved.raw, moved.number) for moved in wanted)
            if chunk:
                yield chunk

    async def _moved(self, number: int) -> tuple[int, list[Moved]]:
        kept = self.city.moved
        if kept and kept[0].number <= number:
            first = number - kept[0].number
            # Numbers may have gaps: a place in the deque is at most that far on.
            first = min(first, len(kept) - 1)
            while first > 0 and kept[first].number > number:
                first -= 1
            while first < len(kept) and kept[first].number < number:
                first += 1
            last = min(len(kept), first + _AT_ONCE)
            return 0, [kept[i] for i in range(first, last)]
        return await self.read_log(number, _AT_ONCE)

    def close(self) -> None:
        """Let every stream end."""
        for client in self.clients:
            client.cut = client.cut or "the gateway ends; connect again"
            client.wake.set()


def event(name: str, data: bytes, number: int | None = None) -> bytes:
    """One server-sent event; the data are JSON, so they hold no line break.

    >>> event("alert", b"{}", 7)
    b'event: alert\\nid: 7\\ndata: {}\\n\\n'
    """
    id = b"" if number is None else b"id: %d\n" % number
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), id, data)


def array(items: list[bytes]) -> bytes:
    """Values of JSON as a list."""
    return b"[" + b",".join(items) + b"]"
