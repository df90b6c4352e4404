"""Records of other shapes become events: by the shape of their topic, then as all records."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache, partial
from math import floor, isfinite
from typing import Any, TypeAlias

import msgspec

from schemas.diagnosis import diagnose
from schemas.events import CHECKS, KINDS, LIMIT, AnyEvent, Check, check_event, decode
from schemas.metrics import METRICS, Metrics
from schemas.reading import check as check_reading
from schemas.record_shapes import RecordShape, TimeShape, plain
from schemas.refusal import Refused
from schemas.times import epoch_ms
from schemas.warning import OfficialWarning
from schemas.warning import check as check_warning

Decode: TypeAlias = Callable[[bytes], AnyEvent]
Head: TypeAlias = tuple[bytes | None, int | None]
"""Kafka key, and log timestamp in int64 ms UTC; None where they can not be read."""

_NAMING = ("device", "source_id", "order_id", "id")
_BYTE = re.compile(r"byte (\d+)")


def decoder_of(
    kind: str,
    shape: RecordShape | None,
    metrics: Metrics = METRICS,
    level_of: Callable[[OfficialWarning], float] | None = None,
) -> Decode:
    """What reads the records of a topic: bytes to a checked event, or a refusal.

    ``level_of`` tells the level of a warning that has a colour alone.
    """
    check = CHECKS[kind]
    if kind == "external" and level_of is not None:
        check = partial(check_warning, level_of=level_of)
    if kind == "sensor" and metrics is not METRICS:
        check = partial(check_reading, metrics=metrics)
    if shape is None:
        return partial(decode, kind, check=check)
    return Shaper(kind, shape, check).decode


def legible_of(kind: str, shape: RecordShape | None) -> Callable[[bytes], bytes]:
    """What gives a refused record under our names, as far as it can be read; else nothing."""
    if shape is None:
        return lambda raw: raw
    read = Shaper(kind, shape).values

    def legible(raw: bytes) -> bytes:
        try:
            return msgspec.json.encode(read(raw))
        except (Refused, ValueError):
            return b""

    return legible


class Shaper:
    """Reads the records of one topic.

    Parameters
    ----------
    kind
        Of the topic.
    shape
        As the configuration tells it, and checked.

    Examples
    --------
    >>> shape = RecordShape.model_validate({
    ...     "key": {"ends": "="},
    ...     "time": {"of": "at", "format": "%Y-%m-%d %H:%M:%S.%f", "offset": "+01:00"},
    ...     "fields": {"speed_kmh": "speed"},
    ...     "from_key": {"source_id": 2},
    ...     "constants": {"kind": "segment_flow", "place": "4401"},
    ... })
    >>> shaper = Shaper("traffic", shape)
    >>> event = shaper.decode(b'nl/x1/lane2= {"speed":126,"at":"2017-03-15 14:41:00.0","more":1}')
    >>> event.source_id, event.speed_kmh, event.t
    ('x1/lane2', 126.0, 1489585260000)
    >>> shaper.decode(b'nl/x1/lane2= {"speed":"fast","at":"2017-03-15 14:41:00.0"}')
    Traceback (most recent call last):
    Refused: `$.speed` is a text: send a number or null
    """

    def __init__(self, kind: str, shape: RecordShape, check: Check | None = None) -> None:
        self.kind, self.shape, self.event = kind, shape, KINDS[kind]
        self._check = check or CHECKS[kind]
        self._paths = {ours: tuple(theirs.split(".")) for ours, theirs in shape.fields.items()}
        self._constants = {name: plain(value) for name, value in shape.constants.items()}
        self._theirs = {ours: f"$.{theirs}" for ours, theirs in shape.fields.items()}
        self._theirs |= dict.fromkeys(shape.from_key, "key") | {"t": f"$.{shape.time.of}"}
        self._time_path = tuple(shape.time.of.split("."))

    def decode(self, raw: bytes) -> AnyEvent:
        """Read and check one record.

        Raises
        ------
        Refused
            It names fields as the record does, and repeats nothing of the record.
        """
        values = self.values(raw)
        try:
            event: AnyEvent = msgspec.convert(values, self.event)
        except (msgspec.ValidationError, ValueError, OverflowError) as error:
            refused = diagnose(error, b"", self.event)
        else:
            try:
                check_event(event, raw, self._check)
            except Refused as error:
                refused = error
            else:
                return event
        # Outside the except block, so that the decoder's words do not hang on as __context__.
        raise Refused(refused.code, self._where(refused.where), refused.hint)

    def head(self, raw: bytes) -> Head:
        """Key and timestamp of a record, as `streams.event_logs.head` tells those of an event."""
        try:
            values = self.values(raw)
        except Refused:
            return None, None
        name = next((values[n] for n in _NAMING if values.get(n)), "")
        at = next((values[n] for n in ("t_ingest", "t_end", "t") if n in values), None)
        try:
            moment = msgspec.convert(at, int | datetime)
            return str(name).encode(), epoch_ms(moment)
        except (ValueError, OverflowError):
            return str(name).encode(), None

    def values(self, raw: bytes) -> dict[str, Any]:
        """Our fields as plain values, not yet checked."""
        if len(raw) > LIMIT:
            hint = "is beyond the 64 KiB of a record: shorten it"
            raise Refused("too_large", f"byte {LIMIT}", hint)
        key, begin = self._key(raw)
        record = _object(raw, begin, self.event)
        values = dict(self._constants)
        for ours, path in self._paths.items():
            found = _walk(record, path)
            if found is not None:
                values[ours] = found
        values.update(self._parts(key))
        if self.shape.places and "place" in values:
            place = self.shape.places.get(str(values["place"]))
            if place is None:
                hint = "is not in the table of places of the topic's record: add it there"
                raise Refused("bad_place", self._where("$.place"), hint)
            values["place"] = place
        time = _walk(record, self._time_path)
        if time is not None:
            values["t"] = self._time(time)
        return values

    def _key(self, raw: bytes) -> tuple[str, int]:
        """The key in the line, and where its JSON begins."""
        if self.shape.key is None:
            return "", 0
        ends = self.shape.key.ends.encode()
        at = raw.find(ends)
        if at < 0:
            hint = f"begins a record without a key: send KEY{self.shape.key.ends} and the JSON"
            raise Refused("malformed", "byte 0", hint)
        try:
            return raw[:at].decode().strip(), at + len(ends)
        except UnicodeDecodeError as error:
            hint = "is not UTF-8: send UTF-8 JSON"
            raise Refused("not_utf8", f"byte {error.start}", hint) from None

    def _parts(self, key: str) -> dict[str, str]:
        if self.shape.key is None:
            return {}
        divider = self.shape.key.divider
        parts = key.split(divider)
        most = max(self.shape.from_key.values(), default=0)
        if len(parts) < most or not all(parts[-most:]):
            hint = f"has not the {most} parts, divided by {divider}, that the topic's record reads"
            raise Refused("missing_field", "key", hint)
        return {ours: divider.join(parts[-n:]) for ours, n in self.shape.from_key.items()}

    def _time(self, value: object) -> object:
        """A time as an event takes it: int ms, or RFC 3339."""
        form, where = self.shape.time.format, f"$.{self.shape.time.of}"
        if form in ("epoch_ms", "rfc3339"):
            return value
        if form == "epoch_s":
            if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
                return floor(value * 1000)
            raise Refused("bad_time", where, "is not a time: send epoch seconds")
        ms = _parsed(value, self.shape.time) if isinstance(value, str) else None
        if ms is None:
            raise Refused("bad_time", where, f"is not a time: send text of the form {form}")
        return ms

    def _where(self, where: str) -> str:
        """The path of one of our fields, as their record names it."""
        ours = where.removeprefix("$.")
        return self._theirs.get(ours, where)


@lru_cache(maxsize=1 << 12)  # many devices report at the same second
def _parsed(text: str, time: TimeShape) -> int | None:
    try:
        moment = datetime.strptime(text, time.format)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_zone(time.offset or "+00:00"))
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _zone(offset: str) -> timezone:
    hours, minutes = int(offset[1:3]), int(offset[4:])
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(-ahead if offset[0] == "-" else ahead)


def _object(raw: bytes, begin: int, event: type[msgspec.Struct]) -> dict[str, Any]:
    body = raw[begin:]
    try:
        record = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        refused = diagnose(error, body, event)
    else:
        if isinstance(record, dict):
            return record
        refused = Refused("wrong_type", "$", "is not an object: send one JSON object")
    place = _BYTE.fullmatch(refused.where)
    where = f"byte {int(place[1]) + begin}" if place else "$"
    raise Refused(refused.code, where, refused.hint)


def _walk(record: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(record, dict):
            return None
        record = record.get(name)
    return record
