# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The hash by which Kafka's clients deal records out to partitions."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t

cdef uint32_t M = 0x5BD1E995
cdef uint32_t SEED = 0x9747B28C


def murmur2(bytes key not None):
    """MurmurHash2 of a key, unsigned 32 bits.

    Source: Austin Appleby's public domain MurmurHash2, with the seed of Kafka's clients.

    Examples
    --------
    >>> murmur2(b"21") - 2**32
    -973932308
    """
    cdef const unsigned char* p = <const unsigned char*>PyBytes_AS_STRING(key)
    cdef uint32_t left = <uint32_t>PyBytes_GET_SIZE(key)
    cdef uint32_t k, h = SEED ^ left
    while left >= 4:
        k = p[0] | <uint32_t>p[1] << 8 | <uint32_t>p[2] << 16 | <uint32_t>p[3] << 24
        k *= M
        k ^= k >> 24
        k *= M
        h = h * M ^ k
        p += 4
        left -= 4
    if left >= 3:
        h ^= <uint32_t>p[2] << 16
    if left >= 2:
        h ^= <uint32_t>p[1] << 8
    if left:
        h = (h ^ p[0]) * M
    h ^= h >> 13
    h *= M
    return h ^ h >> 15
