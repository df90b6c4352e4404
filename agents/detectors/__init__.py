"""Detectors: what a sign's value is judged by beside its thresholds, one a file.

A new one is a file here and an entry in `DETECTORS`; the contract tests then run on it.
"""

from __future__ import annotations

from agents.detectors.gaussian import Gaussian, GaussianParameters
from agents.detectors.hour_of_week import HourOfWeek, HourOfWeekParameters
from agents.detectors.protocol import Kind

DETECTORS: dict[str, Kind] = {
    "gaussian": Kind(Gaussian, GaussianParameters, version=1),
    "hour_of_week": Kind(HourOfWeek, HourOfWeekParameters, version=1),
}
"""By the name in the catalogue."""
