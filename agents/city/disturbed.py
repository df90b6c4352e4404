"""Plain readings with every disturbance that a comparison of engines asks for, each counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from agents.city.devices import SENSOR
from agents.city.districts import DISTRICTS, spot, streets
from agents.city.draws import Floats, Ints, mix, uniforms
from agents.city.emission import Emission
from agents.city.rhythm import START_MS

_BENCH = 0xBE7C4
_DEVICES_A_SITE = 25
_LOW, _HIGH = 12.0, 55.0
_TRANSIT_MS = 200
# Milliseconds from a reading's time to its arrival, shortest and longest, by class.
_DELAY = {"on_time": (0, 4_500), "late": (8_000, 28_000), "beyond": (600_000, 840_000)}
_LOW_MS = np.array([low for low, _ in _DELAY.values()])
_SPAN_MS = np.array([high - low for low, high in _DELAY.values()])
_LATE, _BEYOND, _MALFORMED, _RESHAPED = 0.009, 0.001, 0.001, 0.05
_LONGEST_MS = _TRANSIT_MS + _DELAY["beyond"][1]


class Disturbed:
    """Readings of one metric, as `load_readings` makes them, with disturbances.

    Every reading arrives up to 4.7 s after its time (order is lost within 5 s). Of a thousand, 9
    are late by 8 to 28 s, one by 10 to 14 minutes (beyond what is waited for), one is malformed,
    and 50 have their keys in another order or characters escaped. The log begins in the midst of
    things: what was late before its first arrival is in it too.

    Parameters
    ----------
    seed
        Any integer; the same seed gives the same bytes.
    count
        How many readings in all.
    devices
        How many devices speak, each once in a period; 25 share a site.
    period_s
        Seconds between two readings of a device.

    Attributes
    ----------
    planted
        How many of each disturbance were made so far: ``late``, ``beyond``, ``malformed``,
        ``shuffled``, ``escaped``; a malformed one may be late too, the other shapes also.

    Raises
    ------
    ValueError
        Where there is no device, or ``count`` is negative.

    Examples
    --------
    >>> log = Disturbed(seed=1, count=25, devices=10, period_s=5)
    >>> sum(len(batch) for batch in log)
    25
    """

    def __init__(self, seed: int, count: int, devices: int, period_s: int) -> None:
        if devices < 1 or count < 0 or period_s < 1:
            raise ValueError("load readings need a device, a period and a count of 0 or more")
        self.seed, self.count, self.devices, self.period_s = seed, count, devices, period_s
        self.planted: Counter[str] = Counter(
            {"late": 0, "beyond": 0, "malformed": 0, "shuffled": 0, "escaped": 0}
        )
        self._rows = np.arange(devices)
        phase = uniforms(mix(_BENCH), self._rows, 1)[0]
        self._phase = (phase * period_s * 1000).astype(np.int64)

    def __iter__(self) -> Iterator[list[Emission]]:
        names, tails = self._fixed_texts()
        keys = [name.encode() for name in names]
        left, k = self.count, 0
        waiting = self._before()
        while left:
            end = START_MS + (k + 1) * self.period_s * 1000
            here = np.concatenate((waiting, self._round(k, self._rows)))
            over = here[:, 1] >= end
            waiting, now = here[over], here[~over]
            now = now[np.lexsort((now[:, 2], now[:, 1]))][:left]
            left, k = left - len(now), k + 1
            yield self._texts(now, keys, names, tails)

    def _round(self, k: int, rows: Ints) -> Ints:
        """Readings of a period: time, arrival, device, tenths, class, shape, draw."""
        draw = uniforms(mix(self.seed, _BENCH, k), rows, 5)
        t = START_MS + k * self.period_s * 1000 + self._phase[rows]
        kind = _kinds(draw[0])
        arrival = t + _TRANSIT_MS + (_LOW_MS[kind] + _SPAN_MS[kind] * draw[1]).astype(np.int64)
        tenths = np.round((_LOW + (_HIGH - _LOW) * draw[2]) * 10).astype(np.int64)
        shape = np.searchsorted((_MALFORMED, _MALFORMED + _RESHAPED), draw[3], side="right")
        which = (draw[4] * 12).astype(np.int64)
        return np.column_stack((t, arrival, rows, tenths, kind, shape, which))

    def _before(self) -> Ints:
        """Readings of before the first period that arrive later than that."""
        found = [np.empty((0, 7), dtype=np.int64)]
        for k in range(-(_LONGEST_MS // (self.period_s * 1000)) - 1, 0):
            # Draws are by name: those of a few devices are the same as among all.
            kind = _kinds(uniforms(mix(self.seed, _BENCH, k), self._rows, 1)[0])
            recent = -k * self.period_s * 1000 <= _DELAY["late"][1] + _TRANSIT_MS
            made = self._round(k, self._rows[(kind > 0) | recent])
            found.append(made[made[:, 1] >= START_MS])
        return np.concatenate(found)

    def _texts(
        self, now: Ints, keys: list[bytes], names: list[str], tails: list[str]
    ) -> list[Emission]:
        late, beyond = (int((now[:, 4] == number).sum()) for number in (1, 2))
        self.planted.update(late=late, beyond=beyond)
        values = (now[:, 3] / 10).tolist()
        made = [
            Emission(
                SENSOR,
                arrival,
                keys[i],
                f'{{"device":"{names[i]}","metric":"pm25","value":{value},"unit":"ug/m3",'
                f'"t":{t}{tails[i]}'.encode(),
            )
            for t, arrival, i, value in zip(
                now[:, 0].tolist(), now[:, 1].tolist(), now[:, 2].tolist(), values, strict=True
            )
        ]
        for at in np.nonzero(now[:, 5] < 2)[0].tolist():
            shapes = _MALFORMATIONS if now[at, 5] == 0 else _SHAPES
            name, reshape = shapes[now[at, 6] % len(shapes)]
            self.planted[name] += 1
            made[at] = made[at]._replace(value=reshape(made[at].value))
        return made

    def _fixed_texts(self) -> tuple[list[str], list[str]]:
        names, tails = [], []
        places = streets()
        for number in range(self.devices):
            site = number // _DEVICES_A_SITE
            street = places[site % len(places)]
            names.append(f"pm-{DISTRICTS[street.district]}-{number:07d}")
            tails.append(
                f',"place":"{spot(street, site).grid}","site":"pm25-{site:05d}",'
                f'"period_s":{self.period_s},"source":"gz-load"}}'
            )
        return names, tails


def _kinds(draw: Floats) -> Ints:
    """The class of each reading, as its place in ``_DELAY``."""
    return 2 - np.searchsorted((_BEYOND, _BEYOND + _LATE), draw, side="right")


def _fields(value: bytes) -> list[bytes]:
    return value[1:-1].split(b",")  # no value of a plain reading holds a comma


def _joined(fields: list[bytes]) -> bytes:
    return b"{" + b",".join(fields) + b"}"


def _spaced(value: bytes) -> bytes:
    fields = [field.replace(b":", b": ", 1) for field in _fields(value)]
    return b"{ " + b", ".join(fields[::2] + fields[1::2]) + b" }"


_SHAPES: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("shuffled", lambda value: _joined(_fields(value)[::-1])),
    ("shuffled", lambda value: _joined(_fields(value)[3:] + _fields(value)[:3])),
    ("shuffled", _spaced),
    ("escaped", lambda value: value.replace(b'"pm-', b'"pm\\u002d', 1)),
    ("escaped", lambda value: value.replace(b"gz-load", b"gz\\u002dload", 1)),
    ("escaped", lambda value: value.replace(b"ug/m3", b"ug\\/m3", 1)),
)
_MALFORMATIONS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("malformed", lambda value: value[: len(value) // 2]),
    ("malformed", lambda value: re.sub(rb'"value":[^,]*', b'"value":"n/a"', value, count=1)),
    ("malformed", lambda value: re.sub(rb'"t":\d+', b'"t":null', value, count=1)),
)
