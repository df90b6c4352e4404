"""Plans one day of a city: which episodes, where, when and how strong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agents.city.devices import NOISE_ZONES, SENSORS, Fleet, Table
from agents.city.districts import DISTRICTS, NEIGHBOURS, streets
from agents.city.draws import Floats, Ints, choose, mix, uniform, uniforms
from agents.city.episodes import Episode, Plan
from agents.city.rhythm import DAY, time_of

TOPICS = ("内涝积水", "夜间施工", "垃圾清运", "停水", "违规占道")
"""Topics of bursts of complaints; the first one goes with a storm."""

FIRST_DEPTH = 10.0
"""First threshold of the water depth at a site in the shipped catalogue, cm."""

_EPISODE = 0xE915
_NIGHT = 960
"""Minute of a city day, which begins at 06:00, at which the night of GB 3096-2008 begins."""


def plan_day(seed: int, fleet: Fleet, day: int) -> tuple[Plan, ...]:
    """All episodes that are planned for a day; the first day opens with a storm at 06:20."""
    key = mix(seed, _EPISODE, day)
    make = Maker(fleet, key, day * DAY)
    if day == 0:
        make.storm(20, 80, "440111", "440103")
        make.burst(40, "440111", TOPICS[0])
        make.jam(60, 50, "440106")
    else:
        start = make.moment(0, DAY - 240)
        first = DISTRICTS[choose(key, len(DISTRICTS), 1)]
        near = NEIGHBOURS[first]
        make.storm(start, 60 + choose(key, 31, 2), first, near[choose(key, len(near), 3)])
        make.burst(start + 20, first, TOPICS[0])
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
    make.flapping(quiet, station=choose(key, 2, 8) == 1)
    # By day, when enough people call: from half past eight to half past six.
    make.surge(make.moment(max(quiet, 150), 750))
    make.detour(by_night=choose(key, 2, 9) == 1)
    return tuple(make.plans)


class Maker:
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
        taken = self._faulty()
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

    def flapping(self, quiet: int, station: bool) -> None:
        """A noise station, or all gauges of a site, around the first threshold of their sign."""
        table = self._fleet.table("laeq" if station else "water_depth")
        wet = [DISTRICTS.index(place) for place in self._places("storm")]
        taken = np.isin(np.arange(len(table)) + table.rows.start, list(self._faulty()))
        taken |= np.isin(table.district, wet)
        numbers = np.setdiff1d(table.site, table.site[taken])
        chosen = numbers[self._choose(len(numbers))]
        rows = np.nonzero(table.site == chosen)[0] + table.rows.start
        first = int(rows[0]) - table.rows.start
        if station:
            # By day, and for longer: its sign is the mean of an hour.
            start = self.moment(quiet, _NIGHT - 130)
            length, unit = 90 + self._choose(31), "dB"
            peak = float(NOISE_ZONES[table.stands[first].zone][0])
        else:
            start = self.moment(quiet, DAY - 130)
            length, unit, peak = 60 + self._choose(61), "cm", FIRST_DEPTH
        place = DISTRICTS[int(table.district[first])]
        span = (start, start + length)
        self._add("flapping", place, table.name, span, peak, unit, rows, np.ones(len(rows)))

    def surge(self, start: int) -> None:
        """More orders of every topic, in a district that has no burst of one of them."""
        bursts = {place[:6] for place in self._places("complaint_burst")}
        among = [district for district in DISTRICTS if district not in bursts]
        place = among[self._choose(len(among))]
        span = (start, start + 60 + self._choose(31))
        nobody = np.zeros(0, np.int64)
        self._add("surge", place, "order", span, 3.0, "1", nobody, np.zeros(0))

    def detour(self, by_night: bool) -> None:
        """Another flow on a third of a district's segments, while all of them flow freely."""
        taken = self._places("congestion") | self._places("storm")
        among = [district for district in DISTRICTS if district not in taken]
        place = among[self._choose(len(among))]
        # From local midnight to four, or from ten to three.
        start = self.moment(1080, 1260) if by_night else self.moment(240, 480)
        self._district(
            "detour",
            place,
            "segment_flow",
            (start, start + 60),
            2.0 if by_night else 0.333,
            "1",
            lambda table, rows: self._third(rows),
        )

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

    def _places(self, kind: str) -> set[str]:
        return {plan.episode.place for plan in self.plans if plan.episode.kind == kind}

    def _faulty(self) -> set[int]:
        """Rows of the devices that have a fault on this day."""
        return {
            int(row)
            for plan in self.plans
            if plan.episode.kind in ("sensor_death", "drift", "stuck")
            for row in plan.rows
        }

    def _third(self, rows: Ints) -> Floats:
        """One in three of the rows, at least two."""
        chosen = np.argsort(self._each(rows), kind="stable")[: max(2, len(rows) // 3)]
        weight = np.zeros(len(rows))
        weight[chosen] = 1.0
        return weight

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
        self.plans.append(Plan(len(self.plans), episode, rows, weight))

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
