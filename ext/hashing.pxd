# cython: language_level=3
"""128-bit hashes of bytes: two lanes of multiply and fold.  Not against somebody who knows them."""
from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #ifndef CV_HASHING
    #define CV_HASHING
    #include <stdint.h>
    #include <string.h>
    #define CV_P0 0xa0761d6478bd642fULL
    #define CV_P1 0xe7037ed1a0b428dbULL
    #define CV_P2 0x8ebc6af09c88c6e3ULL
    #define CV_P3 0x589965cc75374cc3ULL
    typedef struct { uint64_t a, b; } cv_hash;
    static inline uint64_t cv_word(const char *p) { uint64_t w; memcpy(&w, p, 8); return w; }
    static inline uint64_t cv_half(const char *p) { uint32_t w; memcpy(&w, p, 4); return w; }
    static inline uint64_t cv_mix(uint64_t a, uint64_t b) {
        unsigned __int128 m = (unsigned __int128)a * b;
        return (uint64_t)m ^ (uint64_t)(m >> 64);
    }
    static inline cv_hash cv_hash_of(const char *p, Py_ssize_t n, uint64_t seed) {
        cv_hash h;
        uint64_t w = 0, v = 0;
        Py_ssize_t left = n;
        h.a = seed ^ CV_P0;
        h.b = seed ^ CV_P1 ^ (uint64_t)n;
        while (left > 16) {
            w = cv_word(p);
            v = cv_word(p + 8);
            h.a = cv_mix(w ^ CV_P2, v ^ h.a);
            h.b = cv_mix(w ^ h.b, v ^ CV_P3);
            p += 16;
            left -= 16;
        }
        /* What is left overlaps itself: the size is mixed in, so it stays told apart. */
        if (left >= 8) {
            w = cv_word(p);
            v = cv_word(p + left - 8);
        } else if (left >= 4) {
            w = cv_half(p);
            v = cv_half(p + left - 4);
        } else if (left) {
            w = (uint8_t)p[0] | (uint64_t)(uint8_t)p[left >> 1] << 8;
            v = (uint8_t)p[left - 1];
        }
        h.a = cv_mix(w ^ CV_P2, v ^ h.a);
        h.b = cv_mix(w ^ h.b, v ^ CV_P3);
        h.a = cv_mix(h.a ^ CV_P0, (uint64_t)n ^ CV_P1);
        h.b = cv_mix(h.b ^ CV_P3, (uint64_t)n ^ CV_P2);
        return h;
    }
    static inline cv_hash cv_joined(cv_hash h, uint64_t x, uint64_t y) {
        cv_hash j;
        j.a = cv_mix(h.a ^ x ^ CV_P1, y ^ CV_P2 ^ h.b);
        j.b = cv_mix(h.b ^ y ^ CV_P0, x ^ CV_P3 ^ h.a);
        j.a = cv_mix(j.a ^ h.b, j.b ^ CV_P0);
        j.b = cv_mix(j.b ^ h.a, j.a ^ CV_P1);
        return j;
    }
    #endif
    """
    ctypedef struct Hash "cv_hash":
        uint64_t a, b
    Hash hash_of "cv_hash_of"(const char* p, Py_ssize_t n, uint64_t seed) nogil
    Hash joined "cv_joined"(Hash h, uint64_t x, uint64_t y) nogil


cdef inline Hash with_id(Hash sender, const char* id, Py_ssize_t n) noexcept nogil:
    """The identity of an event that has an id of its own."""
    cdef Hash own = hash_of(id, n, 1)
    return joined(joined(sender, own.a, own.b), <uint64_t>n, 0xF1)
