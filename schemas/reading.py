"""Sensor readings: one value of one metric of one device."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.event import (
    Event,
    Sequence,
    Share,
    Text32,
    Text40,
    Text64,
    drop_negative_zeros,
    require_order,
    settle,
    settle_time,
)
from schemas.metrics import METRICS, Metric, Metrics
from schemas.refusal import Refused
from schemas.times import EARLIEST, LATEST, Time

# Codes and units are matched against the table after decoding, with better hints.
MetricCode = Annotated[str, Meta(extra_json_schema={"enum": sorted(METRICS)})]
Unit = Annotated[str, Meta(extra_json_schema={"enum": sorted({m.unit for m in METRICS.values()})})]
Statistic = Annotated[float, Meta(ge=-1e9, le=1e9)]


class Statistics(msgspec.Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """What the device measured over the time that its value stands for, in the metric's unit.

    The value is the mean of ``n`` samples, and counts as so many readings; a sign of minima, maxima
    or peaks takes those that are stated here.
    """

    n: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    min: Statistic | None = None
    max: Statistic | None = None
    mean: Statistic | None = None
    sd: Annotated[float, Meta(ge=0, le=1e9)] | None = None


class Reading(Event, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A sensor reading.

    Parameters
    ----------
    device
        The sender's name of the device; any script, no control characters.
    metric, value, unit
        A code of `METRICS` or of the configuration, a value in its range, exactly its unit.
    t_end
        End of the time that the value stands for, int64 ms UTC.
    medium
        What was measured: air, water, soil.
    cls, conf
        Class and confidence of an ``ai_event``.
    q
        Quality that the device or its platform states.
    stat
        Statistics of the samples behind the value.
    seq
        Counter of the device, for gaps and repeats.
    period_s
        Seconds between two readings of the device, or two samples where it states ``stat.n``.
    """

    device: Text64
    metric: MetricCode
    value: float
    unit: Unit
    t_end: Time | None = None
    medium: Text32 | None = None
    cls: Text40 | None = None
    conf: Share | None = None
    q: Literal["good", "suspect", "bad", "calib", "maint", "manual"] = "good"
    stat: Statistics | None = None
    seq: Sequence | None = None
    period_s: Annotated[float, Meta(gt=0, le=2_678_400)] | None = None


_KNOWN_MOST = 1 << 18


def check(event: Reading, metrics: Metrics = METRICS) -> None:
    """Check a reading against the metrics there are and settle its times, in place.

    Raises
    ------
    Refused
        `unknown_metric`, `wrong_unit`, `out_of_range`, or what `settle` refuses.
    """
    name = (event.metric, event.unit, event.place)
    known = metrics.sound.get(name)
    if known is not None and known[0] <= event.value <= known[1] and _is_plain(event):
        return
    settle(event)
    metric = metrics.get(event.metric)
    if metric is None:
        hint = "is not a known metric: use a code of the catalogue, such as rain or water_depth"
        raise Refused("unknown_metric", "$.metric", hint)
    unit, low, high = metric.unit, metric.minimum, metric.maximum
    if event.unit != unit:
        raise Refused("wrong_unit", "$.unit", f"is not the metric's unit: send {unit}")
    value = event.value
    if not low <= value <= high:
        hint = f"is beyond the metric's range: send {low:g} to {high:g} {unit}"
        raise Refused("out_of_range", "$.value", hint)
    if value == 0.0:
        event.value = 0.0  # it may have been -0.0
    if event.t_end is not None:
        event.t_end = settle_time(event.t_end, "$.t_end")
        require_order(event.t, event.t_end, "$.t_end", "is before t: send the end of the period")
    if event.conf is not None:
        event.conf += 0.0
    if event.stat is not None:
        _check_statistics(event.stat, metric)
    if event.place == name[2] and len(metrics.sound) < _KNOWN_MOST:
        metrics.sound[name] = (low, high)


def _is_plain(event: Reading) -> bool:
    """Whether nothing but the value's range is left to check: the hot path.

    No optional field that needs a check is there, and the times are ordinary integers.
    """
    t, ingested = event.t, event.t_ingest
    return (
        event.t_end is None
        and event.lon is None
        and event.lat is None
        and event.conf is None
        and event.stat is None
        and type(t) is int
        and EARLIEST <= t < LATEST
        and (ingested is None or (type(ingested) is int and EARLIEST <= ingested < LATEST))
        and event.value != 0.0  # it may be -0.0
    )


def _check_statistics(stat: Statistics, metric: Metric) -> None:
    drop_negative_zeros(stat, ("min", "max", "mean", "sd"))
    low, high = metric.minimum, metric.maximum
    for name in ("min", "max", "mean"):
        stated = getattr(stat, name)
        if stated is not None and not low <= stated <= high:
            hint = f"is beyond the metric's range: send {low:g} to {high:g} {metric.unit}"
            raise Refused("out_of_range", f"$.stat.{name}", hint)
    if stat.min is not None and stat.max is not None and stat.min > stat.max:
        raise Refused("inconsistent", "$.stat.min", "is above max: send min, mean, max in order")
    if stat.mean is None:
        return
    # A mean of floats can leave [min, max] by rounding alone.
    slack = 1e-9 * max(1.0, abs(stat.mean))
    below = stat.min is not None and stat.mean < stat.min - slack
    above = stat.max is not None and stat.mean > stat.max + slack
    if below or above:
        raise Refused("inconsistent", "$.stat.mean", "is not between min and max")
