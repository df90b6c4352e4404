"""What a sign says of one key and window, before it becomes a result."""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

from agents.levels import Scale
from schemas.places import LEVELS as PLACE_LEVELS
from schemas.places import at_level
from schemas.vital import Reason

KeyName = tuple[str, str]
"""``(key level, key)``."""

WARMING: Reason = "warming"
UNCOVERED: Reason = "uncovered"
UNDEFINED: Reason = "undefined"
INCOMPLETE: Reason = "incomplete"
NO_LIMIT: Reason = "no_limit"


class Entry(NamedTuple):
    """A value with its coverage, or None with the reason (rule R8).

    ``n`` counts rows; ``coverage`` is the share of time, samples or children that was seen.
    """

    level: str
    key: str
    place: str
    value: float | None
    n: int
    coverage: float
    reason: Reason | None
    severity: int | None = None
    detail: dict[str, Any] | None = None
    model: dict[str, Any] | None = None
    """What the sign's model says of the value: basis, score, expected, band."""

    @property
    def name(self) -> KeyName:
        return (self.level, self.key)


def judged(entry: Entry, scale: Scale | None) -> Entry:
    """The entry with its memoryless level; null where the value is null or no limit is set."""
    value = entry.value
    if value is None:
        return entry
    if not isfinite(value):
        return entry._replace(value=None, reason=UNDEFINED, detail=None)
    return entry if scale is None else entry._replace(severity=scale.level(value))


@lru_cache(maxsize=1 << 17)
def places_above(level: str, place: str, levels: tuple[str, ...]) -> tuple[KeyName, ...]:
    """The places of these levels that hold a place and are coarser than its key's own level."""
    own = PLACE_LEVELS.index(level) if level in PLACE_LEVELS else len(PLACE_LEVELS)
    wanted = [x for x in levels if x in PLACE_LEVELS and PLACE_LEVELS.index(x) < own]
    found = ((x, at_level(place, x)) for x in wanted)
    return tuple((x, above) for x, above in found if above is not None)


def missing_reason(children: list[Entry]) -> Reason:
    """Why a roll-up has no value: all its children warm up, or some simply say nothing."""
    return WARMING if all(c.reason == WARMING for c in children) else UNCOVERED
