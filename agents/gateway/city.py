"""What the city last said: newest results, alerts, accounting.  Pure: no clock, no I/O."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import orjson

MOST_ALERTS = 20_000
"""Alerts that are kept in memory: all that stand, and the newest of the others."""
MOST_TRANSITIONS = 20_000
"""Transitions from which streams go on without a look into the log."""


class Said(NamedTuple):
    """The newest result of a key, as it stands in its topic."""

    sign: str
    key_level: str
    key: str
    place: str
    t_end: int
    rev: int
    version: int
    """Grows with each change of anything."""
    raw: bytes


class _Result(msgspec.Struct):
    """What is read of a result; it is passed on as it stands."""

    vital: str
    key_level: str
    key: str
    place: str | None
    t_end: int
    live: bool
    rev: int = 0


_result = msgspec.json.Decoder(_Result).decode


class Moved(NamedTuple):
    """One transition of an alert, by its place in the log."""

    number: int
    rule: str
    key_level: str
    key: str
    place: str
    raw: bytes


@dataclass(frozen=True)
class Choice:
    """Which results and alerts somebody wants; empty means any.

    Parameters
    ----------
    domains, signs, key_levels
        One of these.
    under
        Beginning of the place code.
    """

    domains: frozenset[str] = frozenset()
    signs: frozenset[str] = frozenset()
    key_levels: frozenset[str] = frozenset()
    under: str = ""

    def takes(self, one: Said | Moved, domain: str) -> bool:
        """Whether it is wanted; ``domain`` is that of its sign or incident."""
        name = one.sign if isinstance(one, Said) else one.rule
        return (
            (not self.domains or domain in self.domains)
            and (not self.signs or name in self.signs)
            and (not self.key_levels or one.key_level in self.key_levels)
            and one.place.startswith(self.under)
        )


@dataclass
class LiveCity:
    """The state that the gateway shows.

    Parameters
    ----------
    domains
        Of each sign and incident.
    """

    domains: Mapping[str, str]
    version: int = 0
    as_of: int | None = None
    """End of the newest window, int64 ms UTC."""
    results: dict[bytes, Said] = field(default_factory=dict)
    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    lanes: dict[str, dict[str, Any]] = field(default_factory=dict)
    moved: deque[Moved] = field(default_factory=lambda: deque(maxlen=MOST_TRANSITIONS))
    refused: int = 0
    """Records that were none of an engine of this build."""
    next_number: int = 0
    """Place of the next transition in the log of alerts."""
    newest: int = 0
    """Version of the newest result: as long as it stands, no result changed."""
    _order: list[bytes] = field(default_factory=list)
    """Keys of results in order; they are put in order anew when there is another."""

    def domain_of(self, one: Said | Moved) -> str:
        """That of its sign or incident; of what no catalogue knows, the word before the dot."""
        name = one.sign if isinstance(one, Said) else one.rule
        return self.domains.get(name, name.partition(".")[0])

    def take_results(self, records: Iterable[tuple[bytes, bytes]]) -> list[Said]:
        """Take in keys and values of newest results; what changed.

        Of a key the greatest ``(t_end, rev)`` counts: a worker that starts again sends what it may
        have sent.
        """
        changed: dict[bytes, Said] = {}
        for key, raw in records:
            known = self.results.get(key)
            if known is not None and known.raw == raw:
                continue
            result = self._read(raw)
            if result is None:
                continue
            if known is None or (known.t_end, known.rev) <= (result.t_end, result.rev):
                self.results[key] = changed[key] = self._said(result, raw)
        return list(changed.values())

    def _read(self, raw: bytes) -> _Result | None:
        try:
            return _result(raw)
        except msgspec.DecodeError:
            # Of another build, or of somebody who is no engine.
            self.refused += 1
            return None

    def _said(self, result: _Result, raw: bytes) -> Said:
        self.version += 1
        self.newest = self.version
        t_end = result.t_end
        if not result.live and (self.as_of is None or t_end > self.as_of):
            self.as_of = t_end
        where = result.vital, result.key_level, result.key, result.place or ""
        return Said(*where, t_end, result.rev, self.version, raw)

    def take_alerts(self, raws: Iterable[bytes]) -> None:
        """Take in alerts as they stand."""
        for raw in raws:
            try:
                self._take_alert(raw)
            except (ValueError, LookupError, TypeError):
                self.refused += 1

    def take_transitions(self, records: Iterable[tuple[int, bytes]]) -> list[Moved]:
        """Take in transitions by their places in the log."""
        found = []
        for number, raw in records:
            if number < self.next_number:
                continue
            self.next_number = number + 1
            try:
                moved = self._moved(number, raw)
            except (ValueError, LookupError, TypeError):
                self.refused += 1
                continue
            self.moved.append(moved)
            found.append(moved)
        return found

    def _moved(self, number: int, raw: bytes) -> Moved:
        alert = self._take_alert(raw)
        return moved_of(number, raw, alert)

    def _take_alert(self, raw: bytes) -> dict[str, Any]:
        alert: dict[str, Any] = orjson.loads(raw)
        self.version += 1
        self.alerts.pop(alert["alert_id"], None)
        self.alerts[alert["alert_id"]] = alert
        if len(self.alerts) > MOST_ALERTS:
            over = (id for id, one in self.alerts.items() if one["state"] == "cleared")
            del self.alerts[next(over, next(iter(self.alerts)))]
        return alert

    def take_accounting(self, raws: Iterable[bytes]) -> None:
        """Take in the accounting of lanes."""
        for raw in raws:
            try:
                lane = orjson.loads(raw)
                self.lanes[f"{lane['topic']}/{lane['partition']}"] = lane
            except (ValueError, LookupError, TypeError):
                self.refused += 1
                continue
            self.version += 1

    def chosen(self, choice: Choice) -> Iterator[Said]:
        """The newest results that are wanted, by key."""
        if len(self._order) != len(self.results):
            self._order = sorted(self.results)
        for key in self._order:
            said = self.results[key]
            if choice.takes(said, self.domain_of(said)):
                yield said

    def total(self) -> dict[str, int]:
        """Accounting over all lanes."""
        bins = ("read", "rejected", "duplicate", "late", "filtered", "accepted", "accepted_late")
        total: Counter[str] = Counter()
        for lane in self.lanes.values():
            total.update({name: lane[name] for name in (*bins, "remainder")})
        return {name: total[name] for name in (*bins, "remainder")}

    def watermark(self) -> int | None:
        """How far the slowest lane that ever spoke has come, int64 ms UTC."""
        marks = [lane["watermark"] for lane in self.lanes.values()]
        return min((mark for mark in marks if mark is not None), default=None)


def moved_of(number: int, raw: bytes, alert: Mapping[str, Any]) -> Moved:
    """A transition of the log."""
    return Moved(number, alert["rule"], alert["key_level"], alert["key"], alert["place"] or "", raw)


def rank(alert: Mapping[str, Any], now: int) -> tuple[bool, bool, int, bool, int]:
    """The worst first, of those the newest, and those that clear after them; what is over,
    suppressed or shelved comes last.
    """
    aside = alert["suppressed_by"] is not None or (alert["shelved_until"] or 0) > now
    state, level = alert["state"], -alert["level"]
    return state == "cleared", aside, level, state == "clearing", -alert["t_raised"]
