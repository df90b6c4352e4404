from array import array
from typing import TypeAlias

_Buffer: TypeAlias = array[int] | memoryview

class Panes:
    pane_ms: int
    lateness_ms: int
    closed_until: int
    def __init__(self, pane_ms: int, lateness_ms: int) -> None: ...
    def add(
        self, t: _Buffer, slot: _Buffer, value: _Buffer, weight: _Buffer, covered_ms: _Buffer
    ) -> None: ...
    def close_until(
        self, watermark: int
    ) -> list[tuple[int, bool, list[tuple[int, tuple[int, ...]]]]]: ...
    @property
    def open_panes(self) -> int: ...
    def dump(self) -> bytes: ...
    @staticmethod
    def load(state: bytes) -> Panes: ...
