"""Stories: what drives one sign or incident, moved to a time and a place of its own.

The tests of the rules drive each sign and each incident alone, in the morning of one day, at one
grid.  A story is such a drive moved by whole days to a district that no other story has at the
time, with names of its own for devices, sites, orders and callers, so that many fit into one log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from schemas.devices import Device
from schemas.places import LEVELS
from schemas.related import DIVIDER, Relation

DAY_MS = 86_400_000
CITY = "4401"
TIMES = ("t", "t_end", "t_ingest", "t_created", "due", "t_expires")
NAMES = (
    "caller",
    "caller_hash",
    "device",
    "event_id",
    "id",
    "order_id",
    "site",
    "source",
    "source_id",
    "warning_id",
)
"""Fields that say who or what; all of them are of the story."""

Event = tuple[int, str, dict[str, Any]]
"""Time in ms, kind of topic, fields."""


OTHER = "98"
"""District of a city, beside those that stories have for themselves."""


class Home(NamedTuple):
    """Where and when a story is told.

    Parameters
    ----------
    name
        What its devices, sites, orders and callers are named after.
    shift_ms
        How much later than it was written, whole days in ms.
    district
        Six digits, in place of those it was written with.
    written
        The district it was written with.
    own_topics
        Whether the classes of its orders are of the story as well: no other one calls about them.
    """

    name: str
    shift_ms: int
    district: str
    written: str
    own_topics: bool = False

    @property
    def city(self) -> str:
        return self.district[:4]

    def named(self, name: str) -> str:
        return f"{self.name}-{name}"

    def place(self, place: str) -> str:
        """The same place in the district of the story, or beside it; the city is that of both."""
        if place.startswith(self.written):
            return self.district + place[len(self.written) :]
        if place == CITY:
            return self.city
        # Of a second district: one that no story has for itself.
        return self.city + OTHER + place[len(self.written) :]

    def event(self, event: Event) -> Event:
        t, kind, said = event
        moved = dict(said)
        for field in TIMES:
            if field in moved:
                moved[field] += self.shift_ms
        for field in NAMES:
            if moved.get(field):
                moved[field] = self.named(moved[field])
        if self.own_topics and "category" in moved:
            moved["category"] = [self.named(topic) for topic in moved["category"]]
        moved["place"] = self.place(moved["place"])
        return t + self.shift_ms, kind, moved

    def events(self, events: Iterable[Event]) -> Iterator[Event]:
        return (self.event(event) for event in events)

    def device(self, row: Device, since: int, until: int) -> Device:
        """A row of the register that counts while the story is told, int64 ms UTC."""
        return row._replace(
            device=self.named(row.device),
            platform=self.named(row.platform),
            place=self.place(row.place),
            site=self.named(row.site) if row.site else "",
            since=since,
            until=until,
        )

    def relation(self, row: Relation, since: int, until: int) -> Relation:
        """A row of the table of relations that counts while the story is told, int64 ms UTC."""
        return row._replace(
            origin=self._node(row.origin), to=self._node(row.to), since=since, until=until
        )

    def _node(self, node: str) -> str:
        level, divided, key = node.partition(DIVIDER)
        moved = self.place(key) if level in LEVELS else self.named(key)
        return f"{level}{divided}{moved}" if divided else node


class Span(NamedTuple):
    """From when to when, int64 ms UTC, a story is told; around it its district is quiet."""

    begin: int
    end: int

    def meets(self, other: Span) -> bool:
        return self.begin < other.end and other.begin < self.end


class Districts:
    """Hands out districts: two stories have the same one only far apart in time.

    Parameters
    ----------
    numbers
        Codes that may be handed out.
    apart_ms
        How long a district is quiet between two stories.
    """

    def __init__(self, numbers: Iterable[str], apart_ms: int) -> None:
        self._taken: dict[str, list[Span]] = {number: [] for number in numbers}
        self._apart_ms = apart_ms

    def take(self, span: Span) -> str:
        """A district that is free at the time; one that was used before, where there is one.

        Raises
        ------
        ValueError
            None is free.
        """
        wide = Span(span.begin - self._apart_ms, span.end + self._apart_ms)
        for district, taken in sorted(self._taken.items(), key=lambda each: not each[1]):
            if not any(wide.meets(other) for other in taken):
                taken.append(span)
                return district
        raise ValueError("no district is free: spread the stories over more days")
