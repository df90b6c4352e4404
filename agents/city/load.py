"""Plain sensor readings in bulk, for load tests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, repeat

import numpy as np

from agents.city.devices import SENSOR
from agents.city.districts import DISTRICTS, spot, streets
from agents.city.draws import mix, uniforms
from agents.city.emission import Emission
from agents.city.rhythm import START_MS

_LOAD = 0x701
_TRANSIT_MS = 500
_DEVICES_A_SITE = 25
_FREE_MS = 6_000
_SHORTEST_S = 10
# Metric, prefix of its devices, unit, lowest and highest ordinary value.
_METRICS = (
    ("rain", "yl", "mm", 0.0, 0.4),
    ("pm25", "pm", "ug/m3", 12.0, 55.0),
    ("water_depth", "js", "cm", 0.0, 3.0),
    ("laeq", "zs", "dB", 42.0, 58.0),
)


def load_readings(
    seed: int, count: int, devices: int = 20_000, period_s: int = 60
) -> Iterator[list[Emission]]:
    """Make ``count`` readings of about 200 bytes, in order of arrival, a period a batch.

    Each device reads once in a period; two readings in a hundred arrive up to 4 s later than
    their place in the order of event times, which is still on time.

    Parameters
    ----------
    seed
        Any integer; the same seed gives the same bytes.
    count
        How many readings in all.
    devices
        How many devices speak, in turn of the four metrics; 25 of one metric share a site.
    period_s
        Seconds between two readings of a device.

    Raises
    ------
    ValueError
        Where there is no device, ``count`` is negative, or the period is too short for the delays.

    Examples
    --------
    >>> batches = list(load_readings(seed=1, count=25, devices=10))
    >>> [len(batch) for batch in batches]
    [10, 10, 5]
    """
    if devices < 1 or count < 0:
        raise ValueError("load readings need at least one device and a count of 0 or more")
    if period_s < _SHORTEST_S:
        raise ValueError(f"a period of plain readings takes {_SHORTEST_S} s or more")
    return _batches(seed, count, devices, period_s)


def _batches(seed: int, count: int, devices: int, period_s: int) -> Iterator[list[Emission]]:
    keys, heads, tails = _fixed_texts(devices, period_s)
    rows = np.arange(devices)
    # The last seconds of a period stay free, so that each period's arrivals end with it.
    phase = (uniforms(mix(_LOAD), rows, 1)[0] * (period_s * 1000 - _FREE_MS)).astype(np.int64)
    low = np.array([metric[3] for metric in _METRICS])[rows % len(_METRICS)]
    high = np.array([metric[4] for metric in _METRICS])[rows % len(_METRICS)]
    for k in range(-(-count // devices)):
        draw = uniforms(mix(seed, _LOAD, k), rows, 2)
        t = START_MS + k * period_s * 1000 + phase
        delay = np.where(draw[1] < 0.02, 500 + 175_000 * draw[1], 0.0).astype(np.int64)
        arrival = t + _TRANSIT_MS + delay
        order = np.argsort(arrival, kind="stable")
        value = np.round(low + (high - low) * draw[0], 1)[order].tolist()
        who, when = order.tolist(), t[order].tolist()
        readings = (
            f"{heads[i]}{reading}{tails[i][0]}{at}{tails[i][1]}".encode()
            for i, reading, at in zip(who, value, when, strict=True)
        )
        batch = map(
            Emission, repeat(SENSOR), arrival[order].tolist(), [keys[i] for i in who], readings
        )
        yield list(islice(batch, count - k * devices))


def _fixed_texts(
    devices: int, period_s: int
) -> tuple[list[bytes], list[str], list[tuple[str, str]]]:
    keys, heads, tails = [], [], []
    places = streets()
    for number in range(devices):
        metric, prefix, unit, _, _ = _METRICS[number % len(_METRICS)]
        # A round of the metrics gives one device to a site of each, so rounds fill the sites.
        site = number // (len(_METRICS) * _DEVICES_A_SITE) * len(_METRICS) + number % len(_METRICS)
        street = places[site % len(places)]
        where = spot(street, site)
        name = f"{prefix}-{DISTRICTS[street.district]}-{number:07d}"
        keys.append(name.encode())
        heads.append(f'{{"device":"{name}","metric":"{metric}","value":')
        tails.append(
            (
                f',"unit":"{unit}","t":',
                f',"place":"{where.grid}","site":"{metric}-{site:05d}","period_s":{period_s},'
                '"source":"gz-load"}',
            )
        )
    return keys, heads, tails
