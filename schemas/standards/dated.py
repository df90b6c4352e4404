"""The tables of standards that signs are judged by, and the days for which they hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from schemas.signs import DerivedSign, EventSign, Sign, WindowSign
from schemas.standards import air, noise, water
from schemas.tables import TPI
from schemas.words import Standing


class Table(NamedTuple):
    """A table and its validity.

    Attributes
    ----------
    valid_from, valid_to
        Local days, both included; None where there is no end, or no begin that is known.
    """

    id: str
    label: str
    source: str
    standing: Standing
    valid_from: date | None
    valid_to: date | None

    def holds_on(self, day: date) -> bool:
        """Whether it is for a local day."""
        begun = self.valid_from is None or self.valid_from <= day
        return begun and (self.valid_to is None or day <= self.valid_to)


def _air(table: air.AirTable) -> Table:
    begin = None if table.valid_from == date.min else table.valid_from
    return Table("aqi", table.label, table.source, table.standing, begin, table.valid_to)


# Days of entry into force, but for the AQI's, are unverified.
TABLES = (
    _air(air.AQI_2012),
    _air(air.AQI_2026),
    Table(
        "water_class",
        "GB 3838-2002",
        water.SOURCE,
        "verified-secondary",
        date(2002, 6, 1),
        None,
    ),
    Table(
        "noise_zone",
        "GB 3096-2008",
        noise.LIMITS.source,
        noise.LIMITS.standing,
        date(2008, 10, 1),
        None,
    ),
    Table("tpi", "GB/T 33171-2016", TPI.source, TPI.standing, date(2017, 5, 1), None),
    Table(
        "news2",
        "NEWS2",
        "Royal College of Physicians, National Early Warning Score 2 (2017), chart 1",
        "verified-secondary",
        date(2017, 12, 1),
        None,
    ),
)
"""Of one id, each day has one table."""


def table_of(sign: Sign) -> str | None:
    """Id of the tables that a sign's value or limit is made of, if any."""
    if isinstance(sign, DerivedSign):
        name = sign.formula.name
        return name if name in ("aqi", "water_class", "news2") else None
    if isinstance(sign, EventSign) and sign.aggregate.function == "tpi":
        return "tpi"
    limit = sign.limit if isinstance(sign, WindowSign) else None
    return "noise_zone" if limit is not None and limit.name.startswith("noise_") else None


def tables_of(signs: Iterable[Sign]) -> list[dict[str, Any]]:
    """The tables as plain values, each with the signs that use it."""
    by_table: dict[str, list[str]] = {}
    for sign in signs:
        name = table_of(sign)
        if name is not None:
            by_table.setdefault(name, []).append(sign.id)
    return [
        {
            **table._asdict(),
            "valid_from": table.valid_from.isoformat() if table.valid_from else None,
            "valid_to": table.valid_to.isoformat() if table.valid_to else None,
            "signs": by_table.get(table.id, []),
        }
        for table in TABLES
    ]
