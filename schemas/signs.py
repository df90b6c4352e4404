"""The signs of a catalogue: what is aggregated, over which windows, and how it is judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from schemas.derivations import (
    AirIndex,
    Children,
    Combine,
    DomainIndex,
    EarlyWarning,
    Formula,
    LevelIndex,
    RatioToBaseline,
    TimeToThreshold,
    WaterClass,
)
from schemas.judging import ModelRule
from schemas.model import Length, Model, Seconds, Text
from schemas.words import (
    BaseLevel,
    Condition,
    KeyLevel,
    LevelName,
    Matched,
    Name,
    SignId,
    Standing,
    Stream,
    TableId,
)

COUNTS = ("count", "distinct", "hits")
"""Aggregates of which a part of a window is a lower bound."""


class Window(Model):
    """A size and a hop that start at multiples of the hop, or a period of the local calendar."""

    size_s: Length | None = None
    hop_s: Length | None = None
    calendar: Literal["day", "daytime", "night", "month"] | None = None
    """The local day, its daytime (06:00 to 22:00), night (22:00 to 06:00) or month; closed once,
    at its end."""
    during: Literal["daytime", "night"] | None = None
    """Of the windows of a size, those alone that lie in one local daytime or night."""


class Aggregate(Model):
    """What is computed from the events of a window."""

    function: Literal[
        "count",
        "sum",
        "mean",
        "min",
        "max",
        "peak",
        "last",
        "rate",
        "variance",
        "stddev",
        "quantile",
        "distinct",
        "ratio",
        "slope",
        "leq",
        "tpi",
        "online",
        "share",
        "hits",
    ]
    """`peak` is the largest magnitude; `last` is the newest value, the larger one of two at the
    same ms; `variance` and `stddev` are those of a whole population; `rate` is the sum of the field
    a second; `ratio` is sum of `of` by sum of `over`; `slope` the change a second by least squares;
    `leq` the level of the mean energy, dB; `online` the share of the registered devices that were
    heard within three of their periods; `share` the share of the events for which `where` holds, of
    those for which `among` does; `hits` the number of those for which `where` holds."""
    of: str | None = None
    """Field of the event; the value, for readings."""
    over: str | None = None
    """Field of the denominator: of the sums for `ratio`, of each event for `max` and `min`."""
    scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the result: 100 for per cent, 3600 for a rate by the hour."""
    q: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Which quantile: 0.5 is the median."""
    where: dict[str, Condition] | None = None
    """For `share`, `hits` and `distinct`: fields and what they must be, such as the `value` of
    readings. An event that lacks one of them is not taken."""
    among: dict[str, Condition] | None = None
    """For `share`: of which events; of all, if not given."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """The fields that conditions read, each once."""
        return tuple(dict.fromkeys([*(self.where or ()), *(self.among or ())]))


class Coverage(Model):
    """Enough data for a value: less is null."""

    by: Literal["time", "samples", "devices"]
    at_least: Annotated[float, Field(ge=0)]
    """Share of the window, number of samples, or share of the known devices that are fresh."""


class Limit(Model):
    """The value of a base key against what the register says of it; without that it is null."""

    name: Literal["limit", "well_depth_m", "noise_day_db", "noise_night_db"]
    """The limit or the depth that the register has of the device, or that of its noise zone
    (GB 3096-2008)."""
    how: Literal["ratio", "excess", "deviation"]
    """Value by limit; value less limit; or how far from the limit it is, by the limit; then times
    `scale`."""
    scale: Annotated[float, Field(gt=0)] = 1.0


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

    def since(self, least: LevelName) -> Thresholds:
        """Those of a level and of the graver ones.

        >>> Thresholds(blue=1, yellow=2, red=5).since("yellow").given()
        [('yellow', 2.0), ('red', 5.0)]
        """
        names: list[LevelName] = ["blue", "yellow", "orange", "red"]
        kept = names[names.index(least) :]
        return Thresholds(**{name: x for name, x in self.given() if name in kept})


class Levels(Model):
    """How a value becomes a level, and on whose word."""

    compare: Literal["ge", "gt", "le", "lt"]
    thresholds: Thresholds
    source: Text
    """The standard or paper and its section, or 'proposal'."""
    standing: Standing


class DatedLevels(Levels):
    """The levels of a dated table: those of its newest version, and all of them."""

    versions: tuple[tuple[str | None, str | None, str, Levels], ...]
    """First and last local day, both included, label, and levels of each, the oldest first."""


class Early(Model):
    """A key's alert is one level graver while its value comes to that level within minutes."""

    within_min: Annotated[float, Field(gt=0, le=1440)]
    rate: SignId
    """A sign at the keys that raise alerts: the change of the value a minute, in its unit."""


class AlertRule(Model):
    """When a level becomes an alert and when the alert clears."""

    keys: list[KeyLevel] | None = None
    """The keys that raise alerts; all of the sign's if not given. A maximum over children says the
    same as one of them: one line of a list is enough for both."""
    least_level: LevelName = "blue"
    """The mildest level that raises an alert; milder ones are shown with the value alone."""
    deadband: Annotated[float, Field(ge=0)] = 0.0
    on_delay_s: Seconds = 0.0
    off_delay_s: Seconds = 0.0
    early: Early | None = None
    """Whether it is raised one level early."""


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
    hidden: Annotated[list[KeyLevel], Field(default_factory=list)]
    """Those of its keys whose results are not sent: other signs or incidents read them. Where all
    are, counts are known from the first event on: who asks for two callers need not wait until a
    whole window was seen."""
    levels: Levels | None = None
    table: TableId | None = None
    """The dated table of levels that it is judged by, instead of `levels`."""
    alert: AlertRule | None = None
    model: ModelRule | None = None
    """What learns the sign's ordinary values, and tells what is out of them."""
    empty: Literal["missing", "zero"] = "missing"
    """What a window without events means: zero for counts of things that happen."""

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Levels of a table stand there, and not in the sign."""
        content: dict[str, Any] = handler(self)
        if self.table is not None:
            content.pop("levels", None)
        else:
            content.pop("table", None)
        return content


class EventSign(SignFields):
    """What every sign that reads events has."""

    topic: Stream
    match: dict[str, Matched]
    """Field of the event and the value it must have; one of the values, where it is a list."""
    base: BaseLevel
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
    limit: Limit | None = None
    forget_s: Length | None = None
    """A key that is silent for so long is forgotten; `forget_s` of the configuration if absent."""


class SampledSign(EventSign):
    """An aggregate over the last value of each device, or the open orders, at every hop."""

    kind: Literal["sampled"]
    period_s: Length | None = None
    """Usual time between two events of a device; one older than three periods is missing. Open
    orders have none, arrivals have that of their device, and a warning says when it expires."""
    rollup: Literal["merge"] = "merge"


class Repeats(Model):
    """The share of the events that repeat an earlier one, in per cent."""

    of: Annotated[list[Annotated[list[str], Field(min_length=1)]], Field(min_length=1)]
    """An event repeats an earlier one where all fields of one of these lists are the same; of the
    same ms neither is the earlier."""
    within_s: Length
    """How far back the other one may lie."""


class HistorySign(SignFields):
    """Events against a table of earlier ones at the same key."""

    kind: Literal["history"]
    topic: Stream
    match: dict[str, Matched]
    base: BaseLevel
    repeats: Repeats
    coverage: Coverage | None = None
    rollup: Literal["merge"] = "merge"

    @property
    def aggregate(self) -> Aggregate:
        """Repeats by events."""
        return Aggregate(function="ratio", of="repeats", over="events", scale=100.0)

    @property
    def reads(self) -> str | None:
        return None


class LiveSign(SignFields):
    """A sign of the engine itself, in processing time; no other sign may read it."""

    kind: Literal["live"]
    measure: Literal["lag_p99", "alerts_raised", "flood_time"]
    """Seconds from a window's end to its result, 99th percentile; alerts raised in the window; the
    share of the window's hops in which more than ten alerts were raised, in per cent."""


class DerivedSign(SignFields):
    """A formula over other signs."""

    kind: Literal["derived"]
    formula: Formula

    @property
    def inputs(self) -> list[str]:
        """Ids of the signs that the formula reads, each once."""
        return list(dict.fromkeys(name for name, _ in self.input_paths))

    @property
    def input_paths(self) -> list[tuple[str, tuple[str | int, ...]]]:
        """Ids of the signs that the formula reads, and where in the sign each of them stands."""
        formula = self.formula
        if isinstance(formula, LevelIndex):
            return [(w.sign, ("formula", "of", i, "sign")) for i, w in enumerate(formula.of)]
        if isinstance(formula, DomainIndex):
            return [
                (w.sign, ("formula", "domains", d, "of", i, "sign"))
                for d, domain in enumerate(formula.domains)
                for i, w in enumerate(domain.of)
            ]
        if isinstance(formula, AirIndex | WaterClass | EarlyWarning):
            named = formula.of.model_dump(exclude_none=True)
            return [(sign, ("formula", "of", name)) for name, sign in named.items()]
        if isinstance(formula, Combine):
            return [(sign, ("formula", "of", i)) for i, sign in enumerate(formula.of)]
        found: list[tuple[str, tuple[str | int, ...]]] = [(formula.of, ("formula", "of"))]
        if isinstance(formula, RatioToBaseline) and formula.and_of is not None:
            found.append((formula.and_of, ("formula", "and_of")))
        if isinstance(formula, TimeToThreshold):
            found.append((formula.rate, ("formula", "rate")))
        if isinstance(formula, Children):
            if formula.carry is not None:
                found.append((formula.carry, ("formula", "carry")))
            if formula.complete not in (None, "register"):
                found.append((str(formula.complete), ("formula", "complete")))
        return found


Sign: TypeAlias = Annotated[
    WindowSign | SampledSign | HistorySign | DerivedSign | LiveSign, Field(discriminator="kind")
]
Folded: TypeAlias = WindowSign | SampledSign | HistorySign
"""Signs that lanes fold events for."""
