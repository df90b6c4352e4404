"""One run of the embedded engine, as ``up`` and ``replay`` share it."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agents.commands.displays import Display
from agents.commands.exits import BAD, ENVIRONMENT, Fault, complain
from agents.commands.expectations import keep
from agents.commands.folder import describe, open_log, write_about
from agents.commands.quantities import Retention
from agents.commands.stopping import Stop
from agents.commands.wording import port_note
from agents.plan import Plan

if TYPE_CHECKING:
    from agents.commands.page import Page

_TRIM_S = 30.0
_SAVE_S = 0.25


class Feed(Protocol):
    """Fills the log."""

    @property
    def now(self) -> int: ...

    async def run(self) -> None: ...


@dataclass(frozen=True)
class Run:
    """What a run needs beside its feed.

    Parameters
    ----------
    stop
        Ends the run when it is wished.
    pace
        Seconds of the feed's clock in a second, where that clock is the time of day; the engine's
        own signs then mean something.
    shown
        How the data folder is called in messages.
    config
        Path that the plan was read from; None where it is the shipped one.
    page
        Whether a gateway serves what it says.
    show_token
        Whether the page's token is told, though it was at an earlier start.
    """

    plan: Plan
    folder: Path
    shown: str
    retention: Retention
    port: int
    display: Display
    stop: Stop
    config: Path | None = None
    pace: float | None = None
    page: bool = False
    show_token: bool = False


def execute(run: Run, make_feed: Callable[[Any], Feed]) -> None:
    """Run the engine on the folder until its feed ends or the stop is wished.

    Parameters
    ----------
    make_feed
        Called with the open engine.

    Raises
    ------
    Exception
        What the engine or the feed failed with.
    """
    from agents.app import first_of
    from agents.app import run as run_app
    from agents.engine import Engine
    from agents.metrics import Metrics
    from agents.view import View

    with ExitStack() as held:
        store = held.enter_context(open_log(run.folder))
        store.own()
        metrics = Metrics()
        metrics.name_run(data=str(run.folder), config=run.plan.config)
        held.callback(metrics.stop)
        engine = Engine(run.plan, store, metrics, run.display.publish)
        # Whose folder it is comes first: a feed refuses that of another.
        feed = make_feed(engine)
        try:
            engine.open()
        except ValueError as error:
            raise Fault(BAD, str(error)) from error
        write_about(store, describe(run.plan.configuration, run.config))
        keep(store, run.plan.configuration.register, run.plan.configuration.relations)
        if run.pace is not None:
            engine.watch(lambda: feed.now, run.pace)
        served = metrics.serve(run.port)
        complain(f"data     {run.shown}\nmetrics  {served}{port_note(run.port, served)}")
        page = _page(run)
        if page is not None:
            held.callback(page.close)
            complain(page.told)
        view = View(engine, lambda: feed.now)
        view.preload()
        held.callback(run.display.close)
        run.display.begin(view)

        async def go() -> None:
            async def source() -> None:
                await first_of(
                    feed.run(),
                    run.display.attend(),
                    _keep_saved(engine.checkpoint_if_due),
                    _keep_trimmed(engine.trim, run.retention),
                    *(() if page is None else (page.run(),)),
                )

            await run_app(run.plan, engine, run.folder, source, run.stop.event())

        asyncio.run(go())
        summary = engine.summary()
        run.display.end({**summary, "peak_rss_bytes": peak_rss_bytes()})


def _page(run: Run) -> Page | None:
    if not run.page:
        return None
    from agents.commands.page import Page

    try:
        settings = run.plan.configuration.gateway
        return Page(settings, run.folder, show_token=run.show_token)
    except ValueError as error:
        raise Fault(BAD, str(error)) from error
    except OSError as error:
        raise Fault(ENVIRONMENT, f"the page's address can not be had: {error}") from error


def peak_rss_bytes() -> int:
    """Most memory that this process ever held, and the largest of those it started."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = sum(resource.getrusage(each).ru_maxrss for each in who)
    return peak if sys.platform == "darwin" else peak * 1024


async def _keep_saved(save: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(_SAVE_S)
        await save()


async def _keep_trimmed(trim: Callable[[int, int], None], retention: Retention) -> None:
    while True:
        await asyncio.sleep(_TRIM_S)
        await asyncio.to_thread(trim, retention.ms, retention.size)
