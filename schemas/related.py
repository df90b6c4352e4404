"""How keys are related beside their places: rivers, supply zones, neighbours, positions.

A row says that two keys are related (``neighbour``, from a segment to the next one), or that a key
belongs to a thing of the relation's own (``supply_zone:Z3``), by which all its keys are related to
each other. A row of the relation `POSITION` says where a key lies.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from schemas.csv_lines import quoted
from schemas.devices import written_time
from schemas.words import BY, LEVELS_KNOWN

POSITION = "position"
"""The relation whose rows hold a longitude and a latitude in place of a second key."""
DIVIDER = ":"
"""Between the level of a key and the key: ``segment:s12``."""
KEY_LEVELS = tuple(level for level in LEVELS_KNOWN if BY not in level)
"""Levels of the keys that are related."""
NAME = re.compile(r"[a-z]+(_[a-z]+)*", re.ASCII)
"""What a relation may be called."""
LONGEST_NAME = 24


class Relation(NamedTuple):
    """One row of the table.

    Parameters
    ----------
    relation
        Its name, such as ``neighbour``; `POSITION` for where a key lies.
    origin
        A key with its level, or a thing of the relation's own: ``river:R1``.
    to
        The key that is related to it, with its level; empty for a position.
    lon, lat
        Of a position, degrees of WGS 84; else None.
    since, until
        From when to when the row counts, int64 ms UTC; ``until`` is excluded, None is open.
    """

    relation: str
    origin: str
    to: str = ""
    lon: float | None = None
    lat: float | None = None
    since: int = 0
    until: int | None = None


COLUMNS = ("relation", "from", "to", "lon", "lat", "since", "until")
"""Columns of the file, in their canonical order."""

_order = attrgetter("relation", "origin", "to", "since")
_what = attrgetter("relation", "origin")


class Relations:
    """Rows in their canonical order: by relation, both keys and ``since``.

    Parameters
    ----------
    rows
        As `schemas.related_files.parse_relations` makes them, in any order.

    Examples
    --------
    >>> table = Relations([Relation("river", "river:R1", "station:s1")])
    >>> table.names
    ('river',)
    """

    def __init__(self, rows: Iterable[Relation] = ()) -> None:
        self.rows = tuple(sorted(rows, key=_order))

    def __len__(self) -> int:
        return len(self.rows)

    def __eq__(self, other: object) -> bool:
        return self.rows == other.rows if isinstance(other, Relations) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @property
    def names(self) -> tuple[str, ...]:
        """The relations that have rows, in order; without that of positions."""
        return tuple(sorted({row.relation for row in self.rows} - {POSITION}))

    @cached_property
    def digest(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the canonical file."""
        return hashlib.sha256(write(self).encode()).hexdigest()[:12]

    def of(self, relation: str) -> tuple[Relation, ...]:
        """The rows of a relation, in canonical order."""
        return tuple(row for row in self.rows if row.relation == relation)


def split_key(node: str) -> tuple[str, str] | None:
    """Level and key of what is related; None for a thing of the relation's own.

    >>> split_key("segment:s12"), split_key("river:R1")
    (('segment', 's12'), None)
    """
    level, _, key = node.partition(DIVIDER)
    return (level, key) if level in KEY_LEVELS else None


def lines(table: Relations) -> Iterator[str]:
    """The canonical file, line by line with their ends."""
    yield ",".join(COLUMNS) + "\n"
    for row in table.rows:
        yield (
            f"{row.relation},{quoted(row.origin)},{quoted(row.to)},"
            f"{_degrees(row.lon)},{_degrees(row.lat)},"
            f"{written_time(row.since) if row.since else ''},"
            f"{'' if row.until is None else written_time(row.until)}\n"
        )


def write(table: Relations) -> str:
    """The canonical file: rows that are equal give the same bytes.

    >>> print(write(Relations([Relation("river", "river:R1", "station:s1")])), end="")
    relation,from,to,lon,lat,since,until
    river,river:R1,station:s1,,,,
    """
    return "".join(lines(table))


def _degrees(value: float | None) -> str:
    return "" if value is None else f"{value:.7f}".rstrip("0").rstrip(".")


def overlaps(table: Relations) -> Iterator[tuple[Relation, Relation]]:
    """Rows that say of two keys, or of where a key lies, the same time over."""
    for _, rows in groupby(table.rows, key=lambda row: row[:3]):
        last: Relation | None = None
        for row in rows:
            if last is not None and (last.until is None or last.until > row.since):
                yield last, row
            if last is None or last.until is not None:
                last = row


class Difference(NamedTuple):
    """What one table has that another has not; each in canonical order."""

    added: tuple[Relation, ...]
    removed: tuple[Relation, ...]
    changed: tuple[tuple[Relation, Relation], ...]
    unchanged: int

    @property
    def empty(self) -> bool:
        """Whether the tables are equal."""
        return not (self.added or self.removed or self.changed)


def fields_changed(old: Relation, new: Relation) -> dict[str, tuple[Any, Any]]:
    """The columns that differ: what stood in them, and what stands in them."""
    pairs = zip(COLUMNS, old, new, strict=True)
    return {name: (before, after) for name, before, after in pairs if before != after}


def diff(old: Relations, new: Relations) -> Difference:
    """What has to be done to one table to make it the other.

    Rows are the same where relation, both keys and ``since`` are.

    >>> row = Relation("river", "river:R1", "station:s1")
    >>> diff(Relations(), Relations([row])).added == (row,)
    True
    """
    before, after = ({_order(row): row for row in table.rows} for table in (old, new))
    both = [(before[name], row) for name, row in after.items() if name in before]
    return Difference(
        tuple(row for name, row in after.items() if name not in before),
        tuple(row for name, row in before.items() if name not in after),
        tuple(pair for pair in both if pair[0] != pair[1]),
        sum(one == other for one, other in both),
    )


def merge(old: Relations, new: Relations) -> Relations:
    """One table over another.

    All rows of a relation and what they begin ``from`` come from the new one, where it has any.

    >>> one, two = (Relation("river", "river:R1", f"station:s{n}") for n in (1, 2))
    >>> merge(Relations([one]), Relations([two])).rows == (two,)
    True
    """
    told = {_what(row) for row in new.rows}
    return Relations([*(row for row in old.rows if _what(row) not in told), *new.rows])
