"""What a run shows: JSON lines, plain lines or the live view."""

from __future__ import annotations

import asyncio
import os
import select
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import orjson
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from agents.commands.exits import complain, drop_stdout
from agents.commands.stopping import Stop
from agents.commands.wording import LEVELS, against, amount, key_with_name, moment
from agents.feeds import behind
from agents.outputs import ALERT_LOG, DEVICE_VITALS, VITALS_LOG
from agents.view import View, accounting
from streams.records import Output

_STATUS_S, _REPLAY_STATUS_S = 5.0, 10.0
_COARSE = ("city", "district")
_TOLD = {"raised": "", "escalated": "  升级 escalated", "cleared": "  已解除 cleared"}
"""The transitions that have a line while a run goes on, and what it ends with."""

_BAR_S = 0.25
_PATIENCE_S = 1.0
_REFRESHES = 4


class Display(Protocol):
    """Shows a run while it goes on, and what it came to."""

    def begin(self, view: View) -> None:
        """Called once, before the first output."""

    def publish(self, outputs: list[Output]) -> None:
        """Called with the outputs of each checkpoint, once they are durable."""

    async def attend(self) -> None:
        """Runs beside the feed, which ends it."""

    def end(self, summary: dict[str, Any]) -> None:
        """Called once, after the last output."""

    def close(self) -> None:
        """Called in any case: gives the terminal back."""


class Pipe:
    """Standard output of a run, whose reader may be slow or gone.

    Writes go past Python's buffer, so that nothing is left to flush into a closed pipe.
    """

    def __init__(self, stop: Stop) -> None:
        self.stop, self.closed = stop, False

    def write(self, data: bytes) -> None:
        """Write all of it; where the reader went away, wish the run to end."""
        rest = memoryview(data)
        while rest and not self.closed:
            # Never blocks for good: a reader that stands still must not keep a run from ending.
            _, ready, _ = select.select([], [1], [], 0.2)
            if ready:
                try:
                    rest = rest[os.write(1, rest[: select.PIPE_BUF]) :]
                except BrokenPipeError:
                    self._close()
            elif self.stop.since is not None and time.monotonic() > self.stop.since + _PATIENCE_S:
                self._close()

    def _close(self) -> None:
        self.closed = True
        drop_stdout()
        self.stop.wish()


class JsonLines:
    """Every result and transition as its own bytes, one a line, and a closing object."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def begin(self, view: View) -> None:
        """Nothing to prepare."""

    def publish(self, outputs: list[Output]) -> None:
        values = [o.value for o in outputs if o.topic in (VITALS_LOG, DEVICE_VITALS, ALERT_LOG)]
        if values:
            self.pipe.write(b"\n".join(values) + b"\n")

    async def attend(self) -> None:
        await asyncio.Event().wait()

    def end(self, summary: dict[str, Any]) -> None:
        self.pipe.write(orjson.dumps(summary) + b"\n")

    def close(self) -> None:
        """Nothing to give back."""


class PlainLines:
    """A line for each alert of a city or district that is raised, escalated or cleared, on
    standard output, and now and then one of status.  Those of streets and sites stand in
    ``cityvitals alerts``.
    """

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.view: View | None = None

    def begin(self, view: View) -> None:
        self.view = view

    def publish(self, outputs: list[Output]) -> None:
        assert self.view is not None
        self.view.take(outputs)
        lines = coarse_alert_lines(outputs, self.view.zone)
        # In a terminal they would break the bar of a replay, which shows them at its end.
        if lines and not sys.stdout.isatty():
            self.pipe.write("".join(f"{line}\n" for line in lines).encode())

    async def attend(self) -> None:
        assert self.view is not None
        await _tell_status(self.view, _STATUS_S)

    def end(self, summary: dict[str, Any]) -> None:
        complain(summary_text(summary))

    def close(self) -> None:
        """Nothing to give back."""


class LiveView:
    """The live view in a terminal, drawn by a thread of its own."""

    def __init__(self, console: Console, alerts: PlainLines | None = None) -> None:
        self.console, self.alerts = console, alerts
        self.view: View | None = None
        self._live: Live | None = None

    def begin(self, view: View) -> None:
        self.view = view
        if self.alerts is not None:
            self.alerts.begin(view)
        self._live = Live(
            view, console=self.console, refresh_per_second=_REFRESHES, redirect_stdout=False
        )
        self._live.start()

    def publish(self, outputs: list[Output]) -> None:
        assert self.view is not None
        (self.alerts.publish if self.alerts else self.view.take)(outputs)

    async def attend(self) -> None:
        await asyncio.Event().wait()

    def end(self, summary: dict[str, Any]) -> None:
        self.close()
        complain(summary_text(summary))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def choose(stop: Stop, *, as_json: bool) -> Display:
    """The display that fits: JSON where asked for, else live in a terminal, else plain."""
    pipe = Pipe(stop)
    if as_json:
        return JsonLines(pipe)
    if sys.stdout.isatty():
        return LiveView(Console())
    if sys.stderr.isatty():
        return LiveView(Console(stderr=True), PlainLines(pipe))
    return PlainLines(pipe)


class Bar:
    """A bar of progress on standard error, by bytes where the size is known."""

    def __init__(self, done: Callable[[], tuple[int, int]], total: int | None) -> None:
        self.done = done
        self._bar = Progress(
            TextColumn("重放 replay"),
            BarColumn(),
            DownloadColumn() if total is not None else TextColumn(""),
            TextColumn("{task.fields[lines]:,} lines"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("", total=total, lines=0)

    async def follow(self) -> None:
        """Keep the bar up to date."""
        self._bar.start()
        while True:
            self.update()
            await asyncio.sleep(_BAR_S)

    def update(self) -> None:
        size, lines = self.done()
        self._bar.update(self._task, completed=size, lines=lines)

    def stop(self) -> None:
        self._bar.stop()


class Replayed:
    """A bar while a replay goes on, around what else it shows, and the signs at its end.

    Where standard error is no terminal, a line of status now and then stands for the bar.
    """

    def __init__(self, inner: JsonLines | PlainLines, bar: Bar) -> None:
        self.inner, self.bar = inner, bar
        self.view: View | None = None

    def begin(self, view: View) -> None:
        self.view = view
        self.inner.begin(view)

    def publish(self, outputs: list[Output]) -> None:
        self.inner.publish(outputs)

    async def attend(self) -> None:
        if sys.stderr.isatty():
            await self.bar.follow()
            return
        assert self.view is not None
        await _tell_status(self.view, _REPLAY_STATUS_S)

    def end(self, summary: dict[str, Any]) -> None:
        self.bar.update()
        self.bar.stop()
        if isinstance(self.inner, PlainLines) and sys.stdout.isatty() and self.view is not None:
            Console().print(self.view)
        self.inner.end(summary)

    def close(self) -> None:
        self.bar.stop()


def choose_for_replay(
    stop: Stop, done: Callable[[], tuple[int, int]], *, total: int | None, as_json: bool
) -> Display:
    """The display of a replay.

    Parameters
    ----------
    done
        Bytes and lines fed so far.
    total
        Bytes to feed; None where that is unknown.
    """
    pipe = Pipe(stop)
    return Replayed(JsonLines(pipe) if as_json else PlainLines(pipe), Bar(done, total))


def coarse_alert_lines(outputs: list[Output], zone: str) -> list[str]:
    """A line for each city or district alert that was raised, escalated or cleared, by time."""
    # Signs whose windows are longer are told later: in the log 06:54 may stand before 06:49.
    alerts = [orjson.loads(o.value) for o in outputs if o.topic == ALERT_LOG]
    alerts.sort(key=lambda alert: alert["t_update"])
    return [
        alert_line(alert, zone) + _TOLD[alert["transition"]]
        for alert in alerts
        if alert["transition"] in _TOLD and alert["key_level"] in _COARSE
    ]


def alert_line(alert: dict[str, Any], zone: str) -> str:
    """An alert in one line, as a transition left it."""
    title = " ".join(alert["annotations"].values())
    value = amount(alert["value"], alert["unit"])
    where = key_with_name(alert["key"], alert["place"])
    late = "  迟到数据 late data" if alert["late"] else ""
    return (
        f"{moment(alert['t_update'], zone)}  {LEVELS[alert['level']]}  {title}  {where}  "
        f"{value} ({against(alert['why'])}){late}"
    )


async def _tell_status(view: View, every_s: float) -> None:
    """Tell on standard error how far a run is, now and then."""
    while True:
        await asyncio.sleep(every_s)
        complain(_status(view))


def _status(view: View) -> str:
    total = accounting(view.engine.pipeline.total().as_dict()).plain
    lag = f"待处理 unread {behind(view.engine):,}"
    return f"{moment(view.clock(), view.zone)} · {view.rate():,.0f} events/s · {lag} · {total}"


def summary_text(summary: dict[str, Any]) -> str:
    """What a run came to, for people."""
    return "\n".join(
        (
            accounting(summary["total"]).plain,
            f"体征结果 results {summary['vitals']:,} · 报警 alerts {summary['alerts']:,} · "
            f"{summary['events_per_s']:,} events/s · "
            f"内存峰值 peak memory {summary['peak_rss_bytes'] / 1e6:,.0f} MB",
        )
    )
