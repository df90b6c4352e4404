"""The judge of one sign: a model for each key, and what happens when a model fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from logging import getLogger
from math import isfinite
from typing import Any, NamedTuple

from agents.detectors import DETECTORS
from agents.detectors.local_hours import LocalHours
from agents.detectors.protocol import ALARM, LARGEST, Detector, Parameters, Side, Verdict
from agents.entries import KeyName
from streams.frozen import Frozen, SnapshotError, decode_rows, encode_rows, grouped
from streams.timeline import DAY_MS, HOUR_MS

_log = getLogger(__name__)
_SUMMARY, _KEYS, _SECTION = "summary", "keys", "section"

FORGET_DAYS = 28
"""A model that was given no value for so many days of event time is dropped; a proposal: longer
than any repair, and what was learned before is of another season by then."""


class Judgement(NamedTuple):
    """What the judge says of one value.

    Parameters
    ----------
    verdict
        The model's; its basis is ``missing`` where there was no value, ``failed`` where the model
        failed and was begun anew.
    flagged
        Whether the value is an anomaly.
    """

    verdict: Verdict
    flagged: bool


MISSING = Judgement(Verdict(None, None, None, "missing"), flagged=False)
_FAILED = Verdict(None, None, None, "failed")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The outlier that is planted before each live model once an hour; defaults are proposals.

    Parameters
    ----------
    times
        Factor on the expected value, above 1; where only low values count, its divisor.
    add
        What is added to it, or taken off it, in the sign's unit, from 0.
    """

    times: float = 3.0
    add: float = 0.0

    def outlier(self, expected: float, side: Side) -> float:
        """The value to plant; what is expected itself if nothing can be planted.

        Examples
        --------
        >>> Probe(times=3, add=2).outlier(10.0, "both"), Probe(times=4).outlier(10.0, "low")
        (32.0, 2.5)
        >>> Probe(times=3).outlier(-10.0, "high")
        10.0
        """
        size = abs(expected)
        if side == "low":
            return expected - size * (1 - 1 / self.times) - self.add
        return expected + size * (self.times - 1) + self.add


@dataclass(slots=True)
class Counters:
    """What became of the values, and of the probes.

    Every value is in one of ``skipped`` (there was none, or none that is finite), ``warming``,
    ``scored`` and ``failures``.
    """

    scored: int = 0
    flagged: int = 0
    learned: int = 0
    warming: int = 0
    skipped: int = 0
    failures: int = 0
    probes: int = 0
    probes_found: int = 0


@dataclass(slots=True)
class _Model:
    detector: Detector
    day: int = 0
    """Of the last value, counted from 1970 in UTC."""
    probed_hour: int | None = None
    blind: bool = False


class Judge:
    """Models of one sign by key.  Pure: its answers are a function of what it is given, in order.

    A value is scored first and learned afterwards, if it was not flagged.  A model that raises an
    exception, panics in native code or gives an answer that is none is discarded, and the key
    begins anew with the next value.

    Memory: that of the models of the keys that had a value in the last `FORGET_DAYS`.

    Parameters
    ----------
    sign
        Id of the sign; models of different signs and keys draw from different seeds.
    detector
        Name in `DETECTORS`.
    parameters
        Of that detector; by default its defaults.
    hours
        Time zone and working days of the city.
    probe
        What is planted.

    Examples
    --------
    >>> from agents.detectors import GaussianParameters
    >>> parameters = GaussianParameters(least=4, window=50, floor=1.0)
    >>> judge = Judge("traffic.flow", "gaussian", parameters, hours=LocalHours("UTC"))
    >>> found = [judge.judge(("city", "4401"), 20.0, n * 900_000) for n in range(5)]
    >>> found[0].verdict.basis, found[4].verdict.expected
    ('warming', 20.0)
    >>> judge.judge(("city", "4401"), 25.0, 5 * 900_000).flagged
    True
    """

    def __init__(
        self,
        sign: str,
        detector: str,
        parameters: Parameters | None = None,
        *,
        hours: LocalHours,
        probe: Probe = Probe(),
    ) -> None:
        self.sign, self.name, self.hours, self.probe = sign, detector, hours, probe
        self.kind = DETECTORS[detector]
        self.parameters = parameters or self.kind.parameters()
        self.counters = Counters()
        self._models: dict[KeyName, _Model] = {}
        self._present: set[str] = set()
        self._touched: dict[KeyName, Detector] = {}
        self._changed: set[str] = set()
        self._keys_changed, self._counted = False, True
        self._day = 0

    def judge(self, name: KeyName, value: float | None, end: int) -> Judgement:
        """Judge the value of a key, and learn it if it is no anomaly.

        Parameters
        ----------
        value
            In the sign's unit; one that is not finite, or above `LARGEST`, is as good as none.
        end
            End of its window, int64 ms UTC; never before that of an earlier value.
        """
        self._counted = True
        self._forget(end // DAY_MS)
        if value is None or not abs(value) <= LARGEST:
            self.counters.skipped += 1
            return MISSING
        try:
            return self._ask(name, float(value), end)
        except BaseException as error:
            if not _is_failure(error):
                raise
            self.counters.failures += 1
            self._discard(name)
            _log.warning("the model of %s begins anew, it failed: %s", name, type(error).__name__)
            return Judgement(_FAILED, flagged=False)

    def _ask(self, name: KeyName, value: float, end: int) -> Judgement:
        model = self._models.get(name)
        if model is None:
            model = self._begin(name)
        if model.day != self._day:
            model.day, self._keys_changed = self._day, True
        verdict = _sound(model.detector.score(value, end))
        flagged = verdict.score is not None and verdict.score >= ALARM
        self._plant(model, verdict, end)
        if not flagged:
            model.detector.learn(value, end)
            self._touched[name] = model.detector
            self.counters.learned += 1
        if verdict.score is None:
            self.counters.warming += 1
        else:
            self.counters.scored += 1
            self.counters.flagged += flagged
        return Judgement(verdict, flagged)

    def _plant(self, model: _Model, verdict: Verdict, end: int) -> None:
        """Look once an hour whether a model that has an answer would see an outlier."""
        hour = end // HOUR_MS
        if verdict.expected is None or hour == model.probed_hour:
            return
        outlier = self.probe.outlier(verdict.expected, self.parameters.side)
        # Nothing is planted where nothing is expected and nothing added: no model is blind to that.
        if outlier == verdict.expected or not abs(outlier) <= LARGEST:
            return
        seen = _sound(model.detector.score(outlier, end)).score
        model.blind = seen is None or seen < ALARM
        model.probed_hour = hour
        self._keys_changed = True
        self.counters.probes += 1
        self.counters.probes_found += not model.blind

    def _begin(self, name: KeyName) -> _Model:
        text = "\x1f".join((self.sign, *name))
        seed = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
        model = _Model(self.kind.make(self.parameters, seed, self.hours))
        self._models[name] = model
        self._keys_changed = True
        return model

    def _discard(self, name: KeyName) -> None:
        model = self._models.pop(name, None)
        self._touched.pop(name, None)
        if model is not None:
            self._changed.update(model.detector.sections())
            self._keys_changed = True

    def _forget(self, day: int) -> None:
        """Once a day, drop the models that were given no value for long."""
        if day == self._day:
            return
        self._day = day
        for name in [n for n, m in self._models.items() if day - m.day > FORGET_DAYS]:
            self._discard(name)

    def __len__(self) -> int:
        """Number of models."""
        return len(self._models)

    def blind(self) -> list[KeyName]:
        """Keys whose models did not see the outlier that was planted last."""
        # Asked from another thread: a copy, for the table may grow meanwhile.
        return [name for name, model in tuple(self._models.items()) if model.blind]

    def freeze(self, *, whole: bool = False) -> Frozen:
        """The counters, the keys, and one part for each section, with the rows of all keys."""
        changed = self._take_changed()
        parts: Frozen = {}
        counted = whole or self._counted
        summary = [[self.name, self.kind.version, asdict(self.counters)]]
        parts[_SUMMARY] = partial(encode_rows, summary) if counted else None
        if self._models:
            keys = whole or self._keys_changed
            parts[_KEYS] = partial(encode_rows, self._key_rows()) if keys else None
        wanted = self._present | changed if whole else changed
        rows = self._section_rows(wanted)
        self._present = (self._present - wanted) | rows.keys()
        for section in sorted(self._present):
            new = rows.get(section)
            parts[f"{_SECTION}/{section}"] = None if new is None else partial(encode_rows, new)
        self._keys_changed = self._counted = False
        return parts

    def _take_changed(self) -> set[str]:
        changed, self._changed = self._changed, set()
        for detector in self._touched.values():
            changed |= detector.take_changed()
        self._touched.clear()
        return changed

    def _key_rows(self) -> list[Any]:
        return [(*name, m.day, m.probed_hour, m.blind) for name, m in self._models.items()]

    def _section_rows(self, wanted: set[str]) -> dict[str, list[Any]]:
        """Rows of all keys that have these sections; a model changes in place, so they are new."""
        rows: dict[str, list[Any]] = {}
        if wanted:
            names = sorted(wanted)
            for name, model in self._models.items():
                for section, data in model.detector.dump(names).items():
                    rows.setdefault(section, []).append((*name, data))
        return rows

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take over the state of an empty judge from all parts of one freeze.

        Raises
        ------
        SnapshotError
            It is of another detector, or of another version of it.
        """
        if not parts:
            return
        ((detector, version, counters),) = decode_rows(parts[_SUMMARY])
        if (detector, version) != (self.name, self.kind.version):
            raise SnapshotError(
                f"sign {self.sign}: the snapshot has models of {detector} version {version}, this "
                f"build has {self.name} version {self.kind.version}: run the build that wrote it, "
                "or begin anew: with another data folder; on Kafka with another kafka.group and "
                "kafka.prefix"
            )
        self.counters = Counters(**counters)
        sections: dict[KeyName, dict[str, list[Any]]] = {}
        groups = grouped(parts)
        for section, part in groups.get(_SECTION, {}).items():
            self._present.add(section)
            for level, key, data in decode_rows(part):
                sections.setdefault((level, key), {})[section] = data
        for level, key, *said in decode_rows(parts[_KEYS]) if _KEYS in parts else ():
            model = self._begin((level, key))
            model.day, model.probed_hour, model.blind = said
            model.detector.load(sections.get((level, key), {}))
        self._keys_changed = self._counted = False


def _sound(verdict: Verdict) -> Verdict:
    """The verdict, if no NaN or infinity is in it (rule R7)."""
    score, expected, band, _ = verdict
    numbers = (expected, *(band or ()))
    if score is not None and not 0.0 <= score <= 1.0:
        raise ValueError(f"the score is {score}, not from 0 to 1")
    if not all(x is None or isfinite(x) for x in numbers):
        raise ValueError(f"expected {expected} and band {band} are not finite")
    return verdict


def _is_failure(error: BaseException) -> bool:
    """Whether a model failed, by an exception or a panic of native code.

    Anything else is not the model's: a stop of the process, or the end of its memory, which would
    come elsewhere in a replay.
    """
    # Every extension has a PanicException of its own, and it is no Exception.
    panic = any(
        (kind.__module__, kind.__qualname__) == ("pyo3_runtime", "PanicException")
        for kind in type(error).__mro__
    )
    return panic or (isinstance(error, Exception) and not isinstance(error, MemoryError))
