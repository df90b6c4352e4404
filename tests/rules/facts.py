"""What the oracle makes of events before signs read them: facts of orders, arrivals of readings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from schemas.devices import Device, Register
from schemas.metrics import METRICS

TOPICS = {"积水": ("积水", "水浸"), "噪声": ("噪声", "太吵")}
STREETS = {"五山街道": "440106001", "白云区": "440111"}
"""As `tests.rules.wide` configures them."""


def fact_of(event: Mapping[str, Any], t: int) -> dict[str, Any]:
    """A step of an order as it may be counted: its finest class, its place, and who called."""
    text, place, category = event.get("text", ""), event["place"], event.get("category")
    found = [name for name, words in TOPICS.items() if any(word in text for word in words)]
    named = [code for name, code in STREETS.items() if name in text and code.startswith(place)]
    if len(place) < 9 and named:
        place = named[0]
    month = datetime.fromtimestamp(t // 1000, ZoneInfo("Asia/Shanghai")).strftime("%Y-%m")
    who = None
    if "caller" in event:
        digits = "".join(c for c in event["caller"] if c.isdigit())
        who = digits[-11:] or None
    elif "caller_hash" in event:
        who = f"hash {event['caller_hash']}"
    return {
        **event,
        "place": place,
        "category": category[-1] if category else next(iter(found), None),
        "citizen": who and f"{who} in {month}",
    }


def _row_at(register: Register, device: str, metric: str | None, t: int) -> Device | None:
    """The sensor's row that counts then, of its metric rather than of another."""
    rows = [row for row in register.devices if row.device == device and row.topic == "sensor"]
    rows = [row for row in rows if row.counts_at(t)]
    return next((row for row in rows if row.kind == metric), rows[0] if rows else None)


def arrival_of(event: Mapping[str, Any], e: int, logged: int, register: Register) -> dict[str, Any]:
    """A reading that passed the gate, as a record that came."""
    row, quality = _row_at(register, event["device"], event["metric"], e), event.get("q", "good")
    return {
        "device": event["device"],
        "platform": (row.platform if row else None) or event.get("source"),
        "place": row.place if row else event["place"],
        "registered": row is not None,
        "valid": None if quality in ("calib", "maint") else float(quality != "bad"),
        "lateness_s": (event.get("t_ingest", logged) - e) / 1000,
    }


def refused_arrival(raw: bytes, now: int, register: Register) -> dict[str, Any] | None:
    """What can be read of a record that is no event; None where its device or place can not."""
    found = dict(re.findall(rb'"(\w+)": "([^"]*)"', raw))
    read = {name.decode(): value.decode() for name, value in found.items()}
    if "device" not in read:
        return None
    metric = read.get("metric")
    row = _row_at(register, read["device"], metric, now)
    place = read.get("place", "")
    if row is None and not re.fullmatch(
        "(?:[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12}|[0-9]{15})", place
    ):
        return None
    return {
        "device": read["device"],
        "metric": metric if metric in METRICS else None,
        "platform": (row.platform or None) if row else None,
        "place": row.place if row else place,
        "registered": row is not None,
        "valid": 0.0,
        "lateness_s": None,
    }
