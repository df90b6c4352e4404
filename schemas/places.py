"""Place codes: 4, 6, 9, 12 or 15 ASCII digits in which the parent is the prefix.

>>> normalise("440100")
'4401'
>>> level_of("440111004003012")
'grid'
>>> ancestors("440111004")
('440111', '4401')
"""

from __future__ import annotations

LEVELS = ("city", "district", "street", "community", "grid")
"""From coarse to fine."""

LENGTHS = (4, 6, 9, 12, 15)
"""Digits of a code at each of `LEVELS`."""

PATTERN = "^[0-9]{4}([0-9]{2}([0-9]{3}){0,3})?$"
"""The shape of a code, for documents; the checks below do not run it."""

_LEVEL_BY_LENGTH = dict(zip(LENGTHS, LEVELS, strict=True))
_LENGTH_BY_LEVEL = dict(zip(LEVELS, LENGTHS, strict=True))

HINT = "is not a place code: send 4, 6, 9, 12 or 15 ASCII digits, such as 440111004"


def normalise(code: str) -> str:
    """Check the shape of a code; a six-digit code that ends in 00 is read as its city.

    A code is valid by shape, not by membership, so that other cities can be replayed.

    Parameters
    ----------
    code
        As it came.

    Raises
    ------
    ValueError
        With a hint that does not repeat the code.

    Examples
    --------
    >>> normalise("440111")
    '440111'
    >>> normalise("４４０１")
    Traceback (most recent call last):
    ValueError: is not a place code: send 4, 6, 9, 12 or 15 ASCII digits, such as 440111004
    """
    # str.isdigit alone accepts full-width digits and superscripts.
    if len(code) not in _LEVEL_BY_LENGTH or not code.isascii() or not code.isdigit():
        raise ValueError(HINT)
    if len(code) == 6 and code.endswith("00"):
        return code[:4]
    return code


def level_of(place: str) -> str:
    """Name the level of a normalised place.

    Raises
    ------
    ValueError
        Where the length is that of no level.
    """
    level = _LEVEL_BY_LENGTH.get(len(place))
    if level is None:
        raise ValueError(HINT)
    return level


def parent(place: str) -> str | None:
    """Return the next coarser place, None for a city.

    Cities without districts (Dongguan, Zhongshan) give their streets the district digits 00;
    the parent of such a street is the city itself.

    >>> parent("441900003")
    '4419'
    >>> parent("4401") is None
    True
    """
    depth = LENGTHS.index(len(place)) if len(place) in _LEVEL_BY_LENGTH else -1
    if depth < 0:
        raise ValueError(HINT)
    return normalise(place[: LENGTHS[depth - 1]]) if depth else None


def ancestors(place: str) -> tuple[str, ...]:
    """Return all coarser places, nearest first, without the place itself."""
    chain = []
    above = parent(place)
    while above is not None:
        chain.append(above)
        above = parent(above)
    return tuple(chain)


def at_level(place: str, level: str) -> str | None:
    """Return the place or the ancestor of it that stands at a level.

    Parameters
    ----------
    place
        A normalised place.
    level
        One of `LEVELS`.

    Returns
    -------
    str or None
        None where the place is coarser than the level, or has no such ancestor.

    Raises
    ------
    ValueError
        Where the level is not one of `LEVELS`.

    Examples
    --------
    >>> at_level("440111004003012", "street")
    '440111004'
    >>> at_level("440111", "street") is None
    True
    >>> at_level("441900003", "district") is None
    True
    """
    length = _LENGTH_BY_LEVEL.get(level)
    if length is None:
        raise ValueError(f"no such place level: use one of {', '.join(LEVELS)}")
    if len(place) < length:
        return None
    # Only a district's code can stand for another place: that of a city without districts.
    return None if length == 6 and place[4:6] == "00" else place[:length]
