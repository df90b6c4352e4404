"""The storm of 23 March 2024 in New York, as the engine sees it in half a year of public records.

``python -m tests.oracle.storm`` with ``CITYVITALS_TEST_DATA`` set.  The shipped thresholds judge
hourly rain and complaints of floods; what they say of the storm, and what they say without rain,
is printed with the definitions that it is counted by.  A minute or two.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from heapq import merge
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from agents.caller_keys import key_of
from agents.outputs import ALERT_LOG
from agents.pipeline import Pipeline
from agents.plan import compile_plan
from schemas.configuration import Configuration, Topic
from streams.records import Chunk, Output
from tests.oracle import nyc
from tests.oracle.elsewhere import in_city
from tests.oracle.logs import Record, read_records, topics_in

HOUR_MS = 3_600_000
FIRST, LAST = "2024-01-01", "2024-06-30"
STORM_DAY = "2024-03-23"
DRY_HOURS = 6
"""A storm ends with the last rainy hour before so many dry ones; any rain at all makes an hour
rainy."""
TENTH = 10
HEAVY_MM, SOAKED_MM = 2.5, 10.0
"""Rain that may lie behind complaints: so much in an hour, or in 24 hours."""

SIGNS = ("meteo.rain", "hotline.topic_", "hotline.inflow")
RAIN_RULES = ("meteo.rain_1h", "meteo.rain_12h", "meteo.rain_24h")
BURST = "hotline.topic_burst"


class Storm(NamedTuple):
    """Rainy hours, as ``(time of the reading, mm)``; int64 ms."""

    hours: list[tuple[int, float]]

    @property
    def begin(self) -> int:
        return self.hours[0][0]

    @property
    def end(self) -> int:
        return self.hours[-1][0]


class Raised(NamedTuple):
    """An alert when it was raised, at the end of a window, int64 ms."""

    rule: str
    kind: str
    key: str
    t: int
    level: int
    value: float
    expected: float | None

    @property
    def name(self) -> str:
        return f"{self.rule} ({self.kind})"


def storms(rain: Iterable[tuple[int, float]]) -> Iterator[Storm]:
    """Storms of hourly rain."""
    hours: list[tuple[int, float]] = []
    for t, mm in rain:
        if mm <= 0:
            continue
        if hours and t - hours[-1][0] > DRY_HOURS * HOUR_MS:
            yield Storm(hours)
            hours = []
        hours.append((t, mm))
    if hours:
        yield Storm(hours)


def storm_of(data: Path, day: str) -> Storm:
    """The storm with most rain of those that rained on a local day."""
    on_day = (s for s in storms(nyc.rain(data)) if any(local(t)[:10] == day for t, _ in s.hours))
    return max(on_day, key=lambda storm: sum(mm for _, mm in storm.hours))


def alerts(data: Path, first: str, last: str) -> list[Raised]:
    """What the engine raised in some days, both included, in the order of time."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        nyc.write_flood(data, folder, first, last)
        configuration = in_city(nyc.CITY, nyc.ZONE, folder, signs=SIGNS, partitions={"sensor": 1})
        return raised(_alert_log(configuration, folder))


def raised(transitions: Iterable[dict[str, Any]]) -> list[Raised]:
    """Alerts as they were raised, in the order of time."""
    names = ("rule", "kind", "key", "t_raised", "level", "value")
    found = [
        Raised(*(one[name] for name in names), one["why"]["expected"])
        for one in transitions
        if one["transition"] == "raised"
    ]
    return sorted(found, key=lambda one: (one.t, one.rule, one.key))


def printed(path: Path) -> Iterator[dict[str, Any]]:
    """Transitions of alerts among what a replay has printed."""
    with path.open("rb") as lines:
        for line in lines:
            if line.startswith(b'{"alert_id"'):
                yield msgspec.json.decode(line)


def _alert_log(configuration: Configuration, folder: Path) -> Iterator[dict[str, Any]]:
    """Every transition; record by record, for months of results do not fit in memory at once."""
    pipeline = Pipeline(compile_plan(configuration, key_of(configuration)))
    for chunk in _chunks(configuration, folder):
        yield from _transitions(pipeline.step(chunk))
    yield from _transitions(pipeline.end())
    total = pipeline.total()
    assert (total.remainder, total.rejected) == (0, 0)


def _chunks(configuration: Configuration, folder: Path) -> Iterator[Chunk]:
    logs = [_records(topic, path) for topic, path in topics_in(configuration, folder)]
    for logged, name, r in merge(*logs, key=lambda one: one[:2]):
        yield Chunk(name, r.partition, [r.offset], [logged], [r.key], [r.value])


def _records(topic: Topic, path: Path) -> Iterator[tuple[int, str, Record]]:
    for record in read_records(topic, path):
        yield record.logged, topic.name, record


def _transitions(outputs: list[Output]) -> Iterator[dict[str, Any]]:
    return (msgspec.json.decode(o.value) for o in outputs if o.topic == ALERT_LOG)


def in_storm(found: Iterable[Raised], storm: Storm) -> list[Raised]:
    """Alerts from the storm's first reading to the end of its last dry hours."""
    last = storm.end + DRY_HOURS * HOUR_MS
    return [one for one in found if storm.begin <= one.t <= last]


def first_of(found: Iterable[Raised]) -> dict[str, Raised]:
    """The first alert of each rule."""
    first: dict[str, Raised] = {}
    for one in found:
        first.setdefault(one.name, one)
    return first


def tenth(times: Iterable[int], begin: int) -> int:
    """The tenth time from the beginning of a storm on."""
    return sorted(t for t in times if t >= begin)[TENTH - 1]


def rain_before(rain: Iterable[tuple[int, float]], t: int) -> tuple[float, float]:
    """The heaviest hour of the 24 h before a time, and their sum, mm."""
    hours = [mm for at, mm in rain if t - 24 * HOUR_MS <= at < t]
    return max(hours, default=0.0), sum(hours)


def local(t: int) -> str:
    """A time of the city."""
    return datetime.fromtimestamp(t / 1000, ZoneInfo(nyc.ZONE)).strftime("%Y-%m-%d %H:%M")


def _say_storm(data: Path, found: list[Raised]) -> None:
    storm = storm_of(data, STORM_DAY)
    total, most = sum(mm for _, mm in storm.hours), max(mm for _, mm in storm.hours)
    told = [t for t in nyc.complaints(data) if storm.begin <= t <= storm.end]
    print(f"storm {local(storm.begin)} to {local(storm.end)}, the last rainy hour before", end=" ")
    print(f"{DRY_HOURS} dry ones: {len(storm.hours)} rainy hours, {total:.1f} mm,", end=" ")
    print(f"{most:.1f} mm in the wettest; {len(told)} complaints of floods")
    causes = {
        "meteo": ("rainy hour's reading", storm.hours[TENTH - 1][0]),
        "hotline": ("complaint of a flood", tenth(nyc.complaints(data), storm.begin)),
    }
    for what, t in causes.values():
        print(f"  tenth {what}: {local(t)}")
    for name, one in first_of(in_storm(found, storm)).items():
        what, t = causes[name.partition(".")[0]]
        print(
            f"  {name} {one.key}: level {one.level}, value {one.value:g}, raised {local(one.t)}, "
            f"{(one.t - t) / 60_000:+.0f} min after the tenth {what}"
        )


def _say_false(data: Path, found: list[Raised]) -> None:
    rain = list(nyc.rain(data))
    bursts = [one for one in found if one.rule == BURST and one.kind == "threshold"]
    print(f"burst alerts from {FIRST} to {LAST}: {len(bursts)}")
    light = [(one, *rain_before(rain, one.t)) for one in bursts]
    no_heavy = [row for row in light if row[1] < HEAVY_MM]
    no_soak = [row for row in light if row[2] < SOAKED_MM]
    both = [row for row in no_heavy if row in no_soak]
    happenings = len({one.t // HOUR_MS for one, *_ in both})
    print(f"  without an hour of {HEAVY_MM} mm in the 24 h before: {len(no_heavy)}")
    print(f"  without {SOAKED_MM:g} mm in the 24 h before: {len(no_soak)}")
    print(f"  without either: {len(both)}, at {happenings} hours")
    for one, hour, day in (row for row in light if row in no_heavy or row in no_soak):
        print(
            f"    {local(one.t)} {one.key}: {one.value:g} times the expected, level {one.level}; "
            f"before it {hour:.1f} mm in the wettest hour, {day:.1f} mm in 24 h"
        )


def _say_anomalies(found: list[Raised]) -> None:
    odd = [one for one in found if one.kind == "anomaly"]
    print(f"anomaly alerts: {len(odd)}")
    for rule in sorted({one.rule for one in odd}):
        days = [local(one.t)[:10] for one in odd if one.rule == rule]
        most = max(set(days), key=lambda day: (days.count(day), day))
        print(f"  {rule}: {len(days)} on {len(set(days))} days, most on {most}: {days.count(most)}")


def main() -> None:
    data = Path(os.environ["CITYVITALS_TEST_DATA"])
    found = alerts(data, FIRST, LAST)
    _say_storm(data, found)
    _say_false(data, found)
    _say_anomalies(found)


if __name__ == "__main__":
    main()
