"""The register of the city's devices: what should speak, where it stands and what it may say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.city.devices import SENSOR, Fleet, Table, build_fleet
from agents.city.districts import DISTRICTS, spot, streets
from agents.city.draws import choose, mix, uniforms
from schemas.devices import Device, Register

_ABSENT, _UNKNOWN = 0x801, 0x802
_NEVER_INSTALLED = 0.005
_UNREGISTERED = 0.003


class Registered(NamedTuple):
    """A device as the register knows it.

    Attributes
    ----------
    device
        Its identity in events: ``device`` or ``source_id``.
    topic
        Kind of its topic: sensor or traffic.
    kind
        Metric of a sensor, or kind of a traffic observation.
    platform
        Source of its events.
    place
        15-digit grid code.
    site, site_type
        Named facility, empty where the device has none.
    period_s
        Seconds between two events.
    since, until
        First and last day; empty for all time.
    well_depth_m
        Metres from cover to bottom, of manholes; else empty.
    noise_zone
        Acoustic zone of GB 3096-2008, of noise stations; else empty.
    """

    device: str
    topic: str
    kind: str
    platform: str
    place: str
    site: str
    site_type: str
    period_s: int
    since: str
    until: str
    well_depth_m: float | str
    noise_zone: str


def register_rows(scale: float) -> list[Registered]:
    """The register of a city of that size; the same for every seed.

    It also names devices that were never installed and never speak (0.5 % of the fleet, one at
    least), and lacks some of those that speak (0.3 %, one at least).

    Examples
    --------
    >>> rows = register_rows(0.1)
    >>> rows[0].device, rows[0].kind, rows[0].platform, rows[0].period_s
    ('yl-440103-00000', 'rain', 'gz-meteo', 60)
    """
    fleet = build_fleet(scale)
    unknown = set(unregistered(fleet))
    rows = [
        _row(table, position, device)
        for table in fleet.tables
        for position, device in enumerate(table.ids)
        if device not in unknown
    ]
    return rows + never_installed(fleet)


def never_installed(fleet: Fleet) -> list[Registered]:
    """Devices that stand in the register and nowhere else.

    They are shared out over tables and districts like seats of a parliament (D'Hondt), so that
    in a large city neither a kind nor a district misses more than one device in fifty.
    """
    kinds = [len(table) for table in fleet.tables]
    homes = np.concatenate([table.district for table in fleet.tables])
    count = _share(_NEVER_INSTALLED, fleet)
    districts = _seats(np.bincount(homes, minlength=len(DISTRICTS)).tolist(), count)
    found = []
    for number, (kind, district) in enumerate(zip(_seats(kinds, count), districts, strict=True)):
        table = fleet.tables[kind]
        like = _row(table, 0, table.ids[0])
        among = [street for street in streets() if street.district == district]
        street = among[choose(mix(_ABSENT, number), len(among))]
        tail = f"{DISTRICTS[district]}-{90_000 + number:05d}"
        site = f"{like.site.split('-')[0]}-{tail}" if like.site else ""
        found.append(
            like._replace(
                device=f"{like.device.split('-')[0]}-{tail}",
                place=spot(street, mix(_ABSENT, number, 1)).grid,
                site=site,
            )
        )
    return found


def unregistered(fleet: Fleet) -> list[str]:
    """Devices that speak and stand in no register, in the order of the fleet."""
    rank = np.argsort(uniforms(mix(_UNKNOWN), np.arange(len(fleet)), 1)[0], kind="stable")
    return [fleet.id_of(row) for row in np.sort(rank[: _share(_UNREGISTERED, fleet)]).tolist()]


def _seats(sizes: list[int], count: int) -> list[int]:
    """Give out ``count`` seats one by one, each to the party with the most members a seat."""
    seats = [0] * len(sizes)
    found = []
    for _ in range(count):
        best = max(range(len(sizes)), key=lambda party: sizes[party] / (seats[party] + 1))
        seats[best] += 1
        found.append(best)
    return found


def _share(share: float, fleet: Fleet) -> int:
    return max(1, round(share * len(fleet)))


def _row(table: Table, position: int, device: str) -> Registered:
    stand = table.stands[position]
    return Registered(
        device,
        "sensor" if table.topic == SENSOR else "traffic",
        table.name,
        stand.platform,
        stand.place,
        stand.site,
        stand.site_type,
        60 * table.period,
        "",
        "",
        stand.well_depth or "",
        stand.zone,
    )


def register_of(scale: float = 1.0) -> Register:
    """The same register as the engine reads it.

    >>> register_of(0.1).find("yl-440103-00000", "rain", 0).period_s
    60.0
    """
    return Register(_device(row) for row in register_rows(scale))


def _device(row: Registered) -> Device:
    depth = row.well_depth_m
    return Device(
        row.device,
        row.topic,
        row.kind,
        row.platform,
        row.place,
        row.site,
        row.site_type,
        float(row.period_s),
        well_depth_m=depth if isinstance(depth, float) else None,
        noise_zone=row.noise_zone,
    )
