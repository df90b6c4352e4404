"""The file of relations: accepted whole, or refused with every fault in its place.

Rows are comma-separated, and the columns are those of `schemas.related.COLUMNS` in any order;
``relation`` and ``from`` are required.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from io import StringIO
from typing import Any

from schemas.csv_lines import Field, LineFault, fields_of
from schemas.documents import Problem
from schemas.places import LEVELS, level_of, normalise
from schemas.register import MOST_PROBLEMS, RegisterError
from schemas.register_columns import LONGEST_GUESS, MAKE, likely
from schemas.related import (
    COLUMNS,
    DIVIDER,
    KEY_LEVELS,
    LONGEST_NAME,
    NAME,
    POSITION,
    Relation,
    Relations,
    overlaps,
)

REQUIRED = ("relation", "from")
_LONGEST_KEY = 64
_DEGREES = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,7})?", re.ASCII)


def parse_relations(text: str, name: str) -> Relations:
    """Read a table of relations.

    Parameters
    ----------
    text
        The whole file.
    name
        How problems name the file.

    Raises
    ------
    RegisterError
        With every problem at its line and column.

    Examples
    --------
    >>> parse_relations("relation,from,to\\nriver,river:R1,station:s1\\n", "r.csv").rows[0].to
    'station:s1'
    >>> parse_relations("relation,from,to\\nriver,river:R1,staton:s1\\n", "r.csv")
    Traceback (most recent call last):
    RegisterError: r.csv:2:16: to: unknown key level 'staton': did you mean 'station'?
    """
    lines = StringIO(text, newline="\n")
    return parse_relation_lines((line.encode(errors="surrogatepass") for line in lines), name)


def parse_relation_lines(raw: Iterable[bytes], name: str) -> Relations:
    """As `parse_relations`, of a file's lines with their ends.

    Raises
    ------
    RegisterError
        With every problem at its line and column.
    """
    reader = _Reader(name)
    for number, line in enumerate(raw, 1):
        if not reader.take(number, line):
            break
    return reader.end()


class _Reader:
    """Takes lines, keeps rows and problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self.rows: dict[int, Relation] = {}
        self.header: list[str] | None = None

    def take(self, number: int, raw: bytes) -> bool:
        """Read a line; whether to go on."""
        try:
            line = raw.decode()
        except UnicodeDecodeError as error:
            column = len(raw[: error.start].decode()) + 1
            message = f"byte 0x{raw[error.start]:02x} is not UTF-8: save the file as UTF-8"
            self._tell(number, column, "", message)
            return self.header is not None
        if number == 1:
            line = line.removeprefix("\ufeff")
        line = line.removesuffix("\n").removesuffix("\r")
        if self.header is not None and not line:
            return True
        try:
            fields = fields_of(line)
        except LineFault as fault:
            self._tell(number, fault.column, "", str(fault))
            return self.header is not None
        if self.header is None:
            return self._take_header(number, fields)
        if len(fields) != len(self.header):
            count = len(self.header)
            column = fields[count].column if len(fields) > count else len(line) + 1
            message = f"the header has {count} columns, this row {len(fields)}"
            self._tell(number, column, "", message)
        else:
            self._take_row(number, dict(zip(self.header, fields, strict=True)))
        return len(self.problems) < MOST_PROBLEMS

    def end(self) -> Relations:
        """The table, where nothing was wrong."""
        if self.header is None and not self.problems:
            self._tell(1, 1, "", f"the file is empty: begin it with {','.join(COLUMNS)}")
        table = Relations(self.rows.values())
        numbers = {id(row): number for number, row in self.rows.items()}
        for pair in overlaps(table):
            first, second = sorted(numbers[id(row)] for row in pair)
            message = (
                f"line {first} says this for the same time: take one of the two out, or let the "
                "first end (until) where the second begins (since)"
            )
            self._tell(second, 1, "", message)
        if self.problems:
            raise RegisterError(self.problems)
        return table

    def _tell(self, line: int, column: int, path: str, message: str) -> None:
        self.problems.append(Problem(self.name, line, column, path, message))

    def _take_header(self, number: int, fields: list[Field]) -> bool:
        names = [field.text for field in fields]
        for i, field in enumerate(fields):
            if field.text not in COLUMNS:
                shown = field.text[:LONGEST_GUESS]
                hint = likely(shown.strip(), COLUMNS) or f": there are {', '.join(COLUMNS)}"
                self._tell(number, field.column, "", f"unknown column '{shown}'{hint}")
            elif field.text in names[:i]:
                self._tell(number, field.column, field.text, "the column stands here twice")
        for column in REQUIRED:
            if column not in names:
                self._tell(number, 1, column, "the required column is missing")
        self.header = names
        return not self.problems

    def _take_row(self, number: int, row: dict[str, Field]) -> None:
        values: dict[str, Any] = {}
        before = len(self.problems)
        relation = row["relation"].text
        for column, field in row.items():
            try:
                if field.loose:
                    raise ValueError("a space at its end: take it out, or put the field in quotes")
                values[column] = _MAKE[column](field.text, relation)
            except ValueError as error:
                self._tell(number, field.column, column, str(error))
        if len(self.problems) > before:
            return
        made = Relation(
            relation,
            values["from"],
            values.get("to", ""),
            values.get("lon"),
            values.get("lat"),
            values.get("since", 0),
            values.get("until"),
        )
        for column, message in _faults(made):
            at = row.get(column) or row["relation"]
            self._tell(number, at.column, column, message)
        if len(self.problems) == before:
            self.rows[number] = made


def _faults(row: Relation) -> Iterable[tuple[str, str]]:
    """What is wrong between the fields of a row."""
    if row.relation == POSITION:
        if row.to:
            yield "to", "a position has one key: leave it empty"
        for column, value in (("lon", row.lon), ("lat", row.lat)):
            if value is None:
                yield column, "is empty: a position has lon and lat, in degrees"
    else:
        if not row.to:
            yield "to", f"is empty: name a key, such as grid{DIVIDER}440111004003012"
        for column, value in (("lon", row.lon), ("lat", row.lat)):
            if value is not None:
                yield column, f"is for rows of the relation {POSITION}: leave it empty"
        if row.to == row.origin:
            yield "to", "is what the row begins from: nothing is related to itself"
    if row.until is not None and row.until <= row.since:
        yield "until", "is not after since: exchange the two"


def _relation(text: str, _: str) -> str:
    if not NAME.fullmatch(text) or len(text) > LONGEST_NAME:
        raise ValueError(
            "expected a name of small letters and underscores, such as supply_zone, "
            f"with at most {LONGEST_NAME} characters"
        )
    if text in KEY_LEVELS:
        raise ValueError(f"'{text}' is a key level: choose another name")
    return text


def _key(text: str, own: str) -> str:
    """A key with its level; of a relation's own things, those that it is named after."""
    if not text:
        return ""
    level, divided, key = text.partition(DIVIDER)
    known = (*KEY_LEVELS, own) if own else KEY_LEVELS
    if not divided:
        raise ValueError(f"expected a level and a key, such as {known[-1]}{DIVIDER}a1")
    if level not in known:
        hint = likely(level, known) or f": use one of {', '.join(known)}"
        raise ValueError(f"unknown key level '{level[:LONGEST_GUESS]}'{hint}")
    if not 0 < len(key) <= _LONGEST_KEY:
        raise ValueError(f"expected a key of 1 to {_LONGEST_KEY} characters behind {level}:")
    if level in LEVELS:
        key = normalise(key)
        if level_of(key) != level:
            raise ValueError(f"'{key}' is the code of a {level_of(key)}, not of a {level}")
    return f"{level}{DIVIDER}{key}"


def _origin(text: str, relation: str) -> str:
    if not text:
        raise ValueError(f"is empty: name a key, or a thing such as river{DIVIDER}R1")
    return _key(text, "" if relation == POSITION else relation)


def _degrees(most: float) -> Callable[[str, str], float | None]:
    def make(text: str, _: str) -> float | None:
        if not text:
            return None
        if not _DEGREES.fullmatch(text) or abs(float(text)) > most:
            raise ValueError(
                f"expected degrees from -{most:g} to {most:g} with at most 7 decimals, or nothing"
            )
        return float(text) + 0.0

    return make


_MAKE: dict[str, Callable[[str, str], Any]] = {
    "relation": _relation,
    "from": _origin,
    "to": lambda text, _: _key(text, ""),
    "lon": _degrees(180),
    "lat": _degrees(90),
    "since": lambda text, _: MAKE["since"](text),
    "until": lambda text, _: MAKE["until"](text),
}
