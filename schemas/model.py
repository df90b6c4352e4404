"""What all models of the configuration share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=400)]
Seconds: TypeAlias = Annotated[float, Field(ge=0, le=31_622_400)]
"""At most 366 days."""
Length: TypeAlias = Annotated[float, Field(gt=0, le=31_622_400)]


class Model(BaseModel):
    """Frozen, strict, without unknown fields or numbers that are not finite."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )
