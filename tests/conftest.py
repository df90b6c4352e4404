"""What holds for all tests: kernels are compiled anew, and CI skips nothing it has asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from tests.kafka.fixtures import (  # noqa: F401
    broker,
    own_broker,
    prefix,
    secured,
    spare_broker,
)

ROOT = Path(__file__).parent.parent
# Last, so that `tests.` is found and an installed package is not hidden by the checkout.
sys.path.append(str(ROOT))

# Machines are shared and noisy: how long an example takes is no finding.
settings.register_profile("anywhere", deadline=None)
settings.load_profile("anywhere")
# In CI a failure must come again when it is looked into.
settings.register_profile("ci", derandomize=True, print_blob=True, deadline=None)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")

NEVER_SKIPPED = ("kafka", "postgres", "browser")
"""Marks of tests that CI brings all that they need for."""


def stale_kernels(folder: Path) -> list[str]:
    """Names of the kernels of a folder whose source is newer than what was compiled of it."""
    stale = []
    for source in sorted(folder.glob("*.pyx")):
        spec = find_spec(f"ext.{source.stem}")
        compiled = None if spec is None or spec.origin is None else Path(spec.origin)
        if compiled is None or compiled.stat().st_mtime < source.stat().st_mtime:
            stale.append(source.name)
    return stale


def pytest_configure(config: pytest.Config) -> None:
    stale = stale_kernels(ROOT / "ext")
    if stale:
        names = ", ".join(stale)
        raise pytest.UsageError(
            f"ext/{names} changed since it was compiled: run `pip install -e .` in the checkout"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    report: pytest.TestReport = yield
    if report.skipped and os.environ.get("CI") == "true":
        marks = [mark for mark in NEVER_SKIPPED if item.get_closest_marker(mark)]
        if marks and not hasattr(report, "wasxfail"):
            report.outcome = "failed"
            report.longrepr = f"CI skips no test marked {marks[0]}: {report.longrepr}"
    return report
