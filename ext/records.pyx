# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Records of a log without a Python object for each: sequences of bytes within larger ones."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint64_t, uint8_t
from libc.stdlib cimport free, realloc

cdef int64_t MOST = (1 << 31) - 1


cdef class Values:
    """A sequence of bytes, each made when it is asked for; None where there is none.

    The bytes they stand in end in a NUL, as all Python bytes do.

    Examples
    --------
    >>> values = Values.of([b"a", None, b"bc"])
    >>> values[2], len(values), list(values[:2]), sum(values.sizes())
    (b'bc', 3, [b'a', None], 3)
    """

    def __cinit__(self):
        self.owners = []

    def __dealloc__(self):
        free(self.at)
        free(self.size)

    cdef int push(self, const char* at, Py_ssize_t size) except -1:
        cdef Py_ssize_t room
        cdef void* grown
        if size > MOST:
            raise ValueError(f"a record of {size} bytes is too large")
        if self.used == self.room:
            room = max(64, 2 * self.room)
            grown = realloc(self.at, room * sizeof(char*))
            if grown == NULL:
                raise MemoryError()
            self.at = <const char**>grown
            grown = realloc(self.size, room * sizeof(int32_t))
            if grown == NULL:
                raise MemoryError()
            self.size = <int32_t*>grown
            self.room = room
        self.at[self.used], self.size[self.used] = at, <int32_t>size
        self.used += 1
        return 0

    @staticmethod
    def of(values):
        """A sequence of bytes as one of these."""
        cdef Values found = Values()
        cdef bytes value
        if isinstance(values, Values):
            return values
        for value in values:
            if value is None:
                found.push(NULL, -1)
            else:
                found.push(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
                found.owners.append(value)
        return found

    @staticmethod
    def cut(bytes data not None, Py_ssize_t first, int[::1] sizes not None):
        """Those of such sizes that follow one another in ``data``, -1 for None.

        Raises
        ------
        ValueError
            They do not fit into it.
        """
        cdef Values found = Values()
        cdef Py_ssize_t i, size, at = first, end = PyBytes_GET_SIZE(data)
        found.owners.append(data)
        for i in range(sizes.shape[0]):
            size = sizes[i]
            if size < -1 or max(size, 0) > end - at or at < 0:
                raise ValueError("damaged batch: the sizes of its records do not add up")
            found.push(PyBytes_AS_STRING(data) + at, size)
            at += max(size, 0)
        return found

    def extend(self, Values more not None):
        """Add others at the end."""
        cdef Py_ssize_t i
        for i in range(more.used):
            self.push(more.at[i], more.size[i])
        self.owners += more.owners

    def size_of_all(self):
        """How many bytes all have together."""
        cdef Py_ssize_t i
        cdef int64_t total = 0
        for i in range(self.used):
            total += max(self.size[i], 0)
        return total

    def sizes(self):
        """How many bytes each has."""
        return [max(self.size[i], 0) for i in range(self.used)]

    def __len__(self):
        return self.used

    def __getitem__(self, key):
        cdef Values part
        cdef Py_ssize_t i
        if isinstance(key, slice):
            part = Values()
            part.owners = self.owners
            for i in range(*key.indices(self.used)):
                part.push(self.at[i], self.size[i])
            return part
        i = key
        if i < 0:
            i += self.used
        if not 0 <= i < self.used:
            raise IndexError("no such record")
        if self.size[i] < 0:
            return None
        return PyBytes_FromStringAndSize(self.at[i], self.size[i])

    def __eq__(self, other):
        return list(self) == list(other)

    __hash__ = None

    def __repr__(self):
        return repr(list(self))

    def __iter__(self):
        for i in range(self.used):
            yield self[i]


cdef const char* varint(const char* p, const char* end, int64_t* value) noexcept nogil:
    """Read a number as Kafka packs it; NULL where it is cut short."""
    cdef uint64_t found = 0
    cdef int shift = 0
    while p < end and shift < 64:
        found |= <uint64_t>(<uint8_t>p[0] & 0x7F) << shift
        if not <uint8_t>p[0] & 0x80:
            value[0] = <int64_t>(found >> 1) ^ -<int64_t>(found & 1)
            return p + 1
        shift += 7
        p += 1
    return NULL


def unpack(bytes data not None, Py_ssize_t first, Py_ssize_t count, int64_t[::1] deltas not None,
           int64_t[::1] times not None):
    """The records of a Kafka batch of format 2, its head left out and uncompressed.

    Parameters
    ----------
    data, first
        The bytes, and where in them the records begin.
    count
        How many records there are.
    deltas, times
        Filled in: of each record, how far its offset and its time in ms are beyond the batch's.

    Returns
    -------
    (Values, Values, list or None)
        Keys, values (empty where there is none), and headers ``[(name, value or None)]`` of each
        record; None where no record has any.

    Raises
    ------
    ValueError
        The bytes are not those of so many records.
    """
    cdef const char* p = PyBytes_AS_STRING(data) + first
    cdef const char* end = PyBytes_AS_STRING(data) + PyBytes_GET_SIZE(data)
    cdef const char* next
    cdef Values keys = Values(), values = Values()
    cdef int64_t size, headers, time = 0, offset = 0
    cdef Py_ssize_t i
    cdef list found = None
    if first < 0 or p > end or deltas.shape[0] < count or times.shape[0] < count:
        raise ValueError("damaged batch: there is no room for its records")
    keys.owners.append(data)
    values.owners.append(data)
    for i in range(count):
        p = varint(p, end, &size)
        if p == NULL or size < 1 or size > end - p:
            raise ValueError("damaged batch: a record is cut short")
        next = p + size
        p = varint(p + 1, next, &time)          # after the attributes, which mean nothing
        if p != NULL:
            p = varint(p, next, &offset)
        p = taken(keys, p, next, -1)
        p = taken(values, p, next, 0)
        if p != NULL:
            p = varint(p, next, &headers)
        if p == NULL or headers < 0:
            raise ValueError("damaged batch: a record is cut short")
        deltas[i], times[i] = offset, time
        if headers:
            if found is None:
                found = [()] * count
            found[i] = read_headers(&p, next, headers)
        if p != next:
            raise ValueError("damaged batch: a record is longer than it says")
        p = next
    if p != end:
        raise ValueError("damaged batch: there is more in it than its records")
    return keys, values, found


cdef const char* taken(Values values, const char* p, const char* end,
                       int64_t missing) except? NULL:
    cdef int64_t size = 0
    if p != NULL:
        p = varint(p, end, &size)
    if p == NULL or size < -1 or size > end - p:
        raise ValueError("damaged batch: a record is cut short")
    values.push(p, size if size >= 0 else missing)
    return p + max(size, 0)


cdef tuple read_headers(const char** at, const char* end, int64_t count):
    cdef const char* p = at[0]
    cdef int64_t size = 0
    cdef list found = []
    for _ in range(count):
        p = varint(p, end, &size)
        if p == NULL or size < 0 or size > end - p:
            raise ValueError("damaged batch: a header is cut short")
        name = PyBytes_FromStringAndSize(p, size).decode()
        p = varint(p + size, end, &size)
        if p == NULL or size < -1 or size > end - p:
            raise ValueError("damaged batch: a header is cut short")
        found.append((name, None if size < 0 else PyBytes_FromStringAndSize(p, size)))
        p += max(size, 0)
    at[0] = p
    return tuple(found)
