"""The register's file: accepted whole, or refused with every fault in its place.

Rows are comma-separated. The columns are those of `Device`, in any order, and ``part_of:NAME`` for
each relation; ``device``, ``topic``, ``kind`` and ``place`` are required.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from operator import itemgetter
from typing import Any

from schemas.csv_lines import Field, LineFault, fields_of, split_plain
from schemas.devices import (
    COLUMNS,
    KINDS,
    NOISE_ZONES,
    Change,
    Device,
    Difference,
    Kinds,
    Register,
    diff,
    kinds_of,
    merge,
    ordered,
    overlaps,
    write,
)
from schemas.documents import ConfigurationError, Problem
from schemas.metrics import METRICS, Metrics
from schemas.register_columns import LONGEST_GUESS, MAKE, fault_of_kind, likely
from schemas.relations import COLUMN, PartOf, contradictions, is_relation, path

__all__ = [
    "COLUMNS",
    "KINDS",
    "NOISE_ZONES",
    "REQUIRED",
    "Change",
    "Device",
    "Difference",
    "Register",
    "RegisterError",
    "diff",
    "merge",
    "parse_lines",
    "parse_register",
    "write",
]

REQUIRED = ("device", "topic", "kind", "place")
MOST_PROBLEMS = 10_000
"""Where the columns are mixed up every row is faulty: reading ends there."""
_MOST_KNOWN = 1 << 18
_KNOWN_COLUMNS = f": there are {', '.join(COLUMNS)}, and {COLUMN}NAME"


class RegisterError(ConfigurationError):
    """A register is refused, with all its problems."""


def parse_register(text: str, name: str) -> Register:
    """Read a register.

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
    >>> register = parse_register("place,device,topic,kind\\n440100,d1,sensor,pm25\\n", "r.csv")
    >>> register.devices[0].place, register.devices[0].period_s
    ('4401', 300.0)
    >>> parse_register("device,topic,kind,place\\nd1,sensor,pm2.5,4401\\n", "r.csv")
    Traceback (most recent call last):
    RegisterError: r.csv:2:11: kind: unknown metric: did you mean 'pm25'?
    """
    # Half a surrogate pair goes through, to be told of in its place.
    lines = StringIO(text, newline="\n")
    return parse_lines((line.encode(errors="surrogatepass") for line in lines), name)


def parse_lines(lines: Iterable[bytes], name: str, metrics: Metrics = METRICS) -> Register:
    """As `parse_register`, of a file's lines with their ends; none is kept.

    Raises
    ------
    RegisterError
        With every problem at its line and column.
    """
    reader = _Reader(name, kinds_of(metrics))
    for number, raw in enumerate(lines, 1):
        if not reader.take(number, raw):
            break
    return reader.end()


class _Known(dict[str, Any]):
    """Values by what stands in the file, each made once."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> Any:
        made = self._make(text)
        if len(self) < _MOST_KNOWN:
            self[text] = made
        return made


class _Reader:
    """Takes lines, keeps rows and problems."""

    def __init__(self, name: str, kinds: Kinds) -> None:
        self.name, self.kinds = name, kinds
        self.problems: list[Problem] = []
        self.rows: list[Device] = []
        self.numbers = array("L")
        self.header: list[str | None] | None = None
        self._values = {column: _Known(make) for column, make in MAKE.items()}
        self._paths = _Known(path)
        self._relations: list[tuple[str, int]] = []
        self._arranged: Callable[[Sequence[str]], tuple[str, ...]] | None = None
        self._last = ""

    def take(self, number: int, raw: bytes) -> bool:
        """Read a line; whether to go on."""
        try:
            line = raw.decode()
        except UnicodeDecodeError as error:
            column = len(raw[: error.start].decode()) + 1
            message = f"byte 0x{raw[error.start]:02x} is not UTF-8: save the file as UTF-8"
            self._tell(number, column, "", message)
            # What the columns are is not known, and all the rest would be told of for that.
            return self.header is not None and len(self.problems) < MOST_PROBLEMS
        if number == 1:
            line = line.removeprefix("\ufeff")
        line = line.removesuffix("\n").removesuffix("\r")
        if self.header is None:
            return self._take_header(number, line)
        if not line:
            return True
        fields = split_plain(line) if self._arranged else None
        try:
            row = None if fields is None else self._made(fields)
        except (ValueError, KeyError):
            row = None
        row = row or self._closely(number, line)
        if row is not None:
            self.rows.append(row)
            self.numbers.append(number)
        if len(self.problems) >= MOST_PROBLEMS:
            message = f"{MOST_PROBLEMS} faults up to here: mend them, the rest was not read"
            self._tell(number + 1, 1, "", message)
            return False
        return True

    def end(self) -> Register:
        """The register, where nothing was wrong."""
        if self.header is None and not self.problems:
            self._tell(1, 1, "", f"the file is empty: begin it with {','.join(REQUIRED)}")
        rows = ordered(self.rows)
        if len(self.problems) < MOST_PROBLEMS:
            self._find_overlaps(rows)
            self._find_contradictions(rows)
        if self.problems:
            raise RegisterError(self.problems)
        return Register(rows)

    def _tell(self, line: int, column: int, path: str, message: str) -> None:
        self.problems.append(Problem(self.name, line, column, path, message))

    def _take_header(self, number: int, line: str) -> bool:
        try:
            fields = fields_of(line)
        except LineFault as fault:
            self._tell(number, fault.column, "", f"{fault}; the first line names the columns")
            return False
        if len(fields) == 1 and ";" in line:
            message = "columns are separated by commas, not semicolons"
            self._tell(number, line.index(";") + 1, "", message)
            return False
        self.header = []
        for field in fields:
            known = field.text in COLUMNS or is_relation(field.text)
            twice = known and field.text in self.header
            if twice:
                first = self.header.index(field.text)
                message = f"the column stands here twice: the first is at {fields[first].column}"
                self._tell(number, field.column, field.text, message)
            elif not known:
                hint = likely(field.text.strip(), COLUMNS) or _KNOWN_COLUMNS
                shown = field.text[:LONGEST_GUESS]
                what = f"unknown column '{shown}'" if shown else "a column without a name"
                self._tell(number, field.column, "", f"{what}{hint}")
            self.header.append(field.text if known and not twice else None)
        for column in REQUIRED:
            if column not in self.header:
                self._tell(number, 1, column, "the required column is missing")
        if not self.problems:
            # A column that is left out reads as the empty field put behind each row.
            places = {column: place for place, column in enumerate(self.header)}
            self._arranged = itemgetter(*(places.get(c, len(places)) for c in COLUMNS))
            found = [(c, place) for c, place in places.items() if c and is_relation(c)]
            self._relations = sorted((c.removeprefix(COLUMN), place) for c, place in found)
        return True

    def _made(self, fields: list[str]) -> Device:
        """The row of plain fields; raises where `_closely` must say what is wrong with it."""
        assert self.header is not None
        assert self._arranged is not None
        if len(fields) != len(self.header):
            raise ValueError
        fields.append("")
        (
            device,
            topic,
            kind,
            platform,
            place,
            site,
            site_type,
            period,
            since,
            until,
            depth,
            zone,
            limit,
            medium,
        ) = self._arranged(fields)
        if not 0 < len(device) <= 64:
            raise ValueError
        if device == self._last:
            # The rows of one device mostly stand together.
            device = self._last
        self._last = device
        value = self._values
        usual = self.kinds[topic][kind]
        given: float | None = value["period_s"][period]
        begin: int = value["since"][since]
        end: int | None = value["until"][until]
        if end is not None and end <= begin:
            raise ValueError
        return Device(
            device,
            value["topic"][topic],
            value["kind"][kind],
            value["platform"][platform],
            value["place"][place],
            value["site"][site],
            value["site_type"][site_type],
            usual if given is None else given,
            begin,
            end,
            value["well_depth_m"][depth],
            value["noise_zone"][zone],
            value["limit"][limit],
            value["medium"][medium],
            self._part_of(fields) if self._relations else (),
        )

    def _part_of(self, fields: list[str]) -> PartOf:
        return tuple(
            (name, self._paths[text]) for name, at in self._relations if (text := fields[at])
        )

    def _closely(self, number: int, line: str) -> Device | None:
        """The row of any line, or its faults in their places."""
        assert self.header is not None
        try:
            fields = fields_of(line)
        except LineFault as fault:
            self._tell(number, fault.column, "", str(fault))
            return None
        count = len(self.header)
        if len(fields) != count:
            column = fields[count].column if len(fields) > count else len(line) + 1
            message = f"the header has {count} columns, this row {len(fields)}"
            self._tell(number, column, "", message)
            return None
        before = len(self.problems)
        self._check(number, {c: f for c, f in zip(self.header, fields, strict=True) if c})
        if len(self.problems) > before or self._arranged is None:
            return None
        return self._made([field.text for field in fields])

    def _check(self, number: int, row: dict[str, Field]) -> None:
        values: dict[str, Any] = {}
        for column, field in row.items():
            try:
                if field.loose:
                    raise ValueError("a space at its end: take it out, or put the field in quotes")
                values[column] = MAKE.get(column, path)(field.text)
            except ValueError as error:
                self._tell(number, field.column, column, str(error))
        fault = None
        if "kind" in values:
            fault = fault_of_kind(values["kind"], values.get("topic"), self.kinds)
        if fault:
            self._tell(number, row["kind"].column, "kind", fault)
        begin, end = values.get("since"), values.get("until")
        if end is not None and end <= (begin or 0):
            self._tell(number, row["until"].column, "until", "is not after since: exchange the two")

    def _find_contradictions(self, rows: list[Device]) -> None:
        if not self._relations:
            return
        lines = {id(row): n for row, n in zip(self.rows, self.numbers, strict=True)}
        for pair, _ in zip(contradictions(rows), range(MOST_PROBLEMS), strict=False):
            first, second = sorted(lines[id(row)] for row in pair[:2])
            self._tell(second, 1, "", f"line {first} {pair[2]}: make the two lines agree")

    def _find_overlaps(self, rows: list[Device]) -> None:
        found = list(overlaps(rows))
        if not found:
            return
        wanted = {id(row) for pair in found for row in pair}
        lines = {
            id(row): number
            for row, number in zip(self.rows, self.numbers, strict=True)
            if id(row) in wanted
        }
        for pair in found[:MOST_PROBLEMS]:
            first, second = sorted(lines[id(row)] for row in pair)
            message = (
                f"line {first} has this device and kind for the same time: take one of the two "
                "out, or let the first end (until) where the second begins (since)"
            )
            self._tell(second, 1, "", message)
