"""The closed lists of words that a configuration is written in."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field, FiniteFloat, model_validator

from schemas.model import Model, Text

TableId: TypeAlias = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$", max_length=32)]
"""Name of a dated table, such as gas_leak."""
LevelName: TypeAlias = Literal["blue", "yellow", "orange", "red"]
PlaceLevel: TypeAlias = Literal["city", "district", "street", "community", "grid"]
BaseLevel: TypeAlias = Literal[
    "device",
    "station",
    "site",
    "segment",
    "intersection",
    "grid",
    "community",
    "street",
    "district",
    "city",
    "category*grid",
    "category*community",
    "category*street",
    "category*district",
    "category*city",
    "department*grid",
    "department*community",
    "department*street",
    "department*district",
    "department*city",
    "platform*grid",
    "platform*community",
    "platform*street",
    "platform*district",
    "platform*city",
    "cls*grid",
    "cls*community",
    "cls*street",
    "cls*district",
    "cls*city",
    "domain*grid",
    "domain*community",
    "domain*street",
    "domain*district",
    "domain*city",
]
"""What a value belongs to; ``category*district`` is one category of orders in one district."""

LEVELS_KNOWN: tuple[str, ...] = get_args(BaseLevel)

KeyLevel: TypeAlias = Annotated[
    str,
    Field(
        pattern=r"^[a-z]+([_*][a-z]+)*$",
        max_length=24,
        json_schema_extra={"examples": list(LEVELS_KNOWN)},
    ),
]
"""One of `LEVELS_KNOWN`, or the name of a hierarchy of the configuration."""

TopicKind: TypeAlias = Literal["sensor", "traffic", "hotline", "external"]
Stream: TypeAlias = Literal["sensor", "traffic", "hotline", "external", "arrivals", "orders"]
"""What a sign reads: the events of a kind of topic; ``arrivals`` are the sensor records as they
came, sound or not; ``orders`` the open work orders of the hotline."""

TOPIC_OF: dict[str, TopicKind] = {
    "sensor": "sensor",
    "traffic": "traffic",
    "hotline": "hotline",
    "external": "external",
    "arrivals": "sensor",
    "orders": "hotline",
}
"""The kind of topic that each stream is made of."""

Standing: TypeAlias = Literal[
    "verified-primary", "verified-secondary", "seed", "unverified", "proposal"
]

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
SignId: TypeAlias = Annotated[str, Field(pattern=r"^[a-z]+\.[a-z0-9_]+$", max_length=64)]
Matched: TypeAlias = str | bool | FiniteFloat | list[str]


class Range(Model):
    """Numbers from one to another, both included."""

    at_least: FiniteFloat | None = None
    at_most: FiniteFloat | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        low, high = self.bounds
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        if low > high:
            raise ValueError(f"at_least is {low:g}, above at_most, {high:g}")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest of its numbers."""
        low = -inf if self.at_least is None else self.at_least
        return low, inf if self.at_most is None else self.at_most


Condition: TypeAlias = Matched | Range
"""What a field must be for a condition to hold."""

BY = "*"
"""Between the dimension and the place of a key: ``category*district``, ``停水*440111``."""


def split_level(level: str) -> tuple[str | None, str]:
    """The dimension of a key level, if it has one, and the place level or base kind.

    >>> split_level("category*street"), split_level("site")
    (('category', 'street'), (None, 'site'))
    """
    dimension, star, place = level.partition(BY)
    return (dimension, place) if star else (None, level)


class Name(Model):
    """A name for people."""

    zh: Text
    en: Text
