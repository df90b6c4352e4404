"""What a sign says of one key and window, before it becomes a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from agents.levels import level_of
from schemas.configuration import Levels
from schemas.places import LEVELS as PLACE_LEVELS
from schemas.places import at_level
from schemas.vital import Reason

KeyName = tuple[str, str]
"""``(key level, key)``."""

WARMING: Reason = "warming"
UNCOVERED: Reason = "uncovered"
UNDEFINED: Reason = "undefined"


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

    @property
    def name(self) -> KeyName:
        return (self.level, self.key)


def judged(entry: Entry, levels: Levels | None) -> Entry:
    """The entry with its memoryless level; null where the value is null or no limit is set."""
    if levels is None or entry.value is None:
        return entry
    return entry._replace(severity=level_of(entry.value, levels))


def parents_of(entry: Entry, levels: Sequence[str]) -> list[KeyName]:
    """The places of these levels that hold an entry's place and are coarser than its own key."""
    own = PLACE_LEVELS.index(entry.level) if entry.level in PLACE_LEVELS else len(PLACE_LEVELS)
    found = []
    for level in levels:
        if level in PLACE_LEVELS and PLACE_LEVELS.index(level) < own:
            place = at_level(entry.place, level)
            if place is not None:
                found.append((level, place))
    return found


def missing_reason(children: list[Entry]) -> Reason:
    """Why a roll-up has no value: all its children warm up, or some simply say nothing."""
    return WARMING if all(c.reason == WARMING for c in children) else UNCOVERED
