"""What edge boxes and cameras send: windows aggregated there, and events seen by video."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import orjson

from schemas.events import decode
from schemas.metrics import METRICS, Metrics
from schemas.refusal import Refused
from schemas.shaping import decoder_of

AGAIN_MS = 600_000
"""A camera that sees the same class again within ten minutes sees the same thing."""

_CARRIED = (
    *("t", "t_end", "period_s", "place", "site", "site_type", "medium", "source", "lon", "lat"),
)


def aggregate(line: bytes, metrics: Metrics = METRICS) -> Iterator[dict[str, Any]]:
    """A reading of an aggregated window: ``device``, ``metric``, ``t``, ``n``, ``min``, ``max``,
    ``mean`` and ``place``, and what a reading may have beside.

    The mean is the value; signs of minima and maxima read the extremes.

    Yields
    ------
    dict

    Raises
    ------
    Refused
        What is missing, or what the gate would refuse.
    """
    said = _object(line)
    for name in ("device", "metric", "n", "mean"):
        if said.get(name) is None:
            raise Refused("missing_field", f"$.{name}", "is absent: an aggregated window needs it")
    metric = metrics.get(str(said["metric"]))
    event = {name: said[name] for name in ("device", "metric", *_CARRIED) if name in said}
    event |= {"value": said["mean"], "unit": said.get("unit", metric.unit if metric else "")}
    stated = {name: said[name] for name in ("n", "min", "max", "mean", "sd") if name in said}
    event["stat"] = stated
    event.setdefault("source", "edge")
    decoder_of("sensor", None, metrics)(orjson.dumps(event))
    yield event


class Seen:
    """Events that cameras saw, each once in ten minutes for a camera and a class.

    Attributes
    ----------
    repeats
        How many were left out.
    """

    def __init__(self) -> None:
        self.repeats = 0
        self._last: dict[tuple[str, str], int] = {}

    def reading(self, line: bytes) -> Iterator[dict[str, Any]]:
        """A reading of an event: ``camera``, ``cls``, ``t`` and ``place``, and ``conf`` if known.

        It is a repeat where the newest one of the camera and class that was taken is less than
        ten minutes away; a repeat is left out and counted.

        Yields
        ------
        dict

        Raises
        ------
        Refused
            What is missing, or what the gate would refuse.
        """
        said = _object(line)
        for name in ("camera", "cls"):
            if not isinstance(said.get(name), str):
                raise Refused("missing_field", f"$.{name}", "is absent: a video event needs it")
        event: dict[str, Any] = {"device": said["camera"], "metric": "ai_event", "value": 1}
        event |= {"unit": METRICS["ai_event"].unit}
        event |= {name: said[name] for name in ("cls", "conf", *_CARRIED) if name in said}
        event.setdefault("source", "video")
        checked = decode("sensor", orjson.dumps(event))
        seen, t = (said["camera"], said["cls"]), int(checked.t)
        last = self._last.get(seen)
        if last is not None and abs(t - last) < AGAIN_MS:
            self.repeats += 1
            return
        self._last[seen] = t if last is None else max(t, last)
        if len(self._last) > 1 << 16:
            self._last = {seen: at for seen, at in self._last.items() if at > t - AGAIN_MS}
        yield event | {"id": f"{said['camera']}/{said['cls']}/{t}"}


def _object(line: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise Refused("malformed", "$", "is no JSON object: send one a line")
    return said
