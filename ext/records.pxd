# cython: language_level=3
"""Bytes of many records, by where they stand in memory."""
from libc.stdint cimport int32_t, int64_t


cdef class Values:
    cdef const char** at
    cdef int32_t* size          # -1 for None
    cdef Py_ssize_t used, room
    cdef list owners
    cdef int push(self, const char* at, Py_ssize_t size) except -1
