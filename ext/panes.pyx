# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Panes of cells: the slices of event time in which rows wait to be closed.

A *pane* is the half-open slice ``[start, start + pane_ms)`` of event time.
"""
from libc.stdint cimport int64_t

from ext.cells cimport Cells
from ext.rows cimport Row, Rows

cdef enum:
    AHEAD = 8   # rows between what is on its way and what is folded

cdef inline int64_t floor_to(int64_t t, int64_t step) noexcept nogil:
    cdef int64_t rest = t % step
    if rest < 0:
        rest += step
    return t - rest


cdef class Panes:
    """Open panes of one sign in one lane.

    Parameters
    ----------
    pane_ms
        Length of a pane, int64 ms, above zero.
    lateness_ms
        How long after its end a pane still takes corrections, int64 ms.
    kind
        Cells of the kind that panes have.

    Examples
    --------
    >>> from ext.cells import Moments
    >>> from ext.rows import Rows
    >>> panes = Panes(1000, 5000, Moments())
    >>> panes.add(Rows([(10, 0, 3, 0, 0), (999, 0, 4, 0, 0), (1000, 0, 5, 0, 0)]))
    >>> [(start, late, cells.states()) for start, late, cells in panes.close_until(1000)]
    [(0, False, [(0, (2, 999, 0, 7, 25, 3, 4, 4, 0))])]
    """
    cdef readonly int64_t pane_ms, lateness_ms, closed_until
    cdef Cells kind
    cdef dict on_time, late

    def __init__(self, pane_ms, lateness_ms, Cells kind not None):
        if pane_ms <= 0:
            raise ValueError(f"pane_ms is {pane_ms}: it must be above zero")
        self.pane_ms = pane_ms
        self.lateness_ms = lateness_ms
        self.closed_until = -(1 << 62)
        self.kind = kind
        self.on_time = {}
        self.late = {}

    def add(self, Rows rows not None):
        """Fold rows in; a row of a pane that is closed becomes a correction.

        Parameters
        ----------
        rows
            ``(t, slot, value, weight, covered_ms)``: event time in ms UTC, slot, value and second
            value in steps of the resolution, ms that the row speaks for.

        Raises
        ------
        ValueError
            A slot is out of range; rows before it are folded in.
        """
        cdef int64_t start, current = 0
        cdef Cells cells = None
        cdef Row* row
        cdef Py_ssize_t i, used = rows.buffer.used
        for i in range(used):
            row = rows.buffer.row + i
            start = floor_to(row.t, self.pane_ms)
            if cells is not None:
                # Most rows are of the pane of those before them.
                if i + 2 * AHEAD < used:
                    cells.expect(row[2 * AHEAD].slot)
                if i + AHEAD < used:
                    cells.meet(row[AHEAD].slot)
            if cells is None or start != current:
                cells = self.cells(start)
                current = start
            cells.take(row)

    cpdef Cells cells(self, int64_t start):
        """The cells of the pane that begins then, to be changed."""
        cdef dict panes = self.late if start + self.pane_ms <= self.closed_until else self.on_time
        cdef Cells cells = panes.get(start)
        cells = panes[start] = (self.kind.fresh() if cells is None else cells).writable()
        return cells

    def close_until(self, int64_t watermark):
        """Take out what no later row can change: panes that end by the watermark, and corrections
        whose allowed lateness is over.

        Returns
        -------
        list of (pane start in ms, is a correction, cells)
            In the order of the pane's start, on-time panes first.
        """
        cdef list closed = []
        cdef int64_t end = floor_to(watermark, self.pane_ms)
        for start in sorted(self.on_time):
            if start + self.pane_ms > end:
                break
            closed.append((start, False, self.on_time.pop(start)))
        for start in sorted(self.late):
            if start + self.pane_ms + self.lateness_ms > watermark:
                break
            closed.append((start, True, self.late.pop(start)))
        if end > self.closed_until:
            self.closed_until = end
        return closed

    def all_cells(self):
        """The cells of all panes."""
        return [*self.on_time.values(), *self.late.values()]

    def rename(self, renamed):
        """Slots have other numbers.

        Parameters
        ----------
        renamed
            By slot, int64: its new number, -1 of one without rows that is no more.
        """
        cdef Cells before, cells
        for panes in (self.on_time, self.late):
            for start, before in list((<dict>panes).items()):
                cells = self.kind.fresh()
                cells.merge(before, renamed)
                cells.changed = True
                panes[start] = cells

    @property
    def open_panes(self):
        """Number of panes that hold rows."""
        return len(self.on_time) + len(self.late)

    def freeze(self, bint whole=False):
        """What holds each pane as it is now, and gives its bytes when it is called.

        Nothing is copied here: a row that is added to a pane while it is held goes into a copy.

        Returns
        -------
        dict of (pane start in ms, is a correction) to callable or None
            None where no row was added since the freeze before, unless the ``whole`` is wanted.
        """
        cdef dict frozen = {}
        cdef Cells cells
        for late, panes in ((False, self.on_time), (True, self.late)):
            for start, cells in (<dict>panes).items():
                frozen[start, late] = cells.hold() if whole or cells.changed else None
                cells.changed = False
        return frozen

    def load(self, int64_t closed_until, dict panes not None):
        """Take over a state in place of this one.

        Parameters
        ----------
        closed_until
            As the attribute was, int64 ms.
        panes
            The bytes of all panes, named as :meth:`freeze` does.  Whoever kept them answers for
            their being whole: they are numbers of this machine, in its own order.

        Raises
        ------
        ValueError
            The bytes can not be those of a pane.
        """
        loaded = {False: {}, True: {}}
        for (start, late), state in panes.items():
            loaded[late][start] = self.kind.fresh().load(state)
        self.closed_until = closed_until
        self.on_time, self.late = loaded[False], loaded[True]
