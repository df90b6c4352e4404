"""The formulas of derived signs: a closed list of names, nothing is evaluated."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from schemas.model import Length, Model
from schemas.words import KeyLevel, LevelName, SignId

Domain: TypeAlias = Annotated[str, Field(pattern="^[a-z]+$", max_length=32)]


class PastMean(Model):
    """The mean of a sign's own values: at the window's end, one step before, and so on."""

    name: Literal["past_mean"]
    of: SignId
    windows: Annotated[int, Field(ge=2, le=1000)]
    step_s: Length
    at_least: Annotated[int, Field(ge=1)]
    """Values that must be there; fewer make a null."""


class PastMax(PastMean):
    """The largest of a sign's own values: at the window's end, one step before, and so on."""

    name: Literal["past_max"]  # type: ignore[assignment]


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
    least_coverage: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Inputs with less coverage do not count."""


class DomainSigns(Model):
    """The signs of a domain that count in its index."""

    domain: Domain
    of: Annotated[list[WeightedSign], Field(min_length=1)]


class DomainIndex(Model):
    """Of each domain by itself 100 less its signs' penalties times their weights, 0 at the least.

    Its keys are such as ``domain*city``.
    """

    name: Literal["domain_index"]
    domains: Annotated[list[DomainSigns], Field(min_length=1)]
    penalties: Penalties = Penalties()
    least_coverage: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Signs with less coverage do not count."""


class WeightedDomain(Model):
    """A domain of an index over domains."""

    domain: Domain
    weight: Annotated[float, Field(gt=0)]


class OverallIndex(Model):
    """The weighted mean of the indices of domains at a place, which a red sign can cap."""

    name: Literal["overall_index"]
    of: SignId
    """A sign of `domain_index`, with the keys of this one by domain."""
    domains: Annotated[list[WeightedDomain], Field(min_length=1)]
    critical: Annotated[list[Domain], Field(default_factory=list)]
    """While any sign of these is red, however little of it is covered, the value is at most `cap`.
    """
    cap: Annotated[float, Field(ge=0, le=100)] = 59.0
    at_least: Annotated[int, Field(ge=1)]
    """Domains that must have an index; fewer make a null."""


class WaterFactors(Model):
    """The signs of what GB 3838-2002 classes surface water by, in its units; not all need be."""

    do: SignId
    codmn: SignId | None = None
    nh3n: SignId | None = None
    tp: SignId | None = None
    ph: SignId | None = None


class WaterClass(Model):
    """The class of surface water by its worst single factor: 1 to 5, and 6 below class V."""

    name: Literal["water_class"]
    of: WaterFactors
    lake: bool = False
    """Whether phosphorus has the limits of lakes."""
    at_least: Annotated[int, Field(ge=1, le=5)] = 1
    """Factors that must have a value; fewer make a null."""


class BodyFactors(Model):
    """The signs of what NEWS2 scores."""

    resp: SignId
    spo2: SignId
    sbp: SignId
    hr: SignId
    body_temperature: SignId


class EarlyWarning(Model):
    """The score NEWS2 (RCP 2017) of a person who is alert and breathes air."""

    name: Literal["news2"]
    of: BodyFactors
    at_least: Annotated[int, Field(ge=1, le=5)] = 5
    """Measures that must have a value; fewer make a null."""


class Pollutants(Model):
    """The signs of the 1-hour means of the six pollutants of HJ 633, CO in mg/m³."""

    pm25: SignId
    pm10: SignId
    so2: SignId
    no2: SignId
    co: SignId
    o3: SignId


class AirIndex(Model):
    """The air quality index of HJ 633 in the version of the window's day.

    ``hour`` takes the 1-hour means at the window's end; ``day`` the 24 hourly means in the
    window, a local day or the last 24 hours.
    """

    name: Literal["aqi"]
    of: Pollutants
    period: Literal["hour", "day"]


class RatioToBaseline(Model):
    """A sign's value by what its model expects at that hour of the week.

    What can be chance is no burst: where fewer than `at_least` were counted, the second sign counts
    fewer than its own least, or the value lies within the model's band, the ratio is given as at
    most 1.
    """

    name: Literal["ratio_to_baseline"]
    of: SignId
    """A sign with a model, at the same keys."""
    floor: Annotated[float, Field(gt=0)] = 1.0
    """The least that is taken as expected, in the unit of the sign."""
    at_least: Annotated[float, Field(ge=0)] = 0.0
    and_of: SignId | None = None
    """A second sign at the same keys, such as the number of different callers."""
    and_at_least: Annotated[float, Field(ge=0)] = 0.0


class Combine(Model):
    """Signs at one key and window, joined: a value only where each of them has one."""

    name: Literal["combine"]
    of: Annotated[list[SignId], Field(min_length=2, max_length=16)]
    how: Literal[
        "first",
        "sum",
        "mean",
        "min",
        "max",
        "product",
        "difference",
        "ratio",
        "relative_change",
        "same",
    ]
    """`first` is the first one's value; `difference` the first less the second, `ratio` the first
    by the second, `relative_change` their difference by the second; `same` the value that all have.
    """
    scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the result, such as 100 for per cent."""
    otherwise: float | None = None
    """For `same`: the value where they differ; null if not given."""
    at_least: Annotated[int, Field(ge=1)] | None = None
    """For `min`, `max`, `mean` and `sum`: signs that must have a value; all, if not given."""


class Lag(Model):
    """What a sign said of the same key some windows ago."""

    name: Literal["lag"]
    of: SignId
    windows: Annotated[int, Field(ge=1, le=1000)]
    """How many hops of this sign back."""


class TimeToThreshold(Model):
    """Minutes until a sign reaches its next level, if it goes on as it changes now.

    Null at the gravest level, and where it does not change towards the next one.
    """

    name: Literal["time_to_threshold"]
    of: SignId
    rate: SignId
    """A sign at the same keys: the change of `of` a minute, in its unit."""


class Children(Model):
    """A function over the children of each parent: of a place, or in a hierarchy.

    In a hierarchy of many levels a parent is in turn a child of the next one: with its own value,
    or with that of the sign that `carry` names.
    """

    name: Literal["children"]
    of: SignId
    child: KeyLevel
    """Key level of the children, at which `of` speaks."""
    how: Literal["count", "sum", "mean", "min", "max", "same"]
    """Over the children that have a value; `same` is the value that all of them have."""
    carry: SignId | None = None
    """A sign at the same hierarchy: its value is what a parent is worth to its own parent."""
    complete: Annotated[str, Field(pattern=r"^(register|[a-z]+\.[a-z0-9_]+)$")] | None = None
    """A parent has a value only if as many children as are expected have one: `register`, as many
    as it lists; or a sign at the children's keys, whose value is that number."""
    otherwise: float | None = None
    """For `same`: the value where they differ; null if not given."""


Formula: TypeAlias = Annotated[
    PastMean
    | PastMax
    | ChildrenAtLevel
    | LevelIndex
    | DomainIndex
    | OverallIndex
    | AirIndex
    | WaterClass
    | EarlyWarning
    | RatioToBaseline
    | Combine
    | Lag
    | TimeToThreshold
    | Children,
    Field(discriminator="name"),
]
