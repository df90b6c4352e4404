"""Public measurements as event logs: what the sources' own collectors would have sent."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from streams.event_logs import Writer

SENSOR = "city.sensor.v1"
TRAFFIC = "city.traffic.v1"

_POLLUTANTS = {"PM10": "pm10", "SO2": "so2", "NO2": "no2", "CO": "co", "O3": "o3"}
_WEATHER = {"TEMP": "air_temperature", "RAIN": "rain"}
_UNITS = {"co": "mg/m3", "air_temperature": "Cel", "rain": "mm"}
_DISTRICTS = ("110101", "110102", "110105", "110106", "110108", "110113", "110114", "110116")
_OBSERVED_MS = 300_000
_LINK_M = 1000


def write_beijing_air(
    data: Path, folder: Path, days: tuple[tuple[str, str], ...], years: int = 0
) -> Path:
    """Write the hourly readings of twelve air stations.

    Parameters
    ----------
    data
        Folder of the public data.
    folder
        Where the log goes.
    days
        Local dates ``(first, last)``, both included; months may lie between two of them.
    years
        By how much all times are moved on, such as into the days of another standard.

    Returns
    -------
    Path
        The log. A missing value is no reading; a value beyond its metric's range is one.
    """
    zone = ZoneInfo("Asia/Shanghai")
    places: dict[str, str] = {}
    with Writer(folder, SENSOR) as log:
        for row in _rows(data / "beijing_air_2015.ndjson.gz"):
            if not any(first <= row["ts"][:10] <= last for first, last in days):
                continue
            station = row["key"]
            number = len(places)
            street = f"{_DISTRICTS[number % len(_DISTRICTS)]}{number + 1:03d}"
            place = places.setdefault(station, street)
            local = datetime.fromisoformat(row["ts"]).replace(tzinfo=zone)
            t = _ms(local.replace(year=local.year + years))
            for metric, value in _measured(row):
                event = {
                    "device": f"{station}-{metric}",
                    "metric": metric,
                    "value": value,
                    "unit": _UNITS.get(metric, "ug/m3"),
                    "t": t,
                    "place": place,
                    "site": station,
                    "period_s": 3600,
                }
                log.write(msgspec.json.encode(event))
    return log.path


def _measured(row: dict[str, Any]) -> Iterator[tuple[str, float]]:
    found = {"pm25": row["value"]}
    found |= {name: row["x"].get(column) for column, name in (_POLLUTANTS | _WEATHER).items()}
    for metric, value in found.items():
        if value is not None:
            yield metric, value / 1000 if metric == "co" else value


def write_aarhus_traffic(data: Path, folder: Path, rows: slice) -> Path:
    """Write the five-minute observations of eight road segments, in the order of the source.

    Parameters
    ----------
    data
        Folder of the public data.
    folder
        Where the log goes.
    rows
        Which rows of the source.

    Returns
    -------
    Path
        The log, with the source's jump back by a week and its repeated stamps.
    """
    observed = list(_rows(data / "aarhus_traffic_raw_2014_08.ndjson.gz"))
    keys = sorted({row["key"] for row in observed})
    lengths = _link_lengths(data)
    fastest = dict.fromkeys(keys, 1)
    for row in observed:
        fastest[row["key"]] = max(fastest[row["key"]], row["x"]["avgSpeed"])
    # Two districts, the second with a single street, so that some streets have enough samples.
    places = {key: f"2008{1 + i % 2:02d}{1 + i % 3:03d}" for i, key in enumerate(keys)}
    with Writer(folder, TRAFFIC) as log:
        for row in observed[rows]:
            key = row["key"]
            t = _ms(datetime.fromisoformat(row["ts"]).replace(tzinfo=UTC))
            event = {
                "kind": "segment_flow",
                "source_id": key,
                "t": t,
                "t_end": t + _OBSERVED_MS,
                "intensity": int(row["value"]),
                "speed_kmh": row["x"]["avgSpeed"],
                "link_len_m": lengths.get(key, _LINK_M),
                "free_flow_kmh": fastest[key],
                "place": places[key],
            }
            log.write(msgspec.json.encode(event))
    return log.path


def _link_lengths(data: Path) -> dict[str, int]:
    cleaned = _rows(data / "aarhus_traffic_2014_08.ndjson.gz")
    return {row["key"]: row["place"]["m"] for row in cleaned if row["place"]}


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with gzip.open(path) as file:
        for line in file:
            yield decode(line)
