from typing import Any

from ext.rows import Rows

Placed = list[tuple[int, int, tuple[Any, ...]]]

def quantiles(rows: Rows, pane_ms: int, exact: int, log_gamma: float) -> Placed: ...
def slopes(rows: Rows, pane_ms: int) -> Placed: ...
