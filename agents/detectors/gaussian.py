"""River's Gaussian scorer: how rare a value is in the normal distribution of those before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log10, sqrt
from typing import TYPE_CHECKING, Any

from agents.detectors.local_hours import LocalHours
from agents.detectors.protocol import WARMING, Parameters, Verdict, require
from streams.timeline import to_ms

if TYPE_CHECKING:
    from river.proba import Gaussian as Distribution

_Row = tuple[tuple[float], dict[str, Any]]
"""What River's window keeps of a value: the arguments it came with."""

_MOMENTS = "moments"
_BLOCK = 64
"""Values of the window in one section."""
_RAREST = 2.0**-53
"""Least difference from 1 that River's score can have, short of none."""
_MOST_Z = 7.0
_CANCELLED = 1e-6
"""Share of its peak below which a sum of squares has lost too many digits."""


@dataclass(frozen=True, kw_only=True)
class GaussianParameters(Parameters):
    """Parameters of the Gaussian scorer; all defaults are proposals but `least`, which is River's.

    Parameters
    ----------
    side
        Which deviations count.
    z_alarm
        Standard deviations from which a value is an anomaly, above 0 and at most 7: at 8 River's
        score can no longer be told from 1.
    floor
        Least standard deviation in the sign's unit, above 0.  The default is the resolution of
        values: set it to a deviation that means nothing.
    window
        Newest values that the distribution is fitted to; 0 for all there ever were, which forgets
        nothing and in the end follows nothing.
    least
        Values from which there is an answer, 2 or more.
    every_s
        Seconds of event time between values that are learned, as windows may overlap.
    """

    z_alarm: float = 4.0
    floor: float = 1e-6
    window: int = 500
    least: int = 100
    every_s: float = 900.0

    def __post_init__(self) -> None:
        require(
            0 < self.z_alarm <= _MOST_Z,
            f"z_alarm is {self.z_alarm}: it must be above 0 and at most {_MOST_Z:g}",
        )
        require(self.floor > 0, f"floor is {self.floor}: it must be above 0")
        require(self.every_s >= 0, f"every_s is {self.every_s}: use 0 or more seconds")
        require(self.least >= 2, f"least is {self.least}: two values have a deviation, fewer none")
        require(
            self.window == 0 or self.window >= self.least,
            f"window is {self.window} and least is {self.least}: a window never holds `least` "
            "values unless it is as long; use 0 for all values",
        )


class Gaussian:
    """How far out in a normal distribution of past values a value lies.

    River's score is ``s = 2 |cdf(value) - 0.5|``, near 1 for all that matters.  Here it is
    ``r / (r + r_alarm)`` with the rarity ``r = -log10(1 - s)``, the decimal places of the
    probability to be that far out, and ``r_alarm`` that of ``z_alarm`` standard deviations: so
    `ALARM` is met from there on.  Rarity ends at 2⁻⁵³, about 8.2 standard deviations.

    The distribution is River's, over its rolling window.  Taking old values out of a sum of squares
    loses digits, and after a large value has left it all of them; so it is summed anew once in a
    window's length, and whenever it has fallen below a millionth of its peak.

    Memory: ``window`` numbers and six, 100 kB with the default window: River takes 200 B a number.

    Parameters
    ----------
    parameters
        See `GaussianParameters`.
    seed, hours
        Not used: nothing is drawn, and every hour is like every other.

    References
    ----------
    .. [1] B. P. Welford: Note on a Method for Calculating Corrected Sums of Squares and Products.
       Technometrics 4 (1962), 419-420.

    Examples
    --------
    >>> parameters = GaussianParameters(window=0, least=4, z_alarm=3.0)
    >>> detector = Gaussian(parameters, 0, LocalHours("UTC"))
    >>> for n, value in enumerate([9.0, 11.0, 9.0, 11.0]):
    ...     detector.learn(value, n * 900_000)
    >>> verdict = detector.score(14.0, 4 * 900_000)
    >>> round(verdict.score, 3), verdict.expected, [round(x, 3) for x in verdict.band]
    (0.56, 10.0, [6.536, 13.464])
    """

    def __init__(self, parameters: GaussianParameters, seed: int, hours: LocalHours) -> None:
        # Here, not above: it takes most of a second and 100 MB.
        from river.utils.math import norm_cdf

        self.parameters = parameters
        self._cdf = norm_cdf
        self._every_ms = to_ms(parameters.every_s)
        self._rarity_alarm = _rarity(2 * abs(norm_cdf(parameters.z_alarm) - 0.5))
        self._begin()
        self._learned = 0
        self._learned_at: int | None = None
        self._peak = 0.0
        self._changed: set[str] = set()

    def _begin(self) -> None:
        from river.anomaly import GaussianScorer

        window = self.parameters.window
        self._scorer = GaussianScorer(window or None, self.parameters.least)
        fitted: Any = self._scorer.gaussian
        self._distribution: Distribution = fitted.obj if window else fitted
        self._rows: deque[tuple[tuple[float], dict[str, Any]]] = (
            fitted.window if window else deque()
        )

    def score(self, value: float, time: int) -> Verdict:
        parameters, variance = self.parameters, self._distribution._var
        if variance.mean.n < parameters.least:
            return WARMING
        expected = variance.mean.get()
        sigma = sqrt(max(variance.get(), 0.0))
        if sigma >= parameters.floor:
            share = self._scorer.score_one(None, value)
        else:
            # River calls every value an anomaly where all before it were the same.
            sigma = parameters.floor
            share = 2 * abs(self._cdf((value - expected) / sigma) - 0.5)
        if parameters.side == ("low" if value > expected else "high"):
            share = 0.0
        rarity, reach = _rarity(share), parameters.z_alarm * sigma
        band = (expected - reach, expected + reach)
        return Verdict(rarity / (rarity + self._rarity_alarm), expected, band, "gaussian")

    def learn(self, value: float, time: int) -> None:
        if self._learned_at is not None and time - self._learned_at < self._every_ms:
            return
        self._scorer.learn_one(None, value)
        self._learned_at = time
        self._changed.add(_MOMENTS)
        window = self.parameters.window
        if window:
            self._changed.add(_block_name(self._learned % window // _BLOCK))
        self._learned += 1
        squares = self._distribution._var._S
        self._peak = max(self._peak, squares)
        worn = window and (self._learned % window == 0 or squares < _CANCELLED * self._peak)
        if worn and self._learned > window:
            self._sum_anew()

    def _sum_anew(self) -> None:
        values = self._window()
        self._begin()
        for value in values:
            self._scorer.learn_one(None, value)
        self._peak = self._distribution._var._S

    def _window(self) -> list[float]:
        """The values of River's window, the oldest first."""
        return [arguments[0] for arguments, _ in self._rows]

    def sections(self) -> Iterable[str]:
        if self._learned:
            yield _MOMENTS
            kept = min(self._learned, self.parameters.window)
            yield from map(_block_name, range((kept + _BLOCK - 1) // _BLOCK))

    def dump(self, only: Iterable[str] | None = None) -> dict[str, list[Any]]:
        names = list(self.sections())
        if only is not None:
            names = [name for name in only if name in names]
        ring = self._ring() if names and self.parameters.window else []
        return {name: self._moments() if name == _MOMENTS else ring[_rows(name)] for name in names}

    def _moments(self) -> list[Any]:
        mean, squares = self._distribution._var.mean, self._distribution._var._S
        return [mean.n, mean._mean, squares, self._peak, self._learned, self._learned_at]

    def _ring(self) -> list[float]:
        """The window by place: a value stays where it is until another one takes its place."""
        values = self._window()
        newest = self._learned % len(values)
        return values[-newest:] + values[:-newest] if newest else values

    def load(self, sections: Mapping[str, list[Any]]) -> None:
        if _MOMENTS not in sections:
            return
        variance = self._distribution._var
        # River's own way back goes through the variance, and its last bits are others.
        variance.mean.n, variance.mean._mean, variance._S, *rest = sections[_MOMENTS]
        self._peak, self._learned, self._learned_at = rest
        if self.parameters.window:
            kept = min(self._learned, self.parameters.window)
            names = map(_block_name, range((kept + _BLOCK - 1) // _BLOCK))
            ring = [value for name in names for value in sections[name]]
            newest = self._learned % kept
            ordered = ring[newest:] + ring[:newest]
            self._rows.extend(((value,), {}) for value in ordered)

    def take_changed(self) -> set[str]:
        changed, self._changed = self._changed, set()
        return changed


def _rarity(share: float) -> float:
    """Decimal places of the probability of what lies outside of a share.

    >>> _rarity(0.0), round(_rarity(0.99), 9), round(_rarity(1.0), 2)
    (0.0, 2.0, 15.95)
    """
    return log10(1 / max(1 - share, _RAREST))


def _block_name(block: int) -> str:
    return f"window-{block}"


def _rows(name: str) -> slice:
    first = int(name.rpartition("-")[2]) * _BLOCK
    return slice(first, first + _BLOCK)
