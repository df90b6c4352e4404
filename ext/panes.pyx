# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Moments of rows by pane and slot, exact to the bit.

A *pane* is the half-open slice ``[start, start + pane_ms)`` of event time, a *slot* a dense
number the caller gave to a key.  Values are int64 steps of a metric's resolution, sums are
128-bit integers, so any grouping of the same rows gives the same cells (rule R3).
"""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from ext.rows cimport Row, Rows

cdef extern from *:
    """
    #include <stdint.h>
    typedef __int128 cv_int128;
    typedef struct {
        int64_t slot, n, minimum, maximum, last_t, last_value, covered_ms;
        cv_int128 total, squares, weight;
    } cv_cell;
    static inline int64_t cv_high(cv_int128 x) { return (int64_t)(x >> 64); }
    static inline uint64_t cv_low(cv_int128 x) { return (uint64_t)x; }
    static inline cv_int128 cv_square(int64_t x) { return (cv_int128)x * x; }
    """
    ctypedef long long cv_int128
    ctypedef struct cv_cell:
        int64_t slot, n, minimum, maximum, last_t, last_value, covered_ms
        cv_int128 total, squares, weight
    int64_t cv_high(cv_int128 x) nogil
    uint64_t cv_low(cv_int128 x) nogil
    cv_int128 cv_square(int64_t x) nogil


cdef int64_t MOST_SLOTS = 1 << 28
"""Far above the keys of any lane; a pane takes four bytes for each slot."""


cdef object to_int(cv_int128 x):
    return ((<object>cv_high(x)) << 64) | (<object>cv_low(x))


cdef inline int64_t floor_to(int64_t t, int64_t step) noexcept nogil:
    cdef int64_t rest = t % step
    if rest < 0:
        rest += step
    return t - rest


cdef class Cells:
    """The cells of one pane: a growing array, found by slot."""
    cdef cv_cell* cell
    cdef int32_t* at            # slot -> index + 1, 0 where the slot has no row yet
    cdef Py_ssize_t used, room, slots
    cdef Py_ssize_t held        # readers that must see the cells as they are
    cdef bint changed           # since the last freeze

    def __cinit__(self):
        self.cell = NULL
        self.at = NULL

    def __dealloc__(self):
        free(self.cell)
        free(self.at)

    cdef int widen(self, Py_ssize_t slots) except -1:
        cdef int32_t* at
        if slots <= self.slots:
            return 0
        slots = max(slots, 2 * self.slots, 64)
        at = <int32_t*>realloc(self.at, slots * sizeof(int32_t))
        if at == NULL:
            raise MemoryError()
        memset(at + self.slots, 0, (slots - self.slots) * sizeof(int32_t))
        self.at = at
        self.slots = slots
        return 0

    cdef cv_cell* of(self, int64_t slot) except NULL:
        cdef cv_cell* cell
        cdef Py_ssize_t room
        if slot >= self.slots:
            self.widen(slot + 1)
        if self.at[slot]:
            return self.cell + (self.at[slot] - 1)
        if self.used == self.room:
            room = max(64, 2 * self.room)
            cell = <cv_cell*>realloc(self.cell, room * sizeof(cv_cell))
            if cell == NULL:
                raise MemoryError()
            self.cell = cell
            self.room = room
        cell = self.cell + self.used
        memset(cell, 0, sizeof(cv_cell))
        cell.slot = slot
        self.used += 1
        self.at[slot] = <int32_t>self.used
        return cell

    cdef Cells copy(self):
        cdef Cells copied = Cells()
        copied.widen(self.slots)
        copied.cell = <cv_cell*>malloc(max(self.room, 1) * sizeof(cv_cell))
        if copied.cell == NULL:
            raise MemoryError()
        copied.room = self.room
        copied.used = self.used
        memcpy(copied.cell, self.cell, self.used * sizeof(cv_cell))
        memcpy(copied.at, self.at, self.slots * sizeof(int32_t))
        return copied


cdef class Panes:
    """Open panes of one sign in one lane.

    Parameters
    ----------
    pane_ms
        Length of a pane, int64 ms, above zero.
    lateness_ms
        How long after its end a pane still takes corrections, int64 ms.

    Examples
    --------
    >>> from ext.rows import Rows
    >>> panes = Panes(1000, 5000)
    >>> panes.add(Rows([(10, 0, 3, 0, 0), (999, 0, 4, 0, 0), (1000, 0, 5, 0, 0)]))
    >>> panes.close_until(1000)
    [(0, False, [(0, (2, 999, 0, 7, 25, 3, 4, 4, 0))])]
    """
    cdef readonly int64_t pane_ms, lateness_ms, closed_until
    cdef dict on_time, late

    def __init__(self, pane_ms, lateness_ms):
        if pane_ms <= 0:
            raise ValueError(f"pane_ms is {pane_ms}: it must be above zero")
        self.pane_ms = pane_ms
        self.lateness_ms = lateness_ms
        self.closed_until = -(1 << 62)
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
        cdef int64_t t, slot, value, start, current = 0
        cdef Cells cells = None
        cdef cv_cell* cell
        cdef Row* row
        cdef Py_ssize_t i
        for i in range(rows.buffer.used):
            row = rows.buffer.row + i
            t, slot, value = row.t, row.slot, row.value
            if not 0 <= slot <= MOST_SLOTS:
                raise ValueError(f"slot {slot} is out of range")
            start = floor_to(t, self.pane_ms)
            if cells is None or start != current:
                cells = self.pane(start)
                current = start
            cell = cells.of(slot)
            if cell.n == 0:
                cell.minimum = cell.maximum = cell.last_value = value
                cell.last_t = t
            else:
                if value < cell.minimum:
                    cell.minimum = value
                if value > cell.maximum:
                    cell.maximum = value
                if t > cell.last_t or (t == cell.last_t and value > cell.last_value):
                    cell.last_t = t
                    cell.last_value = value
            cell.n += 1
            cell.covered_ms += row.covered
            cell.total = cell.total + value
            cell.squares = cell.squares + cv_square(value)
            cell.weight = cell.weight + row.weight

    cdef Cells pane(self, int64_t start):
        cdef dict panes = self.late if start + self.pane_ms <= self.closed_until else self.on_time
        cdef Cells cells = panes.get(start)
        if cells is None:
            cells = panes[start] = Cells()
        elif cells.held:
            cells = panes[start] = cells.copy()
        cells.changed = True
        return cells

    def close_until(self, int64_t watermark):
        """Take out what no later row can change: panes that end by the watermark, and corrections
        whose allowed lateness is over.

        Returns
        -------
        list of (pane start in ms, is a correction, rows)
            In the order of the pane's start, on-time panes first; a row is ``(slot, (n, time of
            the last row, covered ms, sum, sum of squares, minimum, maximum, value of the last
            row, sum of the second value))``, in the order of slots.
        """
        cdef list closed = []
        cdef int64_t end = floor_to(watermark, self.pane_ms)
        for start in sorted(self.on_time):
            if start + self.pane_ms > end:
                break
            closed.append((start, False, rows_of(<Cells>self.on_time.pop(start))))
        for start in sorted(self.late):
            if start + self.pane_ms + self.lateness_ms > watermark:
                break
            closed.append((start, True, rows_of(<Cells>self.late.pop(start))))
        if end > self.closed_until:
            self.closed_until = end
        return closed

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
                frozen[start, late] = Held(cells) if whole or cells.changed else None
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
            loaded[late][start] = cells_of(state)
        self.closed_until = closed_until
        self.on_time, self.late = loaded[False], loaded[True]


@cython.no_gc
cdef class Held:
    """A pane that must stay as it is for as long as this object lives."""
    cdef Cells cells

    def __cinit__(self, Cells cells not None):
        self.cells = cells
        cells.held += 1

    def __dealloc__(self):
        self.cells.held -= 1

    def __call__(self):
        cdef Cells cells = self.cells
        cdef Py_ssize_t size = cells.used * sizeof(cv_cell)
        cdef bytes state = PyBytes_FromStringAndSize(NULL, size)
        cdef char* target = PyBytes_AS_STRING(state)
        with nogil:
            memcpy(target, cells.cell, size)
        return state


cdef Cells cells_of(bytes state):
    cdef Py_ssize_t i, used = PyBytes_GET_SIZE(state) // sizeof(cv_cell)
    cdef cv_cell* cell = <cv_cell*>PyBytes_AS_STRING(state)
    cdef Cells cells = Cells()
    if used * <Py_ssize_t>sizeof(cv_cell) != PyBytes_GET_SIZE(state):
        raise ValueError("the state of a pane is cut short")
    for i in range(used):
        # A slot is a place in memory.
        if not 0 <= cell[i].slot <= MOST_SLOTS:
            raise ValueError(f"slot {cell[i].slot} in the state of a pane is out of range")
        memcpy(cells.of(cell[i].slot), cell + i, sizeof(cv_cell))
    return cells


cdef list rows_of(Cells cells):
    cdef Py_ssize_t i
    cdef cv_cell* c
    cdef list rows = []
    for i in range(cells.used):
        c = cells.cell + i
        rows.append((c.slot, (c.n, c.last_t, c.covered_ms, to_int(c.total),
                              to_int(c.squares), c.minimum, c.maximum, c.last_value,
                              to_int(c.weight))))
    rows.sort()
    return rows
