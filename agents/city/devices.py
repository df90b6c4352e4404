"""The city's devices: what stands where, how often it speaks, and the fixed part of its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agents.city.districts import DISTRICTS, Street, spot, streets
from agents.city.draws import Floats, Ints, choose, mix, uniforms

SENSOR = "city.sensor.v1"
TRAFFIC = "city.traffic.v1"

SENSORS = ("rain", "water_depth", "pm25", "pm10", "air_temperature", "laeq")
_STATIONS = {"rain": 90, "water_depth": 120, "air": 60, "laeq": 80, "parking": 80}
_SEGMENTS_PER_STREET = 5
_CLASSES = (
    ("expressway", 80, 900),
    ("arterial", 60, 450),
    ("secondary", 50, 300),
    ("branch", 40, 180),
)


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
        Capacity of a car park, free-flow speed (km/h) of a segment; 0 for sensors.
    site
        Number of the place a device watches; two water gauges share one.
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
            )
        )
        start = stop

    def spread(name: str, make: Callable[[int, Street], _Device]) -> list[_Device]:
        order = streets()
        count = max(len(DISTRICTS), round(_STATIONS[name] * scale))
        return [make(number, order[number % len(order)]) for number in range(count)]

    add("rain", SENSOR, 1, spread("rain", _sensor("rain", "yl", "mm", "rain_station", "gz-meteo")))
    gauges = [
        spread("water_depth", _sensor("water_depth", f"js{side}", "cm", "road", "gz-drain"))
        for side in "ab"
    ]
    add("water_depth", SENSOR, 1, [gauge for pair in zip(*gauges, strict=True) for gauge in pair])
    for metric, prefix, unit in (
        ("pm25", "pma", "ug/m3"),
        ("pm10", "pmb", "ug/m3"),
        ("air_temperature", "qw", "Cel"),
    ):
        make = _sensor(metric, prefix, unit, "air_station", "gz-air")
        add(metric, SENSOR, 5, spread("air", make))
    add("laeq", SENSOR, 1, spread("laeq", _sensor("laeq", "zs", "dB", "noise_station", "gz-noise")))
    order = streets()
    count = max(2 * len(DISTRICTS), round(len(order) * _SEGMENTS_PER_STREET * scale))
    segments = [_segment(number, order[number % len(order)]) for number in range(count)]
    add("segment_flow", TRAFFIC, 1, segments)
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
    middle: str = ""


_SITE_TYPES = ("underpass", "road", "road", "tunnel")


def _sensor(
    metric: str, prefix: str, unit: str, site_type: str, source: str
) -> Callable[[int, Street], _Device]:
    period_s = 300 if source == "gz-air" else 60

    def make(number: int, street: Street) -> _Device:
        where = spot(street, mix(len(site_type), number))
        district = DISTRICTS[street.district]
        name = f"{prefix}-{district}-{number:05d}"
        kind = _SITE_TYPES[number % 4] if site_type == "road" else site_type
        site = f"{kind.split('_')[0]}-{district}-{number:05d}"
        return _Device(
            name,
            f'{{"device":"{name}","metric":"{metric}","value":',
            f',"place":"{where.grid}","lon":{where.lon},"lat":{where.lat},'
            f'"crs":"CGCS2000","site":"{site}","site_type":"{kind}","period_s":{period_s},'
            f'"source":"{source}"}}',
            street.district,
            0.0,
            number,
            f',"unit":"{unit}","t":',
        )

    return make


def _segment(number: int, street: Street) -> _Device:
    key = mix(0x5E6, number)
    where = spot(street, key)
    road, free_flow, length = _CLASSES[min(choose(key, 10) // 2, 3)]
    name = f"seg-{DISTRICTS[street.district]}-{number:05d}"
    metres = length + choose(key, length, 1)
    return _Device(
        name,
        f'{{"kind":"segment_flow","source_id":"{name}","t":',
        f',"place":"{where.grid}","lon":{where.lon},"lat":{where.lat},"crs":"CGCS2000",'
        f'"road_class":"{road}","link_len_m":{metres},"free_flow_kmh":{free_flow},'
        '"source":"gz-traffic"}',
        street.district,
        float(free_flow),
        number,
    )


def _car_park(number: int, street: Street) -> _Device:
    key = mix(0xCA2, number)
    where = spot(street, key)
    capacity = 80 + 20 * choose(key, 46)
    name = f"park-{DISTRICTS[street.district]}-{number:05d}"
    return _Device(
        name,
        f'{{"kind":"parking","source_id":"{name}","t":',
        f',"capacity":{capacity},"place":"{where.grid}","lon":{where.lon},"lat":{where.lat},'
        f'"crs":"CGCS2000","site":"{name}","site_type":"car_park","source":"gz-parking"}}',
        street.district,
        float(capacity),
        number,
    )
