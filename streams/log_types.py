"""What the embedded log gives back, and what it raises."""

from __future__ import annotations

from typing import NamedTuple

from streams.chunk_codec import Headers

NEVER = -1
"""Retention of topics whose records are kept for good."""


class InUse(RuntimeError):  # noqa: N818
    """Another process owns the log."""


class UnknownTopic(LookupError):  # noqa: N818
    """A topic that was never created."""


class Topic(NamedTuple):
    """A topic as it was created; `retain_ms` None means the log's own retention."""

    name: str
    partitions: int
    compacted: bool
    retain_ms: int | None


class Record(NamedTuple):
    """One record with its own headers."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: Headers


class Latest(NamedTuple):
    """The newest record of a key of a compacted topic."""

    key: bytes
    value: bytes
    headers: Headers
    offset: int
