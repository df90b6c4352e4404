"""Which model learns a sign's ordinary values, and when its surprise becomes an alert."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from schemas.model import Model, Seconds
from schemas.words import KeyLevel


class _ModelFields(Model):
    """What every model has."""

    keys: list[KeyLevel] | None = None
    """The keys that are learned; all of the sign's if not given."""
    side: Literal["both", "high", "low"] = "both"
    """Which values can be anomalies."""
    z_alarm: Annotated[float, Field(gt=0, le=7)] = 4.0
    """Deviations from the expected value at which a value is an anomaly."""
    floor: Annotated[float, Field(gt=0)] = 1e-6
    """The least that is taken as one deviation, in the sign's unit: a move that means nothing."""
    every_s: Annotated[float, Field(ge=0, le=86_400)] = 900.0
    """At most one value in so long is learned: windows overlap."""
    on_delay_s: Seconds = 0.0
    """How long values must be anomalies until an alert is raised."""
    off_delay_s: Seconds = 0.0
    """How long they must be ordinary until it clears."""
    probe_times: Annotated[float, Field(gt=1, le=1000)] = 3.0
    """A planted outlier is so many times the expected value (or that part of it, on the low side).
    """
    probe_add: Annotated[float, Field(ge=0)] = 0.0
    """And so much more, in the sign's unit."""


class HourOfWeek(_ModelFields):
    """Median and deviation of recent values at this hour of the week."""

    detector: Literal["hour_of_week"]
    counts: bool = False
    """Whether values are counts of things that happen by chance: a deviation is then at least the
    root of the expected count."""
    relative_floor: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The least that is taken as one deviation, as a share of the expected value."""
    least: Annotated[int, Field(ge=3, le=1000)] = 12
    """Values that an hour must have before it answers."""
    keep: Annotated[int, Field(ge=4, le=1000)] = 32
    """Newest values that are kept of each hour of the week."""


class Gaussian(_ModelFields):
    """Mean and deviation of the newest values: River's GaussianScorer."""

    detector: Literal["gaussian"]
    window: Annotated[int, Field(ge=2, le=10_000)] = 500
    """Newest values that count."""
    least: Annotated[int, Field(ge=2, le=100_000)] = 100
    """Values that must be learned before it answers."""


ModelRule: TypeAlias = Annotated[HourOfWeek | Gaussian, Field(discriminator="detector")]
