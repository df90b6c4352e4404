# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The gate of a lane: plain records of known senders, without a Python object for each.

A *template* is all that a sender says the same of itself in every record: the fields that are not
*variable*, by their bytes.  The first record of a template goes the strict way of `agents.intake`,
which teaches the gate where its rows go; from then on the gate reads the variable fields of such
records itself.  Whatever is unusual in any way goes the strict way again, so the gate accepts
nothing that the strict way refuses, and reads nothing otherwise.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport fabs, pow, rint
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memset

from ext.hashing cimport Hash, hash_of, joined, with_id
from ext.records cimport Values
from ext.rows cimport Buffer, Row, Rows, push
from ext.scanning cimport blank, escaped_end, literal_end, number_end, text_end
from ext.seen cimport LATE, NEW, NO_MEMORY, REPEAT, Seen

cdef extern from *:
    int __builtin_ctz(unsigned int x) noexcept nogil
    void prefetch "__builtin_prefetch"(const void* at) noexcept nogil

cdef enum:
    MOST_FIELDS = 32
    MOST_NAMING = 4
    MOST_KEYS = 64
    AT_ONCE = 64    # records before other threads may run
    AHEAD = 8       # records that are read before the first of them is taken
    SENDERS = 1 << 20
    MOST_OF_SENDER = 16

cdef enum Kind:
    TIME = 0     # int64 ms UTC
    FLOAT = 1
    INT = 2
    ID = 3       # printable ASCII

cdef enum Op:
    CONSTANT = 0
    STEPS = 1
    ENERGY = 2
    PAIR = 3
    QUOTIENT = 4
    TRAVEL = 5
    LATENESS = 6
    HIT = 7

DONE, CUT, ODD, UNKNOWN = range(4)
"""Why `Gate.run` came back: at the end of the records; after one that moved the watermark past the
next cut; before one that must go the strict way, or whose template it does not know."""

cdef double STEPS_IN_UNIT = 1e6
cdef double ENERGY_STEPS = 1e3
cdef double LARGEST_QUOTIENT = 1e12
cdef double SLOWEST_KMH = 1.0
cdef int64_t LIMIT = 65_536
cdef int64_t NOWHERE = -(1 << 62)

cdef struct Field:
    const char* name
    Py_ssize_t size
    int kind
    double low, high
    bint above          # the low bound itself is not taken

cdef struct Route:
    Buffer* rows
    int64_t value, weight
    int32_t op, i, j, k
    double low, high            # of what counts
    double least, most          # of what could

cdef struct Shape:
    Hash named
    double low, high
    int64_t covered, period
    uint32_t first              # of the routes
    int32_t routes, arrivals, ranged
    bint folds

cdef struct Template:
    Hash name, sender
    uint32_t shape, first       # of the slots

cdef struct Record:
    uint64_t a, b, present
    Py_ssize_t count
    int64_t[MOST_FIELDS] whole
    double[MOST_FIELDS] number
    const char* id
    Py_ssize_t id_size
    Template* known
    Hash identity               # of one without an id, where its template is known

cdef struct Text:
    const char* at
    Py_ssize_t size

cdef struct Names:
    Text[MOST_KEYS] key         # all there are in a record, constant and variable
    Text[MOST_NAMING] said      # the values of the naming fields
    uint64_t a, b               # what these fields are in the record's hash
    uint64_t present


cdef void* room_for(void* array, Py_ssize_t wanted, Py_ssize_t* room, size_t size) except NULL:
    """An array that has room for so many, or the same one."""
    cdef void* found = array
    if wanted > room[0] or array == NULL:
        room[0] = max(wanted, room[0] + room[0] // 2, 64)
        found = realloc(array, room[0] * size)
        if found == NULL:
            raise MemoryError()
    return found


cdef class Gate:
    """The plain records of one lane.

    Parameters
    ----------
    naming
        The constant fields that tell the senders of a kind apart, such as their names; texts.
    fields
        The variable fields as ``(name, kind, low, high, above)``: kind 0 a time in int64 ms,
        1 a float, 2 an int, 3 an id; bounds that the strict way has for the field, ``above`` where
        the low one itself is refused.  The first one is the event's time.
    seen
        What the lane has seen.
    disorder_ms, skew_ms, lateness_ms, future_ms
        Of the topic, int64 ms.
    most
        Templates that are kept; records of more senders go the strict way, and those of a sender
        that says other things in every record, such as where it is.

    Attributes
    ----------
    watermark
        Of the lane, int64 ms.

    Examples
    --------
    >>> from array import array
    >>> from ext.records import Values
    >>> from ext.rows import Rows
    >>> from ext.seen import Seen
    >>> rows, ever = Rows(), float("inf")
    >>> fields = [("t", 0, 0, ever, False), ("value", 1, -ever, ever, False)]
    >>> gate = Gate(fields, Seen(), 0, 60_000, 0, 86_400_000, seed=1)
    >>> first, second = b'{"d":"a","t":1,"value":2.5}', b'{"t":2,"value":3,"d":"a"}'
    >>> gate.run(Values.of([first]), array("q", [1]), 0, 99) == (0, UNKNOWN)
    True
    >>> steps = (rows, 1, 1, 0, 0, 0, 0, (-ever, ever, -ever, ever))
    >>> shape = gate.shape(b"", folds=True, covered=0, routes=[steps], arrivals=[], period=0)
    >>> gate.learn(first, b"a", shape, [0])
    True
    >>> gate.run(Values.of([first, second, b"{"]), array("q", [1, 2, 3]), 0, 99) == (2, ODD)
    True
    >>> list(rows), gate.take_counts()
    ([(1, 0, 2500000, 0, 0), (2, 0, 3000000, 0, 0)], (2, 0, 0, 0, 2, 0))
    """
    cdef Field[MOST_FIELDS] field
    cdef Text[MOST_NAMING] named
    cdef int naming_fields
    cdef uint32_t[128] by_first     # the fields whose names begin with a character
    cdef int fields, end_at, id_at, seq_at, ingest_at
    cdef list names, naming, kept
    cdef Seen seen
    cdef int64_t disorder_ms, skew_ms, lateness_ms, future_ms
    cdef public int64_t watermark
    cdef int64_t[6] counts
    cdef Template* template
    cdef uint32_t* at
    cdef Shape* kind
    cdef Route* route
    cdef uint32_t* slot         # of each route of each template
    cdef Py_ssize_t templates, template_room, slots, most
    cdef Py_ssize_t shapes, shape_room, routes, route_room, used_slots, slot_room
    cdef uint64_t seed
    cdef uint8_t* known      # templates by sender; several senders may share a count
    cdef Buffer lates

    def __init__(self, fields, Seen seen not None, int64_t disorder_ms, int64_t skew_ms,
                 int64_t lateness_ms, int64_t future_ms, uint64_t seed, Py_ssize_t most=1 << 22,
                 naming=()):
        if len(fields) > MOST_FIELDS:
            raise ValueError(f"a gate has at most {MOST_FIELDS} variable fields")
        if len(naming) > MOST_NAMING:
            raise ValueError(f"a gate has at most {MOST_NAMING} naming fields")
        self.naming = [name.encode() for name in naming]
        self.naming_fields = len(naming)
        for k, name in enumerate(self.naming):
            self.named[k].at, self.named[k].size = PyBytes_AS_STRING(name), len(name)
        self.names = [name.encode() for name, *_ in fields]
        self.end_at = self.id_at = self.seq_at = self.ingest_at = -1
        for k, (name, kind, low, high, above) in enumerate(fields):
            self.field[k].name = PyBytes_AS_STRING(self.names[k])
            self.field[k].size = len(self.names[k])
            self.field[k].kind = kind
            self.field[k].low, self.field[k].high = low, high
            self.field[k].above = above
            if name == "t_end":
                self.end_at = k
            elif name == "id":
                self.id_at = k
            elif name == "seq":
                self.seq_at = k
            elif name == "t_ingest":
                self.ingest_at = k
            self.by_first[ord(name[0]) & 127] |= <uint32_t>1 << k
        self.fields = len(fields)
        self.seen = seen
        self.disorder_ms, self.skew_ms = disorder_ms, skew_ms
        self.lateness_ms, self.future_ms = lateness_ms, future_ms
        self.watermark = NOWHERE
        self.seed, self.most = seed, most
        self.kept = []
        self.known = <uint8_t*>calloc(SENDERS, 1)
        if self.known == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.known)
        free(self.template)
        free(self.at)
        free(self.kind)
        free(self.route)
        free(self.slot)
        free(self.lates.row)

    def __len__(self):
        return self.templates

    def clear(self):
        """Forget all templates: their rows go elsewhere now."""
        self.templates = self.shapes = self.routes = self.used_slots = self.slots = 0
        free(self.at)
        self.at = NULL
        memset(self.known, 0, SENDERS)
        self.kept.clear()

    def take_counts(self):
        """``(read, duplicate, late, filtered, accepted, accepted_late)`` since the last time."""
        counts = tuple(self.counts[k] for k in range(6))
        for k in range(6):
            self.counts[k] = 0
        return counts

    def take_lates(self):
        """``(index, event time, watermark before it)`` of late records since the last time."""
        cdef Py_ssize_t i
        cdef Row* row
        lates = []
        for i in range(self.lates.used):
            row = self.lates.row + i
            lates.append((row.t, row.slot, row.value))
        self.lates.used = 0
        return lates

    # -- reading

    cdef int scan(self, const char* p, Py_ssize_t size, Record* record,
                  Names* names) noexcept nogil:
        """Read a record, and what stands in it if that is asked for; 0 unless it is odd."""
        cdef const char* end = p + size
        cdef const char* key
        cdef const char* said
        cdef Py_ssize_t key_size
        cdef int k
        cdef Hash h
        record.a = record.b = record.present = 0
        record.count = 0
        if size > LIMIT:
            return -1
        p = blank(p)
        if p[0] != c'{':
            return -1
        p += 1
        while True:
            p = blank(p)
            if p[0] != c'"':
                return -1
            key = p
            p = text_end(p + 1)
            if p == NULL:
                return -1
            key_size = p - key - 1
            p = blank(p + 1)
            if p[0] != c':':
                return -1
            said = p = blank(p + 1)
            k = self.variable(key + 1, key_size)
            if k >= 0:
                if record.present >> k & 1:
                    return -1
                p = self.read(p, k, record)
                if p == NULL:
                    return -1
                record.present |= <uint64_t>1 << k
            else:
                if p[0] == c'"':
                    p = escaped_end(p + 1)
                    if p != NULL:
                        p += 1
                else:
                    p = literal_end(p)
                if p == NULL:
                    return -1
                h = hash_of(key, p - key, self.seed)
                record.a += h.a
                record.b += h.b
                if names != NULL:
                    self.note_named(names, key + 1, key_size, said, p, h)
            if names != NULL and record.count < MOST_KEYS:
                names.key[record.count].at, names.key[record.count].size = key + 1, key_size
            record.count += 1
            p = blank(p)
            if p[0] == c',':
                p += 1
                continue
            if p[0] != c'}':
                return -1
            return 0 if blank(p + 1) == end else -1

    cdef inline int variable(self, const char* name, Py_ssize_t size) noexcept nogil:
        cdef uint32_t left = self.by_first[<uint8_t>name[0] & 127]
        cdef int k
        while left:
            k = __builtin_ctz(left)
            if self.field[k].size == size and memcmp(self.field[k].name, name, size) == 0:
                return k
            left &= left - 1
        return -1

    cdef inline const char* read(self, const char* p, int k, Record* record) noexcept nogil:
        """Read a variable field; NULL unless it is plain and within its bounds."""
        cdef Field* field = self.field + k
        cdef bint is_whole = False
        cdef const char* begin
        if field.kind == ID:
            if p[0] != c'"':
                return NULL
            begin = p = p + 1
            while 0x20 <= <unsigned char>p[0] < 0x7F and p[0] != c'"' and p[0] != c'\\':
                p += 1
            if p[0] != c'"' or not field.low <= p - begin <= field.high:
                return NULL
            record.id, record.id_size = begin, p - begin
            return p + 1
        p = number_end(p, &is_whole, record.whole + k, record.number + k)
        if p == NULL or (field.kind != FLOAT and not is_whole):
            return NULL
        if not field.low <= record.number[k] <= field.high:
            return NULL
        if field.above and record.number[k] == field.low:
            return NULL
        return p

    cdef void note_named(self, Names* names, const char* key, Py_ssize_t key_size,
                         const char* begin, const char* end, Hash h) noexcept nogil:
        cdef int k
        for k in range(self.naming_fields):
            if self.named[k].size == key_size and memcmp(self.named[k].at, key, key_size) == 0:
                names.said[k].at, names.said[k].size = begin, end - begin
                names.present |= <uint64_t>1 << k
                names.a += h.a
                names.b += h.b

    cdef bint read_all(self, bytes raw, Record* record, Names* names):
        """Read a record with all that stands in it; whether it is plain and no field stands twice.
        """
        cdef Py_ssize_t i, j
        names.a = names.b = names.present = 0
        if self.scan(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw), record, names):
            return False
        if record.count > MOST_KEYS:
            return False
        for i in range(record.count):
            for j in range(i):
                if (names.key[i].size == names.key[j].size
                        and memcmp(names.key[i].at, names.key[j].at, names.key[i].size) == 0):
                    return False
        return True

    cdef inline void name(self, Record* record) noexcept nogil:
        """Give a record that was read the name of its template, and let that be on its way here."""
        cdef Hash name
        name.a, name.b = record.a, record.b
        name = joined(name, record.present, <uint64_t>record.count)
        record.a, record.b = name.a, name.b
        if self.slots:
            prefetch(self.at + (name.a & (self.slots - 1)))

    cdef inline Template* find(self, Record* record) noexcept nogil:
        cdef uint64_t mask, i
        cdef Template* known
        if self.slots == 0:
            return NULL
        mask = self.slots - 1
        i = record.a & mask
        while self.at[i]:
            known = self.template + (self.at[i] - 1)
            if known.name.a == record.a and known.name.b == record.b:
                return known
            i = (i + 1) & mask
        return NULL

    cdef inline void meet(self, Record* record) noexcept nogil:
        """Find the template of a named record, and let what it leads to be on its way here."""
        cdef Template* known = self.find(record)
        record.known = known
        if known == NULL or not record.present & 1:
            return
        prefetch(self.slot + known.first)
        if self.is_anchored(record):
            record.identity = joined(known.sender, <uint64_t>record.whole[0],
                                     self.sequence_of(record))
            self.seen.expect(record.identity, record.whole[0])

    cdef inline bint is_anchored(self, Record* record) noexcept nogil:
        return not (self.id_at >= 0 and record.present >> self.id_at & 1)

    # -- learning

    def kind_of(self, bytes raw not None):
        """What a record has in common with those of other senders of its kind, and who sent it.

        Returns
        -------
        ((int, int), list of str or None) or None
            A name of all that the naming fields do not say, and what each of these says, None where
            it is not there; no list where one says other things than a plain text.  None for a
            record that is not plain, or in which a field stands twice.
        """
        cdef Record record
        cdef Names names
        cdef Hash kind
        cdef int k
        if not self.read_all(raw, &record, &names):
            return None
        kind.a, kind.b = record.a - names.a, record.b - names.b
        kind = joined(kind, record.present, names.present << 32 | <uint64_t>record.count)
        said = []
        for k in range(self.naming_fields):
            if not names.present >> k & 1:
                said.append(None)
                continue
            if names.said[k].at[0] != c'"':
                return (kind.a, kind.b), None
            text = names.said[k].at[1:names.said[k].size - 1]
            if not text.isascii() or b"\\" in text or b"\x7f" in text:
                return (kind.a, kind.b), None
            said.append(text.decode("ascii"))
        return (kind.a, kind.b), said

    def is_new(self, bytes raw not None, bytes sender not None, int64_t logged, uint32_t shape):
        """Whether a plain record without an id is sound, on time, and no repeat of the sender's.

        ``logged`` is when the log took it, int64 ms UTC, and ``shape`` what `shape` gave.  Where it
        takes more to say so, the answer is no.
        """
        cdef Record record
        cdef Hash name
        cdef int64_t stated, t, oldest
        cdef Shape* kind
        if self.scan(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw), &record, NULL):
            return False
        if not record.present & 1 or not self.is_anchored(&record):
            return False
        stated = t = record.whole[0]
        if self.end_at >= 0 and record.present >> self.end_at & 1:
            t = record.whole[self.end_at]
        if shape >= self.shapes or (stated != t and not self.seen.roams):
            return False
        kind = self.kind + shape
        if kind.ranged >= 0 and not kind.low <= record.number[kind.ranged] <= kind.high:
            return False
        oldest = self.watermark - self.lateness_ms
        if t < stated or t < oldest or t > logged + min(self.skew_ms, self.future_ms):
            return False
        name = hash_of(PyBytes_AS_STRING(sender), PyBytes_GET_SIZE(sender), 0)
        name = joined(name, <uint64_t>stated, self.sequence_of(&record))
        return not self.seen.has(name, True, t, oldest)

    def shape(self, bytes named not None, *, bint folds, int64_t covered, routes, arrivals,
              int64_t period, int ranged=-1, double low=0.0, double high=0.0):
        """What records of many senders have in common; its number, for `learn`.

        Parameters
        ----------
        named
            What of an identity with an id is the same in all of them.
        folds
            Whether their values mean anything.
        covered
            The ms each speaks for; -1 where it is from its time to its end.
        routes, arrivals
            ``(rows, op, i, j, k, value, weight, bounds)`` for each sign that takes them.
        period
            What a row of an arrival speaks for, ms.
        ranged, low, high
            The variable field that has bounds of its own here, if there is one.
        """
        cdef Shape* shape
        first = self.routes
        for rows, op, i, j, k, value, weight, bounds in (*routes, *arrivals):
            self.add_route(rows, op, i, j, k, value, weight, bounds)
        self.kind = <Shape*>room_for(self.kind, self.shapes + 1, &self.shape_room, sizeof(Shape))
        shape = self.kind + self.shapes
        shape.named = hash_of(PyBytes_AS_STRING(named), PyBytes_GET_SIZE(named), 0)
        shape.low, shape.high, shape.ranged = low, high, ranged
        shape.covered, shape.period = covered, period
        shape.first = first
        shape.routes, shape.arrivals = len(routes), len(arrivals)
        shape.folds = folds
        self.shapes += 1
        return self.shapes - 1

    def learn(self, bytes raw not None, bytes sender not None, uint32_t shape, slots):
        """Take all records like this plain one from now on.

        Parameters
        ----------
        sender
            What of the identity is the same in all of them, without an id.
        shape
            What `shape` gave.
        slots
            Where the rows of each route of the shape go, those of its arrivals last.

        Returns
        -------
        bool
            Whether there was room for it.
        """
        cdef Record record
        cdef Template* template
        cdef Hash name
        cdef Py_ssize_t first = self.used_slots
        if self.templates >= self.most:
            return False
        if shape >= self.shapes:
            raise ValueError(f"there is no shape {shape}")
        if len(slots) != self.kind[shape].routes + self.kind[shape].arrivals:
            raise ValueError("as many slots as the shape has routes are wanted")
        if self.scan(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw), &record, NULL):
            raise ValueError("the record is not plain")
        self.name(&record)
        if self.find(&record) != NULL:
            return True
        name = hash_of(PyBytes_AS_STRING(sender), PyBytes_GET_SIZE(sender), 0)
        if self.known[name.a % SENDERS] >= MOST_OF_SENDER:
            return False
        self.slot = <uint32_t*>room_for(self.slot, first + len(slots), &self.slot_room,
                                        sizeof(uint32_t))
        for slot in slots:
            self.slot[self.used_slots] = slot
            self.used_slots += 1
        self.known[name.a % SENDERS] += 1
        self.template = <Template*>room_for(self.template, self.templates + 1,
                                            &self.template_room, sizeof(Template))
        template = self.template + self.templates
        template.name.a, template.name.b = record.a, record.b
        template.sender = name
        template.shape, template.first = shape, <uint32_t>first
        self.templates += 1
        self.index()
        return True

    cdef int add_route(self, Rows rows, int op, int i, int j, int k, int64_t value,
                       int64_t weight, bounds) except -1:
        cdef Route* route
        self.route = <Route*>room_for(self.route, self.routes + 1, &self.route_room, sizeof(Route))
        route = self.route + self.routes
        route.rows, route.value, route.weight = rows.buffer, value, weight
        route.op, route.i, route.j, route.k = op, i, j, k
        route.low, route.high, route.least, route.most = bounds
        self.routes += 1
        if not any(known is rows for known in self.kept):
            self.kept.append(rows)
        return 0

    cdef int index(self) except -1:
        """Let the newest template be found."""
        cdef Py_ssize_t i
        if 3 * self.templates <= 2 * self.slots:
            self.place(self.templates - 1)
            return 0
        free(self.at)
        self.slots = max(1024, 2 * self.slots)
        self.at = <uint32_t*>calloc(self.slots, sizeof(uint32_t))
        if self.at == NULL:
            self.slots = 0
            raise MemoryError()
        for i in range(self.templates):
            self.place(i)
        return 0

    cdef inline void place(self, Py_ssize_t i) noexcept nogil:
        cdef uint64_t mask = self.slots - 1
        cdef uint64_t k = self.template[i].name.a & mask
        while self.at[k]:
            k = (k + 1) & mask
        self.at[k] = <uint32_t>(i + 1)

    # -- running

    def run(self, Values values not None, int64_t[::1] logged not None, Py_ssize_t first,
            int64_t next_cut):
        """Take records from the ``first`` on; other threads run meanwhile.

        Parameters
        ----------
        values, logged
            Records, and when the log took them, int64 ms UTC.
        next_cut
            The watermark, int64 ms, at which to stop.

        Returns
        -------
        (int, int)
            Index of the next record, and why it stopped: `DONE`, `CUT`, `ODD` or `UNKNOWN`.
        """
        cdef Py_ssize_t i = first, soon = min(first + AT_ONCE, values.used)
        cdef const int64_t* times = &logged[0] if logged.shape[0] else NULL
        cdef int why
        if logged.shape[0] != values.used:
            raise ValueError("as many times as records are wanted")
        if first < 0:
            raise ValueError("records are counted from 0")
        # Other threads would take their time to give the interpreter back.
        why = self.take_all(values.at, values.size, times, soon, next_cut, &i)
        if why == _TAKEN and soon < values.used:
            with nogil:
                why = self.take_all(values.at, values.size, times, values.used, next_cut, &i)
        if why == _NO_ROOM:
            raise MemoryError()
        return i, _WHY[why]

    cdef int take_all(self, const char** at_, const int32_t* size, const int64_t* logged,
                      Py_ssize_t count, int64_t next_cut, Py_ssize_t* i) noexcept nogil:
        cdef Record[AHEAD] record
        cdef Py_ssize_t k, n
        cdef uint32_t at
        cdef int why
        while i[0] < count:
            n = 0
            while n < AHEAD and i[0] + n < count:
                k = i[0] + n
                if size[k] < 0 or self.scan(at_[k], size[k], record + n, NULL):
                    break
                self.name(record + n)
                n += 1
            if n == 0:
                return _UNPLAIN
            for k in range(n if self.slots else 0):
                at = self.at[record[k].a & (self.slots - 1)]
                if at:
                    prefetch(self.template + (at - 1))
            for k in range(n):
                self.meet(record + k)
            for k in range(n):
                why = self.take(record + k, logged[i[0]], i[0])
                if why != _TAKEN and why != _MOVED:
                    return why
                i[0] += 1
                if why == _MOVED and self.watermark >= next_cut:
                    return _MOVED
        return _TAKEN

    cdef int take(self, Record* record, int64_t logged, Py_ssize_t i) noexcept nogil:
        cdef Template* template = record.known
        cdef Shape* shape
        cdef int64_t stated, t, oldest, before = self.watermark
        cdef Hash name
        cdef bint anchored
        cdef int admission, folded
        if template == NULL:
            return _STRANGE
        if not record.present & 1:
            return _UNPLAIN
        stated = t = record.whole[0]
        if self.end_at >= 0 and record.present >> self.end_at & 1:
            t = record.whole[self.end_at]
            if t < stated:
                return _UNPLAIN
        if t > logged + self.future_ms:
            return _UNPLAIN
        shape = self.kind + template.shape
        if shape.ranged >= 0 and not shape.low <= record.number[shape.ranged] <= shape.high:
            return _UNPLAIN
        anchored = self.is_anchored(record)
        if anchored:
            name = record.identity
            if stated != t:
                self.seen.roams = True
        else:
            name = with_id(shape.named, record.id, record.id_size)
        oldest = before - self.lateness_ms
        admission = self.seen.admit_hash(name, anchored, t, oldest)
        if admission == NO_MEMORY:
            return _NO_ROOM
        self.counts[0] += 1
        if admission == REPEAT:
            self.counts[1] += 1
        else:
            if admission == LATE:
                self.counts[2] += 1
                if push(&self.lates, i, t, before, 0, 0):
                    return _NO_ROOM
            else:
                folded = self.fold(template, shape, record, stated, t) if shape.folds else 0
                if folded < 0:
                    return _NO_ROOM
                if folded:
                    self.counts[4] += 1
                    if t < before:
                        self.counts[5] += 1
                else:
                    self.counts[3] += 1
            if shape.arrivals and self.arrive(template, shape, record, t, logged, before):
                return _NO_ROOM
        if t - self.disorder_ms > before and t <= logged + self.skew_ms:
            self.watermark = t - self.disorder_ms
            return _MOVED
        return _TAKEN

    cdef inline uint64_t sequence_of(self, Record* record) noexcept nogil:
        if self.seq_at >= 0 and record.present >> self.seq_at & 1:
            return <uint64_t>record.whole[self.seq_at]
        return <uint64_t>-1

    cdef int fold(self, Template* template, Shape* shape, Record* record, int64_t stated,
                  int64_t t) noexcept nogil:
        """Whether any sign takes it; -1 without memory."""
        cdef int32_t r
        cdef int taken = 0
        cdef int64_t value = 0, weight = 0
        cdef int64_t covered = t - stated if shape.covered < 0 else shape.covered
        cdef Route* route = self.route + shape.first
        cdef uint32_t* slot = self.slot + template.first
        for r in range(shape.routes):
            if measure(route + r, record, 0, &value, &weight):
                if push(route[r].rows, t, slot[r], value, weight, covered):
                    return -1
                taken = 1
        return taken

    cdef int arrive(self, Template* template, Shape* shape, Record* record, int64_t t,
                    int64_t logged, int64_t before) noexcept nogil:
        """Count an arrival where the lane's time is; nowhere before that has begun."""
        cdef int32_t r
        cdef int64_t value = 0, weight = 0, came = logged
        cdef int64_t at = before if t > logged + self.skew_ms else max(t, before)
        cdef Route* route = self.route + shape.first + shape.routes
        cdef uint32_t* slot = self.slot + template.first + shape.routes
        if at == NOWHERE:
            return 0
        if self.ingest_at >= 0 and record.present >> self.ingest_at & 1:
            came = record.whole[self.ingest_at]
        for r in range(shape.arrivals):
            if measure(route + r, record, came - t, &value, &weight):
                if push(route[r].rows, at, slot[r], value, weight, shape.period):
                    return -1
        return 0


cdef enum:
    _TAKEN = 0
    _STRANGE = 1
    _UNPLAIN = 2
    _NO_ROOM = 3
    _MOVED = 4


_WHY = {_TAKEN: DONE, _MOVED: CUT, _STRANGE: UNKNOWN, _UNPLAIN: ODD}


cdef inline bint measure(Route* route, Record* record, int64_t late_ms, int64_t* value,
                         int64_t* weight) noexcept nogil:
    """What a sign takes from a record, in steps; whether it takes anything.

    The same operations in the same order as in `agents.measures`.
    """
    cdef double x, y
    weight[0] = 0
    if route.op == CONSTANT:
        value[0], weight[0] = route.value, route.weight
    elif route.op == STEPS:
        value[0] = <int64_t>rint(record.number[route.i] * STEPS_IN_UNIT)
    elif route.op == ENERGY:
        value[0] = <int64_t>rint(pow(10.0, record.number[route.i] / 10) * ENERGY_STEPS)
    elif route.op == PAIR:
        value[0] = <int64_t>rint(record.number[route.i] * STEPS_IN_UNIT)
        weight[0] = <int64_t>rint(record.number[route.j] * STEPS_IN_UNIT)
    elif route.op == QUOTIENT:
        y = record.number[route.j]
        if y == 0 or not fabs(record.number[route.i] / y) <= LARGEST_QUOTIENT:
            return False
        value[0] = <int64_t>rint(record.number[route.i] / y * STEPS_IN_UNIT)
    elif route.op == TRAVEL:
        x = record.number[route.k] * 3.6
        y = max(record.number[route.i], SLOWEST_KMH)
        value[0] = <int64_t>rint(x / y * STEPS_IN_UNIT)
        y = max(record.number[route.j], SLOWEST_KMH)
        weight[0] = <int64_t>rint(x / y * STEPS_IN_UNIT)
    elif route.op == HIT:
        x = <double>late_ms / 1000 if route.i < 0 else record.number[route.i]
        weight[0] = route.least <= x <= route.most
        value[0] = weight[0] and route.low <= x <= route.high
    else:
        value[0] = <int64_t>rint(<double>late_ms / 1000 * STEPS_IN_UNIT)
    return True
