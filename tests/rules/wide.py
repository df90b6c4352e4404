"""Small configurations of what signs can be beside windows over events, and their register.

Records as they arrive, open orders, repeats, keys by category, limits, indices, and models that
know enough after a few windows to judge, and to flag, within a log of a few hours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.configuration import Configuration
from schemas.devices import Device, Register
from tests.rules.configurations import configuration, levels, sensor, sign, topic, traffic, window
from tests.rules.logs import PLACES

START = 1_772_294_400_000
"""2026-03-01 00:00 in Shanghai, where a month begins."""
SECRET = b"a secret of tests, not of a city"
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


def arrivals(name: str, unit: str, **fields: Any) -> dict[str, Any]:
    return sign(name, unit, topic="arrivals", **{"base": "street", "match": {}, **fields})


def orders(name: str, unit: str, size_s: float, **fields: Any) -> dict[str, Any]:
    return sign(name, unit, kind="sampled", topic="orders", window=window(size_s, size_s), **fields)


def created(name: str, unit: str, **fields: Any) -> dict[str, Any]:
    match = {"kind": "order", "status": "created"}
    return sign(name, unit, topic="hotline", match=match, **{"rollup": "merge", **fields})


def gaussian(**fields: Any) -> dict[str, Any]:
    """One that judges after three values, forgets after six and finds much out of the ordinary."""
    few = {"least": 3, "window": 6, "every_s": 0, "z_alarm": 1.5}
    return {"detector": "gaussian", **few, **fields}


def by_hours(**fields: Any) -> dict[str, Any]:
    few = {"least": 3, "keep": 4, "every_s": 0, "z_alarm": 1.5}
    return {"detector": "hour_of_week", **few, **fields}


EVENT_SIGNS = [
    arrivals(
        "wide.valid",
        "%",
        aggregate={"function": "mean", "of": "valid", "scale": 100},
        window=window(120, 60),
        keys=["platform*street", "platform*city", "street", "city"],
        rollup="merge",
        coverage={"by": "samples", "at_least": 2},
        levels=levels("lt", blue=90, red=50),
        alert={},
        model=gaussian(side="low", floor=5, probe_times=1.5, off_delay_s=60),
    ),
    arrivals(
        "wide.lateness",
        "s",
        match={"registered": True},
        aggregate={"function": "quantile", "of": "lateness_s", "q": 0.75},
        window=window(300, 300),
        keys=["platform*city", "city"],
        rollup="merge",
    ),
    arrivals(
        "wide.heard",
        "count",
        base="device",
        aggregate={"function": "count"},
        window=window(300, 60),
        keys=["device", "district"],
        rollup="mean",
        empty="zero",
    ),
    sensor(
        "wide.level",
        "%",
        "manhole_level",
        "station",
        aggregate={"function": "max"},
        limit={"name": "well_depth_m", "how": "ratio", "scale": 100},
        window=window(300, 60),
        keys=["station", "street", "city"],
        rollup="max",
        levels=levels("ge", blue=50, orange=200),
        alert={"on_delay_s": 60},
    ),
    sensor(
        "wide.own_limits",
        "1",
        "manhole_level",
        "device",
        aggregate={"function": "mean"},
        limit={"name": "limit", "how": "ratio"},
        window=window(300, 60),
        keys=["device", "site", "district"],
        rollup="max",
        levels=levels("ge", blue=0.5, orange=2),
        alert={"keys": ["site"]},
    ),
    sensor(
        "wide.noise",
        "dB",
        "laeq",
        "station",
        aggregate={"function": "leq"},
        limit={"name": "noise_night_db", "how": "excess"},
        window=window(600, 300),
        keys=["station", "street"],
        rollup="mean",
        coverage={"by": "samples", "at_least": 2},
        levels=levels("gt", blue=0, yellow=10),
        alert={},
    ),
    sensor(
        "wide.leq",
        "dB",
        "laeq",
        "station",
        aggregate={"function": "leq"},
        window=window(300, 60),
        keys=["station", "district", "city"],
        rollup="merge",
        model=by_hours(side="high", floor=1, keys=["district", "city"]),
    ),
    sensor(
        "wide.slope",
        "cm/h",
        "water_depth",
        "site",
        aggregate={"function": "slope", "scale": 3600},
        window=window(900, 60),
        keys=["site", "district"],
        rollup="max",
        coverage={"by": "samples", "at_least": 2},
    ),
    sensor(
        "wide.mean",
        "ug/m3",
        "pm25",
        "device",
        aggregate={"function": "mean"},
        window=window(120, 60),
        keys=["device", "street", "city"],
        rollup="mean",
        levels=levels("gt", blue=30, yellow=40),
        alert={"off_delay_s": 120, "keys": ["street", "city"], "least_level": "yellow"},
        model=gaussian(floor=2, keys=["street", "city"], on_delay_s=60, off_delay_s=60),
    ),
    traffic(
        "wide.quotient",
        "1",
        "parking",
        "site",
        aggregate={"function": "max", "of": "occupied", "over": "capacity"},
        window=window(300, 60),
        keys=["site", "district", "city"],
        rollup="merge",
    ),
    created(
        "wide.topic_orders",
        "count",
        base="street",
        aggregate={"function": "count"},
        window=window(300, 60),
        keys=["category*street", "category*city", "street", "city"],
        empty="zero",
        model=by_hours(side="high", counts=True, keys=["category*city", "city"], probe_add=3),
    ),
    created(
        "wide.topic_callers",
        "count",
        base="street",
        aggregate={"function": "distinct", "of": "citizen"},
        window=window(300, 60),
        keys=["category*city", "city"],
        empty="zero",
    ),
]
"""Signs over the records of a window, with keys, limits and aggregates of every kind."""

STATE_SIGNS = [
    arrivals(
        "wide.online",
        "%",
        kind="sampled",
        match={"registered": True},
        aggregate={"function": "online", "scale": 100},
        window=window(60, 60),
        keys=["platform*city", "district", "city"],
        levels=levels("lt", blue=90, red=40),
        alert={"off_delay_s": 120},
        model=gaussian(side="both", floor=3),
    ),
    traffic(
        "wide.parked",
        "%",
        "parking",
        "site",
        kind="sampled",
        period_s=120,
        aggregate={"function": "ratio", "of": "occupied", "over": "capacity", "scale": 100},
        window=window(60, 60),
        keys=["site", "city"],
        coverage={"by": "devices", "at_least": 0.3},
    ),
    sign(
        "wide.on_time",
        "%",
        topic="hotline",
        match={"kind": "order", "status": "closed"},
        base="street",
        aggregate={"function": "mean", "of": "on_time", "scale": 100},
        window=window(600, 300),
        keys=["department*street", "department*city", "city"],
        rollup="merge",
    ),
    sign(
        "wide.amiss",
        "count",
        topic="hotline",
        match={"kind": "order", "flag": ["illegal", "out_of_order", "skipped"]},
        base="street",
        aggregate={"function": "count"},
        window=window(300, 300),
        keys=["city"],
        rollup="merge",
        empty="zero",
    ),
    sign(
        "wide.repeats",
        "%",
        kind="history",
        topic="hotline",
        match={"kind": "order", "status": "created"},
        base="street",
        repeats={"of": [["citizen", "category"], ["place", "category"]], "within_s": 1800},
        window=window(600, 300),
        keys=["street", "city"],
        levels=levels("ge", blue=10, red=60),
        alert={},
        model=gaussian(side="high", floor=5, keys=["city"]),
    ),
    orders(
        "wide.open_age",
        "h",
        300,
        match={},
        base="street",
        aggregate={"function": "quantile", "of": "age_h", "q": 0.5},
        keys=["department*city", "district", "city"],
        levels=levels("ge", blue=0.25, red=1),
        alert={},
    ),
    orders(
        "wide.overdue",
        "count",
        60,
        match={"past_due": True},
        base="street",
        aggregate={"function": "count"},
        keys=["category*city", "street", "city"],
        empty="zero",
        levels=levels("ge", blue=1, red=3),
        alert={"off_delay_s": 60},
        model=by_hours(side="high", counts=True),
    ),
    sign(
        "wide.burst",
        "ratio",
        kind="derived",
        formula={
            "name": "ratio_to_baseline",
            "of": "wide.topic_orders",
            "at_least": 2,
            "and_of": "wide.topic_callers",
            "and_at_least": 2,
        },
        window=window(300, 60),
        keys=["category*city", "city"],
        levels=levels("ge", blue=1, yellow=2),
        alert={},
        model=gaussian(side="high", floor=0.2),
    ),
    sign(
        "wide.loud",
        "count",
        kind="derived",
        formula={
            "name": "children_at_level",
            "of": "wide.level",
            "child": "station",
            "level": "blue",
        },
        window=window(300, 60),
        keys=["street", "city"],
        levels=levels("ge", blue=1),
        alert={},
        model=gaussian(floor=0.5),
    ),
]
"""Signs with a state of their own, and what is derived of signs with models."""

DAY_SIGNS = [
    sensor(
        "hours.daytime",
        "dB",
        "laeq",
        "station",
        aggregate={"function": "leq"},
        limit={"name": "noise_day_db", "how": "excess"},
        window={"calendar": "daytime"},
        keys=["station", "city"],
        rollup="max",
    ),
    arrivals(
        "hours.valid",
        "%",
        aggregate={"function": "mean", "of": "valid", "scale": 100},
        window={"calendar": "day"},
        keys=["platform*city", "city"],
        rollup="merge",
    ),
]
"""Daytimes and days."""

HOUR_SIGNS = [
    sensor(
        "hours.mean",
        "ug/m3",
        "pm25",
        "station",
        aggregate={"function": "mean"},
        window=window(3600, 900),
        keys=["station", "city"],
        rollup="mean",
    ),
    *(
        sign(
            f"hours.{name}",
            "index",
            kind="derived",
            formula={
                "name": "aqi",
                "period": "hour" if name == "hour" else "day",
                "of": dict.fromkeys(("pm25", "pm10", "so2", "no2", "co", "o3"), "hours.mean"),
            },
            window=windows,
            keys=["station", "city"],
            levels=levels("gt", yellow=50, red=200),
            alert={},
            model=gaussian(floor=3, keys=["city"]),
        )
        for name, windows in (
            ("hour", window(3600, 3600)),
            ("day", {"calendar": "day"}),
            ("past_day", window(86_400, 3600)),
        )
    ),
    *DAY_SIGNS,
    arrivals(
        "hours.online",
        "%",
        kind="sampled",
        match={"registered": True},
        aggregate={"function": "online", "scale": 100},
        window=window(3600, 3600),
        keys=["city"],
        model=by_hours(floor=3),
    ),
    sign(
        "hours.repeats",
        "%",
        kind="history",
        topic="hotline",
        match={"kind": "order"},
        base="street",
        repeats={"of": [["citizen"], ["place", "category"]], "within_s": 86_400},
        window=window(86_400, 3600),
        keys=["street", "city"],
    ),
    orders(
        "hours.overdue",
        "count",
        3600,
        match={"past_due": True},
        base="street",
        aggregate={"function": "count"},
        keys=["department*city", "city"],
        empty="zero",
    ),
]
"""Indices of an hour and of a day, daytime, and states that last for days."""


def register_of(home: Callable[[int], str]) -> Register:
    """Devices of the logs, with what they need at the place ``home`` gives for their number.

    Some are moved, put up or taken down while the log goes on; some never speak.
    """

    def row(number: int, kind: str, **fields: Any) -> Device:
        where = "sensor" if kind != "parking" else "traffic"
        name = f"{'d' if where == 'sensor' else 'r'}{number}"
        told = {"platform": ("gz", "tests")[number % 2], "place": home(number), "period_s": 300.0}
        return Device(name, where, kind, **{**told, **fields})

    moved, later = START + 10 * MINUTE_MS, START + 25 * MINUTE_MS
    return Register(
        [
            row(0, "pm25"),
            row(0, "manhole_level", well_depth_m=2.5, limit=4.0, site="s7"),
            row(0, "laeq", noise_zone="1", site="s0"),
            row(0, "parking", site="s0", period_s=60.0),
            row(1, "pm25", until=moved),
            row(1, "pm25", since=moved, platform="tests", period_s=60.0),
            row(1, "manhole_level", since=later, well_depth_m=0.5, limit=1.0, site="s7"),
            row(1, "laeq", until=later, noise_zone="4a"),
            row(2, "water_depth", since=later, site="s1"),
            row(2, "laeq", since=moved, noise_zone="2"),
            row(2, "manhole_level"),
            row(8, "pm25", until=START - MINUTE_MS),
            row(9, "pm25", period_s=60.0),
            row(9, "manhole_level", since=moved, until=later, well_depth_m=1.0),
            row(9, "laeq", noise_zone="0"),
            row(9, "parking", since=moved, site="s9"),
        ]
    )


def wide(
    signs: list[dict[str, Any]],
    lateness_s: float,
    forget_s: float,
    home: Callable[[int], str] = lambda number: PLACES[number * 3 % len(PLACES)],
) -> Configuration:
    """A configuration of these signs, with topics of words, limits of orders, and a register."""
    topics = [
        topic("sensor", 2, lateness_s),
        topic("traffic", 1, lateness_s),
        topic("hotline", 2, 2 * lateness_s, disorder_s=0),
    ]
    tree = configuration(signs, topics, forget_s=forget_s).model_dump()
    tree["hotline"]["topics"] = [
        {"name": "积水", "code": "08", "keywords": ["积水", "水浸"]},
        {"name": "噪声", "code": "05", "keywords": ["噪声", "太吵"]},
    ]
    tree["hotline"]["places"] = {"五山街道": "440106001", "白云区": "440111"}
    tree["orders"] = {
        "due": [{"type": "help", "working_days": 1}],
        "forget_closed_days": 1,
        "forget_open_days": 1,
    }
    return Configuration.model_validate(tree).with_register(register_of(home))


WIDE = wide([*EVENT_SIGNS, *STATE_SIGNS], 300, 1800)
"""Windows of minutes: for logs of a few hours."""
HOURS = wide(HOUR_SIGNS, 7200, 21_600)
"""Windows of hours and days: for logs of days."""
