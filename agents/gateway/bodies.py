"""What is asked of the gateway, and how its answers look to those who read its documents."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"

Who = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=_LINE)
]
Why = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=_LINE)
]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Login(Body):
    """Opens a session."""

    token: Annotated[str, Field(min_length=1, max_length=512)]


class Mark(Body):
    """Who decides, and why."""

    name: Who
    reason: Why


class Shelve(Mark):
    """As a mark, with a limit."""

    minutes: Annotated[int, Field(ge=1, le=1440)]


class Problem(BaseModel):
    """Why something was not done."""

    error: str
    message_zh: str
    message: str
    hint: str


class Health(BaseModel):
    status: str


class Name(BaseModel):
    zh: str
    en: str


class CityName(Name):
    place: str
    time_zone: str


class Session(BaseModel):
    """Who is asking, and about which city."""

    name: str
    role: Literal["viewer", "operator", "auditor", "admin"]
    city: CityName
    languages: list[str]
    version: str


class Taken(BaseModel):
    """A command that was written; it takes effect at the next window's end."""

    command: str


class Counts(BaseModel):
    """Events by what became of them."""

    read: int
    rejected: int
    duplicate: int
    late: int
    filtered: int
    accepted: int
    accepted_late: int
    remainder: int


class LaneCounts(Counts):
    """Events of one lane by what became of them, and how far it is."""

    lane: str
    topic: str
    partition: int
    next_offset: int
    ticks: int
    end_offset: int | None
    watermark: int | None


class AccountingAnswer(BaseModel):
    """Where every event went, and how far the engine is."""

    now: int
    as_of: int | None
    engine: Literal["running", "stopped", "unknown"]
    behind_after_ms: int
    """How far the watermark may be behind the clock: more, where the city's time runs faster."""
    behind: bool
    trouble: str | None
    """Why the log can not be read just now."""
    history_trouble: str | None
    """Why the history is not kept just now."""
    postgres_trouble: str | None
    """Why nothing is written to the database just now."""
    lag: int | None
    watermark_delay_ms: int | None
    total: Counts
    lanes: list[LaneCounts]


class Place(BaseModel):
    code: str
    level: Literal["city", "district", "street"]
    zh: str
    en: str | None
    parent: str | None


class Places(BaseModel):
    places: list[Place]


class AuditEntry(BaseModel):
    n: int
    t: int
    who: str
    role: str
    action: str
    target: str
    detail: dict[str, Any]
    prev: str
    hash: str


class Audit(BaseModel):
    """The newest entries, and whether the chain holds."""

    items: list[AuditEntry]
    verified: bool
    problem: str | None


class History(BaseModel):
    """Columns: one row is a window, or a bucket of them."""

    sign: str
    key_level: str
    key: str
    unit: str | None
    resolution_ms: int | None
    t: list[int]
    value: list[float | None]
    min: list[float | None] = []
    max: list[float | None] = []
    level: list[int | None]
    coverage: list[float]
    n: list[int]
    missing: list[int]
    reason: list[str | None]
    rev: list[int]
    expected: list[float | None]
    low: list[float | None]
    high: list[float | None]
