"""What every detector answers, and what the judge may ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from agents.detectors.local_hours import LocalHours

ALARM = 0.5
"""A score at or above it is an anomaly."""

LARGEST = 1e100
"""Largest magnitude a detector is given: what it squares and adds up stays finite (rule R7)."""

Side = Literal["both", "high", "low"]
"""Which deviations count: a high queue is an anomaly, an empty one is not."""


class Verdict(NamedTuple):
    """What a model says of one value.

    Parameters
    ----------
    score
        0 to 1; None while the model has no answer.
    expected
        In the sign's unit; None while there is no answer.
    band
        Lowest and highest value that is no anomaly, both finite, in the sign's unit.  It is given
        at both ends also where only one side counts.
    basis
        What the answer rests on: ``hour_of_week``, ``hour_of_day``, ``gaussian``; or ``warming``.
    """

    score: float | None
    expected: float | None
    band: tuple[float, float] | None
    basis: str


WARMING = Verdict(None, None, None, "warming")
"""The answer of a model that has not learned enough."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What the parameters of all detectors have.

    Parameters
    ----------
    side
        Which deviations count.
    """

    side: Side = "both"


class Detector(Protocol):
    """A model of one key of one sign.

    It has no clock and draws nothing but from its seed, so that a log has one answer (rule R2).
    Its state is plain data in named sections, each of them small beside the whole: a snapshot
    writes only those that changed.
    """

    def score(self, value: float, time: int) -> Verdict:
        """Judge a value before it is learned; the state stays as it is.

        Called at any time, also with values that are not learned afterwards.

        Parameters
        ----------
        value
            Finite, of magnitude `LARGEST` at most, in the sign's unit.
        time
            End of the value's window, int64 ms UTC.
        """
        ...

    def learn(self, value: float, time: int) -> None:
        """Take over a value that was not flagged; what is asked of both as in `score`."""
        ...

    def sections(self) -> Iterable[str]:
        """Names of the sections there are, each at most a few words of ASCII.

        Asked even of a model that has failed, so it may call nothing that can fail.
        """
        ...

    def dump(self, only: Iterable[str] | None = None) -> dict[str, list[Any]]:
        """Sections by name, or those there are of the names given; copied, so that they stay so."""
        ...

    def load(self, sections: Mapping[str, list[Any]]) -> None:
        """Take over all sections of a dump, in a new detector of the same parameters."""
        ...

    def take_changed(self) -> set[str]:
        """Names of the sections that changed since the last call, or since they were loaded."""
        ...


Factory = Callable[[Any, int, LocalHours], Detector]
"""Makes a new model of its parameters, a seed and the city's hours."""


class Kind(NamedTuple):
    """An entry of the registry.

    Parameters
    ----------
    make
        Makes a model.
    parameters
        What it is configured by, with defaults for everything.
    version
        Of the meaning of its sections; a snapshot of another one is refused.
    """

    make: Factory
    parameters: type[Parameters]
    version: int


def require(fits: bool, told: str) -> None:
    """Refuse parameters that do not fit.

    Raises
    ------
    ValueError
        It says what was told.
    """
    if not fits:
        raise ValueError(told)
