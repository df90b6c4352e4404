"""Metrics of a configuration, beside those that every one knows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.metrics import Metric
from schemas.model import Model
from schemas.words import Name

Number = Annotated[float, Field(ge=-1e12, le=1e12)]


class MetricEntry(Model):
    """What the devices of a city measure that is no metric of the product."""

    code: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$", max_length=40)]
    """Name in events and signs."""
    name: Name
    unit: Annotated[str, Field(min_length=1, max_length=16)]
    """The one unit in which readings come."""
    minimum: Number
    maximum: Number
    """Physical range, both ends included: a reading out of it is refused."""
    period_s: Annotated[int, Field(ge=0, le=2_678_400)]
    """Usual seconds between two readings of a device; 0 where readings are happenings."""

    hj212: Annotated[str, Field(pattern="^[a-z][0-9]{5}$")] | None = None
    """Its factor in telegrams of HJ 212, such as w21001."""

    @property
    def metric(self) -> Metric:
        """As the engine knows it."""
        return Metric(
            self.code,
            self.name.zh,
            self.name.en,
            self.unit,
            self.minimum,
            self.maximum,
            self.period_s,
            hj212=self.hj212,
        )
