"""The short form of the kill run: five kills; the long one is ``python -m tests.faults...``."""

from __future__ import annotations

from tests.faults.kill_restore import run_faults


def test_nothing_is_lost_wrong_or_doubled_after_kills() -> None:
    report = run_faults(kills=5, seed=7, minutes=100)
    print(report)
    assert report["kills"] >= 2, "the log was too short for the kills to hit"
    assert report["outputs"] > 10_000
    assert (report["lost"], report["wrong"], report["doubled"]) == (0, 0, 0)
