"""Lines of comma-separated values (RFC 4180), with the column at which each field stands.

A record is one line: no field of ours holds a line break, and a quote that is not closed must not
swallow the rest of a file.
"""

from __future__ import annotations

import csv
import re
from typing import NamedTuple

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no field may hold: the gate refuses it in events too."""

_QUOTED = re.compile('"((?:[^"]|"")*+)"')


class LineFault(ValueError):  # noqa: N818 - a finding about a text, not an error of the program
    """A line that can not be taken apart.

    Parameters
    ----------
    column
        Where, from 1.
    """

    def __init__(self, column: int, message: str) -> None:
        super().__init__(message)
        self.column = column


class Field(NamedTuple):
    """A field without its quotes, and its column from 1."""

    column: int
    text: str
    quoted: bool

    @property
    def loose(self) -> bool:
        """Whether a space at an end of it stands there unquoted, so most likely by mistake."""
        return not self.quoted and self.text != self.text.strip()


def fields_of(line: str) -> list[Field]:
    """Take a line apart.

    Parameters
    ----------
    line
        Without its end.

    Raises
    ------
    LineFault
        A quote is not closed or stands inside a field, or a control character is in the line.

    Examples
    --------
    >>> [tuple(field) for field in fields_of('d1,"a ""b"", c",')]
    [(1, 'd1', False), (4, 'a "b", c', True), (17, '', False)]
    """
    if control := CONTROL.search(line):
        what = "a tab: columns are separated by commas, or" if control[0] == "\t" else ""
        message = f"{what or 'a control character:'} take it out"
        raise LineFault(control.start() + 1, message)
    fields = []
    at = 0
    while True:
        if line.startswith('"', at):
            found = _QUOTED.match(line, at)
            if found is None:
                raise LineFault(at + 1, "the quote that begins here is not closed in this line")
            end, text = found.end(), found[1].replace('""', '"')
            if end < len(line) and line[end] != ",":
                message = "text behind a closing quote: write a quote within a field twice"
                raise LineFault(end + 1, message)
            fields.append(Field(at + 1, text, True))
        else:
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            quote = line.find('"', at, end)
            if quote >= 0:
                message = "a quote inside a field: put the field in quotes and write this one twice"
                raise LineFault(quote + 1, message)
            fields.append(Field(at + 1, line[at:end], False))
        if end == len(line):
            return fields
        at = end + 1


def split_plain(line: str) -> list[str] | None:
    """The fields of a line, many times as fast; None where it has to be looked at closely.

    >>> split_plain('d1,"a, b",'), split_plain("d1 ,b"), split_plain('d1,"a')
    (['d1', 'a, b', ''], None, None)
    """
    if not line.isprintable():
        return None
    if '"' not in line:
        loose = " ," in line or ", " in line or line[:1] == " " or line[-1:] == " "
        return None if loose else line.split(",")
    try:
        fields = next(csv.reader((line,), strict=True))
    except csv.Error:
        return None
    return None if any('"' in text or text != text.strip() for text in fields) else fields


def quoted(text: str) -> str:
    """A field as it is written: in quotes where it has to be.

    >>> quoted("d1"), quoted('a "b", c'), quoted(" d1")
    ('d1', '"a ""b"", c"', '" d1"')
    """
    if "," in text or '"' in text or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text
