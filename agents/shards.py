"""Which assess task owns which place, and which rows each of them needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from schemas.configuration import Configuration
from schemas.places import LEVELS
from schemas.signs import DerivedSign, Sign
from schemas.words import split_level

_DIGITS = dict(zip(LEVELS, (4, 6, 9, 12, 15), strict=True))

CITY = 0
"""The shard of the city: it owns every place that no other one lists."""


class Shards:
    """The places of each shard, by their prefixes.

    A row goes to the shard that owns its place, and to the city's as well where its sign has a key
    above that shard's places: both then merge the same rows, and each says only what it owns.  The
    same holds for places where the register puts the row's key.

    Examples
    --------
    >>> from schemas.loading import load
    >>> Shards(load(environ={})).of("440111004")
    0
    """

    def __init__(self, configuration: Configuration) -> None:
        self.count = 1 + len(configuration.shards)
        self._owner = {
            prefix: number
            for number, shard in enumerate(configuration.shards, start=1)
            for prefix in shard.places
        }
        self._lengths = sorted({len(prefix) for prefix in self._owner})
        hierarchies = {h.name for h in configuration.hierarchies}
        self._reach = _reach(configuration.signs, hierarchies, configuration.awaited)

    @property
    def places(self) -> list[list[str]]:
        """The prefixes of every shard but the city's."""
        listed: list[list[str]] = [[] for _ in range(1, self.count)]
        for prefix, number in self._owner.items():
            listed[number - 1].append(prefix)
        return listed

    def of(self, place: str) -> int:
        """The shard that owns a place, and says what is said of it."""
        return self._find(place)[0]

    def wanted_by(self, sign: str, *places: str) -> tuple[int, ...]:
        """The shards that need the rows of a sign at these places."""
        wanted: set[int] = set()
        for place in places:
            shard, length = self._find(place)
            wanted.add(shard)
            if self._reach[sign] < length:
                wanted.add(CITY)
        return tuple(sorted(wanted))

    def _find(self, place: str) -> tuple[int, int]:
        for length in self._lengths:
            number = self._owner.get(place[:length])
            if number is not None:
                return number, length
        return CITY, 0


def _reach(
    signs: Iterable[Sign], hierarchies: Collection[str], awaited: Collection[str]
) -> dict[str, int]:
    """Digits of the coarsest place that a sign, or one that reads it, has a key at.

    Parents in hierarchies are the city's, whatever they hold; so are incidents, with the signs that
    they read or suppress.
    """
    digits = {**_DIGITS, **dict.fromkeys(hierarchies, _DIGITS["city"])}
    reach = {
        s.id: min((digits.get(split_level(k)[1], 15) for k in s.keys), default=15) for s in signs
    }
    reach.update(dict.fromkeys(awaited, _DIGITS["city"]))
    derived = [s for s in signs if isinstance(s, DerivedSign)]
    for _ in derived:  # as long a chain as there can be
        for sign in derived:
            for name in sign.inputs:
                reach[name] = min(reach[name], reach[sign.id])
    return reach
