"""When windows end, and which of them a replay closes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import duckdb

from schemas.configuration import Configuration
from schemas.incidents import Incident
from schemas.signs import DerivedSign, LiveSign, Sign, Window
from schemas.words import TOPIC_OF
from tests.oracle.signs import inputs_of, lateness_of, streams_of

_DAY = timedelta(days=1)


class Closing(NamedTuple):
    """How far the lanes of a sign come; int64 ms, None where they say nothing.

    Parameters
    ----------
    reached
        By their records, the lane that comes farthest: up to here every window is closed.
    mark
        By the tick that ends the replay: so far the windows that hold data are closed.
    """

    reached: int | None
    mark: int | None


def make_closing(database: duckdb.DuckDBPyConnection, configuration: Configuration) -> None:
    """Fill the table ``closing`` with what `Closing` says, by topic.

    A replay ends with a tick in every lane: of each sign of the lane's topic it closes the last
    window that could hold the newest event of all lanes, and takes corrections of it; so it does of
    signs whose alerts wait for incidents that read the topic, and incidents are judged once more.
    Of derived signs it takes corrections up to that event, of those of local days up to the day's
    end.
    """
    database.execute(
        "CREATE TABLE closing (topic VARCHAR, family VARCHAR, reached BIGINT, mark BIGINT)"
    )
    newest = "SELECT max(moved + d) FROM seen"
    (farthest,) = database.execute(newest).fetchone() or (None,)
    zone = ZoneInfo(configuration.city.time_zone)
    for topic in configuration.topics:
        name = topic.name
        said = database.execute("SELECT max(moved) FROM seen WHERE topic = ?", [name]).fetchone()
        mark = None
        if farthest is not None:
            lateness = round(topic.allowed_lateness_s * 1000)
            ends = [
                last_end_with(sign.window, zone, farthest) + lateness
                for sign in configuration.signs
                if topic.kind in _kinds_read(sign)
            ]
            ends += [
                _settled(sign, zone, farthest) + lateness_of(configuration, sign)
                for sign in configuration.signs
                if isinstance(sign, DerivedSign)
                and topic.kind in {TOPIC_OF[s] for s in streams_of(configuration, sign)}
            ]
            ends += _awaited(configuration, topic.kind, zone, farthest)
            mark = max(ends, default=farthest)
        database.execute(
            "INSERT INTO closing VALUES (?, ?, ?, ?)", [name, topic.kind, said and said[0], mark]
        )


def _settled(sign: DerivedSign, zone: ZoneInfo, farthest: int) -> int:
    return farthest if sign.window.calendar is None else last_end_with(sign.window, zone, farthest)


def _awaited(
    configuration: Configuration, kind: str, zone: ZoneInfo, farthest: int
) -> Iterator[int]:
    """How far a topic must come for incidents, and for alerts that wait for them."""
    read = {one.id: _kinds_of_incident(configuration, one) for one in configuration.incidents}
    waited: dict[str, set[str]] = {}
    for one in configuration.incidents:
        if kind in read[one.id]:
            yield farthest + round(one.every_s * 1000)
        for suppressed in one.suppresses:
            waited.setdefault(suppressed.sign, set()).update(read[one.id])
    for overlay in configuration.overlays:
        for change in overlay.changes:
            if overlay.incident is not None:
                waited.setdefault(change.sign, set()).update(read[overlay.incident])
    for name, kinds in waited.items():
        sign = configuration.sign[name]
        own = {TOPIC_OF[stream] for stream in streams_of(configuration, sign)}
        if kind in kinds | own:
            yield last_end_with(sign.window, zone, farthest) + lateness_of(configuration, sign)


def _kinds_of_incident(configuration: Configuration, incident: Incident) -> set[str]:
    incidents = {one.id: one for one in configuration.incidents}
    kinds: set[str] = set()
    for name in incident.inputs:
        if name in incidents:
            kinds |= _kinds_of_incident(configuration, incidents[name])
        else:
            kinds |= {TOPIC_OF[s] for s in streams_of(configuration, configuration.sign[name])}
    return kinds


def _kinds_read(sign: Sign) -> set[str]:
    """Kinds of the topics whose events a sign itself folds."""
    return set() if isinstance(sign, LiveSign) or inputs_of(sign) else {TOPIC_OF[sign.topic]}  # type: ignore[union-attr]


def closing_of(
    database: duckdb.DuckDBPyConnection, configuration: Configuration, sign: Sign
) -> Closing:
    """How far the lanes come that a sign waits for; the slowest of them decides the mark."""
    kinds = sorted({TOPIC_OF[stream] for stream in streams_of(configuration, sign)})
    wanted = ", ".join(f"'{kind}'" for kind in kinds)
    found = database.execute(
        f"SELECT max(reached), min(mark) FROM closing WHERE family IN ({wanted})"
    ).fetchone()
    return Closing(*(found or (None, None)))


def last_end_with(window: Window, zone: ZoneInfo, t: int) -> int:
    """End of the last window that holds a time, or of the next one where none does."""
    if window.calendar is None:
        size, hop = lengths(window)
        return t // hop * hop + size
    return min(end for _, end in calendar_windows(window.calendar, zone, t, t) if end > t)


def lengths(window: Window) -> tuple[int, int]:
    """Size and hop in ms."""
    assert window.size_s is not None
    assert window.hop_s is not None
    return round(window.size_s * 1000), round(window.hop_s * 1000)


def calendar_windows(unit: str, zone: ZoneInfo, first: int, last: int) -> list[tuple[int, int]]:
    """All windows ``(start, end)`` of a local calendar about a stretch of time, in int64 ms."""
    day = _local_day(first, zone) - 33 * _DAY
    days = [day + n * _DAY for n in range((_local_day(last, zone) - day).days + 67)]
    if unit == "daytime":
        return [(_at(d, 6, zone), _at(d, 22, zone)) for d in days]
    if unit == "night":
        return [(_at(d, 22, zone), _at(d + _DAY, 6, zone)) for d in days]
    if unit == "month":
        days = [d for d in days if d.day == 1]
    return list(pairwise(_at(d, 0, zone) for d in days))


def _local_day(t: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(t // 1000, UTC).astimezone(zone).date()


def _at(day: date, hour: int, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, time(hour), zone).timestamp()) * 1000


def values_of(rows: Iterator[tuple[int, int]] | list[tuple[int, int]]) -> str:
    """Pairs as a list for SQL."""
    return ", ".join(f"({a}, {b})" for a, b in rows)
