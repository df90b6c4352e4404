# cython: language_level=3, cdivision=True
"""Plain JSON, by pointers into bytes that end in a NUL: what is odd gives NULL."""
from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    static const double CV_POWERS[23] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    #include <stdint.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    /* The first quote, backslash or control character from p on.  Loads are aligned: none of them
       reaches into a page that the bytes are not in. */
    static inline const char *cv_stop(const char *p) {
        const char *at = (const char *)((uintptr_t)p & ~(uintptr_t)15);
        unsigned mask, shift = (unsigned)(p - at);
        for (;;) {
            __m128i x = _mm_load_si128((const __m128i *)at);
            __m128i quote = _mm_cmpeq_epi8(x, _mm_set1_epi8('"'));
            __m128i slash = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x5C));
            __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1F)), x);
            mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), control));
            mask = mask >> shift << shift;
            if (mask) return at + __builtin_ctz(mask);
            at += 16;
            shift = 0;
        }
    }
    #else
    static inline const char *cv_stop(const char *p) {
        while ((unsigned char)*p >= 0x20 && *p != '"' && *p != 0x5C) p++;
        return p;
    }
    #endif
    """
    const double* POWERS "CV_POWERS"
    const char* stop "cv_stop"(const char* p) nogil


cdef inline const char* blank(const char* p) noexcept nogil:
    while p[0] == c' ' or p[0] == c'\n' or p[0] == c'\t' or p[0] == c'\r':
        p += 1
    return p


cdef inline const char* text_end(const char* p) noexcept nogil:
    """The closing quote of a string that begins at ``p``; NULL if it is not plain."""
    p = stop(p)
    return p if p[0] == c'"' else NULL


cdef inline const char* escaped_end(const char* p) noexcept nogil:
    """The closing quote of a string that begins at ``p``, escapes or not; NULL without one."""
    p = stop(p)
    while p[0] == c'\\' and <unsigned char>p[1] >= 0x20:
        p = stop(p + 2)
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
