"""Where signs are other than they were proposed, and why: for the reference alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from schemas.model import Model, Text
from schemas.words import SignId


class Departure(Model):
    """What of some signs is other than it was proposed."""

    signs: Annotated[list[SignId], Field(min_length=1)]
    what: Text
    """What they have, and what was proposed."""
    why: Text


def departures_of(sign: str, departures: Iterable[Departure]) -> list[tuple[str, str]]:
    """Those of one sign, as facts of it.

    >>> one = Departure(signs=["a.b"], what="every 5 min, not 1", why="it moves slowly")
    >>> departures_of("a.b", [one]), departures_of("a.c", [one])
    ([('not as proposed', 'every 5 min, not 1: it moves slowly')], [])
    """
    found = (one for one in departures if sign in one.signs)
    return [("not as proposed", f"{one.what}: {one.why}") for one in found]
