"""Mergeable aggregates, one file each.

An accumulator is a plain tuple that begins ``(n, last_t, covered, ...)``: rows, event time of the
last row (int64 ms), and what the rows speak for (ms of time; in a sampled pane, devices known).
Merging is associative and commutative to the bit (rule R3): a state is a function of the multiset
of rows, never of their grouping.
"""

from __future__ import annotations

from typing import Any, Protocol

from ext.cells import Cells
from streams.aggregates.distinct import DISTINCT as DISTINCT
from streams.aggregates.facts import FACTS as FACTS
from streams.aggregates.moments import MOMENTS as MOMENTS
from streams.aggregates.quantiles import QUANTILES as QUANTILES
from streams.aggregates.slopes import SLOPES as SLOPES

Accumulator = tuple[Any, ...]


class Family(Protocol):
    """A kind of accumulator and its merge law."""

    @property
    def name(self) -> str: ...

    @property
    def empty(self) -> Accumulator: ...

    def row(self, t: int, value: int, weight: int, covered: int) -> Accumulator:
        """The accumulator of one row."""
        ...

    def merge(self, a: Accumulator, b: Accumulator) -> Accumulator: ...

    def cells(self) -> Cells:
        """Where accumulators of the family are kept, without any."""
        ...


FAMILIES: dict[str, Family] = {f.name: f for f in (MOMENTS, QUANTILES, DISTINCT, SLOPES, FACTS)}
