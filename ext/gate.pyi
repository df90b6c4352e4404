from array import array
from collections.abc import Sequence

from ext.records import Values
from ext.rows import Rows
from ext.seen import Seen

DONE: int
CUT: int
ODD: int
UNKNOWN: int

Route = tuple[Rows, int, int, int, int, int, int, tuple[float, float, float, float]]

class Gate:
    watermark: int
    def __init__(
        self,
        fields: list[tuple[str, int, float, float, bool]],
        seen: Seen,
        disorder_ms: int,
        skew_ms: int,
        lateness_ms: int,
        future_ms: int,
        seed: int,
        most: int = ...,
        naming: Sequence[str] = ...,
    ) -> None: ...
    def __len__(self) -> int: ...
    def clear(self) -> None: ...
    def take_counts(self) -> tuple[int, int, int, int, int, int]: ...
    def take_lates(self) -> list[tuple[int, int, int]]: ...
    def kind_of(self, raw: bytes) -> tuple[tuple[int, int], list[str | None] | None] | None: ...
    def is_new(self, raw: bytes, sender: bytes, logged: int, shape: int) -> bool: ...
    def shape(
        self,
        named: bytes,
        *,
        folds: bool,
        covered: int,
        routes: Sequence[Route],
        arrivals: Sequence[Route],
        period: int,
        ranged: int = ...,
        low: float = ...,
        high: float = ...,
    ) -> int: ...
    def learn(self, raw: bytes, sender: bytes, shape: int, slots: Sequence[int]) -> bool: ...
    def run(
        self, values: Values, logged: array[int], first: int, next_cut: int
    ) -> tuple[int, int]: ...
