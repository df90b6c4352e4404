"""What the register says of a sign: which keys must speak, and the limits that belong to them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, NamedTuple

from agents.conditions import meets
from agents.entries import KeyName
from agents.readers import DEVICE, base_key
from schemas.devices import Device, Register
from schemas.places import LEVELS, at_level
from schemas.signs import Folded, Limit, WindowSign
from schemas.standards.noise import limit as noise_limit
from schemas.words import BY, split_level
from streams.cuts import Key
from streams.timeline import AFTER_ALL


def names_of(key: Key, keys: tuple[str, ...], rollup: str) -> tuple[tuple[KeyName, str], ...]:
    """The keys that a row counts for, each with its place: its own, and where states merge those
    above.

    Parameters
    ----------
    keys
        Key levels of the sign.
    rollup
        ``merge``, ``none``, or a function over the children's values.
    """
    level, name, place = key
    dimension, own = split_level(level)
    if rollup != "merge":
        return (((level, name), place),) if rollup != "none" or level in keys else ()
    found = [((level, name), place)] if level in keys and own not in LEVELS else []
    for wanted in keys:
        by, at = split_level(wanted)
        known = at_level(place, at) if at in LEVELS and by in (None, dimension) else None
        if known is not None:
            above = known if by is None else f"{name.rpartition(BY)[0]}{BY}{known}"
            found.append(((wanted, above), known))
    return tuple(found)


class Span(NamedTuple):
    """A stretch of event time, int64 ms, in which a device counts, and what holds in it."""

    since: int
    until: int
    device: str
    place: str
    limit: float | None
    site: str = ""


class ExpectedKey:
    """One key of the register: where it stands, and how many devices it has, at any time.

    Attributes
    ----------
    places
        All places at which it ever stands, each once.
    constant
        Whether all that is said of it holds at all times.
    """

    __slots__ = ("_limited", "_since", "_spans", "_until", "constant", "places")

    def __init__(self, spans: list[Span]) -> None:
        self._spans = sorted(spans, key=lambda span: span[:4])
        self.places = tuple(dict.fromkeys(span.place for span in self._spans))
        present = _presences(self._spans)
        self._since = sorted(since for since, _ in present)
        self._until = sorted(until for _, until in present)
        self._limited = any(span.limit is not None for span in spans)
        # Of a device that was moved the rows are not: the later one counts since then.
        self.constant = all(s.since <= 0 and s.until == AFTER_ALL for s in spans)

    @property
    def changes(self) -> set[int]:
        """The times, int64 ms, at which anything that is said of it may change."""
        return {t for span in self._spans for t in (span.since, span.until)}

    def devices(self, end: int) -> int:
        """How many of its devices count in windows that end at ``end``."""
        if self.constant:
            return len(self._since)
        return bisect_right(self._since, end - 1) - bisect_right(self._until, end - 1)

    def place(self, end: int) -> str:
        """Where it is; where it was last, if it is gone."""
        return self._newest(end).place

    def site(self, end: int) -> str:
        """The site where it is, or was last; empty where it is at none."""
        return self._newest(end).site

    def _newest(self, end: int) -> Span:
        here = [s for s in self._spans if s.since < end <= s.until] or self._spans
        return max(here, key=lambda s: (s.since, s.place))

    def since(self, end: int) -> int:
        """From when the oldest of its devices counts that count still."""
        if self.constant:
            return self._since[0]
        return min(s.since for s in self._spans if s.since < end <= s.until)

    def limit(self, end: int) -> float | None:
        """The limit that belongs to the key; the smallest where its devices have several."""
        if not self._limited:
            return None
        found = [s.limit for s in self._spans if s.limit is not None and s.since < end <= s.until]
        return min(found, default=None)


def _presences(spans: list[Span]) -> list[tuple[int, int]]:
    """From when to when each device counts: one that reports several things counts once.

    Parameters
    ----------
    spans
        In the order of their times.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for since, until, device, *_ in spans:
        known = found.setdefault(device, [])
        if known and since <= known[-1][1]:
            since, last = known.pop()
            until = max(until, last)
        known.append((since, until))
    return [presence for known in found.values() for presence in known]


Expected = Mapping[KeyName, ExpectedKey]


def expect(sign: Folded, dimension: str | None, register: Register) -> Expected:
    """The keys of a sign that the register tells, base keys and those above them."""
    if sign.topic not in ("sensor", "traffic", "arrivals"):
        return {}
    topic = "sensor" if sign.topic == "arrivals" else sign.topic
    online = sign.aggregate.function == "online"
    limit = _limit_of(sign.limit) if isinstance(sign, WindowSign) and sign.limit else None
    spans: dict[KeyName, list[Span]] = {}
    for device in register.devices:
        if device.topic != topic or (online and device.period_s == 0):
            continue  # what speaks when something happens is not offline while nothing does
        told = told_of(device)
        try:
            if not meets(sign.match, told):
                continue
            key = base_key(sign.base, DEVICE[sign.topic], told, dimension)
        except AttributeError:
            return {}  # the sign asks for what no register tells
        until = AFTER_ALL if device.until is None else device.until
        own = None if limit is None else limit(device)
        for name, place in names_of(key, tuple(sign.keys), sign.rollup):
            span = Span(device.since, until, device.device, place, own, device.site)
            spans.setdefault(name, []).append(span)
    return {name: ExpectedKey(found) for name, found in spans.items()}


def told_of(device: Device) -> Any:
    """A row of the register under the names that events have for its columns."""
    told = {
        "platform": device.platform or None,
        "source": device.platform or None,
        "place": device.place,
        "site": device.site or None,
        "site_type": device.site_type or None,
        "medium": device.medium or None,
        "registered": True,
    }
    if device.topic == "sensor":
        return SimpleNamespace(device=device.device, metric=device.kind, **told)
    return SimpleNamespace(source_id=device.device, kind=device.kind, **told)


def _limit_of(limit: Limit) -> Callable[[Device], float | None]:
    if limit.name in ("limit", "well_depth_m"):
        return attrgetter(limit.name)
    by_day = limit.name == "noise_day_db"

    def of_zone(device: Device) -> float | None:
        zone: Any = device.noise_zone
        return float(noise_limit(zone, "day" if by_day else "night")) if zone else None

    return of_zone


class KnownDevices:
    """The sensors of the register by name, for records of which little else is legible."""

    def __init__(self, register: Register) -> None:
        self._rows: dict[str, list[Device]] = {}
        for device in register.devices:
            if device.topic == "sensor":
                self._rows.setdefault(device.device, []).append(device)

    def is_constant(self, device: str) -> bool:
        """Whether what is known of a device is the same at all times."""
        rows = self._rows.get(device, ())
        return all(row.since <= 0 and row.until is None for row in rows)

    def find(self, device: str, metric: str | None, t: int) -> Device | None:
        """The row that counts at a time, of the metric if there is one of it; int64 ms."""
        rows = self._rows.get(device)
        if rows is None:
            return None
        now = [r for r in rows if r.since <= t and (r.until is None or t < r.until)]
        same = [r for r in now if r.kind == metric]
        return (same or now or [None])[0]  # type: ignore[list-item]
