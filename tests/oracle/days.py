"""Some days of stations that report by the hour, and a register that does not fit them; seeded.

The days lie about 2026-03-01, on which the standard of the air quality index changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from schemas.devices import Device, Register
from schemas.registers import save_register
from streams.event_logs import Writer
from tests.oracle.replays import REGISTER

START_MS = 1_772_121_600_000
"""2026-02-27 00:00 in the city of the shipped catalogue: Friday, then a Saturday that is worked."""
_HOUR, _HOURS = 3_600_000, 110
_MOVED_MS = START_MS + 60 * _HOUR
_STREETS = ("440103001", "440103002", "440104001", "4401")
_LATE_S = (0, 0, 0, 0, 0, 3, 100, 250, 700)
"""Delays: in order, within the disorder, corrections, too late."""


class _Metric(NamedTuple):
    unit: str
    top: float
    stations: tuple[int, ...]
    each_h: int = 1


_METRICS = {
    "pm25": _Metric("ug/m3", 130, (0, 1, 2, 3)),
    "pm10": _Metric("ug/m3", 260, (0, 1, 2, 3)),
    "so2": _Metric("ug/m3", 900, (0, 1, 2)),
    "no2": _Metric("ug/m3", 150, (0, 1, 2)),
    "co": _Metric("mg/m3", 4, (0, 1, 2)),
    "o3": _Metric("ug/m3", 260, (0, 1, 2)),
    "laeq": _Metric("dB", 90, (0, 1, 2, 3)),
    "air_temperature": _Metric("Cel", 40, (0, 2)),
    "rain": _Metric("mm", 12, (1, 3)),
    "manhole_level": _Metric("m", 4, (0, 1, 2), 3),
}


def write_days(folder: Path, seed: int) -> None:
    """Write a sensor log and its register.

    Hours are missing, one by one and by the day; readings come late; a station moves; one is
    silent for longer than a day; some are registered late, for a time, without a limit, or never.
    """
    random = Random(seed)
    save_register(Register(_registered()), folder / REGISTER)
    events = sorted(_events(random), key=lambda event: (event["t_ingest"], event["device"]))
    with Writer(folder, "city.sensor.v1") as log:
        for event in events:
            log.write(msgspec.json.encode(event))


def _events(random: Random) -> Iterator[dict[str, Any]]:
    for hour in range(_HOURS):
        for code, metric in _METRICS.items():
            for station in metric.stations:
                if random.random() < 0.06 or _is_silent(code, station, hour):
                    continue
                yield from _readings(random, hour, code, metric, station)


def _is_silent(code: str, station: int, hour: int) -> bool:
    """Station 2 for more than a day, but for its ozone; all carbon monoxide for half a day."""
    gone = station == 2 and 30 <= hour < 57 and code != "o3"
    return gone or (code == "co" and 80 <= hour < 92)


def _readings(
    random: Random, hour: int, code: str, metric: _Metric, station: int
) -> Iterator[dict[str, Any]]:
    for part in range(metric.each_h):
        step = _HOUR // metric.each_h
        t = START_MS + hour * _HOUR + part * step + random.randrange(step)
        low = 30.0 if code == "laeq" else 0.0
        # High by day, so that an hour of the day is much like that of other days.
        level = (0.2 + 0.6 * (6 <= hour % 24 < 22)) * random.choice((1, 1, 1, 1, 1.2))
        yield {
            "device": _device(code, station),
            "site": f"station-{station}",
            "metric": code,
            "value": round(low + (metric.top - low) * level * random.uniform(0.8, 1), 3),
            "unit": metric.unit,
            "t": t,
            "t_ingest": t + random.choice(_LATE_S) * 1000,
            "place": _place(station, t),
            "period_s": 3600 / metric.each_h,
            "q": random.choice(("good", "good", "good", "good", "suspect", "bad")),
        }


def _device(code: str, station: int) -> str:
    """One device measures both particles of station 1."""
    return "particles-1" if (code, station) in (("pm25", 1), ("pm10", 1)) else f"{code}-{station}"


def _place(station: int, t: int) -> str:
    return _STREETS[1 if station == 2 and t >= _MOVED_MS else station]


def _registered() -> Iterator[Device]:
    zones, depths = ("1", "4a", "", "2"), (2.0, None, 5.0)
    # Noise station 1 and all of station 3 are in no register.
    known = [(c, s) for c, m in _METRICS.items() for s in m.stations if s != 3]
    for number, (code, station) in zip(count(), known, strict=False):
        if (code, station) == ("laeq", 1):
            continue
        row = Device(
            device=_device(code, station),
            topic="sensor",
            kind=code,
            platform="",
            place=_place(station, START_MS),
            site=f"station-{station}",
            period_s=3600 / _METRICS[code].each_h,
            well_depth_m=depths[station] if code == "manhole_level" else None,
            noise_zone=zones[station] if code == "laeq" else "",
        )
        if station == 2:
            yield row._replace(until=_MOVED_MS)
            yield row._replace(place=_place(2, _MOVED_MS), since=_MOVED_MS)
        else:
            yield row._replace(since=START_MS + number * _HOUR if number % 3 == 0 else 0)
    for code in ("pm25", "laeq", "manhole_level"):
        yield Device(f"{code}-9", "sensor", code, "", "440105001", site="station-9", period_s=3600)
    # A second gauge in a well whose depth the other one's row tells.
    yield Device("spare-0", "sensor", "manhole_level", "", _STREETS[0], site="station-0")
