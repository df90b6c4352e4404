"""Guangzhou's districts and streets: the National Bureau of Statistics' list of 2023-06-30."""

from __future__ import annotations

import csv
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from agents.city.draws import choose, mix, uniform

# Rough centres (degrees, CGCS2000): good for a dot on a map, not for measuring.
_CENTRES = {
    "440103": (113.23, 23.09),
    "440104": (113.27, 23.13),
    "440105": (113.32, 23.08),
    "440106": (113.37, 23.15),
    "440111": (113.30, 23.25),
    "440112": (113.50, 23.18),
    "440113": (113.38, 22.95),
    "440114": (113.20, 23.42),
    "440115": (113.54, 22.78),
    "440117": (113.68, 23.66),
    "440118": (113.75, 23.32),
}
NEIGHBOURS = {
    "440103": ("440104", "440105", "440111", "440113"),
    "440104": ("440103", "440105", "440106", "440111"),
    "440105": ("440103", "440104", "440106", "440113"),
    "440106": ("440104", "440105", "440111", "440112"),
    "440111": ("440103", "440104", "440106", "440112", "440114", "440117"),
    "440112": ("440106", "440111", "440117", "440118"),
    "440113": ("440103", "440105", "440115"),
    "440114": ("440111", "440117"),
    "440115": ("440113",),
    "440117": ("440111", "440112", "440114", "440118"),
    "440118": ("440112", "440117"),
}
DISTRICTS = tuple(_CENTRES)


class Street(NamedTuple):
    """A street or town: 9-digit code, name, and the position of its district in DISTRICTS."""

    code: str
    name: str
    district: int


class Spot(NamedTuple):
    """Where a device stands or an order comes from: 15-digit grid code, degrees CGCS2000."""

    grid: str
    lon: float
    lat: float


@cache
def district_names() -> dict[str, str]:
    """Names of the districts by 6-digit code."""
    return {code: name for code, name in _rows() if len(code) == 6}


@cache
def streets() -> tuple[Street, ...]:
    """All streets, ordered so that any prefix is spread over the districts.

    Examples
    --------
    >>> len(streets()), len({street.district for street in streets()[:11]})
    (178, 11)
    """
    members: dict[str, list[tuple[str, str]]] = {code: [] for code in DISTRICTS}
    for code, name in _rows():
        if len(code) == 9:
            members[code[:6]].append((code, name))
    ranked = []
    for number, district in enumerate(DISTRICTS):
        size = len(members[district])
        for rank, (code, name) in enumerate(members[district]):
            ranked.append(((rank + 0.5) / size if rank else 0.0, Street(code, name, number)))
    ranked.sort()
    return tuple(street for _, street in ranked)


@lru_cache(maxsize=1 << 16)
def spot(street: Street, number: int) -> Spot:
    """A grid of a street; the same ``number`` is the same grid for every seed.

    Communities and grids below the street are invented: street + 3 + 3 digits.
    """
    key = mix(0x5907, int(street.code), number)
    lon, lat = _CENTRES[DISTRICTS[street.district]]
    centre = mix(0x5908, int(street.code))
    return Spot(
        f"{street.code}{1 + choose(key, 12):03d}{1 + choose(key, 20, 1):03d}",
        round(lon + 0.12 * (uniform(centre) - 0.5) + 0.02 * (uniform(key, 2) - 0.5), 5),
        round(lat + 0.12 * (uniform(centre, 1) - 0.5) + 0.02 * (uniform(key, 3) - 0.5), 5),
    )


def _rows() -> list[tuple[str, str]]:
    text = (files("agents.city") / "divisions_4401.csv").read_text(encoding="utf-8")
    return [(row["code"], row["name"]) for row in csv.DictReader(text.splitlines())]
