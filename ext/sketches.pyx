# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Accumulators of packed rows by pane and slot: quantiles and slopes.

The states are those of `streams.aggregates`, bit for bit.
"""
from libc.math cimport ceil, log
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc, qsort

from ext.rows cimport Row, Rows

cdef extern from *:
    """
    typedef __int128 cv_sum;
    static inline int64_t cv_sum_high(cv_sum x) { return (int64_t)(x >> 64); }
    static inline uint64_t cv_sum_low(cv_sum x) { return (uint64_t)x; }
    static inline cv_sum cv_times(int64_t x, int64_t y) { return (cv_sum)x * y; }
    """
    ctypedef long long cv_sum
    int64_t cv_sum_high(cv_sum x) nogil
    uint64_t cv_sum_low(cv_sum x) nogil
    cv_sum cv_times(int64_t x, int64_t y) nogil

cdef struct Placed:
    int64_t start, slot, value, t, covered


cdef object to_int(cv_sum x):
    return ((<object>cv_sum_high(x)) << 64) | (<object>cv_sum_low(x))


cdef int order(const void* a, const void* b) noexcept nogil:
    cdef const Placed* x = <const Placed*>a
    cdef const Placed* y = <const Placed*>b
    if x.start != y.start:
        return -1 if x.start < y.start else 1
    if x.slot != y.slot:
        return -1 if x.slot < y.slot else 1
    if x.value != y.value:
        return -1 if x.value < y.value else 1
    return 0


cdef Placed* placed(Rows rows, int64_t pane_ms) except NULL:
    """The rows in the order of pane, slot and value; to be freed."""
    cdef Py_ssize_t i, count = rows.buffer.used
    cdef Placed* found = <Placed*>malloc(max(count, 1) * sizeof(Placed))
    cdef Row* row
    cdef int64_t rest
    if found == NULL:
        raise MemoryError()
    for i in range(count):
        row = rows.buffer.row + i
        rest = row.t % pane_ms
        found[i].start = row.t - (rest + pane_ms if rest < 0 else rest)
        found[i].slot, found[i].value = row.slot, row.value
        found[i].t, found[i].covered = row.t, row.covered
    qsort(found, count, sizeof(Placed), order)
    return found


cdef inline Py_ssize_t group_end(Placed* row, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i = first + 1
    while i < count and row[i].start == row[first].start and row[i].slot == row[first].slot:
        i += 1
    return i


def quantiles(Rows rows not None, int64_t pane_ms, Py_ssize_t exact, double log_gamma):
    """``[(pane start, slot, state of QUANTILES)]``.

    Parameters
    ----------
    exact
        So many values stand as they are.
    log_gamma
        Logarithm of the ratio of the bounds of a bucket.

    Examples
    --------
    >>> from ext.rows import Rows
    >>> rows = Rows([(5, 0, 7, 0, 60), (9, 0, 3, 0, 60), (12, 0, 3, 0, 60)])
    >>> quantiles(rows, 10, 64, 0.02)
    [(0, 0, (2, 9, 120, (3, 7), None)), (10, 0, (1, 12, 60, (3,), None))]
    """
    cdef Placed* row = placed(rows, pane_ms)
    cdef Py_ssize_t first = 0, end, i, count = rows.buffer.used
    cdef int64_t last_t, covered, bucket
    cdef list found = []
    cdef dict counts
    try:
        while first < count:
            end = group_end(row, first, count)
            last_t, covered = row[first].t, 0
            for i in range(first, end):
                last_t = max(last_t, row[i].t)
                covered += row[i].covered
            if end - first <= exact:
                values = tuple([row[i].value for i in range(first, end)])
                state = (end - first, last_t, covered, values, None)
            else:
                counts = {}
                for i in range(first, end):
                    bucket = bucket_of(row[i].value, log_gamma)
                    counts[bucket] = counts.get(bucket, 0) + 1
                state = (end - first, last_t, covered, None, tuple(sorted(counts.items())))
            found.append((row[first].start, row[first].slot, state))
            first = end
    finally:
        free(row)
    return found


cdef inline int64_t bucket_of(int64_t value, double log_gamma) noexcept nogil:
    cdef double size
    cdef int64_t index
    if value == 0:
        return 0
    size = -<double>value if value < 0 else <double>value
    index = 2 * (1 + <int64_t>ceil(log(size) / log_gamma))
    return index + 1 if value < 0 else index


def slopes(Rows rows not None, int64_t pane_ms):
    """``[(pane start, slot, state of SLOPES)]``."""
    cdef Placed* row = placed(rows, pane_ms)
    cdef Py_ssize_t first = 0, end, i, count = rows.buffer.used
    cdef int64_t last_t, covered
    cdef cv_sum x, t, tt, tx
    cdef list found = []
    try:
        while first < count:
            end = group_end(row, first, count)
            last_t, covered = row[first].t, 0
            x = t = tt = tx = 0
            for i in range(first, end):
                last_t = max(last_t, row[i].t)
                covered += row[i].covered
                x = x + row[i].value
                t = t + row[i].t
                tt = tt + cv_times(row[i].t, row[i].t)
                tx = tx + cv_times(row[i].t, row[i].value)
            state = (end - first, last_t, covered, to_int(x), to_int(t), to_int(tt), to_int(tx))
            found.append((row[first].start, row[first].slot, state))
            first = end
    finally:
        free(row)
    return found
