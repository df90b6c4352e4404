"""How the gateway is reached, and by whom: none of it changes a result."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from schemas.model import Length, Model
from schemas.postgres_sink import PostgresSink

Role: TypeAlias = Literal["viewer", "operator", "auditor", "admin"]


class Token(Model):
    """Who may come in, and as what."""

    name: Annotated[str, Field(pattern=r"^[\w. -]{1,64}$")]
    """As it stands in the audit log."""
    role: Role
    token_file: Annotated[str, Field(min_length=1)]
    """File whose first line is the token, at least 16 characters."""


class Gateway(Model):
    """The address, who may use it, and how long history is kept."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    """Anything but loopback needs a certificate and tokens."""
    names: Annotated[
        list[Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,255}$")]], Field(default_factory=list)
    ]
    """Under which it is called too, such as city.example: another name may be a trick."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8808
    certificate_file: str | None = None
    """PEM, for TLS."""
    key_file: str | None = None
    """Its private key, PEM."""
    tokens: Annotated[list[Token], Field(default_factory=list)]
    """Where none is named, one of an admin is made at the first start and kept beside the data."""
    origins: Annotated[
        list[Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]-]{1,255}$")]],
        Field(default_factory=list),
    ]
    """Pages elsewhere, such as https://board.example, whose scripts may ask with a token."""
    keep_s: Length = 31 * 86_400.0
    """How long history is kept."""
    postgres: PostgresSink | None = None
    """A database that results and alerts are written to as well."""
    body_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 16 << 20
    """Most bytes of one batch of events."""
    requests_per_s: Annotated[float, Field(ge=1, le=100_000)] = 100.0
    """Of one address, on average; ten times as many in a burst."""
    connections: Annotated[int, Field(ge=8, le=100_000)] = 2_000
    """Open at once; a tenth of them, and at least four, are kept from streams."""

    @model_validator(mode="after")
    def _check(self) -> Gateway:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        return self
