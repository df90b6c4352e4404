"""Incidents: several signs at related keys that together mean one thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from schemas.model import Length, Model, Seconds, Text
from schemas.words import KeyLevel, LevelName, Name, SignId, Standing

Word: TypeAlias = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$", max_length=32)]
RelationName: TypeAlias = Annotated[str, Field(pattern="^[a-z]+(_[a-z]+)*$", max_length=24)]
Steps: TypeAlias = tuple[str | int, ...]

COMPARISONS: tuple[Literal["ge", "gt", "le", "lt"], ...] = ("ge", "gt", "le", "lt")


class Fact(Model):
    """What one sign, or another incident, must say at a key.

    One of `ge`, `gt`, `le`, `lt` compares the value; `level` asks for a level at least; `anomaly`
    for the surprise of the sign's model.
    """

    sign: SignId | None = None
    incident: SignId | None = None
    at: KeyLevel | None = None
    """The key level it is read at; that of the condition if not given."""
    of: list[Text] | None = None
    """For keys with a dimension: which of its values count, such as categories; any if absent."""
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    level: LevelName | None = None
    anomaly: bool = False
    deadband: Annotated[float, Field(ge=0)] = 0.0
    """Once met, it is met until the value is so far on the other side."""
    keys: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many related keys must say so, such as two devices of a grid."""
    relation: RelationName | None = None
    """It is read at the keys that the register's table of relations relates to the incident's own,
    such as supply_zone; of a key of which the table says nothing, at those of its place."""
    within_m: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """The same by the positions of that table: at keys that are no farther."""
    all: list[Fact] | None = None
    """Instead of one fact: several that must all be met."""

    @property
    def source(self) -> str:
        """Id of the sign or incident."""
        return self.sign or self.incident or ""

    @property
    def comparison(self) -> tuple[Literal["ge", "gt", "le", "lt"], float] | None:
        """How the value is compared and with what."""
        for name in COMPARISONS:
            value = getattr(self, name)
            if value is not None:
                return name, float(value)
        return None


def facts_of(alternatives: list[Fact] | None) -> Iterator[tuple[Steps, Fact]]:
    """Every single fact of a list, and where in it the fact stands."""
    for i, one in enumerate(alternatives or ()):
        if one.all is None:
            yield (i,), one
        for j, fact in enumerate(one.all or ()):
            yield (i, "all", j), fact


class IncidentCondition(Model):
    """One of the things that together make an incident."""

    id: Word
    name: Name
    at: KeyLevel
    """The key level its facts are read at: the incident's own, a place around it, or keys in it."""
    any: list[Fact] | None = None
    """It holds where one of these is met."""
    none: list[Fact] | None = None
    """It holds where none of these is met."""
    for_s: Seconds = 0.0
    """How long a fact must be met until it counts; that nothing is said is no break."""
    within_s: Length | None = None
    """How long it counts after it last held; as the incident says if not given. A number of orders
    in half an hour remembers by itself: it counts as long as it holds."""


class Stood(Model):
    """A level that has stood for a while."""

    level: LevelName
    for_s: Length


class Override(Model):
    """What sets a level directly, whatever `need` says; all that is given must hold now.

    A fact of which nothing more is heard goes on to hold for the incident's `within_s` after its
    next window should have told of it.
    """

    level: LevelName
    at: KeyLevel | None = None
    """The key level its facts are read at; the incident's own if not given."""
    any: list[Fact] | None = None
    conditions: list[Word] | None = None
    """Conditions that all hold."""
    related: RelationName | None = None
    """A relation by which the register's table relates the incident's key to anything."""
    standing: Stood | None = None
    """A level at which, or above, the incident has stood so long."""


class Need(Model):
    """How many conditions make each level; a level without a number is not used."""

    blue: Annotated[int, Field(ge=1)] | None = None
    yellow: Annotated[int, Field(ge=1)] | None = None
    orange: Annotated[int, Field(ge=1)] | None = None
    red: Annotated[int, Field(ge=1)] | None = None

    def given(self) -> list[tuple[LevelName, int]]:
        """The levels in use with their numbers, the mildest first."""
        levels: tuple[LevelName, ...] = ("blue", "yellow", "orange", "red")
        values = ((level, getattr(self, level)) for level in levels)
        return [(level, value) for level, value in values if value is not None]


class Suppressed(Model):
    """A sign whose alerts are marked while the incident stands at their key, or around it, and is
    as grave as they are."""

    sign: SignId
    of: list[Text] | None = None
    """Of keys with a dimension, these values, also where their place lies around the incident."""


class Untold(Model):
    """What the source asks for and is not so here."""

    what: Text
    why: Text


class Incident(Model):
    """A composite event at one key.

    Its level is the highest of those whose number of conditions held within `within_s`, and of the
    overrides. It is over when it has had none for `clear_s`.
    """

    id: SignId
    domain: Annotated[str, Field(pattern="^[a-z]+$", max_length=32)]
    name: Name
    key: KeyLevel
    """What it happens at: keys that its facts name, and those of which the signs that are asked at
    this level speak."""
    within_s: Length
    """A condition counts for so long after it last held."""
    need: Need
    must: Annotated[list[Word], Field(default_factory=list)]
    """Conditions without which `need` is not met."""
    until: Annotated[list[Word], Field(default_factory=list)]
    """It is over when these, having held in it, are told not to hold any more, whatever else does;
    without news of them it is not."""
    conditions: Annotated[list[IncidentCondition], Field(min_length=1)]
    override: Annotated[list[Override], Field(default_factory=list)]
    suppresses: Annotated[list[Suppressed], Field(default_factory=list)]
    cooldown_s: Seconds
    """For so long after it cleared, what held already then raises it by itself no more."""
    clear_s: Seconds = 600.0
    every_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """How often it is judged."""
    category: Literal[
        "Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport",
        "Infra", "CBRNE", "Other",
    ]  # fmt: skip
    """Of the Common Alerting Protocol 1.2."""
    source: Text
    standing: Standing
    untold: Annotated[list[Untold], Field(default_factory=list)]

    @property
    def facts(self) -> list[tuple[Steps, KeyLevel, Fact]]:
        """Every fact: where it stands, the key level it is read at, and itself."""
        found: list[tuple[Steps, KeyLevel, Fact]] = []
        for i, condition in enumerate(self.conditions):
            for part in ("any", "none"):
                for steps, fact in facts_of(getattr(condition, part)):
                    path = ("conditions", i, part, *steps)
                    found.append((path, fact.at or condition.at, fact))
        for i, override in enumerate(self.override):
            for steps, fact in facts_of(override.any):
                level = fact.at or override.at or self.key
                found.append((("override", i, "any", *steps), level, fact))
        return found

    @property
    def inputs(self) -> list[str]:
        """Ids of the signs and incidents it reads, each once."""
        return list(dict.fromkeys(fact.source for _, _, fact in self.facts))
