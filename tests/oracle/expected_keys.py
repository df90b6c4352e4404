"""What the register says of a sign's keys: that they must speak, where they are, their limits."""

from __future__ import annotations

import duckdb
import msgspec

from schemas.configuration import Configuration
from schemas.devices import Device
from schemas.signs import SampledSign, WindowSign
from tests.oracle.places import base_sql, dimension_of, keys_sql

AFTER_ALL = 1 << 62
"""Later than any time."""

_NOISE_LIMITS = {"0": (50, 40), "1": (55, 45), "2": (60, 50), "3": (65, 55), "4a": (70, 55)}
_NOISE_LIMITS["4b"] = (70, 60)
"""GB 3096-2008 Table 1: by day and by night, dB."""

_TOLD = {"device", "metric", "source_id", "kind", "platform", "source", "place", "site"}
_TOLD |= {"site_type", "registered", "medium"}
"""Fields of an event that a row of the register has too."""


_COLUMNS = {
    **dict.fromkeys(
        ("topic", "device", "metric", "source_id", "kind", "platform", "medium"), "VARCHAR"
    ),
    **dict.fromkeys(("source", "place", "site", "site_type"), "VARCHAR"),
    **dict.fromkeys(
        ("period_s", "well_depth_m", "noise_day_db", "noise_night_db", "own_limit"), "DOUBLE"
    ),
    **dict.fromkeys(("since", "until"), "BIGINT"),
    "registered": "BOOLEAN",
}


def make_register(database: duckdb.DuckDBPyConnection, configuration: Configuration) -> None:
    """Fill the table ``register``, under the names that events have for its columns."""
    columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    database.execute(f"CREATE TABLE register ({columns})")
    rows = msgspec.json.encode([_row(device) for device in configuration.register.devices])
    shape = msgspec.json.encode([_COLUMNS])
    database.execute(
        "INSERT INTO register BY NAME SELECT unnest(rows, recursive := true) "
        f"FROM (SELECT unnest(from_json(?, '{shape.decode()}')) AS rows)",
        [rows.decode()],
    )


def _row(device: Device) -> dict[str, object]:
    by_day, by_night = _NOISE_LIMITS.get(device.noise_zone, (None, None))
    row = device._asdict()
    return {
        **{name: None if row.get(name) == "" else row.get(name) for name in _COLUMNS},
        "metric": device.kind,
        "source_id": device.device,
        "source": device.platform or None,
        "registered": True,
        "until": AFTER_ALL if device.until is None else device.until,
        "own_limit": device.limit,
        "noise_day_db": by_day,
        "noise_night_db": by_night,
    }


def make_expected_keys(
    database: duckdb.DuckDBPyConnection, sign: WindowSign | SampledSign, matching: str
) -> None:
    """Fill the table ``spans``: what counts of each key of a sign, and from when to when.

    Parameters
    ----------
    matching
        The condition that the sign's ``match`` makes.
    """
    told = sign.topic in ("sensor", "traffic", "arrivals") and sign.match.keys() <= _TOLD
    told = told and (dimension_of(sign.keys) or "platform") in _TOLD
    topic = "traffic" if sign.topic == "traffic" else "sensor"
    sender = "source_id" if sign.topic == "traffic" else "device"
    limit = sign.limit if isinstance(sign, WindowSign) else None
    bound = "NULL::DOUBLE"
    if limit is not None:
        bound = "own_limit" if limit.name == "limit" else limit.name
    level, key = base_sql(sign.base, sender)
    dimension = dimension_of(sign.keys)
    if sign.aggregate.function == "online":
        matching = f"{matching} AND period_s > 0"
    if not told:
        matching, dimension = "false", None
    database.execute(f"""
        CREATE OR REPLACE TEMP TABLE registered AS
        SELECT {level} AS base_level, {key} AS base_key, place, since, until, device,
            {dimension or "NULL"} AS divided, {bound} AS lim
        FROM register WHERE topic = '{topic}' AND {matching}""")
    database.execute(
        "CREATE OR REPLACE TEMP TABLE spans AS " + keys_sql(sign.keys, sign.rollup, "registered")
    )


def expected_at(ends: str) -> str:
    """The query of the keys that must speak in windows, by their ends.

    ``devices`` counts what is registered for the key, a device once however many things it
    reports; ``since`` is when the oldest of it began to count, and ``lim`` the smallest limit.
    """
    return f"""
        SELECT key_level, key, t_end, count(DISTINCT device) AS devices, min(since) AS since,
            arg_max(place, (since, place)) AS stands, min(lim) AS lim
        FROM spans JOIN {ends} ON since < t_end AND t_end <= until
        GROUP BY ALL"""
