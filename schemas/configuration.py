"""The configuration: city, topics and signs, as the engine compiles them.

A value of `Configuration` is complete and consistent: what one field alone cannot tell is checked
in `schemas.consistency`. Lengths of time are seconds, in whole milliseconds.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from schemas.kafka import Kafka
from schemas.model import Length, Model, Seconds, Text
from schemas.times import epoch_ms

LevelName: TypeAlias = Literal["blue", "yellow", "orange", "red"]
PlaceLevel: TypeAlias = Literal["city", "district", "street", "community", "grid"]
KeyLevel: TypeAlias = Literal[
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
]
TopicKind: TypeAlias = Literal["sensor", "traffic", "hotline", "external"]
Standing: TypeAlias = Literal[
    "verified-primary", "verified-secondary", "seed", "unverified", "proposal"
]

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
SignId: TypeAlias = Annotated[str, Field(pattern=r"^[a-z]+\.[a-z0-9_]+$", max_length=64)]
Matched: TypeAlias = str | bool | float | list[str]


class Name(Model):
    """A name for people."""

    zh: Text
    en: Text


class City(Model):
    """The city, and the time zone of its days and nights."""

    name: Name
    place: str
    """Place code of the city: four digits."""
    time_zone: str
    """IANA name, such as Asia/Shanghai."""


def _instant(text: str) -> str:
    try:
        zoned = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        zoned = False
    if not zoned:
        raise ValueError("expected a time with an offset, such as 2026-12-01T00:00:00+08:00")
    return text


Instant: TypeAlias = Annotated[str, AfterValidator(_instant)]
"""RFC 3339 with an offset."""


class Growth(Model):
    """Partitions that were added to a topic."""

    partitions: Annotated[int, Field(ge=2, le=1024)]
    """How many there are from then on."""
    since: Instant
    """Event time from which windows wait for the new lanes."""

    @property
    def since_ms(self) -> int:
        """Int64 ms UTC."""
        return epoch_ms(datetime.fromisoformat(self.since))


class Topic(Model):
    """An input topic."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    """Name in Kafka."""
    kind: TopicKind
    partitions: Annotated[int, Field(ge=1, le=1024)] = 4
    """How many it had at first."""
    grown: Annotated[list[Growth], Field(default_factory=list)]
    """Partitions added later, in order; the state of the others is kept."""
    disorder_s: Seconds = 5.0
    """How far the watermark stays behind the largest event time seen."""
    allowed_lateness_s: Seconds
    """How long after the watermark corrections are taken."""
    skew_s: Seconds = 60.0
    """How far an event may be ahead of its record before it no longer moves the watermark."""

    @property
    def all_partitions(self) -> int:
        """How many partitions it has by now."""
        return self.grown[-1].partitions if self.grown else self.partitions


class Window(Model):
    """A size and a hop that start at multiples of the hop, or a period of the local calendar."""

    size_s: Length | None = None
    hop_s: Length | None = None
    calendar: Literal["day", "night", "month"] | None = None
    """The local day, night (22:00 to 06:00) or month; closed once, at its end."""


class Aggregate(Model):
    """What is computed from the events of a window."""

    function: Literal[
        "count",
        "sum",
        "mean",
        "min",
        "max",
        "rate",
        "stddev",
        "quantile",
        "distinct",
        "ratio",
        "tpi",
    ]
    """`rate` is the sum of the field a second; `ratio` is sum of `of` by sum of `over`."""
    of: str | None = None
    """Field of the event; the value, for readings."""
    over: str | None = None
    """Field of the denominator of a ratio."""
    scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the result: 100 for per cent, 3600 for a rate by the hour."""
    q: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Which quantile: 0.5 is the median."""


class Coverage(Model):
    """Enough data for a value: less is null."""

    by: Literal["time", "samples", "devices"]
    at_least: Annotated[float, Field(ge=0)]
    """Share of the window, number of samples, or share of the known devices that are fresh."""


class Thresholds(Model):
    """The value at which each level is entered; a level without one is not used."""

    blue: float | None = None
    yellow: float | None = None
    orange: float | None = None
    red: float | None = None

    def given(self) -> list[tuple[LevelName, float]]:
        """The levels in use with their thresholds, the mildest first."""
        levels: tuple[LevelName, ...] = ("blue", "yellow", "orange", "red")
        values = ((level, getattr(self, level)) for level in levels)
        return [(level, value) for level, value in values if value is not None]


class Levels(Model):
    """How a value becomes a level, and on whose word."""

    compare: Literal["ge", "gt", "le", "lt"]
    thresholds: Thresholds
    source: Text
    """The standard or paper and its section, or 'proposal'."""
    standing: Standing


class AlertRule(Model):
    """When a level becomes an alert and when the alert clears."""

    deadband: Annotated[float, Field(ge=0)] = 0.0
    on_delay_s: Seconds = 0.0
    off_delay_s: Seconds = 0.0


class PastMean(Model):
    """The mean of a sign's own values: at the window's end, one step before, and so on."""

    name: Literal["past_mean"]
    of: SignId
    windows: Annotated[int, Field(ge=2, le=1000)]
    step_s: Length
    at_least: Annotated[int, Field(ge=1)]
    """Values that must be there; fewer make a null."""


class ChildrenAtLevel(Model):
    """The number of children of a place whose value is at a level or above it."""

    name: Literal["children_at_level"]
    of: SignId
    child: KeyLevel
    level: LevelName


class Penalties(Model):
    """Points that each level takes from 100."""

    blue: Annotated[float, Field(ge=0, le=100)] = 10.0
    yellow: Annotated[float, Field(ge=0, le=100)] = 25.0
    orange: Annotated[float, Field(ge=0, le=100)] = 50.0
    red: Annotated[float, Field(ge=0, le=100)] = 100.0


class WeightedSign(Model):
    """An input of an index."""

    sign: SignId
    weight: Annotated[float, Field(gt=0)]


class LevelIndex(Model):
    """100 less the weighted mean of the penalties of the inputs' levels."""

    name: Literal["level_index"]
    of: Annotated[list[WeightedSign], Field(min_length=1)]
    penalties: Penalties = Penalties()
    at_least: Annotated[int, Field(ge=1)]
    """Inputs that must have a value; fewer make a null."""


Formula: TypeAlias = Annotated[PastMean | ChildrenAtLevel | LevelIndex, Field(discriminator="name")]


class SignFields(Model):
    """What every sign has."""

    id: SignId
    domain: Annotated[str, Field(pattern="^[a-z]+$", max_length=32)]
    name: Name
    unit: Annotated[str, Field(min_length=1, max_length=16)]
    source: Text
    """Where the data come from."""
    window: Window
    keys: Annotated[list[KeyLevel], Field(min_length=1)]
    levels: Levels | None = None
    alert: AlertRule | None = None
    empty: Literal["missing", "zero"] = "missing"
    """What a window without events means: zero for counts of things that happen."""


class EventSign(SignFields):
    """What every sign that reads events has."""

    topic: TopicKind
    match: dict[str, Matched]
    """Field of the event and the value it must have; one of the values, where it is a list."""
    base: KeyLevel
    """The keys at which events are folded first."""
    aggregate: Aggregate
    coverage: Coverage | None = None

    @property
    def reads(self) -> str | None:
        """The field that is aggregated; None where events are only counted."""
        if self.aggregate.of is None and self.topic == "sensor":
            return None if self.aggregate.function == "count" else "value"
        return self.aggregate.of


class WindowSign(EventSign):
    """An aggregate over the events of a window."""

    kind: Literal["window"]
    rollup: Literal["merge", "max", "min", "mean", "share", "none"]
    """`merge`: states merge up the places. `max`, `min`, `mean`: over the children's values;
    `share`: of children whose value is not zero. `none`: at the base alone."""


class SampledSign(EventSign):
    """An aggregate over the last value of each device, taken at every hop."""

    kind: Literal["sampled"]
    period_s: Length
    """Usual time between two events of a device; one older than three periods is missing."""
    rollup: Literal["merge"] = "merge"


class DerivedSign(SignFields):
    """A formula over other signs."""

    kind: Literal["derived"]
    formula: Formula

    @property
    def inputs(self) -> list[str]:
        """Ids of the signs that the formula reads."""
        formula = self.formula
        return [i.sign for i in formula.of] if formula.name == "level_index" else [formula.of]


Sign: TypeAlias = Annotated[WindowSign | SampledSign | DerivedSign, Field(discriminator="kind")]


class Shard(Model):
    """A part of the places that an assess task of its own owns."""

    places: Annotated[list[str], Field(min_length=1)]
    """Place codes; it owns them and all that lies in them."""


class Configuration(Model):
    """All that defines the signs of a city.

    Raises
    ------
    pydantic.ValidationError
        With every fault of a field, or else every inconsistency between fields.
    """

    version: Annotated[str, Field(pattern="^[A-Za-z0-9._-]{1,32}$")]
    """Name of this state of the configuration, such as 2026.11."""
    city: City
    topics: Annotated[list[Topic], Field(min_length=1)]
    signs: Annotated[list[Sign], Field(min_length=1)]
    forget_s: Length = 86_400.0
    """A key that is silent for so long is forgotten."""
    shards: Annotated[list[Shard], Field(default_factory=list)]
    """Beside the city's, which owns all other places; on Kafka they may run on other workers."""
    kafka: Kafka = Kafka()
    """For `cityvitals worker`; nothing of it changes a result."""

    @model_validator(mode="after")
    def _check_consistency(self, info: ValidationInfo) -> Configuration:
        from schemas.consistency import find_problems  # it imports the models above

        # The loader finds the same problems itself, to give each its place in the file.
        if info.context == "located":
            return self
        problems = find_problems(
            self.city,
            dict(enumerate(self.topics)),
            dict(enumerate(self.signs)),
            dict(enumerate(self.shards)),
        )
        if problems:
            lines = (f"{'.'.join(map(str, path))}: {message}" for path, message in problems)
            raise ValueError("\n".join(lines))
        return self

    @cached_property
    def fingerprint(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of what decides results, as canonical JSON."""
        # What decides only where and by how many the work is done is left out.
        deployment: Any = {"kafka": True, "shards": True, "topics": {"__all__": {"grown"}}}
        content = json.dumps(
            self.model_dump(mode="json", exclude=deployment),
            ensure_ascii=False,
            sort_keys=True,
            separators=(",", ":"),
        )
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """Version and fingerprint, as results name the configuration behind them."""
        return f"{self.version}+{self.fingerprint}"

    @cached_property
    def sign(self) -> dict[str, WindowSign | SampledSign | DerivedSign]:
        """Every sign by its id."""
        return {sign.id: sign for sign in self.signs}
