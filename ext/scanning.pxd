# cython: language_level=3, cdivision=True
"""Plain JSON, by pointers into bytes that end in a NUL: what is odd gives NULL."""
from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    static const double CV_POWERS[23] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    """
    const double* POWERS "CV_POWERS"


cdef inline const char* blank(const char* p) noexcept nogil:
    while p[0] == c' ' or p[0] == c'\n' or p[0] == c'\t' or p[0] == c'\r':
        p += 1
    return p


cdef inline const char* text_end(const char* p) noexcept nogil:
    """The closing quote of a string that begins at ``p``; NULL if it is not plain."""
    while <unsigned char>p[0] >= 0x20 and p[0] != c'"' and p[0] != c'\\':
        p += 1
    return p if p[0] == c'"' else NULL


cdef inline bint is_number_char(char c) noexcept nogil:
    return c'0' <= c <= c'9' or c == c'-' or c == c'+' or c == c'.' or c == c'e' or c == c'E'


cdef inline const char* literal_end(const char* p) noexcept nogil:
    """The end of a number, true, false or null; its bytes are compared and not read."""
    cdef const char* begin = p
    while is_number_char(p[0]) or c'a' <= p[0] <= c'z':
        p += 1
    return p if p != begin else NULL


cdef inline const char* number_end(const char* p, bint* is_whole, int64_t* whole,
                                   double* number) noexcept nogil:
    """Read a number exactly; NULL where that takes more than one rounding."""
    cdef bint negative = p[0] == c'-'
    cdef uint64_t digits = 0
    cdef int count = 0, scale = 0
    if negative:
        p += 1
    if not c'0' <= p[0] <= c'9':
        return NULL
    if p[0] == c'0' and c'0' <= p[1] <= c'9':
        return NULL
    while c'0' <= p[0] <= c'9':
        digits = digits * 10 + <uint64_t>(p[0] - c'0')
        count += 1
        p += 1
    is_whole[0] = p[0] != c'.'
    if p[0] == c'.':
        p += 1
        if not c'0' <= p[0] <= c'9':
            return NULL
        while c'0' <= p[0] <= c'9':
            digits = digits * 10 + <uint64_t>(p[0] - c'0')
            count += 1
            scale += 1
            p += 1
    if count > 18 or digits > (<uint64_t>1 << 53) or scale > 22 or p[0] == c'e' or p[0] == c'E':
        return NULL
    whole[0] = -<int64_t>digits if negative else <int64_t>digits
    number[0] = <double>digits / POWERS[scale]
    if negative:
        number[0] = -number[0]
    return p
