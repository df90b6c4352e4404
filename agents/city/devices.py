"""The city's devices: what stands where, how often it speaks, and the fixed part of its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from agents.city.districts import DISTRICTS, Spot, Street, spot, streets
from agents.city.draws import Floats, Ints, choose, mix, uniforms
from schemas.metrics import METRICS

SENSOR = "city.sensor.v1"
TRAFFIC = "city.traffic.v1"

AIR = ("pm25", "pm10", "no2", "so2", "co", "o3", "air_temperature")
"""What an air station measures; the stations of all of them stand in the same order."""
SENSORS = ("rain", "water_depth", *AIR, "laeq", "manhole_level")

NOISE_ZONES = {
    "0": (50, 40),
    "1": (55, 45),
    "2": (60, 50),
    "3": (65, 55),
    "4a": (70, 55),
    "4b": (70, 60),
}
"""Limits of LAeq by acoustic zone, dB by day (06-22) and by night: GB 3096-2008 Table 1."""

# Of a hundred noise stations, so many stand in each zone.
_ZONE_SHARES = (("0", 3), ("1", 22), ("2", 35), ("3", 12), ("4a", 22), ("4b", 6))
_STATIONS = {
    "rain": 90,
    "water_depth": 120,
    "air": 60,
    "laeq": 80,
    "manhole_level": 60,
    "intersection": 60,
    "parking": 80,
}
_SEGMENTS_PER_STREET = 5
_CLASSES = (
    ("expressway", 80, 900),
    ("arterial", 60, 450),
    ("secondary", 50, 300),
    ("branch", 40, 180),
)


class Stand(NamedTuple):
    """Where a device stands and who sends for it, as a register knows it.

    Attributes
    ----------
    platform
        The event's source.
    place
        15-digit grid code.
    site, site_type
        Named facility and its type; empty where the device has none.
    well_depth
        Metres from cover to bottom of a manhole, 0 for other devices.
    zone
        Acoustic zone of a noise station, a key of `NOISE_ZONES`; empty for other devices.
    """

    platform: str
    place: str
    site: str = ""
    site_type: str = ""
    well_depth: float = 0.0
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Devices of one kind, in neighbouring rows of the fleet.

    Attributes
    ----------
    name
        Metric of a sensor, or kind of a traffic observation.
    rows
        The fleet's rows that belong to this table.
    period
        Minutes between two events of a device.
    keys, ids
        Identity of each device, as bytes (log key) and as text.
    heads, middle, tails
        Fixed text of an event: before its first changing field, before the time of a reading,
        and after the last changing field.
    size
        Capacity of a car park, free-flow speed (km/h) of a segment, length (m) of the link of an
        intersection, depth (m) of a manhole, limit by night (dB) of a noise station; else 0.
    site
        Number of the place a device watches; two water gauges share one.
    stands
        What a register knows of each device.
    """

    name: str
    topic: str
    rows: slice
    period: int
    keys: list[bytes]
    ids: list[str]
    heads: list[str]
    middle: str
    tails: list[str]
    district: Ints
    size: Floats
    site: Ints
    stands: list[Stand]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All devices, by row; the same for every seed, so one register serves all runs.

    Attributes
    ----------
    phase
        Milliseconds after the start of its minute at which a device speaks, shape (n,).
    turn
        Minute within the period in which it speaks, shape (n,).
    trait
        Two uniform draws a device keeps for life, shape (2, n).
    """

    tables: tuple[Table, ...]
    phase: Ints
    turn: Ints
    period: Ints
    trait: Floats

    def __len__(self) -> int:
        return len(self.phase)

    def table(self, name: str) -> Table:
        return next(table for table in self.tables if table.name == name)

    def id_of(self, row: int) -> str:
        table = next(table for table in self.tables if row < table.rows.stop)
        position: int = row - table.rows.start
        return table.ids[position]


def build_fleet(scale: float) -> Fleet:
    """Put the devices of a city of that size in place.

    Every district has at least one device of each kind, however small the scale.
    """
    tables: list[Table] = []
    start = 0

    def add(name: str, topic: str, period: int, devices: list[_Device]) -> None:
        nonlocal start
        stop = start + len(devices)
        tables.append(
            Table(
                name,
                topic,
                slice(start, stop),
                period,
                [device.id.encode() for device in devices],
                [device.id for device in devices],
                [device.head for device in devices],
                devices[0].middle,
                [device.tail for device in devices],
                np.array([device.district for device in devices]),
                np.array([device.size for device in devices]),
                np.array([device.site for device in devices]),
                [device.stand for device in devices],
            )
        )
        start = stop

    def spread(name: str, make: Callable[[int, Street], _Device]) -> list[_Device]:
        order = streets()
        count = max(len(DISTRICTS), round(_STATIONS[name] * scale))
        return [make(number, order[number % len(order)]) for number in range(count)]

    add("rain", SENSOR, 1, spread("rain", _sensor("rain", "yl", "rain_station", "gz-meteo")))
    gauges = [
        spread("water_depth", _sensor("water_depth", f"js{side}", "road", "gz-drain"))
        for side in "ab"
    ]
    add("water_depth", SENSOR, 1, [gauge for pair in zip(*gauges, strict=True) for gauge in pair])
    for metric in AIR:
        make = _sensor(metric, _AIR_PREFIX.get(metric, metric), "air_station", "gz-air")
        add(metric, SENSOR, 5, spread("air", make))
    add("laeq", SENSOR, 1, spread("laeq", _sensor("laeq", "zs", "noise_station", "gz-noise")))
    make = _sensor("manhole_level", "jg", "manhole", "gz-drain")
    add("manhole_level", SENSOR, 5, spread("manhole_level", make))
    order = streets()
    count = max(2 * len(DISTRICTS), round(len(order) * _SEGMENTS_PER_STREET * scale))
    segments = [_segment(number, order[number % len(order)]) for number in range(count)]
    add("segment_flow", TRAFFIC, 1, segments)
    add("intersection", TRAFFIC, 1, spread("intersection", _intersection))
    add("parking", TRAFFIC, 1, spread("parking", _car_park))

    rows = np.arange(start)
    period = np.concatenate([np.full(len(table), table.period) for table in tables])
    draw = uniforms(mix(0xF1EE7), rows, 4)
    return Fleet(
        tuple(tables),
        (draw[0] * 60).astype(np.int64) * 1000,
        (draw[1] * period).astype(np.int64),
        period,
        draw[2:],
    )


@dataclass(frozen=True, slots=True)
class _Device:
    id: str
    head: str
    tail: str
    district: int
    size: float
    site: int
    stand: Stand
    middle: str = ""


_SITE_TYPES = ("underpass", "road", "road", "tunnel")
_AIR_PREFIX = {"pm25": "pma", "pm10": "pmb", "air_temperature": "qw"}


def _sensor(
    metric: str, prefix: str, site_type: str, source: str
) -> Callable[[int, Street], _Device]:
    known = METRICS[metric]

    def make(number: int, street: Street) -> _Device:
        where = spot(street, mix(len(site_type), number))
        district = DISTRICTS[street.district]
        name = f"{prefix}-{district}-{number:05d}"
        kind = _SITE_TYPES[number % 4] if site_type == "road" else site_type
        site = f"{kind.split('_')[0]}-{district}-{number:05d}"
        depth = 2.0 + choose(mix(0x3E11, number), 31) / 10 if metric == "manhole_level" else 0.0
        zone = _zone(number) if metric == "laeq" else ""
        return _Device(
            name,
            f'{{"device":"{name}","metric":"{metric}","value":',
            f"{_at(where)},"
            f'"site":"{site}","site_type":"{kind}","period_s":{known.period_s},'
            f'"source":"{source}"}}',
            street.district,
            float(NOISE_ZONES[zone][1]) if zone else depth,
            number,
            Stand(source, where.grid, site, kind, depth, zone),
            f',"unit":"{known.unit}","t":',
        )

    return make


def _zone(number: int) -> str:
    """Acoustic zone of a noise station."""
    rest = choose(mix(0x20E, number), 100)
    for zone, share in _ZONE_SHARES:
        if rest < share:
            return zone
        rest -= share
    raise AssertionError("the shares of the zones add up to 100")


def _segment(number: int, street: Street) -> _Device:
    key = mix(0x5E6, number)
    where = spot(street, key)
    road, free_flow, length = _CLASSES[min(choose(key, 10) // 2, 3)]
    name = f"seg-{DISTRICTS[street.district]}-{number:05d}"
    metres = length + choose(key, length, 1)
    return _Device(
        name,
        f'{{"kind":"segment_flow","source_id":"{name}","t":',
        f'{_at(where)},"road_class":"{road}","link_len_m":{metres},"free_flow_kmh":{free_flow},'
        '"source":"gz-traffic"}',
        street.district,
        float(free_flow),
        number,
        Stand("gz-traffic", where.grid),
    )


def _intersection(number: int, street: Street) -> _Device:
    key = mix(0x1C7, number)
    where = spot(street, key)
    metres = 120 + 10 * choose(key, 29)
    name = f"int-{DISTRICTS[street.district]}-{number:05d}"
    return _Device(
        name,
        f'{{"kind":"intersection","source_id":"{name}","t":',
        f'{_at(where)},"link_len_m":{metres},"source":"gz-signals"}}',
        street.district,
        float(metres),
        number,
        Stand("gz-signals", where.grid),
    )


def _car_park(number: int, street: Street) -> _Device:
    key = mix(0xCA2, number)
    where = spot(street, key)
    capacity = 80 + 20 * choose(key, 46)
    name = f"park-{DISTRICTS[street.district]}-{number:05d}"
    return _Device(
        name,
        f'{{"kind":"parking","source_id":"{name}","t":',
        f',"capacity":{capacity}{_at(where)},'
        f'"site":"{name}","site_type":"car_park","source":"gz-parking"}}',
        street.district,
        float(capacity),
        number,
        Stand("gz-parking", where.grid, name, "car_park"),
    )


def _at(where: Spot) -> str:
    return f',"place":"{where.grid}","lon":{where.lon},"lat":{where.lat},"crs":"CGCS2000"'
