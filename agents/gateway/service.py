"""The gateway at work: follows the feed, keeps the history, tells the streams."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from agents.gateway.city import LiveCity, Moved, moved_of
from agents.gateway.copier import Copier
from agents.gateway.feed import Batch, Feed, Numbered
from agents.gateway.hub import FRAME_S, Hub
from agents.outputs import VITALS_LOG
from streams.records import Lane

BEHIND_MS, BEHIND_S = 180_000, 15
"""A city whose slowest lane is further than that behind its clock is behind, by that clock, and by
ours where the city's is faster; a proposal."""
_HISTORY_S = 1.0
_WAITS, _WAIT_S = 20, 0.1
"""How often, and how long, the history waits for streams."""
_AGAIN_S = 2.0
_TRIM_S = 600.0
_LOG = f"{VITALS_LOG}/0"

_PAGE, _LOOKED_AT = 4_000, 400_000
"""Transitions that are read at once, and in all, for those of one alert."""

log = logging.getLogger("cityvitals.gateway")


class Service:
    """What the routes answer from.

    Parameters
    ----------
    feed
        Where everything comes from; its calls block, and run in threads.
    city
        The state to show.
    keep
        Appends results of the log to the history, trims it and tidies it: see `Keeper`.
    copier
        Writes results and transitions to a database, where one is configured.
    """

    def __init__(
        self,
        feed: Feed,
        city: LiveCity,
        keeper: Keeper | None = None,
        copier: Copier | None = None,
    ) -> None:
        self.feed, self.city, self.keeper, self.copier = feed, city, keeper, copier
        self.became_ready = asyncio.Event()
        """Set when all that is known was read."""
        self.trouble: str | None = None
        """Why the feed can not be read just now."""
        self.engine = "unknown"
        self._ends: dict[Lane, int] = {}
        self._now, self._slack_ms = 0, BEHIND_MS
        self.hub = Hub(city, self.read_transitions, self.status, lambda: self._now)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        return self.became_ready.is_set()

    async def start(self) -> None:
        """Begin to follow; returns at once, `ready` tells when all was read."""
        loops = [self._follow(), self._watch()]
        if self.keeper is not None:
            loops.append(self.keeper.run(self.feed, lambda: self.hub.busy))
        if self.copier is not None:
            loops.append(self.copier.run(self.feed))
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def stop(self) -> None:
        self.hub.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self) -> None:
        while not self.became_ready.is_set():
            await self._attempt(self.feed.begin, begins=True)
        while True:
            began = time.monotonic()
            await self._attempt(self.feed.poll)
            await asyncio.sleep(max(0.0, FRAME_S - (time.monotonic() - began)))

    async def _attempt(self, read: Callable[[], Batch], *, begins: bool = False) -> None:
        try:
            # Taken at once: it is not read again.
            self._take(await asyncio.to_thread(read))
            now = await asyncio.to_thread(self.feed.now)
        except Exception as error:
            # Whatever keeps it from reading is told, and tried again: streams must not end.
            self._note_trouble(error)
            await asyncio.sleep(_AGAIN_S)
            return
        self.trouble = None
        # Recorded events have no time of day: theirs is as far as they have come.
        self._now = (self.city.as_of or 0) if now is None else now
        if begins:
            self.became_ready.set()

    def _note_trouble(self, error: Exception) -> None:
        if self.trouble is None:
            log.warning("the log can not be read: %s", error)
        self.trouble = str(error)

    def _take(self, batch: Batch) -> None:
        city = self.city
        results = city.take_results(batch.results)
        city.take_alerts(batch.alerts)
        moved = city.take_transitions(batch.transitions)
        city.next_number = max(city.next_number, batch.next_number)
        city.take_accounting(batch.accounting)
        self.hub.tell(results, moved)

    async def _watch(self) -> None:
        while True:
            with suppress(Exception):
                self._ends = await asyncio.to_thread(self.feed.ends)
                self.engine = await asyncio.to_thread(self.feed.engine)
                pace = await asyncio.to_thread(self.feed.pace)
                self._slack_ms = max(BEHIND_MS, round(1000 * BEHIND_S * pace))
            await asyncio.sleep(1.0)

    async def read_transitions(self, number: int, most: int) -> tuple[int, list[Moved]]:
        """Number of the oldest transition in the log, and those from a number on."""
        rows = await asyncio.to_thread(self.feed.transitions, number, most)
        oldest = await asyncio.to_thread(self.feed.first_transition)
        return oldest, [moved_of(n, raw, orjson.loads(raw)) for n, raw in rows]

    async def transitions_of(self, alert: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The transitions of an alert, in order: those in memory, and older ones of the log."""
        kept, id = self.city.moved, alert["alert_id"]
        found = [
            one for m in kept if m.key == alert["key"] if _is_of(one := orjson.loads(m.raw), id)
        ]
        start = kept[0].number if kept else self.city.next_number
        since = max(await asyncio.to_thread(self.feed.first_transition), start - _LOOKED_AT)
        name = id.encode()
        while start > since and not (found and found[0]["transition"] == "raised"):
            first = max(since, start - _PAGE)
            rows = await asyncio.to_thread(self.feed.transitions, first, start - first)
            told = (orjson.loads(raw) for n, raw in rows if n < start and name in raw)
            found[:0] = [one for one in told if _is_of(one, id)]
            start = first
        return found

    def troubles(self) -> dict[str, str | None]:
        """What does not work just now, of the log, the history and the database; None of what does.

        A part that there is not is not named.
        """
        found = {"log": self.trouble}
        if self.keeper is not None:
            found["history"] = self.keeper.trouble
        if self.copier is not None:
            found["postgres"] = self.copier.trouble
        return found

    @property
    def now(self) -> int:
        """The city's clock, int64 ms UTC."""
        return self._now

    def accounting(self) -> dict[str, Any]:
        """Where every event went, and how far the engine is."""
        lanes, unread = [], 0
        for name, lane in sorted(self.city.lanes.items()):
            end = self._ends.get(Lane(lane["topic"], lane["partition"]))
            unread += 0 if end is None else max(0, end - lane["next_offset"])
            lanes.append({"lane": name, **lane, "end_offset": end})
        mark = self.city.watermark()
        delay = None if mark is None else max(0, self._now - mark)
        late = delay is not None and delay > self._slack_ms
        troubles = self.troubles()
        return {
            "now": self._now,
            "as_of": self.city.as_of,
            "engine": self.engine,
            "behind_after_ms": self._slack_ms,
            "behind": late or self.engine == "stopped" or self.trouble is not None,
            "trouble": self.trouble,
            "history_trouble": troubles.get("history"),
            "postgres_trouble": troubles.get("postgres"),
            "lag": unread if self._ends else None,
            "watermark_delay_ms": delay,
            "total": self.city.total(),
            "lanes": lanes,
        }

    def status(self) -> bytes:
        """The accounting, as streams tell it."""
        return orjson.dumps(self.accounting())


def _is_of(transition: Mapping[str, Any], alert_id: str) -> bool:
    return bool(transition["alert_id"] == alert_id)


class Keeper:
    """Copies the log of results into the history.

    Parameters
    ----------
    append
        Keeps results and how far their log was read, both or neither.
    position
        How far that was.
    tidy
        Called now and then with the city's clock: folds what is due, drops what is old.
    """

    def __init__(
        self,
        append: Callable[[Sequence[bytes], dict[str, int]], object],
        position: Callable[[], dict[str, int]],
        tidy: Callable[[int], None],
    ) -> None:
        self._append, self._position, self._tidy = append, position, tidy
        self.kept = 0
        self.trouble: str | None = None

    async def run(self, feed: Feed, busy: Callable[[], bool]) -> None:
        """Follow the log for ever; while streams are ``busy``, it waits a little for them."""
        tidied = time.monotonic()
        while True:
            for _ in range(_WAITS):
                if not busy():
                    break
                await asyncio.sleep(_WAIT_S)
            try:
                rows = await asyncio.to_thread(self._step, feed)
                if time.monotonic() - tidied > _TRIM_S or not rows:
                    tidied = time.monotonic()
                    # Of recorded events nobody knows how old they may become.
                    await asyncio.to_thread(self._tidy, feed.now() or 0)
                self.trouble = None
            except Exception as error:
                if self.trouble is None:
                    log.warning("the history is not kept: %s", error)
                self.trouble, rows = str(error), 0
            await asyncio.sleep(0.01 if rows > 1000 else _HISTORY_S)

    def _step(self, feed: Feed) -> int:
        rows: list[Numbered] = feed.results_log(self._position().get(_LOG, 0), "history")
        if rows:
            self._append([raw for _, raw in rows], {_LOG: rows[-1][0] + 1})
            self.kept += len(rows)
        return len(rows)
