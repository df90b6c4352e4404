"""Signs of the hotline: keys with a dimension, histories, open orders, due times, flags."""

from __future__ import annotations

import duckdb

from schemas.configuration import Configuration
from schemas.signs import Sign


def compute_hotline(
    database: duckdb.DuckDBPyConnection, configuration: Configuration, sign: Sign
) -> None:
    """Add the results of a sign of the hotline or of its open orders to ``expected``."""
    raise NotImplementedError(sign.id)
