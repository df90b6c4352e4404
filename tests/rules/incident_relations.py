"""What the table of relations says, looked up anew each time; and random tables of small cities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any

from schemas.related import POSITION, Relation, Relations, overlaps
from tests.rules.wide import START


def bare(key: str) -> str:
    """A key, or a level of keys, without its dimension."""
    return key.rpartition("*")[2]


def related_keys(
    relations: Sequence[Relation], name: str | None, within_m: float | None, key: str, t: int
) -> set[tuple[str, str]]:
    """What the table relates to a key in windows that end at a time, as levels and keys."""
    rows = counting(relations, t)
    if within_m is not None:
        places = {r.origin: (r.lon, r.lat) for r in rows if r.relation == "position"}
        found = {
            other
            for other, place in places.items()
            if key in places and metres(places[key], place) <= within_m
        }
    else:
        edges = {(r.origin, r.to) for r in rows if r.relation == name}
        found = {b for a, b in edges if a == key} | {a for a, b in edges if b == key}
        things = {a for a in found if a.startswith(f"{name}:")}
        found = (found - things) | {b for a, b in edges if a in things}
    return {(level, rest) for level, _, rest in (k.partition(":") for k in found)}


def is_bound(relations: Sequence[Relation], name: str, key: str, t: int) -> bool:
    """Whether any row of a relation names a key."""
    return any(r.relation == name and key in (r.origin, r.to) for r in counting(relations, t))


def counting(relations: Sequence[Relation], t: int) -> list[Relation]:
    """The rows that count in windows that end at a time."""
    return [r for r in relations if r.since < t and (r.until is None or t <= r.until)]


def metres(one: Any, other: Any) -> float:
    """By the spherical law of cosines; good enough for what does not lie at the border."""
    (lon, lat), (to_lon, to_lat) = ([math.radians(x) for x in place] for place in (one, other))
    straight = math.sin(lat) * math.sin(to_lat)
    straight += math.cos(lat) * math.cos(to_lat) * math.cos(to_lon - lon)
    return 6_371_008.8 * math.acos(min(1.0, straight))


def moment(rng: Random) -> int:
    """Up to half an hour, mostly at a moment at which incidents are judged."""
    return rng.choice((1, 29_999, 30_000, 30_000, 30_001)) + 30_000 * rng.randrange(50)


def random_table(rng: Random, keys: Sequence[str]) -> Relations:
    """Neighbours, zones and positions of some of these keys, some of them for a while."""
    rows: list[Relation] = []
    for _ in range(rng.randrange(5, 40)):
        since, until = rng.choice((0, START + moment(rng))), None
        if rng.randrange(2):
            until = max(since, START) + moment(rng)
        key, other = rng.sample(list(keys), 2)
        draw = rng.randrange(3)
        if draw == 0:
            row = Relation("next", key, other)
        elif draw == 1:
            row = Relation("zone", f"zone:z{rng.randrange(2)}", key)
        else:
            lon, lat = 113 + rng.randrange(4) / 100, 23 + rng.randrange(3) / 100
            row = Relation(POSITION, key, "", lon, lat)
        rows.append(row._replace(since=since, until=until))
        if any(overlaps(Relations(rows))):
            rows.pop()
    return Relations(rows)
