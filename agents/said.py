"""What a sign says of the keys of one window, as columns: a row is an `agents.entries.Entry`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.entries import Entry, KeyName
from agents.levels import Scale
from schemas.vital import REASONS
from streams.heads import Flags, Floats, Ints

Small = NDArray[np.int8]
Detail = dict[str, Any]

NONE = -1
"""No level, and no reason."""
_CODES = {reason: code for code, reason in enumerate(REASONS)}
WARMING, UNCOVERED, NO_LIMIT, UNDEFINED = (
    _CODES[reason] for reason in ("warming", "uncovered", "no_limit", "undefined")
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(
    tuple[list[tuple[str, str]], list[str], bytes, bytes, bytes, bytes, bytes]
).decode


@dataclass(eq=False, slots=True)
class Said:
    """Rows in the order in which they are told.

    Attributes
    ----------
    values
        NaN where there is none.
    n, coverage
        Rows counted, and the share of time, samples or children that was seen.
    reasons, levels
        Why there is no value, by its place in `REASONS`; 0 to 4; `NONE` where there is none.
    details, models
        By row, where there are any.
    """

    names: list[KeyName]
    places: list[str]
    values: Floats
    n: Ints
    coverage: Floats
    reasons: Small
    levels: Small
    details: dict[int, Detail] = field(default_factory=dict)
    models: dict[int, Detail] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Said:
        """Entries as columns."""
        missing = float("nan")
        values = [missing if e.value is None else e.value for e in entries]
        reasons = [NONE if e.reason is None else _CODES[e.reason] for e in entries]
        levels = [NONE if e.severity is None else e.severity for e in entries]
        return cls(
            [e.name for e in entries],
            [e.place for e in entries],
            np.array(values, np.float64),
            np.array([e.n for e in entries], np.int64),
            np.array([e.coverage for e in entries], np.float64),
            np.array(reasons, np.int8),
            np.array(levels, np.int8),
            {i: e.detail for i, e in enumerate(entries) if e.detail is not None},
            {i: e.model for i, e in enumerate(entries) if e.model is not None},
        )

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Entry]:
        return map(self.entry, range(len(self)))

    def entry(self, row: int) -> Entry:
        """One row."""
        value, reason, level = self.values[row], self.reasons[row], self.levels[row]
        return Entry(
            *self.names[row],
            self.places[row],
            None if np.isnan(value) else float(value),
            int(self.n[row]),
            float(self.coverage[row]),
            None if reason == NONE else REASONS[reason],
            None if level == NONE else int(level),
            self.details.get(row),
            self.models.get(row),
        )

    def take(self, rows: Ints) -> Said:
        """Some rows, in their order here or in another."""
        picked = rows.tolist()
        return Said(
            [self.names[i] for i in picked],
            [self.places[i] for i in picked],
            self.values[rows],
            self.n[rows],
            self.coverage[rows],
            self.reasons[rows],
            self.levels[rows],
            _taken(self.details, picked),
            _taken(self.models, picked),
        )

    def where(self, flags: Flags) -> Said:
        """The rows that are flagged."""
        return self if flags.all() else self.take(np.flatnonzero(flags))

    def and_then(self, more: Said) -> Said:
        """These rows and others after them."""
        if not len(more):
            return self
        first = len(self)
        return Said(
            self.names + more.names,
            self.places + more.places,
            np.concatenate((self.values, more.values)),
            np.concatenate((self.n, more.n)),
            np.concatenate((self.coverage, more.coverage)),
            np.concatenate((self.reasons, more.reasons)),
            np.concatenate((self.levels, more.levels)),
            self.details | {first + i: detail for i, detail in more.details.items()},
            self.models | {first + i: model for i, model in more.models.items()},
        )

    def differs(self, other: Said) -> Flags:
        """Which rows are not the same as those of another one with the same keys."""
        same_value = (self.values == other.values) | np.isnan(self.values) & np.isnan(other.values)
        different: Flags = ~same_value | (self.n != other.n) | (self.coverage != other.coverage)
        different |= (self.reasons != other.reasons) | (self.levels != other.levels)
        for column in (
            [a != b for a, b in zip(self.places, other.places, strict=True)],
            [self.details.get(i) != other.details.get(i) for i in range(len(self))],
        ):
            different |= np.array(column, np.bool_)
        return different

    def has_rows_of(self, other: Said) -> bool:
        """Whether another one has the same rows: keys, places, and what was counted."""
        return (
            (self.names, self.places) == (other.names, other.places)
            and np.array_equal(self.n, other.n)
            and np.array_equal(self.coverage, other.coverage)
        )

    def judge(self, scale: Scale | None) -> None:
        """Set the levels; a value that is not finite is none (rule R7)."""
        undefined = np.isinf(self.values)
        if undefined.any():
            self.values[undefined] = np.nan
            self.reasons[undefined] = UNDEFINED
            for row in np.flatnonzero(undefined).tolist():
                self.details.pop(row, None)
        if scale is not None:
            self.levels = scale.levels_of(self.values)

    def dump(self) -> bytes:
        """The rows without details and models, which no child has."""
        columns = (self.values, self.n, self.coverage, self.reasons, self.levels)
        return _encode((self.names, self.places, *(column.tobytes() for column in columns)))

    @classmethod
    def load(cls, data: bytes) -> Said:
        names, places, values, n, coverage, reasons, levels = _decode(data)
        return cls(
            names,
            places,
            np.frombuffer(values, np.float64).copy(),
            np.frombuffer(n, np.int64).copy(),
            np.frombuffer(coverage, np.float64).copy(),
            np.frombuffer(reasons, np.int8).copy(),
            np.frombuffer(levels, np.int8).copy(),
        )


def _taken(found: dict[int, Detail], rows: list[int]) -> dict[int, Detail]:
    if not found:
        return {}
    return {new: found[old] for new, old in enumerate(rows) if old in found}


class Correction(NamedTuple):
    """Rows that late events changed: as they were, whether they were told, and as they are."""

    before: Said
    told: Flags
    after: Said

    def take(self, rows: Ints) -> Correction:
        """Some of the rows."""
        return Correction(self.before.take(rows), self.told[rows], self.after.take(rows))

    def pairs(self) -> list[tuple[Entry | None, Entry]]:
        """Row by row."""
        told = self.told.tolist()
        return [
            (self.before.entry(row) if told[row] else None, self.after.entry(row))
            for row in range(len(self.after))
        ]


def named(entries: Iterable[Entry]) -> dict[KeyName, Entry]:
    """Entries by name."""
    return {entry.name: entry for entry in entries}
