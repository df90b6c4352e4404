# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Rows of one sign on their way to its panes."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free


cdef class Rows:
    """Rows ``(t, slot, value, weight, covered)`` of int64, packed.

    Examples
    --------
    >>> rows = Rows([(10, 0, 3, 0, 60_000)])
    >>> rows.append((20, 0, 4, 0, 60_000))
    >>> len(rows), rows[1], bytes(rows) == rows.packed(0, 2)
    (2, (20, 0, 4, 0, 60000), True)
    """
    def __cinit__(self, *_):
        self.buffer = <Buffer*>calloc(1, sizeof(Buffer))
        if self.buffer == NULL:
            raise MemoryError()

    def __init__(self, rows=()):
        for row in rows:
            self.append(row)

    def __dealloc__(self):
        if self.buffer != NULL:
            free(self.buffer.row)
            free(self.buffer)

    def __len__(self):
        return self.buffer.used

    def append(self, tuple row not None):
        """Add a row."""
        cdef int64_t t, slot, value, weight, covered
        t, slot, value, weight, covered = row
        if push(self.buffer, t, slot, value, weight, covered):
            raise MemoryError()

    def extend(self, bytes packed not None):
        """Add rows as `packed` gives them: numbers of this machine, in its own order."""
        cdef Py_ssize_t i, count = PyBytes_GET_SIZE(packed) // <Py_ssize_t>sizeof(Row)
        cdef Row* row = <Row*>PyBytes_AS_STRING(packed)
        if count * <Py_ssize_t>sizeof(Row) != PyBytes_GET_SIZE(packed):
            raise ValueError("packed rows are cut short")
        for i in range(count):
            if push(self.buffer, row[i].t, row[i].slot, row[i].value, row[i].weight,
                    row[i].covered):
                raise MemoryError()

    def clear(self):
        """Take out all rows."""
        self.buffer.used = 0

    def __getitem__(self, Py_ssize_t i):
        cdef Row* row = self.buffer.row + i
        if not 0 <= i < self.buffer.used:
            raise IndexError("no such row")
        return (row.t, row.slot, row.value, row.weight, row.covered)

    def packed(self, Py_ssize_t first, Py_ssize_t end):
        """Some rows as `extend` takes them."""
        end = min(end, self.buffer.used)
        return packed(self.buffer, first, max(end, first))

    def __bytes__(self):
        return packed(self.buffer, 0, self.buffer.used)

    def __iter__(self):
        cdef Py_ssize_t i
        cdef Row* row
        for i in range(self.buffer.used):
            row = self.buffer.row + i
            yield (row.t, row.slot, row.value, row.weight, row.covered)


cdef bytes packed(Buffer* rows, Py_ssize_t first, Py_ssize_t end):
    return PyBytes_FromStringAndSize(<char*>(rows.row + first), (end - first) * sizeof(Row))
