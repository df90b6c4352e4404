"""The judges of a configuration: one for each sign that has a model."""

from __future__ import annotations

from math import isnan
from typing import Any

from agents.detectors import DETECTORS
from agents.detectors.local_hours import LocalHours
from agents.detectors.protocol import Parameters
from agents.entries import KeyName
from agents.judge import Judge, Probe
from agents.plan import Plan
from schemas.judging import ModelRule
from schemas.signs import Sign


def judges_of(plan: Plan) -> dict[str, SignJudge]:
    """By sign."""
    zone = plan.configuration.city.time_zone
    hours = LocalHours(zone, plan.workdays.is_working)
    return {
        sign.id: SignJudge(sign, sign.model, hours)
        for sign in plan.configuration.signs
        if sign.model is not None
    }


class SignJudge:
    """The models of one sign, and which of its keys they are for."""

    def __init__(self, sign: Sign, rule: ModelRule, hours: LocalHours) -> None:
        self.keys = frozenset(rule.keys or sign.keys)
        probe = Probe(times=rule.probe_times, add=rule.probe_add)
        parameters = parameters_of(rule)
        self.judge = Judge(sign.id, rule.detector, parameters, hours=hours, probe=probe)

    def says(self, name: KeyName, value: float, end: int) -> dict[str, Any] | None:
        """What a key's model says of its value, NaN for none; None where it has no model.

        The model learns it, if it is ordinary.
        """
        if name[0] not in self.keys:
            return None
        known = None if isnan(value) else float(value)
        verdict = self.judge.judge(name, known, end).verdict
        band = None if verdict.band is None else list(verdict.band)
        return {
            "basis": verdict.basis,
            "score": verdict.score,
            "expected": verdict.expected,
            "band": band,
        }


def parameters_of(rule: ModelRule) -> Parameters:
    """The detector's own parameters, from those of the configuration."""
    given = rule.model_dump(exclude={"keys", "detector", "on_delay_s", "off_delay_s"})
    ours = {name: value for name, value in given.items() if not name.startswith("probe_")}
    if "keep" in ours:
        ours["ring"] = ours.pop("keep")
    make: Any = DETECTORS[rule.detector].parameters
    parameters: Parameters = make(**ours)
    return parameters
