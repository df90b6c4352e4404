# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Moments of rows by pane and slot, exact to the bit.

A *pane* is the half-open slice ``[start, start + pane_ms)`` of event time, a *slot* a dense
number the caller gave to a key.  Values are int64 steps of a metric's resolution, sums are
128-bit integers, so any grouping of the same rows gives the same cells (rule R3).
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from zlib import crc32

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
    >>> panes = Panes(1000, 5000)
    >>> panes.add([(10, 0, 3, 0, 0), (999, 0, 4, 0, 0), (1000, 0, 5, 0, 0)])
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

    def add(self, list rows not None):
        """Fold rows in; a row of a pane that is closed becomes a correction.

        Parameters
        ----------
        rows
            Tuples ``(t, slot, value, weight, covered_ms)`` of int64: event time in ms UTC, slot,
            value and second value in steps of the resolution, ms that the row speaks for.

        Raises
        ------
        ValueError, OverflowError
            A slot is out of range, or a number does not fit; rows before it are folded in.
        """
        cdef int64_t t, slot, value, weight, covered_ms, start, current = 0
        cdef Cells cells = None
        cdef cv_cell* cell
        cdef tuple row
        for row in rows:
            t, slot, value, weight, covered_ms = row
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
            cell.covered_ms += covered_ms
            cell.total = cell.total + value
            cell.squares = cell.squares + cv_square(value)
            cell.weight = cell.weight + weight

    cdef Cells pane(self, int64_t start):
        cdef dict panes = self.late if start + self.pane_ms <= self.closed_until else self.on_time
        found = panes.get(start)
        if found is None:
            found = panes[start] = Cells()
        return <Cells>found

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

    def dump(self):
        """The whole state as bytes, for :meth:`load` of the same build."""
        cdef list parts = [self.pane_ms, self.lateness_ms, self.closed_until]
        for panes in (self.on_time, self.late):
            parts.append([(start, (<Cells>panes[start]).used,
                           PyBytes_FromStringAndSize(<char*>(<Cells>panes[start]).cell,
                                                     (<Cells>panes[start]).used * sizeof(cv_cell)))
                          for start in sorted(panes)])
        head = b"".join(int(x).to_bytes(8, "little", signed=True) for x in parts[:3])
        body = b""
        for panes in parts[3:]:
            body += len(panes).to_bytes(8, "little")
            for start, used, cells in panes:
                body += (start.to_bytes(8, "little", signed=True) + used.to_bytes(8, "little")
                         + cells)
        return head + body + crc32(head + body).to_bytes(8, "little")

    @staticmethod
    def load(bytes state):
        """A :class:`Panes` from :meth:`dump`; ValueError where the bytes are not such a state."""
        cdef Py_ssize_t at = 24, size, count, i, length = PyBytes_GET_SIZE(state) - 8
        cdef int64_t slot
        cdef Cells cells
        cdef cv_cell* cell
        cdef dict target
        if length < 40:
            raise ValueError("the state of panes is too short")
        # What follows trusts the numbers that it reads: a slot is a place in memory.
        if crc32(state[:length]).to_bytes(8, "little") != state[length:]:
            raise ValueError("the state of panes has changed since it was written")

        def number(Py_ssize_t offset):
            if offset < 0 or offset + 8 > length:
                raise ValueError("the state of panes is cut short")
            return int.from_bytes(state[offset:offset + 8], "little", signed=True)

        cdef Panes panes = Panes(number(0), number(8))
        panes.closed_until = number(16)
        for target in (panes.on_time, panes.late):
            count = number(at)
            at += 8
            for _ in range(count):
                start = number(at)
                size = number(at + 8)
                at += 16
                if not 0 <= size <= (length - at) // <Py_ssize_t>sizeof(cv_cell):
                    raise ValueError("the state of panes is cut short")
                cells = Cells()
                for i in range(size):
                    slot = (<cv_cell*>(PyBytes_AS_STRING(state) + at))[i].slot
                    if not 0 <= slot <= MOST_SLOTS:
                        raise ValueError(f"slot {slot} in the state of panes is out of range")
                    cell = cells.of(slot)
                    memcpy(cell, PyBytes_AS_STRING(state) + at + i * sizeof(cv_cell),
                           sizeof(cv_cell))
                at += size * sizeof(cv_cell)
                target[start] = cells
        if at != length:
            raise ValueError("the state of panes has bytes after its end")
        return panes


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
