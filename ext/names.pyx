# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Lists of names in MessagePack, numbered without an object for each: a name is an array of three
texts.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy

from ext.hashing cimport Hash, hash_of

cdef int TEXTS = 3

cdef struct Name:
    uint64_t hash
    Py_ssize_t at, size         # of its bytes


cdef inline Py_ssize_t big_endian(const uint8_t* p, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i, value = 0
    for i in range(size):
        value = value << 8 | p[i]
    return value


cdef Py_ssize_t after_text(const uint8_t* p, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Where what follows a text begins; -1 where none stands whole before ``end``."""
    cdef Py_ssize_t wide, size
    if at >= end:
        return -1
    if p[at] >> 5 == 0b101:
        size = p[at] & 31
        at += 1
    elif 0xD9 <= p[at] <= 0xDB:
        wide = 1 << (p[at] - 0xD9)
        if at + 1 + wide > end:
            return -1
        size = big_endian(p + at + 1, wide)
        at += 1 + wide
    else:
        return -1
    return at + size if size <= end - at else -1


cdef inline Py_ssize_t after_name(const uint8_t* p, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Where what follows a name begins; -1 where none stands whole before ``end``."""
    cdef int i
    if at >= end or p[at] != (0x90 | TEXTS):
        return -1
    at += 1
    for i in range(TEXTS):
        at = after_text(p, at, end)
        if at < 0:
            return -1
    return at


cdef Py_ssize_t begin_list(const uint8_t* p, Py_ssize_t end, Py_ssize_t* count) noexcept nogil:
    """Where the first name of a list begins; -1 where no list does."""
    if end >= 1 and p[0] >> 4 == 9:
        count[0] = p[0] & 15
        return 1
    if end >= 3 and p[0] == 0xDC:
        count[0] = big_endian(p + 1, 2)
        return 3
    if end >= 5 and p[0] == 0xDD:
        count[0] = big_endian(p + 1, 4)
        return 5
    return -1


def count_names(bytes packed not None):
    """How many names a list has.

    Raises
    ------
    ValueError
        The bytes are no list of names.

    Examples
    --------
    >>> count_names(b"\\x91\\x93\\xa1a\\xa1b\\xa0")
    1
    >>> count_names(b"\\x91\\x92\\xa1a\\xa1b")
    Traceback (most recent call last):
    ValueError: no list of names, each of three texts
    """
    cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(packed)
    cdef Py_ssize_t end = PyBytes_GET_SIZE(packed), count = 0, i
    cdef Py_ssize_t at = begin_list(p, end, &count)
    for i in range(count):
        if at < 0:
            break
        at = after_name(p, at, end)
    if at != end:
        raise ValueError("no list of names, each of three texts")
    return count


cdef class Names:
    """Names by number, in the order in which they came first."""
    cdef Name* name
    cdef char* text             # the bytes of all of them
    cdef uint32_t* at           # hash -> number + 1, 0 where there is none
    cdef Py_ssize_t used, room, written, text_room, slots

    def __dealloc__(self):
        free(self.name)
        free(self.text)
        free(self.at)

    def __len__(self):
        return self.used

    def number(self, bytes packed not None, int64_t[::1] out not None):
        """Fill in the number of each name of a list; the bytes of those that had none.

        Parameters
        ----------
        out
            As long as the list.

        Raises
        ------
        ValueError
            The bytes are no list of names, or one of another length: nothing is numbered then.
        """
        cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(packed)
        cdef Py_ssize_t end = PyBytes_GET_SIZE(packed), count = 0, before = self.used
        cdef Py_ssize_t at, after, i
        if count_names(packed) != out.shape[0]:
            raise ValueError("there is another number of names than of places for them")
        at = begin_list(p, end, &count)
        for i in range(count):
            after = after_name(p, at, end)
            out[i] = self._number(<const char*>p + at, after - at)
            at = after
        return [self._bytes(i) for i in range(before, self.used)]

    cdef bytes _bytes(self, Py_ssize_t i):
        return PyBytes_FromStringAndSize(self.text + self.name[i].at, self.name[i].size)

    cdef Py_ssize_t _number(self, const char* name, Py_ssize_t size) except -1:
        cdef uint64_t hash = hash_of(name, size, 0).a, slot
        cdef Name* known
        if 3 * (self.used + 1) > 2 * self.slots:
            self._index()
        slot = hash & <uint64_t>(self.slots - 1)
        while self.at[slot]:
            known = self.name + (self.at[slot] - 1)
            if (known.hash == hash and known.size == size
                    and memcmp(self.text + known.at, name, size) == 0):
                return self.at[slot] - 1
            slot = (slot + 1) & <uint64_t>(self.slots - 1)
        self._reserve(size)
        known = self.name + self.used
        known.hash, known.at, known.size = hash, self.written, size
        memcpy(self.text + self.written, name, size)
        self.written += size
        self.used += 1
        self.at[slot] = <uint32_t>self.used
        return self.used - 1

    cdef int _reserve(self, Py_ssize_t size) except -1:
        """Make room for one more name."""
        cdef Py_ssize_t room
        cdef void* grown
        if self.used == self.room:
            room = max(64, 2 * self.room)
            grown = realloc(self.name, room * sizeof(Name))
            if grown == NULL:
                raise MemoryError
            self.name, self.room = <Name*>grown, room
        if self.written + size > self.text_room:
            room = max(2 * self.text_room, self.written + size + 4096)
            grown = realloc(self.text, room)
            if grown == NULL:
                raise MemoryError
            self.text, self.text_room = <char*>grown, room
        return 0

    cdef int _index(self) except -1:
        """Make an index with room for twice as many names."""
        cdef Py_ssize_t slots = max(128, 2 * self.slots), i
        cdef uint32_t* at = <uint32_t*>calloc(slots, sizeof(uint32_t))
        cdef uint64_t slot
        if at == NULL:
            raise MemoryError
        free(self.at)
        self.at, self.slots = at, slots
        for i in range(self.used):
            slot = self.name[i].hash & <uint64_t>(slots - 1)
            while at[slot]:
                slot = (slot + 1) & <uint64_t>(slots - 1)
            at[slot] = <uint32_t>(i + 1)
        return 0
