"""The Faust app: one thin agent a topic over the engine, and how a run begins and ends."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import faust
from faust.tables.manager import TableManager
from faust.types import StreamT

from agents.engine import CONSUMER, Engine
from agents.outputs import CONTROL
from agents.plan import Plan
from streams.records import Chunk
from streams.transports.local import Transport, broker_url

Source = Callable[[], Awaitable[None]]
"""Feeds the log or waits; the run ends when it returns."""


_LOGGED = {"faust": logging.ERROR, "mode": logging.ERROR, "aiokafka": logging.CRITICAL}


class NoTables(TableManager):
    """Faust waits a second for tables to register; the engine has none."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


def build_app(plan: Plan, engine: Engine, folder: Path) -> faust.App:
    """A Faust app whose agents hand the chunks of each input topic, and commands, to the engine.

    Faust's own state stands beside the log.  Its acknowledgements are off: offsets belong to the
    engine, which saves them with the state they lead to.
    """
    app = faust.App(
        CONSUMER,
        broker=broker_url(folder),
        datadir=str(folder / "faust"),
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        loghandlers=[],
        TableManager=NoTables,
    )
    transport = app.transport
    assert isinstance(transport, Transport)
    transport.adopt(engine.store)
    for topic in (*plan.topics, CONTROL):
        inputs = app.topic(topic, acks=False, key_type=bytes, value_serializer="raw")
        app.agent(inputs, name=f"intake.{topic}")(_agent_body(app, engine))
    return app


def _agent_body(app: faust.App, engine: Engine) -> Callable[[StreamT[Chunk]], Awaitable[None]]:
    async def take_chunks(chunks: StreamT[Chunk]) -> None:
        # Faust would restart an agent that raised and go on with half-applied state.
        try:
            async for chunk in chunks:
                await engine.take(chunk)
        except Exception as error:
            await app.crash(error)

    return take_chunks


async def run(
    plan: Plan, engine: Engine, folder: Path, source: Source, stop: asyncio.Event | None = None
) -> None:
    """Run the embedded engine until the source ends, ``stop`` is set or an agent fails.

    Raises
    ------
    Exception
        What an agent or the source failed with; nothing was saved after it.
    """
    await drive(build_app(plan, engine, folder), source, engine.checkpoint, stop)


async def drive(
    app: faust.App,
    source: Source,
    save: Callable[[], Awaitable[None]],
    stop: asyncio.Event | None = None,
) -> None:
    """Run an app until the source ends, ``stop`` is set or an agent fails.

    Parameters
    ----------
    save
        Called before the app stops, unless something failed.

    Raises
    ------
    Exception
        What an agent or the source failed with; nothing was saved after it.
    """
    # Rows and identities live for minutes and hold no cycles: the default thresholds would have
    # the collector walk all of them many times a second.
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    # What goes wrong is told by those who can say what to do about it.
    for name, level in _LOGGED.items():
        logging.getLogger(name).setLevel(level)
    stop = stop or asyncio.Event()
    feeding: asyncio.Task[None] | None = None
    try:
        await app.start()
        feeding = asyncio.ensure_future(source())
        waiting = [
            feeding,
            asyncio.ensure_future(stop.wait()),
            asyncio.ensure_future(app.wait_until_stopped()),
        ]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting[1:]:
            task.cancel()
        if not feeding.done():
            feeding.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        if app.crash_reason is None and (feeding.cancelled() or feeding.exception() is None):
            await save()
    finally:
        await app.stop()
    if app.crash_reason is not None:
        raise app.crash_reason
    if feeding is not None and not feeding.cancelled():
        feeding.result()


async def first_of(*bodies: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, then end the others; raises what any failed with."""
    tasks = [asyncio.ensure_future(body) for body in bodies]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
