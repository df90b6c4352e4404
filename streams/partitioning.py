"""In which partition a record stands, by its key."""

from __future__ import annotations

from ext.murmur import murmur2


def partition_of(key: bytes | None, partitions: int) -> int:
    """Partition of a key as Kafka's default partitioner places it (murmur2).

    A record without a key goes to partition 0, so that a replay places it alike each time.

    Examples
    --------
    >>> partition_of(b"aq-0007", 4), partition_of(None, 4)
    (3, 0)
    """
    return 0 if key is None else (murmur2(key) & 0x7FFF_FFFF) % partitions
