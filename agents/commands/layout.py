"""Lines that fit a terminal: columns go, and lines break, before a name does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len
from rich.console import Console, Group
from rich.text import Text

_GAP = "  "
_ENDLESS = 1 << 20


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a table.

    Parameters
    ----------
    head
        One line or several.
    gives
        Where the width is short, columns go in this order, the greatest first; 0 stays.
    right
        Whether its cells stand at the right.
    """

    head: str
    cells: list[Text]
    gives: int = 0
    right: bool = False

    @cached_property
    def width(self) -> int:
        """In cells of the terminal."""
        heads = map(cell_len, self.head.split("\n"))
        return max(*heads, *(cell.cell_len for cell in self.cells), 0)


def column(
    head: str, cells: Iterable[str | Text], gives: int = 0, *, right: bool = False
) -> Column:
    """A column of texts and strings."""
    return Column(head, [Text(c) if isinstance(c, str) else c for c in cells], gives, right)


def fitting(columns: list[Column], width: int | None) -> list[Column]:
    """The columns that there is room for; all of them where the width has no end.

    Examples
    --------
    >>> key, n = column("key", ["440111"]), column("n", ["12"], gives=1)
    >>> [column.head for column in fitting([key, n], 9)], len(fitting([key, n], 10))
    (['key'], 2)
    """
    kept = list(columns)
    while width is not None and _total(kept) > width and any(column.gives for column in kept):
        kept.remove(max(kept, key=lambda column: column.gives))
    return kept


def _total(columns: list[Column]) -> int:
    return sum(column.width + len(_GAP) for column in columns) - len(_GAP)


def table(columns: list[Column]) -> Iterator[Text]:
    """The heads, and a line for each row.

    Examples
    --------
    >>> for line in table([column("key", ["4401"]), column("n", ["12"], right=True)]):
    ...     print(line.plain)
    key    n
    4401  12
    """
    yield from heads(columns)
    yield from rows(columns)


def heads(columns: list[Column]) -> Iterator[Text]:
    """What stands above the columns; of a head of several lines the last is by its cells."""
    told = [column.head.split("\n") for column in columns]
    most = max(map(len, told))
    for number in range(-most, 0):
        yield _line([_head_line(lines, number) for lines in told], columns)


def _head_line(lines: list[str], number: int) -> Text:
    """The line of a head that is so far above its cells; the first one of it stands out."""
    if number < -len(lines):
        return Text()
    return Text(lines[number], "bold" if number == -len(lines) else "dim")


def rows(columns: list[Column]) -> Iterator[Text]:
    """A line for each row; what is too long even so ends in an ellipsis."""
    for cells in zip(*(column.cells for column in columns), strict=True):
        yield _line(cells, columns)


def _line(cells: Iterable[Text], columns: list[Column]) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    for cell, column in zip(cells, columns, strict=True):
        space = " " * (column.width - cell.cell_len)
        if line:
            line.append(_GAP)
        if column.right:
            line.append(space)
        line.append_text(cell)
        if not column.right:
            line.append(space)
    line.rstrip()
    return line


def flowed(parts: Iterable[Text], width: int | None, between: str = _GAP) -> Iterator[Text]:
    """Parts in as few lines as they need, each of them whole.

    Examples
    --------
    >>> [line.plain for line in flowed(map(Text, ("0 normal", "1 blue", "2 yellow")), 16)]
    ['0 normal  1 blue', '2 yellow']
    """
    line = Text()
    for part in parts:
        if line and width is not None and line.cell_len + len(between) + part.cell_len > width:
            yield line
            line = Text()
        line = Text.assemble(line, between, part) if line else part.copy()
    yield line


def show(lines: Callable[[int | None], Iterable[Text]]) -> None:
    """Print lines that are made for a width: that of the terminal; piped, they have no end."""
    width = Console().width if sys.stdout.isatty() else None
    Console(width=width or _ENDLESS, highlight=False).print(Group(*lines(width)))
