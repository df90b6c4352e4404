"""Where every event of a lane went: exactly one bin each (rule R4)."""

from __future__ import annotations

from dataclasses import dataclass, fields

BINS = ("rejected", "duplicate", "late", "filtered", "accepted")
"""The bins, in the order in which an event is checked."""


@dataclass(slots=True)
class Accounting:
    """Counts of one lane since its first offset.

    ``accepted_late`` is part of ``accepted``: events older than the watermark that still counted
    as corrections.

    Examples
    --------
    >>> Accounting(read=3, accepted=2, late=1).remainder
    0
    """

    read: int = 0
    rejected: int = 0
    duplicate: int = 0
    late: int = 0
    filtered: int = 0
    accepted: int = 0
    accepted_late: int = 0

    @property
    def remainder(self) -> int:
        """Events in no bin: always zero, or the engine lost or invented some."""
        binned = self.rejected + self.duplicate + self.late + self.filtered + self.accepted
        return self.read - binned

    def count(
        self,
        read: int,
        duplicate: int,
        late: int,
        filtered: int,
        accepted: int,
        accepted_late: int,
    ) -> None:
        """Add so many events; none of them was rejected."""
        self.add(Accounting(read, 0, duplicate, late, filtered, accepted, accepted_late))

    def add(self, other: Accounting) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def as_dict(self) -> dict[str, int]:
        counts = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**counts, "remainder": self.remainder}

    def dump(self) -> list[int]:
        return [getattr(self, field.name) for field in fields(self)]
