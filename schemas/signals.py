"""Tables of warning signals: what an issuer's colours mean, and the days for which that holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from schemas.findings import Finding
from schemas.level_tables import Version, check_versions
from schemas.model import Model
from schemas.warning import Colour, EventName
from schemas.words import Name, TableId

SignalLevel: TypeAlias = Annotated[float, Field(ge=0, le=4)]
OTHER: Literal["other"] = "other"


class SignalVersion(Version):
    """The colours of one version."""

    levels: Annotated[
        dict[EventName, Annotated[dict[Colour, SignalLevel], Field(min_length=1)]],
        Field(min_length=1),
    ]
    """By event, the level of each colour there is: 1 blue, 2 yellow, 3 orange, 4 red. Events that
    are not named have those of `other`."""

    def of(self, event: EventName) -> Mapping[Colour, float]:
        """The levels of an event's colours."""
        return self.levels.get(event, self.levels.get(OTHER, {}))


class SignalTable(Model):
    """What the colours of some issuers mean."""

    id: TableId
    name: Name
    issuers: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64)]], Field(default_factory=list)
    ]
    """Of issuers in whose name one of these stands; without any, of all others."""
    versions: Annotated[list[SignalVersion], Field(min_length=1)]
    """The oldest first, each from the day after the one before it."""


def check_signals(tables: Mapping[int, SignalTable]) -> Iterator[Finding]:
    """What is wrong with tables of signals, by their place in the configuration."""
    rest: str | None = None
    for index, table in tables.items():
        found = list(check_versions(table.versions))
        if not table.issuers and rest is not None:
            found.append((("issuers",), f"'{rest}' is for all other issuers already: name some"))
        rest = rest if table.issuers else table.id
        yield from ((("signals", index, *path), message) for path, message in found)
