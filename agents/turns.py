"""Who may change the state of a worker: several lanes at a time, or one thing alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Steps of lanes run beside each other; what concerns all of them has a turn of its own.

    Examples
    --------
    >>> async def told() -> list[str]:
    ...     turns, said = Turns(), []
    ...     async def step(name: str) -> None:
    ...         async with turns.step():
    ...             said.append(f"{name} begins")
    ...             await asyncio.sleep(0)
    ...             said.append(f"{name} ends")
    ...     async def save() -> None:
    ...         async with turns.alone():
    ...             said.append("saved")
    ...     await asyncio.gather(step("a"), step("b"), save())
    ...     return said
    >>> asyncio.run(told())
    ['a begins', 'b begins', 'a ends', 'b ends', 'saved']
    """

    def __init__(self) -> None:
        self._door = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stepping = 0

    @asynccontextmanager
    async def step(self) -> AsyncIterator[None]:
        """Beside other steps, but nothing else."""
        async with self._door:
            self._stepping += 1
            self._idle.clear()
        try:
            yield
        finally:
            self._stepping -= 1
            if not self._stepping:
                self._idle.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """When the steps that have begun are over; others begin afterwards."""
        async with self._door:
            await self._idle.wait()
            yield

    @property
    def taken(self) -> bool:
        """Whether anybody has a turn, or waits for it."""
        return self._stepping > 0 or self._door.locked()
