"""Records the engine sends: what their topics, keys, ids and bytes are (rule R6).

Every output carries CloudEvents binary headers whose ``ce_id`` is deterministic; nothing of
processing time is in a payload.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from agents.said import NONE, Said
from schemas.accounting import LaneAccounting
from schemas.alert import Alert, Why
from schemas.deadletter import DeadLetter
from schemas.encoding import encode
from schemas.late import LateEvent
from schemas.refusal import Refused
from schemas.tick import Claim, Tick
from schemas.vital import REASONS
from streams.accounting import Accounting
from streams.aggregates import Family
from streams.cuts import Cut
from streams.heads import Floats, Ints
from streams.partials import PassedOn, pack, pass_on
from streams.records import Lane, Output
from streams.timeline import BEFORE_ALL

VITALS = "city.vitals.v1"
VITALS_LOG = "city.vitals-log.v1"
DEVICE_VITALS = "city.device-vitals.v1"
ALERTS = "city.alerts.v1"
ALERT_LOG = "city.alert-log.v1"
LATE = "city.late.v1"
DEAD_LETTER = "city.deadletter.v1"
TICKS = "city.ticks.v1"
PARTIALS = "city.partials.v1"
SNAPSHOTS = "city.snapshots.v1"
ACCOUNTING = "city.accounting.v1"
CONTROL = "city.control.v1"

COMPACTED = (VITALS, ALERTS, ACCOUNTING)
"""Topics of which only the newest record of a key counts."""
LOGS = (VITALS_LOG, DEVICE_VITALS, ALERT_LOG, LATE, DEAD_LETTER, TICKS)
"""Topics of which every record counts."""


TICK, CLAIM, PARTIAL = b"city.tick.v1", b"city.claim.v1", b"city.partial.v1"
COMMAND = b"city.command.v1"
"""Types of the records that only workers read."""
LOST = "engine.lost_records"

_VERSION = ("ce_specversion", b"1.0")
_SOURCE = ("ce_source", b"/cityvitals")
_JSON = ("content-type", b"application/json")
_PACKED = ("content-type", b"application/msgpack")


def _send(
    topics: tuple[str, ...], key: str, ce_id: str, ce_type: bytes, value: bytes, t: int
) -> list[Output]:
    """One record for each of the topics, with the same key, id and bytes."""
    headers = (_VERSION, ("ce_id", ce_id.encode()), _SOURCE, ("ce_type", ce_type), _JSON)
    name = key.encode()
    # As `Output` would: there is one for each result.
    return [_new_output(Output, (topic, name, value, headers, t, None)) for topic in topics]


_new_output = tuple.__new__


def vital_results(
    sign: str,
    unit: str,
    said: Said,
    start: int,
    end: int,
    *,
    rev: int,
    config: str,
    newest: bool,
    table: str | None = None,
    live: bool = False,
) -> list[Output]:
    """Results for the log, and for the compacted topic where their window is the keys' newest.

    ``table`` is that of the sign; rows may have tables of their own in their details.
    """
    # The fields of `schemas.vital.VitalResult`, written without it and column by column: results
    # are the most frequent output by far.
    topics = (VITALS_LOG, VITALS) if newest else (VITALS_LOG,)
    head = f'{{"vital":{_text(sign)},"key_level":'
    window = f',"t_start":{start},"t_end":{end},"value":'
    numbered = f',"unit":{_text(unit)},"n":'
    final = "true" if rev == 1 else "false"
    after = f',"rev":{rev},"final":{final},"detail":'
    tail = f',"config":{_text(config)},"live":{"true" if live else "false"}}}'
    plain = f',"table":{_text(table)}{tail}'
    stamp = f"|{end}|{rev}"
    details, models = said.details, said.models
    rows = zip(
        said.names,
        _texts([name for _, name in said.names]),
        _texts(said.places),
        _numbers(said.values),
        _numbers(said.n),
        _numbers(said.coverage),
        said.levels.tolist(),
        said.reasons.tolist(),
        strict=True,
    )
    levels: dict[str, tuple[str, str]] = {}
    outputs: list[Output] = []
    for i, ((level, name), key, place, value, n, coverage, severity, reason) in enumerate(rows):
        if level not in levels:
            levels[level] = f'{head}{_text(level)},"key":', f"{sign}|{level}|"
        before, named = levels[level]
        detail, judged = _JSON_NULL, plain
        if i in details:
            detail = orjson.dumps(details[i]).decode()
            if "table" in details[i]:
                judged = f',"table":{_text(table_of(table, details[i]))}{tail}'
        model = _JSON_NULL if i not in models else orjson.dumps(models[i]).decode()
        payload = (
            f'{before}{key},"place":{place}{window}{value}{numbered}{n},"coverage":{coverage}'
            f',"level":{_LEVELS[severity]},"reason":{_REASONS[reason]}{after}{detail}'
            f',"model":{model}{judged}'
        )
        key = f"{named}{name}"
        ce_id = f"{key}{stamp}"
        outputs += _send(topics, key, ce_id, b"city.vital.v1", payload.encode(), end)
    return outputs


def table_of(table: str | None, detail: Mapping[str, Any] | None) -> str | None:
    """The tables that a result is made of and judged by: those of its sign, and its own.

    >>> table_of(None, {"table": "CMA Order 16 (2007)"}), table_of("HJ 633-2026", {"children": 3})
    ('CMA Order 16 (2007)', 'HJ 633-2026')
    """
    told = (table, None if detail is None else detail.get("table"))
    return ", ".join(dict.fromkeys(one for one in told if one)) or None


_JSON_NULL = "null"
_LEVELS = ("0", "1", "2", "3", "4", _JSON_NULL)
_REASONS = (*(f'"{reason}"' for reason in REASONS), _JSON_NULL)
"""What small numbers stand for; the last one is that of `NONE`."""


def _text(text: str | None) -> str:
    return orjson.dumps(text).decode()


def _texts(texts: list[str]) -> list[str]:
    """Texts of JSON, made all at once.

    >>> _texts(["a", "4401"]), _texts(["a,b", "c"])
    (['"a"', '"4401"'], ['"a,b"', '"c"'])
    """
    whole = orjson.dumps(texts).decode()
    if "\\" in whole or whole.count(",") != len(texts) - 1:
        return [_text(text) for text in texts]
    return whole[1:-1].split(",")


def _numbers(column: Floats | Ints) -> list[str]:
    """Numbers of JSON; NaN is null."""
    whole = orjson.dumps(column, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return whole[1:-1].split(",") if len(column) else []


_name = itemgetter(1)
ROWS = 4_096
"""Rows of a record of device results: some 400 kB."""


class OfDevices(NamedTuple):
    """What one sign says of devices; ``table`` is that of the sign."""

    sign: str
    unit: str
    said: Said
    table: str | None


def device_results(
    told: Sequence[OfDevices], start: int, end: int, *, rev: int, config: str, lane: Lane
) -> list[Output]:
    """Results of devices, many a record; the signs have the same rows."""
    outputs: list[Output] = []
    same = told[0].said
    for part, first in enumerate(range(0, len(same), ROWS)):
        rows = slice(first, first + ROWS)
        value = orjson.dumps(
            {
                "key_level": "device",
                "t_start": start,
                "t_end": end,
                "rev": rev,
                "final": rev == 1,
                "lane": str(lane),
                "part": part,
                "key": list(map(_name, same.names[rows])),
                "place": same.places[rows],
                "n": same.n[rows],
                "coverage": same.coverage[rows],
                "vitals": [_columns(one, rows) for one in told],
                "config": config,
            },
            option=orjson.OPT_SERIALIZE_NUMPY,
        )
        ce_id = f"{told[0].sign}|{lane}|{end}|{rev}|{part}"
        outputs += _send((DEVICE_VITALS,), str(lane), ce_id, b"city.device-vital.v1", value, end)
    return outputs


def _columns(one: OfDevices, rows: slice) -> dict[str, Any]:
    said = one.said
    models = [said.models.get(i) for i in range(len(said))[rows]] if said.models else None
    return {
        "vital": one.sign,
        "unit": one.unit,
        "value": said.values[rows],
        "level": _column(said.levels[rows], range(5)),
        "reason": _column(said.reasons[rows], REASONS),
        "model": models,
        "table": one.table,
    }


def _column(codes: Any, words: Sequence[Any]) -> list[Any] | None:
    """What small numbers stand for, `NONE` for null; None where all are null."""
    if (codes == NONE).all():
        return None
    return [None if code == NONE else words[code] for code in codes.tolist()]


def alert_transition(alert: Alert, number: int) -> list[Output]:
    """A transition for the alert log, and the alert as it now stands for the compacted topic."""
    ce_id = f"{alert.alert_id}/{number}"
    topics = (ALERT_LOG, ALERTS)
    return _send(topics, alert.alert_id, ce_id, b"city.alert.v1", encode(alert), alert.t_update)


def dead_letter(
    lane: Lane, offset: int, logged: int, size: int, refused: Refused, attempt: int
) -> Output:
    """What is told of a refused record: where it stands and why, nothing of its content (R9)."""
    key = f"{lane}/{offset}"
    letter = DeadLetter(
        topic=lane.topic,
        partition=lane.partition,
        offset=offset,
        timestamp=logged,
        reason=refused.code,
        where=refused.where,
        hint=refused.hint,
        size=size,
        attempt=attempt,
    )
    (output,) = _send((DEAD_LETTER,), key, key, b"city.deadletter.v1", encode(letter), logged)
    return output


def lane_accounting(
    lane: Lane, offset: int, ticks: int, watermark: int, accounting: Accounting
) -> Output:
    """Where the events of a lane before ``offset`` went; ``watermark`` in int64 ms."""
    payload = LaneAccounting(
        topic=lane.topic,
        partition=lane.partition,
        next_offset=offset,
        ticks=ticks,
        watermark=watermark if watermark > BEFORE_ALL else None,
        **accounting.as_dict(),
    )
    key, ce_id = str(lane), f"{lane}/{offset}/{ticks}"
    where = ((ACCOUNTING,), key, ce_id, b"city.accounting.v1")
    (output,) = _send(*where, encode(payload), max(0, watermark))
    return output


def late_event(lane: Lane, offset: int, t: int, late_by_ms: int, logged: int) -> Output:
    """An event beyond the allowed lateness: where it stands and how far behind the watermark."""
    key = f"{lane}/{offset}"
    payload = LateEvent(
        topic=lane.topic, partition=lane.partition, offset=offset, t=t, late_by_ms=late_by_ms
    )
    (output,) = _send((LATE,), key, key, b"city.late.v1", encode(payload), logged)
    return output


def tick_record(
    lane: Lane,
    offset: int,
    number: int,
    t: int,
    *,
    ends: bool = False,
    generation: int = 0,
    owner: str = "",
) -> Output:
    """A statement of time for a silent lane: it stands before ``offset`` and says ``t``."""
    payload = Tick(
        topic=lane.topic,
        partition=lane.partition,
        next_offset=offset,
        number=number,
        t=t,
        ends=ends,
        generation=generation,
        owner=owner,
    )
    key = str(lane)
    (output,) = _send((TICKS,), key, f"{key}/{number}", TICK, encode(payload), t)
    return output


def claim_record(lane: Lane, generation: int, owner: str) -> Output:
    """A statement that the lane's ticks are this owner's from here on."""
    payload = Claim(topic=lane.topic, partition=lane.partition, generation=generation, owner=owner)
    key, ce_id = str(lane), f"{lane}/claim/{generation}/{owner}"
    (output,) = _send((TICKS,), key, ce_id, CLAIM, encode(payload), 0)
    return output


def partial_records(cut: Cut, families: Mapping[str, Family]) -> list[Output]:
    """A cut for the partials topic, each piece in the partition of the cut's shard."""
    key, name = str(cut.lane).encode(), f"{cut.lane}/{cut.name[0]}/{cut.name[1]}"
    fixed = (_VERSION, _SOURCE, ("ce_type", PARTIAL), _PACKED)
    return [
        Output(PARTIALS, key, piece, (("ce_id", f"{name}/{n}".encode()), *fixed), 0, cut.shard)
        for n, piece in enumerate(pack(cut, families))
    ]


def command_record(lane: Lane, passed: PassedOn, shard: int) -> Output:
    """A command of the control topic for the partition of the shard that it concerns."""
    ce_id = ("ce_id", f"{lane}/{passed.offset}".encode())
    headers = (ce_id, _VERSION, _SOURCE, ("ce_type", COMMAND), _PACKED)
    return Output(PARTIALS, str(lane).encode(), pass_on(passed), headers, 0, shard)


def loss_alert(lane: Lane, first: int, until: int, t: int, place: str, config: str) -> list[Output]:
    """An alert that records between two offsets were gone before they could be read.

    ``t``, int64 ms, is how far the lane's time had come.
    """
    identity = f"{LOST}|{lane}|{first}|{until}".encode()
    alert = Alert(
        alert_id=hashlib.sha256(identity).hexdigest()[:32],
        rule=LOST,
        kind="loss",
        key_level="city",
        key=place,
        place=place,
        state="raised",
        transition="raised",
        level=4,
        max_level=4,
        t_onset=t,
        t_raised=t,
        t_update=t,
        t_cleared=None,
        late=False,
        value=float(until - first),
        unit="records",
        labels={"alertname": LOST, "severity": "red", "domain": "engine", "lane": str(lane)},
        annotations={
            "title_zh": f"{lane} 第 {first}–{until - 1} 条记录在读取前已被删除",
            "title_en": f"{lane} records {first}-{until - 1} were deleted before they were read",
        },
        why=Why(
            t_start=t,
            t_end=t,
            n=until - first,
            value=float(until - first),
            threshold=0.0,
            compare="gt",
            threshold_source="retention of the topic against age of the snapshot",
            standing="none",
            coverage=0.0,
            config=config,
            contributors=[],
        ),
    )
    return alert_transition(alert, 1)


def newest_of_compacted(outputs: list[Output]) -> list[Output]:
    """The outputs without those of compacted topics that a later one of the batch replaces."""
    newest = {(o.topic, o.key): i for i, o in enumerate(outputs) if o.topic in COMPACTED}
    return [
        o for i, o in enumerate(outputs) if o.topic not in COMPACTED or newest[o.topic, o.key] == i
    ]
