# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""De-duplication in event time: which events a lane has seen."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from ext.hashing cimport Hash, hash_of, joined, with_id

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void* at) noexcept nogil

cdef int64_t MINUTE_MS = 60_000

cdef inline int64_t minute_of(int64_t t) noexcept nogil:
    cdef int64_t minute = t // MINUTE_MS
    return minute - 1 if t < minute * MINUTE_MS else minute


cdef inline int64_t find(Bucket* bucket, Hash name) noexcept nogil:
    """The place of the newest entry of an identity in a bucket, or -1."""
    cdef uint64_t mask = bucket.slots - 1
    cdef uint64_t i = name.a & mask
    cdef uint32_t b = <uint32_t>name.b
    cdef Entry* entry
    if bucket.slots == 0:
        return -1
    while bucket.at[i]:
        entry = bucket.entry + (bucket.at[i] - 1)
        if entry.a == name.a and entry.b == b:
            return bucket.at[i] - 1
        i = (i + 1) & mask
    return -1


cdef int grow(Bucket* bucket) noexcept nogil:
    """Make room for an entry."""
    cdef Py_ssize_t i, slots, room
    cdef uint64_t mask, k
    cdef Entry* entry
    cdef uint32_t* at
    if bucket.used == bucket.room:
        room = max(64, bucket.room + bucket.room // 2)
        entry = <Entry*>realloc(bucket.entry, room * sizeof(Entry))
        if entry == NULL:
            return -1
        bucket.entry = entry
        bucket.room = room
    if 3 * (bucket.used + 1) <= 2 * bucket.slots:
        return 0
    slots = max(128, 2 * bucket.slots)
    at = <uint32_t*>calloc(slots, sizeof(uint32_t))
    if at == NULL:
        return -1
    free(bucket.at)
    bucket.at = at
    bucket.slots = slots
    mask = slots - 1
    for i in range(bucket.used):
        place(bucket, i, mask)
    return 0


cdef inline void place(Bucket* bucket, Py_ssize_t i, uint64_t mask) noexcept nogil:
    """Let the index find an entry, instead of an older one of the same identity."""
    cdef Entry* entry = bucket.entry + i
    cdef Entry* known
    cdef uint64_t k = entry.a & mask
    while bucket.at[k]:
        known = bucket.entry + (bucket.at[k] - 1)
        if known.a == entry.a and known.b == entry.b:
            break
        k = (k + 1) & mask
    bucket.at[k] = <uint32_t>(i + 1)


cdef class Seen:
    """Identities of events not older than the watermark minus the allowed lateness.

    An older repeat needs no memory: by then it is late, so nothing counts twice.  An identity is
    kept as 96 bits of a hash: of a billion that are kept at a time, two are taken for one once in
    10^11 times.

    Attributes
    ----------
    roams
        Whether any identity without an ``id`` was noted at another time than its own.

    Examples
    --------
    >>> seen = Seen()
    >>> seen.admit(b"a", None, 10, 10, oldest=0), seen.admit(b"a", None, 10, 10, oldest=0)
    (0, 1)
    >>> seen.admit(b"a", None, 10, 10, oldest=11)
    2
    """

    def __init__(self):
        self.roams = False

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.buckets):
            free(self.bucket[i].entry)
            free(self.bucket[i].at)
        free(self.bucket)

    def __len__(self):
        cdef Py_ssize_t i, total = 0
        for i in range(self.buckets):
            total += self.bucket[i].used
        return total

    def admit(self, bytes sender, bytes id, int64_t stated, int64_t t, int64_t oldest, int64_t seq=-1):
        """Note an event of time ``t`` (ms) unless it is a repeat, or else late.

        It repeats where its identity was noted with a time not before ``oldest``, and is late
        where its own time is before that.

        Parameters
        ----------
        sender
            What of the identity is the same in all records of a sender.
        id
            The event's own; None where ``stated`` and ``seq`` tell it from others of the sender.
        stated
            The time in the identity, int64 ms; ``t`` is that of the event, which may be its end.
        seq
            Of the sender's counter; -1 without one.

        Returns
        -------
        int
            0 for a new event, 1 for a repeat, 2 for one that is late.
        """
        cdef Hash name = hash_of(PyBytes_AS_STRING(sender), PyBytes_GET_SIZE(sender), 0)
        cdef bint anchored = id is None
        if anchored:
            name = joined(name, <uint64_t>stated, <uint64_t>seq)
        else:
            name = with_id(name, PyBytes_AS_STRING(id), PyBytes_GET_SIZE(id))
        if anchored and stated != t:
            self.roams = True
        cdef int answer = self.admit_hash(name, anchored, t, oldest)
        if answer == NO_MEMORY:
            raise MemoryError()
        return answer

    cdef int admit_hash(self, Hash name, bint anchored, int64_t t, int64_t oldest) noexcept nogil:
        """As `admit`; an ``anchored`` identity has its time in it."""
        cdef int64_t minute = minute_of(t)
        cdef Bucket* bucket
        if self.has(name, anchored, t, oldest):
            return REPEAT
        if t < oldest:
            return LATE
        bucket = self.bucket_of(minute)
        if bucket == NULL or grow(bucket):
            return NO_MEMORY
        bucket.entry[bucket.used].a = name.a
        bucket.entry[bucket.used].b = <uint32_t>name.b
        bucket.entry[bucket.used].ms = <uint32_t>(t - minute * MINUTE_MS)
        place(bucket, bucket.used, bucket.slots - 1)
        bucket.used += 1
        return NEW

    cdef bint has(self, Hash name, bint anchored, int64_t t, int64_t oldest) noexcept nogil:
        """Whether an identity was noted with a time not before ``oldest``."""
        cdef Py_ssize_t i
        cdef Bucket* bucket
        if anchored and not self.roams:
            bucket = self.known(minute_of(t))
            return bucket != NULL and is_noted(bucket, name, oldest)
        for i in range(self.buckets):
            if is_noted(self.bucket + i, name, oldest):
                return True
        return False

    cdef void expect(self, Hash name, int64_t t) noexcept nogil:
        """Let what is to be looked up soon be on its way here."""
        cdef Bucket* bucket = self.known(minute_of(t))
        if bucket != NULL and bucket.slots:
            prefetch(bucket.at + (name.a & (bucket.slots - 1)))

    cdef Bucket* known(self, int64_t minute) noexcept nogil:
        cdef Py_ssize_t i
        if self.last < self.buckets and self.bucket[self.last].minute == minute:
            return self.bucket + self.last
        for i in range(self.buckets):
            if self.bucket[i].minute == minute:
                self.last = i
                return self.bucket + i
        return NULL

    cdef Bucket* bucket_of(self, int64_t minute) noexcept nogil:
        cdef Bucket* bucket = self.known(minute)
        cdef Py_ssize_t room
        if bucket != NULL:
            return bucket
        if self.buckets == self.room:
            room = max(16, 2 * self.room)
            bucket = <Bucket*>realloc(self.bucket, room * sizeof(Bucket))
            if bucket == NULL:
                return NULL
            self.bucket = bucket
            self.room = room
        bucket = self.bucket + self.buckets
        memset(bucket, 0, sizeof(Bucket))
        bucket.minute = minute
        self.last = self.buckets
        self.buckets += 1
        return bucket

    def forget(self, int64_t oldest):
        """Drop what is surely older than ``oldest``."""
        cdef Py_ssize_t i, kept = 0
        for i in range(self.buckets):
            if (self.bucket[i].minute + 1) * MINUTE_MS <= oldest:
                free(self.bucket[i].entry)
                free(self.bucket[i].at)
            else:
                self.bucket[kept] = self.bucket[i]
                kept += 1
        self.buckets = kept
        self.last = 0

    def minutes(self):
        """``{minute: number of identities}``, int64 minutes since 1970."""
        cdef Py_ssize_t i
        return {self.bucket[i].minute: self.bucket[i].used for i in range(self.buckets)}

    def packed(self, int64_t minute, Py_ssize_t first, Py_ssize_t end):
        """Some identities of a minute, in the order in which they came."""
        cdef Bucket* bucket = self.known(minute)
        if bucket == NULL:
            return b""
        end = min(end, bucket.used)
        return PyBytes_FromStringAndSize(
            <char*>(bucket.entry + first), max(0, end - first) * sizeof(Entry)
        )

    def load(self, int64_t minute, bytes packed not None):
        """Add identities of a minute as `packed` gave them."""
        cdef Bucket* bucket = self.bucket_of(minute)
        cdef Py_ssize_t i, count = PyBytes_GET_SIZE(packed) // <Py_ssize_t>sizeof(Entry)
        cdef Entry* entry = <Entry*>PyBytes_AS_STRING(packed)
        if count * <Py_ssize_t>sizeof(Entry) != PyBytes_GET_SIZE(packed):
            raise ValueError("packed identities are cut short")
        for i in range(count):
            if bucket == NULL or grow(bucket):
                raise MemoryError()
            bucket.entry[bucket.used] = entry[i]
            place(bucket, bucket.used, bucket.slots - 1)
            bucket.used += 1


cdef inline bint is_noted(Bucket* bucket, Hash name, int64_t oldest) noexcept nogil:
    cdef int64_t i
    if (bucket.minute + 1) * MINUTE_MS <= oldest:
        return False
    i = find(bucket, name)
    return i >= 0 and bucket.minute * MINUTE_MS + bucket.entry[i].ms >= oldest

