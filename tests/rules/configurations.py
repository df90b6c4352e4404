"""Small configurations that hold every kind of window and roll-up."""

from __future__ import annotations

from typing import Any

from schemas.configuration import Configuration


def levels(compare: str, **thresholds: float) -> dict[str, Any]:
    return {
        "compare": compare,
        "thresholds": thresholds,
        "source": "tests",
        "standing": "proposal",
    }


def window(size_s: float, hop_s: float) -> dict[str, float]:
    return {"size_s": size_s, "hop_s": hop_s}


def sign(name: str, unit: str, **fields: Any) -> dict[str, Any]:
    """The fields that tests do not care for, and those given."""
    return {
        "id": name,
        "kind": "window",
        "domain": name.partition(".")[0],
        "name": {"zh": name, "en": name},
        "unit": unit,
        "source": "tests",
        **fields,
    }


def sensor(name: str, unit: str, metric: Any, base: str, **fields: Any) -> dict[str, Any]:
    return sign(name, unit, topic="sensor", match={"metric": metric}, base=base, **fields)


def traffic(name: str, unit: str, observed: str, base: str, **fields: Any) -> dict[str, Any]:
    return sign(name, unit, topic="traffic", match={"kind": observed}, base=base, **fields)


def past_mean(name: str, unit: str, of: str, **fields: Any) -> dict[str, Any]:
    formula = {"name": "past_mean", "of": of, **fields.pop("formula")}
    return sign(name, unit, formula=formula, **{"kind": "derived", **fields})


SMALL_SIGNS = [
    sensor(
        "small.mean",
        "ug/m3",
        "pm25",
        "station",
        aggregate={"function": "mean"},
        window=window(600, 300),
        keys=["station", "street", "district", "city"],
        rollup="mean",
        coverage={"by": "time", "at_least": 0.5},
        levels=levels("gt", blue=20, yellow=40, orange=60, red=80),
        alert={"deadband": 5, "on_delay_s": 300, "off_delay_s": 600},
    ),
    sensor(
        "small.median",
        "cm",
        "water_depth",
        "site",
        aggregate={"function": "quantile", "q": 0.3},
        window=window(120, 60),
        keys=["site", "street", "city"],
        rollup="max",
        coverage={"by": "samples", "at_least": 2},
        levels=levels("ge", blue=20, yellow=40),
        alert={"off_delay_s": 60},
    ),
    sensor(
        "small.sum",
        "mm",
        "rain",
        "device",
        aggregate={"function": "sum"},
        # Neither divides the other: panes of 30 s.
        window=window(150, 120),
        keys=["district", "device"],
        rollup="min",
        coverage={"by": "samples", "at_least": 1},
        levels=levels("le", blue=30, yellow=20, orange=10, red=0),
        alert={},
    ),
    sensor(
        "small.share",
        "1",
        ["fall", "sos"],
        "device",
        aggregate={"function": "max"},
        window=window(60, 60),
        keys=["city", "street"],
        rollup="share",
    ),
    sensor(
        "small.loud",
        "%",
        "laeq",
        "device",
        aggregate={
            "function": "share",
            "where": {"value": {"at_least": 61, "at_most": 80.25}},
            "among": {"value": {"at_least": 55}},
            "scale": 100,
        },
        window=window(300, 60),
        keys=["device", "street", "city"],
        rollup="merge",
    ),
    sensor(
        "small.hits",
        "count",
        "pm25",
        "street",
        aggregate={"function": "hits", "where": {"value": {"at_most": 40}, "q": "good"}},
        window=window(120, 60),
        keys=["street", "city"],
        rollup="merge",
        empty="zero",
    ),
    sensor(
        "small.heard",
        "count",
        "rain",
        "district",
        aggregate={"function": "distinct", "of": "device", "where": {"value": {"at_least": 20}}},
        window=window(600, 120),
        keys=["district", "city"],
        rollup="merge",
        empty="zero",
    ),
    sensor(
        "small.peak",
        "Cel",
        "air_temperature",
        "device",
        aggregate={"function": "peak"},
        window=window(120, 60),
        keys=["device", "city"],
        rollup="merge",
    ),
    sensor(
        "small.stddev",
        "dB",
        "laeq",
        "device",
        aggregate={"function": "stddev"},
        window=window(300, 60),
        keys=["device", "street", "district"],
        rollup="merge",
    ),
    sensor(
        "small.variance",
        "dB2",
        "laeq",
        "device",
        aggregate={"function": "variance"},
        window=window(120, 60),
        keys=["device", "city"],
        rollup="merge",
    ),
    sensor(
        "small.last",
        "Cel",
        "air_temperature",
        "device",
        aggregate={"function": "last"},
        window=window(120, 60),
        keys=["device", "street"],
        rollup="merge",
    ),
    sensor(
        "small.lowest",
        "Cel",
        "air_temperature",
        "community",
        aggregate={"function": "min"},
        window=window(300, 300),
        keys=["community", "district", "city"],
        rollup="merge",
    ),
    traffic(
        "small.tpi",
        "index",
        "segment_flow",
        "street",
        aggregate={"function": "tpi"},
        window=window(900, 180),
        keys=["street", "district", "city"],
        rollup="merge",
        coverage={"by": "samples", "at_least": 3},
    ),
    traffic(
        "small.flow",
        "veh/h",
        "segment_flow",
        "segment",
        aggregate={"function": "rate", "of": "intensity", "scale": 3600},
        window=window(300, 60),
        keys=["segment"],
        rollup="none",
        coverage={"by": "time", "at_least": 0.4},
    ),
    traffic(
        "small.incidents",
        "count",
        "incident",
        "street",
        aggregate={"function": "distinct", "of": "event_id"},
        window=window(600, 120),
        keys=["street", "district", "city"],
        rollup="merge",
        empty="zero",
    ),
    traffic(
        "small.ratio",
        "%",
        "parking",
        "site",
        aggregate={"function": "ratio", "of": "occupied", "over": "capacity", "scale": 100},
        window=window(300, 300),
        keys=["site", "district"],
        rollup="merge",
    ),
    sign(
        "small.orders",
        "count",
        topic="hotline",
        match={"kind": "order", "status": ["created", "closed"], "urgency": "urgent"},
        base="street",
        aggregate={"function": "count"},
        window=window(600, 300),
        keys=["street", "district", "city"],
        rollup="merge",
        empty="zero",
        levels=levels("ge", blue=1, red=3),
        alert={"off_delay_s": 60},
    ),
    past_mean(
        "small.past",
        "ug/m3",
        "small.mean",
        formula={"windows": 3, "step_s": 600, "at_least": 2},
        window=window(600, 600),
        keys=["station", "street", "city"],
        levels=levels("gt", yellow=30),
        alert={},
    ),
    past_mean(
        "small.past_orders",
        "count",
        "small.orders",
        formula={"windows": 4, "step_s": 300, "at_least": 4},
        window=window(600, 300),
        keys=["street", "city"],
    ),
]

CALENDAR_SIGNS = [
    sensor(
        "calendar.day",
        "Cel",
        "air_temperature",
        "station",
        aggregate={"function": "max"},
        window={"calendar": "day"},
        keys=["station", "district", "city"],
        rollup="max",
        coverage={"by": "time", "at_least": 0.3},
    ),
    sensor(
        "calendar.night",
        "dB",
        "laeq",
        "device",
        aggregate={"function": "mean"},
        window={"calendar": "night"},
        keys=["device", "street", "city"],
        rollup="merge",
        coverage={"by": "samples", "at_least": 2},
    ),
    sign(
        "calendar.month",
        "count",
        topic="hotline",
        match={"kind": "order"},
        base="street",
        aggregate={"function": "count"},
        window={"calendar": "month"},
        keys=["street", "city"],
        rollup="merge",
        empty="zero",
    ),
    sensor(
        "calendar.hours",
        "mm",
        "rain",
        "station",
        aggregate={"function": "sum"},
        window=window(21_600, 3600),
        keys=["station", "district", "city"],
        rollup="mean",
        coverage={"by": "samples", "at_least": 2},
    ),
]


def topic(kind: str, partitions: int, allowed_lateness_s: float, **fields: Any) -> dict[str, Any]:
    numbers = {"partitions": partitions, "allowed_lateness_s": allowed_lateness_s}
    return {"name": kind, "kind": kind, **numbers, **fields}


def configuration(
    signs: list[dict[str, Any]],
    topics: list[dict[str, Any]],
    *,
    zone: str = "Asia/Shanghai",
    forget_s: float = 86_400,
) -> Configuration:
    """A configuration of these signs and topics, in Guangzhou."""
    name = {"zh": "广州市", "en": "Guangzhou"}
    return Configuration.model_validate(
        {
            "version": "tests",
            "city": {"name": name, "place": "4401", "time_zone": zone},
            "topics": topics,
            "signs": signs,
            "forget_s": forget_s,
        }
    )


SMALL_TOPICS = [
    topic("sensor", 2, 300, disorder_s=5),
    topic("traffic", 2, 120, disorder_s=10),
    topic("hotline", 1, 3600, disorder_s=0),
]
SMALL = configuration(SMALL_SIGNS, SMALL_TOPICS, forget_s=1800)
"""Windows of minutes: for logs of a few hours."""

FULL = configuration(
    [
        *SMALL_SIGNS,
        traffic(
            "full.occupancy",
            "%",
            "parking",
            "site",
            kind="sampled",
            period_s=60,
            aggregate={"function": "ratio", "of": "occupied", "over": "capacity", "scale": 100},
            window=window(60, 60),
            keys=["site", "street", "city"],
            rollup="merge",
            coverage={"by": "devices", "at_least": 0.5},
            levels=levels("ge", blue=10, red=90),
            alert={},
        ),
        sign(
            "full.points",
            "count",
            kind="derived",
            formula={
                "name": "children_at_level",
                "of": "small.median",
                "child": "site",
                "level": "yellow",
            },
            window=window(120, 60),
            keys=["street", "city"],
            levels=levels("ge", blue=1),
            alert={},
        ),
        sign(
            "full.index",
            "0-100",
            kind="derived",
            formula={
                "name": "level_index",
                "of": [
                    {"sign": "small.mean", "weight": 2},
                    {"sign": "small.median", "weight": 1},
                    {"sign": "full.occupancy", "weight": 1},
                ],
                "at_least": 2,
            },
            window=window(300, 300),
            keys=["city"],
            levels=levels("le", blue=85, yellow=60),
            alert={},
        ),
    ],
    SMALL_TOPICS,
    forget_s=1800,
)
"""The same with sampled and derived signs of every kind."""

CALENDAR_TOPICS = [topic("sensor", 2, 7200, disorder_s=60), topic("hotline", 1, 86_400)]
CALENDAR = configuration(CALENDAR_SIGNS, CALENDAR_TOPICS, forget_s=21_600)
"""Days, nights and months: for logs of days."""

NEW_YORK = configuration(CALENDAR_SIGNS, CALENDAR_TOPICS, forget_s=21_600, zone="America/New_York")
