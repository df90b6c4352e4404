"""The watermark of one lane: how far event time has come, record by record."""

from __future__ import annotations

from streams.timeline import BEFORE_ALL


class Watermark:
    """Largest event time seen minus the topic's disorder; it never goes back.

    Parameters
    ----------
    disorder_ms
        How far records of the lane may be out of order, int64 ms.
    skew_ms
        How far an event may be ahead of its record's log timestamp and still move the watermark:
        one device with a wrong clock must not make all others late.

    Examples
    --------
    >>> watermark = Watermark(disorder_ms=5, skew_ms=60)
    >>> watermark.observe(100, logged=100), watermark.observe(90, logged=101)
    (95, 95)
    >>> watermark.observe(5000, logged=102)
    95
    """

    __slots__ = ("disorder_ms", "skew_ms", "value")

    def __init__(self, disorder_ms: int, skew_ms: int) -> None:
        self.disorder_ms, self.skew_ms = disorder_ms, skew_ms
        self.value = BEFORE_ALL

    def observe(self, t: int, logged: int) -> int:
        """Move on to an event at ``t`` whose record is stamped ``logged``; both int64 ms."""
        if t - self.disorder_ms > self.value and t <= logged + self.skew_ms:
            self.value = t - self.disorder_ms
        return self.value

    def tick(self, t: int) -> int:
        """Move on to a written statement of time ``t``, int64 ms."""
        self.value = max(self.value, t - self.disorder_ms)
        return self.value
