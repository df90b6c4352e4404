# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Accumulators by number: exact to the bit, and merged without a Python object for each.

A cell is the aggregate of some rows; its *id* is a small number that the caller gave to a key.
Values are int64 steps of a metric's resolution and sums are 128-bit integers, so that a cell is a
function of its rows alone, however they were grouped (rule R3).  The states that cells stand for
are those of `streams.aggregates`.
"""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport NAN, ceil, floor, log
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

from ext.rows cimport Row, Rows

cdef extern from *:
    """
    #include <stdint.h>
    typedef struct { __int128 x, t, tt, tx; } cv_slopes;
    static inline int64_t cv_high(__int128 x) { return (int64_t)(x >> 64); }
    static inline uint64_t cv_low(__int128 x) { return (uint64_t)x; }
    static inline __int128 cv_product(int64_t x, int64_t y) { return (__int128)x * y; }
    static inline int cv_is_double(__int128 x) {
        return x <= ((__int128)1 << 53) && x >= -((__int128)1 << 53);
    }
    """
    ctypedef struct cv_slopes:
        cv_int128 x, t, tt, tx
    void prefetch "__builtin_prefetch"(const void* at) noexcept nogil
    int64_t cv_high(cv_int128 x) nogil
    uint64_t cv_low(cv_int128 x) nogil
    cv_int128 cv_product(int64_t x, int64_t y) nogil
    bint cv_is_double(cv_int128 x) nogil


cdef int64_t MOST_IDS = 1 << 28
"""Far above the keys of any lane; a pane takes four bytes for each id."""
cdef int64_t NEVER = -(1 << 62)
cdef object WIDE = 1 << 63
NUMBERS = {"total": 0, "weight": 1, "minimum": 2, "maximum": 3}


cdef object to_int(cv_int128 x):
    return ((<object>cv_high(x)) << 64) | (<object>cv_low(x))


cdef void* resized(void* array, size_t size) except NULL:
    cdef void* found = realloc(array, max(size, 1))
    if found == NULL:
        raise MemoryError()
    return found


cdef class Cells:
    """Cells in the order in which they came, found by id.

    What all kinds have is the number of rows, the time of the last one, what they cover, and a
    number for the place of the last one, the greater one of two that are equally late.
    """

    def __dealloc__(self):
        free(self.head)
        free(self.at)

    def __len__(self):
        return self.used

    cdef Py_ssize_t index_of(self, int64_t id) except -1:
        """The cell of an id, made if there is none."""
        cdef Py_ssize_t i, ids, room
        cdef Head* head
        if id >= self.ids:
            if id > MOST_IDS:
                raise ValueError(f"id {id} is out of range")
            ids = max(id + 1, 2 * self.ids, 64)
            self.at = <int32_t*>resized(self.at, ids * sizeof(int32_t))
            memset(self.at + self.ids, 0, (ids - self.ids) * sizeof(int32_t))
            self.ids = ids
        elif id < 0:
            raise ValueError(f"id {id} is out of range")
        if self.at[id]:
            return self.at[id] - 1
        if self.used == self.room:
            room = max(16, 2 * self.room)
            self.head = <Head*>resized(self.head, room * sizeof(Head))
            self.reserve(room)
            self.room = room
        i = self.used
        head = self.head + i
        head.id, head.n, head.last_t, head.covered, head.place = id, 0, NEVER, 0, 0
        self.used += 1
        self.at[id] = <int32_t>self.used
        return i

    cdef void expect(self, int64_t id) noexcept nogil:
        """Let the number of an id's cell be on its way here."""
        if 0 <= id < self.ids:
            prefetch(self.at + id)

    cdef void meet(self, int64_t id) noexcept nogil:
        """Let an expected id's cell be on its way here."""
        if 0 <= id < self.ids and self.at[id]:
            prefetch(self.head + (self.at[id] - 1))
            self.meet_body(self.at[id] - 1)

    cdef void meet_body(self, Py_ssize_t i) noexcept nogil:
        pass

    cdef int take(self, Row* row) except -1:
        """Fold a row into the cell of its slot; one that speaks for less than no time is a limit
        that the values of the row before it had.
        """
        cdef Py_ssize_t i = self.index_of(row.slot)
        if row.covered < 0:
            self.stretch(i, row.value)
            return 0
        self.fold(i, row)
        cdef Head* head = self.head + i
        head.n += 1
        head.covered += row.covered
        if row.t > head.last_t:
            head.last_t = row.t
        return 0

    cdef int reserve(self, Py_ssize_t room) except -1:
        return 0

    cdef int fold(self, Py_ssize_t i, Row* row) except -1:
        return 0

    cdef void stretch(self, Py_ssize_t i, int64_t value) noexcept nogil:
        pass

    cdef int join(self, Py_ssize_t i, Cells other, Py_ssize_t j) except -1:
        return 0

    cdef int copy(self, Py_ssize_t i, Cells other, Py_ssize_t j) except -1:
        return 0

    cpdef Cells fresh(self):
        """Cells of the same kind, without any."""
        return Cells()

    cdef object body(self):
        return b""

    cdef int read(self, Py_ssize_t count, const char* body, Py_ssize_t size) except -1:
        return 0

    def add(self, Rows rows not None):
        """Fold rows ``(t, slot, value, weight, covered)`` in, each at the id that is its slot."""
        cdef Py_ssize_t i
        for i in range(rows.buffer.used):
            self.take(rows.buffer.row + i)

    def merge(self, Cells other not None, ids=None, places=None):
        """Merge other cells of this kind in.

        Parameters
        ----------
        other
            They stay as they are.
        ids, places
            By id of the others, int64: which id each of them has here, -1 where it is left out,
            and the number of its place; as they are, if not given.
        """
        cdef int64_t[::1] new_ids = ids
        cdef int64_t[::1] new_places = places
        if type(self) is not type(other):
            raise TypeError(f"{type(other).__name__} can not be merged into {type(self).__name__}")
        for given in (ids, places):
            if given is not None and len(given) < other.ids and last_id(other) >= len(given):
                raise ValueError("there are more ids than are told")
        self.merge_all(other, NULL if ids is None or not len(ids) else &new_ids[0],
                       NULL if places is None or not len(places) else &new_places[0])

    cdef int merge_all(self, Cells other, const int64_t* ids, const int64_t* places) except -1:
        cdef Py_ssize_t i, j, before
        cdef int64_t id, place
        cdef Head* theirs
        cdef Head* ours
        for j in range(other.used):
            theirs = other.head + j
            id = theirs.id if ids == NULL else ids[theirs.id]
            if id < 0:
                continue
            place = theirs.place if places == NULL else places[theirs.id]
            before = self.used
            i = self.index_of(id)
            ours = self.head + i
            if i == before:
                self.copy(i, other, j)
                ours.n, ours.last_t, ours.covered = theirs.n, theirs.last_t, theirs.covered
                ours.place = place
                continue
            self.join(i, other, j)
            if theirs.last_t > ours.last_t or (
                theirs.last_t == ours.last_t and place > ours.place
            ):
                ours.last_t, ours.place = theirs.last_t, place
            ours.n += theirs.n
            ours.covered += theirs.covered
        return 0

    def heads(self, int64_t[:, ::1] out not None):
        """Fill in ``(id, n, time of the last row in ms, covered, place)``, five rows of int64."""
        cdef Py_ssize_t i
        for i in range(self.used):
            out[0, i] = self.head[i].id
            out[1, i] = self.head[i].n
            out[2, i] = self.head[i].last_t
            out[3, i] = self.head[i].covered
            out[4, i] = self.head[i].place

    def count_rows(self, int64_t since=-(1 << 62)):
        """How many rows the cells have whose last one is not before ``since``, int64 ms."""
        cdef Py_ssize_t i
        cdef int64_t count = 0
        for i in range(self.used):
            if self.head[i].last_t >= since:
                count += self.head[i].n
        return count

    def find(self, const int64_t[::1] ids not None, int64_t[::1] out not None):
        """Fill in the index of each id, -1 where it has no cell."""
        cdef Py_ssize_t i
        for i in range(ids.shape[0]):
            out[i] = self.at[ids[i]] - 1 if 0 <= ids[i] < self.ids else -1

    def __eq__(self, other):
        return type(self) is type(other) and self.states() == other.states()

    __hash__ = None

    def states(self):
        """``[(id, state)]`` in the order of ids."""
        return sorted((self.head[i].id, self.state(i)) for i in range(self.used))

    def dump(self):
        """The bytes of the cells for `load`: numbers of this machine, in its own order."""
        cdef int64_t count = self.used
        cdef bytes heads = PyBytes_FromStringAndSize(<char*>self.head, count * sizeof(Head))
        return (<bytes>PyBytes_FromStringAndSize(<char*>&count, sizeof(count))) + heads + self.body()

    def load(self, bytes state not None):
        """Take over what `dump` gave, in place of what is here; these cells.

        Whoever kept the bytes answers for their being whole.

        Raises
        ------
        ValueError
            The bytes can not be those of such cells.
        """
        cdef const char* p = PyBytes_AS_STRING(state)
        cdef Py_ssize_t i, left = PyBytes_GET_SIZE(state) - <Py_ssize_t>sizeof(int64_t)
        cdef Py_ssize_t count = (<int64_t*>p)[0] if left >= 0 else -1
        cdef Head* heads = <Head*>(p + sizeof(int64_t))
        if self.used:
            raise ValueError("cells are loaded where none are")
        if count < 0 or count > left // <Py_ssize_t>sizeof(Head):
            raise ValueError("the state of a pane is cut short")
        for i in range(count):
            if self.index_of(heads[i].id) != i:
                raise ValueError("an id stands twice in the state of a pane")
            self.head[i] = heads[i]
        left -= count * sizeof(Head)
        self.read(count, <char*>(heads + count), left)
        return self

    def writable(self):
        """These cells, or a copy of them where they are held."""
        cdef Cells copied
        self.changed = True
        if not self.held:
            return self
        copied = self.fresh()
        copied.merge_all(self, NULL, NULL)
        copied.changed = True
        return copied

    def hold(self):
        """What keeps the cells as they are for as long as it lives, and gives their bytes."""
        return Held(self)


cdef int64_t last_id(Cells cells) noexcept:
    cdef Py_ssize_t i
    cdef int64_t last = -1
    for i in range(cells.used):
        last = max(last, cells.head[i].id)
    return last


@cython.no_gc
cdef class Held:
    """Cells that must stay as they are for as long as this object lives."""
    cdef Cells cells

    def __cinit__(self, Cells cells not None):
        self.cells = cells
        cells.held += 1

    def __dealloc__(self):
        self.cells.held -= 1

    def __call__(self):
        return self.cells.dump()


cdef class Moments(Cells):
    """Count, sums, extremes and the last value.

    Examples
    --------
    >>> from ext.rows import Rows
    >>> cells, more = Moments(), Moments()
    >>> cells.add(Rows([(10, 0, 3, 0, 60), (20, 1, 4, 0, 60)]))
    >>> more.merge(cells), more.merge(cells)
    (None, None)
    >>> more.states()[0]
    (0, (2, 10, 120, 6, 18, 3, 3, 3, 0))
    >>> more.add(Rows([(10, 0, 9, 0, -1)])), more.states()[0]
    (None, (0, (2, 10, 120, 6, 18, 3, 9, 3, 0)))
    """

    def __dealloc__(self):
        free(self.cell)

    cpdef Cells fresh(self):
        return Moments()

    cdef int reserve(self, Py_ssize_t room) except -1:
        self.cell = <cv_moments*>resized(self.cell, room * sizeof(cv_moments))
        return 0

    cdef void meet_body(self, Py_ssize_t i) noexcept nogil:
        prefetch(self.cell + i)

    cdef int fold(self, Py_ssize_t i, Row* row) except -1:
        cdef cv_moments* cell = self.cell + i
        cdef Head* head = self.head + i
        cdef int64_t value = row.value
        if head.n == 0:
            cell.minimum = cell.maximum = cell.last_value = value
            cell.unused = 0
            cell.total = value
            cell.squares = cv_product(value, value)
            cell.weight = row.weight
            return 0
        if value < cell.minimum:
            cell.minimum = value
        if value > cell.maximum:
            cell.maximum = value
        if row.t > head.last_t or (row.t == head.last_t and value > cell.last_value):
            cell.last_value = value
        cell.total = cell.total + value
        cell.squares = cell.squares + cv_product(value, value)
        cell.weight = cell.weight + row.weight
        return 0

    cdef void stretch(self, Py_ssize_t i, int64_t value) noexcept nogil:
        if self.head[i].n == 0:
            return
        self.cell[i].minimum = min(value, self.cell[i].minimum)
        self.cell[i].maximum = max(value, self.cell[i].maximum)

    cdef int copy(self, Py_ssize_t i, Cells other, Py_ssize_t j) except -1:
        self.cell[i] = (<Moments>other).cell[j]
        return 0

    cdef int join(self, Py_ssize_t i, Cells other, Py_ssize_t j) except -1:
        cdef cv_moments* a = self.cell + i
        cdef cv_moments* b = (<Moments>other).cell + j
        if other.head[j].n == 0:
            return 0
        if self.head[i].n == 0:
            a[0] = b[0]
            return 0
        if b.minimum < a.minimum:
            a.minimum = b.minimum
        if b.maximum > a.maximum:
            a.maximum = b.maximum
        if other.head[j].last_t > self.head[i].last_t or (
            other.head[j].last_t == self.head[i].last_t and b.last_value > a.last_value
        ):
            a.last_value = b.last_value
        a.total = a.total + b.total
        a.squares = a.squares + b.squares
        a.weight = a.weight + b.weight
        return 0

    cdef object body(self):
        return PyBytes_FromStringAndSize(<char*>self.cell, self.used * sizeof(cv_moments))

    cdef int read(self, Py_ssize_t count, const char* body, Py_ssize_t size) except -1:
        if size != count * <Py_ssize_t>sizeof(cv_moments):
            raise ValueError("the state of a pane is cut short")
        memcpy(self.cell, body, size)
        return 0

    cdef int add_silent(self, int64_t id, int64_t covered) except -1:
        """Add to a cell that knows of so much, and heard of none."""
        cdef Py_ssize_t before = self.used
        cdef Py_ssize_t i = self.index_of(id)
        if i == before:
            memset(self.cell + i, 0, sizeof(cv_moments))
        self.head[i].covered += covered
        return 0

    def state(self, Py_ssize_t i):
        """The state of the cell with an index."""
        cdef Head* head = self.head + i
        cdef cv_moments* c = self.cell + i
        if head.n == 0:
            return (0, head.last_t, head.covered, 0, 0, WIDE, -WIDE, 0, 0)
        return (head.n, head.last_t, head.covered, to_int(c.total), to_int(c.squares), c.minimum,
                c.maximum, c.last_value, to_int(c.weight))

    def numbers(self, int which, const int64_t[::1] index not None, double[::1] out not None):
        """Fill in one of `NUMBERS` of the cells with these indices, which have rows.

        A number that no float64 is equal to is filled in as NaN.
        """
        cdef Py_ssize_t k
        cdef cv_moments* c
        cdef cv_int128 x
        for k in range(index.shape[0]):
            c = self.cell + index[k]
            if which == 0:
                x = c.total
            elif which == 1:
                x = c.weight
            elif which == 2:
                x = c.minimum
            else:
                x = c.maximum
            out[k] = <double><int64_t>x if cv_is_double(x) else NAN


cdef class Slopes(Cells):
    """Sums for a least-squares line through values over time.

    Examples
    --------
    >>> from ext.rows import Rows
    >>> cells = Slopes()
    >>> cells.add(Rows([(10, 0, 3, 0, 60), (20, 0, 5, 0, 60)]))
    >>> cells.states()
    [(0, (2, 20, 120, 8, 30, 500, 130))]
    """
    cdef cv_slopes* cell

    def __dealloc__(self):
        free(self.cell)

    cpdef Cells fresh(self):
        return Slopes()

    cdef int reserve(self, Py_ssize_t room) except -1:
        self.cell = <cv_slopes*>resized(self.cell, room * sizeof(cv_slopes))
        return 0

    cdef int fold(self, Py_ssize_t i, Row* row) except -1:
        cdef cv_slopes* cell = self.cell + i
        if self.head[i].n == 0:
            memset(cell, 0, sizeof(cv_slopes))
        cell.x = cell.x + row.value
        cell.t = cell.t + row.t
        cell.tt = cell.tt + cv_product(row.t, row.t)
        cell.tx = cell.tx + cv_product(row.t, row.value)
        return 0

    cdef int copy(self, Py_ssize_t i, Cells other, Py_ssize_t j) except -1:
        self.cell[i] = (<Slopes>other).cell[j]
        return 0

    cdef int join(self, Py_ssize_t i, Cells other, Py_ssize_t j) except -1:
        cdef cv_slopes* a = self.cell + i
        cdef cv_slopes* b = (<Slopes>other).cell + j
        a.x = a.x + b.x
        a.t = a.t + b.t
        a.tt = a.tt + b.tt
        a.tx = a.tx + b.tx
        return 0

    cdef object body(self):
        return PyBytes_FromStringAndSize(<char*>self.cell, self.used * sizeof(cv_slopes))

    cdef int read(self, Py_ssize_t count, const char* body, Py_ssize_t size) except -1:
        if size != count * <Py_ssize_t>sizeof(cv_slopes):
            raise ValueError("the state of a pane is cut short")
        memcpy(self.cell, body, size)
        return 0

    def state(self, Py_ssize_t i):
        """The state of the cell with an index."""
        cdef Head* head = self.head + i
        cdef cv_slopes* c = self.cell + i
        return (head.n, head.last_t, head.covered, to_int(c.x), to_int(c.t), to_int(c.tt),
                to_int(c.tx))


cdef struct Entry:
    int64_t key, count

cdef struct Sketch:
    Entry* entry                # in the order of keys
    int32_t used, room
    bint exact                  # whether the keys are the values themselves

cdef int64_t FAR = 1 << 62
cdef int EXACT = 64
cdef double GAMMA = (1 + 0.01) / (1 - 0.01)
cdef double LOG_GAMMA = log(GAMMA)


cdef inline int64_t bucket_of(int64_t value) noexcept nogil:
    cdef double size
    cdef int64_t index
    if value == 0:
        return 0
    size = -<double>value if value < 0 else <double>value
    index = 2 * (1 + <int64_t>ceil(log(size) / LOG_GAMMA))
    return index + 1 if value < 0 else index


cdef int insert(Sketch* sketch, int64_t key, int64_t count) except -1:
    """Add to a key's count; of exact ones each value stands for itself."""
    cdef Py_ssize_t low = 0, high = sketch.used, middle
    cdef int32_t room
    while low < high:
        middle = (low + high) // 2
        if sketch.entry[middle].key < key:
            low = middle + 1
        else:
            high = middle
    if low < sketch.used and sketch.entry[low].key == key:
        sketch.entry[low].count += count
        return 0
    if sketch.used == sketch.room:
        room = max(4, 2 * sketch.room)
        sketch.entry = <Entry*>resized(sketch.entry, room * sizeof(Entry))
        sketch.room = room
    memmove(sketch.entry + low + 1, sketch.entry + low, (sketch.used - low) * sizeof(Entry))
    sketch.entry[low].key, sketch.entry[low].count = key, count
    sketch.used += 1
    return 0


cdef int coarsen(Sketch* sketch) except -1:
    """Values become buckets."""
    cdef Sketch buckets
    cdef Py_ssize_t i
    memset(&buckets, 0, sizeof(Sketch))
    for i in range(sketch.used):
        insert(&buckets, bucket_of(sketch.entry[i].key), sketch.entry[i].count)
    free(sketch.entry)
    sketch[0] = buckets
    return 0


cdef class Quantiles(Cells):
    """Values while they are few, then the counts of logarithmic buckets.

    Examples
    --------
    >>> from ext.rows import Rows
    >>> cells = Quantiles()
    >>> cells.add(Rows([(10, 0, 3, 0, 60), (20, 0, 1, 0, 60), (30, 0, 3, 0, 60)]))
    >>> cells.states()
    [(0, (3, 30, 180, (1, 3, 3), None))]
    """
    cdef Sketch* cell

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.used):
            free(self.cell[i].entry)
        free(self.cell)

    cpdef Cells fresh(self):
        return Quantiles()

    cdef int reserve(self, Py_ssize_t room) except -1:
        self.cell = <Sketch*>resized(self.cell, room * sizeof(Sketch))
        memset(self.cell + self.used, 0, (room - self.used) * sizeof(Sketch))
        return 0

    cdef int fold(self, Py_ssize_t i, Row* row) except -1:
        cdef Sketch* sketch = self.cell + i
        cdef int64_t n = self.head[i].n
        if n == 0:
            sketch.exact = True
        elif n == EXACT:
            coarsen(sketch)
        insert(sketch, row.value if n < EXACT else bucket_of(row.value), 1)
        return 0

    cdef int copy(self, Py_ssize_t i, Cells other, Py_ssize_t j) except -1:
        cdef Sketch* theirs = (<Quantiles>other).cell + j
        cdef Sketch* ours = self.cell + i
        ours.entry = <Entry*>resized(NULL, theirs.used * sizeof(Entry))
        ours.used = ours.room = theirs.used
        ours.exact = theirs.exact
        memcpy(ours.entry, theirs.entry, theirs.used * sizeof(Entry))
        return 0

    cdef int join(self, Py_ssize_t i, Cells other, Py_ssize_t j) except -1:
        cdef Sketch* theirs = (<Quantiles>other).cell + j
        cdef Sketch* ours = self.cell + i
        cdef Py_ssize_t k
        cdef bint exact = self.head[i].n + other.head[j].n <= EXACT
        if ours.exact and not exact:
            coarsen(ours)
        for k in range(theirs.used):
            insert(ours, bucket_of(theirs.entry[k].key) if theirs.exact and not exact
                   else theirs.entry[k].key, theirs.entry[k].count)
        return 0

    cdef object body(self):
        cdef list parts = []
        cdef Py_ssize_t i
        cdef int64_t size
        for i in range(self.used):
            size = self.cell[i].used if self.cell[i].exact else -self.cell[i].used
            parts.append(PyBytes_FromStringAndSize(<char*>&size, sizeof(size)))
            parts.append(PyBytes_FromStringAndSize(
                <char*>self.cell[i].entry, self.cell[i].used * sizeof(Entry)))
        return b"".join(parts)

    cdef int read(self, Py_ssize_t count, const char* body, Py_ssize_t size) except -1:
        cdef Py_ssize_t i, width
        cdef int64_t used
        for i in range(count):
            if size < <Py_ssize_t>sizeof(int64_t):
                raise ValueError("the state of a pane is cut short")
            used = (<int64_t*>body)[0]
            self.cell[i].exact = used >= 0
            used = -used if used < 0 else used
            body += sizeof(int64_t)
            size -= sizeof(int64_t)
            if used > size // <Py_ssize_t>sizeof(Entry):
                raise ValueError("the state of a pane is cut short")
            width = used * sizeof(Entry)
            self.cell[i].entry = <Entry*>resized(NULL, width)
            self.cell[i].used = self.cell[i].room = <int32_t>used
            memcpy(self.cell[i].entry, body, width)
            body += width
            size -= width
        if size:
            raise ValueError("the state of a pane is too long")
        return 0

    def state(self, Py_ssize_t i):
        """The state of the cell with an index."""
        cdef Head* head = self.head + i
        cdef Sketch* sketch = self.cell + i
        cdef Py_ssize_t k
        cdef list found = []
        if not sketch.exact:
            found = [(sketch.entry[k].key, sketch.entry[k].count) for k in range(sketch.used)]
            return (head.n, head.last_t, head.covered, None, tuple(found))
        for k in range(sketch.used):
            found.extend([sketch.entry[k].key] * sketch.entry[k].count)
        return (head.n, head.last_t, head.covered, tuple(found), None)

    def quantiles(self, double q, const int64_t[::1] index not None, double[::1] out not None):
        """Fill in the value at rank ``q * (n - 1)`` of the cells with these indices, in steps.

        Of those that hold buckets, and of values whose difference may be beyond 64 bits, NaN is
        filled in.
        """
        cdef Py_ssize_t k
        cdef Sketch* sketch
        cdef double rank, lower
        cdef int64_t n, a, b
        for k in range(index.shape[0]):
            sketch = self.cell + index[k]
            n = self.head[index[k]].n
            out[k] = NAN
            if not sketch.exact or n == 0:
                continue
            rank = q * <double>(n - 1)
            lower = floor(rank)
            a = value_at(sketch, <int64_t>lower)
            b = value_at(sketch, min(<int64_t>lower + 1, n - 1))
            if a < -FAR or b > FAR:
                continue
            out[k] = <double>a + <double>(b - a) * (rank - lower)


cdef int64_t value_at(Sketch* sketch, int64_t rank) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(sketch.used):
        rank -= sketch.entry[k].count
        if rank < 0:
            return sketch.entry[k].key
    return 0


cdef class Objects(Cells):
    """States that are Python's, of a family without a kernel of its own.

    Parameters
    ----------
    family
        With ``row(t, value, weight, covered)`` and ``merge(a, b)``.
    encode, decode
        What makes bytes of the list of states, and back.
    """
    cdef object family, encode, decode
    cdef list held_states

    def __init__(self, family, encode, decode):
        self.family, self.encode, self.decode = family, encode, decode
        self.held_states = []

    cpdef Cells fresh(self):
        return Objects(self.family, self.encode, self.decode)

    cdef int fold(self, Py_ssize_t i, Row* row) except -1:
        self.put_state(i, self.family.row(row.t, row.value, row.weight, row.covered))
        return 0

    cdef int put_state(self, Py_ssize_t i, object state) except -1:
        if i == len(self.held_states):
            self.held_states.append(state)
        else:
            self.held_states[i] = self.family.merge(self.held_states[i], state)
        return 0

    def put(self, int64_t id, state):
        """Merge a state into the cell of an id."""
        cdef Py_ssize_t i = self.index_of(id)
        cdef Head* head = self.head + i
        self.put_state(i, state)
        head.n += <int64_t>state[0]
        head.covered += <int64_t>state[2]
        if <int64_t>state[1] > head.last_t:
            head.last_t = state[1]

    def replace(self, Py_ssize_t i, state):
        """Let the cell with an index have another state of the same rows."""
        self.held_states[i] = state
        self.changed = True

    cdef int copy(self, Py_ssize_t i, Cells other, Py_ssize_t j) except -1:
        self.held_states.append((<Objects>other).held_states[j])
        return 0

    cdef int join(self, Py_ssize_t i, Cells other, Py_ssize_t j) except -1:
        self.put_state(i, (<Objects>other).held_states[j])
        return 0

    cdef object body(self):
        return self.encode(self.held_states)

    cdef int read(self, Py_ssize_t count, const char* body, Py_ssize_t size) except -1:
        states = self.decode(PyBytes_FromStringAndSize(body, size))
        if len(states) != count:
            raise ValueError("the state of a pane is cut short")
        self.held_states = list(states)
        return 0

    def state(self, Py_ssize_t i):
        """The state of the cell with an index."""
        return self.held_states[i]
