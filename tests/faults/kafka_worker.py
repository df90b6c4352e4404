"""``cityvitals worker`` with a fault in it: it ends at a named point, or at a poison record.

``FAULT=snapshot:3`` kills the process when it is about to write its third snapshot.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import agents.intake
from agents.cluster import Cluster
from agents.commands import main
from agents.worker import _Group
from streams.kafka.outbox import Outbox
from streams.kafka.snapshots import SnapshotTopic

POINTS = ("outputs", "snapshot", "manifest", "offsets", "committed")
"""Before the outputs of a checkpoint are durable, before its snapshot, in the middle of it, before
its offsets, and after all of them."""
POISON = "a poison record"


def install(fault: str) -> None:
    """Have the process end at the nth time that a point is reached."""
    point, _, nth = fault.partition(":")
    assert point in POINTS, point
    left = int(nth)

    def reached() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(owner: Any, name: str) -> None:
        inner = getattr(owner, name)

        async def wrapped(*args: Any, **options: Any) -> Any:
            reached()
            return await inner(*args, **options)

        setattr(owner, name, wrapped)

    if point == "outputs":
        freeze = Cluster._freeze

        def frozen(self: Cluster, *args: Any) -> Any:
            reached()
            return freeze(self, *args)

        Cluster._freeze = frozen  # type: ignore[method-assign]
    elif point == "snapshot":
        before(Cluster, "_save")
    elif point == "manifest":
        write = SnapshotTopic.write

        async def half(self: SnapshotTopic, outbox: Outbox, *args: Any, **options: Any) -> None:
            flush, flushes = outbox.flush, 0

            async def second() -> None:
                nonlocal flushes
                flushes += 1
                if flushes == 2:  # the chunks are durable, the manifests are on their way
                    reached()
                await flush()

            outbox.flush = second  # type: ignore[method-assign]
            try:
                await write(self, outbox, *args, **options)
            finally:
                outbox.flush = flush  # type: ignore[method-assign]

        SnapshotTopic.write = half  # type: ignore[method-assign]
    elif point == "offsets":
        before(_Group, "commit")
    else:
        commit = _Group.commit

        async def committed(self: _Group, *args: Any) -> bool:
            done = await commit(self, *args)
            reached()
            return done

        _Group.commit = committed  # type: ignore[method-assign]


def poison() -> None:
    """Have the core raise at records that hold the marker."""
    decoder_of = agents.intake.decoder_of

    def poisoned(*shape: Any) -> Any:
        decode = decoder_of(*shape)

        def decoded(raw: bytes) -> Any:
            if POISON.encode() in raw:
                raise RuntimeError("poisoned")
            return decode(raw)

        return decoded

    agents.intake.decoder_of = poisoned


def end_with(parent: int) -> None:
    """End when the process that started this one has ended, however it did."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(4)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=[os.getppid()], daemon=True).start()
    if os.environ.get("FAULT"):
        install(os.environ["FAULT"])
    poison()
    main()
