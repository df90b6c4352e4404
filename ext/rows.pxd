# cython: language_level=3, cdivision=True
"""Packed rows, as the kernels share them."""
from libc.stdint cimport int64_t
from libc.stdlib cimport realloc

cdef struct Row:
    int64_t t, slot, value, weight, covered

cdef struct Buffer:
    Row* row
    Py_ssize_t used, room


cdef inline int push(Buffer* rows, int64_t t, int64_t slot, int64_t value, int64_t weight,
                     int64_t covered) noexcept nogil:
    cdef Row* row
    cdef Py_ssize_t room
    if rows.used == rows.room:
        room = max(256, 2 * rows.room)
        row = <Row*>realloc(rows.row, room * sizeof(Row))
        if row == NULL:
            return -1
        rows.row = row
        rows.room = room
    row = rows.row + rows.used
    row.t, row.slot, row.value, row.weight, row.covered = t, slot, value, weight, covered
    rows.used += 1
    return 0


cdef class Rows:
    cdef Buffer* buffer
