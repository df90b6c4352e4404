# cython: language_level=3
"""Accumulators by number, as the kernels share them."""
from libc.stdint cimport int32_t, int64_t

from ext.rows cimport Row

cdef extern from *:
    """
    #ifndef CV_MOMENTS
    #define CV_MOMENTS
    #include <stdint.h>
    typedef __int128 cv_int128;
    typedef struct {
        cv_int128 total, squares, weight;
        int64_t minimum, maximum, last_value, unused;  /* no byte of it is left unset */
    } cv_moments;
    #endif
    """
    ctypedef long long cv_int128
    ctypedef struct cv_moments:
        cv_int128 total, squares, weight
        int64_t minimum, maximum, last_value, unused

cdef struct Head:
    int64_t id, n, last_t, covered, place


cdef class Cells:
    cdef Head* head
    cdef int32_t* at            # id -> index + 1, 0 where there is none
    cdef Py_ssize_t used, room, ids
    cdef Py_ssize_t held        # readers that must see the cells as they are
    cdef bint changed           # since the last freeze
    cdef Py_ssize_t index_of(self, int64_t id) except -1
    cdef void expect(self, int64_t id) noexcept nogil
    cdef void meet(self, int64_t id) noexcept nogil
    cdef void meet_body(self, Py_ssize_t i) noexcept nogil
    cdef int take(self, Row* row) except -1
    cdef int reserve(self, Py_ssize_t room) except -1
    cdef int fold(self, Py_ssize_t i, Row* row) except -1
    cdef void stretch(self, Py_ssize_t i, int64_t value) noexcept nogil
    cdef int join(self, Py_ssize_t i, Cells other, Py_ssize_t j) except -1
    cdef int copy(self, Py_ssize_t i, Cells other, Py_ssize_t j) except -1
    cdef int merge_all(self, Cells other, const int64_t* ids, const int64_t* places) except -1
    cpdef Cells fresh(self)
    cdef object body(self)
    cdef int read(self, Py_ssize_t count, const char* body, Py_ssize_t size) except -1


cdef class Moments(Cells):
    cdef cv_moments* cell
    cdef int add_silent(self, int64_t id, int64_t covered) except -1
