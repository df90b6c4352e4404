"""Places and their levels, as macros of the oracle's database."""

from __future__ import annotations

import duckdb

PLACES = {"city": 4, "district": 6, "street": 9, "community": 12, "grid": 15}
"""Levels of places and the length of their codes."""


def define_macros(database: duckdb.DuckDBPyConnection) -> None:
    """Define ``at_<level>(place)``, ``level_of(place)``, and the arithmetic of aggregates."""
    database.execute("""
        CREATE MACRO at_city(place) AS place[1:4];
        CREATE MACRO at_district(place) AS
            CASE WHEN length(place) >= 6 AND place[5:6] <> '00' THEN place[1:6] END;
        CREATE MACRO at_street(place) AS CASE WHEN length(place) >= 9 THEN place[1:9] END;
        CREATE MACRO at_community(place) AS CASE WHEN length(place) >= 12 THEN place[1:12] END;
        CREATE MACRO at_grid(place) AS CASE WHEN length(place) >= 15 THEN place END;
        CREATE MACRO level_of(place) AS
            CASE length(place) WHEN 4 THEN 'city' WHEN 6 THEN 'district' WHEN 9 THEN 'street'
                WHEN 12 THEN 'community' ELSE 'grid' END;
        CREATE MACRO micro(x) AS round_even((x) * 1e6::DOUBLE, 0)::BIGINT;
        CREATE MACRO tpi(delay) AS CASE
            WHEN delay <= 0 THEN 0
            WHEN delay <= 0.3 THEN delay / 0.3 * 2
            WHEN delay <= 0.5 THEN 2 + (delay - 0.3) / 0.2 * 2
            WHEN delay <= 0.6 THEN 4 + (delay - 0.5) / 0.1 * 2
            WHEN delay <= 0.7 THEN 6 + (delay - 0.6) / 0.1 * 2
            ELSE 8 + (delay - 0.7) / 0.3 * 2 END""")
