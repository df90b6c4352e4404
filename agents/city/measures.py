"""What the devices measure: weather, air, noise, traffic and parking, with the episodes in it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from agents.city.almanac import Almanac
from agents.city.devices import AIR, Fleet, Table
from agents.city.districts import DISTRICTS
from agents.city.draws import Floats, Ints, mix, uniform, uniforms
from agents.city.episodes import FLOOD_FALL, FLOOD_RISE, Plan
from agents.city.rhythm import DAY, rhythm, trapezoid

_NOISE, _WANDER, _SHOWER, _SEASON, _FLAP = 0x201, 0x202, 0x203, 0x204, 0x205
_KNOT = 30
_BLOCK = 180
_PLACES = np.arange(len(DISTRICTS))


class Measures:
    """Values of all devices at any minute, as a function of (seed, minute).

    Ordinary days stay below the catalogue's first thresholds: what breaks one was planted.
    """

    def __init__(self, seed: int, fleet: Fleet, almanac: Almanac) -> None:
        self._seed = seed
        self._fleet = fleet
        self._almanac = almanac
        self._rows = np.arange(len(fleet))
        self._models = {
            "rain": self._rain,
            "water_depth": self._water_depth,
            "pm25": self._pm25,
            "pm10": self._pm10,
            "no2": self._no2,
            "so2": self._so2,
            "co": self._co,
            "o3": self._o3,
            "air_temperature": self._air_temperature,
            "laeq": self._laeq,
            "manhole_level": self._manhole_level,
            "segment_flow": self._speed,
            "intersection": self._queue,
            "parking": self._parking,
        }
        self._knot = lru_cache(maxsize=8)(self._draw_knot)
        self._season = lru_cache(maxsize=8)(self._draw_season)
        self._frozen = lru_cache(maxsize=64)(self._value_of)

    def at(self, k: int) -> Floats:
        """Main value of every device in city minute ``k``, shape (devices,), in its unit.

        Rain mm in the minute, water cm, gases and PM µg/m³ (CO mg/m³), temperature °C, noise dB,
        water in a manhole m, speed km/h, queue m, parking places taken.
        """
        value = self._true(k)
        for plan in self._almanac.active(k, "drift"):
            share = (k - plan.episode.start) / (plan.episode.end - plan.episode.start)
            value[plan.rows] = np.round(value[plan.rows] + plan.episode.peak * share, 1)
        for plan in self._almanac.active(k, "stuck"):
            value[plan.rows] = self._frozen(int(plan.rows[0]), plan.episode.start)
        for plan in self._almanac.active(k, "flapping"):
            value[plan.rows] = self._flap(k, plan)
        return value

    def vehicles(self, k: int, table: Table) -> Ints:
        """Vehicles that passed each segment in city minute ``k``."""
        noise = self._noise(k)[1, table.rows]
        busy = 0.15 + 0.85 * rhythm("rush", k)
        count = table.size * (0.15 + 0.2 * busy) * busy * (0.7 + 0.6 * noise)
        for plan in self._almanac.active(k, "detour"):
            episode = plan.episode
            shape = trapezoid(k, episode.start, episode.end, 5, 5)
            count[plan.rows - table.rows.start] *= 1.0 + (episode.peak - 1.0) * shape
        return count.astype(np.int64)

    def waiting(self, k: int, table: Table) -> Ints:
        """Vehicles that the detectors of each intersection saw in city minute ``k``."""
        noise = self._noise(k)[1, table.rows]
        return (4 + (4 + 32 * rhythm("rush", k)) * (0.7 + 0.6 * noise)).astype(np.int64)

    def _true(self, k: int) -> Floats:
        value = np.empty(len(self._fleet))
        noise = self._noise(k)
        for table in self._fleet.tables:
            value[table.rows] = self._models[table.name](k, table, noise[:, table.rows])
        return value

    def _value_of(self, row: int, k: int) -> float:
        return float(self._true(k)[row])

    def _flap(self, k: int, plan: Plan) -> Floats:
        """Above or below the threshold at random, by less than a deadband: one alert is wanted."""
        draw = mix(self._seed, _FLAP, k, int(plan.rows[0]))
        extent = uniform(draw, 1)
        offset = 0.4 + 3.0 * extent if uniform(draw) < 0.5 else -0.4 - 1.2 * extent
        value = np.full(len(plan.rows), plan.episode.peak + offset)
        return _tenths(value - 0.1 * np.arange(len(plan.rows)))

    def _noise(self, k: int) -> Floats:
        return uniforms(mix(self._seed, _NOISE, k), self._rows, 2)

    def _draw_knot(self, number: int) -> Floats:
        draw: Floats = uniforms(mix(self._seed, _WANDER, number), self._rows, 1)[0]
        return 2.0 * draw - 1.0

    def _wander(self, k: int, table: Table) -> Floats:
        """Slow changes of each device, in [-1, 1]."""
        number, rest = divmod(k, _KNOT)
        before, after = self._knot(number)[table.rows], self._knot(number + 1)[table.rows]
        return before + (after - before) * (rest / _KNOT)

    def _draw_season(self, day: int) -> Floats:
        draw: Floats = uniforms(mix(self._seed, _SEASON, day), _PLACES, 2)
        return draw

    def _weather(self, k: int, table: Table) -> Floats:
        """Two slow draws of each device's district, in [0, 1): warmth of the days, air."""
        day, rest = divmod(k, DAY)
        before, after = self._season(day), self._season(day + 1)
        mixed: Floats = before + (after - before) * (rest / DAY)
        # Half of it is the whole city's, half the district's own.
        return 0.5 * mixed[:, :1] + 0.5 * mixed[:, table.district]

    def _storm(self, k: int) -> float:
        """How far the storms of the minute have come, 0 to 1."""
        return max(
            (
                trapezoid(k, plan.episode.start, plan.episode.end, 8, 15)
                for plan in self._almanac.active(k, "storm")
            ),
            default=0.0,
        )

    def _shower(self, k: int) -> Floats:
        """Rain of ordinary showers by district, mm/h, at most 10."""
        block, rest = divmod(k, _BLOCK)
        occurs, begin, length, peak = uniforms(mix(self._seed, _SHOWER, block), _PLACES, 4)
        start, last = 120 * begin, 20 + 30 * length
        shape = np.minimum(rest - start, start + last - rest) / (last / 2)
        return np.where(occurs < 0.06, np.maximum(shape, 0.0) * (3 + 7 * peak), 0.0)

    def _rain(self, k: int, table: Table, noise: Floats) -> Floats:
        rate = self._shower(k)[table.district] * (0.6 + 0.4 * self._fleet.trait[0, table.rows])
        for plan in self._almanac.active(k, "storm"):
            episode = plan.episode
            rows = plan.rows - table.rows.start
            shape = trapezoid(k, episode.start, episode.end, 8, 15)
            rate[rows] = np.maximum(rate[rows], episode.peak * shape * plan.weight)
        # A tipping bucket counts whole tenths of a millimetre.
        tips: Floats = np.floor(rate / 6.0 * (0.9 + 0.2 * noise[0]) + noise[1])
        return tips / 10.0

    def _water_depth(self, k: int, table: Table, noise: Floats) -> Floats:
        depth = 0.15 * self._shower(k)[table.district]
        for plan in self._almanac.active(k, "waterlogging"):
            episode = plan.episode
            rows = plan.rows - table.rows.start
            shape = trapezoid(k, episode.start, episode.end, FLOOD_RISE, FLOOD_FALL)
            depth[rows] = np.maximum(depth[rows], episode.peak * shape * plan.weight)
        return _tenths(np.maximum(depth + 0.8 * noise[0] - 0.4, 0.0))

    def _manhole_level(self, k: int, table: Table, noise: Floats) -> Floats:
        trait = self._fleet.trait[:, table.rows]
        fill = 0.12 + 0.17 * trait[0] + 0.01 * self._wander(k, table) + 0.01 * (noise[0] - 0.5)
        fill += 0.008 * self._shower(k)[table.district]
        for plan in self._almanac.active(k, "waterlogging"):
            episode = plan.episode
            shape = trapezoid(k, episode.start, episode.end, FLOOD_RISE, FLOOD_FALL)
            # Every second well fills to its cover, the others nearly so.
            full = np.minimum(0.9 + 0.2 * trait[1], 1.0) * shape
            wet = table.district == DISTRICTS.index(episode.place)
            fill[wet] = np.maximum(fill[wet], full[wet])
        return _hundredths(fill * table.size)

    def _pm25(self, k: int, table: Table, noise: Floats) -> Floats:
        base = self._dust(k, table)
        return _tenths(base + 3.0 * noise[0] + self._plume(k, table))

    def _pm10(self, k: int, table: Table, noise: Floats) -> Floats:
        base = 1.6 * self._dust(k, table)
        return _tenths(base + 5.0 * noise[0] + 1.4 * self._plume(k, table))

    def _no2(self, k: int, table: Table, noise: Floats) -> Floats:
        base = 17 + 12 * self._weather(k, table)[1] + 14 * rhythm("rush", k)
        base += 3 * self._wander(k, table) + 3.0 * noise[0]
        return _tenths(base + 0.25 * self._plume(k, table))

    def _so2(self, k: int, table: Table, noise: Floats) -> Floats:
        base = 5 + 4 * self._weather(k, table)[1] + self._wander(k, table)
        return _tenths(base + 1.5 * noise[0])

    def _co(self, k: int, table: Table, noise: Floats) -> Floats:
        base = 0.45 + 0.2 * self._weather(k, table)[1] + 0.25 * rhythm("rush", k)
        base += 0.05 * self._wander(k, table) + 0.06 * noise[0]
        return _hundredths(base + 0.005 * self._plume(k, table))

    def _o3(self, k: int, table: Table, noise: Floats) -> Floats:
        warmth = self._weather(k, table)[0]
        # The sun makes it, fresh exhaust takes some of it away.
        base = 22 + (45 + 45 * warmth) * rhythm("sun", k) - 8 * rhythm("rush", k)
        return _tenths(base + 4 * self._wander(k, table) + 4.0 * noise[0])

    def _dust(self, k: int, table: Table) -> Floats:
        air = self._weather(k, table)[1]
        dust: Floats = 16 + 16 * air + 8 * rhythm("rush", k) + 4 * self._wander(k, table)
        return dust

    def _plume(self, k: int, table: Table) -> Floats:
        total = np.zeros(len(table))
        for plan in self._almanac.active(k, "pollution"):
            episode = plan.episode
            # All that an air station measures stands in the same order.
            rows = plan.rows - self._fleet.table(AIR[0]).rows.start
            shape = trapezoid(k, episode.start, episode.end, 20, 30)
            total[rows] = np.maximum(total[rows], episode.peak * shape * plan.weight)
        return total

    def _air_temperature(self, k: int, table: Table, noise: Floats) -> Floats:
        warmth = self._weather(k, table)[0]
        value = 11 + 7 * warmth + 8 * rhythm("warmth", k) - 3.0 * self._storm(k)
        return _tenths(value + 0.5 * self._wander(k, table) + 0.4 * noise[0])

    def _laeq(self, k: int, table: Table, noise: Floats) -> Floats:
        trait = self._fleet.trait[0, table.rows]
        # Below the zone's limit by night, when the curve stands at 0.55 or less, by 1 dB and more;
        # by day each limit is 10 dB higher at least, and the curve adds 4.5 dB.
        value = table.size - 9.5 - 3 * trait + 10 * rhythm("noise", k) + self._wander(k, table)
        return _tenths(value + 2.0 * noise[0])

    def _speed(self, k: int, table: Table, noise: Floats) -> Floats:
        trait = self._fleet.trait[0, table.rows]
        ratio = 0.94 - (0.14 + 0.12 * trait) * rhythm("rush", k)
        ratio += 0.03 * self._wander(k, table) + 0.06 * (noise[0] - 0.5)
        for plan in self._almanac.active(k, "storm"):
            shape = trapezoid(k, plan.episode.start, plan.episode.end, 15, 15)
            wet = table.district == DISTRICTS.index(plan.episode.place)
            ratio[wet] *= 1.0 - 0.45 * shape
        for plan in self._almanac.active(k, "congestion"):
            episode = plan.episode
            rows = plan.rows - table.rows.start
            shape = trapezoid(k, episode.start, episode.end, 10, 10)
            jam = ratio[rows] + (episode.peak - ratio[rows]) * shape * plan.weight
            ratio[rows] = np.minimum(ratio[rows], jam)
        return _tenths(np.maximum(ratio * table.size, 2.0))

    def _queue(self, k: int, table: Table, noise: Floats) -> Floats:
        trait = self._fleet.trait[:, table.rows]
        ratio = (0.06 + 0.2 * trait[0]) * (0.3 + 0.7 * rhythm("rush", k)) + 0.08 * noise[0]
        ratio += 0.04 * self._wander(k, table)
        for plan in self._almanac.active(k, "storm"):
            shape = trapezoid(k, plan.episode.start, plan.episode.end, 15, 15)
            ratio[table.district == DISTRICTS.index(plan.episode.place)] += 0.08 * shape
        for plan in self._almanac.active(k, "congestion"):
            episode = plan.episode
            shape = trapezoid(k, episode.start, episode.end, 10, 10)
            # Every second queue reaches back to the intersection before.
            full = np.minimum(0.9 + 0.2 * trait[1], 1.0)
            jam = table.district == DISTRICTS.index(episode.place)
            ratio[jam] += (full[jam] - ratio[jam]) * shape
        return _tenths(np.maximum(ratio, 0.0) * table.size)

    def _parking(self, k: int, table: Table, noise: Floats) -> Floats:
        trait = self._fleet.trait[:, table.rows]
        office = rhythm("office", k)
        # Offices fill by day, homes by night.
        share = np.where(trait[0] < 0.6, office, 0.85 - 0.6 * office)
        share = share * (0.75 + 0.2 * trait[1]) + 0.02 * self._wander(k, table)
        taken: Floats = np.floor(table.size * share + 2.0 * noise[0])
        return taken


def _tenths(value: Floats) -> Floats:
    rounded: Floats = np.round(value, 1)
    return rounded


def _hundredths(value: Floats) -> Floats:
    rounded: Floats = np.round(value, 2)
    return rounded
