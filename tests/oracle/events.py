"""Events of a log in DuckDB, each with its lane's watermark and its bin."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from schemas.configuration import Configuration, Topic
from schemas.events import decode
from schemas.fields import fields_of
from schemas.metrics import METRICS
from schemas.refusal import Refused
from schemas.signs import EventSign, HistorySign, Sign
from schemas.words import Condition, Range
from tests.oracle.arrivals import legible
from tests.oracle.logs import read_records, topics_in

_KINDS = ("sensor", "traffic", "hotline", "external")
_READ = ("sensor", "traffic", "hotline", "external")
"""Kinds of which signs are stated; of the others it is only told what became of the records."""
_FUTURE_MS = 86_400_000
"""An event further ahead of its record is refused."""
_TYPES = {"number": "DOUBLE", "text": "VARCHAR", "flag": "BOOLEAN"}
_TIMES = ("t", "t_end", "t_ingest")
_LIMITS = ("t_created", "due", "t_expires")
_TOLD = ("text", "caller", "caller_hash")
"""What hotline events say that no sign reads as it stands."""
_OWN = {
    "topic": "VARCHAR",
    "family": "VARCHAR",
    "part": "INTEGER",
    "pos": "BIGINT",
    "logged": "BIGINT",
    "rejected": "BOOLEAN",
}


def load_events(
    database: duckdb.DuckDBPyConnection, configuration: Configuration, folder: Path
) -> None:
    """Fill the table ``events``: every record of the logs in a folder, with its bin.

    Columns: topic, family (kind of topic), part and pos (partition, offset), the event's fields,
    e (event time), w (watermark before the record; null for none), moved (what the record would
    move the watermark to), bin, late (whether an accepted one is).
    """
    database.execute("CREATE TABLE topics (topic VARCHAR, d BIGINT, l BIGINT, k BIGINT)")
    for topic in configuration.topics:
        lengths = (topic.disorder_s, topic.allowed_lateness_s, topic.skew_s)
        database.execute(
            "INSERT INTO topics VALUES (?, ?, ?, ?)",
            [topic.name, *(round(s * 1000) for s in lengths)],
        )
    database.execute("CREATE TABLE metrics (code VARCHAR, period_s DOUBLE)")
    database.executemany(
        "INSERT INTO metrics VALUES (?, ?)", [(m.code, m.period_s) for m in METRICS.values()]
    )
    _load_records(database, configuration, folder)
    _find_watermarks(database)
    _find_duplicates(database)
    takers = [taker for sign in configuration.signs if (taker := _taker(sign))] or ["false"]
    database.execute(f"""
        CREATE TABLE events AS
        SELECT *, bin = 'accepted' AND e < w AS late FROM (
            SELECT seen.*,
                CASE
                    WHEN rejected THEN 'rejected'
                    WHEN (topic, part, pos) IN (SELECT (topic, part, pos) FROM repeats)
                        THEN 'duplicate'
                    WHEN e < w - l THEN 'late'
                    WHEN {" OR ".join(takers)} THEN 'accepted'
                    ELSE 'filtered'
                END AS bin
            FROM seen)""")


def _taker(sign: Sign) -> str | None:
    """The condition under which an event is accepted for a sign; None where none is."""
    if isinstance(sign, HistorySign):
        return f"(family = '{sign.topic}' AND {matching(sign)})"
    if not isinstance(sign, EventSign) or sign.topic == "arrivals":
        return None  # to arrive is not to be taken
    if sign.topic == "orders":
        return "(family = 'hotline' AND kind = 'order')"  # whatever it says, the order is kept
    return taking(sign)


def taking(sign: EventSign) -> str:
    """The condition under which a sign takes an event."""
    conditions = [f"family = '{sign.topic}'", matching(sign)]
    if sign.topic in ("sensor", "traffic"):
        conditions.append("q NOT IN ('bad', 'calib', 'maint')")
    fields = needed(sign)
    conditions += [f'"{field}" IS NOT NULL' for field in fields]
    if sign.aggregate.over is not None and sign.aggregate.function != "ratio":
        # Nothing is divided by zero, and a quotient beyond 10^12 means nothing.
        of, over = fields
        conditions += [f'"{over}" <> 0', f'abs("{of}" / "{over}"::DOUBLE) <= 1e12::DOUBLE']
    if sign.aggregate.function == "distinct":
        conditions.append(holding(sign.aggregate.where or {}))
    return "(" + " AND ".join(conditions) + ")"


def holding(wanted: Mapping[str, Condition]) -> str:
    """The condition that all fields are what is wanted of them."""
    conditions = ["true"]
    for field, value in wanted.items():
        if isinstance(value, Range):
            bounds = ((">=", value.at_least), ("<=", value.at_most))
            conditions += [f'"{field}" {how} {x!r}' for how, x in bounds if x is not None]
        else:
            values = value if isinstance(value, list) else [value]
            conditions.append(f'"{field}" IN ({", ".join(map(_literal, values))})')
    return "(" + " AND ".join(conditions) + ")"


def matching(sign: EventSign | HistorySign) -> str:
    """The condition that a sign's ``match`` makes."""
    return holding(sign.match)


def needed(sign: EventSign) -> list[str]:
    """The fields that a sign's aggregate reads."""
    aggregate = sign.aggregate
    if aggregate.function in ("count", "online"):
        return []
    if aggregate.function == "tpi":
        return ["link_len_m", "speed_kmh", "free_flow_kmh"]
    if aggregate.function in ("share", "hits"):
        return list(aggregate.conditions)
    of = aggregate.of or ("value" if sign.topic == "sensor" else None)
    return [field for field in (of, aggregate.over) if field is not None]


def _literal(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower()


def _columns() -> dict[str, str]:
    fields = {name: f.shape for kind in _READ for name, f in fields_of(kind).items()}
    columns = {name: _TYPES[shape] for name, shape in fields.items()}
    # No sign reads them, but they are part of an identity.
    columns |= {"seq": "BIGINT", "order_id": "VARCHAR"}
    columns |= dict.fromkeys(_TOLD, "VARCHAR")
    return _OWN | columns | dict.fromkeys((*_TIMES, *_LIMITS), "BIGINT")


def _load_records(
    database: duckdb.DuckDBPyConnection, configuration: Configuration, folder: Path
) -> None:
    columns = _columns()
    path = folder / "oracle.records"
    with path.open("wb") as file:
        for topic, log in topics_in(configuration, folder):
            if topic.kind in _KINDS:
                for row in _rows(topic, log, columns):
                    file.write(msgspec.json.encode(row) + b"\n")
    described = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    database.execute(f"""
        CREATE TABLE records AS
        SELECT *,
            CASE WHEN family IN ('hotline', 'external') THEN t ELSE coalesce(t_end, t) END AS e
        FROM read_json('{path}', format = 'newline_delimited', columns = {{{described}}})""")
    path.unlink()


def _rows(topic: Topic, log: Path, columns: dict[str, str]) -> Any:
    for record in read_records(topic, log):
        row = {
            "topic": topic.name,
            "family": topic.kind,
            "part": record.partition,
            "pos": record.offset,
            "logged": record.logged,
            "rejected": False,
        }
        try:
            event = decode(topic.kind, record.value)
        except Refused:
            event = None
        if event is None or _time_of(topic.kind, event) > record.logged + _FUTURE_MS:
            row["rejected"] = True
            row |= legible(record.value) if topic.kind == "sensor" else {}
        else:
            wanted = columns if topic.kind in _READ else (*_TIMES, "source", "id")
            names = (name for name in event.__struct_fields__ if name in wanted)
            row |= {name: value for name in names if (value := getattr(event, name)) is not None}
        yield row


def _time_of(kind: str, event: Any) -> int:
    lasts = kind in ("sensor", "traffic") and event.t_end is not None
    return int(event.t_end if lasts else event.t)


def _find_watermarks(database: duckdb.DuckDBPyConnection) -> None:
    # Reading: (device, metric, t, seq); observation: (kind, source_id, lane, direction, t).
    database.execute("""
        CREATE TABLE seen AS
        SELECT *,
            max(moved) OVER (
                PARTITION BY topic, part ORDER BY pos ROWS BETWEEN UNBOUNDED PRECEDING
                AND 1 PRECEDING) AS w,
            CASE
                WHEN rejected THEN NULL
                WHEN family = 'external' AND id IS NOT NULL
                    THEN to_json([source, id, t::VARCHAR])
                WHEN id IS NOT NULL THEN to_json(['id', source, id])
                WHEN family = 'sensor' THEN to_json([device, metric, t::VARCHAR, seq::VARCHAR])
                WHEN family = 'traffic'
                    THEN to_json([kind, source_id, lane, direction, t::VARCHAR])
                WHEN kind = 'order' THEN to_json([system, order_id, seq::VARCHAR, status])
            END::VARCHAR AS identity
        FROM (
            SELECT *, CASE WHEN NOT rejected AND e <= logged + k THEN e - d END AS moved
            FROM records JOIN topics USING (topic))""")


def _find_duplicates(database: duckdb.DuckDBPyConnection) -> None:
    """Fill ``repeats``; in a loop, because what a record notes depends on those before it."""
    rows = database.execute("""
        SELECT topic, part, identity, pos, e, w - l FROM seen
        WHERE identity IS NOT NULL
        QUALIFY count(*) OVER (PARTITION BY topic, part, identity) > 1
        ORDER BY topic, part, identity, pos""").fetchall()
    repeats = []
    for _, same in groupby(rows, key=lambda row: row[:3]):
        noted: int | None = None
        for topic, part, _, pos, e, limit in same:
            if noted is not None and (limit is None or noted >= limit):
                repeats.append((topic, part, pos))
            elif limit is None or e >= limit:
                noted = e
    database.execute("CREATE TABLE repeats (topic VARCHAR, part INTEGER, pos BIGINT)")
    if repeats:
        values = ", ".join(f"('{topic}', {part}, {pos})" for topic, part, pos in repeats)
        database.execute(f"INSERT INTO repeats VALUES {values}")
