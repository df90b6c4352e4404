"""The configuration of a PostgreSQL database that results and alerts are written to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.model import Model


class PostgresSink(Model):
    """A database beside the gateway's own history; nothing of it changes a result."""

    dsn_file: Annotated[str, Field(min_length=1)]
    """File whose first line is the connection string, as
    ``postgresql://vitals:password@db:5432/city``."""
    tables_in: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "public"
    """PostgreSQL schema of the tables; it must be there."""
    keep_days: Annotated[int, Field(ge=1, le=36_600)] | None = None
    """Results and transitions older than so many days are deleted; all are kept if it is not
    given."""
