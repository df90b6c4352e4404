"""A small plot of one vital sign in the terminal, readable without colour.

The line is drawn in braille, two by four dots a cell.  What is missing is never bridged: it is a
hole in the line and a mark of its own below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median_low
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rich.cells import cell_len
from rich.text import Text

HEIGHT = 12
"""Rows of the plot itself."""

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille cell: by row and column."""
_BLANK = 0x2800

_MINUTE, _DAY = 60_000, 86_400_000
_STEPS = tuple(
    minutes * _MINUTE
    for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 40_320)
)
_TICK_CELLS = 9
"""Cells that the label of a time needs around it."""

VALUE, CORRECTED, MISSING = "⠒", "◆", "×"
THRESHOLD, EXPECTED, BAND, EPISODE = "┄", "─", "░", "━"
UP, DOWN, BOTH = "↑", "↓", "↕"


class Point(NamedTuple):
    """A result: end of its window in int64 ms UTC, and its value; none where data were missing."""

    t: int
    value: float | None
    corrected: bool = False


class Line(NamedTuple):
    """A limit, or what was expected, from one time to another; ``name`` stands at the right."""

    value: float
    name: str
    glyph: str
    style: str
    start: int
    end: int


class Band(NamedTuple):
    """A range that was taken for normal from one time to another."""

    low: float
    high: float
    start: int
    end: int


class Mark(NamedTuple):
    """Something that happened at a time, such as a rise of the level."""

    t: int
    glyph: str
    style: str


class Plot:
    """A sign over time.

    Parameters
    ----------
    points
        In the order of their times; a correction stands beside the value it corrects.
    lines, bands, marks
        What is drawn behind and above the values.
    episode
        From when to when the alert stood, int64 ms UTC.
    zone
        Of the times below the plot.
    width
        In cells, the labels at both sides included.

    Examples
    --------
    >>> points = [Point(i * 60_000, v) for i, v in enumerate([1.0, 4.0, None, 2.0])]
    >>> limit = Line(3.0, "red", THRESHOLD, "red", 0, 180_000)
    >>> for row in Plot(points, [limit], [], [], (60_000, 180_000), "UTC", 36, 4).rows():
    ...     print(f"|{row.plain.rstrip()}")
    |  4 │       ⡠⠊
    |  3 ┤┄┄┄┄⢀⠔⠉┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ red
    |    │  ⣀⠔⠁                    ⠠
    |  1 │⡠⠊
    |    │         ××××××××××××××××
    |    └┴───────━━━━━━━━━┻━━━━━━━━
    |   00:00            00:02
    """

    def __init__(
        self,
        points: Sequence[Point],
        lines: Sequence[Line],
        bands: Sequence[Band],
        marks: Sequence[Mark],
        episode: tuple[int, int],
        zone: str,
        width: int,
        height: int = HEIGHT,
    ) -> None:
        self.points, self.lines, self.bands, self.marks = points, lines, bands, marks
        self.episode, self.zone, self.height = episode, ZoneInfo(zone), height
        self.begin = min(p.t for p in points)
        self.end = max(self.begin + 1, *(p.t for p in points))
        self.low, self.high = self._range()
        self._left = max(len(self._figure(v)) for v in (self.low, self.high, *self._limits())) + 3
        self._right = max((cell_len(line.name) + 1 for line in lines), default=0)
        self.columns = max(10, width - self._left - 2 - self._right)
        self._cells = [[(" ", "")] * self.columns for _ in range(height)]
        self._corrections, self._gaps = set(self._corrected()), self._missing()

    def rows(self) -> Iterator[Text]:
        """The rows of the plot, the times below it last."""
        for band in self.bands:
            self._draw_band(band)
        for line in self.lines:
            self._draw_line(line)
        self._draw_values()
        if self.marks:
            yield self._row("", " ", self._marked())
        labels = self._labels()
        names = {self._row_of(line.value): line for line in reversed(self.lines)}
        for number, cells in enumerate(self._cells):
            label, named = labels.get(number, ""), names.get(number)
            row = self._row(label, "┤" if label and named else "│", cells)
            yield row.append(f" {named.name}", named.style) if named else row
        if self._gaps:
            cell = (MISSING, "bold magenta")
            cells = [cell if x in self._gaps else (" ", "") for x in range(self.columns)]
            yield self._row("", "│", cells)
        ticks = list(self._ticks())
        yield self._row("", "└", self._ruler({x for x, _ in ticks}))
        yield self._times(ticks)

    @property
    def glyphs(self) -> set[str]:
        """What a legend has to explain."""
        found = {VALUE, EPISODE, *(line.glyph for line in self.lines)}
        found |= {BAND} if self.bands else set()
        found |= {mark.glyph for mark in self.marks}
        found |= {CORRECTED} if self._corrections else set()
        return found | ({MISSING} if self._gaps else set())

    # -- where things stand

    def _limits(self) -> list[float]:
        return [line.value for line in self.lines]

    def _range(self) -> tuple[float, float]:
        values = [p.value for p in self.points if p.value is not None] + self._limits()
        values += [end for band in self.bands for end in (band.low, band.high)]
        low, high = min(values, default=0.0), max(values, default=1.0)
        if low == high:
            low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
        return low, high

    def _x(self, t: int) -> int:
        """Column of dots."""
        span = 2 * self.columns - 1
        return min(span, max(0, round((t - self.begin) / (self.end - self.begin) * span)))

    def _y(self, value: float) -> int:
        """Row of dots, from above."""
        share = (value - self.low) / (self.high - self.low)
        return round((1 - share) * (4 * self.height - 1))

    def _column_of(self, t: int) -> int:
        return self._x(t) // 2

    def _row_of(self, value: float) -> int:
        return self._y(value) // 4

    def _figure(self, value: float) -> str:
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"

    # -- drawing

    def _draw_band(self, band: Band) -> None:
        for row in range(self._row_of(band.high), self._row_of(band.low) + 1):
            for column in range(self._column_of(band.start), self._column_of(band.end) + 1):
                self._cells[row][column] = (BAND, "dim")

    def _draw_line(self, line: Line) -> None:
        row = self._row_of(line.value)
        for column in range(self._column_of(line.start), self._column_of(line.end) + 1):
            self._cells[row][column] = (line.glyph, line.style)

    def _draw_values(self) -> None:
        dots: dict[tuple[int, int], int] = {}
        for x, y in self._strokes():
            cell = (y // 4, x // 2)
            dots[cell] = dots.get(cell, 0) | _DOTS[y % 4][x % 2]
        for (row, column), bits in dots.items():
            self._cells[row][column] = (chr(_BLANK + bits), "bold cyan")
        for row, column in self._corrections:
            self._cells[row][column] = (CORRECTED, "bold cyan")

    def _corrected(self) -> Iterator[tuple[int, int]]:
        """Cells of corrections that can be told from what they correct."""
        said = {p.t: p.value for p in self.points if not p.corrected}
        for point in self.points:
            if point.corrected and point.value is not None:
                before, row = said.get(point.t), self._row_of(point.value)
                if before is None or self._row_of(before) != row:
                    yield row, self._column_of(point.t)

    def _strokes(self) -> Iterator[tuple[int, int]]:
        """Dots of the line through the values that were said in time."""
        said = [p for p in self.points if not p.corrected]
        for point in said:
            if point.value is not None:
                yield self._x(point.t), self._y(point.value)
        for one, next_ in pairwise(said):
            if one.value is not None and next_.value is not None and not self._apart(one, next_):
                start = self._x(one.t), self._y(one.value)
                yield from _between(start, (self._x(next_.t), self._y(next_.value)))

    def _apart(self, one: Point, next_: Point) -> bool:
        """Whether windows between two results have said nothing at all."""
        return next_.t - one.t > 1.5 * self._usual()

    def _usual(self) -> int:
        times = sorted({p.t for p in self.points})
        return median_low([b - a for a, b in pairwise(times)]) if len(times) > 1 else 0

    def _missing(self) -> set[int]:
        """Columns of windows without a value, whether they said so or said nothing."""
        newest = {p.t: p for p in sorted(self.points, key=lambda p: (p.t, p.corrected))}
        found = {self._column_of(t) for t, p in newest.items() if p.value is None}
        for one, next_ in pairwise(newest.values()):
            if None in (one.value, next_.value) or self._apart(one, next_):
                found.update(range(self._column_of(one.t) + 1, self._column_of(next_.t)))
        return found

    def _marked(self) -> list[tuple[str, str]]:
        cells = [(" ", "")] * self.columns
        for mark in self.marks:
            if self.begin <= mark.t <= self.end:
                column = self._column_of(mark.t)
                twice = cells[column][0] not in (" ", mark.glyph)
                cells[column] = (BOTH if twice else mark.glyph, mark.style)
        return cells

    def _ruler(self, ticks: set[int]) -> list[tuple[str, str]]:
        first, last = map(self._column_of, self.episode)
        glyphs = {(True, False): "━", (True, True): "┻", (False, False): "─", (False, True): "┴"}
        inside = (first <= x <= last for x in range(self.columns))
        return [(glyphs[i, x in ticks], "bold red" if i else "") for x, i in enumerate(inside)]

    # -- labels

    def _labels(self) -> dict[int, str]:
        """The values at the left: limits first, then the ends of the range where there is room."""
        labels: dict[int, str] = {}
        for value in (*self._limits(), self.high, self.low):
            labels.setdefault(self._row_of(value), self._figure(value))
        return labels

    def _ticks(self) -> Iterator[tuple[int, str]]:
        """Columns and local times below them."""
        span = self.end - self.begin
        room = max(1, self.columns // _TICK_CELLS)
        step = next((s for s in _STEPS if span / s <= room), _STEPS[-1])
        offset = datetime.fromtimestamp(self.begin / 1000, self.zone).utcoffset()
        shift = 0 if offset is None else round(offset.total_seconds() * 1000)
        first = -(-(self.begin + shift) // step) * step - shift
        for t in range(first, self.end + 1, step):
            local = datetime.fromtimestamp(t / 1000, self.zone)
            midnight = (local.hour, local.minute) == (0, 0) and first != t
            dated = step >= _DAY or midnight
            yield self._column_of(t), f"{local:%m-%d}" if dated else f"{local:%H:%M}"

    def _times(self, ticks: list[tuple[int, str]]) -> Text:
        row = ""
        for column, label in ticks:
            at = max(0, self._left + 1 + column - len(label) // 2)
            if at >= len(row) + bool(row):
                row = f"{row:{at}}{label}"
        return Text(row, "dim")

    def _row(self, label: str, border: str, cells: Iterable[tuple[str, str]]) -> Text:
        row = Text(f"{label:>{self._left - 1}} {border}")
        for glyph, style in cells:
            row.append(glyph, style)
        return row


def _between(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Dots of a straight line, both ends excluded.

    >>> list(_between((0, 0), (2, 4)))
    [(0, 1), (1, 2), (2, 3)]
    """
    (x, y), (to_x, to_y) = start, end
    steps = max(abs(to_x - x), abs(to_y - y))
    for k in range(1, steps):
        yield x + round(k * (to_x - x) / steps), y + round(k * (to_y - y) / steps)
