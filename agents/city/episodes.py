"""Planted episodes: what is wrong in the city, where, and from when to when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from agents.city.devices import SENSORS, Fleet, Table
from agents.city.districts import DISTRICTS, NEIGHBOURS, streets
from agents.city.draws import Floats, Ints, choose, mix, uniform, uniforms
from agents.city.rhythm import DAY, minute_of, time_of

_EPISODE = 0xE915
FLOOD_RISE, FLOOD_FALL = 35, 60
"""Minutes in which water on a road rises to its peak, and drains away."""

TOPICS = ("内涝积水", "夜间施工", "垃圾清运", "停水", "违规占道")


@dataclass(frozen=True, slots=True)
class Episode:
    """One planted episode, as the ground truth tells it.

    Attributes
    ----------
    kind
        storm, waterlogging, congestion, pollution, sensor_death, drift, stuck, complaint_burst.
    place
        Place code: a district (6 digits) or a street (9 digits).
    signal
        The metric, traffic sign or order category that shows it.
    start_ms, end_ms
        Its time [start, end), epoch milliseconds UTC.
    peak, unit
        Its strongest value: mm/h of rain, cm of water, lowest speed ratio, µg/m³ above the
        ordinary level, total drift, stuck value's age in minutes, minutes of silence, orders.
    devices
        The devices that show it, where they can be told. A plume also reaches the PM10 devices
        of the same stations; a storm also slows the district's traffic.
    """

    kind: str
    place: str
    signal: str
    start_ms: int
    end_ms: int
    peak: float
    unit: str
    devices: tuple[str, ...] = ()

    @property
    def start(self) -> int:
        """First city minute."""
        return minute_of(self.start_ms)

    @property
    def end(self) -> int:
        """City minute after the last one."""
        return minute_of(self.end_ms)


@dataclass(frozen=True, slots=True)
class Plan:
    """An episode with the fleet's rows it acts on, and how strongly on each (0 to 1)."""

    episode: Episode
    rows: Ints
    weight: Floats


class Almanac:
    """All episodes of a city, day by day; a day runs from 06:00 to 06:00 local time.

    An episode and its tail stay within their day, so a minute depends on one day alone.
    """

    def __init__(self, seed: int, fleet: Fleet) -> None:
        self._seed = seed
        self._fleet = fleet
        self.day = lru_cache(maxsize=64)(self._day)

    def active(self, k: int, kind: str) -> list[Plan]:
        """Episodes of a kind in force at city minute ``k``."""
        return [
            plan
            for plan in self.day(k // DAY)
            if plan.episode.kind == kind and plan.episode.start <= k < plan.episode.end
        ]

    def until(self, k: int) -> list[Episode]:
        """Episodes that begin before city minute ``k``, by their start."""
        found = [plan.episode for day in range((k - 1) // DAY + 1) for plan in self.day(day)]
        return sorted(
            (episode for episode in found if episode.start < k),
            key=lambda episode: (episode.start_ms, episode.kind, episode.place),
        )

    def _day(self, day: int) -> tuple[Plan, ...]:
        key = mix(self._seed, _EPISODE, day)
        make = _Maker(self._fleet, key, day * DAY)
        if day == 0:
            make.storm(20, 80, "440111", "440103")
            make.burst(40, "440111", "内涝积水")
            make.jam(60, 50, "440106")
        else:
            start = make.moment(0, DAY - 240)
            first = DISTRICTS[choose(key, len(DISTRICTS), 1)]
            near = NEIGHBOURS[first]
            make.storm(start, 60 + choose(key, 31, 2), first, near[choose(key, len(near), 3)])
            make.burst(start + 20, first, "内涝积水")
            make.jam(make.moment(0, DAY - 120), 40 + choose(key, 50, 4), make.district())
        quiet = 180 if day == 0 else 0
        make.jam(make.moment(quiet, DAY - 120), 40 + choose(key, 50, 5), make.district())
        make.plume(make.moment(quiet, DAY - 200), 120 + choose(key, 61, 6), make.district())
        make.burst(make.moment(quiet, DAY - 60), make.district(), TOPICS[1 + choose(key, 4, 7)])
        for kind, metrics in (
            ("sensor_death", SENSORS),
            ("sensor_death", ("rain", "water_depth", "laeq")),
            ("drift", ("pm25", "air_temperature")),
            ("stuck", ("laeq",)),
            ("stuck", ("air_temperature", "pm25")),
        ):
            make.fault(kind, make.moment(quiet, DAY - 400), metrics)
        return tuple(make.plans)


class _Maker:
    """Plans one day; ``origin`` is the day's first city minute."""

    def __init__(self, fleet: Fleet, key: int, origin: int) -> None:
        self.plans: list[Plan] = []
        self._fleet = fleet
        self._key = key
        self._origin = origin
        self._draws = 0

    def moment(self, low: int, high: int) -> int:
        """Draw a minute of the day."""
        return low + self._choose(high - low)

    def district(self) -> str:
        return DISTRICTS[self._choose(len(DISTRICTS))]

    def storm(self, start: int, length: int, *places: str) -> None:
        for number, place in enumerate(places):
            strength = 0.75 if number else 1.0
            self._district(
                "storm",
                place,
                "rain",
                (start, start + length),
                round(strength * (48 + 22 * self._uniform()), 1),
                "mm/h",
                lambda table, rows: 0.75 + 0.25 * self._each(rows),
            )
            self._district(
                "waterlogging",
                place,
                "water_depth",
                (start + 10, start + length + 80),
                round(strength * (34 + 11 * self._uniform()), 1),
                "cm",
                lambda table, rows: self._flooded(table.site[rows - table.rows.start]),
            )

    def jam(self, start: int, length: int, place: str) -> None:
        self._district(
            "congestion",
            place,
            "segment_flow",
            (start, start + length),
            round(0.13 + 0.07 * self._uniform(), 3),
            "1",
            lambda table, rows: 0.85 + 0.15 * self._each(rows),
        )

    def plume(self, start: int, length: int, place: str) -> None:
        self._district(
            "pollution",
            place,
            "pm25",
            (start, start + length),
            round(130 + 90 * self._uniform(), 1),
            "ug/m3",
            lambda table, rows: 0.85 + 0.15 * self._each(rows),
        )

    def burst(self, start: int, district: str, topic: str) -> None:
        among = [street for street in streets() if street.code.startswith(district)]
        street = among[self._choose(len(among))]
        self._add(
            "complaint_burst",
            street.code,
            topic,
            (start, start + 15),
            float(15 + self._choose(26)),
            "order",
            np.zeros(0, np.int64),
            np.zeros(0),
        )

    def fault(self, kind: str, start: int, metrics: tuple[str, ...]) -> None:
        table = self._fleet.table(metrics[self._choose(len(metrics))])
        taken = {
            int(row)
            for plan in self.plans
            if plan.episode.kind in ("sensor_death", "drift", "stuck")
            for row in plan.rows
        }
        row = table.rows.start + self._choose(len(table))
        while row in taken:
            row = table.rows.start + (row + 1 - table.rows.start) % len(table)
        length = (240 if kind == "drift" else 90) + self._choose(121)
        peak, unit = float(length), "min"
        if kind == "drift":
            peak, unit = (9.0, "Cel") if table.name == "air_temperature" else (60.0, "ug/m3")
        place = DISTRICTS[int(table.district[row - table.rows.start])]
        span = (start, start + length)
        self._add(kind, place, table.name, span, peak, unit, np.array([row]), np.ones(1))

    def _district(
        self,
        kind: str,
        place: str,
        name: str,
        span: tuple[int, int],
        peak: float,
        unit: str,
        weigh: Callable[[Table, Ints], Floats],
    ) -> None:
        table = self._fleet.table(name)
        inside = np.nonzero(table.district == DISTRICTS.index(place))[0]
        rows = inside + table.rows.start
        weight = weigh(table, rows)
        hit = weight > 0
        self._add(kind, place, name, span, peak, unit, rows[hit], weight[hit])

    def _flooded(self, sites: Ints) -> Floats:
        """Half of the sites, at least one, stand under water; the gauges of one agree."""
        numbers = np.unique(sites)
        draw = uniforms(mix(self._key, self._next()), numbers, 2)
        flooded = numbers[np.argsort(draw[0])][: (len(numbers) + 1) // 2]
        weight = dict(zip(numbers.tolist(), (0.8 + 0.2 * draw[1]).tolist(), strict=True))
        weight[int(flooded[0])] = 1.0
        wet = set(flooded.tolist())
        return np.array([weight[site] if site in wet else 0.0 for site in sites.tolist()])

    def _add(
        self,
        kind: str,
        place: str,
        signal: str,
        span: tuple[int, int],
        peak: float,
        unit: str,
        rows: Ints,
        weight: Floats,
    ) -> None:
        start, end = (time_of(self._origin + minute) for minute in span)
        devices = tuple(self._fleet.id_of(int(row)) for row in rows)
        episode = Episode(kind, place, signal, start, end, peak, unit, devices)
        self.plans.append(Plan(episode, rows, weight))

    def _each(self, rows: Ints) -> Floats:
        draw: Floats = uniforms(mix(self._key, self._next()), rows, 1)[0]
        return draw

    def _next(self) -> int:
        self._draws += 1
        return self._draws

    def _choose(self, count: int) -> int:
        return choose(mix(self._key, self._next()), count)

    def _uniform(self) -> float:
        return uniform(mix(self._key, self._next()))
