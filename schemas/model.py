"""What all models of the configuration share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Self, TypeAlias

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

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced, and with what is derived from them made anew."""
        other = super().model_copy(update=update, deep=deep)
        for name in [name for name in other.__dict__ if _is_cached(type(self), name)]:
            del other.__dict__[name]
        return other


def _is_cached(kind: type, name: str) -> bool:
    return isinstance(getattr(kind, name, None), cached_property)
