"""Telegrams of environmental monitors: HJ 212-2017, and what tells them from those of 2025.

A frame is ``##``, four digits of the segment's length, the segment, four hexadecimal digits of its
check, and CR LF.  The segment is ``QN=..;ST=..;CN=..;PW=..;MN=..;Flag=..;CP=&&..&&``.  Readings are
taken from real-time data (CN 2011); values of periods stand for the time before or after theirs,
which no text that was read says, and are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from schemas.devices import Device
from schemas.metrics import METRICS, Metrics
from schemas.refusal import Refused

REAL_TIME = "2011"
V2017 = 1
"""The version that ``Flag`` tells: its bits from the third on; 0 is 2005, 2 is 2025."""
VERSIONS = {0: "2005", V2017: "2017", 2: "2025"}
QUALITY = {
    "N": "good",
    "T": "suspect",
    "M": "maint",
    "C": "calib",
    "S": "manual",
    "F": "bad",
    "D": "bad",
    "B": "bad",
}
"""Marks of data: normal, over range, maintenance, calibration, by hand, stopped, fault, no line."""
_CHINA = timezone(timedelta(hours=8))
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)
_FRAME = re.compile(rb"##([0-9]{4})(.*)([0-9A-Fa-f]{4})\r?\n?", re.DOTALL)

Row = Callable[[str, str, int], Device | None]
"""What the register says of a device and metric at a time (int64 ms UTC), if anything."""


class Telegram(NamedTuple):
    """A sound frame: its fields, and the groups of its data, one for each time or factor."""

    fields: dict[str, str]
    data: list[dict[str, str]]

    @property
    def version(self) -> int:
        return int(self.fields["Flag"]) >> 2


def crc(segment: bytes) -> int:
    """The check of a segment: the register goes right by eight bits before a byte comes in.

    That is not the one of Modbus, which has the same polynomial.

    >>> hex(crc(b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;"
    ...         b"Flag=5;CP=&&RtdInterval=30&&"))
    '0x1c80'
    """
    register = 0xFFFF
    for byte in segment:
        register = (register >> 8) ^ byte
        for _ in range(8):
            low = register & 1
            register >>= 1
            if low:
                register ^= 0xA001
    return register


def parse(frame: bytes) -> Telegram:
    """A telegram from its frame.

    Raises
    ------
    Refused
        ``hj212_frame``, ``hj212_length``, ``hj212_crc`` or ``hj212_version``.
    """
    found = _FRAME.fullmatch(frame)
    if found is None:
        hint = "is no frame of ##, four digits, a segment and four hexadecimal digits"
        raise Refused("hj212_frame", "byte 0", hint)
    stated, segment, check = int(found[1]), found[2], int(found[3], 16)
    if stated != len(segment):
        hint = f"says {stated} bytes, the segment has {len(segment)}: it was cut or joined"
        raise Refused("hj212_length", "byte 2", hint)
    if crc(segment) != check:
        hint = f"is {check:04X}, the segment's check is {crc(segment):04X}: send it again"
        raise Refused("hj212_crc", f"byte {6 + len(segment)}", hint)
    head, mark, rest = segment.decode("utf-8", "replace").partition("CP=&&")
    body, end, _ = rest.partition("&&")
    fields = _pairs(head.rstrip(";"), ";")
    missing = [name for name in ("QN", "CN", "MN", "Flag") if not fields.get(name)]
    if not mark or not end or missing:
        hint = f"lacks {', '.join(missing) or 'CP=&&…&&'}"
        raise Refused("hj212_frame", "byte 6", hint)
    if not fields["Flag"].isdecimal():
        raise Refused("hj212_frame", "Flag", "is no number")
    telegram = Telegram(fields, [_pairs(group, ",") for group in body.split(";") if group])
    if telegram.version != V2017:
        known = VERSIONS.get(telegram.version, "of no version that is known")
        hint = f"is HJ 212-{known}" if telegram.version in VERSIONS else f"is {known}"
        raise Refused(
            "hj212_version", "Flag", f"{hint}: 2017 is read, of 2025 the data are ciphered"
        )
    return telegram


def _pairs(text: str, divider: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(divider))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


def readings(
    telegram: Telegram, row_of: Row, metrics: Metrics = METRICS
) -> Iterator[dict[str, Any] | Refused]:
    """The readings of a telegram, as events; factors that are no metric of ours are left out.

    Yields
    ------
    dict or Refused
        ``bad_value``, or ``hj212_unknown`` where it is not known where a factor is measured.

    Raises
    ------
    Refused
        ``hj212_command`` where it holds no real-time data, ``hj212_empty`` where none of them is
        a metric, ``bad_time``.
    """
    command, device = telegram.fields["CN"], telegram.fields["MN"]
    if command != REAL_TIME:
        raise Refused("hj212_command", "CN", f"is {command}: readings are in {REAL_TIME} alone")
    said = {name: value for group in telegram.data for name, value in group.items()}
    t = _time(said.get("DataTime", ""))
    measured = [(name.removesuffix("-Rtd"), said[name]) for name in said if name.endswith("-Rtd")]
    factors = metrics.by_factor
    known = [(code, value) for code, value in measured if code in factors]
    if not known:
        hint = f"holds no factor that is a metric: {', '.join(c for c, _ in measured) or 'none'}"
        raise Refused("hj212_empty", "CP", hint)
    for code, value in known:
        metric = factors[code]
        if not _NUMBER.fullmatch(value):
            yield Refused("bad_value", f"{code}-Rtd", "is no decimal number")
            continue
        row = row_of(device, metric.code, t)
        if row is None:
            hint = f"is in no register for {metric.code}: add a row of it with its place"
            yield Refused("hj212_unknown", "MN", hint)
            continue
        event = {"device": device, "metric": metric.code, "value": float(value)}
        event |= {"unit": metric.unit, "t": t, "place": row.place, "source": "hj212"}
        event |= {"q": QUALITY.get(said.get(f"{code}-Flag", "N"), "bad")}
        told = {"site": row.site, "site_type": row.site_type, "medium": row.medium}
        yield event | {name: text for name, text in told.items() if text}


def _time(text: str) -> int:
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=_CHINA)
    except ValueError:
        hint = "is no time such as 20260301093000"
        raise Refused("bad_time", "DataTime", hint) from None
    return round(moment.timestamp() * 1000)
