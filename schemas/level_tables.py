"""Dated tables of levels: the thresholds of standards, and the days for which they hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Annotated, Literal, Protocol

from pydantic import Field

from schemas.citizens import Day
from schemas.findings import Finding
from schemas.model import Model, Text
from schemas.signs import DatedLevels, Levels, Sign, Thresholds
from schemas.spelling import guess
from schemas.words import Name, Standing, TableId

Label = Annotated[str, Field(min_length=1, max_length=64)]


class Version(Model):
    """What a table says from one day on, and until another."""

    label: Label
    """Number and year of the standard: outputs carry it."""
    valid_from: Day | None = None
    """The first local day; without it, every day before."""
    valid_to: Day | None = None
    """The last one; without it, every day after."""
    source: Text
    """The standard or paper and its section, or 'proposal'."""
    standing: Standing


class LevelVersion(Version):
    """The thresholds of one version."""

    thresholds: Thresholds


class LevelTable(Model):
    """Thresholds that signs are judged by, by the local day on which a window ends."""

    id: TableId
    name: Name
    compare: Literal["ge", "gt", "le", "lt"]
    versions: Annotated[list[LevelVersion], Field(min_length=1)]
    """The oldest first, each from the day after the one before it."""

    def levels(self) -> DatedLevels:
        """As signs hold it: beside all versions, what the newest one says."""
        dated = [
            (
                version.valid_from,
                version.valid_to,
                version.label,
                Levels(
                    compare=self.compare,
                    thresholds=version.thresholds,
                    source=version.source,
                    standing=version.standing,
                ),
            )
            for version in self.versions
        ]
        newest = dated[-1][-1]
        return DatedLevels(
            compare=newest.compare,
            thresholds=newest.thresholds,
            source=newest.source,
            standing=newest.standing,
            versions=tuple(dated),
        )


def with_levels(sign: Sign, tables: Mapping[str, LevelTable]) -> Sign:
    """A sign with the levels of the table that it names; as it is, where there is none."""
    table = None if sign.table is None else tables.get(sign.table)
    return sign if table is None else sign.model_copy(update={"levels": table.levels()})


class _Dated(Protocol):
    @property
    def valid_from(self) -> str | None: ...
    @property
    def valid_to(self) -> str | None: ...


def check_versions(versions: Sequence[_Dated]) -> Iterator[Finding]:
    """Days that have two versions, or none between two of them; by paths inside the table."""
    for i, version in enumerate(versions):
        begin, end = version.valid_from, version.valid_to
        if begin is not None and end is not None and end < begin:
            yield ("versions", i, "valid_to"), f"is before valid_from ({begin})"
    for i, (one, other) in enumerate(pairwise(versions), 1):
        if other.valid_from is None:
            yield ("versions", i), "needs valid_from: it follows another version"
        elif one.valid_to is None or one.valid_to >= other.valid_from:
            until = one.valid_to or "the end of time"
            message = f"overlaps the version before it, which is valid to {until}"
            yield ("versions", i, "valid_from"), message
        elif date.fromisoformat(one.valid_to) + timedelta(1) != date.fromisoformat(
            other.valid_from
        ):
            message = f"leaves a gap: the version before it is valid to {one.valid_to}"
            yield ("versions", i, "valid_from"), message


def check_level_tables(tables: Mapping[int, LevelTable]) -> Iterator[Finding]:
    """What is wrong with tables of levels, by their place in the configuration."""
    for index, table in tables.items():
        found = list(check_versions(table.versions))
        for i, version in enumerate(table.versions):
            path = ("versions", i, "thresholds")
            given = version.thresholds.given()
            if not given:
                found.append((path, "needs at least one of blue, yellow, orange, red"))
            found += [((*path, *at), said) for at, said in out_of_order(table.compare, given)]
        yield from ((("tables", index, *path), message) for path, message in found)


def out_of_order(compare: str, given: Sequence[tuple[str, float]]) -> Iterator[Finding]:
    """Thresholds that do not go the way in which values are compared; by the level's name."""
    rising = compare in ("ge", "gt")
    for (milder, low), (level, high) in pairwise(given):
        if not (low < high if rising else low > high):
            relation = "above" if rising else "below"
            yield (level,), f"must be {relation} {milder} ({low:g}), since compare is {compare}"


def check_table(sign: Sign, tables: Collection[str], unread: Collection[str]) -> Iterator[Finding]:
    """Whether there is the table that a sign, as it was written, names.

    ``unread`` are ids of what stands in the configuration but has faults of its own.
    """
    if sign.table is None:
        return
    if sign.levels is not None:
        yield ("table",), "stands beside levels: keep one of them"
    if sign.table not in tables and sign.table not in unread:
        yield ("table",), f"unknown table '{sign.table}'{guess(sign.table, tables)}"
