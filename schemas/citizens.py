"""What a configuration says of citizens' calls: topics, places by name, working days, limits."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from schemas.model import Model


def _day(text: str) -> str:
    try:
        if date.fromisoformat(text).isoformat() != text:
            raise ValueError
    except ValueError:
        raise ValueError("expected a date, such as 2026-10-01") from None
    return text


Day: TypeAlias = Annotated[str, AfterValidator(_day)]
"""A local date, such as 2026-10-01."""
Keyword: TypeAlias = Annotated[str, Field(min_length=1, max_length=24)]


class Topic(Model):
    """A category of orders, and the words by which a call is known to be of it."""

    name: Annotated[str, Field(min_length=1, max_length=24, pattern=r"^[^*|]+$")]
    code: Annotated[str, Field(pattern="^[0-9A-Za-z.-]{1,16}$")]
    keywords: Annotated[list[Keyword], Field(min_length=1, max_length=64)]


class Hotline(Model):
    """How calls in free text are read; nothing of the text goes further."""

    topics: Annotated[list[Topic], Field(default_factory=list, max_length=500)]
    """The closed list of categories that a text may be given."""
    places: Annotated[
        dict[Annotated[str, Field(min_length=2, max_length=32)], str], Field(default_factory=dict)
    ]
    """Names of districts and streets, with their codes: they make a coarse place finer."""
    caller_key_file: str | None = None
    """A file with the secret under which callers become hashes, relative to the file that names it;
    without one a data folder makes its own, and workers on Kafka do not tell callers apart."""


class DueLimit(Model):
    """How long an order of a type may take where the order itself does not say."""

    type: Literal["consult", "help", "complaint", "report", "suggestion"]
    working_days: Annotated[int, Field(ge=1, le=250)]


class Orders(Model):
    """The keeping of work orders."""

    due: Annotated[list[DueLimit], Field(default_factory=list)]
    forget_closed_days: Annotated[int, Field(ge=1, le=366)] = 30
    """A closed order without a further step is forgotten after so many days."""
    forget_open_days: Annotated[int, Field(ge=1, le=1000)] = 400
    """So is an open one; the engine counts them."""


class Calendar(Model):
    """Working days: Monday to Friday, less holidays, plus days made up for them."""

    holidays: Annotated[list[Day], Field(default_factory=list)]
    workdays: Annotated[list[Day], Field(default_factory=list)]
