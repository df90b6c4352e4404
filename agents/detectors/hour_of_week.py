"""Hour-of-week baseline: what this hour of the week was like lately, by median and MAD."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

from agents.detectors.local_hours import SLOTS, LocalHours, alike, name_of
from agents.detectors.protocol import WARMING, Parameters, Verdict, require
from streams.timeline import to_ms

TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its MAD [1]_."""

_CLOCK = "clock"
_NAMES = [name_of(slot) for slot in range(SLOTS)]
_SLOTS = {name: slot for slot, name in enumerate(_NAMES)}


@dataclass(frozen=True, kw_only=True)
class HourOfWeekParameters(Parameters):
    """Parameters of the hour-of-week baseline; all defaults are proposals.

    Parameters
    ----------
    side
        Which deviations count.
    z_alarm
        Deviation over scale from which a value is an anomaly, above 0.
    floor
        Least scale in the sign's unit, above 0.  The default is the resolution of values: set it to
        a deviation that means nothing, or a series that stood still alarms at its first move.
    relative_floor
        Least scale as a share of the median's magnitude, from 0.
    counts
        The values are counts: the scale is at least the square root of the median, as in a Poisson
        distribution, and at least 1; the band does not go below 0.
    ring
        Newest values kept for each hour of the week.
    least
        Values from which an hour of the week, or an hour of the day, has an answer.
    every_s
        Seconds of event time between values that are learned, as windows may overlap.
    """

    z_alarm: float = 4.0
    floor: float = 1e-6
    relative_floor: float = 0.05
    counts: bool = False
    ring: int = 32
    least: int = 12
    every_s: float = 900.0

    def __post_init__(self) -> None:
        require(self.z_alarm > 0, f"z_alarm is {self.z_alarm}: it must be above 0")
        require(self.floor > 0, f"floor is {self.floor}: it must be above 0")
        require(self.relative_floor >= 0, f"relative_floor is {self.relative_floor}: use 0 or more")
        require(self.every_s >= 0, f"every_s is {self.every_s}: use 0 or more seconds")
        require(
            1 <= self.least <= self.ring,
            f"least is {self.least} and ring is {self.ring}: an hour keeps at most `ring` values, "
            "so `least` must be from 1 to `ring`",
        )


class _Baseline(NamedTuple):
    """What is expected in one slot."""

    expected: float
    scale: float
    band: tuple[float, float]
    basis: str


class HourOfWeek:
    """Robust z of a value against the same hour of past weeks.

    The score is ``z / (z + z_alarm)``, where ``z = |value - median| / scale`` and the scale is
    ``1.4826 * MAD``, or a floor where that is more [2]_.  An hour of the week that has too few
    values is judged by the same hour of all days of its type, working or of rest; where these are
    too few as well the model is warming.  Days of rest are never judged by working days.

    Memory: at most ``2 * 168 * ring`` numbers and one; with a calendar in which most weekdays are
    of one type it is ``168 * ring``, 70 kB with the default ring, as flat arrays.

    Parameters
    ----------
    parameters
        See `HourOfWeekParameters`.
    seed
        Not used: nothing is drawn.
    hours
        Time zone and working days of the city.

    References
    ----------
    .. [1] P. J. Rousseeuw, C. Croux: Alternatives to the Median Absolute Deviation.  Journal of the
       American Statistical Association 88 (1993), 1273-1283.
    .. [2] B. Iglewicz, D. C. Hoaglin: How to Detect and Handle Outliers.  ASQC Quality Press, 1993.

    Examples
    --------
    >>> parameters = HourOfWeekParameters(ring=5, least=5, floor=2.0)
    >>> detector = HourOfWeek(parameters, 0, LocalHours("UTC"))
    >>> week, nine = 604_800_000, 1_772_442_000_000
    >>> for n, value in enumerate([10.0, 12.0, 11.0, 14.0, 13.0]):
    ...     detector.learn(value, nine + n * week)
    >>> verdict = detector.score(20.0, nine + 5 * week)
    >>> verdict
    Verdict(score=0.5, expected=12.0, band=(4.0, 20.0), basis='hour_of_week')
    """

    def __init__(self, parameters: HourOfWeekParameters, seed: int, hours: LocalHours) -> None:
        self.parameters = parameters
        self._hours = hours
        self._every_ms = to_ms(parameters.every_s)
        self._up = parameters.side != "low"
        self._down = parameters.side != "high"
        self._bins: dict[int, array[float]] = {}
        self._learned_at: int | None = None
        self._fitted: dict[int, _Baseline | None] = {}
        self._changed: set[str] = set()

    def score(self, value: float, time: int) -> Verdict:
        slot = self._hours.slot(time)
        if slot in self._fitted:
            baseline = self._fitted[slot]
        else:
            baseline = self._fitted[slot] = self._fit(slot)
        if baseline is None:
            return WARMING
        expected, scale, band, basis = baseline
        deviation = value - expected
        if deviation < 0.0:
            z = -deviation / scale if self._down else 0.0
        else:
            z = deviation / scale if self._up else 0.0
        alarm = self.parameters.z_alarm
        return Verdict(z / (z + alarm), expected, band, basis)

    def learn(self, value: float, time: int) -> None:
        if self._learned_at is not None and time - self._learned_at < self._every_ms:
            return
        slot = self._hours.slot(time)
        ring = self._bins.setdefault(slot, array("d"))
        if len(ring) >= self.parameters.ring:
            del ring[0]
        ring.append(value)
        self._learned_at = time
        self._changed.update((_CLOCK, _NAMES[slot]))
        for other in alike(slot):
            self._fitted.pop(other, None)

    def _fit(self, slot: int) -> _Baseline | None:
        least, own = self.parameters.least, self._bins.get(slot, ())
        if len(own) >= least:
            return self._baseline(sorted(own), "hour_of_week")
        pooled = [x for other in alike(slot) for x in self._bins.get(other, ())]
        return self._baseline(sorted(pooled), "hour_of_day") if len(pooled) >= least else None

    def _baseline(self, ordered: list[float], basis: str) -> _Baseline:
        parameters = self.parameters
        median = _middle(ordered)
        mad = _middle(sorted(abs(x - median) for x in ordered))
        scale = max(TO_SIGMA * mad, parameters.floor, parameters.relative_floor * abs(median))
        if parameters.counts:
            scale = max(scale, sqrt(max(median, 1.0)))
        reach = parameters.z_alarm * scale
        low, high = median - reach, median + reach
        if parameters.counts:
            low = min(max(low, 0.0), median)
        return _Baseline(median, scale, (low, high), basis)

    def sections(self) -> Iterable[str]:
        if self._learned_at is not None:
            yield _CLOCK
        yield from (_NAMES[slot] for slot in self._bins)

    def dump(self, only: Iterable[str] | None = None) -> dict[str, list[Any]]:
        sections: dict[str, list[Any]] = {}
        for name in self.sections() if only is None else only:
            ring = self._bins.get(_SLOTS.get(name, SLOTS))
            if ring is not None:
                sections[name] = ring.tolist()
            elif name == _CLOCK and self._learned_at is not None:
                sections[name] = [self._learned_at]
        return sections

    def load(self, sections: Mapping[str, list[Any]]) -> None:
        for name, data in sections.items():
            if name == _CLOCK:
                self._learned_at = data[0]
            else:
                self._bins[_SLOTS[name]] = array("d", data)

    def take_changed(self) -> set[str]:
        changed, self._changed = self._changed, set()
        return changed


def _middle(ordered: list[float]) -> float:
    """The median of sorted values.

    >>> _middle([1.0, 2.0, 4.0]), _middle([1.0, 2.0, 4.0, 9.0])
    (2.0, 3.0)
    """
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
