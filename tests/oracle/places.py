"""Places, keys and their levels, as macros of the oracle's database."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.words import split_level

PLACES = {"city": 4, "district": 6, "street": 9, "community": 12, "grid": 15}
"""Levels of places and the length of their codes."""

MACROS = """
    CREATE MACRO at_city(place) AS place[1:4];
    CREATE MACRO at_district(place) AS
        CASE WHEN length(place) >= 6 AND place[5:6] <> '00' THEN place[1:6] END;
    CREATE MACRO at_street(place) AS CASE WHEN length(place) >= 9 THEN place[1:9] END;
    CREATE MACRO at_community(place) AS CASE WHEN length(place) >= 12 THEN place[1:12] END;
    CREATE MACRO at_grid(place) AS CASE WHEN length(place) >= 15 THEN place END;
    CREATE MACRO level_of(place) AS
        CASE length(place) WHEN 4 THEN 'city' WHEN 6 THEN 'district' WHEN 9 THEN 'street'
            WHEN 12 THEN 'community' ELSE 'grid' END"""


def base_sql(base: str, sender: str) -> tuple[str, str]:
    """Level and key under which a row counts first; a place that is known less stays itself."""
    if base in PLACES:
        cut = f"coalesce(at_{base}(place), place)"
        return f"level_of({cut})", cut
    return f"'{base}'", f"coalesce(site, {sender})" if base in ("station", "site") else sender


def keys_sql(keys: Sequence[str], rollup: str, rows: str) -> str:
    """Rows once for each key that they count for, with the place of the key.

    Parameters
    ----------
    keys
        Key levels of the sign.
    rollup
        ``merge``: all keys; else the base key alone.
    rows
        A table with ``base_level``, ``base_key``, ``place`` and ``divided``, the value of the
        dimension.
    """
    columns = "* EXCLUDE (base_level, base_key, place, divided)"
    own = f"SELECT base_level AS key_level, base_key AS key, place, {columns} FROM {rows}"
    if rollup != "merge":
        return own
    parts = []
    for level in keys:
        dimension, place_level = split_level(level)
        if place_level not in PLACES:
            parts.append(f"{own} WHERE base_level = '{level}'")
            continue
        at = f"at_{place_level}(place)"
        key = at if dimension is None else f"divided || '*' || {at}"
        parts.append(
            f"SELECT '{level}' AS key_level, {key} AS key, {at} AS place, {columns} "
            f"FROM {rows} WHERE {key} IS NOT NULL"
        )
    return " UNION ALL BY NAME ".join(parts)


def dimension_of(keys: Sequence[str]) -> str | None:
    """The field that divides the keys of places."""
    return next((name for key in keys if (name := split_level(key)[0])), None)
