# cython: language_level=3
"""Which events a lane has seen."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from ext.hashing cimport Hash

cdef struct Entry:
    uint64_t a
    uint32_t b, ms

cdef struct Bucket:
    int64_t minute
    Entry* entry
    uint32_t* at
    Py_ssize_t used, room, slots

cdef enum Admission:
    NEW = 0
    REPEAT = 1
    LATE = 2
    NO_MEMORY = -1


cdef class Seen:
    cdef Bucket* bucket
    cdef Py_ssize_t buckets, room, last
    cdef public bint roams
    cdef int admit_hash(self, Hash name, bint anchored, int64_t t, int64_t oldest) noexcept nogil
    cdef bint has(self, Hash name, bint anchored, int64_t t, int64_t oldest) noexcept nogil
    cdef void expect(self, Hash name, int64_t t) noexcept nogil
    cdef Bucket* known(self, int64_t minute) noexcept nogil
    cdef Bucket* bucket_of(self, int64_t minute) noexcept nogil
