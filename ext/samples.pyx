# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The last value of each thing that reports, and what they are together at a moment."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from ext.cells cimport Moments
from ext.rows cimport Buffer, Row, Rows, push

cdef struct Sample:
    int64_t t, value, weight, stale_ms      # stale_ms is -1 where there is none


cdef class Samples:
    """The newest row of each thing, which is in one slot at a time.

    A thing that moved has another slot at each place; its row counts at that of the newest one.

    Parameters
    ----------
    stale_ms
        When a row is too old to count, int64 ms; None where each says it: three times what it
        covers.
    moves
        Whether things move: then their numbers, by slot, are told with their rows.

    Examples
    --------
    >>> from array import array
    >>> from ext.rows import Rows
    >>> samples = Samples(None)
    >>> samples.add(Rows([(10, 0, 3, 0, 60), (20, 1, 4, 0, 60), (99, 1, 5, 0, 60)]), until=50)
    >>> samples.first_ahead()
    99
    >>> samples.at(50, array("q", [7, 7]), forget_ms=1000).states()
    [(7, (2, 20, 2, 7, 25, 3, 4, 4, 0))]
    >>> samples = Samples(None, moves=True)
    >>> samples.add(Rows([(10, 0, 3, 0, 60), (20, 1, 4, 0, 60)]), 50, array("q", [0, 0]))
    >>> samples.at(50, array("q", [7, 8]), forget_ms=1000).states()
    [(8, (1, 20, 1, 4, 16, 4, 4, 4, 0))]
    """
    cdef Sample* sample
    cdef Py_ssize_t slots
    cdef readonly Py_ssize_t known
    """Slots that have a row."""
    cdef int64_t stale_ms
    cdef Buffer ahead
    cdef bint moves
    cdef int64_t* home              # the slot of each thing's newest row, -1 without one
    cdef Py_ssize_t homes
    cdef bint unsettled             # where things are is to be looked for among the slots
    cdef public bint changed
    """Whether any row has become the newest one of its slot."""

    def __init__(self, stale_ms, moves=False):
        self.stale_ms = -1 if stale_ms is None else stale_ms
        self.moves = moves

    def __dealloc__(self):
        free(self.sample)
        free(self.home)
        free(self.ahead.row)

    def add(self, Rows rows not None, int64_t until, int64_t[::1] things=None):
        """Take the rows before a time, int64 ms, and put aside those that lie ahead.

        Parameters
        ----------
        things
            Where things move, the number of each slot's; there are no more things than slots.
        """
        cdef Py_ssize_t i
        cdef Row* row
        self.settle(things)
        for i in range(rows.buffer.used):
            row = rows.buffer.row + i
            if row.t < until:
                self.meet(row, things)
            elif push(&self.ahead, row.t, row.slot, row.value, row.weight, row.covered):
                raise MemoryError()

    def advance(self, int64_t until, int64_t[::1] things=None):
        """Take those of the rows ahead that are before a time, int64 ms; see `add`."""
        cdef Py_ssize_t i, kept = 0
        self.settle(things)
        for i in range(self.ahead.used):
            if self.ahead.row[i].t < until:
                self.meet(self.ahead.row + i, things)
            else:
                self.ahead.row[kept] = self.ahead.row[i]
                kept += 1
        self.ahead.used = kept

    cdef int settle(self, int64_t[::1] things) except -1:
        """Have room for a home of each thing; after a change of slots, find where they are."""
        cdef Py_ssize_t i, homes
        cdef int64_t* home
        if not self.moves:
            return 0
        if things is None:
            raise ValueError("things that move are to be told")
        if things.shape[0] > self.homes:
            homes = max(things.shape[0], 2 * self.homes, 64)
            home = <int64_t*>realloc(self.home, homes * sizeof(int64_t))
            if home == NULL:
                raise MemoryError()
            for i in range(self.homes, homes):
                home[i] = -1
            self.home, self.homes = home, homes
        if self.unsettled:
            for i in range(self.homes):
                self.home[i] = -1
            for i in range(self.slots):
                if self.sample[i].stale_ms >= 0:
                    self.home[self.thing_of(i, things)] = i
            self.unsettled = False
        return 0

    cdef Py_ssize_t thing_of(self, int64_t slot, int64_t[::1] things) except -1:
        if slot >= things.shape[0]:
            raise ValueError(f"no thing is told of slot {slot}")
        if not 0 <= things[slot] < self.homes:
            raise ValueError(f"slot {slot} has thing {things[slot]}: there are no more than slots")
        return things[slot]

    cdef int meet(self, Row* row, int64_t[::1] things) except -1:
        """Take a row, unless its thing has a newer one elsewhere; else that one is no more."""
        cdef Py_ssize_t thing
        cdef int64_t home
        if self.moves:
            thing = self.thing_of(row.slot, things)
            home = self.home[thing]
            if home >= 0 and home != row.slot and self.sample[home].stale_ms >= 0:
                if row.t < self.sample[home].t:
                    return 0
                self.leave(self.sample + home)
            self.home[thing] = row.slot
        return self.take(row)

    cdef void leave(self, Sample* sample) noexcept:
        """A slot's row is no more."""
        memset(sample, 0, sizeof(Sample))
        sample.stale_ms = -1
        self.known -= 1
        self.changed = True

    cdef int take(self, Row* row) except -1:
        cdef Py_ssize_t i, slots
        cdef Sample* sample
        if row.slot >= self.slots:
            slots = max(row.slot + 1, 2 * self.slots, 64)
            sample = <Sample*>realloc(self.sample, slots * sizeof(Sample))
            if sample == NULL:
                raise MemoryError()
            memset(sample + self.slots, 0, (slots - self.slots) * sizeof(Sample))
            for i in range(self.slots, slots):
                sample[i].stale_ms = -1
            self.sample, self.slots = sample, slots
        sample = self.sample + row.slot
        if sample.stale_ms < 0:
            self.known += 1
        elif row.t < sample.t:
            return 0
        sample.t, sample.value, sample.weight = row.t, row.value, row.weight
        sample.stale_ms = 3 * row.covered if self.stale_ms < 0 else self.stale_ms
        self.changed = True
        return 0

    def first_ahead(self):
        """The earliest time of the rows ahead, int64 ms; None without one."""
        cdef Py_ssize_t i
        times = [self.ahead.row[i].t for i in range(self.ahead.used)]
        return min(times, default=None)

    @property
    def count_ahead(self):
        """How many rows lie ahead."""
        return self.ahead.used

    def any_fresh(self, int64_t at):
        """Whether any row still counts at a time, or lies ahead."""
        cdef Py_ssize_t i
        for i in range(self.slots):
            if self.sample[i].stale_ms >= 0 and at - self.sample[i].t <= self.sample[i].stale_ms:
                return True
        return self.ahead.used > 0

    def at(self, int64_t at, int64_t[::1] keys not None, int64_t forget_ms):
        """Moments of the newest rows at a time, by key.

        A cell covers the slots of its key, and counts those whose row is not too old; a row that
        is too old, and older than ``forget_ms``, is dropped.

        Parameters
        ----------
        at, forget_ms
            int64 ms.
        keys
            The number of each slot's key.
        """
        cdef Moments cells = Moments()
        cdef Py_ssize_t slot
        cdef Sample* sample
        cdef Row row
        for slot in range(self.slots):
            sample = self.sample + slot
            if sample.stale_ms < 0:
                continue
            if slot >= keys.shape[0]:
                raise ValueError(f"no key is told of slot {slot}")
            if at - sample.t > max(forget_ms, sample.stale_ms):
                self.leave(sample)
            elif at - sample.t > sample.stale_ms:
                cells.add_silent(keys[slot], 1)
            else:
                row.t, row.slot, row.value = sample.t, keys[slot], sample.value
                row.weight, row.covered = sample.weight, 1
                cells.take(&row)
        return cells

    def mark(self, uint8_t[::1] flags not None):
        """Flag the slots that have a row, or one ahead; there must be flags of all of them."""
        cdef Py_ssize_t i
        for i in range(self.slots):
            if self.sample[i].stale_ms >= 0:
                self.flag(flags, i)
        for i in range(self.ahead.used):
            self.flag(flags, self.ahead.row[i].slot)

    cdef int flag(self, uint8_t[::1] flags, int64_t slot) except -1:
        if slot >= flags.shape[0]:
            raise ValueError(f"no flag is there for slot {slot}")
        flags[slot] = 1
        return 0

    def rename(self, int64_t[::1] renamed not None):
        """Slots have other numbers, in the same order; -1 of those without rows that are no more.

        Raises
        ------
        ValueError
            A slot that has rows is not told of, or is to be no more; nothing is changed.
        """
        cdef Py_ssize_t i
        cdef int64_t new
        for i in range(self.slots):
            if self.sample[i].stale_ms >= 0:
                self.renamed(renamed, i)
        for i in range(self.ahead.used):
            self.renamed(renamed, self.ahead.row[i].slot)
        for i in range(self.slots):
            if self.sample[i].stale_ms >= 0:
                new = renamed[i]
                if new != i:
                    self.sample[new] = self.sample[i]
                    self.sample[i].stale_ms = -1
        for i in range(self.ahead.used):
            self.ahead.row[i].slot = renamed[self.ahead.row[i].slot]
        self.changed = self.unsettled = True

    cdef int renamed(self, int64_t[::1] renamed, int64_t slot) except -1:
        if slot >= renamed.shape[0] or not 0 <= renamed[slot] <= slot:
            raise ValueError(f"slot {slot} has rows: it can not be renamed")
        return 0

    def dump(self):
        """The newest rows for `load`: numbers of this machine, in its own order."""
        cdef Py_ssize_t slots = self.slots
        while slots and self.sample[slots - 1].stale_ms < 0:
            slots -= 1
        return PyBytes_FromStringAndSize(<char*>self.sample, slots * sizeof(Sample))

    def packed_ahead(self, Py_ssize_t first, Py_ssize_t end):
        """Some of the rows ahead, as `Rows.extend` takes them."""
        end = max(first, min(end, self.ahead.used))
        return PyBytes_FromStringAndSize(
            <char*>(self.ahead.row + first), (end - first) * sizeof(Row))

    def load(self, bytes newest not None, Rows ahead not None):
        """Take over a state in place of this one.

        Raises
        ------
        ValueError
            The bytes can not be those of newest rows.
        """
        cdef Py_ssize_t i, slots = PyBytes_GET_SIZE(newest) // <Py_ssize_t>sizeof(Sample)
        cdef Row* row
        if slots * <Py_ssize_t>sizeof(Sample) != PyBytes_GET_SIZE(newest):
            raise ValueError("the state of samples is cut short")
        free(self.sample)
        self.sample = <Sample*>calloc(max(slots, 1), sizeof(Sample))
        if self.sample == NULL:
            raise MemoryError()
        memcpy(self.sample, PyBytes_AS_STRING(newest), slots * sizeof(Sample))
        self.slots, self.known, self.ahead.used = slots, 0, 0
        self.unsettled = True
        for i in range(slots):
            self.known += self.sample[i].stale_ms >= 0
        for i in range(ahead.buffer.used):
            row = ahead.buffer.row + i
            if push(&self.ahead, row.t, row.slot, row.value, row.weight, row.covered):
                raise MemoryError()
